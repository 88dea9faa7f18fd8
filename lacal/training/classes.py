"""Which class every example is of: labels of several files, as numbers of one order of classes.

The order is that of `class_names` in a file's metadata, else of the counts file; else labels are the numbers
themselves, or names in natural order. Nothing is sorted as text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.batch import Labels
from lacal.classes.class_counts import Counts, checked_counts
from lacal.classes.names import agree, check_distinct, near_miss, shown, some_classes
from lacal.errors import DataError
from lacal.formats import Table
from lacal.formats.parts import natural_key
from lacal.formats.shown import place
from lacal.rows.labels import LabelReader


@dataclass(frozen=True, slots=True)
class RawLabels:
    """Labels of a file as it spells them.

    Attributes:
        place: File and field, for messages.
        file: The file, for messages.
        numbers: (n,) class numbers, or places in `words`.
        words: What the labels are, each once; None where they are numbers.
        names: Of all classes, in the file's own metadata.
    """

    place: str
    file: str
    numbers: Labels
    words: tuple[str, ...] | None
    names: tuple[str, ...] | None

    @classmethod
    def of(cls, table: Table, key: str) -> "RawLabels":
        """Read a field.

        Raises:
            DataError: It is not one label a row, or a label is missing.
        """
        # The field's shape and kind
        reader = LabelReader.open(table, key, classes=1, class_names=None, ignore=None, apart=False)
        file, raw, names = place(table.path), table.read(key), table.class_names
        if names is not None:
            check_distinct(names, file)
        if raw.dtype.kind != "U":
            return cls(reader.place, file, _whole(raw, reader.place), None, names)
        words, at = np.unique(raw, return_inverse=True)
        if words.size and words[0] == "":
            row = int((raw == "").argmax())
            raise DataError(f"{reader.place}: row {row:,} has no label; leave out rows without one")
        return cls(reader.place, file, at.astype(np.int64), tuple(map(str, words)), names)

    @property
    def in_digits(self) -> NDArray[np.int64] | None:
        """(m,) the words as whole numbers, where all are."""
        words = self.words or ()
        if not all(one.isascii() and one.isdigit() and len(one) < 18 for one in words):
            return None
        return np.array([int(one) for one in words], np.int64)


@dataclass(frozen=True, slots=True)
class Classes:
    """The classes of a training run.

    Attributes:
        count: k, at least 2.
        names: In class order, where they have any.
        sorted_words: Whether the names are words of the labels put in natural order.
        said: Where the order comes from, in words.
    """

    count: int
    names: tuple[str, ...] | None
    sorted_words: bool
    said: str

    def numbered(self, raw: RawLabels) -> Labels:
        """(n,) the labels as numbers 0..k-1.

        Raises:
            DataError: One is of no class; the row is named.
        """
        if raw.words is None:
            if self.sorted_words and raw.names is None:
                raise DataError(
                    f"{raw.place}: holds class numbers, but the training labels are names, which have no order of "
                    "their own; give names, or class_names in class order"
                )
            return self._checked(raw.numbers, raw)
        values = raw.in_digits
        if self.names is None or (values is not None and not set(raw.words) & set(self.names)):
            if values is None:
                row = self._first(raw, [not one.isdigit() for one in raw.words])
                raise DataError(
                    f"{raw.place}: row {row:,} is {shown(raw.words[raw.numbers[row]])}, but the training labels are "
                    "class numbers; give numbers, or class_names in class order"
                )
            return self._checked(values[raw.numbers], raw)
        number = {name: j for j, name in enumerate(self.names)}
        strange = [one not in number for one in raw.words]
        if any(strange):
            row = self._first(raw, strange)
            word = raw.words[raw.numbers[row]]
            raise DataError(
                f"{raw.place}: row {row:,} is {shown(word)}, which is none of the {self.count:,} classes "
                f"({some_classes(range(self.count), self.names)}).{near_miss(word, self.names)}"
            )
        return np.array([number[one] for one in raw.words], np.int64)[raw.numbers]

    @staticmethod
    def _first(raw: RawLabels, wrong: list[bool]) -> int:
        return int(np.array(wrong)[raw.numbers].argmax())

    def _checked(self, labels: Labels, raw: RawLabels) -> Labels:
        wrong = labels >= self.count
        if wrong.any():
            row = int(wrong.argmax())
            hint = ""
            if labels.max() == self.count and labels.min() == 1:
                hint = f"; if the labels run 1..{self.count}, subtract 1 first"
            raise DataError(
                f"{raw.place}: row {row:,} has label {labels[row]}, expected 0..{self.count - 1}{hint}"
            )
        return labels


def settle_classes(train: RawLabels, others: Sequence[RawLabels], counts: Counts | None) -> Classes:
    """The classes of the training labels.

    Args:
        train: Labels of the training file.
        others: Those of validation and test, for the names in their metadata.
        counts: The counts file, where there is one.

    Raises:
        DataError: Names or numbers of classes disagree, or there is one class only.
    """
    sources = [(train.file, train.names)]
    if counts is not None:
        checked_counts(counts.values, str(counts.path))
        if counts.names is not None:
            check_distinct(counts.names, str(counts.path))
        sources.append((str(counts.path), counts.names))
    sources += [(one.file, one.names) for one in others]
    named = [(where, names) for where, names in sources if names is not None]
    for where, names in named[1:]:
        agree(named[0][1], named[0][0], names, where)
    if named:
        where, names = named[0]
        classes = Classes(len(names), names, False, f"class names of {where}")
    else:
        classes = _without_names(train, counts)
        check_distinct(classes.names or (), train.place)
    if classes.count < 2:
        raise DataError(f"{train.place}: knows one class only; expected at least two to tell apart")
    return classes


def class_counts_of(labels: Labels, classes: Classes, place: str) -> NDArray[np.int64]:
    """(k,) examples of each class.

    Raises:
        DataError: A class has none.
    """
    present = np.unique(labels)
    lacking = classes.count - present.size
    if not lacking:
        return np.bincount(labels, minlength=classes.count)
    # A number mistyped for a class, such as 10**9, must not cost an array of that length.
    few = np.arange(min(classes.count, present.size + 6))
    missing = np.setdiff1d(few, present).tolist()
    hint = "add some, or leave such classes out and number the rest anew"
    if lacking == 1 and missing == [0] and classes.names is None:
        hint = f"if the labels run 1..{classes.count - 1}, subtract 1 first"
    raise DataError(
        f"{place}: has no training example of {lacking:,} of {classes.count:,} classes "
        f"({some_classes(missing, classes.names)}); {hint}"
    )


def check_counts(
    counts: Counts, found: Sequence[NDArray[np.int64]], classes: Classes, place: str
) -> None:
    """Refuse a counts file that agrees with none of the counts that were found.

    Args:
        counts: The file.
        found: (k,) counts of the whole file, and of what was cut from it.
        classes: What the counts are of.
        place: The training data, for messages.

    Raises:
        DataError: They disagree; the first classes that do are named.
    """
    given = checked_counts(counts.values, str(counts.path))
    if counts.counted:  # labels of a file in which the last classes may not occur
        given = np.pad(given, (0, max(0, classes.count - given.size)))
    if given.size != classes.count:
        raise DataError(
            f"{counts.path}: has counts of {given.size:,} classes, {place} has {classes.count:,}; they must be of "
            "the same data"
        )
    if any(np.array_equal(given, one) for one in found):
        return
    wrong = np.flatnonzero(given != found[0])
    some = ", ".join(
        f"{some_classes([j], classes.names)} {given[j]:,} here and {found[0][j]:,} there"
        for j in wrong[:3].tolist()
    )
    raise DataError(
        f"{counts.path}: disagrees with the labels of {place} on {wrong.size:,} of {classes.count:,} classes "
        f"({some}); give the counts of these data, or leave out --counts"
    )


def _without_names(train: RawLabels, counts: Counts | None) -> Classes:
    numbers = train.numbers if train.words is None else train.in_digits
    # Words that are numbers from 0 on are class numbers; from another number on they are names.
    if train.words is None or (numbers is not None and 0 in numbers):
        assert numbers is not None
        count = int(numbers.max(initial=-1)) + 1
        if counts is not None and not counts.counted:
            count = max(count, counts.values.size)
        return Classes(count, None, False, "the labels' numbers")
    names = tuple(sorted(train.words, key=lambda word: natural_key(Path(word))))
    return Classes(len(names), names, True, "names of the labels in natural order")


def _whole(raw: NDArray[Any], where: str) -> Labels:
    if raw.dtype.kind == "i" and raw.size and raw.min() < 0:
        row = int((raw < 0).argmax())
        raise DataError(
            f"{where}: row {row:,} has label {raw[row]}, expected class numbers from 0; if {raw[row]} means 'no "
            "label', leave out such rows"
        )
    return checked_counts(raw, where, "label")
