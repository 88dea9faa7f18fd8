"""Labels of a file of their own, found by row id where rows and labels both have ids.

A loader that shuffles saves logits in its own order, beside the ids; labels taken by their place would then belong to
other rows, and every error would be at chance without a word.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lacal.batch import Ids, Labels
from lacal.classes.names import shown
from lacal.errors import DataError
from lacal.rows.ids import plain_ids, refuse_missing


@dataclass(frozen=True)
class LabelsById:
    """The labels of a file, by id.

    Attributes:
        place: File and field of the labels, for messages.
        ids: (n,) sorted, each once; whole numbers, or text.
        labels: (n,) checked labels in that order.
        first: Where the ids of the file are 0, 1, 2, ... or 1, 2, 3, ..., the first of them.
    """

    place: str
    ids: Ids
    labels: Labels
    first: int | None
    _others: list[int] = field(default_factory=list)  # row of the first id that is no such number

    @classmethod
    def of(cls, place: str, ids: Ids, labels: Labels) -> "LabelsById":
        """Sort them.

        Args:
            place: File and field of the labels.
            ids: (n,) as the file spells them.
            labels: (n,) checked.

        Raises:
            DataError: An id occurs twice, or a row has none.
        """
        refuse_missing(ids, place)
        ids = plain_ids(ids)
        first = next((one for one in (0, 1) if _count_from(ids, one)), None)
        order = np.argsort(ids, kind="stable")
        ids = ids[order]
        again = np.flatnonzero(ids[1:] == ids[:-1])
        if again.size:
            at = again[order[again + 1].argmin()]
            raise DataError(
                f"{place}: row {order[at + 1]} has the same id as row {order[at]}, {shown(str(ids[at]))} "
                f"({again.size:,} rows repeat an id); every row needs its own"
            )
        return cls(place, ids, labels[order], first)

    @property
    def only_count(self) -> bool:
        """Whether the ids, here and of every row so far, say no more than the number of a row."""
        return self.first is not None and not self._others

    def of_rows(self, ids: Ids, start: int) -> Labels:
        """(n,) the labels of rows with these ids, the first of which is row `start`.

        Raises:
            DataError: An id is not in the labels' file.
        """
        ids = plain_ids(ids)
        if self.only_count and not _count_from(ids, start + (self.first or 0)):
            self._others.append(start)
        if ids.dtype.kind != self.ids.dtype.kind:  # numbers in one file, text in the other
            if ids.dtype.kind == "U":
                return self._as_text.of_rows(ids, start)
            ids = ids.astype(np.str_)
        at = np.minimum(np.searchsorted(self.ids, ids), self.ids.size - 1)
        found: NDArray[np.bool_] = self.ids[at] == ids
        if not found.all():
            row = int((~found).argmax())
            raise DataError(
                f"{self.place}: has no label for the id {shown(str(ids[row]))} of row {start + row} (ids here are such "
                f"as {shown(str(self.ids[0]))}); where rows and labels both have ids they are joined by them: mend the "
                "ids, or leave them out of the labels' file to take its rows in order"
            )
        return self.labels[at]

    @cached_property
    def _as_text(self) -> "LabelsById":
        """The same for ids that are text."""
        return LabelsById.of(self.place, self.ids.astype(np.str_), self.labels)


def _count_from(ids: Ids, first: int) -> bool:
    """Whether ids are whole numbers one after the other from `first` on."""
    if not ids.size or str(ids[0]) != str(first):  # seldom more is looked at
        return False
    numbers = range(first, first + ids.size)
    if ids.dtype.kind == "U":
        return bool(ids.tolist() == list(map(str, numbers)))
    return bool((ids == np.arange(first, first + ids.size)).all())
