"""The calibration file: an Adjustment, how it came about, and which rows it was tuned on.

JSON, read in three phases: parse (structure and types, nothing else), check (every value, and the
adjustment against the method's own formula), construct. Floats are written in their shortest exact form,
so a file read and written again is the same file. Version 1 is the first.
"""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from lacal import __version__
from lacal.adjustment import Adjustment
from lacal.atomic import writing
from lacal.batch import PerClass
from lacal.errors import CalibrationError, LacalError
from lacal.fingerprint import SKETCH, Hashes
from lacal.formats.text import read_text
from lacal.methods import BIAS_RULES, METHODS, ClassStatistics
from lacal.names import agree, near_miss, shown
from lacal.prior import LabelPrior, ZeroCount
from lacal.scores import SCORE_KINDS
from lacal.selection import RULES

VERSION = 1
FORMAT = "lacal-calibration"
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
    """The file's content. `read` and `write` are the only ways in and out.

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
    )


def write(calibration: Calibration, path: Path) -> None:
    """Write the file, whole or not at all."""
    with writing(path) as file:
        file.write(msgspec.json.format(msgspec.json.encode(calibration), indent=1) + b"\n")


def read(path: Path) -> Calibration:
    """Read a calibration file.

    Raises:
        CalibrationError: It is not one, or a field holds what it cannot; the field is named.
    """
    text = read_text(path)
    _check_kind(text, path)
    try:
        calibration = msgspec.json.decode(text, type=Calibration)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise CalibrationError(
            f"{path}: is no valid calibration file: {_plain_reason(error)}; write it again with "
            "lacal tune-tau"
        ) from error
    _check(calibration, path)
    return calibration


def _check_kind(text: str, path: Path) -> None:
    """Format and version first, so that a newer file is not blamed for its unknown fields."""
    try:
        raw = json.loads(text, object_pairs_hook=_without_twins, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise CalibrationError(
            f"{path}: is not JSON that can be read ({str(error)[:80]})"
        ) from error
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise CalibrationError(f"{path}: is not a calibration file written by lacal tune-tau")
    version = raw.get("version")
    if isinstance(version, int) and version > VERSION:
        raise CalibrationError(
            f"{path}: was written by lacal {shown(str(raw.get('lacal')))} in format version {version}; "
            f"this is lacal {__version__}, which reads up to {VERSION}; update lacal"
        )


def _check(calibration: Calibration, path: Path) -> None:
    def refuse(name: str, why: str) -> CalibrationError:
        return CalibrationError(
            f"{path}: field {name} {why}; write the file again with lacal tune-tau"
        )

    k = len(calibration.class_counts)
    if calibration.method not in METHODS:
        known = tuple(METHODS)
        hint = near_miss(calibration.method, known)
        raise refuse("method", f"is {shown(calibration.method)}, expected one of {known}{hint}")
    for name, allowed in (
        ("select", (*RULES, "given")),
        ("scores", SCORE_KINDS),
        ("bias_rule", (None, *BIAS_RULES)),
    ):
        if getattr(calibration, name) not in allowed:
            raise refuse(
                name, f"is {shown(str(getattr(calibration, name)))}, expected one of {allowed}"
            )
    for name in ("scale", "offset", "class_names", "weight_norms", "bias"):
        vector = getattr(calibration, name)
        if vector is not None and len(vector) != k:
            raise refuse(name, f"has {len(vector)} entries, class_counts has {k}")
    if not abs(calibration.tau) < LARGEST_TAU:
        raise refuse("tau", f"is {calibration.tau:g}, expected less than {LARGEST_TAU:g}")
    if any(count < 0 or count >= 2**53 for count in calibration.class_counts):
        raise refuse("class_counts", "holds a count outside 0..2^53")
    if calibration.class_names is not None and len(set(calibration.class_names)) < k:
        raise refuse("class_names", "names two classes alike")
    try:
        expected = METHODS[calibration.method].adjustment(calibration.statistics, calibration.tau)
        stored = calibration.adjustment
    except LacalError as error:
        raise CalibrationError(f"{path}: {error}") from error
    for name in ("scale", "offset"):
        if not np.allclose(getattr(stored, name), getattr(expected, name), rtol=1e-9, atol=1e-9):
            raise refuse(name, "is not what method, tau and class_counts give")
    if calibration.tuned_on is not None:
        _check_tuned_on(calibration.tuned_on, refuse, k)


def _check_tuned_on(tuned_on: TunedOn, refuse: Any, k: int) -> None:
    if len(tuned_on.grid) != len(tuned_on.curve):
        raise refuse(
            "tuned_on.curve", f"has {len(tuned_on.curve)} points, grid {len(tuned_on.grid)}"
        )
    hashes = len(tuned_on.sketch) <= SKETCH and all(map(_is_hash, tuned_on.sketch))
    outside, crossed = "is outside 0..1", "has its low end above its high end"
    for name, fits, why in (
        ("digest", _is_hash(tuned_on.digest), "must be a hexadecimal hash of 16 digits"),
        ("sketch", hashes, f"must be at most {SKETCH} hexadecimal hashes of 16 digits"),
        ("labelled", 0 < tuned_on.labelled <= tuned_on.rows, "must be from 1 to rows"),
        ("classes_present", 0 < tuned_on.classes_present <= k, f"must be from 1 to {k}"),
        ("unadjusted_error", _is_error(tuned_on.unadjusted_error), outside),
        ("balanced_error", _is_error(tuned_on.balanced_error), outside),
        ("curve", all(map(_is_error, tuned_on.curve)), "holds an error outside 0..1"),
        ("tau", tuned_on.tau.low <= tuned_on.tau.high, crossed),
        ("gain", tuned_on.gain.low <= tuned_on.gain.high, crossed),
        ("draws", tuned_on.draws > 0, "must be above 0"),
        ("seed", tuned_on.seed >= 0, "must be from 0"),
    ):
        if not fits:
            raise refuse(f"tuned_on.{name}", why)


def _is_error(value: float) -> bool:
    return -1e-9 <= value <= 1 + 1e-9


def _is_hash(text: str) -> bool:
    return len(text) == 16 and all(one in "0123456789abcdef" for one in text)


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = dict(pairs)
    if len(keys) != len(pairs):
        raise ValueError("a key occurs twice")
    return keys


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def _plain_reason(error: Exception) -> str:
    return str(error).replace("`", "").replace("$.", "").replace("\n", " ")[:160]


def _array(values: Vector | None) -> PerClass | None:
    return None if values is None else np.array(values, np.float64)


def _list(values: PerClass | None) -> Vector | None:
    return None if values is None else values.tolist()
