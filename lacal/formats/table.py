"""What every input file looks like from inside lacal: named fields, read whole or in blocks.

A reader knows bytes and layouts, nothing of logits or labels; which field plays which part is
decided in `lacal.rows.fields`. Blocks may share one buffer: a block is valid until the next is drawn.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from numpy.typing import NDArray

Kind = Literal["float", "int", "bool", "text", "image", "other"]


@dataclass(frozen=True, slots=True)
class Field:
    """One named array or column of a file.

    Attributes:
        name: As the file spells it; "" for the only array of an .npy file.
        kind: What its values are; "image" is an encoded image a row, which comes in blocks only, as an
            object array of `bytes` or of `Path`; "other" is anything lacal cannot use (objects, dates).
        shape: Full shape, rows first; None for a length only known once the file has been read.
        stored: The type in the file's own words, printable, for messages ("float16", "list<float>").
    """

    name: str
    kind: Kind
    shape: tuple[int | None, ...]
    stored: str


class Table(Protocol):
    """An opened input file; cheap to open, headers checked against the file's size."""

    @property
    def path(self) -> Path:
        """The file, as the user named it."""

    @property
    def fields(self) -> dict[str, Field]:
        """Every field by name, in the file's order."""

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Names of the classes where the file's own metadata carries them."""

    def read(self, name: str) -> NDArray[Any]:
        """The whole field: native byte order, C order; text as object-free `str` arrays."""

    def blocks(self, names: Sequence[str], rows: int) -> Iterator[tuple[NDArray[Any], ...]]:
        """Aligned blocks of at most `rows` rows of each field, in the file's order, every row once."""


@runtime_checkable
class MayBeEmpty(Protocol):
    """A table of a format that knows empty cells: nulls, or nothing between two commas."""

    def with_empty(self, name: str) -> Table:
        """The same table, whose column `name` may have empty cells: they come as "" in text, NaN in numbers."""


@runtime_checkable
class Untyped(Protocol):
    """A table of a format that knows no types: a cell is text until somebody takes it for a number."""

    def as_text(self, name: str) -> Table:
        """The same table, whose column `name` is text as it stands: "007" stays "007"."""


@runtime_checkable
class Scored(Protocol):
    """A table of a format in which `lacal adjust` can note what its probabilities are."""

    @property
    def probabilities(self) -> str | None:
        """The note (JSON), where there is one."""


@runtime_checkable
class Parted(Protocol):
    """A table of several files, each with its own notes."""

    @property
    def parts(self) -> "tuple[Table, ...]":
        """The files, in the order of their rows."""


@runtime_checkable
class Noted(Protocol):
    """A table of a format in which `lacal infer` can note how the logits were made."""

    @property
    def inference(self) -> str | None:
        """The note (JSON), where there is one."""
