"""Training class counts from a file: where they stand in each format.

- .json: a list (class order), an object {class: count}, or {"class_counts": [...], "class_names": [...]}.
- .csv: columns `class` and `count`, and `name` where the classes are numbered.
- .npy, .npz, .safetensors, .pt, .parquet: a field `class_counts`, `train_counts` or `counts` of k
  numbers, or a field `train_labels` or `labels_train`, which is counted.
- .txt: the long-tail field's list files, one `relative/path label` a line, split from the right.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.classes.class_counts import Counts, checked_counts, in_class_order
from lacal.classes.counts_text import (
    COUNTS,
    KEY_FIELDS,
    MOST_CLASSES,
    SHARES,
    Wanted,
    csv_counts,
    json_counts,
    key_columns,
    list_file_counts,
)
from lacal.classes.names import shown
from lacal.errors import DataError
from lacal.formats import Table, open_table

LABEL_FIELDS = ("train_labels", "labels_train")
ALL_LABEL_FIELDS = (*LABEL_FIELDS, "labels", "label")


def read_shares(path: Path) -> Counts:
    """Read a file of class shares, or of counts to be taken as such."""
    return read_counts(path, wanted=SHARES)


def read_counts(
    path: Path, *, key: str | None = None, from_labels: bool = False, wanted: Wanted = COUNTS
) -> Counts:
    """Read a counts file.

    Args:
        path: The file.
        key: Field to read, where the file has several.
        from_labels: The field holds training labels to be counted.
        wanted: What it holds.
    """
    counts = _from_text(path, key, from_labels, wanted)
    if counts is not None:
        return _counted(counts) if from_labels and not counts.counted else counts
    table = open_table(path)
    field = key or _first_of(table, ALL_LABEL_FIELDS if from_labels else wanted.fields)
    if field is None and not from_labels:
        field = _first_of(table, LABEL_FIELDS)
        from_labels = field is not None
    field = field if field is not None else _only(table, wanted)
    if field not in table.fields:
        raise DataError(
            f"{path}: has no field {shown(field)} (--counts-key); it has {_listed(table)}"
        )
    values = table.read(field)
    if values.dtype.kind == "U":
        values = _parsed(values, path)
    if from_labels:
        return Counts(path, np.bincount(_training_labels(values, path)), counted=True)
    return in_class_order(path, values, _keys(table, field, wanted), table.class_names)


def _counted(labels: Counts) -> Counts:
    """Training labels that were read as if they were counts, counted."""
    values = np.bincount(_training_labels(labels.values, labels.path))
    return Counts(labels.path, values, counted=True)


def _from_text(path: Path, key: str | None, from_labels: bool, wanted: Wanted) -> Counts | None:
    """What the small text formats hold, or None where the file is a table like any other."""
    match path.suffix.lower():
        case ".json":
            return json_counts(path, wanted)
        case ".txt":
            return list_file_counts(path)
        case ".csv" | ".tsv" if not from_labels:
            return csv_counts(path, key, wanted)
        case _:
            return None


def _keys(table: Table, field: str, wanted: Wanted) -> list[list[str]]:
    """The columns that may name the classes, beside the counts."""
    rows = table.fields[field].shape
    beside = {
        name: [str(value) for value in table.read(name)]
        for name, one in table.fields.items()
        if name != field
        and one.shape == rows
        and (one.kind in ("int", "text") or name.lower() in KEY_FIELDS)
    }
    return key_columns(table.path, beside, wanted)


def _parsed(values: NDArray[np.str_], path: Path) -> NDArray[np.float64]:
    """Lines of a text file as numbers."""
    try:
        return values.astype(np.float64)
    except ValueError:
        raise DataError(
            f"{path}: holds text where numbers were expected, one count (or one training label as a class "
            "number) a line; for classes by name write a table of class,count"
        ) from None


def _training_labels(values: NDArray[Any], path: Path) -> NDArray[np.int64]:
    labels = checked_counts(values, str(path), "label")
    if not labels.size or labels.max() > MOST_CLASSES:
        largest = labels.max() if labels.size else "none"
        raise DataError(f"{path}: expected training labels 0..{MOST_CLASSES:,}; got {largest}")
    return labels.astype(np.int64)


def _first_of(table: Table, usual: tuple[str, ...]) -> str | None:
    return next((name for name in table.fields if name.lower() in usual), None)


def _only(table: Table, wanted: Wanted) -> str:
    if len(table.fields) == 1:
        return next(iter(table.fields))
    numeric = [
        one.name
        for one in table.fields.values()
        if one.kind in ("int", "float")
        and len(one.shape) == 1
        and one.name.lower() not in KEY_FIELDS
    ]
    if wanted.only and len(numeric) == 1:
        return numeric[0]
    headless = any(map(str.isdecimal, table.fields))
    hint = f"; or has the file no header? write `class,{wanted.what}` as its first line" * headless
    raise DataError(
        f"{table.path}: which field holds the {wanted.what}s? it has {_listed(table)}; {wanted.hint}{hint}"
    )


def _listed(table: Table) -> str:
    return ", ".join(shown(name) for name in list(table.fields)[:12])
