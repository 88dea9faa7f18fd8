"""Text out of files, made safe for a message: a column name may carry escapes, bidi marks, newlines.

Stored values are never changed; only what is shown to a person passes through here.
"""

from collections.abc import Iterable
from pathlib import Path

PATH_LIMIT = 4096
REASON_LIMIT = 120


def printable(text: str, limit: int = 80) -> str:
    r"""The text with every invisible or control character escaped, cut to `limit` characters.

    Example:
        >>> printable("a\x1b[31m\u202eb")
        'a\\x1b[31m\\u202eb'
    """
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)


def place(path: Path) -> str:
    """The path as the user typed it, for the head of a message."""
    return printable(str(path), PATH_LIMIT)


def listed(names: Iterable[str], most: int = 8) -> str:
    """The first few names, and how many more there are."""
    every = list(names)
    shown = [printable(name) if name else "(unnamed)" for name in every[:most]]
    if len(every) > most:
        shown.append(f"and {len(every) - most:,} more")
    return ", ".join(shown) or "nothing"


def reason(error: BaseException) -> str:
    """The first line of a library's error: the rest may carry advice, escapes, whole screens; of the system's, its words."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    lines = text.strip().splitlines()
    return printable(lines[0], REASON_LIMIT) if lines else type(error).__name__
