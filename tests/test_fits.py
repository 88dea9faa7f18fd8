"""Fits by balanced log loss: gradients, closed cases, scikit-learn, and what shrinkage does and does not move."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import log_softmax
from sklearn.metrics import log_loss as sklearn_log_loss

from lacal.adjustment import Adjustment
from lacal.fits import log_loss, shrinkage
from lacal.fits.class_offsets import ClassOffsets
from lacal.fits.log_loss import HeldRows, balanced_log_loss, row_losses, slope
from lacal.fits.shrinkage import RIDGES, Deviation, Shrunk, shrunk
from lacal.fits.tempered import HOTTEST, best_temperature, tempered
from lacal.fits.vector_scaling import VectorScaling

PRIOR = np.log(np.array([0.6, 0.25, 0.1, 0.05]))
K = PRIOR.size


def rows(n: int = 80, seed: int = 0, *, classes: int = K, **shape: Any) -> HeldRows:
    """Rows of a long-tailed model, more of common classes."""
    logits, labels = long_tailed(n, seed, classes=classes, **shape)
    return HeldRows.of(logits, labels)


def long_tailed(
    n: int,
    seed: int,
    *,
    classes: int = K,
    log_prior: NDArray[np.float64] = PRIOR,
    offsets: NDArray[np.float64] | float = 0.0,
    temperature: float = 1.0,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Logits of a model that knows its Gaussian classes, then is spoilt by offsets and a temperature."""
    generator = np.random.default_rng(seed)
    means = np.random.default_rng(99).normal(size=(classes, 3)) * 1.5
    labels = np.concatenate([np.arange(classes), generator.integers(0, classes, n - classes)])
    features = means[labels] + generator.normal(size=(n, 3))
    logits = features @ means.T - 0.5 * (means**2).sum(axis=1) + log_prior
    return temperature * (logits + offsets), labels


def numerical(value: Any, at: NDArray[np.float64], step: float = 1e-6) -> NDArray[np.float64]:
    """Central differences of a function of an array."""
    gradient = np.empty_like(at)
    for place in np.ndindex(at.shape):
        moved = np.zeros_like(at)
        moved[place] = step
        gradient[place] = (value(at + moved) - value(at - moved)) / (2 * step)
    return gradient


# The loss


def test_the_loss_is_scikit_learns_with_every_class_alike() -> None:
    held = rows()
    adjustment = Adjustment(np.array([1.0, 0.5, 2.0, 1.2]), np.array([0.0, 1.0, -1.0, 0.3]))
    probabilities = np.exp(log_softmax(adjustment.apply(held.logits), axis=1))
    expected = sklearn_log_loss(
        held.labels, probabilities, sample_weight=held.weights, labels=range(K)
    )
    assert balanced_log_loss(held, adjustment) == pytest.approx(expected, abs=1e-12)
    assert held.weights.sum() == pytest.approx(1)
    by_class = np.bincount(held.labels, held.weights)
    assert by_class == pytest.approx(np.full(K, 1 / K))


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.booleans())
def test_the_gradient_is_the_derivative(seed: int, large: bool) -> None:
    generator = np.random.default_rng(seed)
    held = rows(12, seed, temperature=50.0 if large else 1.0)
    scale, offset = np.exp(generator.normal(size=K) / 4), generator.normal(size=K)

    def loss(both: NDArray[np.float64]) -> float:
        return balanced_log_loss(held, Adjustment(both[0], both[1]))

    found = slope(held, Adjustment(scale, offset))
    expected = numerical(loss, np.stack([scale, offset]))
    assert found.loss == pytest.approx(loss(np.stack([scale, offset])))
    assert np.stack([found.scale, found.offset]) == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert not slope(held, Adjustment(scale, offset), scales=False).scale.any()


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    held, at = rows(), Adjustment(np.full(K, 0.7), -PRIOR)
    whole, losses = slope(held, at), row_losses(held, at)
    monkeypatch.setattr(log_loss, "BLOCK", 3 * K)
    parts = slope(held, at)
    assert parts.loss == pytest.approx(whole.loss)
    assert parts.scale == pytest.approx(whole.scale)
    assert parts.offset == pytest.approx(whole.offset)
    assert row_losses(held, at) == pytest.approx(losses)


