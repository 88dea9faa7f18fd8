"""Whether two splits hold the same rows, by what they say of them: ids and labels, in a few kilobytes.

The fingerprint of `lacal.rows.fingerprint` looks at logits, so the same rows under two models are strangers to it.
"""

import math
import zlib
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lacal.batch import NO_LABEL, Batch, Ids, Labels
from lacal.rows.fingerprint import ODD, Hashes, Overlap, RowSketch
from lacal.rows.ids import plain_ids

AGREE = 0.9  # share of the shared ids whose labels must agree: ids that count anew in every split share theirs by chance
CHANCE = 50.0  # nats; labels in an order less surprising than that may coincide
LOOKED_AT = 1 << 17  # labels whose order is judged
_LABEL_BITS = np.uint64(16)


@dataclass(slots=True)
class RowMarks:
    """What a split says of its rows; merges nothing, since rows are taken in order.

    Attributes:
        rows: Number of rows.
        named: Whether every row so far has an id that is more than its number.
        marked: Sketch of the labelled rows: a hash of the id in the upper 48 bits, of the label in the lower 16.
        order: Sum of hashes of every row's number and label modulo 2^64: equal where labels are equal row by row.
    """

    rows: int = 0
    named: bool = False
    marked: RowSketch = field(default_factory=RowSketch)
    order: int = 0
    _first: int | None = None

    def update(self, batch: Batch) -> Hashes:
        """Add the rows of a batch; the marks (m,) of its labelled rows, none without ids."""
        size = batch.logits.shape[0]
        labels = np.full(size, NO_LABEL) if batch.labels is None else batch.labels
        mixed = _mixed(labels.astype(np.uint64))
        numbers = np.arange(self.rows, self.rows + size, dtype=np.uint64)
        self.order = (self.order + int(_mixed(numbers ^ mixed).sum(dtype=np.uint64))) % 2**64
        marks = np.empty(0, np.uint64)
        if batch.ids is not None:
            ids = plain_ids(batch.ids)
            self.named |= not self._are_numbers(ids)
            known = labels != NO_LABEL
            low = mixed[known] >> (np.uint64(64) - _LABEL_BITS)
            marks = (_id_hashes(ids[known]) >> _LABEL_BITS << _LABEL_BITS) | low
            self.marked.add(marks)
        self.rows += size
        return marks

    def _are_numbers(self, ids: Ids) -> bool:
        """Whether ids go on counting the rows, from whatever number on."""
        if ids.dtype.kind != "i":
            return False
        if self._first is None and ids.size:
            self._first = int(ids[0]) - self.rows
        start = self.rows + (self._first or 0)
        return bool((ids == np.arange(start, start + ids.size)).all())


@dataclass(frozen=True, slots=True)
class SameRows:
    """Two splits that seem to hold the same rows.

    Attributes:
        by: What tells: ids with their labels, or the order of the labels alone.
        share: Of the first split's labelled rows.
        whole: Whether that share is exact, not of a sample.
        sure: Whether two splits of other rows would hardly look like this.
    """

    by: Literal["ids", "order"]
    share: float
    whole: bool
    sure: bool


@dataclass(slots=True)
class SharedRows:
    """Looks for the rows of one split among those of another that pass by.

    Attributes:
        tuned: The split that is looked for.
        own: The one that passes by.
    """

    tuned: RowMarks
    own: RowMarks
    _ids: Overlap
    _marks: Overlap

    @classmethod
    def looking_for(cls, tuned: RowMarks) -> "SharedRows":
        """Nothing has passed yet."""
        marks = tuned.marked.smallest
        return cls(
            tuned, RowMarks(), Overlap.with_rows(marks >> _LABEL_BITS), Overlap.with_rows(marks)
        )

    def update(self, batch: Batch) -> None:
        """Look through a batch."""
        marks = self.own.update(batch)
        self._marks.add(marks)
        self._ids.add(marks >> _LABEL_BITS)

    def same(self, labels: Labels) -> SameRows | None:
        """What both say of each other, after the pass; None where they seem to be of other rows.

        Args:
            labels: (n,) of the split that is looked for, in its order.
        """
        if self.tuned.named and self.own.named:
            shared, agreeing = int(self._ids.found.sum()), int(self._marks.found.sum())
            if self._marks.is_same_split(0.0) and agreeing >= AGREE * shared:
                ours, theirs = self.tuned.marked, self.own.marked
                whole = (ours.rows, ours.digest) == (theirs.rows, theirs.digest)
                whole |= ours.smallest.size == ours.rows
                return SameRows("ids", self._marks.share, whole, True)
            return None
        if (self.tuned.rows, self.tuned.order) != (self.own.rows, self.own.order):
            return None
        return SameRows("order", 1.0, True, order_tells(labels))


def order_tells(labels: Labels) -> bool:
    """Whether two splits would hardly share the order of these labels, were they not of the same rows.

    Labels that are few, sorted, or in turn are no evidence: two splits are often laid out alike. A layout shows in
    how small the labels are compressed, beside the same labels shuffled.
    """
    labels = labels[:LOOKED_AT]
    counts = np.bincount(labels[labels != NO_LABEL]).tolist()
    orders = math.lgamma(labels.size + 1) - sum(math.lgamma(one + 1) for one in counts)
    if orders < CHANCE:
        return False
    return _compressed(labels) > _compressed(np.random.default_rng(0).permutation(labels)) / 2


def _compressed(labels: Labels) -> int:
    """Bytes of the labels or of the steps between them, whichever are fewer."""
    small = labels.astype(np.int32)
    return min(len(zlib.compress(one.tobytes())) for one in (small, np.diff(small)))


def _id_hashes(ids: Ids) -> Hashes:
    """(n,) one 64-bit hash an id, the same for a number and for the text that spells it."""
    text = np.ascontiguousarray(ids.astype(np.str_))
    letters = text.view(np.uint32).reshape(text.size, text.itemsize // 4)
    multipliers = _mixed(np.arange(letters.shape[1], dtype=np.uint64)) | np.uint64(1)
    hashes = np.zeros(text.size, np.uint64)
    for at in range(letters.shape[1]):  # a column at a time, to hold 8 bytes a row
        hashes += letters[:, at].astype(np.uint64) * multipliers[at]  # 0 beyond a text's end
    return _mixed(hashes)


def _mixed(values: NDArray[np.uint64]) -> Hashes:
    """(n,) every bit of a number spread over 64: the end of SplitMix64 (Steele, Lea & Flood 2014, OOPSLA)."""
    mixed = values + ODD
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
