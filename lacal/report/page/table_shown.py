"""A table as the template reads it: which columns hold numbers and which words, and what stands in each cell."""

import re
from typing import Any

from markupsafe import Markup

from lacal.report.document import Table

LONG = 40  # letters of a cell from which on words take a line of their own on a phone
VERDICTS = {"passed": "passed", "FAILED": "failed"}
MINUS = "\N{MINUS SIGN}"
_VALUE = r"[-+]?(?:\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?|inf)(?: %)?"
_BELOW_ZERO = re.compile(r"(--[\w-]+[ =])?(?<![\w./-])-(?=\d*\.\d)")
_NUMBER = re.compile(rf"{_VALUE}(?: (?:±|to|\.\.|→) {_VALUE})?|n/a|infinite|")


def table_shown(table: Table) -> dict[str, Any]:
    """The table, its cells, and the kind of each column: numbers to the right, words to the left.

    A table of long words stacks on a phone: each row becomes a block, with its headings before its cells.
    """
    columns = list(zip(*table.rows, strict=True)) or [() for _ in table.columns]
    numbers = [_of_numbers(cells) for cells in columns]
    kinds = ["" if of_numbers else "words" for of_numbers in numbers[1:]]
    widths = [max(map(len, cells), default=0) for cells in columns[1:]]
    long = [kind == "words" and width > LONG for kind, width in zip(kinds, widths, strict=True)]
    classes = [f"{kind} long" if wide else kind for kind, wide in zip(kinds, long, strict=True)]
    return {
        "table": table,
        "headed": any(table.columns),
        "stacks": any(long),
        "kinds": ["", *(Markup(f' class="{one}"') if one else "" for one in classes)],
        "rows": [
            [
                _cell(cell, heading, at, number=of_numbers and at > 0)
                for at, (cell, heading, of_numbers) in enumerate(
                    zip(row, table.columns, numbers, strict=True)
                )
            ]
            for row in table.rows
        ],
    }


def _of_numbers(cells: tuple[str, ...]) -> bool:
    """Whether a column holds numbers alone, each with its interval or without."""
    return any(cells) and all(_NUMBER.fullmatch(parted(cell)[0].strip()) for cell in cells)


def _cell(cell: str, heading: str, at: int, *, number: bool) -> dict[str, Any]:
    """What a cell says, and what it adds in brackets; a row that belongs to the one above it is drawn in."""
    text, aside = parted(cell.strip())
    if number:
        text, aside = (re.sub(r"-(?=\d|inf)", MINUS, part) for part in (text, aside))
    elif at > 0:
        text, aside = with_minus(text), with_minus(aside)
    verdict = VERDICTS.get(cell, "") if heading == "verdict" else ""
    return {"text": text, "aside": aside, "inner": cell.startswith("  "), "verdict": verdict}


def parted(cell: str) -> tuple[str, str]:
    """A cell and what it adds in brackets, an interval or a rule, which a narrow screen puts below.

    Example:
        >>> parted("18.7 (17.3 to 20.2)")
        ('18.7', ' (17.3 to 20.2)')
    """
    if not cell.endswith(")"):
        return cell, ""
    front, bracket, rest = cell.partition(" (")
    return front, bracket + rest


def with_minus(text: str) -> str:
    """A sentence whose numbers below 0 have a true minus; what is typed after an option stays as it is.

    Example:
        >>> with_minus("a gain of -0.7 points at --tau -0.5")
        'a gain of −0.7 points at --tau -0.5'
    """
    return _BELOW_ZERO.sub(lambda found: found[0] if found[1] else MINUS, text)
