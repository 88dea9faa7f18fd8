"""What a page shows, before it is HTML: an answer, sections of text, tables and charts, and how to redo it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lacal.report.document import Table

if TYPE_CHECKING:
    from lacal.report.page.class_table import ClassTable
    from lacal.report.page.slider import Slider


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart, drawn when it is needed.

    Attributes:
        name: Of its files under --plots, without suffix: `curve`, `recall`, `reliability-few`.
        title: One line above it.
        alt: What it shows, for who cannot see it: a sentence with the numbers that matter.
        draw: Makes the matplotlib Figure.
    """

    name: str
    title: str
    alt: str
    draw: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page under one heading.

    Attributes:
        title: The heading.
        items: In order: sentences, tables, charts, the tau slider, the table of classes.
        short: A word or two, for the line of links; the title where it is empty.
    """

    title: str
    items: "tuple[str | Table | Chart | Slider | ClassTable, ...]"
    short: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """A report.

    Attributes:
        title: Of the window: command and file.
        answer: One sentence: what changed, and how sure that is.
        warnings: Sentences, shown right below it.
        sections: In order.
        facts: What is needed to redo it: files and fingerprints, command, versions, date of none.
        failed: Sentences about what failed, shown before the warnings.
    """

    title: str
    answer: str
    warnings: tuple[str, ...]
    sections: tuple[Section, ...]
    facts: tuple[tuple[str, str], ...]
    failed: tuple[str, ...] = ()

    def charts(self) -> list[Chart]:
        """Every chart, in order."""
        return [item for one in self.sections for item in one.items if isinstance(item, Chart)]
