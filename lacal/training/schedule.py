"""The learning rate of an epoch, and the checks of options that need no torch.

The rate changes between epochs, as in the papers' code: within the first `warmup` epochs it is
(epoch + 1) / warmup of the peak (kaidic/LDAM-DRW, `adjust_learning_rate`), then the schedule's share of it.
"""

import math
from collections.abc import Callable
from itertools import pairwise

from lacal.classes.names import near_miss, shown
from lacal.errors import UsageError
from lacal.training.options import TrainOptions

# Share of the peak rate, of the epoch's number from 0, the first epoch after warm-up, and all epochs.
Schedule = Callable[[int, int, int], float]

SCHEDULES = ("constant", "cosine", "step")
EXPECTED = (
    "expected constant, cosine, or step:EPOCH,...:FACTOR,... such as step:160,180:0.01,0.0001"
)


def parse_schedule(text: str) -> Schedule:
    """The schedule that the text stands for.

    `cosine` falls from the peak after warm-up towards 0 after the last epoch: with t of T epochs gone since
    warm-up, (1 + cos(pi t / T)) / 2.

    Raises:
        UsageError: It stands for none.

    Example:
        >>> share = parse_schedule("step:2,4:0.1")
        >>> [round(share(epoch, 0, 5), 6) for epoch in range(5)]
        [1.0, 1.0, 0.1, 0.1, 0.01]
    """
    kind, colon, rest = text.partition(":")
    if kind == "step" and colon:
        return _steps(text, *rest.partition(":")[::2])
    if text == "constant":
        return lambda epoch, first, epochs: 1.0
    if text == "cosine":
        return lambda epoch, first, epochs: (
            0.5 * (1 + math.cos(math.pi * (epoch - first) / (epochs - first)))
        )
    meant = "" if text in SCHEDULES else near_miss(kind, SCHEDULES)  # step is right, but half of it
    raise UsageError(f"--schedule: got {shown(text)}, {EXPECTED}.{meant}")


def rate(options: TrainOptions, epoch: int) -> float:
    """The learning rate of an epoch.

    Args:
        options: Peak rate, warm-up and schedule.
        epoch: Its number, from 0.

    Example:
        >>> warm = TrainOptions(lr=0.5, warmup=5, epochs=9, schedule="cosine")
        >>> [round(rate(warm, epoch), 3) for epoch in range(9)]
        [0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.427, 0.25, 0.073]
    """
    if epoch < options.warmup:
        return options.lr * (epoch + 1) / options.warmup
    return options.lr * parse_schedule(options.schedule)(epoch, options.warmup, options.epochs)


def check_options(options: TrainOptions) -> None:
    """Refuse numbers that no run can go by; names are checked where they are looked up.

    Raises:
        UsageError: An option is out of range, or contradicts another.
    """
    parse_schedule(options.schedule)
    for name, number, low in (
        ("--epochs", options.epochs, 1),
        ("--batch-size", options.batch_size, 2),
        ("--warmup", options.warmup, 0),
        ("--seed", options.seed, 0),
    ):
        if number < low:
            raise UsageError(f"{name}: got {number}, expected a whole number from {low}")
    for name, value in (("--lr", options.lr), ("--clip", options.clip)):
        if value is not None and not 0 < value < math.inf:
            raise UsageError(f"{name}: got {value:g}, expected a number above 0")
    for name, value in (
        ("--momentum", options.momentum),
        ("--weight-decay", options.weight_decay),
    ):
        if not 0 <= value < math.inf:
            raise UsageError(f"{name}: got {value:g}, expected a number from 0")
    _check_length(options)
    if options.nesterov and not (options.optimiser == "sgd" and options.momentum > 0):
        raise UsageError(
            "--nesterov: is a way to apply SGD's momentum; take --optimiser sgd and --momentum above 0, or "
            "leave it out"
        )


def _check_length(options: TrainOptions) -> None:
    """Refuse a warm-up or a step that the epochs end before."""
    recipes = "(a recipe's is made for its own --epochs)"
    if options.warmup > options.epochs:
        raise UsageError(
            f"--warmup: got {options.warmup} with --epochs {options.epochs}, so the rate never reaches its peak; "
            f"expected at most as many as epochs {recipes}; shorten --warmup or raise --epochs"
        )
    kind, _, rest = options.schedule.partition(":")
    if kind != "step":
        return
    last = int(rest.partition(":")[0].split(",")[-1])
    if last >= options.epochs:
        raise UsageError(
            f"--schedule: got {shown(options.schedule)} with --epochs {options.epochs}, so the step at epoch {last} "
            f"(from 0) never comes; expected steps before the end {recipes}; name other steps, take --schedule "
            "cosine, or raise --epochs"
        )


def _steps(text: str, epochs: str, factors: str) -> Schedule:
    try:
        at = [int(one) for one in epochs.split(",")]
        shares = [float(one) for one in factors.split(",")]
    except ValueError:
        raise UsageError(f"--schedule: got {shown(text)}, {EXPECTED}") from None
    if at[0] < 0 or any(late <= soon for soon, late in pairwise(at)):
        raise UsageError(f"--schedule: got {shown(text)}; epochs must be from 0 on and rise")
    if not all(0 <= share < math.inf for share in shares):
        raise UsageError(f"--schedule: got {shown(text)}; factors must be numbers from 0")
    if len(shares) == 1:
        shares = [shares[0] ** (i + 1) for i in range(len(at))]
    if len(shares) != len(at):
        raise UsageError(
            f"--schedule: got {shown(text)} with {len(at)} epochs and {len(shares)} factors; expected a "
            "factor for each epoch, or one for all"
        )
    return lambda epoch, first, epochs: next(
        (share for start, share in zip(at[::-1], shares[::-1], strict=True) if epoch >= start), 1.0
    )
