"""A model running over inputs as a source of Batches: everything that takes saved logits takes this too."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal import __version__
from lacal.batch import Batch, DeviceBatch, Labels, Logits
from lacal.classes.names import agree, check_distinct
from lacal.errors import DataError, RunError, UsageError
from lacal.formats import open_table
from lacal.inputs.inputs import InputBlock, Inputs
from lacal.models import model_sha256
from lacal.models.batching import Batching, automatic_rows
from lacal.models.model import DeviceModel, Model, OutOfMemory
from lacal.models.trial import Trial, tried
from lacal.rows.ids import IdCheck
from lacal.rows.labels import Ignored, LabelReader
from lacal.rows.scores import ScoreDoor
from lacal.trained import KEY, TrainingRecord

# Rows that a model is tried on before the run.
TRIAL_ROWS = 16
# Batches are handed on together until they took so long, or their inputs so many bytes, so that what
# follows costs little beside the smallest model.
TOGETHER_SECONDS, TOGETHER_BYTES = 0.05, 1 << 20


@dataclass(slots=True)
class ModelSource:
    """A model and its inputs. Open one with `open_model_source`.

    Attributes:
        model: What is run.
        inputs: What it is run on.
        classes: Number of classes, k, as the model really gives them.
        class_names: From the model or the inputs.
        label_reader: Where labels come from, or None.
        door: What becomes of the numbers.
        batching: How many rows go through the model at once.
        handed_on: Rows of a Batch at most, where batches of the model are smaller than that.
        labels: File of labels, where they are apart from the inputs.
        model_sha256: Hash of the model file.
    """

    model: Model
    inputs: Inputs
    classes: int
    class_names: tuple[str, ...] | None
    label_reader: LabelReader | None
    door: ScoreDoor
    batching: Batching
    handed_on: int
    labels: Path | None
    model_sha256: str

    @property
    def batch_size(self) -> int:
        """Rows of the model's next batch; it shrinks when the device runs out of memory."""
        return self.batching.rows

    @batch_size.setter
    def batch_size(self, rows: int) -> None:
        self.batching.rows = rows

    @property
    def notes(self) -> list[str]:
        """What happened on the way that the user should know."""
        return self.batching.notes

    @property
    def place(self) -> str:
        """Model and inputs as the user named them."""
        return _place(self.model, self.inputs)

    @property
    def rows(self) -> int | None:
        """Number of rows, where known beforehand."""
        return self.inputs.rows

    @property
    def labelled(self) -> bool:
        """Whether rows carry labels."""
        return self.label_reader is not None

    @property
    def stored(self) -> str:
        """What the scores come from, where a logits file names its type."""
        return f"run by {self.model.runs_on.provider} in {self.model.runs_on.precision}"

    @property
    def inference(self) -> dict[str, Any]:
        """What was run, on what, where and how: stored with the logits."""
        ran, training = self.model.runs_on, self.model.training
        return {
            "lacal": __version__,
            "model": self.model.path.name,
            "model_sha256": self.model_sha256,
            "model_kind": self.model.kind,
            "output": self.model.output,
            "adjusted": self.model.calibration is not None,
            "device": ran.device,
            "provider": ran.provider,
            "precision": ran.precision,
            "batch_size": self.batch_size,
            "inputs": self.inputs.record(),
            "versions": dict(ran.versions),
            **({} if training is None else {KEY: training.json()}),
        }

    def batches(self, start: int = 0) -> Iterator[Batch]:
        """All rows from `start` on, in order, checked.

        Raises:
            RunError: The runtime failed, or gave NaN or infinity; the row is named.
            DataError: Inputs or labels that the model cannot take.
        """
        for block, labels in self._blocks(start):
            parts = list(self.batching.pieces(block.arrays, self.model.run, self.classes))
            scores = parts[0] if len(parts) == 1 else np.concatenate(parts)
            yield Batch(self.checked(scores, block.start), labels, block.ids, block.start)

    @property
    def on_device(self) -> bool:
        """Whether scores lie on another device than the host, where tau can be tuned as well."""
        return isinstance(self.model, DeviceModel) and self.model.runs_on.device != "cpu"

    def device_batches(self) -> Iterator[DeviceBatch]:
        """All rows in order, their scores left on the device and not checked."""
        assert isinstance(self.model, DeviceModel)
        for block, labels in self._blocks(0):
            at = 0
            for scores in self.batching.pieces(
                block.arrays, self.model.run_on_device, self.classes
            ):
                rows = slice(at, at + scores.shape[0])
                yield DeviceBatch(
                    scores, None if labels is None else labels[rows], block.start + at
                )
                at = rows.stop

    def checked(self, scores: NDArray[Any], start: int) -> Logits:
        """Scores (n, k) from row `start` on as logits, or what is wrong with them."""
        return self.door.check(scores, start)

    def plan(self) -> dict[str, Any]:
        """Everything that decides the scores; a run may only go on under the same plan."""
        files = [list(one) for one in self.inputs.identity()]
        if self.labels is not None:
            stat = self.labels.stat()
            files.append([self.labels.name, stat.st_size, stat.st_mtime_ns])
        reader = self.label_reader
        return {
            **self.inference,
            "files": files,
            "rows": self.inputs.rows,
            "ids": self.inputs.id_field,
            "labels": None if reader is None else reader.place,
            "ignore_label": None if reader is None else reader.ignore,
            "scores": self.door.scores,
        }

    def described(self) -> list[str]:
        """What a user should check before believing the numbers, a line each."""
        ran = self.model.runs_on
        batch = f"batches of {self.batch_size}" + (
            ", shrinking if memory runs out" * self.batching.shrinks
        )
        return [
            f"model: {self.model.kind}, output {self.model.output}, on {ran.device} by {ran.provider} "
            f"in {ran.precision}, {batch}",
            *_trained(self.model.training),
            *self.inputs.described(),
            *ran.notes,
        ]

    def _rows_together(self) -> int:
        """A multiple of the batch: rows that take a moment, and little memory."""
        return self.batch_size * max(1, self.handed_on // self.batch_size)

    def _blocks(self, start: int) -> Iterator[tuple[InputBlock, Labels | None]]:
        """The inputs with their labels; ids and the labels' number are judged at the end."""
        distinct, seen = IdCheck(self.place, start), start
        for block in self.inputs.blocks(self._rows_together(), start):
            if block.ids is not None:
                distinct.update(block.ids)
            rows = block.arrays[0].shape[0]
            labels = None
            if self.label_reader is not None:
                labels = self.label_reader.labels(block.raw_labels, block.start, rows, block.ids)
            yield block, labels
            seen = block.start + rows
        if self.label_reader is not None and not self.inputs.limited:
            self.label_reader.check_end(seen, self.inputs.place)
        distinct.finish()


def open_model_source(
    model: Model,
    inputs: Inputs,
    *,
    labels: Path | None = None,
    label_key: str | None = None,
    class_names: tuple[str, ...] | None = None,
    scores: str | None = None,
    ignore_label: Ignored = None,
    batch_size: int | None = None,
    shift_blind: bool = True,
    allow_nondeterministic: bool = False,
) -> ModelSource:
    """Try the model on the first rows and make a source of it.

    Args:
        model: An opened model.
        inputs: Its opened inputs.
        labels: File of labels, where they are apart from the inputs.
        label_key: Field of the labels in that file.
        class_names: Names known from elsewhere (counts, calibration), to read text labels with.
        scores: What the model gives: None is logits, with a check that they look like it.
        ignore_label: Label value of rows without a label.
        batch_size: Rows of a batch; None for what fits.
        shift_blind: Whether what follows ignores a constant added to a row.
        allow_nondeterministic: Take a model whose scores differ from run to run.

    Raises:
        RunError: Two runs on the same rows differ, or scores depend on the rows beside.
        DataError: The model does not take these inputs, or names and labels do not fit.
    """
    if batch_size is not None and model.batch_size not in (None, batch_size):
        raise UsageError(
            f"--batch-size: got {batch_size}, but {model.path} was built for batches of "
            f"{model.batch_size}; leave it out (the last batch is padded)"
        )
    names = agree(model.class_names, str(model.path), inputs.class_names, inputs.place)
    trial, seen = _tried(model, inputs, batch_size, allow_nondeterministic)
    classes = seen.classes
    if names is not None:
        check_distinct(names, str(model.path))
        if len(names) != classes:
            raise DataError(
                f"{_place(model, inputs)}: has {len(names)} class names and {classes} scores a row; they "
                "must pair up"
            )
    reader = None
    if labels is not None or inputs.label_field is not None:
        reader = LabelReader.open(
            inputs.table if labels is None else open_table(labels),
            inputs.label_field if labels is None else label_key,
            classes=classes,
            class_names=names or class_names,
            ignore=ignore_label,
            apart=labels is not None,
            by_id=inputs.id_field is not None,
        )
    row_bytes = max(1, sum(array.nbytes // array.shape[0] for array in trial.arrays))
    return ModelSource(
        model=model,
        inputs=inputs,
        classes=classes,
        class_names=names,
        label_reader=reader,
        door=ScoreDoor(
            _place(model, inputs), scores, model.runs_on.precision, shift_blind, RunError
        ),
        batching=Batching(
            model,
            batch_size or model.batch_size or automatic_rows(row_bytes, model.runs_on.device),
            shrinks=batch_size is None and model.batch_size is None,
        ),
        handed_on=int(min(TOGETHER_SECONDS / seen.seconds_per_row, TOGETHER_BYTES // row_bytes)),
        labels=labels,
        model_sha256=model_sha256(model.path),
    )


def _tried(
    model: Model, inputs: Inputs, batch_size: int | None, allow_nondeterministic: bool
) -> tuple[InputBlock, Trial]:
    """The first rows, and what the model made of them; fewer where there is no memory for so many."""
    rows = model.batch_size or min(TRIAL_ROWS, batch_size or TRIAL_ROWS)
    while True:
        with closing(inputs.blocks(rows)) as blocks:
            block = next(blocks)
        try:
            return block, tried(model, list(block.arrays), allow_nondeterministic)
        except OutOfMemory:
            if batch_size is not None or model.batch_size is not None or rows == 1:
                raise
            rows //= 2


def _trained(training: TrainingRecord | None) -> list[str]:
    """With what, and what that means for the logits."""
    if training is None:
        return []
    return [f"trained with {training.described()}: {training.meaning()}"]


def _place(model: Model, inputs: Inputs) -> str:
    return f"{model.path} on {inputs.place}"
