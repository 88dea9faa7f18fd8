"""The result on stdout, talk on stderr, progress bars on stderr and on terminals only."""

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal, TextIO

import click

if TYPE_CHECKING:
    from lacal.batch import Batch
    from lacal.report.document import Block, Table
    from lacal.rows.source import Source

PLAIN_WIDTH = 100
PASSED = "gate passed"  # how a line begins that is shown in green


def show_text(blocks: "Iterable[Block]", stream: TextIO | None = None) -> None:
    """Lines and tables; colour and width follow the terminal, NO_COLOR is honoured by rich.

    Args:
        blocks: What to show.
        stream: Where to, without colour; None is stdout.
    """
    from rich.console import Console

    from lacal.report.document import Strong

    width = None if stream is None and sys.stdout.isatty() else PLAIN_WIDTH
    colours: Literal["auto"] | None = "auto" if stream is None else None
    console = Console(
        file=stream, color_system=colours, width=width, highlight=False, soft_wrap=False
    )
    for block in blocks:
        if isinstance(block, str):
            # A terminal gets whole words; a pipe gets whole lines.
            style = "green" if block.startswith(PASSED) else None
            if isinstance(block, Strong):
                style = "bold red"
            console.print(harmless(block), style=style, markup=False, soft_wrap=width is not None)
        else:
            console.print(_drawn(block))


def _drawn(table: "Table") -> Any:
    """The table as rich draws it."""
    from rich import box
    from rich.table import Table as Drawn
    from rich.text import Text

    # A path may hold what reads as markup.
    heading = None if table.title is None else Text(harmless(table.title))
    drawn = Drawn(title=heading, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for at, name in enumerate(table.columns):
        drawn.add_column(name, justify="left" if at == 0 else "right", no_wrap=at > 0)
    for row in table.rows:
        drawn.add_row(*(Text(cell) for cell in row))
    return drawn


def show_json(value: dict[str, Any]) -> None:
    """One JSON object, full precision, in ASCII whatever the locale; NaN cannot occur."""
    from lacal.json_text import json_text

    click.echo(json_text(value))


def warn(warnings: Iterable[str]) -> None:
    """What should be known before the result is used, whatever the format."""
    for one in warnings:
        say(f"warning: {one}")


def say(text: str) -> None:
    """A remark on stderr."""
    with remark():
        click.echo(harmless(text), err=True)


def harmless(text: str) -> str:
    """Text for a terminal: whatever is invisible in it, as a path may hold, is escaped; lines stay lines."""
    if text.isprintable():
        return text
    from lacal.formats.shown import printable

    return "\n".join(printable(line, len(line)) for line in text.split("\n"))


@contextlib.contextmanager
def remark() -> Iterator[None]:
    """A stderr that is full or gone loses the remark, not the result: it is pointed away."""
    try:
        yield
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


class WithProgress:
    """A source whose passes show a bar with rate and remaining time, where stderr is a terminal."""

    def __init__(self, source: "Source", doing: str = "reading") -> None:
        """Wrap a source; `doing` stands before the bar."""
        self._source = source
        self._doing = doing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    @property
    def batch_size(self) -> int:
        """Of a model's source, which a broken run may set again."""
        return int(self._source.batch_size)  # type: ignore[attr-defined]

    @batch_size.setter
    def batch_size(self, rows: int) -> None:
        self._source.batch_size = rows  # type: ignore[attr-defined]

    def batches(self, *start: int) -> "Iterator[Batch]":
        """The source's batches, counted; from a row on where the source can start there."""
        if sys.stderr is None or not sys.stderr.isatty():
            yield from self._source.batches(*start)
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,.0f} rows"),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        ) as bar:
            task = bar.add_task(self._doing, total=self._source.rows, rate="")
            bar.advance(task, sum(start))
            for batch in self._source.batches(*start):
                yield batch
                speed = bar.tasks[task].speed
                rate = f"{speed:,.0f} rows/s" if speed else ""
                bar.update(task, advance=batch.logits.shape[0], rate=rate)
