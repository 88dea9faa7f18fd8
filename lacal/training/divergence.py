"""What to say when training ends in numbers that are none: where, and the likely cause."""

from collections.abc import Sequence

import torch
from torch import nn

from lacal.errors import RunError
from lacal.training.device_rows import DeviceRows
from lacal.training.options import TrainOptions
from lacal.training.schedule import rate

# The loss may rise so far over that of the first step without a fault.
RISE = 3.0
# A step takes lr * weight_decay of a weight from it: from here on each overshoots 0 by more than it was away.
OVERSHOOT = 2.0


class Diverged(RunError):  # noqa: N818 - the name says what happened
    """The loss is no number; the same run would end so again."""


def diverged(
    where: str,
    epoch: int,
    losses: Sequence[float],
    network: nn.Module,
    rows: DeviceRows,
    options: TrainOptions,
) -> Diverged:
    """The error to raise.

    Args:
        where: Of what, and at which step: "epoch 3, step 12: the loss".
        epoch: Its number from 0.
        losses: Finite losses of this epoch's steps before it, in order.
        network: As it was left.
        rows: The training split.
        options: How it was trained.
    """
    told = f"; it was {losses[0]:.3g} at first and {losses[-1]:.3g} last" if losses else ""
    return Diverged(
        f"training, {where} is not finite{told}; {_cause(epoch, losses, network, rows, options)}"
    )


def _cause(
    epoch: int,
    losses: Sequence[float],
    network: nn.Module,
    rows: DeviceRows,
    options: TrainOptions,
) -> str:
    bad = _bad_row(rows)
    if bad is not None:
        return f"training row {bad:,} (from 0) holds a value that is not finite; mend or leave out such rows"
    lr = rate(options, epoch)
    # Of the two, the larger is the odd one.
    if lr * options.weight_decay >= OVERSHOOT and options.weight_decay > lr:
        return (
            f"a weight decay of {options.weight_decay:.3g} at a learning rate of {lr:.3g} makes weights grow, which is "
            f"the likely cause; try --weight-decay {TrainOptions().weight_decay:g}"
        )
    if options.precision == "float16":
        return "float16 ends at 65,504, which is the likely cause; take --precision bfloat16 or float32"
    broken = not all(bool(one.isfinite().all()) for one in network.parameters())
    rose = bool(losses) and losses[-1] > RISE * losses[0]
    if broken or rose or epoch > 0 or len(losses) > 1:
        more = "" if options.clip is not None else " or --clip 1"
        warm = "" if options.warmup else ", --warmup 5"
        return f"a learning rate of {lr:.3g} that is too high is the likely cause; try --lr {options.lr / 10:.3g}{warm}{more}"
    set_to = ", ".join(f"{name}={value}" for name, value in options.loss_options.items())
    return (
        f"it is so from the first step on, so the likely cause is the loss {options.loss} with {set_to or 'its counts'}, "
        "or inputs of a very large scale; try its default options, and leave the inputs to be normalised"
    )


def _bad_row(rows: DeviceRows) -> int | None:
    """The first row with a value that is not finite."""
    if not rows.inputs.is_floating_point():
        return None
    start = 0
    for inputs in rows.inputs.split(1024):
        bad = ~inputs.reshape(len(inputs), -1).isfinite().all(1)
        if bool(bad.any()):
            return start + int(bad.to(torch.uint8).argmax())
        start += len(inputs)
    return None
