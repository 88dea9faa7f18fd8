"""Examples into memory: each wanted row goes straight to its place, so that no second copy is ever held."""

import re
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.batch import Ids
from lacal.classes.names import shown
from lacal.errors import DataError, RunError
from lacal.training.files import SplitFile
from lacal.training.splits import Rows

BLOCK = 256  # rows; the reader draws more at once
SHARE = 0.9  # of the memory that is free


def read_rows(file: SplitFile, parts: list[Rows]) -> list[tuple[NDArray[Any], Ids | None]]:
    """Inputs (m, *shape) and ids of each part of a file's rows.

    Args:
        file: The file.
        parts: Row numbers, ascending; a row may be in several parts or none.

    Raises:
        DataError: A row cannot be read, or a value is NaN or infinite, wanted or not.
        RunError: The rows do not fit into memory.
    """
    kept = sum(part.size for part in parts)
    refuse_too_large(file, kept, free_memory())
    try:
        read = [np.empty((part.size, *file.shape), file.dtype) for part in parts]
    except MemoryError as error:
        raise RunError(f"{file.place}: {kept:,} examples do not fit into memory") from error
    ids: list[list[Ids]] = [[] for _ in parts]
    with closing(file.inputs.blocks(BLOCK)) as blocks:
        for block in blocks:
            values = block.arrays[0]
            _check_finite(values, block.start, file)
            for part, array, some in zip(parts, read, ids, strict=True):
                low, high = np.searchsorted(part, (block.start, block.start + len(values)))
                at = part[low:high] - block.start
                array[low:high] = values[at]
                if block.ids is not None:
                    some.append(block.ids[at])
    whole: list[Any] = [np.concatenate(some) if some else None for some in ids]
    return list(zip(read, whole, strict=True))


def refuse_too_large(file: SplitFile, rows: int, free: int | None) -> None:
    """Refuse examples that do not fit into memory.

    Args:
        file: What they are read from.
        rows: How many.
        free: Bytes; None where the system does not tell.

    Raises:
        RunError: They do not.
    """
    need = rows * file.row_bytes
    if free is not None and need > SHARE * free:
        raise RunError(
            f"{file.place}: {rows:,} examples take {need / 2**30:.1f} GiB of memory, of which "
            f"{free / 2**30:.1f} GiB is free; training holds all of them, so give fewer, or make images smaller "
            "with --resize"
        )


def free_memory() -> int | None:
    """Bytes that can be had without swapping; None where the system does not tell."""
    try:
        told = Path("/proc/meminfo").read_text()
    except OSError:  # pragma: no cover - Linux alone has it
        return None
    found = re.search(r"^MemAvailable: *(\d+) kB$", told, re.MULTILINE)
    return None if found is None else int(found[1]) * 1024


def _check_finite(values: NDArray[Any], start: int, file: SplitFile) -> None:
    if values.dtype.kind != "f" or np.isfinite(values).all():
        return
    row, *at = (int(one[0]) for one in np.nonzero(~np.isfinite(values)))
    if file.columns:
        where = f"column {shown(file.columns[at[0]])}"
    elif len(at) == 1:
        where = f"feature {at[0]:,}"
    else:
        where = f"value [{', '.join(map(str, at))}]"
    raise DataError(
        f"{file.place}: row {start + row:,}, {where} is {values[(row, *at)]}; expected finite numbers; fill it "
        "in, or leave the row out"
    )
