"""Limits against an earlier run: what they allow, which files they are held against, and the paired interval."""

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacal.classes.groups import GroupRule
from lacal.classes.target import TargetPrior
from lacal.errors import DataError, LacalError, UsageError
from lacal.gates.baseline import Baseline, read_baseline
from lacal.gates.candidate import Candidate
from lacal.gates.gates import Gates, earlier_of, limits_of
from lacal.gates.limits import Limit, check_limits, judge_limits, parse_limit
from lacal.gates.verdict import Verdict
from lacal.measure import Measure
from lacal.rows.decisions import Decisions
from tests.gated_runs import (
    COUNTS,
    NAMES,
    SUPPORT,
    K,
    candidate,
    content,
    judged,
    measured,
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
        ("balanced_error=1", None, 0.1, False, "the baseline's value is undefined (no rows)"),
        ("balanced_error=1", 0.1, None, False, "this run's value is undefined (no rows)"),
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


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.booleans())
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


# The baseline's file


def test_a_baseline_reads_back_as_it_was_measured(tmp_path: Path) -> None:
    before = rows(0, 0.2)
    baseline = read_baseline(write(tmp_path, content(before)))
    for name, one in measured(before).items():
        assert baseline.measures[name].value == one.value
    assert tuple(baseline.support) == SUPPORT
    assert baseline.class_names == NAMES


def spoiled(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    value = copy.deepcopy(content(rows(0, 0.2)))
    change(value)
    return value


@pytest.mark.parametrize(
    ("value", "fragment"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "is not an object"),
        (spoiled(lambda one: one.update(command="tune-tau")), "is no result of lacal evaluate"),
        (spoiled(lambda one: one.update(schema_version=2)), "has schema_version '2', expected 1"),
        (spoiled(lambda one: one.pop("measures")), "as an older lacal wrote it"),
        (spoiled(lambda one: one.update(measures=[])), "is damaged (AttributeError"),
        (spoiled(lambda one: one.update(classes=3)), "is damaged"),
        (spoiled(lambda one: one["classes"][0].pop("n")), "is damaged (KeyError"),
        (spoiled(lambda one: one["classes"][0].update(n=-1)), "is damaged"),
        (spoiled(lambda one: one["classes"][0].update(n=True)), "is damaged"),
        (spoiled(lambda one: one["measures"]["few.error"].update(value="x")), "is damaged"),
        (spoiled(lambda one: one["measures"]["few.error"].update(value=float("nan"))), "is damaged"),
        (spoiled(lambda one: one["measures"]["few.error"].update(value=10**400)), "is damaged"),
        (spoiled(lambda one: one["measures"]["few.error"].update(better="best")), "is damaged"),
        (spoiled(lambda one: one["measures"]["few.error"].update(interval=[1])), "is damaged"),
        (spoiled(lambda one: one["target_prior"].update(shares=[1.0])), "is damaged"),
    ],
)  # fmt: skip
def test_spoiled_baselines(tmp_path: Path, value: Any, fragment: str) -> None:
    with pytest.raises(DataError) as caught:
        read_baseline(write(tmp_path, value))
    assert fragment in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path))


def test_baselines_that_are_no_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such file"):
        read_baseline(tmp_path / "none.json")
    with pytest.raises(DataError, match="is no regular file"):
        read_baseline(tmp_path)


@pytest.mark.parametrize(
    ("name", "other", "fragment"),
    [
        ("balanced_error", {"class_names": ("cat", "emu", "dog", NAMES[3])}, "classes are in another order"),
        ("balanced_error", {"class_names": None, "support": K + 1}, "is of 4 classes, this run has 5"),
        ("balanced_error", {"weighted": True}, "rows was not weighted there and is weighted here"),
        ("few.error", {"groups": GroupRule(100, 31).by_counts(COUNTS)}, "'few' was '< 20' there and is '< 31' here"),
        ("calibration.top_label", {"scheme": "10 equal-width bins"}, "15 equal-width bins there and is in 10"),
        ("target_error", {"target": TargetPrior("t", np.array([0.7, 0.1, 0.1, 0.1]))}, "the target prior was another"),
        ("target_error", {"target": None}, "the target prior was another"),
    ],
)  # fmt: skip
def test_runs_of_another_kind(
    name: str, other: dict[str, Any], fragment: str, tmp_path: Path
) -> None:
    decisions = rows(0, 0.2)
    value = content(decisions)
    for extra in ("calibration.top_label", "target_error"):
        value["measures"][extra] = value["measures"]["few.error"]
    limits, baseline = limits_of(write(tmp_path, value), [f"{name}=0.1"], ())
    support = np.ones(other.pop("support", K), np.int64)
    run = candidate(decisions, **other)
    run = Candidate(
        run.measures,
        support,
        run.class_names,
        run.groups,
        None,
        run.weighted,
        run.target,
        run.scheme,
    )
    with pytest.raises(DataError, match=re.escape(fragment)):
        Gates((), limits, baseline).judge(run)


def test_other_thresholds_do_not_matter_to_other_measures(tmp_path: Path) -> None:
    decisions = rows(0, 0.2)
    run = candidate(
        decisions, groups=GroupRule(100, 31).by_counts(COUNTS), scheme=None, target=None
    )
    verdicts, warnings = judged(tmp_path, decisions, run, "balanced_error=0", "log_loss=0")
    assert [one.passed for one in verdicts] == [True, True]
    assert not warnings


def test_other_rows_are_warned_of(tmp_path: Path) -> None:
    fewer = rows(0, 0.2)
    fewer = Decisions(fewer.place, fewer.ids, fewer.labels[:399], fewer.predictions[:399], NAMES, K)
    _, warnings = judged(tmp_path, rows(0, 0.2), candidate(fewer), "balanced_error=1")
    assert warnings == [
        f"the baseline {tmp_path / 'metrics.json'} was measured on other rows (400 there, 399 here; 1 of 4 classes "
        "differ), so a change may be the data's"
    ]


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
    with pytest.raises(UsageError, match=re.escape(fragment)):
        earlier_of(significant, None if predictions is None else Path(predictions), *known)


def test_a_baseline_without_a_limit_and_a_limit_without_a_baseline(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing is asked of it"):
        limits_of(write(tmp_path, content(rows(0, 0.2))), (), ())
    with pytest.raises(UsageError, match="--max-decrease: needs the earlier run; give --baseline"):
        limits_of(None, (), ["macro_f1=0"])
    with pytest.raises(LacalError, match="give --baseline METRICS and a limit"):
        earlier_of(True, Path("p"), (), None)
