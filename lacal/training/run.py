"""`train`, the verb: data, then a network trained or given a new head, then logits, models, and what tau would gain."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lacal import __version__
from lacal.counts import read_counts
from lacal.errors import DataError
from lacal.formats.shown import place
from lacal.logits_source import SourceOptions, open_source
from lacal.loss_table import Carries, Value, carried_by_loss
from lacal.methods import METHODS, ClassStatistics
from lacal.names import some_classes
from lacal.pipeline.evaluate import Evaluation, evaluate
from lacal.pipeline.tune_tau import Search, Tuning, tune_tau
from lacal.prior import LabelPrior
from lacal.report.training import training_json
from lacal.report.warnings import of_tuning
from lacal.tau.grid import parse_grid
from lacal.trained import TrainingRecord
from lacal.training.build import plan_of
from lacal.training.checkpoint import write_weights
from lacal.training.data import DataOptions, TrainingData, open_training_data
from lacal.training.device import chosen_device, described, faults
from lacal.training.finish import Finished, finish, weights_sha256
from lacal.training.network_table import network_for
from lacal.training.networks import Network
from lacal.training.options import TrainOptions
from lacal.training.progress import Epoch, Progress
from lacal.training.run_folder import BEST, COUNTS, LAST, RunFolder, run_folder
from lacal.training.run_place import CONFIG
from lacal.training.sampling import counts_for_loss
from lacal.training.second_stage import second_stage
from lacal.training.second_stage_table import SECOND_STAGES
from lacal.training.start import network_of
from lacal.training.train import Trained, train

METHOD = "logit-adjustment"
FEW_TO_VALIDATE = 5
AROUND_ZERO = "-1:2:0.05"  # where a little too much, or too little, was corrected in training


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


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """What a run came to.

    Attributes:
        folder: Where it lies.
        data: What it was trained on.
        options: How.
        record: The same, as it travels with logits and models.
        trained: The network and its epochs.
        finished: Files for the rest of lacal.
        tuning: What tau would do on the validation split.
        prior: Training counts.
        test: Errors of the test split without and with that tau; None where there is no such split.
        warnings: What should be known before the numbers are believed.
    """

    folder: Path
    data: TrainingData
    options: TrainOptions
    record: TrainingRecord
    trained: Trained
    finished: Finished
    tuning: Tuning
    prior: LabelPrior
    test: Evaluation | None
    warnings: list[str]


def run_training(
    data: DataOptions,
    options: TrainOptions,
    out: Path,
    *,
    resume: bool,
    force: bool,
    start: StartFrom | None,
    progress: Progress,
    say: Callable[[str], None],
) -> TrainingReport:
    """Train, deliver, and look at what tau would gain; the folder's summary is written last.

    Args:
        data: Where the examples are.
        options: How to train; of a second stage, device, seed and threads count.
        out: The run's folder.
        resume: Go on with a run that broke there.
        force: Replace a run that is there.
        start: A finished run to give a new head, in place of training from scratch.
        progress: Told of steps and epochs.
        say: Told what was read and done to it, a line each.

    Raises:
        DataError: The data cannot be trained on.
        UsageError: Options contradict each other, or the folder is in use for something else.
        RunError: The loss is not finite, the disk is full, or a delivered file does not hold.
    """
    inputs = [one for one in (data.data, data.val, data.test, data.counts) if one is not None]
    begun = None if start is None else start.folder
    with run_folder(out, resume=resume, force=force, inputs=inputs, start=begun) as folder:
        counts_for_loss(
            np.ones(2), options.sampler, options.loss, options.loss_options
        )  # refuses early
        opened = open_training_data(data)
        network = network_for(options.network, images=opened.images)
        options = replace(options, network=network)
        for line in opened.described:
            say(line)
        if start is None:
            trained = train(opened, options, folder, progress)
        else:
            options, trained = _second_stage(opened, options, start, folder, progress)
        record = _record(options, start)
        with faults(options, "cpu"):  # a network of the user's own may fail here still
            finished = finish(trained.network, opened, out, record)
        report = _report(out, opened, options, trained, finished)
        folder.finish(training_json(report))
    return report


def carried(options: TrainOptions, stage: str | None) -> Carries:
    """What logits carry of the correction for the training counts: the most that loss, sampler, head or stage do."""
    if stage is not None:
        return SECOND_STAGES[stage].carries  # a head of its own, whatever the first stage's was
    said = [carried_by_loss(options.loss, options.loss_options)]
    if options.sampler != "instance":
        # Class-balanced and progressive sampling end with a uniform prior, square-root goes half the way.
        said.append("part" if options.sampler == "square-root" else "prior")
    if options.head == "causal-norm" and options.head_options.get("alpha", 0):
        said.append("part")  # what it subtracts at prediction leans towards the common classes
    order: tuple[Carries, ...] = ("nothing", "part", "prior")
    return max(said, key=order.index)


def _record(options: TrainOptions, start: StartFrom | None) -> TrainingRecord:
    stage = None if start is None else start.stage
    return TrainingRecord(
        loss=options.loss,
        loss_options=dict(options.loss_options),
        head=options.head,
        sampler=options.sampler,
        second_stage=stage,
        carries=carried(options, stage),
        network=options.model or options.network,
        epochs=options.epochs,
        lacal=__version__,
    )


def _second_stage(
    data: TrainingData,
    options: TrainOptions,
    start: StartFrom,
    folder: RunFolder,
    progress: Progress,
) -> tuple[TrainOptions, Trained]:
    """A finished run's network with a new head, and the options that run was trained with."""
    began = time.perf_counter()
    begun, network = network_of(start.folder, options.model)
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
        raise DataError(
            f"{data.train.place}: class {before.name(at)} has {data.class_counts[at]:,} training examples, "
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


def _report(
    out: Path, data: TrainingData, options: TrainOptions, trained: Trained, finished: Finished
) -> TrainingReport:
    prior = LabelPrior(data.class_counts, data.class_names)
    record = finished.record
    # What is corrected already is best left alone: shrinkage then draws towards tau 0.
    corrected = record.carries == "prior"
    grid = parse_grid(AROUND_ZERO if corrected else None, METHODS[METHOD])
    search = Search(METHOD, grid, seed=options.seed, reference=0.0 if corrected else None)
    logits = SourceOptions(scores="logits")
    val = open_source(finished.files["val_logits"], logits)
    tuning = tune_tau(val, prior, ClassStatistics(prior.log_prior), search)
    # What is corrected already needs no adjusting: nothing about one is worth a warning.
    of_tau = [] if corrected else [f"tuning tau: {one}" for one in of_tuning(tuning)]
    thin = _thin_validation(data)
    test = None
    if "test_logits" in finished.files:
        source = open_source(finished.files["test_logits"], logits)
        test = evaluate(source, tuning.calibration)
    return TrainingReport(
        folder=out,
        data=data,
        options=options,
        record=record,
        trained=trained,
        finished=finished,
        tuning=tuning,
        prior=prior,
        test=test,
        warnings=[*trained.notes, *thin, *of_tau],
    )


def _thin_validation(data: TrainingData) -> list[str]:
    """A warning where the epoch and tau were chosen on hardly any rows of some classes."""
    rows = np.bincount(data.val.labels, minlength=len(data.class_counts))
    thin = np.flatnonzero(rows < FEW_TO_VALIDATE)
    if not thin.size:
        return []
    some = some_classes(thin.tolist(), data.class_names)
    return [
        f"{thin.size:,} of {rows.size:,} classes have fewer than {FEW_TO_VALIDATE} validation rows ({some}), so the "
        "epoch and tau are chosen on little; give --val, or a larger --val-fraction"
    ]
