"""Calibration errors against brute force, debiased ones against the truth of a simulation, groups and weights."""

import math
import tracemalloc
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binomtest

from lacal.batch import NO_LABEL
from lacal.metrics import CalibrationError, ClassWiseBins, TopLabelBins

Floats = NDArray[np.float64]
K = 7


def problem(rows: int, seed: int = 0) -> tuple[Floats, NDArray[np.int64], Floats]:
    """Over-confident probabilities, labels (class 6 absent) and weights."""
    generator = np.random.default_rng(seed)
    logits = 2 * generator.normal(size=(rows, K))
    soft = np.exp(logits / 2)
    soft[:, 6] = 0
    soft /= soft.sum(axis=1, keepdims=True)
    labels = (generator.random((rows, 1)) > soft.cumsum(axis=1)).sum(axis=1)
    probabilities = np.exp(logits)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return probabilities, np.minimum(labels, 5), generator.gamma(1.5, size=rows)


@dataclass
class Bin:
    """What a loop finds in one bin."""

    share: float
    gap: float
    row: float | None  # variance of a row; None where there is one row alone
    rows: float  # effective


def bins_of(score: Floats, hit: Floats, weights: Floats, bins: int) -> dict[int, Bin]:
    """A loop over bins, straight from the definitions."""
    found = {}
    for b in range(bins):
        inside = (score > b / bins) & (score <= (b + 1) / bins)
        if b == 0:
            inside |= score == 0
        if not inside.any():
            continue
        w, z = weights[inside], (hit - score)[inside]
        gap, rows, row = np.average(z, weights=w), w.sum() ** 2 / (w**2).sum(), None
        if len(w) > 1:
            row = rows * (w**2 * (z - gap) ** 2).sum() / w.sum() ** 2 / (1 - 1 / rows)
        found[b] = Bin(w.sum() / weights.sum(), gap, row, rows)
    return found


def brute(*sets: dict[int, Bin]) -> tuple[float, float, float]:
    """ECE, mean squared gap, and the same debiased, averaged over sets of bins."""
    ece = squared = debiased = 0.0
    for found in sets:
        for b, one in found.items():
            alike = [other[b].row for other in sets if b in other]
            known = [row for row in alike if row is not None]
            row = one.row
            if row is None:  # a bin of one row
                row = sum(known) / len(known) if known else one.gap**2
            ece += one.share * abs(one.gap) / len(sets)
            squared += one.share * one.gap**2 / len(sets)
            debiased += one.share * (one.gap**2 - row / one.rows) / len(sets)
    return ece, squared, debiased


def assert_brute(found: CalibrationError, expected: tuple[float, float, float]) -> None:
    assert (found.value, found.squared, found.squared_debiased) == pytest.approx(
        expected, abs=1e-12
    )
    assert found.rms == pytest.approx(math.sqrt(expected[1]))
    assert found.rms_debiased == pytest.approx(math.sqrt(max(expected[2], 0)), abs=1e-9)


def top_of(
    probabilities: Floats, labels: NDArray[np.int64], weights: Floats | None, bins: int
) -> TopLabelBins:
    """In three parts, merged."""
    whole = TopLabelBins.empty(K, bins)
    for part in np.array_split(np.arange(labels.size), 3):
        one = TopLabelBins.empty(K, bins)
        best = probabilities[part].argmax(axis=1)
        told = None if weights is None else weights[part]
        one.update(probabilities[part].max(axis=1), best == labels[part], labels[part], told)
        whole.merge(one)
    return whole


