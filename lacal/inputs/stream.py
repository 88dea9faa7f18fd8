"""Inputs out of a file as blocks that are ready for a model, read and decoded ahead of it.

A thread reads the file in pieces of about a megabyte and turns them into what the model takes; images are
decoded by further threads. Whoever draws the blocks only cuts them out of what is there already.
"""

from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from lacal.classes.names import shown
from lacal.errors import DataError
from lacal.formats import Table, open_table
from lacal.formats.fields import paired
from lacal.formats.shown import place
from lacal.inputs.ahead import ahead
from lacal.inputs.decoding import Decoded, Decoder
from lacal.inputs.feeds import Feed, settled_feed
from lacal.inputs.files import identity_of
from lacal.inputs.image_tables import open_images
from lacal.inputs.inputs import InputBlock, InputOptions, Inputs
from lacal.inputs.ports import chosen_fields
from lacal.models.model import Port
from lacal.rows.fields import LABEL_NAMES, field_named, id_column
from lacal.rows.label_field import where_empty

PIECE_BYTES = 1 << 20
PIECE_ROWS = 16_384
IMAGES_TOGETHER = 32

# An array for each input, then labels and ids where there are some
Columns = tuple[NDArray[Any], ...]
Begun = tuple[NDArray[Any] | Decoded, ...]  # the same, images perhaps still on their way


