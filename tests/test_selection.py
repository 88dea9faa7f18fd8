"""The rules that pick tau, against loops written as the text says it."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lacal.methods import METHODS, Family
from lacal.tau.intervals import intervals
from lacal.tau.path import TauPath
from lacal.tau.resampling import Sample
from lacal.tau.selection import RULES, Lattice, Picker, Rule, Spans, paired_standard_error

METHOD = replace(METHODS["logit-adjustment"], bandwidth=0.2)


def random_path(
    generator: np.random.Generator, rows: int, classes: int, most_intervals: int = 1
) -> TauPath:
    """Rows that own none to `most_intervals` disjoint intervals; ends may be infinite."""
    owner, low, high = [], [], []
    for row in range(rows):
        ends = np.sort(generator.normal(1.0, 1.0, 2 * generator.integers(0, most_intervals + 1)))
        if ends.size and generator.random() < 0.3:
            ends[-1] = np.inf
        if ends.size and generator.random() < 0.3:
            ends[0] = -np.inf
        owner += [row] * (ends.size // 2)
        low += ends[::2].tolist()
        high += ends[1::2].tolist()
    labels = generator.integers(classes, size=rows)
    return TauPath(labels, np.array(owner, np.int64), np.array(low), np.array(high), classes)


def right_table(path: TauPath, taus: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, t) asked of each row and tau by itself."""
    return np.stack([path.right_at(float(tau)) for tau in taus], axis=1).astype(np.float64)


def slow_standard_error(path: TauPath, one: NDArray[np.float64], two: NDArray[np.float64]) -> float:
    """The docstring's formula, class by class and row by row."""
    classes = [rows for y in range(path.classes) if (rows := np.flatnonzero(path.labels == y)).size]
    groups = [rows for rows in classes if rows.size > 1]
    singles = [int(rows[0]) for rows in classes if rows.size == 1]
    variance = 0.0
    for rows in groups:
        change = [one[i] - two[i] for i in rows]
        mean = sum(change) / rows.size
        variance += sum((c - mean) ** 2 for c in change) / (rows.size - 1) / rows.size
    change = [one[i] - two[i] for i in singles]
    if len(singles) == 1:
        variance += change[0] ** 2
    elif singles:  # one stratum of G classes: the variance of their sum
        mean = sum(change) / len(singles)
        variance += sum((c - mean) ** 2 for c in change) * len(singles) / (len(singles) - 1)
    return float(np.sqrt(variance) / len(classes))


@settings(deadline=None, derandomize=True, max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(2, 40),
    classes=st.integers(2, 12),
    most=st.integers(1, 3),
)
def test_paired_standard_error_is_the_loop(seed: int, rows: int, classes: int, most: int) -> None:
    path = random_path(np.random.default_rng(seed), rows, classes, most)
    lattice = Lattice.over(0.0, 0.5, METHOD)
    fast = paired_standard_error(path, lattice.spans(path))
    right = right_table(path, lattice.taus)
    for a, b in itertools.product(range(0, lattice.taus.size, 17), repeat=2):
        slow = slow_standard_error(path, right[:, a], right[:, b])
        assert fast[a, b] == pytest.approx(slow, abs=1e-7)  # a root of a rounded 0 is 1e-8


def test_paired_standard_error_of_many_rows_a_class() -> None:
    # Counted by curves, not by pairs of rows
    path = random_path(np.random.default_rng(3), 400, 5, 2)
    lattice = Lattice.over(0.0, 0.2, METHOD)
    fast = paired_standard_error(path, lattice.spans(path))
    right = right_table(path, lattice.taus)
    assert fast[3, 80] == pytest.approx(slow_standard_error(path, right[:, 3], right[:, 80]))
    assert fast[3, 80] > 0.01


def slow_pick(sample: Sample, rule: Rule) -> float:
    """The module's text in plain loops."""
    path, lattice = sample.path, sample.lattice
    right = right_table(path, lattice.taus)
    weight = np.zeros((lattice.taus.size, lattice.taus.size))
    for a, b in np.ndindex(weight.shape):
        apart = (lattice.taus[a] - lattice.taus[b]) / METHOD.bandwidth
        weight[a, b] = np.exp(-(apart**2) / 2) if abs(apart) <= 4 else 0.0
        if rule == "min":
            weight[a, b] = float(a == b)
    read = right @ (weight / weight.sum(axis=1, keepdims=True)).T  # each row, as the rule reads it
    present = [y for y in range(path.classes) if (path.labels == y).any()]
    errors = 1 - np.mean([read[path.labels == y].mean(axis=0) for y in present], axis=0)
    allowed = [node for node in range(lattice.taus.size) if lattice.inside[node]]
    best = min(allowed, key=lambda node: errors[node])
    candidates = []
    for node in allowed:
        slack = 1e-9
        if rule == "shrunk":
            slack += 0.5 * slow_standard_error(path, read[:, node], read[:, best])
        if errors[node] - errors[best] <= slack:
            candidates.append(node)
    return float(min(lattice.taus[candidates], key=lambda tau: abs(tau - lattice.reference)))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("seed", range(4))
def test_rules_are_the_text(rule: Rule, seed: int) -> None:
    generator = np.random.default_rng(seed)
    path = random_path(generator, int(generator.integers(10, 60)), 6, 2)
    lattice = Lattice.over(0.0, 1.5, METHOD)
    sample = Sample.on(path, path.right_at(0.0), lattice)
    node = sample.picker(rule).pick(sample.curve()[None])[0]
    assert lattice.taus[node] == slow_pick(sample, rule)


