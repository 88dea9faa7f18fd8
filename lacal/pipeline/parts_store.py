"""Finished parts of a long run, and a journal of those to be trusted.

A part is written whole first, then a line with its hash goes to the journal: whatever is not in the journal,
or not as the journal says, is done again.
"""

import contextlib
import hashlib
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from lacal.atomic import check_room, sweep, sync_folder, writing
from lacal.errors import RunError, UsageError
from lacal.formats.shown import place, reason
from lacal.pipeline.journal import Part, Published, add_line, read_journal, rewrite_journal
from lacal.pipeline.working_folder import (
    check_plan,
    clear,
    locked,
    remove,
    unwritable,
    working_folder,
    write_plan,
)

# Bytes of a part that are read back at a time.
READ_BYTES = 8 << 20
MANIFEST = "_manifest.json"


class Hashed(io.RawIOBase):
    """Writes to a file and hashes what passes."""

    def __init__(self, file: BinaryIO) -> None:
        """Wrap a file, which stays open."""
        self._file = file
        self._hash = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Of all that was written so far."""
        return self._hash.hexdigest()

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, data: Any) -> int:
        """Pass bytes on."""
        self._hash.update(data)
        return self._file.write(data)


@dataclass(slots=True)
class PartsStore:
    """The parts of this run. Open one with `parts_store`.

    Attributes:
        path: The target.
        folder: The working folder.
        parts: Finished parts, in order, from row 0 on without a gap.
    """

    path: Path
    folder: Path
    parts: list[Part]
    _published: Published | None = None

    @property
    def rows(self) -> int:
        """Rows of all finished parts: the first row that is missing."""
        return self.parts[-1].end if self.parts else 0

    @property
    def ended(self) -> bool:
        """Whether no row is missing."""
        return bool(self.parts) and self.parts[-1].last

    def check_room(self, rows: int, row_bytes: int) -> None:
        """Refuse a run before it starts whose parts, and the result beside them, the disk has no room for.

        Args:
            rows: Of the whole result.
            row_bytes: That the logits of a row take.

        Raises:
            RunError: It has none.
        """
        check_room(self.path, (2 * rows - self.rows) * row_bytes)

    def keep(self, table: Any, start: int, labelled: int, batch_size: int, *, last: bool) -> None:
        """Write a part, then its line in the journal.

        Args:
            table: Its rows, as an Arrow table.
            start: Number of its first row.
            labelled: How many rows carry a label.
            batch_size: What the batch after it will use.
            last: Whether it ends the run.

        Raises:
            RunError: It could not be written.
        """
        import pyarrow as pa

        part = Part(len(self.parts), start, table.num_rows, labelled, "", batch_size, last)
        piece = max(1, READ_BYTES * table.num_rows // table.nbytes)
        with writing(self.folder / part.file) as file:
            hashed = Hashed(file)
            with pa.ipc.new_file(hashed, table.schema) as writer:
                writer.write_table(table, max_chunksize=piece)
        part = msgspec.structs.replace(part, sha256=hashed.sha256)
        self._note(part)
        self.parts.append(part)

    def schema(self) -> Any:
        """The Arrow schema of all parts, which is that of the first."""
        import pyarrow as pa

        with self._reading(self.parts[0]) as source:
            return pa.ipc.open_file(source).schema

    def batches(self, names: Sequence[str]) -> Iterator[Any]:
        """The record batches of all parts, with those of these columns that there are.

        Raises:
            RunError: A part is no longer as it was written.
        """
        import pyarrow as pa

        wanted = [i for i, name in enumerate(self.schema().names) if name in names]
        options = pa.ipc.IpcReadOptions(included_fields=wanted)
        for part in self.parts:
            with self._reading(part) as source:
                reader = pa.ipc.open_file(source, options=options)
                for index in range(reader.num_record_batches):
                    batch = reader.get_batch(index)
                    batch.validate(full=True)
                    yield batch

    @contextlib.contextmanager
    def _reading(self, part: Part) -> Iterator[Any]:
        import pyarrow as pa

        from lacal.formats.arrow_file import arrow_file

        file = self.folder / part.file
        try:
            with arrow_file(file) as source:
                yield source
        except (pa.ArrowException, OSError) as error:
            raise RunError(f"{place(file)}: could not be read back ({reason(error)})") from error

    def publishing(self, status: os.stat_result) -> None:
        """Note what is about to get the final name, so that a kill right after it loses nothing."""
        self._note(Published.of(status))

    def is_published(self) -> bool:
        """Whether the final name already holds the result of these parts."""
        proof = self.path / MANIFEST if self.path.is_dir() else self.path
        try:
            return self.ended and Published.of(proof.stat()) == self._published
        except OSError:
            return False

    def _note(self, line: Part | Published) -> None:
        try:
            add_line(self.folder, line)
            sync_folder(self.folder)
        except OSError as error:
            raise unwritable(self.path, error) from error


@contextlib.contextmanager
def parts_store(
    path: Path, plan: Mapping[str, Any], *, resume: bool, force: bool
) -> Iterator[PartsStore]:
    """The parts of a run, locked; removed when the block ends well, kept when it does not.

    Args:
        path: The target.
        plan: What decides the bytes, as JSON values.
        resume: Go on with what a broken run left, where it did.
        force: Start anew all the same.

    Raises:
        UsageError: A broken run left parts and neither was asked for, or its plan was another.
        RunError: Another process is writing this target, or the disk is full.
    """
    folder = working_folder(path)
    with locked(folder, path):
        store = PartsStore(path, folder, [])
        try:
            # Also where nothing is left to write: a run may have been killed right after its end
            sweep(path)
            _go_on(store, plan, resume, force)
            yield store
        except BaseException:
            if not read_journal(folder)[0]:
                remove(folder)
            raise
        remove(folder)


def is_published(path: Path) -> bool:
    """Whether a run ended with `path` in place and was killed before it could tidy up."""
    folder = working_folder(path)
    return PartsStore(path, folder, *read_journal(folder)).is_published()


def rows_kept(path: Path) -> int:
    """Finished rows that a broken run whose result was to be `path` left behind."""
    return sum(part.rows for part in read_journal(working_folder(path))[0])


def check_leftovers(path: Path, *, resume: bool, force: bool) -> None:
    """Refuse a target that another process is at work on, or whose last run broke and nobody says what of its parts.

    Raises:
        RunError: Another process has finished rows there and goes on.
        UsageError: There are finished rows of a run that broke, and neither `resume` nor `force`.
    """
    if rows_kept(path):
        folder = working_folder(path)
        with locked(folder, path):
            _refuse_leftovers(path, resume, force)
            if not rows_kept(path):  # the other process has ended just now
                remove(folder)


def _refuse_leftovers(path: Path, resume: bool, force: bool) -> None:
    rows = rows_kept(path)
    if rows and not (resume or force):
        raise UsageError(
            f"{place(path)}: a broken run left {rows:,} finished rows; go on with --resume, or start "
            "anew with --force"
        )


def _go_on(store: PartsStore, plan: Mapping[str, Any], resume: bool, force: bool) -> None:
    _refuse_leftovers(store.path, resume, force)
    folder, (parts, published) = store.folder, read_journal(store.folder)
    if resume and parts:
        check_plan(folder, plan, store.path)
        if is_published(store.path):
            store.parts, store._published = parts, published
            return
        store.parts = list(takewhile(lambda part: _is_whole(folder / part.file, part), parts))
    try:
        if not store.parts:
            clear(folder)
            write_plan(folder, plan)
            return
        kept = {part.file for part in store.parts}
        for file in folder.glob("*.arrow"):
            if file.name not in kept:
                file.unlink()
    except OSError as error:
        raise unwritable(store.path, error) from error
    rewrite_journal(folder, store.parts)


def _is_whole(file: Path, part: Part) -> bool:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest() == part.sha256
    except OSError:
        return False
