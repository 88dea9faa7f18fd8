"""`ClassTable`: every class in one line, sorted and filtered by the reader."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lacal.batch import PerClass
from lacal.classes.groups import Groups
from lacal.metrics import ClassTally, PairedTally

# Rows that stand in the page itself, for paper and for browsers without scripts; the script shows as many at first.
SHOWN = 200

Kind = Literal["count", "share", "points", "number"]
Live = Literal["recall", "mended", "broken"]


@dataclass(frozen=True, slots=True)
class Column:
    """A number a class.

    Attributes:
        title: The heading.
        kind: How it is written: a whole number, a share in percent, a signed difference of shares in
            points, or a plain number.
        values: (k,) NaN where there is none.
        low: (k,) lower end of the 95 % interval, where there is one.
        high: (k,) upper end.
        live: What the slider puts in its place at another tau.
    """

    title: str
    kind: Kind
    values: PerClass
    low: PerClass | None = None
    high: PerClass | None = None
    live: Live | None = None


@dataclass(frozen=True, slots=True)
class ClassTable:
    """The table of all classes.

    Attributes:
        names: (k,) as they stand in the files; the page makes them safe.
        groups: Names of the groups, in their order; empty for none.
        place: (k,) number of each class's group; -1 for none.
        columns: Left to right, after the name.
        order: The column it is sorted by at first.
        descending: Whether from the largest down.
        pair: Two columns of shares that are drawn on one line from 0 to 1 too, before and after.
    """

    names: tuple[str, ...]
    groups: tuple[str, ...]
    place: NDArray[np.int64]
    columns: tuple[Column, ...]
    order: int = 0
    descending: bool = True
    pair: tuple[int, int] | None = None

    def sorted(self) -> NDArray[np.int64]:
        """(k,) classes in the table's first order; those without a number last, equal ones in class order."""
        values = self.columns[self.order].values
        keys = np.where(np.isnan(values), np.inf, -values if self.descending else values)
        return np.argsort(keys, kind="stable")


def classes_of(
    after: ClassTally,
    before: ClassTally | None = None,
    paired: PairedTally | None = None,
    *,
    class_counts: NDArray[np.int64] | None = None,
    class_names: Sequence[str] | None = None,
    groups: Groups | None = None,
    live: bool = False,
) -> ClassTable:
    """Training count, rows, recall before and after, rows mended and broken: what is known of each class.

    Args:
        after: Errors of what is reported.
        before: Errors without the adjustment, where there was one.
        paired: What it mended and broke.
        class_counts: (k,) training counts, where known.
        class_names: Names of the classes; their numbers where there are none.
        groups: Groups of the classes, where known.
        live: Whether the page has a slider that these columns follow.
    """
    k = after.support.size
    columns = []
    if class_counts is not None:
        columns.append(Column("training", "count", class_counts.astype(np.float64)))
    columns.append(Column("n", "count", after.support.astype(np.float64)))
    pair = None
    if before is not None:
        pair = (len(columns), len(columns) + 1)
        columns.append(_recall(before, "unadjusted", None))
    columns.append(
        _recall(after, "recall" if before is None else "adjusted", "recall" if live else None)
    )
    if paired is not None:
        for name, counts in (("mended", paired.mended), ("broken", paired.broken)):
            shown: Live = "mended" if name == "mended" else "broken"
            columns.append(
                Column(name, "count", counts.astype(np.float64), live=shown if live else None)
            )
    place = np.full(k, -1)
    for number, mask in enumerate(groups.masks.values() if groups else ()):
        place[mask] = number
    names = tuple(map(str, range(k))) if class_names is None else tuple(class_names)
    of_recall = len(columns) - (1 if paired is None else 3)
    return ClassTable(
        names,
        tuple(groups.masks) if groups else (),
        place,
        tuple(columns),
        order=0 if class_counts is not None else of_recall,
        descending=class_counts is not None,
        pair=pair,
    )


def _recall(tally: ClassTally, title: str, live: Live | None) -> Column:
    errors = [tally.of_class(j) for j in range(tally.support.size)]
    low = [np.nan if one.high is None else 1 - one.high for one in errors]
    high = [np.nan if one.low is None else 1 - one.low for one in errors]
    return Column(title, "share", tally.recalls(), np.array(low), np.array(high), live)
