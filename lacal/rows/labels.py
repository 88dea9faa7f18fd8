"""Labels from a field of a file: whole numbers 0..k-1, or class names where the names are known.

A row without a label is one whose label the user names (`--ignore-label`): a number, a text, or "" for an empty
cell, a null, or NaN.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.batch import NO_LABEL, Ids, Labels
from lacal.classes.names import near_miss, shown
from lacal.errors import DataError
from lacal.formats import Table
from lacal.rows.fields import id_column
from lacal.rows.label_field import label_key, where_empty, whole_number, whole_numbers
from lacal.rows.labels_by_id import LabelsById

Ignored = str | int | None

# (n,) class numbers as they are, of whatever type holds them, and whether the user named them as no label
Told = tuple[NDArray[Any], NDArray[np.bool_]]


@dataclass(frozen=True, slots=True)
class LabelReader:
    """Turns the label field into checked labels, block by block.

    Attributes:
        place: File and field, for messages.
        inline: Field read in step with the logits; None where the labels are a file of their own.
        whole: The labels of that file.
        classes: k.
        numbers: Class name -> number, where names are known.
        ignore: What rows without a label carry, as text; "" is an empty cell, a null or NaN.
        rows: Number of labels, where known beforehand.
        unlabelled: Number that rows without a label carry too, where lacal wrote them.
        required: Whether every row must have one, as predictions do.
        by_id: The labels of a file of their own by row id, where both have ids; else they pair up by their place.
        by_place: Why labels of a file of their own are not joined by id; None where they are, or stand beside the rows.
        of_text: Whether they are stored as text, which may be names.
        of_whole: Whether they are stored as whole numbers, of which a null alone comes as NaN.
        told: Whether anything but the labels says how many classes there are.
    """

    place: str
    inline: str | None
    whole: NDArray[Any] | None
    classes: int
    numbers: Mapping[str, int]
    ignore: str | None
    rows: int | None
    unlabelled: int | None = None
    required: bool = False
    by_id: LabelsById | None = None
    of_text: bool = False
    of_whole: bool = False
    by_place: str | None = None
    told: bool = True

    @classmethod
    def open(
        cls,
        table: Table,
        key: str | None,
        *,
        classes: int,
        class_names: tuple[str, ...] | None,
        ignore: Ignored,
        apart: bool,
        unlabelled: int | None = None,
        required: bool = False,
        by_id: bool = False,
        id_key: str | None = None,
        told: bool = True,
    ) -> "LabelReader":
        """Read labels from a field of `table`, which is the logits' own file or one `apart`.

        Args:
            table: The file.
            key: The field; the usual one by default.
            classes: k.
            class_names: Their names, where known.
            ignore: What rows without a label carry.
            apart: Whether the file holds the labels of another's rows.
            unlabelled: Number that rows without a label carry too.
            required: Whether every row must have one.
            by_id: Whether the rows have ids: labels apart that have ids too are joined by them.
            id_key: Field of the ids in a file apart, where it has one of that name.
            told: Whether k is known, rather than made of the labels themselves.
        """
        key = label_key(table, key, class_names or ())
        table = table if required else where_empty(table, key)
        one = table.fields[key]
        place = f"{table.path}: {shown(key)}" if key else str(table.path)
        if len(one.shape) != 1:
            shape = ", ".join(str(side) for side in one.shape)
            hint = "one-hot labels must be turned into class numbers first"
            if set(one.shape[1:]) <= {1}:
                hint = "save them with one dimension, such as labels.reshape(-1)"
            raise DataError(f"{place} has shape ({shape}), expected one label a row; {hint}")
        if one.kind not in ("int", "float", "text"):
            raise DataError(f"{place} holds {one.stored}, expected class numbers or names")
        numbers = {name: j for j, name in enumerate(class_names or ())}
        ignored = None if ignore is None else str(ignore)
        whole, rows = None, one.shape[0]
        if apart:
            whole = table.read(key)
            rows = whole.shape[0]
            if not rows:
                raise DataError(
                    f"{place}: holds no labels; expected one for each row of the logits"
                )
        reader = cls(
            place,
            None if apart else key,
            whole,
            classes,
            numbers,
            ignored,
            rows,
            unlabelled=unlabelled,
            required=required,
            of_text=one.kind == "text",
            of_whole=one.kind == "int",
            told=told,
        )
        return reader._joined(table, key, id_key, by_id=by_id) if apart else reader

    def _joined(self, table: Table, key: str, id_key: str | None, *, by_id: bool) -> "LabelReader":
        """The same labels, by the ids beside them; as they are where one side has none."""
        if not by_id:
            return replace(self, by_place="the rows have no ids")
        table, own = id_column(table, id_key if id_key in table.fields else None)
        if own is None or own == key:
            return replace(self, by_place="the labels have no ids")
        assert self.whole is not None
        labels = self.labels(None, 0, self.whole.shape[0])
        return replace(self, by_id=LabelsById.of(self.place, table.read(own), labels))

    @property
    def named_by_numbers(self) -> bool:
        """Whether any class name could be taken for a class number."""
        return any(name.isascii() and name.isdigit() for name in self.numbers)

    def paired(self, rows: int | None) -> list[str]:
        """How labels of a file of their own are given to the rows, of which there are so many, in words."""
        if self.by_place is not None:
            return [f"{self.place}: taken in the order of the rows, as {self.by_place}"]
        if self.by_id is None:
            return []
        more = 0 if rows is None else self.by_id.ids.size - rows
        surplus = f"; {more:,} of its {self.by_id.ids.size:,} labels belong to no row"
        return [f"{self.place}: joined by id" + surplus * (more > 0)]

    def remarks(self) -> list[str]:
        """What should be known of the labels before they are read: that rows of a whole class are left out."""
        number = whole_number(self.ignore or "")
        if number is None or not 0 <= number < self.classes:
            return []
        return [
            f"--ignore-label {number} is also the number of a class (they go from 0 to {self.classes - 1}): none of "
            "its rows counts"
        ]

    def check_length(self, rows: int | None, logits_place: str) -> None:
        """Refuse before reading where both lengths are known; labels joined by id may be more than the rows."""
        if self.by_id is None:
            hint = (
                f" (they are joined by id where both sides have ids, but {self.by_place}; --id-key)"
            )
            self._check_pairs(rows, logits_place, hint * (self.by_place is not None))

    def _check_pairs(self, rows: int | None, logits_place: str, hint: str) -> None:
        if rows is not None and self.rows is not None and rows != self.rows:
            if self.rows == self.classes:
                hint = ", a row of logits each: are the logits transposed? save logits.T"
            raise DataError(
                f"{self.place}: has {self.rows:,} labels, {logits_place} has {rows:,} rows of logits; "
                f"they must pair up{hint}"
            )

    def check_end(self, rows: int, logits_place: str) -> None:
        """Refuse once the rows are counted, and their ids known."""
        if self.inline is not None:
            return
        self.check_length(rows, logits_place)
        if self.by_id is not None and self.by_id.only_count:
            hint = ", as their ids only count them, which those of another split do too"
            self._check_pairs(rows, logits_place, hint)

    def labels(
        self, raw: NDArray[Any] | None, start: int, count: int, ids: Ids | None = None
    ) -> Labels:
        """(count,) labels of the rows from `start` on, which have these ids; `NO_LABEL` where ignored."""
        if self.by_id is not None and ids is not None:
            return self.by_id.of_rows(ids, start)
        if raw is None:
            assert self.whole is not None
            raw = self.whole[start : start + count]
            if raw.shape[0] < count:
                raise DataError(
                    f"{self.place}: has {self.whole.shape[0]:,} labels, fewer than there are rows of "
                    "logits; they must pair up"
                )
        numbers, ignored = (
            self._of_text(raw, start) if raw.dtype.kind == "U" else self._of_numbers(raw, start)
        )
        wrong = ~ignored & ((numbers < 0) | (numbers >= self.classes))
        if wrong.any():
            self._refuse(numbers, wrong, start)
        labels: Labels = numbers.astype(np.int64)
        labels[ignored] = NO_LABEL
        return labels

    def _of_numbers(self, raw: NDArray[Any], start: int) -> Told:
        """Of labels that are stored as numbers."""
        floats = raw.dtype.kind == "f"
        # Half precision cannot be held against numbers beyond its own.
        numbers = raw.astype(np.float64) if floats else raw
        ignored = np.zeros(raw.shape, np.bool_)
        for number in self._ignored:
            ignored |= numbers == number
        if not floats:
            return numbers, ignored
        if self.ignore is not None and self.ignore.lower() in ("", "nan"):
            ignored |= np.isnan(numbers)
        wrong = ~ignored & ~((np.abs(numbers) < 2**53) & (numbers == np.floor(numbers)))
        if wrong.any():
            row = int(wrong.argmax())
            missing = np.isnan(numbers[row])
            hint = self._ignoring("") if missing else ""
            got = "empty" if missing and self.of_whole else raw[row]
            raise DataError(
                f"{self.place}: row {start + row} is {got}, expected a whole class number "
                f"0..{self.classes - 1}{hint}"
            )
        return np.where(ignored, NO_LABEL, numbers).astype(np.int64), ignored

    @property
    def _ignored(self) -> tuple[int, ...]:
        """The numbers that rows without a label carry."""
        named = whole_number(self.ignore or "")
        return tuple(number for number in (named, self.unlabelled) if number is not None)

    def _of_text(self, raw: NDArray[Any], start: int) -> Told:
        """Of labels that are stored as text, names or numbers."""
        by_name_only, unlabelled = self.named_by_numbers, self._ignored
        numbers, ignored = [NO_LABEL] * raw.size, np.ones(raw.shape, np.bool_)
        for i, text in enumerate(raw.tolist()):
            if text == self.ignore:
                continue
            number = self.numbers.get(text)
            # Where a class name is itself a number, "3" could be a name or a number: it is a name.
            if number is None and not by_name_only:
                number = whole_number(text)
                if number in unlabelled:
                    continue
            if number is None:
                raise self._no_label(text, start + i, by_name_only)
            numbers[i], ignored[i] = number, False
        return whole_numbers(numbers), ignored

    def _no_label(self, text: str, row: int, by_name_only: bool) -> DataError:
        """What is said of a text that is no label."""
        known = (
            f"one of the {self.classes} class names or a class number 0..{self.classes - 1}"
            if self.numbers and not by_name_only
            else f"one of the {self.classes} class names, which are numbers themselves"
            if self.numbers
            else f"a class number{f' 0..{self.classes - 1}' if self.told else ''} (no class names are known; they come with named counts, --counts, or with the model)"
        )
        guess = near_miss(text, tuple(self.numbers))
        hint = "" if guess else self._ignoring(text)
        got = shown(text) if text else "empty"
        return DataError(
            f"{self.place}: row {row} is {got}, expected {known}{hint}{guess and '.' + guess}"
        )

    def _ignoring(self, text: str) -> str:
        """How to say that such rows have no label, where they may have none."""
        if self.ignore is not None or self.required:
            return ""
        if not text:
            return "; if such rows have no label, say --ignore-label ''"
        if len(text) > 60 or not text.isprintable():
            return "; rows without a label are named with --ignore-label"
        return f"; if {shown(text)} means 'no label', say --ignore-label {shlex.quote(text)}"

    def _refuse(self, labels: NDArray[Any], wrong: NDArray[np.bool_], start: int) -> None:
        row = int(wrong.argmax())
        values = np.unique(labels[wrong])
        if self.required:
            raise DataError(
                f"{self.place}: row {start + row} is {labels[row]}, expected a class, 0..{self.classes - 1}; every "
                "row needs a prediction, so mend it or drop the row"
            )
        more = int(wrong.sum()) - 1
        spread = f", {values[0]}..{values[-1]}" if values.size > 1 else ""
        others = f" (and at least {more:,} more{spread})" if more else ""
        hint = "labels must number the columns of the logits"
        if self.ignore is None and values.size == 1:
            hint = f"if {values[0]} means 'no label', say --ignore-label {values[0]}"
        if values.size == 1 and values[0] == self.classes:
            hint = f"if the labels run 1..{self.classes}, subtract 1 first"
        raise DataError(
            f"{self.place}: row {start + row} has label {labels[row]}, expected "
            f"0..{self.classes - 1}{others}; {hint}"
        )
