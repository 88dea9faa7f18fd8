"""Intervals of errors, recalls and F1: oracles where there are any, and coverage by simulation."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.metrics import f1_score

from lacal.metrics import ClassTally, Rate
from lacal.metrics.intervals import of_mean, wilson


def tally_of(support: NDArray[np.int64], errors: NDArray[np.int64]) -> ClassTally:
    tally = ClassTally.empty(support.size)
    tally.support[:], tally.errors[:] = support, errors
    return tally


@given(st.integers(0, 40), st.integers(1, 40))
def test_one_share_has_wilsons_interval(ones: int, rows: int) -> None:
    ones = min(ones, rows)
    theirs = binomtest(ones, rows).proportion_ci(method="wilson")
    assert wilson(ones / rows, rows) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    tally = tally_of(np.array([rows, 0]), np.array([ones, 0]))
    for one in (
        tally.of_class(0),
        tally.micro(),
        tally.balanced(),
        tally.under(np.array([1.0, 0])),
    ):
        assert (one.low, one.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_no_error_is_no_certainty() -> None:
    perfect = tally_of(np.full(4, 5), np.zeros(4, np.int64))
    for one in (perfect.balanced(), perfect.micro(), perfect.macro_f1()):
        assert one.value in (0.0, None)
    none_wrong = perfect.balanced()
    assert none_wrong.low == 0.0
    assert none_wrong.high == pytest.approx(wilson(0.0, 20)[1])  # 0 of 20 rows, not [0, 0]
    hopeless = tally_of(np.full(4, 5), np.full(4, 5)).balanced()
    assert (hopeless.value, hopeless.high) == (1.0, 1.0)
    assert hopeless.low == pytest.approx(1 - wilson(0.0, 20)[1])


@given(
    st.lists(
        st.tuples(st.integers(1, 9), st.floats(0, 1), st.floats(0.01, 1)), min_size=1, max_size=8
    )
)
def test_the_interval_holds_the_mean_and_mirrors(classes: list[tuple[int, float, float]]) -> None:
    rows = np.array([n for n, _, _ in classes], np.float64)
    shares = np.array([round(p * n) / n for n, p, _ in classes])
    prior = np.array([q for _, _, q in classes])
    prior /= prior.sum()
    low, high = of_mean(shares, rows, shares * rows, prior)
    mean = float(prior @ shares)
    assert 0 <= low <= mean + 1e-9
    assert mean - 1e-9 <= high <= 1
    assert low < high
    mirrored = of_mean(1 - shares, rows, (1 - shares) * rows, prior)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-6)


def test_shares_that_round_to_all_right_are_all_right() -> None:
    tenths = np.full(10, 0.1)  # their sum is below 1
    assert of_mean(np.ones(10), np.ones(10), np.ones(10), tenths)[1] == 1.0


def covered(truth: float, found: list[Rate]) -> float:
    hits = []
    for one in found:
        assert one.low is not None
        assert one.high is not None
        hits.append(one.low <= truth <= one.high)
    return float(np.mean(hits))


def problems() -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Rows and error of each class, 2 to 300 classes; no fewer than 20 rows in all."""
    tail = np.round(100 * 0.02 ** (np.arange(30) / 29)).astype(np.int64)  # 100 falling to 2
    rising = 0.02 + 0.75 * np.arange(30) / 29
    yield np.full(2, 30), np.array([0.05, 0.3])
    yield np.full(10, 3), np.full(10, 0.1)
    yield np.full(10, 10), np.where(np.arange(10) == 9, 0.9, 0.02)
    yield np.full(100, 3), np.full(100, 0.02)
    yield np.full(300, 3), np.full(300, 0.2)
    yield tail, rising
    yield tail, np.full(30, 0.05)


@pytest.mark.parametrize("number", range(7))
def test_balanced_error_is_covered(number: int) -> None:
    rows, errors = list(problems())[number]
    generator = np.random.default_rng(number)
    prior = generator.dirichlet(np.full(rows.size, 2.0))
    balanced, under = [], []
    for _ in range(400):
        tally = tally_of(rows, generator.binomial(rows, errors))
        balanced.append(tally.balanced())
        under.append(tally.under(prior))
    # 400 draws of 95 % have a standard deviation of 1.1 points; discreteness lifts few rows above.
    assert covered(float(errors.mean()), balanced) > 0.915
    assert covered(float(prior @ errors), under) > 0.905


def test_few_rows_do_not_make_the_interval_needlessly_wide() -> None:
    rows, generator = np.full(300, 3), np.random.default_rng(0)
    widths, values = [], []
    for _ in range(200):
        one = tally_of(rows, generator.binomial(rows, 0.2)).balanced()
        assert one.value is not None
        assert one.low is not None
        assert one.high is not None
        widths.append(one.high - one.low)
        values.append(one.value)
    assert np.mean(widths) == pytest.approx(2 * 1.96 * np.std(values), rel=0.12)


