"""The grid that is printed: where it starts and ends, what is always on it, and what it refuses in whole sentences."""

import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from lacal.errors import UsageError
from lacal.methods import METHODS
from lacal.tau.grid import MOST_POINTS, lowest_on, parse_grid

METHOD = METHODS["logit-adjustment"]
QUARTERS = st.integers(-40, 40)


@given(QUARTERS, st.integers(8, 40), st.sampled_from([1, 2, 3, 8]))
def test_a_grid_holds_its_steps_its_ends_and_0_and_1(low: int, width: int, step: int) -> None:
    """In quarters, which are exact."""
    first, last = low / 4, (low + width) / 4
    steps = {first + number * step / 4 for number in range(width // step + 1)}
    also = {tau for tau in (0.0, 1.0, last) if first <= tau <= last}
    grid = parse_grid(f"{first}:{last}:{step / 4}", METHOD)
    assert grid.tolist() == sorted(steps | also)


def test_rounding_leaves_no_step_out_and_no_crumbs() -> None:
    assert parse_grid("0:0.9:0.3", METHOD).tolist() == [0.0, 0.3, 0.6, 0.9]
    assert parse_grid("0.1:0.7:0.2", METHOD).tolist() == [0.1, 0.3, 0.5, 0.7]
    thirds = parse_grid(f"0:1:{1 / 3!r}", METHOD)
    assert thirds.tolist() == [0.0, 0.333333333333, 0.666666666667, 1.0]


def test_the_methods_own_grid() -> None:
    first, last, step = METHOD.grid
    grid = parse_grid(None, METHOD)
    np.testing.assert_array_equal(grid, parse_grid(f"{first}:{last}:{step}", METHOD))


def test_what_is_just_allowed() -> None:
    assert parse_grid("-40:0:1", METHOD)[0] == -40
    assert parse_grid("0:40:1", METHOD)[-1] == 40
    assert parse_grid(f"0:10:{10 / MOST_POINTS}", METHOD).size == MOST_POINTS + 1
    narrow = METHOD.bandwidth / 2
    assert parse_grid(f"0:{narrow}:{narrow}", METHOD).tolist() == [0.0, narrow]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("0:4", "--grid: got '0:4', expected FIRST:LAST:STEP such as 0:4:0.05"),
        ("0:4:x" + "y" * 80, f"--grid: got '0:4:x{'y' * 55}', expected FIRST:LAST:STEP such as 0:4:0.05"),
        ("0:inf:1", "--grid: got '0:inf:1', expected finite numbers"),
        ("0:1:nan" + " " * 80, f"--grid: got '0:1:nan{' ' * 53}', expected finite numbers"),
        ("0:4:0", "--grid: got '0:4:0', expected FIRST < LAST and STEP > 0"),
        ("4:4:1", "--grid: got '4:4:1', expected FIRST < LAST and STEP > 0"),
        ("4:0:1" + " " * 80, f"--grid: got '4:0:1{' ' * 55}', expected FIRST < LAST and STEP > 0"),
        ("0:40.5:1", "--grid: got '0:40.5:1', expected taus between -40 and 40"),
        ("-41:0:1", "--grid: got '-41:0:1', expected taus between -40 and 40"),
        ("-41:0:1" + " " * 80, f"--grid: got '-41:0:1{' ' * 53}', expected taus between -40 and 40"),
        ("-30:30:1", "--grid: spans 60, expected at most 40"),
    ],
)  # fmt: skip
def test_a_grid_that_is_none_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_grid(text, METHOD)
    assert str(refused.value) == sentence


def test_too_narrow_or_too_fine() -> None:
    least = METHOD.bandwidth / 2
    for share in (0.01, 0.99):
        with pytest.raises(UsageError) as refused:
            parse_grid(f"1:{1 + share * least}:0.01", METHOD)
        assert str(refused.value) == (
            f"--grid: spans {share * least:g}, expected at least {least:g} to pick from; "
            "lacal adjust --tau T applies a tau of your own"
        )
    with pytest.raises(
        UsageError, match=r"^--grid: has 10,\d\d\d points, expected at most 10,000$"
    ):
        parse_grid("0:4:0.000399", METHOD)
    assert parse_grid("10:12:0.0003", METHOD).size == 6668
    with pytest.raises(UsageError, match=r"^--grid: has 20,000 points, expected at most 10,000$"):
        parse_grid("-1:1:0.0001", METHOD)


def test_the_lowest_is_the_first_of_equals() -> None:
    grid = np.array([0.0, 1.0, 2.0, 3.0])
    assert lowest_on(grid, np.array([0.5, 0.25, 0.25, 0.5])) == 1
    assert lowest_on(grid, np.array([0.5, 0.25 + 1e-14, 0.25, 0.5])) == 1
    assert lowest_on(grid, np.array([0.5, 0.26, 0.25, math.inf])) == 2
