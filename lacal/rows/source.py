"""A source: something that yields the same Batches of logits, labels and ids again and again.

`lacal.rows.logits_source` makes one of a file, `lacal.model_source` one of a model and its inputs.
"""

from collections.abc import Iterator
from typing import Any, Protocol, cast

from numpy.typing import NDArray

from lacal.batch import Batch, DeviceBatch, Logits
from lacal.errors import DataError, UsageError
from lacal.rows.scores import ScoreDoor
from lacal.trained import TrainingRecord, record_of_logits


class Source(Protocol):
    """Something that yields the same Batches again and again, in bounded memory."""

    @property
    def place(self) -> str:
        """The source as the user named it, for messages."""

    @property
    def classes(self) -> int:
        """Number of classes, k."""

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Names of the classes, where known."""

    @property
    def rows(self) -> int | None:
        """Number of rows, where known beforehand."""

    @property
    def labelled(self) -> bool:
        """Whether rows carry labels."""

    @property
    def stored(self) -> str:
        """The type the numbers had where they came from."""

    @property
    def inference(self) -> dict[str, Any] | None:
        """How a model made the logits, where lacal ran it: JSON values."""

    def batches(self) -> Iterator[Batch]:
        """All rows in order; a batch is valid until the next is drawn."""


class DeviceSource(Source, Protocol):
    """A source whose logits a model makes with torch, on a device where they may stay."""

    @property
    def door(self) -> ScoreDoor:
        """What the scores must pass."""

    @property
    def on_device(self) -> bool:
        """Whether that device is another than the host; where not, `batches` serves better."""

    def device_batches(self) -> Iterator[DeviceBatch]:
        """All rows in order, unchecked."""

    def checked(self, scores: NDArray[Any], start: int) -> Logits:
        """Suspicious scores (n, k), fetched from the device: as logits, or what `batches` raises."""


class Restartable(Source, Protocol):
    """A source that can start at any row where a batch of an earlier pass ended."""

    batch_size: int
    """Rows of the next batch; may shrink on the way."""

    def batches(self, start: int = 0) -> Iterator[Batch]:
        """All rows from `start` on, in order; a batch is valid until the next is drawn."""

    def plan(self) -> dict[str, Any]:
        """Everything that decides the logits, as JSON values: a run goes on under an equal plan only."""

    @property
    def inference(self) -> dict[str, Any]:
        """How the logits are made, as JSON values: stored with them, the same after a run that went on."""


def device_source(source: Source) -> DeviceSource | None:
    """The source as one to be looked at on its device; None where its rows must come to the host.

    Scores declared to be probabilities do: the door makes logits of them.
    """
    if not getattr(source, "on_device", False):
        return None
    made = cast(DeviceSource, source)
    return made if made.door.scores in (None, "logits") else None


def require_labels(source: Source) -> None:
    """Refuse a source without labels, naming the options that bring them."""
    if not source.labelled:
        raise UsageError(
            f"{source.place}: has no labels; add a field `labels` to it, name one with --label-key, "
            "or give --labels FILE"
        )


def training_of(source: Source) -> TrainingRecord | None:
    """How the model behind a source was trained, where lacal trained it.

    Raises:
        DataError: The record cannot be read.
    """
    return record_of_logits(source.inference, source.place)


def refuse_corrected(training: TrainingRecord | None, place: str, *, force: bool) -> None:
    """Refuse to adjust logits into which training has put the whole correction: twice over-corrects.

    Args:
        training: How their model was trained, where that is known.
        place: The source, or the model, for the message.
        force: Whether the user wants it all the same.
    """
    if training is not None and training.carries == "prior" and not force:
        raise DataError(
            f"{place}: was trained with {training.described()}: {training.meaning()} already, and adjusting "
            "them again over-corrects; predict with its raw logits (lacal adjust --tau 0 --counts COUNTS writes predictions), "
            "or say --force-adjust"
        )