def test_logits_too_large_for_exponentials_are_no_matter() -> None:
    held = HeldRows.of(np.array([[1e5, 0.0], [0.0, 1e5], [1e5, 0.0]]), np.array([0, 1, 1]))
    assert balanced_log_loss(held, Adjustment.identity(2)) == pytest.approx(1e5 / 4)


# Temperature


@pytest.mark.parametrize("right", [0.6, 0.75, 0.99])
def test_the_temperature_of_two_classes_in_closed_form(right: float) -> None:
    # Every row leads by 4 nats and a share `right` of each class is right: sigmoid(4 / T) = right.
    n = 100
    wins = np.arange(n) < round(right * n)
    labels = np.repeat([0, 1], n)
    ahead = np.where(np.tile(wins, 2), labels, 1 - labels)
    logits = np.where(ahead[:, None] == np.arange(2), 2.0, -2.0)
    expected = 4 / np.log(right / (1 - right))
    found = best_temperature(HeldRows.of(logits, labels), np.log([0.5, 0.5]))
    assert found == pytest.approx(expected, rel=1e-4)


def test_the_temperature_undoes_the_models_own() -> None:
    held = rows(4000, temperature=2.5)
    assert best_temperature(held, PRIOR) == pytest.approx(2.5, rel=0.05)


def test_a_temperature_ranks_as_logit_adjustment_at_that_tau() -> None:
    logits, _ = long_tailed(500, 3)
    expected = (logits - 1.7 * PRIOR).argmax(axis=1)
    assert (tempered(PRIOR, 1.7).predict(logits) == expected).all()


def test_rows_that_tell_nothing_have_the_hottest_temperature() -> None:
    generator = np.random.default_rng(0)
    logits, labels = generator.normal(size=(400, K)), np.arange(400) % K
    logits[np.arange(400), labels] -= 3.0  # worse than nothing
    found = best_temperature(HeldRows.of(logits, labels), np.log(np.full(K, 1 / K)))
    assert found == pytest.approx(HOTTEST, rel=1e-3)


# The families


@pytest.mark.parametrize("family", ["offsets", "scaling"])
def test_the_gradient_of_a_family_is_its_derivative(family: str) -> None:
    held = rows(30, 5)
    deviation = one(family, held)
    generator = np.random.default_rng(1)
    at = generator.normal(size=(deviation.per_class, K))

    def loss(parameters: NDArray[np.float64]) -> float:
        return balanced_log_loss(held, deviation.adjustment(parameters))

    value, gradient = deviation.slope(held, at)
    assert value == pytest.approx(loss(at))
    assert gradient == pytest.approx(numerical(loss, at), rel=1e-4, abs=1e-7)
    unmoved = deviation.adjustment(np.zeros_like(at))
    assert unmoved.scale == pytest.approx(deviation.anchor.scale)
    assert unmoved.offset == pytest.approx(deviation.anchor.offset)


def one(family: str, held: HeldRows, temperature: float = 1.3) -> Deviation:
    anchor = tempered(PRIOR, temperature)
    return ClassOffsets(anchor) if family == "offsets" else VectorScaling.around(anchor, held)


def fitted(family: str, held: HeldRows, seed: int = 0, temperature: float = 1.0) -> Shrunk:
    return shrunk(lambda part: one(family, part, temperature), held, seed=seed)


def test_vector_scaling_turns_scores_about_their_mean() -> None:
    held = rows(200, 2)
    scaling = VectorScaling.around(tempered(PRIOR, 1.3), held)
    anchored = scaling.anchor.apply(held.logits)
    turned = scaling.adjustment(np.stack([np.zeros(K), np.full(K, 0.8)])).apply(held.logits)
    assert held.weights @ turned == pytest.approx(held.weights @ anchored)
    spread = np.sqrt(held.weights @ (anchored - held.weights @ anchored) ** 2)
    stretched = np.sqrt(held.weights @ (turned - held.weights @ turned) ** 2)
    assert stretched / spread == pytest.approx(np.exp(0.8 / scaling.stretch))


