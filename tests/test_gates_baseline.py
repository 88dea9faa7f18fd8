"""Limits against an earlier run: what they allow, and what is no limit."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacal.errors import LacalError, UsageError
from lacal.gates.baseline import Baseline
from lacal.gates.gates import earlier_of, limits_of
from lacal.gates.limits import Limit, check_limits, judge_limits, parse_limit
from lacal.gates.verdict import Verdict
from lacal.measure import Measure
from lacal.rows.logits_source import SourceOptions
from tests.gated_runs import (
    K,
    content,
    number,
    rows,
    write,
)


def limit(text: str, direction: str = "increase") -> Limit:
    return parse_limit(text, "increase" if direction == "increase" else "decrease")


# What a limit allows


@pytest.mark.parametrize(
    ("text", "before", "after", "passed", "reason"),
    [
        ("balanced_error=0.01", 0.20, 0.215, False, "rose by 1.50 points, more than the 1.00 points allowed"),
        ("balanced_error=0.01", 0.20, 0.205, True, "rose by 0.50 points, within the 1.00 points allowed"),
        ("balanced_error=0.01", 0.12, 0.13, True, "rose by 1.00 points, within the 1.00 points"),
        ("balanced_error=0.01", 0.12, 0.130001, False, "rose by 1.0001 points, more than the 1.0000 points"),
        ("balanced_error=5%", 0.20, 0.215, False,
         "rose by 1.50 points, more than the 1.00 points (5 % of the baseline's) allowed"),
        ("balanced_error=5%", 0.20, 0.2099, True, "within the 1.00 points (5 % of"),
        ("balanced_error= 0 ", 0.20, 0.2000001, False, "more than"),
        ("balanced_error=0", 0.20, 0.20, True, "did not change"),
        ("balanced_error=0", 0.20, 0.10, True, "fell by 10.00 points, which is better"),
        ("balanced_error=5%", 0.0, 0.001, False, "more than the 0.00 points (5 %"),
        ("balanced_error=0.9", None, 0.1, False, "the baseline's value is undefined (no rows)"),
        ("balanced_error=0.9", 0.1, None, False, "this run's value is undefined (no rows)"),
    ],
)  # fmt: skip
def test_limits(
    text: str, before: float | None, after: float | None, passed: bool, reason: str
) -> None:
    found = verdict(limit(text), number("balanced_error", before), number("balanced_error", after))
    assert (found.passed, found.gate) == (passed, f"--max-increase {text.strip()}")
    assert reason in found.reason


def verdict(one: Limit, before: Measure, after: Measure) -> Verdict:
    baseline = Baseline("m.json", {before.name: before}, np.ones(K, np.int64), None)
    check_limits((one,), baseline.measures, "m.json")
    return judge_limits((one,), baseline, {after.name: after}, None)[0]


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1, exclude_max=True), st.booleans())
def test_a_fall_of_the_one_is_a_rise_of_its_complement(
    before: float, after: float, most: float, relative: bool
) -> None:
    """Recall may fall by as much as the error, its complement, may rise."""
    rise = verdict(limit(f"x={most}"), number("x", before), number("x", after))
    fall = verdict(limit(f"x={most}", "decrease"),
                   number("x", 1 - before, "higher"), number("x", 1 - after, "higher"))  # fmt: skip
    assert rise.passed is fall.passed or abs(after - before - most) < 1e-9
    assert rise.passed or after > before


def test_what_was_measured_stands_beside_the_baseline() -> None:
    after = Measure("few.error", 0.3, 0.25, 0.35, 0.02, 90)
    found = verdict(limit("few.error=0.01"), number("few.error", 0.2), after)
    assert found.found == (
        "few.error 30.00 %, 95 % interval 25.00 to 35.00 %, n 90; baseline 20.00 %, no interval, n 400"
    )


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("balanced_error", "expected NAME=LIMIT"),
        ("balanced_error=", "'' is no limit"),
        ("balanced_error=-0.1", "'-0.1' is no limit; expected a number from 0"),
        ("balanced_error=nan", "is no limit"),
        ("balanced_error=inf", "is no limit"),
        ("balanced_error=5%%", "is no limit"),
        ("balanced_error=1_0", "'1_0' is no limit"),
        ("balanced_error=٣", "is no limit"),
        ("balanced_error=５%", "is no limit"),
        ("balanced_error=1e" + "9" * 5000, "is no limit"),
        ("balanced_error=0.1 or so", "is no limit"),
        ("=0.1", "is no name of a measure"),
        ("balanced error=0.1", "is no name of a measure"),
        ("1=0.1", "is no name of a measure"),
    ],
)
def test_what_is_no_limit(text: str, fragment: str) -> None:
    with pytest.raises(UsageError, match=re.escape(fragment)) as caught:
        limit(text, "decrease")
    assert str(caught.value).startswith("--max-decrease: ")


def test_names_may_hold_equals_signs_and_quotes() -> None:
    one = limit(r'class."a=\"b\"".error=2%')
    assert (one.name, one.amount, one.relative) == ('class.a="b".error', 0.02, True)


def test_a_limit_on_a_change_for_the_better_is_refused() -> None:
    known = {"macro_f1": number("macro_f1", 0.5, "higher"), "few.error": number("few.error", 0.5)}
    for one, option in (
        (limit("macro_f1=0.1"), "decrease"),
        (limit("few.error=1%", "decrease"), "increase"),
    ):
        with pytest.raises(UsageError, match=f"give --max-{option}"):
            check_limits((one,), known, "m.json")
    with pytest.raises(UsageError, match=r"'few.eror' is no measure .* Did you mean 'few.error'"):
        check_limits((limit("few.eror=0.1"),), known, "m.json")


@pytest.mark.parametrize(
    ("text", "name", "fragment"),
    [
        ("few.error=5", "few.error", "'few.error=5': 'few.error' is a share, from 0 to 1; got 5, expected 5% (of the "
         "baseline's value) or 0.05"),
        ("few.error=1", "few.error", "got 1, expected 1% (of the baseline's value) or 0.01"),
        ("few.error=500%", "few.error", "no change is more than that"),
        ("macro_f1=5", "macro_f1", "expected 5% (of the baseline's value) or 0.05"),
        ("macro_f1=100%", "macro_f1", "no change is more than that"),
        ("gain=2", "gain", "'gain' is a difference of shares, from -1 to 1; got 2"),
    ],
)  # fmt: skip
def test_limits_that_can_never_fail_are_refused(text: str, name: str, fragment: str) -> None:
    """`few.error=5` was taken for 500 points."""
    better, direction = ("lower", "increase") if name == "few.error" else ("higher", "decrease")
    known = {name: number(name, 0.4, better)}
    with pytest.raises(UsageError, match=re.escape(fragment)) as caught:
        check_limits((limit(text, direction),), known, "m.json")
    assert str(caught.value).startswith(f"--max-{direction}: ")


@pytest.mark.parametrize(
    ("text", "value", "unit", "direction"),
    [
        ("few.error=5%", 0.999, "share", "increase"),  # it may be better next time
        ("few.error=500%", 0.01, "share", "increase"),
        ("log_loss=5", 0.4, "nats", "increase"),
        ("few.error=0.99", 0.4, "share", "increase"),
        ("gain=150%", 0.04, "share", "decrease"),
    ],
)
def test_limits_that_may_fail_are_not(text: str, value: float, unit: str, direction: str) -> None:
    one = limit(text, direction)
    better = "lower" if direction == "increase" else "higher"
    known = {one.name: Measure(one.name, value, None, None, None, 9, better, unit)}
    check_limits((one,), known, "m.json")


def test_gains_move_in_points_and_names_keep_their_quotes() -> None:
    before, after = number("gain", 0.04, "higher"), number("gain", 0.01, "higher")
    found = verdict(limit("gain=0.01", "decrease"), before, after)
    assert found.found == (
        "gain 1.00 points, no interval, n 400; baseline 4.00 points, no interval, n 400"
    )
    assert found.reason.startswith("fell by 3.00 points, more than the 1.00 points allowed")
    name = "class.fire engine.error"
    quoted = 'class."fire engine".error'
    with pytest.raises(UsageError, match=re.escape(f"put the name in quotes: {quoted}")):
        limit(f"{name}=5%")
    assert verdict(limit(f"{quoted}=5%"), number(name, 0.4), number(name, 0.4)).found.startswith(
        quoted
    )


def test_a_baseline_without_groups_says_what_they_need() -> None:
    known = {name: number(name, 0.4) for name in ("balanced_error", "class.few.error")}
    with pytest.raises(UsageError) as caught:
        check_limits((limit("few.error=5%"),), known, "m.json")
    assert str(caught.value) == (
        "--max-increase: 'few.error' is no measure of the baseline m.json; groups need the training counts: write it "
        "anew with --counts or --calibration"
    )


# Options that lack one another


@pytest.mark.parametrize(
    ("significant", "predictions", "limits", "fragment"),
    [
        (False, "p.parquet", ["balanced_error=0"], "is for --significant; give both or neither"),
        (True, None, ["balanced_error=0"], "give them with --baseline-predictions FILE"),
        (
            True,
            "p.parquet",
            ["log_loss=0"],
            "'log_loss' has no paired interval; it is there for balanced_error",
        ),
    ],
)
def test_options_that_lack_one_another(
    tmp_path: Path, significant: bool, predictions: str | None, limits: list[str], fragment: str
) -> None:
    known = limits_of(write(tmp_path, content(rows(0, 0.2))), limits, ())
    path = None if predictions is None else Path(predictions)
    with pytest.raises(UsageError, match=re.escape(fragment)):
        earlier_of(significant, path, *known, SourceOptions())


def test_a_baseline_without_a_limit_and_a_limit_without_a_baseline(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing is asked of it"):
        limits_of(write(tmp_path, content(rows(0, 0.2))), (), ())
    with pytest.raises(UsageError, match="--max-decrease: needs the earlier run; give --baseline"):
        limits_of(None, (), ["macro_f1=0"])
    with pytest.raises(LacalError, match="give --baseline METRICS and a limit"):
        earlier_of(True, Path("p"), (), None, SourceOptions())
