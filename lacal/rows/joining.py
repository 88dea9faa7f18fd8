"""Two sources' decisions on the rows that they share.

Rows are joined by id. An id that occurs twice, or a label that differs, stops the join: a pair that is not one pair
makes every paired number wrong.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacal.batch import NO_LABEL, Ids, Labels
from lacal.classes.names import agree, shown
from lacal.errors import DataError
from lacal.formats.shown import printable
from lacal.rows.decisions import Decisions
from lacal.rows.ids import plain_ids


class OtherRowsError(DataError):
    """Two sources of the same classes whose rows are not evidently the same."""


@dataclass(frozen=True, slots=True)
class Joined:
    """The rows that two sources share.

    Attributes:
        places: Both sources, as the user named them.
        labels: (n,) labels, `NO_LABEL` where neither source has one; in the first source's order.
        first: (n,) the first source's predictions.
        second: (n,) the second source's.
        classes: Number of classes, k.
        class_names: Names of the classes, where known.
        by_id: Whether rows were joined by id; else they were taken in the order of the files.
        only_first: (m,) ids of rows that the second source lacks.
        only_second: (m,) ids of rows that the first source lacks.
    """

    places: tuple[str, str]
    labels: Labels
    first: Labels
    second: Labels
    classes: int
    class_names: tuple[str, ...] | None
    by_id: bool
    only_first: Ids
    only_second: Ids


def join(first: Decisions, second: Decisions) -> Joined:
    """The rows of both, paired by id; in the order of the files where neither has ids.

    Raises:
        OtherRowsError: No row is shared, labels of one row differ, one side has no ids, or the rows of two files without
            ids are not evidently the same.
        DataError: An id occurs twice, or classes differ.
    """
    names = agree(first.class_names, first.place, second.class_names, second.place)
    classes = _classes(first, second)
    ids = _comparable(first, second)
    if ids is None:
        at = _same_order(first, second)
        rest: tuple[Ids, Ids] = np.empty(0, np.int64), np.empty(0, np.int64)
    else:
        at, rest = _same_ids(first, second, *ids)
    labels = _labels(first, second, *at)
    return Joined(
        places=(first.place, second.place),
        labels=labels,
        first=first.predictions[at[0]],
        second=second.predictions[at[1]],
        classes=classes,
        class_names=names,
        by_id=ids is not None,
        only_first=rest[0],
        only_second=rest[1],
    )


Rows = tuple[NDArray[np.int64], NDArray[np.int64]]  # of the first source, of the second


def _classes(first: Decisions, second: Decisions) -> int:
    """How many classes both have; a source that does not say how many may have shown fewer."""
    most = max(first.classes, second.classes)
    if any(one.told and one.classes < most for one in (first, second)):
        raise DataError(
            f"{_shown(second)}: has {second.classes} classes, {_shown(first)} has {first.classes}; they must be of the "
            "same classes"
        )
    return most


def _comparable(first: Decisions, second: Decisions) -> tuple[Ids, Ids] | None:
    """The ids of both, of one type; None where there are none, or only row numbers on one side.

    `lacal adjust` numbers the rows of a source without ids, so those numbers are no more than their order.
    """
    sides = [None if one.ids is None else plain_ids(one.ids) for one in (first, second)]
    if any(ids is None for ids in sides):
        for one, ids in zip((first, second), sides, strict=True):
            if ids is not None and not np.array_equal(ids, np.arange(ids.size)):
                other = second if one is first else first
                raise OtherRowsError(
                    f"{_shown(other)}: has no ids, {_shown(one)} has; rows are joined by id; add a field `id` to it, "
                    "or name one with --id-key"
                )
        return None
    ours, theirs = sides
    assert ours is not None
    assert theirs is not None
    if ours.dtype.kind != theirs.dtype.kind:  # numbers in one file, text in the other
        return ours.astype(np.str_), theirs.astype(np.str_)
    return ours, theirs


def _same_order(first: Decisions, second: Decisions) -> Rows:
    """Every row beside the row of its number; refused unless the labels show that they are the same rows."""
    if first.labels.size != second.labels.size:
        raise OtherRowsError(
            f"{_shown(second)}: has {second.labels.size:,} rows, {_shown(first)} has {first.labels.size:,}, and there "
            "are no ids to join them by; add a field `id` to both"
        )
    differ = np.flatnonzero(first.labels != second.labels)
    if differ.size:
        raise OtherRowsError(
            f"{_shown(second)}: row {differ[0]} has another label than in {_shown(first)} ({differ.size:,} rows differ), so "
            "these are not the same rows in the same order; add a field `id` to both"
        )
    rows = np.arange(first.labels.size)
    return rows, rows


def _same_ids(
    first: Decisions, second: Decisions, one: Ids, other: Ids
) -> tuple[Rows, tuple[Ids, Ids]]:
    """Rows of both with equal ids, in the first's order, and the ids that only one side has."""
    orders = [_sorted(decisions, ids) for decisions, ids in ((first, one), (second, other))]
    ranked = other[orders[1]]
    place = np.minimum(np.searchsorted(ranked, one), max(ranked.size - 1, 0))
    found = ranked[place] == one if ranked.size else np.zeros(one.size, np.bool_)
    rows = np.flatnonzero(found), orders[1][place[found]]
    if not rows[0].size:
        raise OtherRowsError(
            f"{_shown(second)}: shares no row with {_shown(first)}: ids such as {_id(other[0])} there, {_id(one[0])} here; "
            "compare predictions of the same rows, or name the ids with --id-key"
        )
    missing = np.ones(other.size, np.bool_)
    missing[rows[1]] = False
    return rows, (one[~found], other[missing])


def _sorted(decisions: Decisions, ids: Ids) -> NDArray[np.int64]:
    """The order that sorts the ids; an id that occurs twice is refused."""
    order = np.argsort(ids, kind="stable")
    again = np.flatnonzero(ids[order[1:]] == ids[order[:-1]])
    if again.size:
        at = again[order[again + 1].argmin()]
        raise DataError(
            f"{_shown(decisions)}: row {order[at + 1]} has the same id as row {order[at]}, {_id(ids[order[at]])} "
            f"({again.size:,} rows repeat an id); every row needs its own, or name another field with --id-key"
        )
    return np.asarray(order, np.int64)


def _labels(
    first: Decisions, second: Decisions, at: NDArray[np.int64], by: NDArray[np.int64]
) -> Labels:
    """The labels of paired rows; a row that only one side labels has that label."""
    one, other = first.labels[at], second.labels[by]
    differ = np.flatnonzero((one != other) & (one != NO_LABEL) & (other != NO_LABEL))
    if differ.size:
        row = at[differ[0]]
        named = "" if first.ids is None else f" (id {_id(first.ids[row])})"
        raise OtherRowsError(
            f"{_shown(second)}: the label of row {by[differ[0]]} is {other[differ[0]]}, but {one[differ[0]]} in "
            f"{_shown(first)}, row {row}{named} ({differ.size:,} rows differ); both must hold the same labels"
        )
    labels: Labels = np.where(one == NO_LABEL, other, one)
    if (labels == NO_LABEL).all():
        raise DataError(
            f"{_shown(second)}: no row that it shares with {_shown(first)} carries a label; there is nothing to compare"
        )
    return labels


def _shown(decisions: Decisions) -> str:
    return printable(decisions.place, 200)


def _id(one: object) -> str:
    return shown(str(one))
