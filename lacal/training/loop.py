"""The steps of an epoch: rows drawn on the device, augmented, run forward and back, and the weights moved.

Nothing in here makes the host wait for a GPU, but for a look at the losses now and then. Speed is measured by
benchmarks/training_speed.py against a bare loop.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from lacal.losses import ClassLoss
from lacal.training.device import seeded
from lacal.training.device_rows import DeviceRows
from lacal.training.divergence import diverged
from lacal.training.options import TrainOptions
from lacal.training.progress import Progress
from lacal.training.sampling import epoch_rows
from lacal.training.schedule import rate

Tensor = Any  # torch.Tensor

# Steps between two looks at the losses, each of which waits for all that a GPU was asked before.
LOOK_EVERY = {"cpu": 1, "cuda": 50}


@dataclass(slots=True)
class Loop:
    """A network in training.

    Attributes:
        network: On the device, as are the rest.
        loss: Logits and labels to a number.
        optimiser: Of the network's parameters.
        scaler: Of float16's gradients; None for other precisions.
        rows: The training split.
        class_counts: (k,) of it.
        augment: Of a batch of images; None for none.
        options: How it is trained.
    """

    network: nn.Module
    loss: ClassLoss
    optimiser: Any
    scaler: Any
    rows: DeviceRows
    class_counts: Tensor
    augment: Callable[[Tensor, Any], Tensor] | None
    options: TrainOptions

    @property
    def device(self) -> Any:
        """Where it runs, as a torch.device."""
        return self.rows.labels.device

    @property
    def steps(self) -> int:
        """Of an epoch: one row alone makes none."""
        whole, rest = divmod(len(self.rows), self.options.batch_size)
        return whole + (rest > 1)

    def run(self, epoch: int, progress: Progress) -> float:
        """Train for an epoch; everything it draws comes from the seed and its number.

        Returns:
            Mean of the steps' losses, each counted by its rows.

        Raises:
            Diverged: A loss is not finite.
        """
        options = self.options
        generator = torch.Generator(self.device).manual_seed(seeded(options.seed, epoch + 1))
        for group in self.optimiser.param_groups:
            group["lr"] = rate(options, epoch)
        self.loss.begin_epoch(epoch, options.epochs)
        self.network.train()
        rows = epoch_rows(
            self.rows.labels, self.class_counts, options.sampler, epoch, options.epochs, generator
        )
        every = LOOK_EVERY[self.device.type]
        losses: list[float] = []
        waiting: list[Tensor] = []
        for inputs, labels in self.rows.drawn(rows, options.batch_size):
            if self.augment is not None:
                inputs = self.augment(inputs, generator)
            # Here and not after the step: while gradients lie on the heap, glibc does not hand its top back to the
            # system and fetch it again, which would cost a ResNet-32 on the CPU 8 % of its time.
            self.optimiser.zero_grad(set_to_none=True)
            loss = self._forward(inputs, labels)
            waiting.append(loss.detach())
            seen = None
            if len(waiting) == every:
                seen = self._look(epoch, losses, waiting)
            self._move(loss)
            progress.step(seen)
        self._look(epoch, losses, waiting)
        sizes = [options.batch_size] * len(losses)
        sizes[-1] = min(sizes[-1], len(rows) - sum(sizes[:-1]))
        return math.fsum(loss * size for loss, size in zip(losses, sizes, strict=True)) / sum(sizes)

    def _forward(self, inputs: Tensor, labels: Tensor) -> Tensor:
        if self.options.precision == "float32":
            return self.loss(self.network(inputs.float()), labels)
        with torch.autocast(self.device.type, getattr(torch, self.options.precision)):
            logits = self.network(inputs.float())
        return self.loss(logits, labels)

    def _move(self, loss: Tensor) -> None:
        clip, scaler = self.options.clip, self.scaler
        (loss if scaler is None else scaler.scale(loss)).backward()
        if clip is not None:
            if scaler is not None:
                scaler.unscale_(self.optimiser)
            nn.utils.clip_grad_norm_(self.network.parameters(), clip)
        if scaler is None:
            self.optimiser.step()
        else:
            scaler.step(self.optimiser)
            scaler.update()

    def _look(self, epoch: int, losses: list[float], waiting: list[Tensor]) -> float | None:
        """Fetch the losses that wait; the newest of all."""
        fetched = (
            [one.item() for one in waiting] if len(waiting) < 2 else torch.stack(waiting).tolist()
        )
        waiting.clear()
        for loss in fetched:
            if not math.isfinite(loss):
                where = f"epoch {epoch + 1}, step {len(losses) + 1}: the loss"
                raise diverged(where, epoch, losses, self.network, self.rows, self.options)
            losses.append(loss)
        return losses[-1] if losses else None
