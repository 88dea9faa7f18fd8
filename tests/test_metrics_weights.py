"""Weighted rows: ones change nothing, a common factor changes nothing, and the standard error by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score, f1_score, recall_score

from lacal.batch import NO_LABEL
from lacal.classes.prior import LabelPrior
from lacal.metrics import ClassTally, Gain, PairedTally, Rate

GENERATOR = np.random.default_rng(0)
LABELS = GENERATOR.integers(0, 5, 200)
PREDICTIONS = np.where(GENERATOR.random(200) < 0.6, LABELS, GENERATOR.integers(0, 5, 200))
OTHERS = np.where(GENERATOR.random(200) < 0.7, LABELS, GENERATOR.integers(0, 5, 200))
WEIGHTS = GENERATOR.gamma(2.0, size=200)
CLASSES = 6  # the last is absent


def tally_of(weights: NDArray[np.float64] | None) -> ClassTally:
    tally = ClassTally.empty(CLASSES)
    tally.update(LABELS, PREDICTIONS, weights)
    return tally


def paired_of(weights: NDArray[np.float64] | None) -> PairedTally:
    paired = PairedTally.empty(CLASSES)
    paired.update(LABELS, PREDICTIONS, OTHERS, weights)
    return paired


def rates(tally: ClassTally) -> list[Rate]:
    groups = LabelPrior(np.array([500, 300, 50, 20, 5, 1])).groups()
    worst = tally.worst_class()
    assert worst is not None
    prior = np.array([0.5, 0.2, 0.1, 0.1, 0.05, 0.05])
    return [tally.balanced(), tally.micro(), tally.of_class(2), tally.of_class(5), tally.under(prior),
            tally.macro_f1(), worst[1], tally.worst_recall(0.4),
            *tally.by_group(groups).values()]  # fmt: skip


def gains(paired: PairedTally) -> list[Gain | None]:
    return [paired.gain(), paired.micro_gain(), paired.of_class(1), paired.of_class(5)]


def same(first: object, second: object) -> None:
    if first is None:
        assert second is None
        return
    for name in type(first).__slots__:  # type: ignore[attr-defined]
        one, other = getattr(first, name), getattr(second, name)
        assert one == (None if other is None else pytest.approx(other, abs=1e-9)), name


def test_ones_are_no_weights() -> None:
    ones = np.ones(200)
    for with_ones, without in zip(rates(tally_of(ones)), rates(tally_of(None)), strict=True):
        same(with_ones, without)
    for weighted, plain in zip(gains(paired_of(ones)), gains(paired_of(None)), strict=True):
        same(weighted, plain)


@pytest.mark.parametrize("factor", [1e-6, 7.0, 1e6])
def test_a_common_factor_changes_nothing(factor: float) -> None:
    for scaled, plain in zip(
        rates(tally_of(factor * WEIGHTS)), rates(tally_of(WEIGHTS)), strict=True
    ):
        same(scaled, plain)
    for after, before in zip(
        gains(paired_of(factor * WEIGHTS)), gains(paired_of(WEIGHTS)), strict=True
    ):
        same(after, before)


def test_values_are_scikit_learns() -> None:
    tally = tally_of(WEIGHTS)
    theirs = balanced_accuracy_score(LABELS, PREDICTIONS, sample_weight=WEIGHTS)
    assert tally.balanced().value == pytest.approx(1 - theirs)
    recalls = recall_score(LABELS, PREDICTIONS, average=None, sample_weight=WEIGHTS)
    np.testing.assert_allclose(tally.recalls()[:5], recalls)
    f1 = f1_score(LABELS, PREDICTIONS, average="macro", labels=range(5), sample_weight=WEIGHTS)
    assert tally.macro_f1().value == pytest.approx(f1)
    wrong = PREDICTIONS != LABELS
    assert tally.micro().value == pytest.approx(np.average(wrong, weights=WEIGHTS))
    gain = paired_of(WEIGHTS).gain()
    assert gain is not None
    after = balanced_accuracy_score(LABELS, OTHERS, sample_weight=WEIGHTS)
    assert gain.value == pytest.approx(after - theirs)


def test_the_standard_error_is_linearised() -> None:
    own = LABELS == 2
    w, wrong = WEIGHTS[own], (PREDICTIONS != LABELS)[own]
    p = np.average(wrong, weights=w)
    variance = (w**2 * (wrong - p) ** 2).sum() / w.sum() ** 2 / (1 - (w**2).sum() / w.sum() ** 2)
    found = tally_of(WEIGHTS).of_class(2)
    assert found.value == pytest.approx(p)
    assert found.standard_error == pytest.approx(np.sqrt(variance))
    assert found.n == own.sum()
    change = (OTHERS == LABELS)[own].astype(float) - ~wrong
    mean = np.average(change, weights=w)
    variance = (
        (w**2 * (change - mean) ** 2).sum() / w.sum() ** 2 / (1 - (w**2).sum() / w.sum() ** 2)
    )
    gain = paired_of(WEIGHTS).of_class(2)
    assert gain is not None
    assert gain.standard_error == pytest.approx(np.sqrt(variance))


def test_one_heavy_row_leaves_little_certainty() -> None:
    weights = np.where(np.arange(200) == 0, 1e6, 1.0)
    found = tally_of(weights).micro()
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.low > 0.6  # as one row's


def test_rows_of_weight_0_do_not_count() -> None:
    weights = np.where(LABELS == 3, 0.0, WEIGHTS)
    tally = tally_of(weights)
    assert tally.absent.tolist() == [3, 5]
    assert tally.of_class(3).value is None
    kept = LABELS != 3
    alone = ClassTally.empty(CLASSES)
    alone.update(LABELS[kept], PREDICTIONS[kept], WEIGHTS[kept])
    for one, other in zip(rates(tally), rates(alone), strict=True):
        same(one, other)
    assert not paired_of(weights).support[3]


@given(arrays(np.float64, 200, elements=st.floats(0, 4)), st.integers(0, 200))
def test_parts_merge_weighted_or_not(weights: NDArray[np.float64], cut: int) -> None:
    """A part without weights weighs 1 a row, whichever comes first."""
    weights[cut:] = 1.0
    whole, paired = tally_of(weights), paired_of(weights)
    head, tail = ClassTally.empty(CLASSES), ClassTally.empty(CLASSES)
    head.update(LABELS[:cut], PREDICTIONS[:cut], weights[:cut])
    tail.update(LABELS[cut:], PREDICTIONS[cut:])
    first, second = PairedTally.empty(CLASSES), PairedTally.empty(CLASSES)
    first.update(LABELS[:cut], PREDICTIONS[:cut], OTHERS[:cut], weights[:cut])
    second.update(LABELS[cut:], PREDICTIONS[cut:], OTHERS[cut:])
    for one, other in ((head, tail), (tail, head)):
        both = ClassTally.empty(CLASSES)
        both.merge(one)
        both.merge(other)
        same(both.balanced(), whole.balanced())
        same(both.macro_f1(), whole.macro_f1())
    second.merge(first)
    same(second.gain(), paired.gain())


def test_unlabelled_rows_keep_their_weights_out() -> None:
    tally = ClassTally.empty(CLASSES)
    labels = np.where(np.arange(200) % 3 == 0, NO_LABEL, LABELS)
    tally.update(labels, PREDICTIONS, WEIGHTS)
    known = labels != NO_LABEL
    wrong = (labels != PREDICTIONS)[known]
    assert tally.micro().value == pytest.approx(np.average(wrong, weights=WEIGHTS[known]))


def test_error_under_a_prior_by_hand() -> None:
    tally, errors = tally_of(None), tally_of(None).class_errors()
    prior = np.array([0.4, 0.1, 0.1, 0.1, 0.1, 0.2])  # a fifth on the absent class
    assert tally.under(prior).value == pytest.approx(prior[:5] @ errors[:5] / 0.8)
    assert tally.under(np.full(6, 1 / 6)).value == tally.balanced().value
    assert tally.under(np.array([0, 0, 0, 0, 0, 1.0])).value is None
    shares = tally.support / tally.support.sum()
    assert tally.under(shares).value == pytest.approx(tally.micro().value)
    alone = tally.under(np.array([0, 0, 1.0, 0, 0, 0]))
    same(alone, Rate(*[getattr(tally.of_class(2), name) for name in Rate.__slots__]))
