"""The calibration file: JSON, read in three phases.

Parse (structure and types, nothing else), check (every value, and the adjustment against the method's
own formula), construct. Floats are written in their shortest exact form, so a file read and written
again is the same file. Version 1 is the first.
"""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from lacal import __version__
from lacal.atomic import writing
from lacal.calibration import LARGEST_TAU, VERSION, Calibration, TunedOn
from lacal.errors import CalibrationError, LacalError
from lacal.fingerprint import SKETCH
from lacal.formats.text import read_text, strict_json
from lacal.methods import BIAS_RULES, METHODS
from lacal.names import near_miss, shown
from lacal.scores import SCORE_KINDS
from lacal.tau.selection import RULES

FORMAT = "lacal-calibration"


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
    return calibration


def _check_kind(text: str, path: Path) -> None:
    """Format and version first, so that a newer file is not blamed for its unknown fields."""
    try:
        raw = strict_json(text)
    except ValueError as error:
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
        ("repeats", 0 <= tuned_on.repeats <= 1, "is outside 0..1"),
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


def _plain_reason(error: Exception) -> str:
    return str(error).replace("`", "").replace("$.", "").replace("\n", " ")[:160]
