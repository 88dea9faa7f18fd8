"""Focal losses, of which the field has three that differ: softmax, softmax with a detached factor, and sigmoid."""

import torch
from torch import Tensor
from torch.nn import functional

from lacal.losses.pairwise import at_least_float32, cross_entropy


def focal(logits: Tensor, labels: Tensor, *, gamma: float, detached: bool = False) -> Tensor:
    """`(1 - p_y)^gamma CE(logits, labels)`, (n,), p = softmax(logits); gamma = 0 is plain cross-entropy.

    Args:
        logits: (n, k).
        labels: (n,).
        gamma: At least 0.
        detached: Whether the factor lets no gradient through, as in the code of LADE and of Tang et al. 2020.

    Source: Lin et al., ICCV 2017, whose own is sigmoid, here in softmax form. Class weights multiply the loss; in
    LDAM-DRW's code they also turn p_y into p_y^weight.
    """
    losses = cross_entropy(at_least_float32(logits), labels)
    # 1 - p_y; the floor keeps 0^(gamma - 1) out of the gradient.
    missing = -torch.expm1(-(losses.detach() if detached else losses))
    return missing.clamp(min=torch.finfo(losses.dtype).tiny) ** gamma * losses


def sigmoid_focal(logits: Tensor, labels: Tensor, *, gamma: float) -> Tensor:
    """`sum over j of (1 - q_j)^gamma (-log q_j)`, (n,), q_y = sigmoid(logits_y), else q_j = sigmoid(-logits_j).

    `class_weighted` by effective numbers and divided by the rows it is class-balanced focal as its authors coded it:
    the weight of the true class multiplies all k terms.

    Source: Cui et al., CVPR 2019; code richardaecn/class-balanced-loss.
    """
    logits = at_least_float32(logits)
    own = torch.zeros_like(logits, dtype=torch.bool).scatter(1, labels[:, None], True)
    towards = torch.where(own, logits, -logits)
    # 1 - q is sigmoid(-towards); its power is taken as a logarithm, for it may be 0.
    factor = torch.exp(gamma * functional.logsigmoid(-towards))
    return -(factor * functional.logsigmoid(towards)).sum(1)
