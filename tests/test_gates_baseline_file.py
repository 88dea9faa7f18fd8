"""The metrics file of an earlier run: what is no such file, and which runs it can be held against."""

import copy
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lacal.classes.groups import GroupRule, Groups
from lacal.classes.target import TargetPrior
from lacal.errors import DataError, UsageError
from lacal.gates.baseline_file import read_baseline
from lacal.gates.gates import Gates, limits_of
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
    rows,
    write,
)

TARGET = np.log([0.7, 0.1, 0.1, 0.1])


# The file


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
        (spoiled(lambda one: one["measures"]["few.error"].update(value=float("nan"))), "is not JSON (NaN is no number of JSON)"),
        ('{"command": "evaluate", "command": "train"}', "is not JSON (a key occurs twice)"),
        (spoiled(lambda one: one["measures"]["few.error"].update(value=10**400)), "is damaged"),
        (spoiled(lambda one: one["measures"]["few.error"].update(better="best")), "is damaged"),
        (spoiled(lambda one: one["measures"]["few.error"].update(interval=[1])), "is damaged"),
        (spoiled(lambda one: one["measures"]["few.error"].update(undefined=3)), "is damaged"),
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
    with pytest.raises(DataError, match="not a regular file"):
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
    added = (
        "calibration.top_label",
        "target_error",
        "few.calibration",
        "balanced_log_loss",
        "brier",
    )
    for extra in added:
        value["measures"][extra] = value["measures"]["few.error"]
    limits, baseline = limits_of(write(tmp_path, value), [f"{name}=0.1"], ())
    support = np.ones(other.pop("support", K), np.int64)
    run = candidate(decisions, **other)
    measures = dict(run.measures) | dict.fromkeys(added, run.measures["few.error"])
    run = replace(run, measures=measures, support=support, decisions=None)
    with pytest.raises(DataError, match=re.escape(fragment)):
        Gates((), limits, baseline).judge(run)


def test_a_measure_that_this_run_lacks_is_refused(tmp_path: Path) -> None:
    run = candidate(rows(0, 0.2))
    measures = {name: one for name, one in run.measures.items() if name != "log_loss"}
    with pytest.raises(UsageError, match="'log_loss' is no measure of this run"):
        judged(tmp_path, rows(0, 0.2), replace(run, measures=measures), "log_loss=0.1")


def test_another_target_prior_is_refused(tmp_path: Path) -> None:
    value = content(rows(0, 0.2))
    value["probabilities"] = {"temperature": 1.0, "class_shares": [0.4, 0.2, 0.2, 0.2]}
    gates = Gates((), *limits_of(write(tmp_path, value), ["log_loss=0"], ()))
    with pytest.raises(DataError, match="was another target prior there and is this one here"):
        gates.judge(candidate(rows(0, 0.2), probabilities=Probabilities(1.0, TARGET)))


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


def test_a_baseline_that_knows_no_probabilities_is_judged_all_the_same(tmp_path: Path) -> None:
    value = content(rows(0, 0.2))
    value.pop("probabilities")
    gates = Gates((), *limits_of(write(tmp_path, value), ["log_loss=0"], ()))
    assert gates.judge(candidate(rows(0, 0.2)))[0][0].passed


def test_other_rows_are_warned_of(tmp_path: Path) -> None:
    fewer = rows(0, 0.2)
    fewer = Decisions(fewer.place, fewer.ids, fewer.labels[:399], fewer.predictions[:399], NAMES, K)
    _, warnings = judged(tmp_path, rows(0, 0.2), candidate(fewer), "balanced_error=0.9")
    assert warnings == [
        f"the baseline {tmp_path / 'metrics.json'} was measured on other rows (400 there, 399 here; 1 of 4 classes "
        "differ), so a change may be the data's"
    ]
