"""Which rows of the training file are trained on: what is left when validation and then a long tail are cut."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.batch import Labels
from lacal.errors import DataError
from lacal.training.classes import Classes, class_counts_of
from lacal.training.long_tail import LongTail, cut_rows
from lacal.training.splits import Rows, stratified

SPLIT, TAIL = 1, 2  # streams of the seed, so that neither cut depends on whether the other is made


@dataclass(frozen=True, slots=True)
class Cuts:
    """Where the rows of the training file go.

    Attributes:
        rows: "train", and "val" where it is cut off, to row numbers, ascending.
        class_counts: (k,) of the training split.
        described: What was cut, a line each.
        record: The same as JSON values.
    """

    rows: dict[str, Rows]
    class_counts: NDArray[np.int64]
    described: list[str]
    record: dict[str, Any]


def cut(
    place: str,
    labels: Labels,
    classes: Classes,
    val_fraction: float | None,
    tail: LongTail | None,
    seed: int,
) -> Cuts:
    """Cut validation examples off, then the rest long-tailed.

    Args:
        place: The training file, for messages.
        labels: (n,) of all its rows.
        classes: What they are of.
        val_fraction: Share of every class for validation; None for no such cut.
        tail: None for none.
        seed: Of both.

    Raises:
        DataError: A class has no training example, or nothing could be cut off.
        UsageError: A class would keep none, or the fraction is out of its range.
    """
    counts = class_counts_of(labels, classes, place)
    rows = {"train": np.arange(labels.size)}
    described: list[str] = []
    record: dict[str, Any] = {}
    if val_fraction is not None:
        rows["train"], rows["val"] = stratified(labels, val_fraction, (seed, SPLIT))
        if not rows["val"].size:
            raise DataError(
                f"{place}: every class has a single example, so none can be cut off for validation; give "
                "validation examples with --val"
            )
        described.append(
            f"val: {rows['val'].size:,} of {labels.size:,} examples cut off {place}, {val_fraction:g} of every "
            f"class, seed {seed}"
        )
        record["val_fraction"] = val_fraction
        counts = class_counts_of(labels[rows["train"]], classes, place)
    if tail is not None:
        before, whole = rows["train"], counts
        rows["train"] = before[
            cut_rows(labels[before], classes.count, tail, (seed, TAIL), classes.names)
        ]
        counts = class_counts_of(labels[rows["train"]], classes, place)
        uneven = np.ptp(whole) > 0
        described.append(
            f"long tail {tail}: {rows['train'].size:,} of {before.size:,} training examples stay, {counts[0]:,} to "
            f"{counts[-1]:,} a class, seed {seed}"
            + (
                f"; the smallest of the classes, which had up to {whole.max():,}, sets the largest"
                if uneven
                else ""
            )
        )
        record["long_tail"] = str(tail)
    return Cuts(rows, counts, described, record)
