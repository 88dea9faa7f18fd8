"""How good a network is on a split, as its epochs are compared: in eval mode and float32, as it is delivered."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from lacal.metrics import ClassTally
from lacal.ranks import rank_correlation
from lacal.training.device_rows import DeviceRows

# Training keeps what every layer gave for its gradient and eval does not, so several times its batch fits.
BATCHES = 4


@dataclass(frozen=True, slots=True)
class Validation:
    """Of one split.

    Attributes:
        loss: Mean cross-entropy of the raw logits; not finite where the network is broken.
        balanced_error: In [0, 1].
        micro_error: In [0, 1].
    """

    loss: float
    balanced_error: float
    micro_error: float


def validate(network: nn.Module, rows: DeviceRows, classes: int, batch_size: int) -> Validation:
    """Loss and errors of a network, which is left in eval mode.

    Args:
        network: Raw inputs as float32 to logits (n, k).
        rows: The split.
        classes: k.
        batch_size: Of training.
    """
    network.eval()
    losses, guesses = [], []
    with torch.inference_mode():
        for inputs, labels in rows.in_order(BATCHES * batch_size):
            logits = network(inputs.float()).float()
            losses.append(functional.cross_entropy(logits, labels, reduction="sum").double())
            guesses.append(logits.argmax(1))
        loss = float(torch.stack(losses).sum()) / len(rows)
        predictions = torch.cat(guesses).cpu().numpy()
    tally = ClassTally.empty(classes)
    tally.update(rows.labels.cpu().numpy(), predictions)
    balanced, micro = tally.balanced().value, tally.micro().value
    assert balanced is not None  # a split without rows is refused where it is read
    assert micro is not None
    return Validation(loss, balanced, micro)


def head_rank_correlation(head: Any, class_counts: NDArray[np.int64]) -> float | None:
    """Spearman's, of the norms of the head's rows with the class counts; None where it has no row a class."""
    weight = getattr(head, "weight", None)
    if (
        not isinstance(weight, torch.Tensor)
        or weight.dim() != 2
        or len(weight) != len(class_counts)
    ):
        return None
    norms = weight.detach().double().norm(dim=1).cpu().numpy()
    return rank_correlation(norms, class_counts)