# Shrinkage


@pytest.mark.parametrize("ridge", [RIDGES[0], 1.0, RIDGES[-1]])
def test_offsets_of_two_classes_in_closed_form(
    monkeypatch: pytest.MonkeyPatch, ridge: float
) -> None:
    # Logits that are the same in every row: the loss knows their difference x + d alone, and at its
    # minimum tanh((x + d) / 2) / 2 = -ridge d / (2 n), with d shared evenly by the two offsets.
    n, x = 40, 1.5
    held = HeldRows.of(np.tile([x, 0.0], (n, 1)), np.arange(n) % 2)
    monkeypatch.setattr(shrinkage, "RIDGES", (ridge,))
    found = shrunk(lambda _: ClassOffsets(Adjustment.identity(2)), held, seed=0)
    assert found.ridge == ridge
    moved = float(found.adjustment.offset[0] - found.adjustment.offset[1])
    expected = brentq(lambda d: np.tanh((x + d) / 2) / 2 + ridge * d / (2 * n), -x, 0)
    assert moved == pytest.approx(expected, abs=1e-5)
    assert found.adjustment.offset.sum() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("family", ["offsets", "scaling"])
def test_the_fit_is_the_minimum_of_loss_and_ridge(family: str) -> None:
    held = rows(300, 4, offsets=np.array([0.0, 1.5, -1.0, 0.5]))
    found = fitted(family, held)
    assert found.ridge is not None
    deviation = one(family, held, 1.0)
    turn = np.log(found.adjustment.scale / deviation.anchor.scale)
    moved = [found.adjustment.offset - deviation.anchor.offset]
    if isinstance(deviation, VectorScaling):
        middle = deviation.middle - deviation.anchor.offset
        moved = [moved[0] - middle * (1 - np.exp(turn)), turn * deviation.stretch]
    parameters = np.stack(moved)
    again = deviation.adjustment(parameters)
    assert again.offset == pytest.approx(found.adjustment.offset)
    _, gradient = deviation.slope(held, parameters)
    assert gradient + found.ridge * parameters / 300 == pytest.approx(0, abs=2e-5)


@pytest.mark.parametrize("family", ["offsets", "scaling"])
def test_what_is_wrong_with_the_classes_is_mended(family: str) -> None:
    wrong = np.array([0.0, 1.5, -1.0, 0.5])
    found = fitted(family, rows(600, 1, offsets=wrong))
    fresh = rows(4000, 2, offsets=wrong)
    anchored = balanced_log_loss(fresh, tempered(PRIOR, 1.0))
    perfect = balanced_log_loss(fresh, Adjustment(np.ones(K), -PRIOR - wrong))
    mended = anchored - balanced_log_loss(fresh, found.adjustment)
    assert mended > 0.9 * (anchored - perfect)
    assert found.loss < found.anchor_loss


def test_where_nothing_is_wrong_the_anchor_mostly_stays() -> None:
    stayed = [fitted("offsets", rows(40, seed)).ridge is None for seed in range(12)]
    assert np.mean(stayed) >= 0.7
    found = fitted("offsets", rows(40, stayed.index(True)))
    assert (found.adjustment.offset == -PRIOR).all()
    assert found.loss == found.anchor_loss


def test_of_ridges_that_are_about_as_good_the_strongest_is_taken() -> None:
    wrong = np.array([0.0, 1.5, -1.0, 0.5])
    stronger = []
    for seed in range(5):
        found = fitted("offsets", rows(100, seed, offsets=wrong))
        tried = [ridge for ridge, _ in found.held_out]
        assert tried == [None, *RIDGES[: len(tried) - 1]]
        losses = [loss for _, loss in found.held_out]
        stronger.append(int(np.argmin(losses)) - tried.index(found.ridge))
    assert min(stronger) >= 0
    assert max(stronger) > 0


