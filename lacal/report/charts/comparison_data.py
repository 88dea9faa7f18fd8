"""What the charts of comparisons and of training runs show; as `lacal.report.charts.data` holds for the others."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacal.report.charts.data import SIDES


@dataclass(frozen=True, slots=True)
class GroupGain:
    """What a method does to one group.

    Attributes:
        name: Of the group.
        gain: Value, low, high of the fall of its error.
        colour: Of its mark.
    """

    name: str
    gain: tuple[float, float, float]
    colour: str


@dataclass(frozen=True, slots=True)
class Method:
    """One row of a comparison.

    Attributes:
        name: Of the method.
        detail: Its numbers: `tau = 1.25`.
        error: Value, low, high of the balanced error.
        gain: Value, low, high of its fall against the reference; None for the reference itself.
        groups: The same of every group that has rows; empty where there is none.
    """

    name: str
    detail: str
    error: tuple[float, float | None, float | None]
    gain: tuple[float, float, float] | None
    groups: tuple[GroupGain, ...] = ()


@dataclass(frozen=True, slots=True)
class Methods:
    """Methods, best first.

    Attributes:
        rows: In the order they are shown.
        reference: What gains are measured against.
    """

    rows: tuple[Method, ...]
    reference: str


@dataclass(frozen=True, slots=True)
class ClassChange:
    """One class, before and after.

    Attributes:
        name: Of the class.
        n: Its labelled rows.
        before: Error.
        after: Error.
    """

    name: str
    n: int
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class ClassChanges:
    """Classes that gained and lost most.

    Attributes:
        gained: Most first.
        lost: Most last.
        sides: What before and after are called.
    """

    gained: tuple[ClassChange, ...]
    lost: tuple[ClassChange, ...]
    sides: tuple[str, str] = SIDES


@dataclass(frozen=True, slots=True)
class Epochs:
    """A training run, epoch by epoch.

    Attributes:
        train_loss: (e,) mean loss of the steps, weights and margins included.
        val_loss: (e,) cross-entropy of the validation logits.
        balanced_error: (e,) on validation.
        micro_error: (e,) on validation.
        kept: Number of the epoch that was kept, from 0.
        best: Number of the epoch with the lowest balanced error.
    """

    train_loss: NDArray[np.float64]
    val_loss: NDArray[np.float64]
    balanced_error: NDArray[np.float64]
    micro_error: NDArray[np.float64]
    kept: int
    best: int
