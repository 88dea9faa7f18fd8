"""An input must stay what it was when it was opened: size and time of change are looked at around every pass.

A file that another job replaces or appends to while it is read gives rows of two files, or an error that
blames the wrong thing. Such a run ends before anything of it is published.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from lacal.errors import LacalError, RunError
from lacal.formats.shown import place
from lacal.formats.table import Field, MayBeEmpty, Noted, Scored, Table, Untyped

State = tuple[int, int] | None


def state_of(path: Path) -> State:
    """Size and time of the last change; None for what is not there."""
    try:
        found = path.stat()
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return None
    return found.st_size, found.st_mtime_ns


@contextmanager
def unchanged(path: Path, opened: State) -> Iterator[None]:
    """Hold the file against what it was when it was opened.

    Raises:
        RunError: It changed, whatever else was found wrong with it.
    """
    try:
        yield
    except LacalError as error:
        _check(path, opened, error)
        raise
    _check(path, opened, None)


@dataclass(frozen=True, slots=True)
class HeldTable:
    """A table whose file is held unchanged through every pass; it can what the table can.

    Attributes:
        table: As its format's reader opened it.
        opened: Its file before that.
    """

    table: Table
    opened: State

    @property
    def path(self) -> Path:
        """The file, as the user named it."""
        return self.table.path

    @property
    def fields(self) -> dict[str, Field]:
        """Every field by name, in the file's order."""
        return self.table.fields

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Names of the classes where the file's own metadata carries them."""
        return self.table.class_names

    @property
    def inference(self) -> str | None:
        """How the logits were made, where the file notes it."""
        return self.table.inference if isinstance(self.table, Noted) else None

    @property
    def probabilities(self) -> str | None:
        """What the probabilities are, where the file notes it."""
        return self.table.probabilities if isinstance(self.table, Scored) else None

    def with_empty(self, name: str) -> "HeldTable":
        """The same table, whose column `name` may have empty cells, if its format knows such."""
        if not isinstance(self.table, MayBeEmpty):
            return self
        return replace(self, table=self.table.with_empty(name))

    def as_text(self, name: str) -> "HeldTable":
        """The same table, whose column `name` is text as it stands, if its format knows no types."""
        if not isinstance(self.table, Untyped):
            return self
        return replace(self, table=self.table.as_text(name))

    def read(self, name: str) -> NDArray[Any]:
        """The whole field."""
        with unchanged(self.path, self.opened):
            return self.table.read(name)

    def blocks(self, names: Sequence[str], rows: int) -> Iterator[tuple[NDArray[Any], ...]]:
        """Aligned blocks of at most `rows` rows of each field, in the file's order, every row once."""
        with unchanged(self.path, self.opened):
            for block in self.table.blocks(names, rows):
                # Before others judge it: a label of a changed file is no wrong label.
                _check(self.path, self.opened, None)
                yield block


def _check(path: Path, opened: State, error: LacalError | None) -> None:
    if state_of(path) != opened:
        raise RunError(
            f"{place(path)}: was changed while it was read; keep other jobs from writing it and run again"
        ) from error
