"""Which examples an epoch draws: the class first, by a power of its count, then any example of it.

Kang et al. 2020: `p_j` is proportional to `n_j^q` with q = 1 (instance-balanced), 1/2 (square-root) or 0
(class-balanced); progressively balanced sampling goes from the first to the last over the epochs.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from lacal.batch import PerClass
from lacal.errors import UsageError
from lacal.loss_table import LOSSES, Value
from lacal.training.options import Sampler

Tensor = Any  # torch.Tensor

POWERS = {"instance": 1.0, "square-root": 0.5, "class-balanced": 0.0}


def class_probabilities(
    class_counts: ArrayLike, sampler: Sampler, epoch: int, epochs: int
) -> PerClass:
    """(k,) chance of each class to be drawn next.

    Progressive: `(1 - t) p_instance + t p_class-balanced`, where t goes from 0 in the first epoch to 1 in the
    last (Kang et al. 2020, eq. 4, with the `linspace` of their code).

    Args:
        class_counts: (k,) above 0.
        sampler: Which.
        epoch: From 0.
        epochs: Of the whole training.

    Example:
        >>> class_probabilities([90, 10], "square-root", 0, 1).tolist()
        [0.75, 0.25]
    """
    counts = np.asarray(class_counts, np.float64)
    if sampler == "progressive":
        share = epoch / (epochs - 1) if epochs > 1 else 0.0
        blend: PerClass = (1 - share) * counts / counts.sum() + share / counts.size
        return blend
    weights: PerClass = counts ** POWERS[sampler]
    weights /= weights.sum()
    return weights


def counts_for_loss(
    class_counts: ArrayLike,
    sampler: Sampler,
    loss: str,
    loss_options: Mapping[str, Value] | None = None,
) -> PerClass:
    """(k,) counts of the stream that is sampled, `N p_j`: what a loss that corrects for counts must correct for.

    Args:
        class_counts: (k,) of the training split.
        sampler: How examples are drawn.
        loss: Row of `LOSSES`.
        loss_options: Its options, of which "drw" makes any loss use the counts.

    Raises:
        UsageError: The stream is balanced, or becomes so: there is nothing to correct for, and nothing fixed.
    """
    deferred = bool((loss_options or {}).get("drw"))
    uses = LOSSES[loss].uses_counts or deferred
    if uses and sampler in ("class-balanced", "progressive"):
        stream = "is balanced" if sampler == "class-balanced" else "changes with every epoch"
        what = f"--loss {loss}" + ("" if LOSSES[loss].uses_counts else " with drw")
        raise UsageError(
            f"--sampler {sampler}: draws a stream that {stream}, and {what} corrects for the counts of the stream; "
            "both together correct twice, or for nothing; take --sampler instance or square-root, or --loss softmax"
        )
    counts = np.asarray(class_counts, np.float64)
    if sampler == "instance":
        return counts
    drawn: PerClass = counts.sum() * class_probabilities(counts, sampler, 0, 1)
    return drawn


def epoch_rows(
    labels: Tensor,
    class_counts: Tensor,
    sampler: Sampler,
    epoch: int,
    epochs: int,
    generator: Any,
) -> Tensor:
    """(n,) row numbers of an epoch, on the device of the labels.

    Instance-balanced: every row once, in random order. Otherwise with replacement: a class by its probability, then
    any of its rows.

    Args:
        labels: (n,) in 0..k-1.
        class_counts: (k,) of the labels, each at least 1.
        sampler: How.
        epoch: From 0.
        epochs: Of the whole training.
        generator: Of torch, on the device of the labels.
    """
    rows, device = len(labels), labels.device
    if sampler == "instance":
        return torch.randperm(rows, generator=generator, device=device)
    chances = class_probabilities(class_counts.cpu().numpy(), sampler, epoch, epochs)
    weights = torch.from_numpy(chances).to(device)
    classes = torch.multinomial(weights, rows, replacement=True, generator=generator)
    counts = class_counts.to(device)
    share = torch.rand(rows, dtype=torch.float64, device=device, generator=generator)
    # Below 1, but the product may round up to the count itself.
    within = torch.minimum((share * counts[classes]).long(), counts[classes] - 1)
    by_class = torch.argsort(labels, stable=True)
    return by_class[(counts.cumsum(0) - counts)[classes] + within]
