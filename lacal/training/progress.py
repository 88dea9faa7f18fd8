"""What a training run tells as it goes on. No torch here."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Epoch:
    """A finished epoch: a line of metrics.jsonl.

    Attributes:
        epoch: Its number, from 0.
        lr: Learning rate.
        train_loss: Mean of the steps' losses, each by its rows; class weights and margins included.
        val_loss: Mean cross-entropy of the validation logits, without weights or margins.
        val_balanced_error: Mean over classes of the validation error, in [0, 1].
        val_micro_error: Share of validation rows that are wrong, in [0, 1].
        seconds: Of the epoch with its validation.
        head_rank_correlation: Spearman's, of the head's row norms with the class counts; None where the head
            has no row a class.
    """

    epoch: int
    lr: float
    train_loss: float
    val_loss: float
    val_balanced_error: float
    val_micro_error: float
    seconds: float
    head_rank_correlation: float | None


class Progress(Protocol):
    """Who wants to know."""

    def started(self, steps: int, done: int) -> None:
        """A stage of so many steps begins, some of which an earlier run has done."""

    def step(self, loss: float | None) -> None:
        """A step is done; its loss, where fetching it costs nothing."""

    def epoch(self, one: Epoch) -> None:
        """An epoch is done and safe on disk."""
