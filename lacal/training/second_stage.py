"""A second stage: a new head, trained on the features that a network gives its training examples.

Nothing of the network but its head changes: features are computed once, in eval mode, so that neither weights nor
the statistics of batch normalisation move. Everything drawn comes from the seed.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from lacal.classes.names import near_miss, shown
from lacal.errors import RunError, UsageError
from lacal.loss_table import Value
from lacal.named_options import settled_options
from lacal.training.aligned_heads import (
    DisAlignHead,
    LearnedScaleHead,
    NearestMeanHead,
    fresh,
    generalised_weights,
)
from lacal.training.data import TrainingData
from lacal.training.device import WEIGHTS, seeded
from lacal.training.device_rows import DeviceRows
from lacal.training.frozen_features import ROWS, feature_rows
from lacal.training.networks import Network
from lacal.training.options import TrainOptions
from lacal.training.progress import Epoch, Progress
from lacal.training.sampling import epoch_rows
from lacal.training.schedule import rate
from lacal.training.second_stage_table import SECOND_STAGES
from lacal.training.validation import head_rank_correlation, validate

Tensor = Any  # torch.Tensor

MOMENTUM = 0.9  # in the code of all of them
RHO = {
    "cosine": 1.5
}  # of DisAlign's weights, by the head it stands on (Zhang et al. 2021); 1.2 for others
RHO_ELSE = 1.2
DEAD = 1e-3  # a mean confidence; those of a stage that works were 0.2 to 0.7


def second_stage(
    name: str,
    options: Mapping[str, Value],
    network: Network,
    data: TrainingData,
    *,
    seed: int,
    device: str,
    progress: Progress,
) -> Network:
    """The network with a new head, trained on its features of the training split.

    Args:
        name: Row of `SECOND_STAGES`.
        options: Of that row; its defaults where nothing is said.
        network: Gets the new head; all else of it stays as it is, bit by bit.
        data: What the network was trained on, or other examples of the same classes.
        seed: Of the new weights, and the order of the examples.
        device: As torch names it.
        progress: Told of steps and epochs. The validation split is looked at there alone: the last epoch is kept.

    Returns:
        `network`, on the CPU, in eval mode.

    Raises:
        UsageError: There is no such stage or option.
        RunError: A feature or the loss is not finite.
    """
    values = _settled(name, options)
    network.to(device)
    train, val = (feature_rows(network, one, device) for one in (data.train, data.val))
    seeded(seed, WEIGHTS)
    stage = _Stage(name, values, network.head, train, val, data.class_counts, seed)
    network.head = stage.trained(progress) if values else stage.computed(progress)
    network.cpu().eval()
    return network


@dataclass(frozen=True, slots=True)
class _Stage:
    """A second stage on cached features.

    Attributes:
        name: Row of the table.
        values: All of its options.
        head: The network's, as it was.
        train: Features of the training split, on the device.
        val: Of the validation split.
        class_counts: (k,) of the training split.
        seed: Of everything drawn.
    """

    name: str
    values: Mapping[str, float]
    head: nn.Module
    train: DeviceRows
    val: DeviceRows
    class_counts: NDArray[np.int64]
    seed: int

    def computed(self, progress: Progress) -> nn.Module:
        """The head of class means."""
        began = time.perf_counter()
        progress.started(1, 0)
        head = NearestMeanHead.of(self.train.inputs, self.train.labels, len(self.class_counts))
        progress.step(None)
        loss = validate(head, self.train, head.classes, ROWS).loss
        progress.epoch(self._epoch(0, 0.0, loss, head, began))
        return head.eval()

    def trained(self, progress: Progress) -> nn.Module:
        """The head after its last epoch."""
        options, head = self.options, self._head()
        weights = [one for one in head.parameters() if one.requires_grad]
        optimiser = torch.optim.SGD(
            weights,
            lr=options.lr,
            momentum=options.momentum,
            weight_decay=options.weight_decay,
            fused=True,
        )
        whole, rest = divmod(len(self.train), options.batch_size)
        progress.started(options.epochs * (whole + (rest > 1)), 0)
        for epoch in range(options.epochs):
            began, lr = time.perf_counter(), rate(options, epoch)
            optimiser.param_groups[0]["lr"] = lr
            loss = self._pass(epoch, head, optimiser, progress)
            one = self._epoch(epoch, lr, loss, head, began)
            if not math.isfinite(one.val_loss):
                raise self._stopped(f", epoch {epoch + 1}: the validation loss is not finite")
            progress.epoch(one)
        if isinstance(head, DisAlignHead):
            self._check_alive(head)
        return (head.merged() if isinstance(head, LearnedScaleHead) else head).eval()

    @property
    def options(self) -> TrainOptions:
        """The same, as the loop takes them."""
        return TrainOptions(
            sampler=SECOND_STAGES[self.name].sampler,
            epochs=int(self.values["epochs"]),
            batch_size=int(self.values["batch_size"]),
            lr=self.values["lr"],
            momentum=MOMENTUM,
            weight_decay=self.values["weight_decay"],
            schedule="cosine",
            seed=self.seed,
        )

    def _head(self) -> nn.Module:
        """What is trained, in its first state, on the features' device."""
        if self.name == "lws":
            head: nn.Module = LearnedScaleHead(self.head)
        elif self.name == "disalign":
            head = DisAlignHead(self.head)
        else:
            head = fresh(self.head)
        return head.to(self.train.labels.device)

    def _class_weights(self) -> Tensor | None:
        """Of the loss, (k,)."""
        if self.name != "disalign":
            return None
        rho = self.values["rho"] or RHO.get(self.head.kind, RHO_ELSE)
        weights = torch.from_numpy(generalised_weights(self.class_counts, rho)).float()
        return weights.to(self.train.labels.device)

    def _pass(self, epoch: int, head: nn.Module, optimiser: Any, progress: Progress) -> float:
        """One epoch's steps; the mean of their losses, each by its rows."""
        options, device = self.options, self.train.labels.device
        generator = torch.Generator(device).manual_seed(seeded(self.seed, epoch + 1))
        counts, weights = torch.as_tensor(self.class_counts, device=device), self._class_weights()
        rows = epoch_rows(
            self.train.labels, counts, options.sampler, epoch, options.epochs, generator
        )
        head.train()
        losses, sizes = [], []
        for features, labels in self.train.drawn(rows, options.batch_size):
            loss = functional.cross_entropy(head(features), labels, weight=weights)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            losses.append(loss.detach())
            sizes.append(len(labels))
            # On a GPU fetching it would wait for all that was asked of it before.
            progress.step(loss.item() if device.type == "cpu" else None)
        told = torch.stack(losses).tolist()
        self._check(epoch, told)
        return math.fsum(map(math.prod, zip(told, sizes, strict=True))) / sum(sizes)

    def _check(self, epoch: int, losses: list[float]) -> None:
        bad = next((i for i, loss in enumerate(losses) if not math.isfinite(loss)), None)
        if bad is not None:
            before = losses[:bad]
            told = f"; it was {before[0]:.3g} at first and {before[-1]:.3g} last" if bad else ""
            raise self._stopped(
                f", epoch {epoch + 1}, step {bad + 1}: the loss is not finite{told}"
            )

    def _stopped(self, what: str) -> RunError:
        """The error to raise where steps were too long."""
        lr = self.values["lr"]
        return RunError(
            f"second stage {self.name}{what}; a learning rate of {lr:.3g} that is too high is the likely cause; try "
            f"--stage-option lr={lr / 10:.3g}"
        )

    def _check_alive(self, head: DisAlignHead) -> None:
        """Refuse confidences of 0: nothing of the alignment is left then, nor a gradient to bring it back."""
        with torch.no_grad():
            mean = float(head.confidences(self.train.inputs).mean())
        if mean < DEAD:
            raise self._stopped(
                f": its confidences fell to 0 (a mean of {mean:.2g} on the training rows), so that the old head's logits "
                "stay as they were"
            )

    def _epoch(self, epoch: int, lr: float, loss: float, head: nn.Module, began: float) -> Epoch:
        seen = validate(head, self.val, len(self.class_counts), ROWS)
        plain = head.merged() if isinstance(head, LearnedScaleHead) else head
        return Epoch(
            epoch=epoch,
            lr=lr,
            train_loss=loss,
            val_loss=seen.loss,
            val_balanced_error=seen.balanced_error,
            val_micro_error=seen.micro_error,
            seconds=time.perf_counter() - began,
            head_rank_correlation=head_rank_correlation(plain, self.class_counts),
        )


def _settled(name: str, options: Mapping[str, Value]) -> dict[str, float]:
    """Every option of a stage, all of which are numbers, with its value."""
    if name not in SECOND_STAGES:
        raise UsageError(
            f"--second-stage: there is no stage {shown(name)}; expected one of: {', '.join(SECOND_STAGES)}."
            + near_miss(name, tuple(SECOND_STAGES))
        )
    what = f"--stage-option ({name})"
    settled = settled_options(SECOND_STAGES[name].options, options, what)
    values = {one: float(value) for one, value in settled.items()}
    for one in ("epochs", "batch_size"):
        if not values.get(one, 0.0).is_integer():
            raise UsageError(f"{what}: {one}: got {values[one]:g}, expected a whole number")
    return values
