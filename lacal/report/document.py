"""What a command has to say, before it is known how: the terminal, Markdown and pages read the same blocks."""

from dataclasses import dataclass


class Strong(str):
    """A line or a cell that must not be overlooked, such as what became of a gate that failed."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A small table, first column left, others right.

    Attributes:
        columns: Headings.
        rows: Cells, as many a row as there are columns; text from files is escaped already.
        title: What stands above it; None for nothing.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str | None = None


Block = str | Table  # a line of text or a table
