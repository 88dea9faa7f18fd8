"""A second stage in a folder of its own: a finished run's network is given a new head."""

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lacal.classes.counts import read_counts
from lacal.classes.names import some_classes
from lacal.errors import DataError
from lacal.formats.shown import place
from lacal.loss_table import Value
from lacal.training.build import plan_of
from lacal.training.checkpoint import write_weights
from lacal.training.data import TrainingData
from lacal.training.device import chosen_device, described, faults
from lacal.training.finish import weights_sha256
from lacal.training.networks import Network
from lacal.training.options import TrainOptions
from lacal.training.progress import Epoch, Progress
from lacal.training.run_folder import BEST, COUNTS, LAST, RunFolder
from lacal.training.run_place import CONFIG
from lacal.training.second_stage import second_stage
from lacal.training.train import Trained


@dataclass(frozen=True, slots=True)
class StartFrom:
    """A finished run whose backbone is kept, and what is trained on its features.

    Attributes:
        folder: The run.
        stage: Row of the table of second stages.
        options: All of its options.
    """

    folder: Path
    stage: str
    options: dict[str, Value]


def started(
    data: TrainingData,
    options: TrainOptions,
    start: StartFrom,
    first: tuple[TrainOptions, Network],
    folder: RunFolder,
    progress: Progress,
) -> tuple[TrainOptions, Trained]:
    """A finished run's network with a new head, and the options that run was trained with.

    Args:
        data: The data of that run, split and cut as they were.
        options: Of the command: of them device, threads and seed count, and the user's own factory.
        start: The run, and what is trained on its features.
        first: Of that run: its options and its network, which gets the new head.
        folder: Of the new run.
        progress: Told of steps and epochs.

    Raises:
        DataError: The data are others, or other rows of them trained the run.
        RunError: A feature or the loss is not finite, or the disk is full.
    """
    began = time.perf_counter()
    begun, network = first
    _check_same(data, network, start.folder)
    device = chosen_device(options.device, options.threads)
    begun = replace(begun, seed=options.seed, device=options.device, threads=options.threads)
    plan = {
        **plan_of(data, begun, device),
        "second_stage": start.stage,
        "stage_options": start.options,
        "start": weights_sha256(network),
    }
    config = {"start": str(start.folder), "options": begun.record(), "data": data.record}
    folder.begin(plan, config, data.class_counts, data.class_names)
    folder.rewrite_metrics([])
    kept = _Kept(folder, progress, [])
    with faults(begun, device):
        aligned = second_stage(
            start.stage,
            start.options,
            network,
            data,
            seed=options.seed,
            device=device,
            progress=kept,
        )
    last = len(kept.epochs) - 1
    for name in (BEST, LAST):
        write_weights(folder.path / name, aligned.state_dict(), last)
    seconds = time.perf_counter() - began
    return begun, Trained(aligned, kept.epochs, last, last, 0, seconds, described(device))


@dataclass(frozen=True, slots=True)
class _Kept:
    """A second stage's progress, whose epochs become lines of metrics.jsonl."""

    folder: RunFolder
    progress: Progress
    epochs: list[Epoch]

    def started(self, steps: int, done: int) -> None:
        """Pass it on."""
        self.progress.started(steps, done)

    def step(self, loss: float | None) -> None:
        """Pass it on."""
        self.progress.step(loss)

    def epoch(self, one: Epoch) -> None:
        """Keep it, then pass it on."""
        self.epochs.append(one)
        self.folder.add_metrics(one)
        self.progress.epoch(one)


def _check_same(data: TrainingData, network: Network, folder: Path) -> None:
    """Refuse other data, or another split of them: rows that trained the backbone must not validate its new head."""
    shape = tuple(data.train.inputs.shape[1:])
    if shape != network.input_shape:
        raise DataError(
            f"{data.train.place}: examples are {shape}, {place(folder)} was trained on {network.input_shape}; "
            "give the data it was trained on, read as they were then (--channels, --resize, --crop)"
        )
    counts = read_counts(folder / COUNTS)
    before = counts.prior(class_names=data.class_names, classes=len(data.class_counts))
    if not np.array_equal(before.class_counts, data.class_counts):
        at = int((before.class_counts != data.class_counts).argmax())
        name = some_classes([at], before.class_names)
        raise DataError(
            f"{data.train.place}: class {name} has {data.class_counts[at]:,} training examples, "
            f"{before.class_counts[at]:,} in {place(folder)}; give the data it was trained on, split and cut as "
            "it was (--val-fraction, --long-tail, --seed)"
        )
    config = json.loads((folder / CONFIG).read_bytes())
    if config.get("data_sha256") != data.fingerprint:
        raise DataError(
            f"{data.train.place}: its training and validation rows are not those of {place(folder)}, so that rows "
            f"which trained it could validate it now; split and cut them as then (--seed was "
            f"{config['options'].get('seed')}; --val, --val-fraction, --long-tail)"
        )
