"""`train`, the verb: data, then a network trained or given a new head, then logits, models, and what tau would gain."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lacal import __version__
from lacal.classes.prior import LabelPrior
from lacal.loss_table import Carries, carried_by_loss
from lacal.methods import METHODS, ClassStatistics
from lacal.pipeline.evaluate import Evaluation, evaluate
from lacal.pipeline.tune_tau import Search, Tuning, tune_tau
from lacal.rows.logits_source import SourceOptions, open_source
from lacal.tau.grid import parse_grid
from lacal.trained import TrainingRecord
from lacal.training.data import DataOptions, TrainingData, open_training_data
from lacal.training.device import faults
from lacal.training.finish import Finished, finish
from lacal.training.network_table import network_for
from lacal.training.options import TrainOptions
from lacal.training.progress import Progress
from lacal.training.run_folder import run_folder
from lacal.training.sampling import counts_for_loss
from lacal.training.second_stage_table import SECOND_STAGES
from lacal.training.start import network_of
from lacal.training.started import StartFrom, started
from lacal.training.train import Trained, train

METHOD = "logit-adjustment"
AROUND_ZERO = "-1:2:0.05"  # where a little too much, or too little, was corrected in training


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
    summary: Callable[["TrainingReport"], dict[str, Any]],
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
        summary: Makes JSON values of the report, for the folder's last file.

    Raises:
        DataError: The data cannot be trained on.
        UsageError: Options contradict each other, or the folder is in use for something else.
        RunError: The loss is not finite, the disk is full, or a delivered file does not hold.
    """
    inputs = [one for one in (data.data, data.val, data.test, data.counts) if one is not None]
    begun = None if start is None else start.folder
    with run_folder(out, resume=resume, force=force, inputs=inputs, start=begun) as folder:
        # What can be refused is, before the data are read, which may take minutes.
        counts_for_loss(np.ones(2), options.sampler, options.loss, options.loss_options)
        first = None if start is None else network_of(start.folder, options.model)
        opened = open_training_data(data)
        network = network_for(options.network, images=opened.images)
        options = replace(options, network=network)
        for line in opened.described:
            say(line)
        if start is None or first is None:
            trained = train(opened, options, folder, progress)
        else:
            options, trained = started(opened, options, start, first, folder, progress)
        record = _record(options, start)
        with faults(options, "cpu"):  # a network of the user's own may fail here still
            finished = finish(trained.network, opened, out, record)
        report = _report(out, opened, options, trained, finished)
        folder.finish(summary(report))
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
    )
