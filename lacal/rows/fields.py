"""Which field of a file plays which part: stated rules, and a name for every part.

- logits: the field asked for; else `logits`; else the only field of two dimensions of numbers; else,
  in a table, every numeric column that is neither label nor id is one class (`logit_` and `logits_`
  prefixes are dropped from the class names). `PREFIX*` asks for the columns that begin with PREFIX.
- labels: the field asked for; else `label` or `labels`; else none.
- ids: the field asked for; else `id` or `ids`; else none.
"""

import re

from lacal.classes.counts_text import MOST_CLASSES
from lacal.classes.names import class_numbers, near_miss, shown
from lacal.errors import DataError
from lacal.formats import Field, Table
from lacal.formats.table import Untyped

LOGITS_NAMES = ("logits",)
LABEL_NAMES = ("label", "labels")
ID_NAMES = ("id", "ids")
ADJUSTED_PREFIX = "adjusted_"
CLASS_PREFIXES = ("logits_", "logit_")
FRACTION = re.compile(r"\s*[+-]?\d*\.\d+([eE][+-]?\d+)?\s*", re.ASCII)


def field_named(table: Table, asked: str | None, usual: tuple[str, ...], option: str) -> str | None:
    """The field asked for, or the one with a usual name, or None."""
    if asked is not None:
        if asked not in table.fields:
            raise DataError(
                f"{table.path}: has no field {shown(asked)} ({option}); it has {_listed(table)}"
            )
        return asked
    found = [name for name in table.fields if name.lower() in usual]
    if len(found) > 1:
        raise DataError(
            f"{table.path}: both {shown(found[0])} and {shown(found[1])} could be meant; "
            f"choose one with {option}"
        )
    return found[0] if found else None


def skipped(table: Table, names: tuple[str, ...]) -> tuple[str, ...]:
    """The fields to leave out, of those that are there; a name that is nearly one is a mistake.

    Of two files that a command reads only one may have the field.
    """
    for name in names:
        guess = "" if name in table.fields else near_miss(name, tuple(table.fields))
        if guess:
            raise DataError(
                f"{table.path}: has no field {shown(name)} (--skip-key); it has {_listed(table)}.{guess}"
            )
    return names


def logits_fields(table: Table, asked: str | None, taken: set[str | None]) -> tuple[Field, ...]:
    """The one field (n, k) of the logits, or the k fields (n,) of one column a class."""
    fields = table.fields
    if asked is not None and not asked.endswith("*"):
        if asked not in fields:
            raise DataError(
                f"{table.path}: has no field {shown(asked)} (--logits-key); it has {_listed(table)}"
            )
        return (_two_dimensional(table, fields[asked]),)
    fields = {name: one for name, one in fields.items() if name not in taken}
    if asked is not None:
        chosen = [one for one in fields.values() if one.name.startswith(asked[:-1])]
        return _class_columns(table, chosen, asked)
    for name in LOGITS_NAMES:
        if name in fields and len(fields[name].shape) != 1:
            return (_two_dimensional(table, fields[name]),)
    if len(fields) == 1 and len(next(iter(fields.values())).shape) != 1:
        return (_two_dimensional(table, next(iter(fields.values()))),)
    matrices = [f for f in fields.values() if len(f.shape) == 2 and f.kind in ("float", "int")]
    if len(matrices) == 1:
        return (_two_dimensional(table, matrices[0]),)
    if len(matrices) > 1:
        raise DataError(
            f"{table.path}: several fields could be the logits; choose one with --logits-key; "
            f"it has {_listed(table)}"
        )
    columns = [one for one in fields.values() if len(one.shape) == 1]
    prefixed = [one for one in columns if one.name.startswith(CLASS_PREFIXES)]
    return _class_columns(table, prefixed or columns, None)


