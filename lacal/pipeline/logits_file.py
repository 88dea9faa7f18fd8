"""The file that `infer` leaves: Parquet, .npz, .npy, or a folder of Parquet parts with a manifest.

Rows are streamed out of the finished parts onto a grid of the file's own, and nothing in it tells of the day
or the machine: the same logits are the same bytes, wherever the parts ended.
"""

import itertools
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lacal.atomic import sync_folder, writing
from lacal.errors import UsageError
from lacal.formats.shown import place, printable
from lacal.pipeline.logits_arrays import write_npy, write_npz
from lacal.pipeline.parts_store import MANIFEST, Hashed, PartsStore
from lacal.pipeline.working_folder import unwritable
from lacal.rows.fields import ADJUSTED_PREFIX

Kind = Literal["parquet", "npz", "npy", "folder"]

GROUP_ROWS = 1 << 16
GROUP_BYTES = 1 << 25
FOLDER_PART_BYTES = 64 << 20

KINDS: dict[str, Kind] = {".parquet": "parquet", ".pq": "parquet", ".npz": "npz", ".npy": "npy"}
FORMER = re.compile(rf"part-\d{{5,}}\.parquet|{re.escape(MANIFEST)}")
RECORD = "inference"
COLUMNS = ("id", "label", "logits")


@dataclass(frozen=True, slots=True)
class Description:
    """What is said about the logits beside the numbers.

    Attributes:
        class_names: Where known.
        record: How they were made: JSON values.
    """

    class_names: tuple[str, ...] | None
    record: dict[str, Any]

    @property
    def logits(self) -> str:
        """Name of their field: those of an adjusted model must not be adjusted again."""
        return f"{ADJUSTED_PREFIX}logits" if self.record.get("adjusted") else "logits"

    @property
    def texts(self) -> dict[str, str | list[str]]:
        """What goes into a file besides: the record as JSON, and the names where known."""
        names = {} if self.class_names is None else {"class_names": list(self.class_names)}
        return {RECORD: json.dumps(self.record, allow_nan=False), **names}


def output_kind(path: Path) -> Kind:
    """What to write, by the name: a folder where it has no suffix, or is one.

    Raises:
        UsageError: The suffix stands for nothing that `infer` writes.
    """
    if path.is_dir() or not path.suffix:
        return "folder"
    if path.suffix.lower() not in KINDS:
        raise UsageError(
            f"{place(path)}: logits are written as .parquet, .npz, .npy, or a folder of Parquet parts "
            "(a name without suffix); name one of these"
        )
    return KINDS[path.suffix.lower()]


def check_folder(path: Path, *, force: bool) -> None:
    """Refuse to replace a folder that holds files, but for a former result under `force`.

    Raises:
        UsageError: It does, or is a file.
    """
    if path.exists() and not path.is_dir():
        raise UsageError(
            f"{place(path)}: is a file, and a name without suffix is a folder to write; name another"
        )
    names = {one.name for one in path.iterdir()} if path.exists() else set()
    foreign = sorted(name for name in names if not FORMER.fullmatch(name))
    if foreign or (names and MANIFEST not in names):
        what = f"'{printable(foreign[0])}'" if foreign else "parts without a manifest"
        raise UsageError(
            f"{place(path)}: holds {what}, which lacal infer did not write; name a new folder"
        )
    if names and not force:
        raise UsageError(f"{place(path)}: holds logits already; add --force to replace them")


def write_logits(store: PartsStore, kind: Kind, description: Description, *, force: bool) -> None:
    """Write the final file from finished parts, whole or not at all.

    Args:
        store: The parts; no row is missing.
        kind: What to write.
        description: What is said about the logits.
        force: Replace a file, or a former result's folder, of that name.

    Raises:
        UsageError: Something of that name exists and is not to be replaced.
        RunError: It could not be written.
    """
    if kind == "folder":
        _write_folder(store, description, force)
        return
    with writing(store.path, replace=force) as file:
        if kind == "parquet":
            _parquet(file, _tables(store, description), _group_rows(store.schema()))
        elif kind == "npz":
            write_npz(file, store, description.logits, description.texts)
        else:
            write_npy(file, store)
        file.flush()
        os.fsync(file.fileno())
        store.publishing(os.fstat(file.fileno()))


