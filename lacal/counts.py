"""Training class counts from a file: where they stand, in which class order, and what they may be.

- .json: a list (class order), an object {class: count}, or {"class_counts": [...], "class_names": [...]}.
- .csv: columns `class` and `count`, and `name` where the classes are numbered.
- .npy, .npz, .safetensors, .pt, .parquet: a field `class_counts`, `train_counts` or `counts` of k
  numbers, or a field `train_labels` or `labels_train`, which is counted.
- .txt: the long-tail field's list files, one `relative/path label` a line, split from the right.

Keys 0..k-1 place their counts by number, in whatever order they stand; they are never sorted as text.
Other keys are class names in class order, and must agree with the names that come with the logits.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.errors import DataError
from lacal.formats import Table, open_table
from lacal.formats.text import read_text
from lacal.names import agree, check_distinct, class_numbers, shown
from lacal.prior import LabelPrior, ZeroCount

COUNT_FIELDS = ("class_counts", "train_counts", "counts", "count")
LABEL_FIELDS = ("train_labels", "labels_train")
MOST_CLASSES = 10_000_000
KEY_FIELDS = ("class", "class_name", "class_names", "label", "name")


@dataclass(frozen=True, slots=True)
class Counts:
    """A counts file as read, before it is held against the logits.

    Attributes:
        path: The file.
        values: One number a class, unchecked.
        names: Class names in the same order, where the file has them.
        counted: Whether the values were counted from training labels.
    """

    path: Path
    values: NDArray[Any]
    names: tuple[str, ...] | None = None
    counted: bool = False

    def prior(
        self,
        *,
        classes: int | None = None,
        class_names: tuple[str, ...] | None = None,
        logits_place: str = "the logits",
        zero_count: ZeroCount | None = None,
    ) -> LabelPrior:
        """The checked prior, in the order and number of the logits' classes.

        Args:
            classes: Number of logits a row; None where it is not known.
            class_names: Names that came with the logits, where they did.
            logits_place: The logits, for messages.
            zero_count: What to do with zeros; an error by default.
        """
        place = str(self.path)
        whole = checked_counts(self.values, place)
        if self.counted and classes is not None:
            whole = np.pad(whole, (0, max(0, classes - whole.size)))
        if classes is not None and whole.size != classes:
            hint = "they must be of the same model"
            if not self.counted and self.names is None and whole.size > 2 * classes:
                hint = "if these are training labels rather than counts, say --counts-from-labels"
            raise DataError(
                f"{place}: has {whole.size} counts, {logits_place} has {classes} classes; {hint}"
            )
        if self.names is not None:
            check_distinct(self.names, place)
        names = agree(class_names, logits_place, self.names, place)
        return LabelPrior(whole, names, zero_count or ZeroCount())


def read_counts(path: Path, *, key: str | None = None, from_labels: bool = False) -> Counts:
    """Read a counts file.

    Args:
        path: The file.
        key: Field to read, where the file has several.
        from_labels: The field holds training labels to be counted.
    """
    reader = _TEXT_READERS.get(path.suffix.lower())
    counts = reader(path) if reader is not None else None
    if counts is not None:
        return counts
    table = open_table(path)
    field = key or _first_of(table, COUNT_FIELDS)
    if field is None and not from_labels:
        field = _first_of(table, LABEL_FIELDS)
        from_labels = field is not None
    field = field if field is not None else _only(table)
    if field not in table.fields:
        raise DataError(
            f"{path}: has no field {shown(field)} (--counts-key); it has {_listed(table)}"
        )
    values = table.read(field)
    if values.dtype.kind == "U":
        values = _parsed(values, path)
    if from_labels:
        return Counts(path, np.bincount(_training_labels(values, path)), counted=True)
    return _in_class_order(path, values, _keys(table, field), table.class_names)


def checked_counts(counts: NDArray[Any], place: str, what: str = "count") -> NDArray[np.int64]:
    """Whole numbers >= 0, one a class (or labels, one a row); the first that is not one is named."""
    if counts.ndim != 1:
        raise DataError(f"{place}: {what}s have {counts.ndim} dimensions, expected one")
    if counts.dtype.kind not in "iuf":
        raise DataError(f"{place}: {what}s are {counts.dtype}, expected whole numbers")
    values = counts.astype(np.float64)
    finite = np.where(np.isfinite(values), values, 0.0)
    for wrong, why in (
        (~np.isfinite(values), "is not finite"),
        (values < 0, "is negative"),
        (finite != np.floor(finite), "is no whole number"),
        (values >= 2**53, "is too large"),
    ):
        if wrong.any():
            at = int(wrong.argmax())
            hint = ""
            if why == "is no whole number" and abs(values.sum() - 1) < 1e-6:
                hint = "; they sum to 1 as a prior does: give the numbers of training examples"
            raise DataError(
                f"{place}: {what} {at} {why}: got {counts[at]}, expected a whole number from 0{hint}"
            )
    if what == "count" and not values.any():
        raise DataError(f"{place}: every count is 0; expected training examples per class")
    return values.astype(np.int64)


def _keys(table: Table, field: str) -> list[list[str]]:
    """The columns that may name the classes, beside the counts."""
    rows = table.fields[field].shape
    return [
        [str(value) for value in table.read(name)]
        for name, one in table.fields.items()
        if name.lower() in KEY_FIELDS and name != field and one.shape == rows
    ]


def _in_class_order(
    path: Path, values: NDArray[Any], keys: list[list[str]], names: tuple[str, ...] | None = None
) -> Counts:
    """Numbered keys place their counts, other keys name them."""
    order: list[int] | None = None
    for column in keys:
        numbers = class_numbers(column)
        if numbers is not None:
            order = np.argsort(numbers).tolist()
        else:
            _refuse_text_order(column, str(path))
            names = tuple(column)
    if order is not None:
        values = values[order]
        names = None if names is None else tuple(names[j] for j in order)
    return Counts(path, values, names)


def _refuse_text_order(keys: list[str], place: str) -> None:
    """Whole-number keys that are not 0..k-1 and stand in text order: nobody can tell the classes."""
    if len(keys) > 10 and all(key.isascii() and key.isdigit() for key in keys):
        numbers = [int(key) for key in keys]
        if keys == sorted(keys) and numbers != sorted(numbers):
            raise DataError(
                f"{place}: class keys are numbers sorted as text ({', '.join(keys[:4])}, ...), which "
                "gives priors to the wrong classes; write them in class order, or number them 0..k-1"
            )


def _parsed(values: NDArray[np.str_], path: Path) -> NDArray[np.float64]:
    """Lines of a text file as numbers."""
    try:
        return values.astype(np.float64)
    except ValueError:
        raise DataError(
            f"{path}: holds lines that are no numbers, expected one count a line"
        ) from None


def _training_labels(values: NDArray[Any], path: Path) -> NDArray[np.int64]:
    labels = checked_counts(values, str(path), "label")
    if not labels.size or labels.max() > MOST_CLASSES:
        largest = labels.max() if labels.size else "none"
        raise DataError(f"{path}: expected training labels 0..{MOST_CLASSES:,}; got {largest}")
    return labels.astype(np.int64)


def _json_counts(path: Path) -> Counts:
    try:
        value = json.loads(
            read_text(path), object_pairs_hook=_without_twins, parse_constant=_no_constant
        )
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: is not JSON that can be read ({str(error)[:80]})") from error
    if isinstance(value, dict) and isinstance(value.get("class_counts"), list):
        names = value.get("class_names")
        if names is not None and not (
            isinstance(names, list) and all(isinstance(name, str) for name in names)
        ):
            raise DataError(f"{path}: class_names must be a list of texts")
        counts = _json_numbers(value["class_counts"], path)
        if names is not None and len(names) != counts.size:
            raise DataError(f"{path}: has {counts.size} class_counts and {len(names)} class_names")
        return Counts(path, counts, None if names is None else tuple(names))
    if isinstance(value, list):
        return Counts(path, _json_numbers(value, path))
    if isinstance(value, dict):
        return _in_class_order(path, _json_numbers(list(value.values()), path), [list(value)])
    raise DataError(f"{path}: holds no counts, expected a list or an object {{class: count}}")


def _json_numbers(values: list[Any], path: Path) -> NDArray[np.float64]:
    for at, value in enumerate(values):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > 1e300:
            raise DataError(
                f"{path}: the count of class {at} is {shown(str(value)[:80])}, expected a whole number"
            )
    return np.array(values, np.float64)


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = dict(pairs)
    if len(keys) != len(pairs):
        raise ValueError("a key occurs twice")
    return keys


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a count")


def _list_file_counts(path: Path) -> Counts | None:
    """Labels of `relative/path label` lines, counted; None for a plain column of numbers."""
    lines = [line for line in read_text(path).splitlines() if line.strip()]
    if not lines or len(lines[0].rsplit(maxsplit=1)) < 2:
        return None
    labels = np.empty(len(lines), np.int64)
    for row, line in enumerate(lines):
        label = line.rsplit(maxsplit=1)[-1]
        if not (
            label.isascii() and label.isdigit() and len(label) < 9 and int(label) <= MOST_CLASSES
        ):
            raise DataError(
                f"{path}: line {row + 1} ends in {shown(label)}, expected `relative/path label` with a "
                f"class number 0..{MOST_CLASSES:,}"
            )
        labels[row] = int(label)
    return Counts(path, np.bincount(labels), counted=True)


_TEXT_READERS: dict[str, Callable[[Path], Counts | None]] = {
    ".json": _json_counts,
    ".txt": _list_file_counts,
}


def _first_of(table: Table, usual: tuple[str, ...]) -> str | None:
    return next((name for name in table.fields if name.lower() in usual), None)


def _only(table: Table) -> str:
    if len(table.fields) == 1:
        return next(iter(table.fields))
    raise DataError(
        f"{table.path}: which field holds the counts? it has {_listed(table)}; name it with --counts-key"
    )


def _listed(table: Table) -> str:
    return ", ".join(shown(name) for name in list(table.fields)[:12])
