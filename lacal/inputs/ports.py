"""Which field of a file feeds which input of a model: stated rules, and a name for every input.

- the field the user names for the input (--input NAME=FIELD); else the field of the input's own name;
- for the only input of a model: the only field that could be it (images, or numbers of at least two
  dimensions), or among several the one with a usual name; else, where the input takes a row of numbers,
  every column of the table that is neither label nor id, in the file's order.
"""

from lacal.classes.names import near_miss, shown
from lacal.errors import DataError, UsageError
from lacal.formats import Field, Table
from lacal.formats.shown import place, printable
from lacal.models.model import Port

USUAL_NAMES = ("inputs", "input", "x", "images", "image", "features", "pixel_values")
NUMBERS = ("float", "int", "bool")
MOST_LISTED = 8


def chosen_fields(
    table: Table, ports: tuple[Port, ...], asked: dict[str, str], taken: set[str]
) -> tuple[tuple[Field, ...], ...]:
    """For every input its fields: one of images or numbers (n, ...), or the columns (n,) of its numbers.

    Args:
        table: The opened file.
        ports: The model's inputs.
        asked: Input -> field, as the user says.
        taken: Fields that hold labels and ids, which are inputs only where the user says so.

    Raises:
        UsageError: The user names an input that the model does not have.
        DataError: A field is missing, unusable, or not to be told from another.
    """
    names = tuple(port.name for port in ports)
    for name in asked:
        if name not in names:
            raise UsageError(
                f"--input: the model has no input {shown(name)}; it takes {_inputs(ports)}."
                + near_miss(name, names)
            )
    return tuple(_fields_of(table, port, ports, asked, taken) for port in ports)


def _fields_of(
    table: Table, port: Port, ports: tuple[Port, ...], asked: dict[str, str], taken: set[str]
) -> tuple[Field, ...]:
    name = asked.get(port.name)
    if name is not None and name not in table.fields:
        whose = f" {shown(port.name)}" if port.name else ""
        raise DataError(
            f"{place(table.path)}: has no field {shown(name)} (--input{whose}); it has {_listed(table)}"
        )
    if name is None and port.name in table.fields and port.name not in taken:
        name = port.name
    if name is not None:
        return (_usable(table, table.fields[name], port),)
    if len(ports) > 1:
        raise DataError(
            f"{place(table.path)}: has no field for the model's input {shown(port.name)}; it has "
            f"{_listed(table)}; the model takes {_inputs(ports)}; name the field with "
            f"{_option(port)}"
        )
    return _only_input(table, port, taken)


def _only_input(table: Table, port: Port, taken: set[str]) -> tuple[Field, ...]:
    free = [one for one in table.fields.values() if one.name not in taken]
    candidates = [
        one for one in free if one.kind == "image" or (one.kind in NUMBERS and len(one.shape) > 1)
    ]
    if len(candidates) > 1:
        usual = [one for one in candidates if one.name.lower() in USUAL_NAMES]
        if len(usual) != 1:
            raise DataError(
                f"{place(table.path)}: several fields could be the model's input, {_input(port)}: "
                f"{_names(usual or candidates)}; choose one with {_option(port)}"
            )
        return (usual[0],)
    if candidates:
        return (candidates[0],)
    columns = [one for one in free if len(one.shape) == 1]
    takes_rows = port.shape is None or len(port.shape) == 2
    if takes_rows and any(one.kind in NUMBERS for one in columns):
        return _columns(table, port, columns)
    raise DataError(
        f"{place(table.path)}: has no field that could be the model's input, {_input(port)}; it has "
        f"{_listed(table)}; name one with {_option(port)}"
    )


def _columns(table: Table, port: Port, columns: list[Field]) -> tuple[Field, ...]:
    """A column a value; one of text among them is a mistake, not a feature."""
    other = [one for one in columns if one.kind not in NUMBERS]
    if other:
        raise DataError(
            f"{place(table.path)}: column {shown(other[0].name)} holds {printable(other[0].stored)}, so the columns "
            f"cannot all feed the model's input, {_input(port)}; drop it, or name it with --id-key or "
            f"--label-key ({len(other)} of {len(columns)} columns hold no numbers: {_names(other)})"
        )
    width = None if port.shape is None else port.shape[1]
    if width not in (None, len(columns)):
        raise DataError(
            f"{place(table.path)}: has {len(columns)} columns of numbers beside label and id "
            f"({_names(columns)}); expected {width} for the model's input, {_input(port)}"
        )
    return tuple(columns)


def _usable(table: Table, one: Field, port: Port) -> Field:
    if one.kind != "image" and one.kind not in NUMBERS:
        raise DataError(
            f"{place(table.path)}: field {shown(one.name)} holds {printable(one.stored)}, expected numbers or images "
            f"for the model's input, {_input(port)}"
        )
    return one


def _input(port: Port) -> str:
    if not port.name:  # of a network that is yet to be built
        return "numbers or images"
    return f"{shown(port.name)} ({port.dtype or 'any type'} of shape {_shape(port.shape)})"


def _option(port: Port) -> str:
    return f"--input {printable(port.name, 60)}=FIELD" if port.name else "--input FIELD"


def _inputs(ports: tuple[Port, ...]) -> str:
    return ", ".join(map(_input, ports[:MOST_LISTED])) + _more(len(ports))


def _names(fields: list[Field]) -> str:
    return ", ".join(shown(one.name) for one in fields[:MOST_LISTED]) + _more(len(fields))


def _listed(table: Table) -> str:
    if list(table.fields) == [""]:
        return f"one array of {table.fields[''].stored} and shape {_shape(table.fields[''].shape)}"
    some = [
        f"{shown(one.name)} {_shape(one.shape)} {printable(one.stored)}"
        for one in table.fields.values()
    ]
    return ", ".join(some[:MOST_LISTED]) + _more(len(some))


def _more(count: int) -> str:
    return f" and {count - MOST_LISTED} more" if count > MOST_LISTED else ""


def _shape(shape: tuple[int | None, ...] | None) -> str:
    if shape is None:
        return "any"
    return "(" + ", ".join("?" if side is None else str(side) for side in shape) + ")"
