"""The data of a training run, read, cut and described: arrays in memory, labels of one order of classes.

Validation examples are cut off before the long tail is, so that they stay as balanced as the file is. What is
normalised is normalised inside the network: the arrays hold what the files do.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.batch import Labels
from lacal.classes.counts import read_counts
from lacal.classes.names import shown
from lacal.errors import UsageError
from lacal.formats.shown import place
from lacal.inputs import InputOptions
from lacal.inputs.preprocessing import Preprocessing
from lacal.training.classes import Classes, check_counts, class_counts_of, settle_classes
from lacal.training.cutting import Cuts, cut
from lacal.training.examples import Examples
from lacal.training.files import INPUT, SplitFile, check_alike, open_split, split_fields
from lacal.training.long_tail import LongTail
from lacal.training.normalisation import Normalisation, normalisation
from lacal.training.overlap import absent_classes, check_ids, digest, overlaps
from lacal.training.reading import read_rows

__all__ = ["DataOptions", "Examples", "Normalisation", "TrainingData", "open_training_data"]

VAL_FRACTION = 0.1


@dataclass(frozen=True, slots=True)
class DataOptions:
    """What the user said about the data.

    Attributes:
        data: Training examples.
        val: Validation examples; None to cut them off `data`.
        test: Test examples, or None.
        val_fraction: Share of every class to cut off; None for a tenth where there is no validation split.
        long_tail: "exp:100" or "step:10": how to cut the training examples; None for not.
        counts: A counts file: names and order of the classes, and a check.
        input: Field of the inputs.
        label_key: Field of the labels; None for `label` or `labels`.
        id_key: Field of the ids; None for `id` or `ids`.
        root: Folder that the paths of a list file start from.
        preprocessing: Sizes and channels are changed while reading; scale, mean and std are the network's.
            `layout` is that of the data's arrays.
        normalise: Whether the network normalises at all.
        seed: Of the cuts.
        workers: Threads that read and decode; None for the number of cores.
    """

    data: Path
    val: Path | None = None
    test: Path | None = None
    val_fraction: float | None = None
    long_tail: str | None = None
    counts: Path | None = None
    input: str | None = None
    label_key: str | None = None
    id_key: str | None = None
    root: Path | None = None
    preprocessing: Preprocessing = Preprocessing()  # noqa: RUF009 - frozen
    normalise: bool = True
    seed: int = 0
    workers: int | None = None

    def inputs(self) -> InputOptions:
        """The same for every file that is read."""
        return InputOptions(
            preprocessing=self.preprocessing,
            fields={} if self.input is None else {INPUT: self.input},
            label_key=self.label_key,
            id_key=self.id_key,
            root=self.root,
            workers=self.workers,
        )


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Everything that is trained and looked at.

    Attributes:
        train: Training split.
        val: Validation split, which chooses the epoch and tau.
        test: Test split, or None.
        class_names: In class order, or None.
        class_counts: (k,) of the training split, each at least 1.
        images: Whether augmentation makes sense.
        normalisation: What the network does to inputs first.
        described: What was read, cut and normalised, a line each.
        record: The same as JSON values.
        fingerprint: SHA-256 of inputs and labels of the training and validation splits.
    """

    train: Examples
    val: Examples
    test: Examples | None
    class_names: tuple[str, ...] | None
    class_counts: NDArray[np.int64]
    images: bool
    normalisation: Normalisation
    described: list[str]
    record: dict[str, Any]
    fingerprint: str


def open_training_data(options: DataOptions) -> TrainingData:
    """Read, check and cut the data of a run; every label is checked before the first input is read.

    Raises:
        DataError: A file is damaged, empty or unlabelled, the files disagree with each other or with the counts,
            a class has no training example, or a value is not finite.
        UsageError: Options contradict each other or the data.
        RunError: The examples do not fit into memory.
    """
    tail = None if options.long_tail is None else LongTail.parse(options.long_tail)
    files = _opened(options)
    train = files["train"]
    counts = None if options.counts is None else read_counts(options.counts)
    others = [one for split, one in files.items() if split != "train"]
    classes = settle_classes(train.labels, [one.labels for one in others], counts)
    labels = {split: classes.numbered(one.labels) for split, one in files.items()}
    for one in others:
        check_alike(one, train)
    fraction = options.val_fraction
    if "val" not in files and fraction is None:
        fraction = VAL_FRACTION
    cuts = cut(train.place, labels["train"], classes, fraction, tail, options.seed)
    if counts is not None:
        whole = class_counts_of(labels["train"], classes, train.place)
        check_counts(counts, [whole, cuts.class_counts], classes, train.place)
    return _read(files, labels, classes, options, cuts)


