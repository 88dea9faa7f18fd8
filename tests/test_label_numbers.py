"""Labels of any size: told as the file holds them, and ignored where they are exactly what the user named."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacal.rows.label_field import whole_number
from tests.small_world import json_of, refusal, world

VAL = world()
LEAST, MOST = -(2**63), 2**64 - 1
TWO_ROWS = np.arange(60) % 30 == 9


def labelled(path: Path, stored: str, *outliers: int) -> Path:
    """Rows 9 and 39 have these labels; where there is one, both."""
    one, other = outliers[0], outliers[-1]
    dtype: Any = np.object_ if stored == "text" else stored
    labels = VAL.labels.astype(dtype)
    labels[9], labels[39] = one, other
    np.savez(path, logits=VAL.logits, labels=labels.astype("U20") if stored == "text" else labels)
    return path


@pytest.mark.parametrize("stored", ["i8", "text"])
@pytest.mark.parametrize("number", [LEAST, -(2**62) - 1, 2**62 + 1, 2**63 - 1])
def test_a_number_beyond_all_classes_is_named_as_it_is(
    folder: Path, capfd: pytest.CaptureFixture[str], stored: str, number: int
) -> None:
    path = labelled(folder / "x.npz", stored, number)
    message = refusal(capfd, "evaluate", path)
    assert f"row 9 has label {number}, expected 0..4 (and at least 1 more)" in message
    assert message.endswith(f"if {number} means 'no label', say --ignore-label {number}")
    for near in (number - 1, number + 1, 4611686018427387904, -4611686018427387904):
        assert f"row 9 has label {number}" in refusal(
            capfd, "evaluate", path, "--ignore-label", near
        )
    assert json_of(capfd, "inspect", path, "--ignore-label", number)["unlabelled_rows"] == 2


@pytest.mark.parametrize("stored", ["u8", "text"])
def test_unsigned_numbers_that_differ_are_told_apart(
    folder: Path, capfd: pytest.CaptureFixture[str], stored: str
) -> None:
    path = labelled(folder / "x.npz", stored, 2**63, 2**63 + 7)
    whole = refusal(capfd, "evaluate", path)
    assert "(and at least 1 more, 9223372036854775808..9223372036854775815)" in whole
    message = refusal(capfd, "evaluate", path, "--ignore-label", 2**63)
    assert "row 39 has label 9223372036854775815, expected 0..4;" in message


def test_text_that_no_file_stores_as_a_number_is_text(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for text in ("18446744073709551616", "-9223372036854775809", "9" * 5000):
        labels = np.where(TWO_ROWS, text, VAL.labels.astype("U1"))
        np.savez(folder / "x.npz", logits=VAL.logits, labels=labels)
        message = refusal(capfd, "evaluate", folder / "x.npz")
        assert f"row 9 is '{text[:20]}" in message
        line = ("inspect", folder / "x.npz", "--ignore-label", text)
        assert json_of(capfd, *line)["unlabelled_rows"] == 2


def test_the_least_integer_as_a_float_can_be_named(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A NaN that was cast to an integer, and back beside an empty cell."""
    path = folder / "x.npz"
    labels = np.where(TWO_ROWS, float(LEAST), VAL.labels)
    np.savez(path, logits=VAL.logits, labels=labels)
    assert "row 9 is -9.2233720" in refusal(capfd, "evaluate", path)
    assert json_of(capfd, "inspect", path, "--ignore-label", LEAST)["unlabelled_rows"] == 2


def test_predictions_whose_number_is_beyond_all_classes(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for number in (2**62 + 1, 2**63 + 7):
        (folder / "p.csv").write_text(f"label,prediction\nx,1\n0,0\n1,0\n{number},1\n")
        line = ("evaluate", folder / "p.csv", "--ignore-label")
        assert f"is the class number {number}, expected one up" in refusal(capfd, *line, "x")


@given(st.integers(2 * LEAST, 2 * MOST), st.sampled_from(["", ".0", "."]), st.integers(0, 30))
def test_a_text_is_the_number_that_it_spells(number: int, end: str, zeros: int) -> None:
    spelt = f"{'-' * (number < 0)}{'0' * zeros}{abs(number)}{end}"
    assert whole_number(spelt) == (number if LEAST <= number <= MOST else None)
