"""The sketch of the tuned rows: order, precision and parts do not matter; shares are estimated well."""

import numpy as np
import pytest
from numpy.typing import NDArray

from lacal.batch import Batch
from lacal.rows.fingerprint import SKETCH, Overlap, RowSketch, row_hashes

LOGITS = np.random.default_rng(0).normal(size=(2000, 40)).astype(np.float32)


def sketch_of(*parts: NDArray[np.float32]) -> RowSketch:
    sketch = RowSketch()
    for part in parts:
        sketch.update(Batch(part, None, None, 0))
    return sketch


def check_same(one: RowSketch, other: RowSketch) -> None:
    assert (one.rows, one.digest) == (other.rows, other.digest)
    np.testing.assert_array_equal(one.smallest, other.smallest)


def test_order_batches_and_parts_do_not_matter() -> None:
    whole = sketch_of(LOGITS)
    check_same(sketch_of(LOGITS[::-1]), whole)
    check_same(sketch_of(LOGITS[:7], LOGITS[7:900], LOGITS[900:]), whole)
    merged = sketch_of(LOGITS[:1500])
    merged.merge(sketch_of(LOGITS[1500:]))
    check_same(merged, whole)
    assert whole.smallest.size == SKETCH


def test_precision_memory_order_and_signed_zero_do_not_matter() -> None:
    expected = row_hashes(LOGITS)
    np.testing.assert_array_equal(row_hashes(LOGITS.astype(np.float64)), expected)
    np.testing.assert_array_equal(row_hashes(np.asfortranarray(LOGITS)), expected)
    zeros = np.zeros((1, 3))
    np.testing.assert_array_equal(row_hashes(zeros), row_hashes(-zeros))


def test_other_rows_other_hashes() -> None:
    assert np.unique(row_hashes(LOGITS)).size == len(LOGITS)
    assert row_hashes(np.zeros((1, 3)))[0] != row_hashes(np.zeros((1, 4)))[0]
    swapped = LOGITS[:, ::-1]
    assert not np.isin(row_hashes(swapped), row_hashes(LOGITS)).any()


@pytest.mark.parametrize("size", [1e39, 1e200, 1.7e307])
def test_numbers_beyond_float32_are_told_apart(size: float) -> None:
    """As infinities of float32 they would all be alike, and every row one that was seen before."""
    few = size * LOGITS[:, :3].astype(np.float64)
    assert np.unique(row_hashes(few)).size == len(LOGITS)
    large = size * LOGITS.astype(np.float64)
    assert (row_hashes(large) != row_hashes(-large)).all()
    np.testing.assert_array_equal(row_hashes(np.asfortranarray(large)), row_hashes(large))
    mixed = np.concatenate([LOGITS, large])
    np.testing.assert_array_equal(
        row_hashes(mixed), np.concatenate([row_hashes(LOGITS), row_hashes(large)])
    )


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_overlap_estimates_the_share_that_came_back(share: float) -> None:
    overlap = Overlap.with_rows(sketch_of(LOGITS[:1000]).smallest)
    back = LOGITS[: int(1000 * share)]
    overlap.update(Batch(back[::-1], None, None, 0))
    overlap.update(Batch(LOGITS[1000:], None, None, 0))
    # Binomial with 256 draws: 4 standard deviations; exact at the ends.
    assert overlap.share == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / SKETCH))


def test_nothing_tuned_nothing_found() -> None:
    overlap = Overlap.with_rows(np.empty(0, np.uint64))
    overlap.update(Batch(LOGITS, None, None, 0))
    assert overlap.share == 0


@pytest.mark.parametrize(
    ("rows", "back", "repeats", "same"),
    [
        (1000, 0, 0.0, False),
        (1000, 30, 0.0, False),  # a few duplicates
        (1000, 200, 0.0, True),
        (1000, 200, 0.1, False),  # as many as repeat among themselves
        (5, 2, 0.0, False),  # a share of two rows tells nothing
        (5, 3, 0.0, True),
        (1, 1, 0.0, True),
        (0, 0, 0.0, False),
    ],
)
def test_the_same_split_is_told_from_a_few_duplicates(
    rows: int, back: int, repeats: float, same: bool
) -> None:
    overlap = Overlap.with_rows(sketch_of(LOGITS[:rows]).smallest)
    overlap.update(Batch(LOGITS[:back], None, None, 0))
    assert overlap.is_same_split(repeats) == same
