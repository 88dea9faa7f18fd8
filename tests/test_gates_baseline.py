"""Limits against an earlier run: what they allow, which files they are held against, and the paired interval."""

import copy
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacal.classes.groups import GroupRule, Groups
from lacal.classes.target import TargetPrior
from lacal.errors import DataError, LacalError, UsageError
from lacal.gates.baseline import Baseline
from lacal.gates.baseline_file import read_baseline
from lacal.gates.gates import Gates, earlier_of, limits_of
from lacal.gates.limits import Limit, check_limits, judge_limits, parse_limit
from lacal.gates.verdict import Verdict
from lacal.measure import Measure
from lacal.probabilities import Probabilities
from lacal.rows.decisions import Decisions
from tests.gated_runs import (
    COUNTS,
    GROUPS,
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


TARGET = np.log([0.7, 0.1, 0.1, 0.1])


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
        ("[]", "is no result of lacal evaluate; a baseline is the JSON of an earlier run"),
        (spoiled(lambda one: one.update(command="tune-tau")), "is no result of lacal evaluate"),
        (spoiled(lambda one: one.update(schema_version=2)), "has schema_version '2', expected 1"),
        (spoiled(lambda one: one.update(schema_version=True)), "has schema_version 'True', expected 1"),
        (spoiled(lambda one: one.pop("measures")), "as an older lacal wrote it"),
        (spoiled(lambda one: one.update(measures=[])), "is damaged: it does not hold what lacal evaluate writes"),
        (spoiled(lambda one: one.update(classes=3)), "is damaged"),
        (spoiled(lambda one: one["classes"][0].pop("n")), "is damaged: it"),
        (spoiled(lambda one: one["classes"][0].update(n=-1)), "is damaged"),
        (spoiled(lambda one: one["classes"][0].update(n=True)), "is damaged"),
        (spoiled(lambda one: one["measures"]["few.error"].update(value="x")), "is damaged"),
        (spoiled(lambda one: one["measures"]["few.error"].update(value=float("nan"))), "is damaged"),
        (spoiled(lambda one: one["measures"]["few.error"].update(value=10**400)), "is damaged"),
        (spoiled(lambda one: one["measures"]["few.error"].update(better="best")), "is damaged"),
        (spoiled(lambda one: one["measures"]["few.error"].update(interval=[1])), "is damaged"),
        (spoiled(lambda one: one["target_prior"].update(shares=[1.0])), "is damaged"),
        (spoiled(lambda one: one["measures"].pop("balanced_error")), "is damaged"),
        (spoiled(lambda one: one["measures"]["few.error"].update(value=1.5)), "is damaged"),
        (spoiled(lambda one: one["measures"]["few.error"].update(value=-0.1)), "is damaged"),
        (spoiled(lambda one: one["measures"]["log_loss"].update(value=-0.1)), "is damaged"),
        (spoiled(lambda one: one["classes"][0].update(error=2)), "is damaged"),
        (spoiled(lambda one: one["measures"]["few.error"].update(interval=[0.3, 0.2])), "is damaged"),
        (spoiled(lambda one: one["probabilities"].update(temperature=0)), "is damaged"),
        (spoiled(lambda one: one["probabilities"].update(class_shares=[1, 0, 0])), "is damaged"),
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
        ("few.error", {"groups": GroupRule(100, 31).by_counts(COUNTS)}, "'few' was '< 20' there and is '< 31' here, which are other classes (class 'emu' is in it here alone)"),
        ("calibration.top_label", {"scheme": "10 equal-width bins"}, "15 equal-width bins there and is in 10"),
        ("target_error", {"target": TargetPrior("t", np.array([0.7, 0.1, 0.1, 0.1]))}, "the target prior was another"),
        ("target_error", {"target": None}, "the target prior was another"),
        ("log_loss", {"probabilities": Probabilities(1.0, TARGET)},
         "what the probabilities are for was equal class shares there and is a target prior here"),
        ("calibration.top_label", {"probabilities": Probabilities(1.0, TARGET)}, "what the probabilities are for was"),
        ("few.calibration", {"probabilities": Probabilities(1.0, TARGET)}, "what the probabilities are for was"),
        ("balanced_log_loss", {"probabilities": Probabilities(2.0)},
         "the temperature of the probabilities was 1 there and is fitted here"),
        ("brier", {"probabilities": Probabilities(2.0)}, "the temperature of the probabilities was 1"),
    ],
)  # fmt: skip
def test_runs_of_another_kind(
    name: str, other: dict[str, Any], fragment: str, tmp_path: Path
) -> None:
    decisions = rows(0, 0.2)
    value = content(decisions)
    added = ("calibration.top_label", "target_error", "few.calibration", "balanced_log_loss", "brier")
    for extra in added:
        value["measures"][extra] = value["measures"]["few.error"]
    limits, baseline = limits_of(write(tmp_path, value), [f"{name}=0.1"], ())
    support = np.ones(other.pop("support", K), np.int64)
    run = candidate(decisions, **other)
    measures = dict(run.measures) | dict.fromkeys(added, run.measures["few.error"])
    run = replace(run, measures=measures, support=support, decisions=None)
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