def test_worst_recall_by_hand() -> None:
    tally = tally_of(np.array([10, 0, 4, 4, 5]), np.array([1, 0, 3, 2, 0]))
    worst = tally.worst_class()
    assert worst is not None
    index, recall = worst
    assert (index, recall.value, recall.n, recall.classes) == (2, 0.25, 4, 1)
    half = tally.worst_recall(0.5)  # 2 of the 4 present classes
    assert half.value == pytest.approx((0.25 + 0.5) / 2)
    assert (half.n, half.classes) == (8, 2)
    assert tally.worst_recall(0.1).value == 0.25
    assert tally.worst_recall(1.0).value == pytest.approx(float(np.nanmean(tally.recalls())))
    assert np.isnan(tally.recalls()[1])
    empty = ClassTally.empty(3)
    assert empty.worst_class() is None
    assert empty.worst_recall().value is None


def test_the_first_of_equally_bad_classes_is_named() -> None:
    found = tally_of(np.array([4, 4, 4]), np.array([0, 2, 2])).worst_class()
    assert found is not None
    assert found[0] == 1


@pytest.mark.parametrize("rows", [3, 10, 30])
@pytest.mark.parametrize("kind", ["alike", "spread", "one bad"])
def test_the_worst_true_recall_is_covered(rows: int, kind: str) -> None:
    """All classes alike is the hard case: the plain interval of the pick misses in 30 to 95 % of the draws."""
    k, draws = 30, 60
    generator = np.random.default_rng(rows)
    recalls = {
        "alike": np.full(k, 0.8),
        "spread": generator.beta(4, 2, k),
        "one bad": np.where(np.arange(k) == 7, 0.1, 0.95),
    }[kind]
    support = np.full(k, rows)
    one, tenth = [], []
    for _ in range(draws):
        tally = tally_of(support, generator.binomial(support, 1 - recalls))
        worst = tally.worst_class()
        assert worst is not None
        one.append(worst[1])
        tenth.append(tally.worst_recall())
    # 60 draws of 93 %, which is what Wilson gives 10 rows, have a standard deviation of 3 points.
    assert covered(float(recalls.min()), one) > 0.84
    assert covered(float(np.sort(recalls)[:3].mean()), tenth) > 0.84


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=60),
    st.integers(0, 63),
)
def test_macro_f1_is_scikit_learns(pairs: list[tuple[int, int]], bits: int) -> None:
    labels, predictions = np.array(pairs).T
    tally = ClassTally.empty(6)
    tally.update(labels, predictions)
    mask = np.array([bool(bits >> j & 1) for j in range(6)])
    for chosen in (None, mask):
        present = (
            np.unique(labels) if chosen is None else np.intersect1d(labels, np.flatnonzero(mask))
        )
        found = tally.macro_f1(chosen)
        if not present.size:
            assert found.value is None
            continue
        theirs = f1_score(labels, predictions, labels=present, average="macro", zero_division=0)
        assert found.value is not None
        assert found.value == pytest.approx(theirs, abs=1e-12)
        assert found.classes == present.size
        assert found.low is not None
        assert found.high is not None
        assert 0 <= found.low <= found.value <= found.high <= 1


def test_a_tally_without_predictions_has_no_f1() -> None:
    tally = ClassTally.empty(3)
    tally.update(np.array([0, 1]), np.array([0, -2]))  # wrong, but not how
    assert tally.errors.tolist() == [0, 1, 0]
    assert tally.macro_f1().value is None


@pytest.mark.parametrize(("k", "rows"), [(5, 10), (40, 3), (40, 0)])
def test_macro_f1_is_covered(k: int, rows: int) -> None:
    generator = np.random.default_rng(k + rows)
    support = (
        np.full(k, rows) if rows else np.round(100 * 0.02 ** (np.arange(k) / (k - 1))).astype(int)
    )
    confusion = np.exp(-10 * np.arange(k) / k)[None].repeat(k, 0)  # wrong rows go to the head
    np.fill_diagonal(confusion, 0)
    recalls = 0.95 - 0.6 * np.arange(k) / k
    confusion *= ((1 - recalls) / confusion.sum(axis=1))[:, None]
    np.fill_diagonal(confusion, recalls)
    truth = float((2 * support * recalls / (support + support @ confusion)).mean())
    found = []
    for _ in range(200):
        counts = generator.multinomial(support, confusion)
        tally = tally_of(support, support - counts.diagonal())
        tally.predicted[:] = counts.sum(axis=0)
        found.append(tally.macro_f1())
    assert covered(truth, found) > 0.90
