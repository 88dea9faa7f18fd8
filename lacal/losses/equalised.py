"""The two softmax readings of the equalisation loss (Tan et al., CVPR 2020), which spares rare classes as rivals.

Tan's own loss for detection is a third: sigmoid, over proposals. It is not here.
"""

import math

from torch import Tensor

from lacal.losses.margins import target_margin
from lacal.losses.pairwise import at_least_float32, cross_entropy


def equalised(logits: Tensor, labels: Tensor, *, log_prior: Tensor, tau: float = 1.0) -> Tensor:
    """`CE(logits + onehot-complement(y) tau log_prior, labels)`, (n,): rivals are lowered by their log prior.

    Unlike `logit_adjusted` the label's own logit stays as it is.

    Source: Menon et al., ICLR 2021, eq. 11 with Delta[y, j] = log prior_j^tau; its synthetic runs have tau = 1.
    """
    offsets = tau * log_prior
    return target_margin(at_least_float32(logits) + offsets, labels, margins=offsets)


def softmax_equalised(logits: Tensor, labels: Tensor, *, dropped: Tensor) -> Tensor:
    """`-log(exp logits_y / sum over j of w_j exp logits_j)`, (n,), w_j = 0 where a rival is dropped, else 1.

    Args:
        logits: (n, k).
        labels: (n,).
        dropped: (n, k) bool: a class of prior below lambda, and a draw of chance gamma, entry by entry. What it says
            of the label is not looked at.

    Source: Tan et al., CVPR 2020, softmax form; gamma 0.9 and lambda 0.005 in BagofTricks-LT, whose code does not
    subtract the maximum and overflows.
    """
    rivals = dropped.scatter(1, labels[:, None], False)
    return cross_entropy(at_least_float32(logits).masked_fill(rivals, -math.inf), labels)
