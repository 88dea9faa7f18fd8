"""Calibration files of fitted methods: every field checked; and files of version 1, which knew none."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lacal import calibration_file as files
from lacal.calibration import FITTED, VERSION
from lacal.errors import CalibrationError
from tests.small_world import lacal, world


@pytest.fixture
def fitted(folder: Path) -> Path:
    """A folder that holds the calibration file of every fitted method, of rows that want more than a temperature."""
    val = world(rows=300)
    val.logits[:, 2] -= 2.0
    np.savez(folder / "val.npz", logits=val.logits, labels=val.labels)
    for name in FITTED:
        line = ("compare", folder / "val.npz", folder / "test.npz", "--draws", 10)
        kept = ("--counts", folder / "counts.csv", "--keep", name, "-o", folder / f"{name}.json")
        assert lacal(*line, *kept) == 0
    return folder


ALL, ONE = FITTED, FITTED[-1:]  # of vector scaling only the fit knows scale and offset
NONSENSE: dict[str, tuple[tuple[str, ...], str, Any]] = {
    "tau 0": (ALL, "tau", 0.0),
    "tau negative": (ALL, "tau", -1.0),
    "tau next to 0": (ALL, "tau", 1e-320),
    "tau other": (FITTED[:1], "tau", 2.5),
    "select": (ALL, "select", "shrunk"),
    "method of the table": (ALL, "method", "logit-adjustment"),
    "method unknown": (ALL, "method", "vector-scalin"),
    "scale fewer": (ALL, "scale", [1.0]),
    "scale negative": (ALL, "scale", [-1.0] * 5),
    "scale 0": (ALL, "scale", [1.0, 1.0, 0.0, 1.0, 1.0]),
    "scale uneven": (FITTED[:2], "scale", [1.0, 1.0, 1.0, 1.0, 3.0]),
    "offset other": (FITTED[:1], "offset", [0.0] * 5),
    "offset masked": (ALL, "offset", [0.0, 0.0, 0.0, 0.0, None]),
    "fitted_on none": (ALL, "fitted_on", None),
    "fitted_on.rows": (ALL, "fitted_on.rows", 1.5),
    "fitted_on.labelled": (ALL, "fitted_on.labelled", 10**6),
    "fitted_on.classes_present": (ALL, "fitted_on.classes_present", 9),
    "fitted_on.digest": (ALL, "fitted_on.digest", "xyz"),
    "fitted_on.sketch": (ALL, "fitted_on.sketch", ["xyz"]),
    "fitted_on.repeats": (ALL, "fitted_on.repeats", 2.0),
    "fitted_on.unadjusted_error": (ALL, "fitted_on.unadjusted_error", 2.0),
    "fitted_on.balanced_error": (ALL, "fitted_on.balanced_error", -1.0),
    "fitted_on.ridge": (ALL, "fitted_on.ridge", 3.0),
    "fitted_on.ridges": (ONE, "fitted_on.ridges", [0.0]),
    "fitted_on.held_out": (ALL, "fitted_on.held_out", [1.0, 2.0, 3.0]),
    "fitted_on.log_loss": (ALL, "fitted_on.log_loss", -1.0),
    "fitted_on.log_loss_before": (ALL, "fitted_on.log_loss_before", None),
    "fitted_on.seed": (ALL, "fitted_on.seed", -1),
    "fitted_on.other": (ALL, "fitted_on.other", 1),
}


# A file that calls a fit by another method's name is told of the first field that does not go with it.
BLAMED = {
    "method of the table": "field select",
    "scale negative": "json: field scale is -1 for class 0, expected above 0; write the file again",
    "scale 0": "json: field scale is 0 for class 2, expected above 0; write the file again",
    "tau 0": "json: field tau is 0, expected a temperature above 1e-06",
}


def test_nonsense_in_any_field_is_refused_by_name(fitted: Path) -> None:
    for what, (methods, field, value) in NONSENSE.items():
        for method in methods:
            content = json.loads((fitted / f"{method}.json").read_text())
            *outer, last = field.split(".")
            inner = content
            for key in outer:
                inner = inner[key]
            inner[last] = value
            (fitted / "bad.json").write_text(json.dumps(content))
            with pytest.raises(CalibrationError) as caught:
                files.read(fitted / "bad.json")
            message = str(caught.value)
            assert message.startswith(f"{fitted / 'bad.json'}: "), what
            assert BLAMED.get(what, last) in message, what
            assert message.count("bad.json") == 1, what


def test_a_method_of_the_table_has_no_fit(fitted: Path, calibration: Path) -> None:
    fit = json.loads((fitted / "temperature.json").read_text())["fitted_on"]
    content = json.loads(calibration.read_text())
    calibration.write_text(json.dumps({**content, "fitted_on": fit}))
    with pytest.raises(CalibrationError, match="goes with the fitted methods"):
        files.read(calibration)


def test_what_a_file_says_of_its_fit(fitted: Path) -> None:
    temperature, offsets, scaling = (files.read(fitted / f"{name}.json") for name in FITTED)
    for loaded in (temperature, offsets, scaling):
        assert loaded.described == f"{loaded.method} at T = {loaded.tau:g}"
        assert loaded.tuned_on is None
        assert loaded.rows_seen is loaded.fitted_on
        assert loaded.tuned_rows.size == 256
        assert loaded.repeats == 0
    assert temperature.shift_blind
    assert offsets.shift_blind
    assert temperature.fitted_on is not None
    assert (temperature.fitted_on.ridges, temperature.fitted_on.held_out) == ([], [])
    assert np.ptp(scaling.scale) > 0
    assert not scaling.shift_blind


def test_a_file_of_version_1_is_read_as_one_of_today(calibration: Path, tmp_path: Path) -> None:
    content = json.loads(calibration.read_text())
    assert content["version"] == VERSION == 2
    assert content.pop("fitted_on") is None
    old = tmp_path / "old.json"
    old.write_text(json.dumps({**content, "version": 1}))
    assert files.read(old) == files.read(calibration)
    files.write(files.read(old), tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == calibration.read_bytes()
