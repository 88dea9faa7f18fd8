"""How many rows go through a model at once: as it was built, as asked for, or what there is memory for."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.errors import DataError, RunError
from lacal.formats.shown import place
from lacal.models.model import Model, OutOfMemory, no_room_for

Run = Callable[[Sequence[NDArray[Any]]], Any]

# An automatic batch holds about this many bytes of inputs, within these numbers of rows.
AUTOMATIC = {"cpu": (1 << 22, 16, 1024), "cuda": (1 << 27, 32, 1024)}
MOST_ROWS = 1 << 24  # that a model may ask to have in every batch


@dataclass(slots=True)
class Batching:
    """Cuts rows into batches for one model.

    Attributes:
        model: What runs them.
        rows: Of the next batch.
        shrinks: Whether batches are halved when the device runs out of memory.
        notes: What happened on the way that the user should know.
    """

    model: Model
    rows: int
    shrinks: bool
    notes: list[str] = field(default_factory=list)

    def pieces(self, arrays: Sequence[NDArray[Any]], run: Run, classes: int) -> Iterator[Any]:
        """Scores (n, classes) of the rows, batch by batch.

        Args:
            arrays: One (rows, ...) for each input of the model.
            run: The model's `run` or `run_on_device`.
            classes: How many scores a row must have.

        Raises:
            RunError: There is no memory, also for a batch that may not shrink further.
            DataError: The model gives another number of scores.
        """
        rows, at = arrays[0].shape[0], 0
        while at < rows:
            taken = [array[at : at + self.rows] for array in arrays]
            try:
                scores = padded_run(run, taken, self.model.batch_size)
            except OutOfMemory:
                self._shrink(taken[0].shape[0])
                continue
            if scores.shape[1] != classes:
                raise DataError(
                    f"{self.model.path}: gave {scores.shape[1]} scores a row after {classes} a row "
                    "before; expected one number of classes throughout"
                )
            yield scores
            at += taken[0].shape[0]

    def _shrink(self, rows: int) -> None:
        if not self.shrinks or rows == 1:
            hint = ", or --batch-size auto" if rows > 1 else ""
            raise RunError(
                f"{self.model.path}: {self.model.runs_on.device} has no memory for a batch of {rows}; "
                f"{no_room_for(rows)}{hint}"
            )
        self.rows = max(1, min(self.rows, rows) // 2)
        self.notes.append(f"out of memory: batches halved to {self.rows} rows")


def automatic_rows(row_bytes: int, device: str) -> int:
    """A power of two that holds a few megabytes of inputs."""
    wanted, fewest, most = AUTOMATIC["cpu" if device == "cpu" else "cuda"]
    rows = max(1, wanted // row_bytes)
    return max(fewest, min(most, 1 << (rows.bit_length() - 1)))


def fixed_rows(path: Path, rows: int | None) -> int | None:
    """The same rows of every batch, which a short one is filled up to.

    Raises:
        DataError: They are more than any machine could hold.
    """
    if rows is not None and rows > MOST_ROWS:
        raise DataError(
            f"{place(path)}: declares batches of {rows:,} rows, expected at most {MOST_ROWS:,}; export it with a "
            "dynamic first side"
        )
    return rows


def padded_run(run: Run, arrays: Sequence[NDArray[Any]], fixed: int | None) -> Any:
    """Scores of at most one batch; a short one is filled up with its last row where the size is fixed."""
    rows = arrays[0].shape[0]
    if fixed is None or rows == fixed:
        return run(arrays)
    return run([np.concatenate([a, a[-1:].repeat(fixed - rows, 0)]) for a in arrays])[:rows]