@pytest.mark.parametrize("bins", [1, 5, 15, 64])
@pytest.mark.parametrize("weighted", [False, True])
def test_top_label_is_brute_force(bins: int, weighted: bool) -> None:
    probabilities, labels, gamma = problem(400)
    weights = gamma if weighted else np.ones(400)
    top = top_of(probabilities, labels, gamma if weighted else None, bins)
    score = probabilities.max(axis=1)
    hit = (probabilities.argmax(axis=1) == labels).astype(float)
    found = top.error()
    assert_brute(found, brute(bins_of(score, hit, weights, bins)))
    assert (found.n, found.bins, found.scheme) == (400, bins, f"{bins} equal-width bins")
    # A group holds the rows whose label is of the group.
    mask = np.array([1, 0, 1, 0, 0, 0, 1], np.bool_)
    own = mask[labels]
    assert_brute(top.error(mask), brute(bins_of(score[own], hit[own], weights[own], bins)))
    assert top.error(mask).n == own.sum()
    # Class weights are those of rows that make the class's share so.
    shares = np.array([0.3, 0.1, 0.2, 0.2, 0.1, 0.05, 0.05])
    row = weights * (shares / np.maximum(np.bincount(labels, weights, K), 1e-300))[labels]
    assert_brute(top.error(class_weights=shares), brute(bins_of(score, hit, row, bins)))
    assert_brute(top.error(mask, shares), brute(bins_of(score[own], hit[own], row[own], bins)))


@pytest.mark.parametrize("bins", [1, 2, 15])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_class_wise_is_brute_force(bins: int, weighted: bool, dtype: type) -> None:
    probabilities, labels, gamma = problem(300, seed=1)
    probabilities[5] = np.eye(K)[2]  # exact zeros and a one
    stored: NDArray[Any] = probabilities.astype(dtype)
    whole = ClassWiseBins.empty(K, bins)
    for part in np.array_split(np.arange(300), 3):
        one = ClassWiseBins.empty(K, bins)
        one.update(stored[part], labels[part], gamma[part] if weighted else None)
        whole.merge(one)
    weights = gamma if weighted else np.ones(300)
    each = [
        bins_of(stored[:, j].astype(float), (labels == j).astype(float), weights, bins)
        for j in range(6)
    ]
    assert_brute(whole.error(), brute(*each))  # class 6 has no rows and is left out
    mask = np.array([0, 1, 1, 0, 0, 0, 1], np.bool_)
    assert_brute(whole.error(mask), brute(*each[1:3]))
    assert whole.error().n == 300
    assert (whole.rows.sum(axis=1) == 300).all()
    assert whole.rows.min() >= 0


@pytest.mark.parametrize("big", [1e3, 1e9, 1e12])
def test_class_wise_is_brute_force_where_a_row_outweighs_all(big: float) -> None:
    """Sums that are got by subtraction would leave rounding alone in the first bin."""
    probabilities, labels, _ = problem(300, seed=2)
    weights = np.where(np.arange(300) == 5, big, 1.0)
    whole = ClassWiseBins.empty(K, 15)
    whole.update(probabilities, labels, weights)
    found = whole.error()
    each = [
        bins_of(probabilities[:, j], (labels == j).astype(float), weights, 15)
        for j in np.unique(labels)
    ]
    expected = brute(*each)
    assert (found.value, found.squared) == pytest.approx(expected[:2], rel=1e-9)
    every = (found.squared_debiased, found.low, found.high, found.rms_low, found.rms_high)
    assert all(one is not None and math.isfinite(one) for one in every)


def test_many_rows_at_once_cross_the_tiles() -> None:
    """3,000 rows of 100 classes are several tiles."""
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.full(100, 0.02), 3000)
    labels = generator.integers(0, 100, 3000)
    whole = ClassWiseBins.empty(100)
    whole.update(probabilities, labels)
    each = [
        bins_of(probabilities[:, j], (labels == j).astype(float), np.ones(3000), 15)
        for j in range(100)
    ]
    assert_brute(whole.error(), brute(*each))


