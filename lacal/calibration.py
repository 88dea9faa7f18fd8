"""`Calibration`: an Adjustment, how it came about, and which rows it was tuned on.

The record alone; `lacal.calibration_file` reads and writes it.
"""

from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from lacal import __version__
from lacal.adjustment import Adjustment
from lacal.batch import PerClass
from lacal.errors import CalibrationError
from lacal.fingerprint import Hashes
from lacal.methods import METHODS, ClassStatistics
from lacal.names import agree
from lacal.prior import LabelPrior, ZeroCount

VERSION = 1
LARGEST_TAU = 1e6  # far beyond any use; larger ones overflow

Vector = list[float]


class PlateauRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The exact optimum; an end is null where nothing bounds the plateau."""

    low: float | None
    high: float | None
    balanced_error: float


class EstimateRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float


class CrossFitRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The gain on rows that did not choose tau."""

    gain: float
    standard_error: float
    taus: Vector


class TunedOn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The validation rows: their fingerprint, and what the search saw on them."""

    rows: int
    labelled: int
    classes_present: int
    digest: str
    sketch: list[str]
    repeats: float
    unadjusted_error: float
    balanced_error: float
    grid: Vector
    curve: Vector
    optimum: PlateauRecord
    picks: dict[str, float]
    tau: EstimateRecord
    gain: EstimateRecord
    cross_fitted: CrossFitRecord
    draws: int
    seed: int


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The file's content.

    Attributes:
        format: Always "lacal-calibration".
        version: Of the format.
        lacal: The version of lacal that wrote it.
        method: Row of the method table.
        tau: The exponent or factor that was chosen.
        select: How tau was picked: a selection rule, or "given".
        scores: What the numbers it was tuned on were: logits, log-probs or probs.
        class_names: In class order, or null.
        class_counts: Training counts (k,).
        zero_count: The rule applied to zero counts.
        bias_rule: Of weight normalisation, else null.
        weight_norms: (k,) where the method needs them, else null.
        bias: (k,) of the head, else null.
        scale: (k,) of the adjustment.
        offset: (k,) of the adjustment; null for a class that is never predicted.
        tuned_on: The validation rows, or null where tau was given.
        versions: Libraries that took part.
        inference: How the logits were made, where lacal ran the model; else null.
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
                f"{place}: has {classes} classes, the calibration has {len(self.class_counts)}; they must "
                "be of the same model"
            )
        agree(self.prior.class_names, "the calibration", class_names, place)

    @property
    def tuned_rows(self) -> Hashes:
        """Hashes of a sample of the rows tau was tuned on."""
        sketch = self.tuned_on.sketch if self.tuned_on else []
        return np.sort(np.array([int(text, 16) for text in sketch], np.uint64))


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
    adjustment = METHODS[method].adjustment(statistics, tau)
    headed = method == "weight-norm"
    return Calibration(
        format="lacal-calibration",
        version=VERSION,
        lacal=__version__,
        method=method,
        tau=tau,
        select=select,
        scores=scores,
        class_names=None if prior.class_names is None else list(prior.class_names),
        class_counts=prior.class_counts.tolist(),
        zero_count=str(prior.zero_count),
        bias_rule=statistics.bias_rule if headed else None,
        weight_norms=_list(statistics.weight_norms) if headed else None,
        bias=_list(statistics.bias) if headed else None,
        scale=adjustment.scale.tolist(),
        offset=[None if value == -np.inf else value for value in adjustment.offset.tolist()],
        tuned_on=tuned_on,
        versions={"numpy": np.__version__},
        inference=inference,
    )


def _array(values: Vector | None) -> PerClass | None:
    return None if values is None else np.array(values, np.float64)


def _list(values: PerClass | None) -> Vector | None:
    return None if values is None else values.tolist()