@dataclass(frozen=True, slots=True)
class TableInputs:
    """Inputs that lie in a table. Open them with `open_inputs`.

    Attributes:
        table: The file or folder.
        rows: Number of rows, at most the limit, where known beforehand.
        label_field: Field of the labels, or None.
        id_field: Field of the ids, or None.
        feeds: What goes into each input of the model, in its order.
        limit: Rows to stop after.
        workers: Threads that decode.
    """

    table: Table
    rows: int | None
    label_field: str | None
    id_field: str | None
    feeds: tuple[Feed, ...]
    limit: int | None
    workers: int | None

    @property
    def place(self) -> str:
        """The inputs as the user named them."""
        return place(self.table.path)

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Names of the classes in class order where the file's own metadata carries them."""
        return self.table.class_names

    @property
    def limited(self) -> bool:
        """Whether the user asked for the first rows only."""
        return self.limit is not None

    def blocks(self, rows: int, start: int = 0) -> Generator[InputBlock, None, None]:
        """Blocks of exactly `rows` rows, the last one shorter, from row `start` on, read ahead.

        Closing the iterator ends every thread behind it.

        Raises:
            DataError: A row cannot be read, decoded, or turned into what the model takes; or there is none.
        """
        with ExitStack() as stack:
            decoder = None
            if any(feed.images for feed in self.feeds):
                decoder = stack.enter_context(Decoder(self.workers))
            begun = ahead(self._begun(decoder, rows, start), _held)
            stack.enter_context(closing(begun))
            for columns in begun:
                whole = tuple(one.whole() if isinstance(one, Decoded) else one for one in columns)
                yield from self._cut(whole, rows, start)
                start += whole[0].shape[0]
                del columns, whole  # not held while the next ones are waited for

    def described(self) -> list[str]:
        """What is done to the inputs, a line each, for the user to check."""
        return [line for feed in self.feeds for line in feed.described()]

    def record(self) -> dict[str, Any]:
        """The same for the record: JSON values only, by input of the model."""
        return {feed.port.name: feed.record() for feed in self.feeds}

    def identity(self) -> list[tuple[str, int, int]]:
        """(name, bytes, modification time in ns) of every file, in order."""
        images = (feed.fields[0].name for feed in self.feeds if feed.images)
        return identity_of(self.table, tuple(dict.fromkeys(images)))

    def _cut(self, columns: Columns, rows: int, start: int) -> Iterator[InputBlock]:
        inputs, count = len(self.feeds), columns[0].shape[0]
        labels = columns[inputs] if self.label_field is not None else None
        ids = columns[-1] if self.id_field is not None else None
        for at in range(0, count, rows):
            to = at + rows
            yield InputBlock(
                tuple([array[at:to] for array in columns[:inputs]]),
                None if labels is None else labels[at:to],
                None if ids is None else ids[at:to],
                start + at,
            )

    def _begun(
        self, decoder: Decoder | None, rows: int, start: int
    ) -> Generator[Begun, None, None]:
        """Pieces of a multiple of `rows` rows, in the thread that reads."""
        step = self._piece_rows(rows)
        with closing(self._pieces(step, start)) as pieces:
            for columns in regrouped(pieces, step):
                yield columns if decoder is None else self._decoding(decoder, columns, start)
                start += columns[0].shape[0]

    def _decoding(self, decoder: Decoder, columns: Columns, start: int) -> Begun:
        ids = columns[-1].tolist() if self.id_field is not None else None
        begun: list[NDArray[Any] | Decoded] = list(columns)
        for port, feed in enumerate(self.feeds):
            if feed.images:
                names = [
                    str(one)
                    if isinstance(one, Path)
                    else f"{self.place}: row {start + i}"
                    if ids is None
                    else f"{self.place}: image {shown(str(ids[i]))} (row {start + i})"
                    for i, one in enumerate(columns[port])
                ]
                begun[port] = decoder.begin(feed.settled, columns[port], names, port)
        return tuple(begun)

    def _pieces(self, step: int, start: int) -> Generator[Columns, None, None]:
        """What the table yields from row `start` to the limit, ready but for images; of any length."""
        names = list(dict.fromkeys([*self._input_names(), *self._beside()]))
        drawn = cast("Generator[Columns, None, None]", self.table.blocks(names, step))
        at = 0
        with closing(drawn):
            for columns in drawn:
                count = columns[0].shape[0]
                stop = count if self.limit is None else min(count, self.limit - at)
                first = max(start - at, 0)
                if first < stop:
                    taken = (one[first:stop] for one in columns)
                    yield self._piece(dict(zip(names, taken, strict=True)), at + first)
                at += count
                if self.limit is not None and at >= self.limit:
                    return
        if not at:
            raise _no_rows(self.table)

    def _piece(self, columns: dict[str, NDArray[Any]], start: int) -> Columns:
        inputs = (
            feed.array([columns[one.name] for one in feed.fields], start) for feed in self.feeds
        )
        beside = (columns[name].copy() for name in self._beside())  # the table reuses its buffers
        return (*inputs, *beside)

    def _input_names(self) -> list[str]:
        return [one.name for feed in self.feeds for one in feed.fields]

    def _beside(self) -> list[str]:
        return [name for name in (self.label_field, self.id_field) if name is not None]

    def _piece_rows(self, rows: int) -> int:
        if any(feed.images for feed in self.feeds):
            least = IMAGES_TOGETHER
        else:
            a_row = sum(feed.row_bytes for feed in self.feeds)
            least = max(1, min(PIECE_ROWS, PIECE_BYTES // a_row))
        return rows * -(-least // rows)


def open_inputs(path: Path, ports: tuple[Port, ...], options: InputOptions) -> Inputs:
    """Open a model's inputs and decide which field goes into which input, and how.

    Args:
        path: .npy, .npz, .parquet, .arrow, .csv, .safetensors, .pt or parts; a folder with a folder of
            images a class; or a list file of `path label` lines.
        ports: What the model takes.
        options: What the user said.

    Raises:
        DataError: The file is missing, damaged, empty, or does not hold what the model takes.
        UsageError: Something must be said, or what was said does not fit.
    """
    images = open_images(path, options.root)
    table = open_table(path) if images is None else images
    label_field = field_named(table, options.label_key, LABEL_NAMES, "--label-key")
    if label_field is not None:
        table = where_empty(table, label_field)  # who reads the labels judges empty ones
    table, id_field = id_column(table, options.id_key)
    taken = {name for name in (label_field, id_field) if name is not None}
    chosen = chosen_fields(table, ports, options.fields, taken)
    every = [one for fields in chosen for one in fields]
    paired(table.path, [*every, *(table.fields[name] for name in taken)])
    rows = every[0].shape[0]
    if rows == 0:
        raise _no_rows(table)
    feeds = tuple(
        settled_feed(table, port, fields, options.preprocessing)
        for port, fields in zip(ports, chosen, strict=True)
    )
    if options.limit is not None and rows is not None:
        rows = min(rows, options.limit)
    return TableInputs(table, rows, label_field, id_field, feeds, options.limit, options.workers)


def regrouped(pieces: Iterator[Columns], rows: int) -> Iterator[Columns]:
    """The same rows in pieces of exactly `rows`, the last one shorter; none comes in longer."""
    held: list[Columns] = []
    count = 0
    for piece in pieces:
        held.append(piece)
        count += piece[0].shape[0]
        if count >= rows:
            whole = _joined(held)
            yield tuple(one[:rows] for one in whole)
            count -= rows
            held = [tuple(one[rows:] for one in whole)] if count else []
    if count:
        yield _joined(held)


def _joined(pieces: list[Columns]) -> Columns:
    if len(pieces) == 1:
        return pieces[0]
    return tuple(np.concatenate(parts) for parts in zip(*pieces, strict=True))


def _held(columns: Begun) -> int:
    return sum(one.images.nbytes if isinstance(one, Decoded) else one.nbytes for one in columns)


def _no_rows(table: Table) -> DataError:
    return DataError(f"{place(table.path)}: holds no rows; expected at least one")
