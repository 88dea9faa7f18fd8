"""Labels from a field of a file: whole numbers 0..k-1, or class names where the names are known."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.batch import NO_LABEL, Labels
from lacal.classes.names import near_miss, shown
from lacal.errors import DataError
from lacal.formats import Table

LABEL_FIELDS = ("label", "labels")


@dataclass(frozen=True, slots=True)
class LabelReader:
    """Turns the label field into checked labels, block by block.

    Attributes:
        place: File and field, for messages.
        inline: Field read in step with the logits; None where the labels are a file of their own.
        whole: The labels of that file.
        classes: k.
        numbers: Class name -> number, where names are known.
        ignore: Value of rows that carry no label.
        rows: Number of labels, where known beforehand.
    """

    place: str
    inline: str | None
    whole: NDArray[Any] | None
    classes: int
    numbers: Mapping[str, int]
    ignore: int | None
    rows: int | None

    @classmethod
    def open(
        cls,
        table: Table,
        key: str | None,
        *,
        classes: int,
        class_names: tuple[str, ...] | None,
        ignore: int | None,
        apart: bool,
    ) -> "LabelReader":
        """Read labels from a field of `table`, which is the logits' own file or one `apart`."""
        key = _label_key(table, key)
        one = table.fields[key]
        place = f"{table.path}: {shown(key)}" if key else str(table.path)
        if len(one.shape) != 1:
            shape = ", ".join(str(side) for side in one.shape)
            raise DataError(
                f"{place} has shape ({shape}), expected one label a row; one-hot labels must be turned "
                "into class numbers first"
            )
        if one.kind not in ("int", "float", "text"):
            raise DataError(f"{place} holds {one.stored}, expected class numbers or names")
        numbers = {name: j for j, name in enumerate(class_names or ())}
        if apart:
            whole = table.read(key)
            return cls(place, None, whole, classes, numbers, ignore, whole.shape[0])
        return cls(place, key, None, classes, numbers, ignore, one.shape[0])

    @property
    def named_by_numbers(self) -> bool:
        """Whether any class name could be taken for a class number."""
        return any(name.isascii() and name.isdigit() for name in self.numbers)

    def check_length(self, rows: int | None, logits_place: str) -> None:
        """Refuse before reading where both lengths are known."""
        if rows is not None and self.rows is not None and rows != self.rows:
            raise DataError(
                f"{self.place}: has {self.rows:,} labels, {logits_place} has {rows:,} rows of logits; "
                "they must pair up"
            )

    def check_end(self, rows: int, logits_place: str) -> None:
        """Refuse once the rows are counted."""
        if self.inline is None:
            self.check_length(rows, logits_place)

    def labels(self, raw: NDArray[Any] | None, start: int, count: int) -> Labels:
        """(count,) labels of the rows from `start` on; `NO_LABEL` where ignored."""
        if raw is None:
            assert self.whole is not None
            raw = self.whole[start : start + count]
            if raw.shape[0] < count:
                raise DataError(
                    f"{self.place}: has {self.whole.shape[0]:,} labels, fewer than there are rows of "
                    "logits; they must pair up"
                )
        labels = self._numbers(raw, start)
        wrong = (labels < 0) | (labels >= self.classes)
        if self.ignore is not None:
            ignored = labels == self.ignore
            labels[ignored] = NO_LABEL
            wrong &= ~ignored
        if wrong.any():
            self._refuse(labels, wrong, start)
        return labels

    def _numbers(self, raw: NDArray[Any], start: int) -> Labels:
        if raw.dtype.kind in "iu":
            if raw.dtype == np.uint64:
                raw = np.minimum(raw, np.uint64(np.iinfo(np.int64).max))
            return raw.astype(np.int64)
        if raw.dtype.kind == "f":
            whole = np.isfinite(raw) & (np.abs(raw) < 2**53)
            whole &= np.where(whole, raw, 0) == np.floor(np.where(whole, raw, 0))
            if not whole.all():
                row = int((~whole).argmax())
                raise DataError(
                    f"{self.place}: row {start + row} is {raw[row]}, expected a whole class number "
                    f"0..{self.classes - 1}"
                )
            return raw.astype(np.int64)
        by_name_only = self.named_by_numbers
        return np.array(
            [self._number(str(text), start + i, by_name_only) for i, text in enumerate(raw)],
            np.int64,
        )

    def _number(self, text: str, row: int, by_name_only: bool) -> int:
        number = self.numbers.get(text)
        if number is not None:
            return number
        digits = text.removeprefix("-")
        # Where a class name is itself a number, "3" could be a name or a number: it is a name.
        if not (digits.isascii() and digits.isdigit()) or by_name_only:
            hint = near_miss(text, tuple(self.numbers))
            known = (
                f"one of the {self.classes} class names or a class number 0..{self.classes - 1}"
                if self.numbers and not by_name_only
                else f"one of the {self.classes} class names, which are numbers themselves"
                if self.numbers
                else f"a class number 0..{self.classes - 1} (no class names are known; they come with named counts, --counts, or with the model)"
            )
            raise DataError(f"{self.place}: row {row} is {shown(text)}, expected {known}.{hint}")
        value = int(text) if len(digits) < 19 else 2**62
        return max(min(value, 2**62), -(2**62))

    def _refuse(self, labels: Labels, wrong: NDArray[np.bool_], start: int) -> None:
        row = int(wrong.argmax())
        values = np.unique(labels[wrong])
        hint = "labels must number the columns of the logits"
        if self.ignore is None and values.size == 1:
            hint = f"if {values[0]} means 'no label', say --ignore-label {values[0]}"
        if values.size == 1 and values[0] == self.classes:
            hint = f"if the labels run 1..{self.classes}, subtract 1 first"
        raise DataError(
            f"{self.place}: row {start + row} has label {labels[row]}, expected "
            f"0..{self.classes - 1}; {hint}"
        )


def _label_key(table: Table, key: str | None) -> str:
    """The field of a labels file: the one asked for, the only one, or the usual name."""
    if key is not None and key not in table.fields:
        raise DataError(
            f"{table.path}: has no field {shown(key)} (--label-key); it has "
            + ", ".join(shown(name) for name in table.fields)
        )
    if key is not None:
        return key
    if len(table.fields) == 1:
        return next(iter(table.fields))
    usual = [name for name in table.fields if name.lower() in LABEL_FIELDS]
    if len(usual) != 1:
        raise DataError(
            f"{table.path}: which field holds the labels? it has "
            + ", ".join(shown(name) for name in table.fields)
            + "; name it with --label-key"
        )
    return usual[0]
