"""What goes into one input of a model: fields of a table, and what is done to them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.classes.names import shown
from lacal.formats import Field, Table
from lacal.formats.shown import place
from lacal.inputs.described import described, recorded
from lacal.inputs.preprocessing import Preprocessing
from lacal.inputs.settled import Settled
from lacal.inputs.settling import settle
from lacal.models.model import Port


@dataclass(frozen=True, slots=True)
class Feed:
    """One input of a model and what fills it.

    Attributes:
        port: The input.
        fields: One field of images or of numbers (n, ...), or one of numbers (n,) for each column.
        settled: What becomes of a row.
    """

    port: Port
    fields: tuple[Field, ...]
    settled: Settled

    @property
    def images(self) -> bool:
        """Whether rows are encoded images."""
        return self.fields[0].kind == "image"

    @property
    def row_bytes(self) -> int:
        """About how many bytes one row of numbers takes in the model's type."""
        values = math.prod(side or 1 for side in self.fields[0].shape[1:]) * len(self.fields)
        return values * np.dtype(self.port.dtype or np.float64).itemsize

    def array(self, columns: Sequence[NDArray[Any]], start: int) -> NDArray[Any]:
        """Numbers as the model takes them, or a copy of the encoded images (n,), to be decoded.

        Args:
            columns: A block of each field.
            start: Number of its first row, for messages.

        Raises:
            DataError: The model cannot take a value.
        """
        if self.images:
            return columns[0].copy()
        whole = np.stack(columns, axis=1) if _is_stacked(self.fields, self.port) else columns[0]
        return self.settled.tensor(whole, start)

    def described(self) -> list[str]:
        """What feeds the input, and what is done to it, a line each."""
        first, last = self.fields[0].name, self.fields[-1].name
        source = f"field {shown(first)}"
        if len(self.fields) > 1:
            source = f"{len(self.fields)} columns, {shown(first)} to {shown(last)}"
        chosen = [f"input {shown(self.port.name)}: from {source}"] if first else []
        return [*chosen, *described(self.settled)]

    def record(self) -> dict[str, Any]:
        """The same for the record."""
        return {"fields": [one.name for one in self.fields], **recorded(self.settled)}


def settled_feed(
    table: Table, port: Port, fields: tuple[Field, ...], preprocessing: Preprocessing
) -> Feed:
    """The feed of an input, every question about it settled.

    Raises:
        DataError: The fields are not what the model takes.
        UsageError: The user must say something, or has said what does not fit.
    """
    first = fields[0]
    images = first.kind == "image"
    shape = (first.shape[0], len(fields)) if _is_stacked(fields, port) else first.shape
    settled = settle(
        preprocessing,
        port,
        stored=first.stored if images else _stored(fields),
        shape=None if images else shape,
        images=images,
        place=place(table.path),
    )
    return Feed(port, fields, settled)


def _is_stacked(fields: tuple[Field, ...], port: Port) -> bool:
    """Whether each field is one column of what the model takes."""
    if len(fields) > 1:
        return True
    takes_rows = port.shape is not None and len(port.shape) == 2
    return takes_rows and len(fields[0].shape) == 1


def _stored(fields: tuple[Field, ...]) -> str:
    """The type of the values in the file's words; of a text file's or mixed columns, in NumPy's."""
    words = {"float64" if one.stored == "text" else one.stored for one in fields}
    if len(words) == 1:
        return words.pop()
    return "float64" if any(one.kind == "float" for one in fields) else "int64"
