"""The journal of a long run: a line of JSON for each finished part, written when the part is durable."""

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from lacal.atomic import writing

NAME = "journal"


class Part(msgspec.Struct, frozen=True, tag="part", forbid_unknown_fields=True):
    """A finished part.

    Attributes:
        number: From 0, also in the name of its file.
        start: First row.
        rows: How many.
        labelled: Rows that carry a label.
        sha256: Of its file.
        batch_size: What the batch after it would have used.
        last: Whether it ends the run.
    """

    number: int
    start: int
    rows: int
    labelled: int
    sha256: str
    batch_size: int
    last: bool

    @property
    def file(self) -> str:
        """Name of its file."""
        return f"part-{self.number:05}.arrow"

    @property
    def end(self) -> int:
        """The row after its last."""
        return self.start + self.rows


class Published(msgspec.Struct, frozen=True, tag="published", forbid_unknown_fields=True):
    """A result that was about to get its final name, which changes none of these numbers."""

    device: int
    inode: int
    size: int
    modified: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Published":
        """What marks a file."""
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


_LINE = msgspec.json.Decoder(Part | Published)


def read_journal(folder: Path) -> tuple[list[Part], Published | None]:
    """Parts that follow on each other from row 0, and what was about to be published.

    A line that was cut off or damaged ends it, as does a journal that is not there.
    """
    parts: list[Part] = []
    published = None
    try:
        content = (folder / NAME).read_bytes()
    except OSError:
        return [], None
    for line in content.split(b"\n")[:-1]:  # what has no end of line was cut off
        try:
            entry = _LINE.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            break
        if isinstance(entry, Published):
            published = entry
            continue
        start = parts[-1].end if parts else 0
        if (entry.number, entry.start) != (len(parts), start) or entry.rows < 1:
            break
        parts.append(entry)
    return parts, published


def add_line(folder: Path, entry: Part | Published) -> None:
    """Append a line and make it durable."""
    with (folder / NAME).open("ab") as journal:
        journal.write(_line(entry))
        journal.flush()
        os.fsync(journal.fileno())


def rewrite_journal(folder: Path, parts: Sequence[Part]) -> None:
    """Replace the journal, so that no torn line is left for new ones to join."""
    with writing(folder / NAME) as journal:
        journal.write(b"".join(map(_line, parts)))


def _line(entry: Part | Published) -> bytes:
    return msgspec.json.encode(entry) + b"\n"