def check_id_field(table: Table, name: str) -> None:
    """Refuse ids that are not one number or text a row."""
    one = table.fields[name]
    if len(one.shape) != 1 or one.kind not in ("int", "float", "text"):
        raise DataError(
            f"{table.path}: {_called(one)} is {one.stored} of shape {_shape(one)}, so it cannot be the "
            "ids; expected one number or text a row; name another field with --id-key"
        )


def id_column(table: Table, asked: str | None) -> tuple[Table, str | None]:
    """The field of the ids, where there is one, and the table that gives them as they stand: "007" is not 7."""
    name = field_named(table, asked, ID_NAMES, "--id-key")
    if name is None:
        return table, None
    check_id_field(table, name)
    return (table.as_text(name) if isinstance(table, Untyped) else table), name


def _two_dimensional(table: Table, one: Field) -> Field:
    if one.kind not in ("float", "int"):
        raise DataError(
            f"{table.path}: {_called(one)} holds {one.stored}, expected numbers (n, classes)"
        )
    if len(one.shape) != 2:
        raise DataError(
            f"{table.path}: {_called(one)} has shape {_shape(one)}, expected two dimensions "
            "(n, classes)"
        )
    if one.shape[1] is not None and one.shape[1] < 2:
        raise DataError(
            f"{table.path}: {_called(one)} has {one.shape[1]} class, expected at least 2"
        )
    if one.shape[0] == 0:
        raise DataError(f"{table.path}: {_called(one)} holds no rows; expected at least one")
    if one.shape[1] is None:  # the first row tells how long a list is
        raise DataError(
            f"{table.path}: {_called(one)} is empty (null) in row 0, so its number of classes is not known; fill it"
        )
    refuse_too_wide(table, one)
    return one


def refuse_too_wide(table: Table, one: Field) -> None:
    """Refuse more numbers a row than there can be classes: room for them is made before any row is read."""
    if one.shape[1] is not None and one.shape[1] > MOST_CLASSES:
        raise DataError(
            f"{table.path}: {_called(one)} has {one.shape[1]:,} classes, expected at most {MOST_CLASSES:,}; it is no "
            "field of a number a class, or the file is damaged: write it again"
        )


def _class_columns(table: Table, chosen: list[Field], asked: str | None) -> tuple[Field, ...]:
    """One column a class; a column of text among them is a mistake, not a class."""
    numeric = [one for one in chosen if one.kind in ("float", "int")]
    text = [one for one in chosen if one.kind not in ("float", "int")]
    if len(numeric) < 2:
        wanted = f"columns {shown(asked)}" if asked else "logits"
        raise DataError(
            f"{table.path}: found no {wanted}: expected a field of two dimensions or a column for "
            f"each of at least 2 classes; it has {_listed(table)}; name it with --logits-key{_other_file(table)}"
        )
    if text and {"prediction", "label"} <= {name.lower() for name in table.fields} and not asked:
        raise DataError(
            f"{table.path}: holds predictions, not logits; give the logits that they were made of"
        )
    if text:
        raise DataError(
            f"{table.path}: column {shown(text[0].name)} holds {text[0].stored}, so the columns are "
            f"not all logits; {_named_by_values(numeric)}leave it out with --skip-key, name it with --id-key or "
            "--label-key, or choose the logits with --logits-key 'PREFIX*'"
        )
    if chosen[0].shape[0] == 0:
        raise DataError(f"{table.path}: holds no rows; expected at least one")
    return tuple(numeric)


def _named_by_values(columns: list[Field]) -> str:
    """A word about columns whose names are logits rather than names: the first row stands for a header."""
    fractions = [one.name for one in columns if FRACTION.fullmatch(one.name)]
    if not fractions:
        return ""
    return f"is {shown(fractions[0])} the name of a column, or has the file no header line? "


def _other_file(table: Table) -> str:
    """A word about counts, and about predictions that go by another name than `prediction`."""
    if {"class", "count"} <= {name.lower() for name in table.fields}:
        return "; is it the file of class counts? that is for --counts"
    if not any("pred" in name.lower() for name in table.fields):
        return ""
    return "; a predictions file holds the columns `label` and `prediction`: rename them so"


