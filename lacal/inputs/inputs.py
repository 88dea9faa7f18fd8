"""What a model's inputs look like from inside lacal: blocks of arrays, ready to be run."""

from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from lacal.batch import Ids
from lacal.formats import Table
from lacal.inputs.preprocessing import Preprocessing


@dataclass(frozen=True, slots=True)
class InputOptions:
    """What the user said about a model's inputs.

    Attributes:
        fields: Model input -> field of the file, where they are not called alike (--input NAME=FIELD).
        label_key: Field of the labels; None for `label` or `labels`.
        id_key: Field of the ids; None for `id` or `ids`.
        root: Folder that the paths of a list file start from.
        preprocessing: What becomes of pixels and values.
        limit: Rows to stop after.
        workers: Threads that read and decode ahead of the model; None for the number of cores.
    """

    preprocessing: Preprocessing
    fields: dict[str, str] = field(default_factory=dict)
    label_key: str | None = None
    id_key: str | None = None
    root: Path | None = None
    limit: int | None = None
    workers: int | None = None


@dataclass(frozen=True, slots=True)
class InputBlock:
    """Consecutive rows, ready for the model; the arrays are not reused for the next block.

    Attributes:
        arrays: One (n, ...) for each input of the model, in its order, of its type, C-ordered.
        raw_labels: (n,) class numbers or names as the file spells them; None where there are none.
        ids: (n,) or None.
        start: Number of the first row, from 0.
    """

    arrays: tuple[NDArray[Any], ...]
    raw_labels: NDArray[Any] | None
    ids: Ids | None
    start: int


class Inputs(Protocol):
    """Opened inputs of one model. Open them with `lacal.inputs.open_inputs`."""

    @property
    def place(self) -> str:
        """The inputs as the user named them."""

    @property
    def rows(self) -> int | None:
        """Number of rows (at most the limit), where known beforehand."""

    @property
    def limited(self) -> bool:
        """Whether the user asked for the first rows only."""

    @property
    def table(self) -> Table:
        """The file or folder as a table; labels are read by `lacal.rows.labels` against it."""

    @property
    def label_field(self) -> str | None:
        """Field of the labels, or None."""

    @property
    def id_field(self) -> str | None:
        """Field of the ids, or None."""

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Names of the classes in class order where the inputs' own metadata carries them."""

    def blocks(self, rows: int, start: int = 0) -> Generator[InputBlock, None, None]:
        """Blocks of exactly `rows` rows, the last one shorter, from row `start` on, read ahead."""

    def described(self) -> list[str]:
        """What is done to the inputs, a line each, for the user to check."""

    def record(self) -> dict[str, Any]:
        """The same for the record: JSON values only."""

    def identity(self) -> list[tuple[str, int, int]]:
        """(name, bytes, modification time in ns) of every file, in order: what --resume compares."""
