"""LADE: balanced softmax with a regulariser that ties every logit to a density ratio (Hong et al., CVPR 2021)."""

import math

import torch
from torch import Tensor

from lacal.losses.pairwise import at_least_float32
from lacal.losses.prior import logit_adjusted


def lade(
    logits: Tensor,
    labels: Tensor,
    *,
    log_prior: Tensor,
    alpha: float,
    regularisation: float,
    as_coded: bool = False,
) -> Tensor:
    """`CE(logits + log_prior, labels) + alpha LADER`, (n,): LADER is of the batch, the same in every row.

    alpha = 0 is balanced softmax. Arguments as of `lade_regulariser`.

    Source: Hong et al., CVPR 2021: (alpha, lambda) = (0.1, 0.01) for CIFAR-100-LT of ratio 100.
    """
    losses = logit_adjusted(logits, labels, log_prior=log_prior)
    if alpha == 0:
        return losses
    return losses + alpha * lade_regulariser(
        logits, labels, log_prior=log_prior, regularisation=regularisation, as_coded=as_coded
    )


def lade_regulariser(
    logits: Tensor,
    labels: Tensor,
    *,
    log_prior: Tensor,
    regularisation: float,
    as_coded: bool = False,
) -> Tensor:
    """LADER of a batch, (): `sum over c of prior_c (A_c + lambda A_c^2 - mean of logits_c over the rows of c)`.

    `A_c = log(mean over rows i of r_i exp logits_ic)`, r_i = uniform / prior of the row's label.

    Args:
        logits: (n, k).
        labels: (n,).
        log_prior: (k,) of the training stream.
        regularisation: lambda.
        as_coded: Whether to follow the official code, hyperconnect/LADE, instead of the paper: r is that of the
            column's class c, and classes without a row in the batch are summed too, their mean being 0. Its epsilons,
            1e-9 beside priors and 1e-8 beside counts of rows, are left out.
    """
    logits = at_least_float32(logits)
    rows, classes = logits.shape
    log_ratios = -math.log(classes) - log_prior
    of_entries = log_ratios if as_coded else log_ratios.index_select(0, labels)[:, None]
    averages = torch.logsumexp(logits + of_entries, 0) - math.log(rows)

    prior = log_prior.exp()
    support = torch.zeros_like(prior).index_add(0, labels, prior.new_ones(rows))
    terms = prior * (averages + regularisation * averages.square())
    if not as_coded:
        terms = terms * (support > 0)
    # The mean over the rows of c, times prior_c, summed over c: each row's own logit in its share.
    own = logits.gather(1, labels[:, None]).squeeze(1)
    return terms.sum() - ((prior / support).index_select(0, labels) * own).sum()