def test_many_curves_are_picked_as_one_by_one() -> None:
    path = random_path(np.random.default_rng(1), 60, 6)
    sample = Sample.on(path, path.right_at(0.0), Lattice.over(0.0, 3.0, METHOD))
    curves = sample.curve() + np.random.default_rng(2).normal(
        0, 0.02, (7, sample.lattice.taus.size)
    )
    for rule in RULES:
        picker = sample.picker(rule)
        together = picker.pick(curves)
        assert together.tolist() == [int(picker.pick(one[None])[0]) for one in curves]
        assert sample.lattice.inside[together].all()


def test_flat_curve_picks_the_reference() -> None:
    lattice = Lattice.over(0.0, 3.0, METHOD)
    nothing = np.zeros((lattice.taus.size, lattice.taus.size))
    for rule in RULES:
        node = Picker(lattice, rule, nothing, nothing).pick(np.full((1, lattice.taus.size), 0.25))[
            0
        ]
        assert lattice.taus[node] == METHOD.reference


@pytest.mark.parametrize("name", METHODS)
def test_lattice_holds_the_ends_0_and_1(name: str) -> None:
    method = METHODS[name]
    lattice = Lattice.over(*method.grid[:2], method)
    assert {0.0, 1.0, *method.grid[:2]} <= set(lattice.taus)
    assert lattice.taus[lattice.inside][[0, -1]].tolist() == list(method.grid[:2])
    assert lattice.kernel.sum(axis=1) == pytest.approx(1.0)


def test_spans_say_what_the_path_says() -> None:
    path = random_path(np.random.default_rng(5), 50, 4, 3)
    lattice = Lattice.over(0.0, 2.0, METHOD)
    spans = lattice.spans(path)
    right = right_table(path, lattice.taus)
    assert np.array_equal(spans.right(50), right)
    assert spans.total(path.row_weights()[spans.owner]) == pytest.approx(path.row_weights() @ right)
    some = np.random.default_rng(6).random(50) < 0.5
    assert np.array_equal(spans.of_rows(some).right(int(some.sum())), right[some])


def test_spans_may_be_none() -> None:
    none = np.empty(0)
    path = TauPath(np.array([0, 1]), none.astype(np.int64), none, none, 2)
    lattice = Lattice.over(0.0, 1.0, METHOD)
    spans = lattice.spans(path)
    assert isinstance(spans, Spans)
    assert not paired_standard_error(path, spans).any()


def gaussian_world(
    per_class: int, generator: np.random.Generator
) -> tuple[TauPath, NDArray[np.bool_]]:
    """Exact posteriors of five Gaussian classes under a prior of ratio 200, on balanced rows."""
    log_prior = np.log(np.array([0.6, 0.25, 0.1, 0.047, 0.003]))
    means = 1.5 * np.random.default_rng(0).standard_normal((5, 4))
    labels = np.repeat(np.arange(5), per_class)
    features = means[labels] + generator.standard_normal((labels.size, 4))
    logits = features @ means.T - 0.5 * (means**2).sum(axis=1) + log_prior
    low, high = intervals(logits, labels, Family(log_prior))
    owner = np.flatnonzero(low <= high)
    return TauPath(labels, owner, low[owner], high[owner], 5), logits.argmax(axis=1) == labels


@pytest.mark.parametrize("rule", RULES)
def test_true_posteriors_are_best_at_one(rule: Rule) -> None:
    path, unadjusted = gaussian_world(8000, np.random.default_rng(11))
    sample = Sample.on(path, unadjusted, Lattice.over(0.0, 3.0, METHOD))
    node = sample.picker(rule).pick(sample.curve()[None])[0]
    # The curve is flat to 0.0005 within 0.1 of its lowest point.
    assert sample.lattice.taus[node] == pytest.approx(1.0, abs=0.1)
    assert sample.curve()[node] < sample.unadjusted_error() - 0.05


def test_shrinkage_comes_nearest_to_one_where_rows_are_few() -> None:
    distance = dict.fromkeys(RULES, 0.0)
    for seed in range(20):
        path, unadjusted = gaussian_world(5, np.random.default_rng(seed))
        sample = Sample.on(path, unadjusted, Lattice.over(0.0, 3.0, METHOD))
        for rule in RULES:
            node = sample.picker(rule).pick(sample.curve()[None])[0]
            distance[rule] += abs(float(sample.lattice.taus[node]) - 1.0) / 20
    assert distance["shrunk"] < 0.7 * distance["smoothed"]


@settings(deadline=None, derandomize=True, max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), rule=st.sampled_from(RULES))
def test_order_of_rows_and_classes_does_not_matter(seed: int, rule: Rule) -> None:
    generator = np.random.default_rng(seed)
    path = random_path(generator, 40, 8)
    renamed, place = generator.permutation(8), generator.permutation(40)
    labels = np.empty(40, np.int64)
    labels[place] = renamed[path.labels]
    order = np.argsort(place[path.owner])
    other = TauPath(labels, place[path.owner][order], path.low[order], path.high[order], 8)
    lattice = Lattice.over(0.0, 3.0, METHOD)
    picks = []
    for one in (path, other):
        sample = Sample.on(one, one.right_at(0.0), lattice)
        picks.append(int(sample.picker(rule).pick(sample.curve()[None])[0]))
    assert picks[0] == picks[1]
