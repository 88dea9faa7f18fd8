"""Stored logits as .npy and .npz, streamed out of finished parts; the same numbers are the same bytes."""

import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from lacal.pipeline.parts_store import PartsStore

FIRST_DAY = (1980, 1, 1, 0, 0, 0)  # a zip knows no earlier one


def write_npy(file: IO[bytes], store: PartsStore) -> None:
    """Write the logits alone: (n, k) in C order."""
    from lacal.formats.parquet_groups import as_numpy

    kind = store.schema().field("logits").type
    shape = (store.rows, kind.list_size)
    blocks = (as_numpy(batch.column("logits").flatten()) for batch in store.batches(["logits"]))
    _array(file, np.dtype(kind.value_type.to_pandas_dtype()), shape, blocks)


def write_npz(
    file: IO[bytes], store: PartsStore, logits: str, texts: Mapping[str, str | list[str]]
) -> None:
    """Write logits, labels and ids (row numbers where the inputs have none), and the texts.

    Args:
        file: A seekable file.
        store: The rows.
        logits: Name of the logits' member.
        texts: Further members.
    """
    with zipfile.ZipFile(file, "w") as archive:
        with _member(archive, logits) as member:
            write_npy(member, store)
        if "label" in store.schema().names:
            with _member(archive, "labels") as member:
                _array(member, np.dtype(np.int64), (store.rows,), _numbers(store, "label"))
        with _member(archive, "ids") as member:
            _array(member, *_ids(store))
        for name, text in texts.items():
            value = np.array(text)
            with _member(archive, name) as member:
                _array(member, value.dtype, value.shape, [value])


def _member(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    info = zipfile.ZipInfo(f"{name}.npy", FIRST_DAY)
    info.external_attr = 0o644 << 16
    return archive.open(info, "w", force_zip64=True)


def _array(
    file: IO[bytes], dtype: np.dtype[Any], shape: Sequence[int], blocks: Iterable[NDArray[Any]]
) -> None:
    """A header, then blocks as they come; of little-endian values, as most files are."""
    stored = dtype.newbyteorder("<")
    header = {"descr": stored.str, "fortran_order": False, "shape": tuple(shape)}
    npy_format.write_array_header_1_0(file, header)
    for block in blocks:
        file.write(block.astype(stored, copy=False).reshape(-1).view(np.uint8).data)


def _numbers(store: PartsStore, name: str) -> Iterator[NDArray[Any]]:
    from lacal.formats.parquet_groups import as_numpy

    for batch in store.batches([name]):
        yield as_numpy(batch.column(name))


def _ids(store: PartsStore) -> tuple[np.dtype[Any], tuple[int], Iterable[NDArray[Any]]]:
    """Type, shape and blocks of the ids; text is as wide as the longest, known after one pass."""
    import pyarrow as pa
    import pyarrow.compute as pc

    shape, schema = (store.rows,), store.schema()
    if "id" not in schema.names:
        numbers = (np.arange(part.start, part.end) for part in store.parts)
        return np.dtype(np.int64), shape, numbers
    kind = schema.field("id").type
    if not pa.types.is_string(kind):
        return np.dtype(kind.to_pandas_dtype()), shape, _numbers(store, "id")
    columns = (batch.column("id") for batch in store.batches(["id"]))
    longest = max(pc.max(pc.utf8_length(column)).as_py() for column in columns)
    dtype = np.dtype(f"U{max(1, longest)}")
    texts = (np.array(batch.column("id").to_pylist(), dtype) for batch in store.batches(["id"]))
    return dtype, shape, texts
