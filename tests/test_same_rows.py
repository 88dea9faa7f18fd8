"""The same rows under two models are found by what splits say of them; splits that are laid out alike are not."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lacal.batch import NO_LABEL, Batch
from lacal.rows.same_rows import RowMarks, SameRows, SharedRows, order_tells

ROWS = 1000


def random_labels(seed: int, rows: int = ROWS) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(0, 10, rows)


def batches(labels: NDArray[np.int64], ids: Any = None, size: int = 300) -> list[Batch]:
    """In parts, since a source comes in parts."""
    ids = None if ids is None else np.asarray(ids)
    return [
        Batch(
            np.zeros((labels[at : at + size].size, 10), np.float32),
            labels[at : at + size],
            None if ids is None else ids[at : at + size],
            at,
        )
        for at in range(0, labels.size, size)
    ]


def same(tuned: list[Batch], scored: list[Batch]) -> SameRows | None:
    marks = RowMarks()
    for batch in tuned:
        marks.update(batch)
    shared = SharedRows.looking_for(marks)
    for batch in scored:
        shared.update(batch)
    return shared.same(np.concatenate([batch.labelled()[1] for batch in tuned]))


def names(rows: range) -> list[str]:
    return [f"image {at}.png" for at in rows]


def test_rows_with_the_same_ids_and_labels_are_the_same_in_any_order_and_parts() -> None:
    labels, ids = random_labels(0), np.array(names(range(ROWS)))
    order = np.random.default_rng(1).permutation(ROWS)
    assert same(batches(labels, ids), batches(labels[order], ids[order], 170)) == SameRows(
        "ids", 1.0, True, True
    )


@pytest.mark.parametrize("shared", [1000, 300])
def test_the_share_of_the_rows_is_estimated(shared: int) -> None:
    tuned, labels = random_labels(0), random_labels(1, 3000)
    labels[:shared] = tuned[:shared]
    found = same(
        batches(tuned, names(range(ROWS))),
        batches(labels, names(range(shared)) + names(range(9000, 12_000 - shared))),
    )
    assert found is not None
    assert found.sure
    assert found.share == pytest.approx(shared / ROWS, abs=0.1)
    assert not found.whole


def test_numbers_and_the_text_that_spells_them_are_the_same_ids() -> None:
    labels = random_labels(0)
    ids = np.random.default_rng(2).permutation(10**6)[:ROWS]
    for other in (ids.astype(str), ids.astype(np.float64), [f"{one}" for one in ids.tolist()]):
        found = same(batches(labels, ids), batches(labels, other))
        assert found is not None
        assert (found.by, found.share) == ("ids", 1.0)


@pytest.mark.parametrize("count", [int, "img_{:05d}".format])
def test_ids_that_count_anew_in_every_split_do_not_make_rows_the_same(count: Any) -> None:
    ids = [count(at) for at in range(ROWS)]
    assert same(batches(random_labels(0), ids), batches(random_labels(1), ids)) is None


def test_a_few_shared_rows_are_no_split() -> None:
    tuned, labels = random_labels(0), random_labels(1)
    labels[:30] = tuned[:30]
    ids = names(range(30)) + names(range(5000, 5970))
    assert same(batches(tuned, names(range(ROWS))), batches(labels, ids)) is None


def test_rows_without_a_label_tell_nothing() -> None:
    labels = np.full(ROWS, NO_LABEL)
    assert same(batches(labels, names(range(ROWS))), batches(labels, names(range(ROWS)))) is None


LAYOUTS = {
    "sorted": np.repeat(np.arange(10), 100),
    "in turn": np.tile(np.arange(10), 100),
    "two in turn": np.tile(np.repeat(np.arange(10), 2), 50),
    "many in turn": np.tile(np.arange(12_000), 5),
    "common classes first": np.repeat(np.arange(100), 2 * np.arange(100, 0, -1)),
    "one class": np.zeros(ROWS, np.int64),
    "too few": random_labels(0, 20),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_splits_laid_out_alike_may_be_honest(name: str) -> None:
    labels = LAYOUTS[name]
    assert not order_tells(labels)
    for ids in (None, np.arange(labels.size), np.arange(1, labels.size + 1)):
        assert same(batches(labels, ids), batches(labels)) == SameRows("order", 1.0, True, False)


@pytest.mark.parametrize("classes", [2, 10, 3000])
@pytest.mark.parametrize("ids", [None, "numbers"])
def test_labels_in_no_order_that_agree_row_by_row_are_of_the_same_rows(
    classes: int, ids: str | None
) -> None:
    labels = np.random.default_rng(3).integers(0, classes, ROWS)
    numbers = None if ids is None else np.arange(ROWS)
    assert same(batches(labels, numbers), batches(labels, None, 90)) == SameRows(
        "order", 1.0, True, True
    )
    other = labels.copy()
    other[[7, 8]] = other[[8, 7]] + 1
    assert same(batches(labels), batches(other)) is None
    assert same(batches(labels), batches(labels[:-1])) is None


def test_long_tailed_labels_in_no_order_tell() -> None:
    shares = 1.0 / np.arange(1, 101)
    labels = np.random.default_rng(4).choice(100, 5000, p=shares / shares.sum())
    assert order_tells(labels)


def test_what_is_remembered_does_not_grow() -> None:
    marks = RowMarks()
    for start in range(0, 60_000, 3000):
        rows = range(start, start + 3000)
        for batch in batches(random_labels(start, 3000), names(rows), 3000):
            marks.update(batch)
    assert marks.rows == marks.marked.rows == 60_000
    assert marks.marked.smallest.nbytes <= 2048
