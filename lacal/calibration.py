"""`Calibration`: an Adjustment, how it came about, and which rows it was tuned on.

The record alone; `lacal.calibration_file` reads and writes it.
"""

from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from lacal import __version__
from lacal.adjustment import Adjustment
from lacal.batch import PerClass
from lacal.calibration_records import FittedOn, TunedOn, Vector
from lacal.classes.names import agree, other_classes
from lacal.classes.prior import LabelPrior, ZeroCount
from lacal.errors import CalibrationError
from lacal.methods import METHODS, ClassStatistics
from lacal.rows.fingerprint import Hashes

VERSION = 2  # 1: without the fitted methods
FITTED = ("temperature", "class-offsets", "vector-scaling")  # by log loss; see `lacal.fits`
BY_LOG_LOSS = "log-loss"  # how their tau was picked
LARGEST_TAU = 1e6  # far beyond any use; larger ones overflow


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The file's content.

    Attributes:
        format: Always "lacal-calibration".
        version: Of the format.
        lacal: The version of lacal that wrote it.
        method: Row of the method table, or one of `FITTED`.
        tau: The exponent or factor that was chosen; of a fitted method the temperature T of the
            `logits / T - log_prior` that it is or starts from, which ranks classes as logit adjustment at T.
        select: How tau was picked: a selection rule, "given", or "log-loss".
        scores: What the numbers it was tuned on were: logits, log-probs or probs.
        class_names: In class order, or null.
        class_counts: Training counts (k,).
        zero_count: The rule applied to zero counts.
        bias_rule: Of weight normalisation, else null.
        weight_norms: (k,) where the method needs them, else null.
        bias: (k,) of the head, else null.
        scale: (k,) of the adjustment.
        offset: (k,) of the adjustment; null for a class that is never predicted.
        tuned_on: The validation rows of a search for tau; null where there was none.
        versions: Libraries that took part.
        inference: How the logits were made, where lacal ran the model; else null.
        fitted_on: The validation rows of a fitted method; null for the others.
    """

    format: Literal["lacal-calibration"]
    version: Annotated[int, msgspec.Meta(ge=1)]
    lacal: str
    method: str
    tau: float
    select: str
    scores: str
    class_names: list[str] | None
    class_counts: list[int]
    zero_count: str
    bias_rule: str | None
    weight_norms: Vector | None
    bias: Vector | None
    scale: Vector
    offset: list[float | None]
    tuned_on: TunedOn | None
    versions: dict[str, str]
    inference: dict[str, Any] | None = None
    fitted_on: FittedOn | None = None

    @property
    def described(self) -> str:
        """Method and setting in words: "logit-adjustment at tau = 1.2", "vector-scaling at T = 1.34"."""
        setting = "tau" if self.fitted_on is None else "T"
        return f"{self.method} at {setting} = {self.tau:g}"

    @property
    def adjustment(self) -> Adjustment:
        """The per-class affine map."""
        offset = [-np.inf if value is None else value for value in self.offset]
        return Adjustment(np.array(self.scale), np.array(offset))

    @property
    def prior(self) -> LabelPrior:
        """The training counts."""
        names = None if self.class_names is None else tuple(self.class_names)
        counts = np.array(self.class_counts, np.int64)
        return LabelPrior(counts, names, ZeroCount.parse(self.zero_count))

    @property
    def statistics(self) -> ClassStatistics:
        """What the method was given."""
        return ClassStatistics(
            self.prior.log_prior,
            _array(self.weight_norms),
            _array(self.bias),
            self.bias_rule or "drop",
        )

    def check_fits(self, classes: int, class_names: tuple[str, ...] | None, place: str) -> None:
        """Refuse logits of other classes than these, in number, name or order."""
        if classes != len(self.class_counts):
            raise CalibrationError(
                f"{place}: has {classes} classes, the calibration has {len(self.class_counts)}; "
                + other_classes(self.prior.class_names, class_names)
                + " (a row an example, a column a class)" * (class_names is None)
            )
        agree(self.prior.class_names, "the calibration", class_names, place)

    @property
    def rows_seen(self) -> TunedOn | FittedOn | None:
        """The validation rows, of a search or of a fit."""
        return self.tuned_on or self.fitted_on

    @property
    def tuned_rows(self) -> Hashes:
        """Hashes of a sample of the rows that chose the adjustment."""
        sketch = self.rows_seen.sketch if self.rows_seen else []
        return np.sort(np.array([int(text, 16) for text in sketch], np.uint64))

    @property
    def repeats(self) -> float:
        """Share of those rows that are like another of them: how much of an overlap means nothing."""
        return self.rows_seen.repeats if self.rows_seen else 0.0

    @property
    def shift_blind(self) -> bool:
        """Whether a constant added to all logits of a row changes nothing, so that log-probabilities will do."""
        return len(set(self.scale)) == 1


def calibration_of(
    method: str,
    tau: float,
    prior: LabelPrior,
    statistics: ClassStatistics,
    *,
    select: str,
    scores: str,
    tuned_on: TunedOn | None,
    inference: dict[str, Any] | None = None,
) -> Calibration:
    """Put together what a tau of a method says about these classes."""
    headed = method == "weight-norm"
    return _calibration(
        METHODS[method].adjustment(statistics, tau),
        prior,
        method=method,
        tau=tau,
        select=select,
        scores=scores,
        bias_rule=statistics.bias_rule if headed else None,
        weight_norms=_list(statistics.weight_norms) if headed else None,
        bias=_list(statistics.bias) if headed else None,
        tuned_on=tuned_on,
        inference=inference,
    )


def fitted_calibration(
    method: str,
    temperature: float,
    adjustment: Adjustment,
    prior: LabelPrior,
    fitted_on: FittedOn,
    *,
    scores: str,
    inference: dict[str, Any] | None = None,
) -> Calibration:
    """Put together what a fit by log loss gave; `method` is one of `FITTED`."""
    return _calibration(
        adjustment,
        prior,
        method=method,
        tau=temperature,
        select=BY_LOG_LOSS,
        scores=scores,
        bias_rule=None,
        weight_norms=None,
        bias=None,
        tuned_on=None,
        fitted_on=fitted_on,
        inference=inference,
    )


def _calibration(adjustment: Adjustment, prior: LabelPrior, **how: Any) -> Calibration:
    """What every calibration says of its classes, beside how it came about."""
    return Calibration(
        format="lacal-calibration",
        version=VERSION,
        lacal=__version__,
        class_names=None if prior.class_names is None else list(prior.class_names),
        class_counts=prior.class_counts.tolist(),
        zero_count=str(prior.zero_count),
        scale=adjustment.scale.tolist(),
        offset=_offsets(adjustment),
        versions={"numpy": np.__version__},
        **how,
    )


def _offsets(adjustment: Adjustment) -> list[float | None]:
    return [None if value == -np.inf else value for value in adjustment.offset.tolist()]


def _array(values: Vector | None) -> PerClass | None:
    return None if values is None else np.array(values, np.float64)


def _list(values: PerClass | None) -> Vector | None:
    return None if values is None else values.tolist()
