"""`train`: a network trained on data in a run folder, epoch by epoch, going on where a run broke.

After every epoch the weights and the optimiser's state are safe on disk, so whatever ends the process costs the
epoch under way. On the CPU a run that was broken and resumed ends with the bits of one that was left alone.
"""

import contextlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from lacal.errors import RunError, UsageError
from lacal.formats.shown import place
from lacal.training.build import build_loop, plan_of
from lacal.training.checkpoint import (
    Checkpoint,
    check_room_for,
    keep,
    newest,
    weights_after,
    write_weights,
)
from lacal.training.data import TrainingData
from lacal.training.device import chosen_device, described, faults
from lacal.training.device_rows import DeviceRows
from lacal.training.divergence import Diverged, diverged
from lacal.training.loop import Loop
from lacal.training.networks import Network
from lacal.training.options import TrainOptions
from lacal.training.own_model import check_repeatable
from lacal.training.progress import Epoch, Progress
from lacal.training.run_folder import BEST, LAST, RunFolder, epochs_kept
from lacal.training.schedule import check_options, rate
from lacal.training.validation import head_rank_correlation, validate

CHECKED_ROWS = 32  # that a user's own network is tried on before it is trained

__all__ = ["Epoch", "Progress", "Trained", "train"]


@dataclass(frozen=True, slots=True)
class Trained:
    """What `train` did.

    Attributes:
        network: With the weights of the kept epoch, in eval mode, on the CPU.
        epochs: All of them, those of earlier, broken runs among them.
        kept_epoch: Whose weights the network has, from 0.
        best_epoch: Lowest validation balanced error; the earliest of several.
        resumed_epochs: How many an earlier run had finished.
        seconds: Of all epochs.
        device: Where it ran.
        notes: What the user should know, a sentence each.
    """

    network: Network
    epochs: list[Epoch]
    kept_epoch: int
    best_epoch: int
    resumed_epochs: int
    seconds: float
    device: str
    notes: list[str] = field(default_factory=list)


def train(
    data: TrainingData, options: TrainOptions, folder: RunFolder, progress: Progress
) -> Trained:
    """Train a network, or go on with the run that the folder holds.

    Writes config.json, counts.csv, metrics.jsonl, best.safetensors and last.safetensors there, and checkpoints.

    Args:
        data: Training and validation split.
        options: How.
        folder: Of the run.
        progress: Who is told of steps and epochs.

    Raises:
        UsageError: Options contradict each other, or the run to go on with was another one.
        DataError: No checkpoint of the run to go on with is whole.
        RunError: The loss is no number, the device or its memory failed, or the disk is full.
    """
    check_options(options)
    device = chosen_device(options.device, options.threads)
    with _told_to_resume(folder), faults(options, device):
        loop = build_loop(data, options, device)
        val = DeviceRows.of(data.val, device)
        if options.model is not None:
            inputs, _ = next(val.in_order(CHECKED_ROWS))
            check_repeatable(loop.network.eval().features, inputs.float(), options.model)
        config = {"options": options.record(), "data": data.record}
        plan = plan_of(data, options, device)
        folder.begin(plan, config, data.class_counts, data.class_names)
        epochs, best, notes = _resumed(loop, folder)
        done = len(epochs)
        check_room_for(folder.path, loop.network.state_dict(), options.epochs - done)
        progress.started(options.epochs * loop.steps, done * loop.steps)
        for number in range(done, options.epochs):
            one = _epoch(number, loop, val, data, progress)
            epochs.append(one)
            if one.val_balanced_error < epochs[best].val_balanced_error:
                best = number
            keep(folder.state, _checkpoint(loop, tuple(epochs), best))
            folder.add_metrics(one)
            progress.epoch(one)
        return _ended(loop, folder, epochs, best, done, notes)


def _resumed(loop: Loop, folder: RunFolder) -> tuple[list[Epoch], int, list[str]]:
    """Put the newest checkpoint into the network and the optimiser; epochs, the best of them, and notes."""
    found, notes = newest(folder.state, folder.path)
    if found is None:
        folder.rewrite_metrics([])
        return [], 0, notes
    try:
        loop.network.load_state_dict(found.network)
    except RuntimeError as error:
        raise UsageError(
            f"{place(folder.path)}: its checkpoints are of another network than the one that is built now; bring "
            "--model back to what it was, or start anew with --force"
        ) from error
    groups = loop.optimiser.state_dict()["param_groups"]
    loop.optimiser.load_state_dict({"state": found.optimiser, "param_groups": groups})
    if loop.scaler is not None:
        loop.scaler.load_state_dict(found.scaler)
    folder.rewrite_metrics(found.epochs)
    return list(found.epochs), found.best, notes


def _epoch(
    number: int, loop: Loop, val: DeviceRows, data: TrainingData, progress: Progress
) -> Epoch:
    began = time.perf_counter()
    train_loss = loop.run(number, progress)
    size = loop.options.batch_size
    validation = validate(loop.network, val, len(data.class_counts), size)
    if not math.isfinite(validation.loss):
        where = f"epoch {number + 1}: the validation loss"
        raise diverged(where, number, [train_loss], loop.network, loop.rows, loop.options)
    return Epoch(
        epoch=number,
        lr=rate(loop.options, number),
        train_loss=train_loss,
        val_loss=validation.loss,
        val_balanced_error=validation.balanced_error,
        val_micro_error=validation.micro_error,
        seconds=time.perf_counter() - began,
        head_rank_correlation=head_rank_correlation(loop.network.head, data.class_counts),
    )


def _checkpoint(loop: Loop, epochs: tuple[Epoch, ...], best: int) -> Checkpoint:
    scaler = {} if loop.scaler is None else loop.scaler.state_dict()
    state = loop.optimiser.state_dict()["state"]
    return Checkpoint(epochs, best, loop.network.state_dict(), state, scaler)


def _ended(
    loop: Loop, folder: RunFolder, epochs: list[Epoch], best: int, done: int, notes: list[str]
) -> Trained:
    """Write the files of the end, and put the kept epoch's weights into the network."""
    last = len(epochs) - 1
    kept = best if loop.options.keep == "best" else last
    for name, epoch in ((BEST, best), (LAST, last)):
        write_weights(folder.path / name, weights_after(folder.state, epoch + 1), epoch)
    folder.rewrite_metrics(epochs)
    loop.network.load_state_dict(weights_after(folder.state, kept + 1))
    return Trained(
        network=loop.network.cpu().eval(),
        epochs=epochs,
        kept_epoch=kept,
        best_epoch=best,
        resumed_epochs=done,
        seconds=math.fsum(one.seconds for one in epochs),
        device=described(str(loop.device)),
        notes=notes,
    )


@contextlib.contextmanager
def _told_to_resume(folder: RunFolder) -> Iterator[None]:
    """Say of a failure that may not come again how the run goes on."""
    try:
        yield
    except Diverged:
        raise
    except RunError as error:
        epochs = epochs_kept(folder.path)
        if not epochs:
            raise
        raise RunError(
            f"{error}; finished epochs are kept ({epochs:,}), go on with --resume"
        ) from error