def test_groups_are_compared_class_by_class(tmp_path: Path) -> None:
    """The words of a rule say little: `as in g.csv` is one file today and another tomorrow."""
    decisions = rows(0, 0.2)
    moved = GroupRule().by_counts(np.array([500, 100, 10, 30]))  # the same rule, other counts
    with pytest.raises(DataError, match=re.escape("(class 'emu' is in it here alone)")):
        judged(tmp_path, decisions, candidate(decisions, groups=moved), "few.error=0")
    listed = Groups(GROUPS.masks, dict.fromkeys(GROUPS.masks, "as in other.csv"), by_counts=False)
    (found,), _ = judged(tmp_path, decisions, candidate(decisions, groups=listed), "few.error=0")
    assert found.passed
    old = content(decisions)
    for one in old["classes"]:
        one.pop("group")
    for text in ("few.error=0", "balanced_error=0"):
        gates = Gates((), *limits_of(write(tmp_path, old), [text], ()))
        if text.startswith("few"):
            with pytest.raises(DataError, match="does not say which classes are in 'few'"):
                gates.judge(candidate(decisions))
        else:
            assert gates.judge(candidate(decisions))[0][0].passed


def test_a_unit_that_differs_is_refused(tmp_path: Path) -> None:
    value = content(rows(0, 0.2))
    value["measures"]["balanced_error"]["unit"] = "nats"
    gates = Gates((), *limits_of(write(tmp_path, value), ["balanced_error=0"], ()))
    with pytest.raises(DataError, match="'balanced_error' was 'lower is better, unit nats' there"):
        gates.judge(candidate(rows(0, 0.2)))


@pytest.mark.parametrize("name", ["log_loss", "balanced_error"])
def test_probabilities_of_the_same_kind_are_judged(tmp_path: Path, name: str) -> None:
    """Equal shares said aloud are equal shares, and each model has a fitted temperature of its own."""
    value = content(rows(0, 0.2))
    value["probabilities"] = {"temperature": 1.7, "class_shares": [0.25] * K}
    for probabilities in (Probabilities(1.4), None):
        run = candidate(rows(0, 0.2), probabilities=probabilities)
        gates = Gates((), *limits_of(write(tmp_path, value), [f"{name}=0"], ()))
        assert gates.judge(run)[0][0].passed


def test_other_rows_are_warned_of(tmp_path: Path) -> None:
    fewer = rows(0, 0.2)
    fewer = Decisions(fewer.place, fewer.ids, fewer.labels[:399], fewer.predictions[:399], NAMES, K)
    _, warnings = judged(tmp_path, rows(0, 0.2), candidate(fewer), "balanced_error=0.9")
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
