"""A source that can start anywhere, made of arrays; and, run as a module, kills of `infer` on a slow one.

Each trial is a forked child, so that many of them cost no imports. The window of a run goes from its first part
to its end; it is measured first.
"""

import json
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.batch import Batch
from lacal.errors import UsageError
from lacal.pipeline import collect, logits_file
from lacal.pipeline.infer import check_output, infer


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


ROWS, BATCH, PART = 400, 10, 50
PAUSE = 0.003  # seconds of a batch


def slow_run(target: Path, ready: int) -> None:
    """Run `infer` as the command line does, and tell when the first batch is asked for."""

    def before(row: int) -> None:
        os.write(ready, b"READY\n")
        time.sleep(PAUSE)

    try:
        check_output(target, resume=True, force=False)
    except UsageError:  # killed when there was nothing left to do but remove an empty folder
        assert target.exists()
        return
    infer(sample(ROWS, batch_size=BATCH, before=before), target, resume=True)


def child_of(target: Path) -> int:
    """Process id of a child that runs `infer`, once it is ready or has ended."""
    readable, ready = os.pipe()
    child = os.fork()
    if not child:
        code = 1
        try:
            slow_run(target, ready)
            code = 0
        except BaseException:
            traceback.print_exc()
        os._exit(code)
    os.close(ready)
    os.read(readable, 6)
    return child


def whole_run(target: Path) -> float:
    """Seconds of a run that is left alone, from when it is ready."""
    child = child_of(target)
    began = time.perf_counter()
    assert os.waitpid(child, 0)[1] == 0
    return time.perf_counter() - began


def main(folder: Path, kills: int) -> None:
    """Print what the kills met, and what the resumed runs left."""
    import pyarrow as pa

    pa.array(["once, not in every child"])

    small_limits(setattr, PART)
    kinds = ("out.npz", "out.parquet", "out", "out.npy")
    whole, windows = {}, []
    for name in kinds:
        target = folder / "alone" / name
        target.parent.mkdir(exist_ok=True)
        windows.append(whole_run(target))
        whole[name] = content(target)
    found = {"kills": 0, "inside": 0, "kept": 0, "equal": 0, "left": 0, "window": min(windows)}
    chance = random.Random(0)
    for trial in range(kills):
        target = folder / str(trial) / kinds[trial % len(kinds)]
        target.parent.mkdir()
        for _ in range(1 + (trial % 4 == 3)):  # a quarter is killed again as it goes on
            child = child_of(target)
            time.sleep(chance.random() * 0.9 * min(windows))
            os.kill(child, signal.SIGKILL)
            found["inside"] += os.WIFSIGNALED(os.waitpid(child, 0)[1])
            found["kills"] += 1
            found["kept"] += any(target.parent.glob(".*.parts/part-*.arrow"))
            assert not target.exists() or content(target) == whole[target.name]
        whole_run(target)
        found["equal"] += content(target) == whole[target.name]
        found["left"] += len(list(target.parent.glob(".*.parts/part-*")))
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
