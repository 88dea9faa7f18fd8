"""Rates by hand, absent classes left out, and merging as counting at once."""

import numpy as np
import pytest

from lacal.batch import NO_LABEL
from lacal.classes.prior import LabelPrior
from lacal.metrics import ClassTally, PairedTally


def tally_of(labels: list[int], predictions: list[int], classes: int = 4) -> ClassTally:
    tally = ClassTally.empty(classes)
    tally.update(np.array(labels), np.array(predictions))
    return tally


LABELS = [0, 0, 0, 0, 1, 1, 3]
PREDICTIONS = [0, 0, 0, 1, 0, 1, 3]


def test_rates_by_hand() -> None:
    tally = tally_of(LABELS, PREDICTIONS)
    balanced, micro = tally.balanced(), tally.micro()
    assert balanced.value == pytest.approx((1 / 4 + 1 / 2 + 0) / 3)
    assert (balanced.n, balanced.classes) == (7, 3)
    mean = 0.25
    variance = 1 / 4 * 3 / 4 / 3 + 1 / 2 * 1 / 2 / 1 + mean * (1 - mean)  # one row: borrowed
    assert balanced.standard_error == pytest.approx(np.sqrt(variance) / 3)
    assert micro.value == pytest.approx(2 / 7)
    assert micro.standard_error == pytest.approx(np.sqrt(2 / 7 * 5 / 7 / 6))
    assert tally.absent.tolist() == [2]
    np.testing.assert_array_equal(tally.class_errors(), [0.25, 0.5, np.nan, 0])


def test_nothing_is_none_and_never_zero() -> None:
    tally = tally_of(LABELS, PREDICTIONS)
    none = tally.of_class(2)
    assert (none.value, none.standard_error, none.n) == (None, None, 0)
    assert tally.of_class(3).value == 0
    assert tally.of_class(3).standard_error is None  # one row shows no spread
    empty = ClassTally.empty(3)
    assert empty.balanced().value is None
    assert empty.micro().value is None
    empty.update(None, np.array([1, 2]))
    assert empty.micro().n == 0
    one = tally_of([1], [1]).micro()
    assert (one.value, one.standard_error) == (0.0, None)


def test_groups_cover_every_class_once() -> None:
    groups = LabelPrior(np.array([101, 100, 20, 19])).groups()
    assert {name: mask.tolist() for name, mask in groups.masks.items()} == {
        "many": [True, False, False, False],
        "medium": [False, True, True, False],
        "few": [False, False, False, True],
    }
    rates = tally_of(LABELS, PREDICTIONS).by_group(groups)
    assert rates["many"].value == 0.25
    assert (rates["medium"].value, rates["medium"].classes) == (0.5, 1)  # class 2 has no row
    assert rates["few"].value == 0


def test_an_empty_group_is_none() -> None:
    groups = LabelPrior(np.array([500, 500, 500, 500])).groups()
    assert tally_of(LABELS, PREDICTIONS).by_group(groups)["few"].value is None


def test_parts_merge_and_unlabelled_rows_do_not_count() -> None:
    whole = tally_of(LABELS, PREDICTIONS)
    first, second = tally_of(LABELS[:3], PREDICTIONS[:3]), tally_of(LABELS[3:], PREDICTIONS[3:])
    first.merge(second)
    first.update(np.array([NO_LABEL, NO_LABEL]), np.array([0, 1]))
    assert first.support.tolist() == whole.support.tolist()
    assert first.errors.tolist() == whole.errors.tolist()


def paired_of(before: list[int], after: list[int]) -> PairedTally:
    tally = PairedTally.empty(4)
    tally.update(np.array(LABELS), np.array(before), np.array(after))
    return tally


def test_gain_by_hand() -> None:
    after = [0, 0, 1, 0, 1, 1, 3]  # class 0 mends one row and breaks one, class 1 mends one of two
    gain = paired_of(PREDICTIONS, after).gain()
    assert gain is not None
    assert gain.value == pytest.approx((0 + 1 / 2 + 0) / 3)
    variance = 2 / (4 * 3) + (1 - 1 / 2) / (2 * 1) + 0  # sum of squared deviations / (n (n - 1))
    assert gain.standard_error == pytest.approx(np.sqrt(variance) / 3)
    assert gain.low < gain.value - 1.96 * gain.standard_error  # few rows: tests/test_paired.py
    assert gain.high > gain.value + 1.96 * gain.standard_error


def test_gain_is_the_difference_of_balanced_errors() -> None:
    rng = np.random.default_rng(0)
    labels, before, after = rng.integers(0, 6, (3, 200))
    paired, old, new = PairedTally.empty(6), ClassTally.empty(6), ClassTally.empty(6)
    for part in np.array_split(np.arange(200), 3):
        one = PairedTally.empty(6)
        one.update(labels[part], before[part], after[part])
        paired.merge(one)
        old.update(labels[part], before[part])
        new.update(labels[part], after[part])
    gain, was, now = paired.gain(), old.balanced().value, new.balanced().value
    assert gain is not None
    assert was is not None
    assert now is not None
    assert gain.value == pytest.approx(was - now)


def test_no_labelled_rows_give_no_gain() -> None:
    tally = PairedTally.empty(3)
    tally.update(None, np.array([0]), np.array([1]))
    tally.update(np.array([NO_LABEL]), np.array([0]), np.array([1]))
    assert tally.gain() is None