def own_names(table: Table, fields: tuple[Field, ...]) -> tuple[str, ...] | None:
    """Names of the classes from the file itself; None where the columns are just numbered."""
    if len(fields) == 1:
        return table.class_names
    names = [one.name for one in fields]
    for prefix in CLASS_PREFIXES:
        if all(name.startswith(prefix) for name in names):
            names = [name.removeprefix(prefix) for name in names]
    return tuple(names) if class_numbers(names) is None else None


def refuse_text_order(place: str, fields: tuple[Field, ...], *, by_name: bool) -> None:
    """Refuse numbered columns out of order: whoever counts classes by number would mean others than the columns do.

    Args:
        place: The file, for messages.
        fields: As `logits_fields` found them.
        by_name: Whether labels and training counts name their classes as the columns do, so that no number matters.
    """
    names = [one.name for one in fields]
    numbers = _numbers_within(names)
    if numbers == sorted(numbers) or (by_name and class_numbers(names) is None):
        return
    at = next(j for j, number in enumerate(sorted(numbers)) if numbers[j] != number)
    raise DataError(
        f"{place}: class columns are numbered but not in order (column {shown(names[at])} is number {at + 1} of "
        f"them; sorted as text?); put them in the order {min(numbers)}, {min(numbers) + 1}, {min(numbers) + 2}, ..."
    )


def _numbers_within(names: list[str]) -> list[int]:
    """The numbers of names that differ in a number alone and count from 0 or 1; none where they do not.

    Example:
        >>> _numbers_within(["p[0]", "p[10]", "p[1]"])  # 2..9 are missing: these are names
        []
        >>> _numbers_within(["class_1", "class_0"])
        [1, 0]
    """
    before = len(_begin_alike(names).rstrip("0123456789"))
    after = len(_begin_alike([name[::-1] for name in names]).rstrip("0123456789"))
    inner = [name[before : len(name) - after] for name in names]
    if not all(re.fullmatch("[0-9]{1,9}", one) for one in inner):
        return []
    numbers = [int(one) for one in inner]
    first = min(numbers)
    return (
        numbers if first <= 1 and sorted(numbers) == list(range(first, first + len(names))) else []
    )


def _begin_alike(names: list[str]) -> str:
    """What all of them begin with."""
    least, most = min(names), max(names)
    unlike = (j for j, (one, other) in enumerate(zip(least, most, strict=False)) if one != other)
    return least[: next(unlike, len(least))]


def refuse_adjusted(place: str, one: Field) -> None:
    """Refuse what `lacal adjust` wrote: adjusting twice over-corrects."""
    if one.name.startswith(ADJUSTED_PREFIX):
        raise DataError(
            f"{place}: {shown(one.name)} is what lacal wrote after an adjustment: it is adjusted already, and adjusting "
            "twice over-corrects; give the original logits, or say --force-adjust"
        )


def width(fields: tuple[Field, ...]) -> int:
    """Number of classes, k."""
    width = fields[0].shape[1] if len(fields) == 1 else len(fields)
    assert width is not None  # readers know the width of every two-dimensional field
    return width


def _called(one: Field) -> str:
    return f"field {shown(one.name)}" if one.name else "the array"


def _shape(one: Field) -> str:
    return "(" + ", ".join("?" if side is None else str(side) for side in one.shape) + ")"


def _listed(table: Table) -> str:
    if list(table.fields) == [""]:
        return f"one array of shape {_shape(table.fields[''])}"
    some = [
        f"{shown(one.name)} {'' if one.shape == (None,) else _shape(one) + ' '}{one.stored}"
        for one in table.fields.values()
    ]
    return ", ".join(some[:8]) + (f" and {len(some) - 8} more" if len(some) > 8 else "")
