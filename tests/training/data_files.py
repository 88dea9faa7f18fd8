"""Files of examples for tests of training data: small, and the same every time."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from lacal.training.data import DataOptions, TrainingData, open_training_data

Array = NDArray[Any]
NAMES = ("cat", "dog", "emu")
COUNTS = (30, 20, 10)
RNG = np.random.default_rng(11)
LABELS = RNG.permutation(np.repeat(np.arange(3), COUNTS))
FEATURES = RNG.normal(5, 3, (60, 4)).astype("f4")
COLOURS = RNG.integers(0, 256, (60, 3, 6, 5), np.uint8)
GREYS = COLOURS[:, 0]
OTHERS = RNG.normal(5, 3, (12, 4)).astype("f4")  # for another split
OTHER_LABELS = np.arange(12) % 3


def npz(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def csv(path: Path, x: Array, labels: Any, columns: str = "abcd") -> Path:
    lines = [",".join([*columns, "label"])]
    lines += [
        ",".join([*map(repr, row.tolist()), str(label)])
        for row, label in zip(x, labels, strict=True)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def parquet(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def png(pixels: Array) -> bytes:
    image = pytest.importorskip("PIL.Image")
    stream = io.BytesIO()
    image.fromarray(pixels if pixels.ndim == 2 else pixels.transpose(1, 2, 0)).save(stream, "png")
    return stream.getvalue()


def class_folders(folder: Path, pixels: Array, labels: Any) -> Path:
    for i, (one, label) in enumerate(zip(pixels, labels, strict=True)):
        place = folder / str(label) / f"{i:03}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(png(one))
    return folder


def opened(data: Path, **said: Any) -> TrainingData:
    return open_training_data(DataOptions(data, **said))


def words(labels: Array) -> Array:
    return np.array(NAMES)[labels]


def plain(folder: Path, name: str = "train.npz", **more: Any) -> Path:
    return npz(folder / name, x=FEATURES, labels=LABELS, **more)


def other(folder: Path, name: str = "val.npz", **more: Any) -> Path:
    return npz(folder / name, **{"x": OTHERS, "labels": OTHER_LABELS, **more})
