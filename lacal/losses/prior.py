"""Losses that put the training prior into the logits while training: the raw logits then suit a uniform prior.

Post-hoc adjustment SUBTRACTS tau log prior at prediction; these ADD it in training, and predict without.
"""

import torch
from torch import Tensor

from lacal.losses.margins import target_margin
from lacal.losses.pairwise import at_least_float32, cross_entropy


def logit_adjusted(
    logits: Tensor, labels: Tensor, *, log_prior: Tensor, tau: float = 1.0
) -> Tensor:
    """`CE(logits + tau log_prior, labels)`, (n,).

    Consistent for balanced error with tau = 1. With another tau the class weights prior^(tau - 1) make it so
    (theorem 1): `class_weighted(..., weights=statistics.prior_power(n, tau - 1))`.

    Source: Menon et al., ICLR 2021. The official code adds log(prior^tau + 1e-12) instead, which bends
    where prior^tau nears 1e-12.
    """
    # One kernel more than plain cross-entropy, and none on the way back.
    return cross_entropy(torch.add(at_least_float32(logits), log_prior, alpha=tau), labels)


def balanced_softmax(logits: Tensor, labels: Tensor, *, log_counts: Tensor) -> Tensor:
    """`CE(logits + log n, labels)`, (n,): `logit_adjusted` with tau = 1, for log n and log prior differ by a constant.

    Source: Ren et al., NeurIPS 2020.
    """
    return cross_entropy(at_least_float32(logits) + log_counts, labels)


def logit_adjusted_adaptive(
    logits: Tensor, labels: Tensor, *, log_prior: Tensor, margins: Tensor
) -> Tensor:
    """`CE(logits + log_prior - onehot(y) margins_y, labels)`, (n,), with margins prior^(-1/4).

    Source: Menon et al., ICLR 2021: Delta[y, j] = log(prior_j / prior_y) + prior_y^(-1/4).
    """
    return target_margin(at_least_float32(logits) + log_prior, labels, margins=margins)


def vector_scaling(
    logits: Tensor, labels: Tensor, *, multipliers: Tensor, log_prior: Tensor, tau: float = 1.0
) -> Tensor:
    """`CE(multipliers logits + tau log_prior, labels)`, (n,), with multipliers (n / n_max)^gamma.

    gamma = 0 is `logit_adjusted`, tau = 0 the class-dependent temperatures (CDT). Predict with the raw logits.

    Source: Kini et al., NeurIPS 2021; code orparask/VS-Loss, which stores the multipliers' inverse and divides.
    """
    scaled = at_least_float32(logits) * multipliers
    return cross_entropy(torch.add(scaled, log_prior, alpha=tau), labels)
