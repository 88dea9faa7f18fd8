"""A file that puts classes into groups: a table of class,group, or a JSON object {class: group}.

Classes are named, or numbered 0..k-1; where names are known that are numbers themselves, a key is a name.
"""

from pathlib import Path

from lacal.classes.names import class_numbers, near_miss, shown, some_classes
from lacal.errors import DataError
from lacal.formats.text import csv_lines, read_text, strict_json

CLASS_FIELDS = ("class", "class_name", "label", "name")
GROUP_FIELDS = ("group", "groups")
# Heads of the names of measures: `worst_class.recall` is no recall of a group.
RESERVED = ("all", "calibration", "class", "worst_class", "worst_tenth")
LONGEST = 60
MOST_GROUPS = 50  # rows of a table, panels of a page


def read_groups(path: Path) -> dict[str, str]:
    """Class -> group, in the file's order.

    Raises:
        DataError: A class stands there twice or without a group, or a group's name could not be told from
            the names of measures.
    """
    pairs = _of_json(path) if path.suffix.lower() == ".json" else _of_table(path)
    groups: dict[str, str] = {}
    for place, key, group in pairs:
        if key in groups:
            raise DataError(f"{place}: class {shown(key)} occurs twice; every class has one group")
        groups[key] = _checked(group, place)
    names = set(groups.values())
    if len(names) > MOST_GROUPS:
        raise DataError(f"{path}: has {len(names):,} groups; expected at most {MOST_GROUPS}")
    return groups


def group_of_each(
    groups: dict[str, str], classes: int, class_names: tuple[str, ...] | None, place: str
) -> list[str]:
    """The group of each class, in class order.

    Raises:
        DataError: A class has no group, or a key is no class.
    """
    numbered = tuple(str(j) for j in range(classes))
    by_number = class_numbers(list(groups)) is not None and not set(groups) <= set(
        class_names or ()
    )
    names = numbered if class_names is None or by_number else class_names
    hint = "they must be classes of the model"
    if class_names is None:
        hint = "no class names are known here, so number the classes from 0, or give named counts"
    known = set(names)
    for key in groups:
        if key not in known:
            guess = near_miss(key, names)
            raise DataError(
                f"{place}: {shown(key)} is none of the {classes} classes; {hint}.{guess}"
            )
    missing = [j for j, name in enumerate(names) if name not in groups]
    if missing:
        raise DataError(
            f"{place}: {len(missing)} of {classes} classes have no group "
            f"({some_classes(missing, names)}); every class needs one, such as `other`"
        )
    return [groups[name] for name in names]


Pair = tuple[str, str, str]  # place, class, group


def _of_json(path: Path) -> list[Pair]:
    try:
        value = strict_json(read_text(path))
    except ValueError as error:
        raise DataError(f"{path}: is not JSON that can be read ({str(error)[:80]})") from error
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise DataError(f"{path}: expected an object {{class: group}} of texts")
    return [(str(path), key, group) for key, group in value.items()]


def _of_table(path: Path) -> list[Pair]:
    rows = csv_lines(path)
    header = [name.strip().lower() for name in rows[0][1]] if rows else []
    key = next((j for j, name in enumerate(header) if name in CLASS_FIELDS), None)
    group = next((j for j, name in enumerate(header) if name in GROUP_FIELDS), None)
    if key is None or group is None:
        raise DataError(
            f"{path}: expected groups as a table whose first line is `class,group`, a line a class; or say "
            "--groups MANY,FEW (such as 100,20) or quantiles:N"
        )
    for line, row in rows[1:]:
        if len(row) != len(header):
            raise DataError(f"{path}: line {line} has {len(row)} cells, expected {len(header)}")
    return [(f"{path}: line {line}", row[key], row[group]) for line, row in rows[1:]]


def _checked(group: str, place: str) -> str:
    """A group's name can stand in front of a dot, in a table, and in a gate."""
    name = group.strip()
    if not name or len(name) > LONGEST or not name.isprintable() or set(name) & set(".\"'\\"):
        raise DataError(
            f"{place}: got the group {shown(group)}; expected a name of 1 to {LONGEST} printable characters "
            "without dots and quotes"
        )
    if name in RESERVED:
        raise DataError(
            f"{place}: a group cannot be called {shown(name)}, which names measures of its own"
        )
    return name
