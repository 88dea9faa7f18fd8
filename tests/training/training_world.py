"""Tiny data, options and listeners for tests of training: an epoch takes milliseconds."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.loss_table import LOSSES, options_of
from lacal.training.data import Examples, Normalisation, TrainingData
from lacal.training.head_table import HEADS
from lacal.training.options import TrainOptions
from lacal.training.progress import Epoch

COUNTS = (24, 12, 6)  # of training: 42 examples


def examples(
    counts: tuple[int, ...], shape: tuple[int, ...], place: str, *, seed: int, images: bool
) -> Examples:
    """Classes with means of their own, that lie near enough to each other to be confused."""
    generator = np.random.default_rng(seed)
    means = np.random.default_rng(99).normal(size=(len(counts), *shape))
    labels = generator.permutation(np.repeat(np.arange(len(counts)), counts)).astype(np.int64)
    values: NDArray[Any] = means[labels] + generator.normal(size=(labels.size, *shape))
    if images:
        values = np.clip(128 + 40 * values, 0, 255).astype(np.uint8)
    else:
        values = values.astype(np.float32)
    ids = np.array([f"{place}-{row}" for row in range(labels.size)])
    return Examples(inputs=values, labels=labels, ids=ids, place=place)


def tiny_data(
    counts: tuple[int, ...] = COUNTS,
    shape: tuple[int, ...] = (4,),
    *,
    seed: int = 0,
    named: bool = True,
    test: bool = True,
) -> TrainingData:
    """Long-tailed training examples, and balanced validation and test examples, 10 of a class each.

    Args:
        counts: Training examples of each class.
        shape: Of one example: (d,) for features, (c, h, w) for images of uint8.
        seed: Of the examples.
        named: Whether classes have names.
        test: Whether there is a test split.
    """
    images = len(shape) == 3
    even = (10,) * len(counts)
    train = examples(counts, shape, "train.npz", seed=3 * seed, images=images)
    val = examples(even, shape, "val.npz", seed=3 * seed + 1, images=images)
    last = examples(even, shape, "test.npz", seed=3 * seed + 2, images=images) if test else None
    bytes_of = (one.tobytes() for split in (train, val) for one in (split.inputs, split.labels))
    return TrainingData(
        train=train,
        val=val,
        test=last,
        class_names=tuple(f"class {j}" for j in range(len(counts))) if named else None,
        class_counts=np.array(counts, np.int64),
        images=images,
        normalisation=normalisation(shape),
        described=[f"train.npz: {sum(counts)} rows"],
        record={"files": ["train.npz", "val.npz"]},
        fingerprint=hashlib.sha256(b"".join(bytes_of)).hexdigest(),
    )


def normalisation(shape: tuple[int, ...]) -> Normalisation:
    """Of pixels into about -1..1; of features none."""
    images = len(shape) == 3
    size = shape[0] if images else 1
    return Normalisation(
        scale=1 / 255 if images else 1.0,
        mean=np.full(size, 0.5 if images else 0.0, np.float32),
        std=np.full(size, 0.25 if images else 1.0, np.float32),
        said="as the test says",
    )


def tiny_options(**given: Any) -> TrainOptions:
    """Three epochs of a linear network; options of the loss and the head are filled in with defaults."""
    loss = given.get("loss", "softmax")
    head = given.get("head") or ("cosine" if LOSSES[loss].head == "cosine" else "linear")
    of_loss = {name: one.default for name, one in options_of(loss).items()}
    of_head = {name: one.default for name, one in HEADS[head].items()}
    values: dict[str, Any] = {
        "network": "linear",
        "epochs": 3,
        "batch_size": 8,
        "device": "cpu",
        **given,
        "loss": loss,
        "head": head,
        "loss_options": {**of_loss, **given.get("loss_options", {})},
        "head_options": {**of_head, **given.get("head_options", {})},
    }
    return TrainOptions(**values)


@dataclass
class Heard:
    """A listener that keeps all it is told."""

    starts: list[tuple[int, int]] = field(default_factory=list)
    losses: list[float | None] = field(default_factory=list)
    epochs: list[Epoch] = field(default_factory=list)

    def started(self, steps: int, done: int) -> None:
        self.starts.append((steps, done))

    def step(self, loss: float | None) -> None:
        self.losses.append(loss)

    def epoch(self, one: Epoch) -> None:
        self.epochs.append(one)


class Stop(BaseException):
    """What a signal would raise."""


@dataclass
class StopsAt(Heard):
    """A listener that breaks the run when it hears of a step (from 0), as Ctrl-C would."""

    at: int = 0

    def step(self, loss: float | None) -> None:
        super().step(loss)
        if len(self.losses) == self.at + 1:
            raise Stop