def _opened(options: DataOptions) -> dict[str, SplitFile]:
    """Split -> its file; validation and test may lie beside the training examples in theirs."""
    if options.val is not None and options.val_fraction is not None:
        raise UsageError("--val is a validation split, --val-fraction cuts one; leave one out")
    said = options.inputs()
    files = {"train": open_split(options.data, "train", said)}
    table = files["train"].inputs.table
    beside = split_fields(table, "train") is not None and not said.fields and not said.label_key
    for split, path in (("val", options.val), ("test", options.test)):
        wanted = split == "test" or options.val_fraction is None
        if path is None and beside and wanted and split_fields(table, split) is not None:
            path = options.data
        elif path is not None and not (beside and split_fields(table, split)):
            _refuse_same(path, options.data, split)
        if path is not None:
            # A root is for lists; the training examples may be one where these are a folder.
            own = replace(said, root=None) if path.is_dir() else said
            files[split] = open_split(path, split, own)
    return files


def _refuse_same(path: Path, data: Path, split: str) -> None:
    if path.exists() and data.exists() and path.samefile(data):
        raise UsageError(
            f"--{split} {place(path)}: is the training data itself; give other examples"
            + (", or leave it out to have some cut off" if split == "val" else "")
        )


def _read(
    files: Mapping[str, SplitFile],
    labels: Mapping[str, Labels],
    classes: Classes,
    options: DataOptions,
    cuts: Cuts,
) -> TrainingData:
    train = files["train"]
    parts = dict(zip(cuts.rows, read_rows(train, list(cuts.rows.values())), strict=True))
    splits = {}
    for split, rows in cuts.rows.items():
        inputs, ids = parts[split]
        if ids is None and rows.size < train.rows:
            ids = rows
        splits[split] = Examples(inputs, labels["train"][rows], ids, train.place)
    for split, file in files.items():
        if split != "train":
            (inputs, ids), *_ = read_rows(file, [np.arange(file.rows)])
            splits[split] = Examples(inputs, labels[split], ids, file.place)
    for split, one in splits.items():
        if split != "train":
            check_ids(one)
    digests = {split: digest(one.inputs, one.labels) for split, one in splits.items()}
    norm = normalisation(
        options.preprocessing,
        splits["train"].inputs,
        images=train.images,
        normalise=options.normalise,
        place=train.place,
    )
    described = [
        *_files_described(files),
        f"classes: {classes.count:,}, {classes.said}",
        *cuts.described,
        *absent_classes(splits, classes),
        *overlaps(splits, val_was_cut="val" in cuts.rows),
        f"the network's normalisation: {norm.said}",
    ]
    return TrainingData(
        train=splits["train"],
        val=splits["val"],
        test=splits.get("test"),
        class_names=classes.names,
        class_counts=cuts.class_counts,
        images=train.images,
        normalisation=norm,
        described=described,
        record=_record(files, splits, digests, options, cuts, norm),
        fingerprint=hashlib.sha256((digests["train"] + digests["val"]).encode()).hexdigest(),
    )


def _files_described(files: Mapping[str, SplitFile]) -> list[str]:
    lines: list[str] = []
    for split, file in files.items():
        shape = " x ".join(map(str, file.shape))
        what = "images" if file.images else "features"
        lines.append(
            f"{split}: {file.rows:,} examples of {file.place}, {what} {shape} {file.dtype}, labels from field "
            f"{shown(file.inputs.label_field or '')}"
        )
        own = f"input {shown(INPUT)}: "
        every = (one.replace(own, f"{split}: inputs ") for one in file.inputs.described())
        lines += [line for line in every if line not in lines]
    return lines


def _record(
    files: Mapping[str, SplitFile],
    splits: Mapping[str, Examples],
    digests: Mapping[str, str],
    options: DataOptions,
    cuts: Cuts,
    norm: Normalisation,
) -> dict[str, Any]:
    return {
        "files": {
            split: {"path": str(one.inputs.table.path), "rows": one.rows, **one.inputs.record()}
            for split, one in files.items()
        },
        "examples": {split: int(one.labels.size) for split, one in splits.items()},
        "sha256": dict(digests),
        **cuts.record,
        "seed": options.seed,
        "normalisation": norm.said,
    }