@pytest.mark.parametrize("rows", [300, 2000])
def test_the_debiased_class_wise_error_is_unbiased(rows: int) -> None:
    """30 classes: most bins above the first hold a row or two."""
    generator, k = np.random.default_rng(rows), 30

    def draw(n: int) -> tuple[Floats, Floats]:
        logits = 1.5 * generator.normal(size=(n, k))
        true, shown = np.exp(logits), np.exp(logits / 0.6)
        return true / true.sum(axis=1, keepdims=True), shown / shown.sum(axis=1, keepdims=True)

    true, shown = draw(40_000)
    cell = np.maximum(np.ceil(shown * 15).astype(np.int64) - 1, 0)  # alike for every class
    count = np.bincount(cell.ravel(), minlength=15)
    gaps = np.bincount(cell.ravel(), (true - shown).ravel(), 15) / np.maximum(count, 1)
    truth = float(count @ gaps**2) / count.sum()
    found, plain = [], []
    for _ in range(60):
        true, shown = draw(rows)
        labels = (generator.random((rows, 1)) > true.cumsum(axis=1)).sum(axis=1)
        wise = ClassWiseBins.empty(k)
        wise.update(shown, np.minimum(labels, k - 1))
        one = wise.error()
        assert one.squared_debiased is not None
        assert one.squared is not None
        found.append(one.squared_debiased)
        plain.append(one.squared)
    assert np.mean(found) == pytest.approx(truth, abs=4 * np.std(found) / 60**0.5)
    assert np.mean(plain) > 1.3 * truth


@given(st.lists(st.integers(0, 15), min_size=1, max_size=40), st.integers(0, 99))
def test_an_edge_belongs_to_the_bin_below(steps: list[int], seed: int) -> None:
    score = np.linspace(0, 1, 16)[steps]
    hit = np.random.default_rng(seed).random(score.size) < 0.5
    top = TopLabelBins.empty(2)
    top.update(score, hit, np.zeros(score.size, np.int64))
    expected = np.bincount(np.maximum(np.array(steps) - 1, 0), minlength=15)
    assert top.rows[0].tolist() == expected.tolist()


def test_nothing_is_none() -> None:
    top, wise = TopLabelBins.empty(3), ClassWiseBins.empty(3)
    top.update(np.array([0.5]), np.array([True]), np.array([NO_LABEL]))
    wise.update(np.full((1, 3), 1 / 3), np.array([NO_LABEL]))
    for found in (top.error(), wise.error()):
        assert {getattr(found, one.name) for one in fields(found)[:9]} == {None}
        assert (found.n, found.used_bins) == (0, 0)
    top.update(np.array([0.5]), np.array([True]), np.array([0]))
    assert top.error(np.array([False, True, True])).value is None
    assert np.isnan(top.diagram().accuracy).sum() == 14
    one_row = top.error()
    assert (one_row.value, one_row.squared, one_row.squared_debiased) == (0.5, 0.25, 0.0)


def test_the_diagram_by_hand() -> None:
    top = TopLabelBins.empty(2, bins=2)
    confidence = np.array([0.2, 0.4, 0.6, 0.8, 1.0])
    correct = np.array([True, False, True, True, False])
    top.update(confidence, correct, np.array([0, 0, 0, 1, 1]))
    found = top.diagram()
    np.testing.assert_allclose(found.confidence, [0.3, 0.8])
    np.testing.assert_allclose(found.accuracy, [0.5, 2 / 3])
    assert found.n.tolist() == [2, 3]
    wilson = binomtest(2, 3).proportion_ci(method="wilson")
    assert (found.low[1], found.high[1]) == (pytest.approx(wilson.low), pytest.approx(wilson.high))
    halves = top.diagram(class_weights=np.array([0.5, 0.5]))  # rows weigh 1/6 and 1/4
    np.testing.assert_allclose(halves.accuracy[1], (1 / 6 + 1 / 4) / (1 / 6 + 1 / 2))
    only = top.diagram(np.array([False, True]))
    assert only.n.tolist() == [0, 2]
    assert np.isnan(only.confidence[0])
    assert only.edges.tolist() == [0, 0.5, 1]


