"""Log priors by hand, the three rules for a zero count, and the group boundaries."""

import numpy as np
import pytest

from lacal.classes.groups import GroupRule
from lacal.classes.prior import LabelPrior, ZeroCount
from lacal.errors import DataError, UsageError

COUNTS = np.array([6, 0, 2])


def test_log_prior_by_hand() -> None:
    np.testing.assert_allclose(LabelPrior(np.array([6, 2])).log_prior, np.log([0.75, 0.25]))
    assert LabelPrior(np.array([6, 2])).imbalance_ratio == 3


def test_masking_keeps_the_others() -> None:
    prior = LabelPrior(COUNTS, zero_count=ZeroCount.parse("mask"))
    np.testing.assert_allclose(prior.log_prior, [np.log(0.75), -np.inf, np.log(0.25)])
    assert prior.trained.tolist() == [True, False, True]
    assert prior.imbalance_ratio == 3


def test_smoothing_adds_to_every_count() -> None:
    prior = LabelPrior(COUNTS, zero_count=ZeroCount.parse("smooth:0.5"))
    np.testing.assert_allclose(np.exp(prior.log_prior), np.array([6.5, 0.5, 2.5]) / 9.5)
    assert prior.trained.all()
    assert str(prior.zero_count) == "smooth:0.5"


@pytest.mark.parametrize("rule", ["error", "mask", "smooth:1", "smooth:0.25"])
def test_a_rule_reads_back_as_it_was_written(rule: str) -> None:
    assert str(ZeroCount.parse(rule)) == rule


def test_a_long_amount_reads_back_exactly() -> None:
    rule = ZeroCount.parse("smooth:0.123456789")
    assert ZeroCount.parse(str(rule)) == rule


@pytest.mark.parametrize("rule", ["", "smooth", "smooth:1:2", "smooth:", "smooth:0", "smooth:-1", "smooth:nan",
                                  "smooth:inf", "smooth:1.1e12", "smooth:1e308", "drop", "mask:1", "error:2"])  # fmt: skip
def test_nonsense_rules_are_refused(rule: str) -> None:
    with pytest.raises(UsageError) as refused:
        ZeroCount.parse(rule)
    assert str(refused.value) == (
        f"--zero-count: got {rule!r}, expected error, mask or smooth:K with 0 < K <= 1e+12 (such as smooth:1)"
    )


def test_a_rule_says_what_it_adds() -> None:
    assert ZeroCount.parse("smooth:0.5") == ZeroCount("smooth", 0.5)
    assert ZeroCount.parse("mask") == ZeroCount("mask", 0.0)
    assert ZeroCount.parse("error") == ZeroCount()


def test_zeros_are_named() -> None:
    with pytest.raises(DataError, match=r"1 of 3 classes have no training example \(b\)"):
        LabelPrior(COUNTS, ("a", "b", "c"))
    with pytest.raises(DataError, match=r"9 of 10 .*\(1, 2, 3, 4, 5, \.\.\.\)"):
        LabelPrior(np.array([1] + [0] * 9))
    with pytest.raises(DataError) as refused:
        LabelPrior(COUNTS)
    assert str(refused.value) == (
        "1 of 3 classes have no training example (1) and log 0 is undefined; choose --zero-count mask "
        "(never predict them) or --zero-count smooth:1 (add 1 to every count)"
    )


def test_one_class_is_no_problem_to_balance() -> None:
    with pytest.raises(DataError, match=r"^counts of 1 class; expected at least 2 classes$"):
        LabelPrior(np.array([5]))
    few = r"^fewer than 2 classes have a training example; expected at least 2$"
    with pytest.raises(DataError, match=few):
        LabelPrior(np.array([5, 0]), zero_count=ZeroCount("mask"))


def test_two_classes_are_enough() -> None:
    assert LabelPrior(np.array([5, 1])).trained.all()
    masked = LabelPrior(np.array([5, 0, 1]), zero_count=ZeroCount("mask"))
    assert masked.trained.tolist() == [True, False, True]


def test_groups_of_a_file_are_by_name_or_by_number() -> None:
    names = GroupRule(listed={"b": "wild", "a": "tame"}, place="groups.csv")
    groups = LabelPrior(np.array([5, 1]), ("a", "b")).groups(names)
    assert {name: mask.tolist() for name, mask in groups.masks.items()} == {
        "wild": [False, True],
        "tame": [True, False],
    }
    numbers = GroupRule(listed={"0": "tame", "1": "wild"}, place="groups.csv")
    assert LabelPrior(np.array([5, 1])).groups(numbers).masks["wild"].tolist() == [False, True]


def test_group_boundaries_can_be_moved_and_not_crossed() -> None:
    groups = LabelPrior(np.array([11, 10, 5, 4])).groups(GroupRule(10, 5))
    assert groups.masks["medium"].tolist() == [False, True, True, False]
    assert groups.rule == {"many": "> 10", "medium": "5..10", "few": "< 5"}
    with pytest.raises(UsageError, match="overlap"):
        GroupRule(many_above=1, few_below=2)
