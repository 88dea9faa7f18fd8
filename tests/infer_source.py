"""A source that can start anywhere, made of arrays."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.batch import Batch
from lacal.pipeline import collect, logits_file


def nothing(row: int) -> None:
    pass


@dataclass
class ArraySource:
    """Rows of arrays in batches that all lie in one buffer, as a real source's may."""

    logits: NDArray[Any]
    labels: NDArray[np.int64] | None = None
    ids: NDArray[Any] | None = None
    class_names: tuple[str, ...] | None = None
    batch_size: int = 7
    settings: dict[str, Any] = field(default_factory=lambda: {"model": "m.onnx"})
    adjusted: bool = False
    rows_known: bool = True
    before: Callable[[int], None] = nothing  # called with the first row of each batch
    place: str = "m.onnx on x.npy"
    started: list[tuple[int, int]] = field(default_factory=list)  # first row, batch size

    @property
    def classes(self) -> int:
        return int(self.logits.shape[1])

    @property
    def stored(self) -> str:
        return "run by a test"

    @property
    def inference(self) -> dict[str, Any]:
        return self.record()

    @property
    def rows(self) -> int | None:
        return len(self.logits) if self.rows_known else None

    @property
    def labelled(self) -> bool:
        return self.labels is not None

    def batches(self, start: int = 0) -> Iterator[Batch]:
        self.started.append((start, self.batch_size))
        while start < len(self.logits):
            self.before(start)
            rows = slice(start, start + self.batch_size)
            buffers = [None if a is None else a[rows].copy() for a in (self.labels, self.ids)]
            logits = self.logits[rows].copy()
            yield Batch(logits, buffers[0], buffers[1], start)
            for buffer in (logits, *buffers):  # a batch is valid until the next is drawn
                if buffer is not None:
                    buffer[:] = buffer[:1]
            start += len(logits)

    def plan(self) -> dict[str, Any]:
        return {**self.settings, "files": [["x.npy", 80, 1], ["y.npy", 80, 2]], "sizes": (1, 2)}

    def record(self) -> dict[str, Any]:
        return {**self.settings, "adjusted": self.adjusted, "batch_size": self.batch_size}


def sample(rows: int = 100, classes: int = 5, seed: int = 0, **given: Any) -> ArraySource:
    """Labels, text ids of many lengths, names of classes."""
    generator = np.random.default_rng(seed)
    return ArraySource(
        generator.standard_normal((rows, classes)).astype(given.pop("dtype", np.float32)),
        **{
            "labels": generator.integers(0, classes, rows),
            "ids": np.array([f"é{'x' * (i % 9)}-{i}" for i in range(rows)]),
            "class_names": tuple(f"class {j}" for j in range(classes)),
            **given,
        },
    )


def content(path: Path) -> dict[str, bytes]:
    """The bytes of a file, or of every file of a folder."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return {file.name: file.read_bytes() for file in files}


def names(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


def small_limits(patch: Callable[[object, str, int], None], rows: int) -> None:
    """Parts of so many rows; row groups of 16 rows, 32 of them to a part of a folder."""
    patch(collect, "PART_ROWS", rows)
    patch(logits_file, "GROUP_ROWS", 16)
    patch(logits_file, "FOLDER_PART_BYTES", 32 * 5 * 4)
