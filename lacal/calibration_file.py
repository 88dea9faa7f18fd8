"""The calibration file: JSON, read in three phases.

Parse (structure and types, nothing else), check (every value, and the adjustment against the method's
own formula), construct. Floats are written in their shortest exact form, so a file read and written
again is the same file. Version 1 had no fitted methods; its files are read as the version written now.
"""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from lacal import __version__
from lacal.atomic import writing
from lacal.calibration import (
    BY_LOG_LOSS,
    FITTED,
    LARGEST_TAU,
    VERSION,
    Calibration,
)
from lacal.calibration_records import FittedOn, TunedOn
from lacal.classes.names import near_miss, shown
from lacal.errors import CalibrationError, LacalError
from lacal.fits.tempered import tempered
from lacal.formats.text import read_text, strict_json
from lacal.methods import BIAS_RULES, LARGEST_NORM, METHODS, SMALLEST_NORM
from lacal.rows.fingerprint import SKETCH
from lacal.rows.scores import SCORE_KINDS
from lacal.tau.selection import RULES

FORMAT = "lacal-calibration"
_OUTSIDE = "is outside 0..1"


def write(calibration: Calibration, path: Path, *, force: bool = True) -> None:
    """Write the file, whole or not at all; `force` replaces one that is there."""
    with writing(path, replace=force) as file:
        file.write(encoded(calibration))


def encoded(calibration: Calibration) -> bytes:
    """The file's bytes."""
    return msgspec.json.format(msgspec.json.encode(calibration), indent=1) + b"\n"


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
    return msgspec.structs.replace(calibration, version=VERSION)


def _check_kind(text: str, path: Path) -> None:
    """Format and version first, so that a newer file is not blamed for its unknown fields."""
    try:
        raw = strict_json(text)
    except ValueError as error:
        raise CalibrationError(
            f"{path}: is no calibration file: {_why_no_json(text, error)}; expected one that lacal tune-tau wrote "
            "(training counts go to --counts)"
        ) from error
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise CalibrationError(f"{path}: is not a calibration file written by lacal tune-tau")
    version = raw.get("version")
    if isinstance(version, int) and version > VERSION:
        raise CalibrationError(
            f"{path}: was written by lacal {shown(str(raw.get('lacal')))} in format version {version}; "
            f"this is lacal {__version__}, which reads up to {VERSION}; update lacal"
        )


def _why_no_json(text: str, error: ValueError) -> str:
    """What is wrong with the text: a table, or JSON that breaks off somewhere."""
    if text.lstrip()[:1] not in ("{", "["):
        return "it holds no JSON"
    return f"it is not JSON that can be read ({str(error)[:80]})"