class World:
    """Confidences whose accuracy is known: the gap of each of the population's bins."""

    def __init__(self, gap: float) -> None:
        self.generator = np.random.default_rng(0)
        self.gap = gap
        sample = self.generator.beta(6, 2, 200_000)
        cell = np.ceil(sample * 15).astype(np.int64) - 1
        rows = np.maximum(np.bincount(cell, minlength=15), 1)
        gaps: Floats = np.bincount(cell, self.accuracy(sample) - sample, 15) / rows
        share = rows / sample.size
        self.plain, self.squared = float(share @ abs(gaps)), float(share @ gaps**2)

    def accuracy(self, confidence: Floats) -> Floats:
        return confidence - self.gap * np.sin(3 * confidence)

    def draw(self, rows: int) -> CalibrationError:
        confidence = self.generator.beta(6, 2, rows)
        right = self.generator.random(rows) < self.accuracy(confidence)
        top = TopLabelBins.empty(2)
        top.update(confidence, right, np.zeros(rows, np.int64))
        return top.error()


@pytest.mark.parametrize("gap", [0.0, 0.05, 0.2])
def test_the_debiased_error_is_unbiased_and_the_plain_one_is_not(gap: float) -> None:
    world = World(gap)
    found = [world.draw(200) for _ in range(600)]
    debiased = np.array([one.squared_debiased for one in found], np.float64)
    spread = debiased.std() / math.sqrt(600)
    assert debiased.mean() == pytest.approx(world.squared, abs=4 * spread)
    plain = np.array([one.squared for one in found], np.float64)
    assert plain.mean() > world.squared + 10 * spread


@pytest.mark.parametrize("gap", [0.0, 0.05, 0.2])
@pytest.mark.parametrize("rows", [200, 1500])
def test_calibration_intervals_hold_the_population(gap: float, rows: int) -> None:
    world, plain, rms = World(gap), [], []
    for _ in range(150):
        one = world.draw(rows)
        assert one.low is not None
        assert one.high is not None
        assert one.rms_low is not None
        assert one.rms_high is not None
        assert one.value is not None
        assert one.low <= one.value <= one.high
        plain.append(one.low <= world.plain <= one.high)
        rms.append(one.rms_low <= math.sqrt(world.squared) <= one.rms_high)
    assert np.mean(plain) > 0.94  # it promises at least 95 %
    assert np.mean(rms) > 0.9


def test_class_weights_are_debiased_too() -> None:
    """Balanced over a head of many rows and a tail of few, whose gaps differ."""
    generator = np.random.default_rng(1)
    labels = np.repeat([0, 1], [300, 40])
    gap = np.array([0.0, 0.2])
    found = []
    for _ in range(500):
        confidence = generator.uniform(0.4, 1.0, 340)
        top = TopLabelBins.empty(2, bins=5)
        top.update(confidence, generator.random(340) < confidence - gap[labels], labels)
        found.append(top.error(class_weights=np.array([0.5, 0.5])).squared_debiased)
    # Within a bin half of the weight has a gap of 0 and half one of 0.2.
    assert np.mean(np.array(found, np.float64)) == pytest.approx(0.01, abs=0.002)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000))
def test_the_order_of_rows_and_classes_does_not_matter(seed: int) -> None:
    probabilities, labels, weights = problem(60, seed)
    generator = np.random.default_rng(seed)
    order, renamed = generator.permutation(60), generator.permutation(K)
    first, second = ClassWiseBins.empty(K), ClassWiseBins.empty(K)
    first.update(probabilities, labels, weights)
    shuffled = np.empty_like(probabilities)
    shuffled[:, renamed] = probabilities
    second.update(shuffled[order], renamed[labels][order], weights[order])
    one, other = first.error(), second.error()
    assert one.value == pytest.approx(other.value)
    assert one.squared_debiased == pytest.approx(other.squared_debiased)
    assert one.high == pytest.approx(other.high)


def test_memory_is_of_classes_and_bins_not_rows() -> None:
    wise = ClassWiseBins.empty(50)
    probabilities = np.random.default_rng(0).dirichlet(np.ones(50), 200)
    labels = np.arange(200) % 50
    wise.update(probabilities, labels)
    peaks = []
    for times in (20, 200):
        tracemalloc.start()
        for _ in range(times):
            wise.update(probabilities, labels)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]