@pytest.mark.parametrize("family", ["offsets", "scaling"])
def test_a_class_without_rows_stays_where_the_anchor_has_it(family: str) -> None:
    logits, labels = long_tailed(300, 4, offsets=np.array([0.0, 1.5, -1.0, 0.5]))
    kept = labels != 2
    found = fitted(family, HeldRows.of(logits[kept], labels[kept]))
    assert found.ridge is not None
    assert found.adjustment.scale[2] == pytest.approx(1.0)
    assert found.adjustment.offset[2] == pytest.approx(-PRIOR[2])


def test_a_constant_a_row_changes_offsets_and_temperature_nowhere() -> None:
    logits, labels = long_tailed(200, 6, offsets=np.array([0.0, 1.5, -1.0, 0.5]))
    shifted = logits + np.random.default_rng(0).normal(size=(200, 1)) * 5
    plain, moved = HeldRows.of(logits, labels), HeldRows.of(shifted, labels)
    assert best_temperature(moved, PRIOR) == pytest.approx(best_temperature(plain, PRIOR), rel=1e-4)
    first, second = fitted("offsets", plain), fitted("offsets", moved)
    assert first.ridge == second.ridge
    assert first.adjustment.offset == pytest.approx(second.adjustment.offset, abs=1e-4)


def test_the_same_rows_and_seed_give_the_same_fit() -> None:
    first, second = (fitted("scaling", rows(50, 1)) for _ in range(2))
    assert (first.adjustment.offset == second.adjustment.offset).all()
    assert (first.adjustment.scale == second.adjustment.scale).all()
    assert first.held_out == second.held_out


@pytest.mark.parametrize("n", [1, 2, 5])
def test_a_handful_of_rows_is_no_fault(n: int) -> None:
    logits, labels = long_tailed(10, 1)
    found = fitted("scaling", HeldRows.of(logits[:n], labels[:n]))
    assert np.isfinite(found.loss)
    assert np.isfinite([loss for _, loss in found.held_out]).all()


def test_single_precision_gives_the_same_fit() -> None:
    logits, labels = long_tailed(60, 6, offsets=np.array([0.0, 1.5, -1.0, 0.5]))
    single = logits.astype(np.float32)
    first = fitted("scaling", HeldRows.of(single, labels))
    second = fitted("scaling", HeldRows.of(single.astype(np.float64), labels))
    assert first.adjustment.offset == pytest.approx(second.adjustment.offset, abs=1e-6)


# Which rows


@settings(max_examples=30)
@given(st.integers(0, 1000), st.integers(1, 7))
def test_folds_deal_every_class_out_evenly(seed: int, folds: int) -> None:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 5, 60)
    fold = shrinkage._dealt(labels, folds, generator)
    sizes = np.bincount(fold, minlength=folds)
    assert sizes.max() - sizes.min() <= 1
    for label in np.unique(labels):
        own = np.bincount(fold[labels == label], minlength=folds)
        assert own.max() - own.min() <= 1


@settings(max_examples=50)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=8), st.integers(1, 120), st.integers(0, 9))
def test_thinning_takes_from_large_classes_alone(support: list[int], most: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.repeat(np.arange(len(support)), support))
    if not labels.size:
        return
    kept = shrinkage._thinned(labels, most, generator)
    taken = np.bincount(labels[kept], minlength=len(support))
    present = int(np.count_nonzero(support))
    assert kept.size <= max(most, present)
    assert (np.diff(kept) > 0).all()
    each = int(taken.max())
    if kept.size < labels.size:
        assert (taken == np.minimum(support, each)).all()
        assert np.minimum(support, each + 1).sum() > most  # one more a class would be too many
    else:
        assert labels.size <= most


def test_many_rows_choose_the_ridge_by_some_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = np.array([0.0, 1.5, -1.0, 0.5])
    held = rows(600, 1, offsets=wrong)
    whole = fitted("offsets", held)
    monkeypatch.setattr(shrinkage, "ENOUGH", 200 * K)
    some = fitted("offsets", held)
    assert some.held_out != whole.held_out
    assert some.ridge is not None
    assert some.loss < some.anchor_loss