def _check(calibration: Calibration, path: Path) -> None:
    fitted = calibration.method in FITTED
    writer = "lacal compare" if fitted else "lacal tune-tau"

    def refuse(name: str, why: str) -> CalibrationError:
        return CalibrationError(f"{path}: field {name} {why}; write the file again with {writer}")

    k = len(calibration.class_counts)
    if calibration.method not in METHODS and not fitted:
        known = (*METHODS, *FITTED)
        hint = near_miss(calibration.method, known)
        raise refuse("method", f"is {shown(calibration.method)}, expected one of {known}{hint}")
    for name, allowed in (
        ("select", (BY_LOG_LOSS,) if fitted else (*RULES, "given")),
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
    _check_factors(calibration, refuse)
    _check_adjustment(calibration, path, refuse)
    if fitted != (calibration.fitted_on is not None) or (fitted and calibration.tuned_on):
        raise refuse("fitted_on", "goes with the fitted methods, and tuned_on with the others")
    if calibration.rows_seen is not None:
        _check_rows(calibration.rows_seen, "fitted_on" if fitted else "tuned_on", refuse, k)
    if calibration.tuned_on is not None:
        _check_tuned_on(calibration.tuned_on, refuse)
    if calibration.fitted_on is not None:
        _check_fitted_on(calibration.fitted_on, refuse)


def _check_factors(calibration: Calibration, refuse: Any) -> None:
    """Refuse a factor of nothing, or one that turns a class's scores upside down, or norms that no head has."""
    for number, scale in enumerate(calibration.scale):
        if not scale > 0:
            raise refuse("scale", f"is {scale:g} for class {number}, expected above 0")
    for number, norm in enumerate(calibration.weight_norms or []):
        if not SMALLEST_NORM <= norm <= LARGEST_NORM:
            span = f"{SMALLEST_NORM:g} to {LARGEST_NORM:g}"
            raise refuse("weight_norms", f"is {norm:g} for class {number}, expected from {span}")


def _check_adjustment(calibration: Calibration, path: Path, refuse: Any) -> None:
    """Refuse an adjustment that the method, tau and class counts do not give, as far as they decide it."""
    searched, least = calibration.method in METHODS, 1 / LARGEST_TAU
    if not searched and not calibration.tau > least:
        raise refuse("tau", f"is {calibration.tau:g}, expected a temperature above {least:g}")
    try:
        stored = calibration.adjustment
        if searched:
            expected = METHODS[calibration.method].adjustment(
                calibration.statistics, calibration.tau
            )
        else:
            expected = tempered(calibration.prior.log_prior, calibration.tau)
    except LacalError as error:
        raise CalibrationError(f"{path}: {error}") from error
    # A fit moves what is its own: the offsets, or the scales as well; never whether a class is masked.
    own = {"class-offsets": ("offset",), "vector-scaling": ("scale", "offset")}
    for name in ("scale", "offset"):
        given, due = getattr(stored, name), getattr(expected, name)
        if name in own.get(calibration.method, ()):
            given, due = np.isneginf(given), np.isneginf(due)
        with np.errstate(over="ignore"):  # numbers so far apart that their distance is infinite
            alike = np.allclose(given, due, rtol=1e-9, atol=1e-9)
        if not alike:
            raise refuse(name, "is not what method, tau and class_counts give")


def _check_rows(seen: TunedOn | FittedOn, name: str, refuse: Any, k: int) -> None:
    hashes = len(seen.sketch) <= SKETCH and all(map(_is_hash, seen.sketch))
    for field, fits, why in (
        ("digest", _is_hash(seen.digest), "must be a hexadecimal hash of 16 digits"),
        ("sketch", hashes, f"must be at most {SKETCH} hexadecimal hashes of 16 digits"),
        ("repeats", 0 <= seen.repeats <= 1, _OUTSIDE),
        ("labelled", 0 < seen.labelled <= seen.rows, "must be from 1 to rows"),
        ("classes_present", 0 < seen.classes_present <= k, f"must be from 1 to {k}"),
        ("unadjusted_error", _is_error(seen.unadjusted_error), _OUTSIDE),
        ("balanced_error", _is_error(seen.balanced_error), _OUTSIDE),
        ("seed", seen.seed >= 0, "must be from 0"),
    ):
        if not fits:
            raise refuse(f"{name}.{field}", why)


def _check_tuned_on(tuned_on: TunedOn, refuse: Any) -> None:
    if len(tuned_on.grid) != len(tuned_on.curve):
        raise refuse(
            "tuned_on.curve", f"has {len(tuned_on.curve)} points, grid {len(tuned_on.grid)}"
        )
    crossed = "has its low end above its high end"
    for name, fits, why in (
        ("curve", all(map(_is_error, tuned_on.curve)), "holds an error outside 0..1"),
        ("tau", tuned_on.tau.low <= tuned_on.tau.high, crossed),
        ("gain", tuned_on.gain.low <= tuned_on.gain.high, crossed),
        ("draws", tuned_on.draws > 0, "must be above 0"),
    ):
        if not fits:
            raise refuse(f"tuned_on.{name}", why)


def _check_fitted_on(fitted_on: FittedOn, refuse: Any) -> None:
    tried, losses = len(fitted_on.ridges), len(fitted_on.held_out)
    if not all(ridge > 0 for ridge in fitted_on.ridges):
        raise refuse("fitted_on.ridges", "holds a ridge that is not above 0")
    if losses not in (0, tried + 1):
        raise refuse("fitted_on.held_out", f"has {losses} losses, ridges {tried}")
    if fitted_on.ridge is not None and fitted_on.ridge not in fitted_on.ridges:
        raise refuse("fitted_on.ridge", "is none of ridges")
    for name in ("log_loss", "log_loss_before"):
        if getattr(fitted_on, name) < 0:
            raise refuse(f"fitted_on.{name}", "is below 0")


def _is_error(value: float) -> bool:
    return -1e-9 <= value <= 1 + 1e-9


def _is_hash(text: str) -> bool:
    return len(text) == 16 and all(one in "0123456789abcdef" for one in text)


def _plain_reason(error: Exception) -> str:
    return str(error).replace("`", "").replace("$.", "").replace("\n", " ")[:160]
