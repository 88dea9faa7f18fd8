"""Samplers draw what their formula says, from the seed alone; losses are told the counts of the stream."""

from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

torch = pytest.importorskip("torch")

from lacal.errors import UsageError
from lacal.loss_table import LOSSES
from lacal.training.long_tail import LongTail
from lacal.training.options import Sampler
from lacal.training.sampling import class_probabilities, counts_for_loss, epoch_rows

SAMPLERS: tuple[Sampler, ...] = get_args(Sampler)
CIFAR = LongTail("exp", 100).class_counts(5000, 10)
# Square-root sampling of CIFAR-10-LT, exp 100.
SQUARE_ROOT = [0.2447, 0.1895, 0.1467, 0.1136, 0.0879, 0.0681, 0.0527, 0.0408, 0.0315, 0.0245]
COUNTS = st.lists(st.integers(1, 40), min_size=2, max_size=6)


def rows_of(
    counts: Any, sampler: Sampler, *, epoch: int = 0, epochs: int = 1, seed: int = 0
) -> Any:
    """The labels, which are not sorted, and an epoch's row numbers."""
    labels = np.random.default_rng(5).permutation(np.repeat(np.arange(len(counts)), counts))
    tensors = torch.from_numpy(labels), torch.tensor(np.asarray(counts))
    generator = torch.Generator().manual_seed(seed)
    return labels, epoch_rows(*tensors, sampler, epoch, epochs, generator).numpy()


def test_the_reference_vector() -> None:
    chances = class_probabilities(CIFAR, "square-root", 3, 10)
    np.testing.assert_allclose(chances, SQUARE_ROOT, atol=5e-5)


@given(COUNTS, st.sampled_from(SAMPLERS), st.integers(1, 20), st.data())
def test_probabilities_are_the_formulas(
    counts: list[int], sampler: Sampler, epochs: int, data: st.DataObject
) -> None:
    epoch = data.draw(st.integers(0, epochs - 1))
    n = np.array(counts, float)
    by_count, even = n / n.sum(), np.full(n.size, 1 / n.size)
    t = np.linspace(0, 1, epochs)[epoch]
    expected = {
        "instance": by_count,
        "class-balanced": even,
        "square-root": np.sqrt(n) / np.sqrt(n).sum(),
        "progressive": (1 - t) * by_count + t * even,
    }
    chances = class_probabilities(counts, sampler, epoch, epochs)
    np.testing.assert_allclose(chances, expected[sampler], rtol=1e-12)


@given(COUNTS, st.integers(0, 9))
def test_instance_sampling_takes_every_row_once(counts: list[int], seed: int) -> None:
    labels, rows = rows_of(counts, "instance", seed=seed)
    np.testing.assert_array_equal(np.sort(rows), np.arange(labels.size))


@settings(max_examples=40)
@given(COUNTS, st.sampled_from(SAMPLERS), st.integers(0, 9))
def test_the_generator_decides(counts: list[int], sampler: Sampler, seed: int) -> None:
    labels, rows = rows_of(counts, sampler, seed=seed)
    assert rows.shape == labels.shape
    assert rows.min() >= 0
    assert rows.max() < labels.size
    np.testing.assert_array_equal(rows, rows_of(counts, sampler, seed=seed)[1])


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_another_seed_draws_other_rows(sampler: Sampler) -> None:
    assert (rows_of(CIFAR, sampler, seed=1)[1] != rows_of(CIFAR, sampler, seed=2)[1]).any()


@pytest.mark.parametrize(
    ("sampler", "epoch"),
    [
        ("class-balanced", 0),
        ("square-root", 0),
        ("progressive", 0),
        ("progressive", 2),
        ("progressive", 4),
    ],
)
def test_classes_come_by_their_probability(sampler: Sampler, epoch: int) -> None:
    labels, rows = rows_of(CIFAR, sampler, epoch=epoch, epochs=5)
    expected = labels.size * class_probabilities(CIFAR, sampler, epoch, 5)
    seen = np.bincount(labels[rows], minlength=10)
    assert stats.chisquare(seen, expected).pvalue > 1e-3
    other: Sampler = "instance" if sampler != "progressive" or epoch else "class-balanced"
    wrong = labels.size * class_probabilities(CIFAR, other, 0, 1)
    assert stats.chisquare(seen, wrong).pvalue < 1e-6  # so many rows do tell


@pytest.mark.parametrize("sampler", ["class-balanced", "square-root"])
def test_within_a_class_every_row_is_as_likely(sampler: Sampler) -> None:
    counts = [400, 30, 7]
    labels = rows_of(counts, sampler)[0]
    times = np.zeros(labels.size)
    for seed in range(100):
        times += np.bincount(rows_of(counts, sampler, seed=seed)[1], minlength=labels.size)
    for j in range(3):
        assert stats.chisquare(times[labels == j]).pvalue > 1e-3


def test_a_class_of_one_row_is_drawn() -> None:
    labels, rows = rows_of([1, 99], "class-balanced")
    assert set(rows[labels[rows] == 0]) == {int(np.flatnonzero(labels == 0)[0])}


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_losses_are_told_the_counts_of_the_stream(loss: str) -> None:
    np.testing.assert_array_equal(counts_for_loss(CIFAR, "instance", loss), CIFAR)
    drawn = counts_for_loss(CIFAR, "square-root", loss)
    np.testing.assert_allclose(drawn, CIFAR.sum() * np.array(SQUARE_ROOT), rtol=2e-3)
    assert drawn.sum() == pytest.approx(CIFAR.sum())
    for sampler in ("class-balanced", "progressive"):
        if LOSSES[loss].uses_counts:
            with pytest.raises(UsageError, match=f"--sampler {sampler}: .*--loss {loss} corrects"):
                counts_for_loss(CIFAR, sampler, loss)
        else:
            told = counts_for_loss(CIFAR, sampler, loss)
            assert told.sum() == pytest.approx(CIFAR.sum())


def test_deferred_weights_use_the_counts_too() -> None:
    even = counts_for_loss(CIFAR, "class-balanced", "softmax", {"drw": 0.0})
    np.testing.assert_allclose(even, 1240.6)
    with pytest.raises(UsageError, match="--loss softmax with drw corrects"):
        counts_for_loss(CIFAR, "class-balanced", "softmax", {"drw": 0.8})