def _tables(store: PartsStore, description: Description) -> Iterator[Any]:
    import pyarrow as pa

    from lacal.formats.parquet_groups import numbers

    texts = description.texts
    metadata = {f"lacal.{RECORD}": texts.pop(RECORD)}
    metadata |= {name: json.dumps(text) for name, text in texts.items()}
    start = 0
    for batch in store.batches(COLUMNS):
        there = dict(zip(batch.schema.names, batch.columns, strict=True))
        row_numbers = numbers(np.arange(start, start + batch.num_rows))
        columns = {"id": there.get("id", row_numbers)}
        if "label" in there:
            columns["label"] = there["label"]
        columns[description.logits] = there["logits"]
        yield pa.table(columns, metadata=metadata)
        start += batch.num_rows


def _row_bytes(schema: Any) -> int:
    logits = schema.field("logits").type
    return int(logits.list_size * logits.value_type.bit_width // 8)


def _group_rows(schema: Any) -> int:
    """Rows of a row group: fixed by the width of a row alone."""
    return max(1, min(GROUP_ROWS, GROUP_BYTES // _row_bytes(schema)))


def _part_rows(schema: Any) -> int:
    """Rows of a folder's part: whole row groups."""
    group = _group_rows(schema)
    return group * max(1, FOLDER_PART_BYTES // (group * _row_bytes(schema)))


def _parquet(file: Any, tables: Iterable[Any], group_rows: int) -> None:
    from lacal.formats.parquet_groups import row_groups

    # Logits hardly ever repeat: a dictionary of them, or their extremes, cost time and help nobody.
    layout: dict[str, Any] = {"use_dictionary": False, "write_statistics": ["id", "label"]}
    with row_groups(file, group_rows, **layout) as groups:
        for table in tables:
            groups.write(table)


def _write_folder(store: PartsStore, description: Description, force: bool) -> None:
    """Build the folder beside its place, manifest last, and move it there when it is whole."""
    whole, target = store.folder / "whole", store.path.resolve()
    try:
        shutil.rmtree(whole, ignore_errors=True)  # of a run that broke at this point
        whole.mkdir()
        parts = [
            _write_part(whole / f"part-{number:05}.parquet", map(itemgetter(1), pieces), store)
            for number, pieces in itertools.groupby(_cut(store, description), itemgetter(0))
        ]
        with writing(whole / MANIFEST) as file:
            file.write(_manifest(store, description, parts))
        store.publishing((whole / MANIFEST).stat())
        check_folder(target, force=force)
        _put_in_place(whole, target, store.folder / "replaced")
        sync_folder(target.parent)
    except OSError as error:
        raise unwritable(store.path, error) from error


def _put_in_place(whole: Path, target: Path, aside: Path) -> None:
    """Give a folder its final name; one that is there goes aside, and comes back if that fails."""
    taken = (target / MANIFEST).exists()
    if taken:
        shutil.rmtree(aside, ignore_errors=True)  # what a broken run put there
        target.rename(aside)
    try:
        whole.rename(target)  # in place of an empty folder too
    except OSError:
        if taken:
            aside.rename(target)
        raise


def _cut(store: PartsStore, description: Description) -> Iterator[tuple[int, Any]]:
    """Tables that end where a part of the folder ends, each with its part's number."""
    rows = _part_rows(store.schema())
    number, room = 0, rows
    for table in _tables(store, description):
        while table.num_rows:
            piece = table.slice(0, room)
            yield number, piece
            table = table.slice(room)
            room -= piece.num_rows
            if not room:
                number, room = number + 1, rows


def _write_part(path: Path, tables: Iterable[Any], store: PartsStore) -> dict[str, Any]:
    """Write one part of the folder; its entry in the manifest."""
    rows = 0

    def counted() -> Iterator[Any]:
        nonlocal rows
        for table in tables:
            rows += table.num_rows
            yield table

    with writing(path) as file:
        hashed = Hashed(file)
        _parquet(hashed, counted(), _group_rows(store.schema()))
    return {"name": path.name, "rows": rows, "sha256": hashed.sha256}


def _manifest(
    store: PartsStore, description: Description, parts: Sequence[dict[str, Any]]
) -> bytes:
    names = description.class_names
    content = {
        "format": "lacal-logits",
        "version": 1,
        "rows": store.rows,
        "class_names": None if names is None else list(names),
        RECORD: description.record,
        "parts": parts,
    }
    return json.dumps(content, indent=1, allow_nan=False).encode() + b"\n"
