"""Splits held against each other: examples that stand in two of them, classes that one of them lacks."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.batch import Labels
from lacal.classes.names import some_classes
from lacal.errors import DataError
from lacal.rows.ids import IdCheck
from lacal.training.classes import Classes
from lacal.training.examples import Examples

PAIRS = (("val", "train"), ("test", "train"), ("test", "val"))


def digest(inputs: NDArray[Any], labels: Labels) -> str:
    """SHA-256 of examples as training takes them, in order."""
    sha = hashlib.sha256(f"{inputs.dtype.str} {inputs.shape}".encode())
    sha.update(np.ascontiguousarray(inputs).data)
    sha.update(labels.astype("<i8").data)
    return sha.hexdigest()


def overlaps(splits: Mapping[str, Examples], *, val_was_cut: bool) -> list[str]:
    """A line on each pair of splits that share inputs.

    Args:
        splits: "train", "val" and perhaps "test".
        val_was_cut: Whether validation examples were cut off the training file.

    Raises:
        DataError: Validation or test are the very examples of the training file, in whatever order.
    """
    hashes = {split: np.sort(_row_hashes(one.inputs)) for split, one in splits.items()}
    parts = [hashes["train"], hashes["val"]] if val_was_cut else [hashes["train"]]
    file = np.sort(np.concatenate(parts))
    lines = []
    for split, other in PAIRS:
        if split not in splits:
            continue
        if np.array_equal(hashes[split], file):
            raise DataError(
                f"{splits[split].place}: holds the very examples of {splits['train'].place}; a network must be "
                f"judged on others, give another --{split}"
            )
        again = int(np.isin(hashes[split], hashes[other]).sum())
        if again:
            lines.append(
                f"warning: {again:,} of {hashes[split].size:,} {split} inputs are also in {other}, so errors on "
                f"{split} may look better than they are"
            )
    return lines


def absent_classes(splits: Mapping[str, Examples], classes: Classes) -> list[str]:
    """A line on each split but training that lacks classes, which its balanced error leaves out."""
    lines = []
    for split, one in splits.items():
        seen = np.bincount(one.labels, minlength=classes.count)
        absent = np.flatnonzero(seen == 0).tolist()
        if absent:
            lines.append(
                f"{split}: has no example of {len(absent):,} of {classes.count:,} classes "
                f"({some_classes(absent, classes.names)}), so its balanced error leaves them out"
            )
    return lines


def check_ids(examples: Examples) -> None:
    """Refuse ids that occur twice before training, as the logits file would after it.

    Raises:
        DataError: Two rows have one id.
    """
    if examples.ids is not None:
        check = IdCheck(examples.place)
        check.update(examples.ids)
        check.finish()


def _row_hashes(inputs: NDArray[Any]) -> NDArray[np.uint64]:
    """(n,) one 64-bit hash of the bytes of each example."""
    rows = np.ascontiguousarray(inputs).reshape(len(inputs), -1).view(np.uint8)
    hashed = b"".join(hashlib.blake2b(row.data, digest_size=8).digest() for row in rows)
    return np.frombuffer(hashed, np.uint64)
