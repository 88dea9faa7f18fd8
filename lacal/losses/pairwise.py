"""The general pairwise margin loss of Menon et al. 2021, which most losses for long tails are members of.

A member whose margins are `Delta[y, j] = c_j - a_y` is a cross-entropy on modified logits: c_j is added to every
logit, and c_y - a_y taken from the label's. The members are written so, which spares the (k, k) margins.
"""

import torch
from torch import Tensor
from torch.nn import functional

# PyTorch would pass over rows labelled -100 in silence; here no label is passed over.
_NEVER = -(2**63)


def pairwise_margin(
    logits: Tensor, labels: Tensor, *, margins: Tensor, weights: Tensor | None = None
) -> Tensor:
    """`weights_y log(1 + sum over j != y of exp(margins[y, j] + logits_j - logits_y))`.

    Computed as a cross-entropy on logits + margins[y], the label's own margin being 0, which is the same number
    and does not overflow.

    Args:
        logits: (n, k).
        labels: (n,).
        margins: (k, k) Delta, rows of labels; the diagonal is not looked at. -inf leaves a rival out.
        weights: (k,) alpha, above 0; None for ones.

    Returns:
        (n,) losses.

    Source: Menon et al., ICLR 2021, eq. 11.

    Example:
        >>> loss = pairwise_margin(torch.zeros(1, 3), torch.tensor([2]), margins=torch.ones(3, 3))
        >>> round(loss.item(), 4)  # log(1 + 2e)
        1.862
    """
    added = margins.index_select(0, labels).scatter(1, labels[:, None], 0)
    losses = cross_entropy(at_least_float32(logits) + added, labels)
    return losses if weights is None else class_weighted(losses, labels, weights=weights)


def softmax_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """`logsumexp(logits) - logits_y`, (n,): every weight 1, every margin 0."""
    return cross_entropy(at_least_float32(logits), labels)


def class_weighted(losses: Tensor, labels: Tensor, *, weights: Tensor) -> Tensor:
    """`weights_y loss`, (n,), of losses (n,) and class weights (k,).

    With `statistics.prior_power(n, -1)` on softmax cross-entropy it is the balanced loss, with
    `statistics.effective_number_weights(n, beta)` the class-balanced one (Cui et al. 2019).
    """
    return weights.index_select(0, labels) * losses


def at_least_float32(logits: Tensor) -> Tensor:
    """Half precisions as float32, others as they are."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """(n,), in the precision that is given."""
    return functional.cross_entropy(logits, labels, reduction="none", ignore_index=_NEVER)


def mean_cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
    """Mean over the rows, (), or with weights (k,) the sum of weights_y loss over that of weights_y."""
    if weights is not None:
        weights = weights.to(logits.dtype)
    return functional.cross_entropy(logits, labels, weights, ignore_index=_NEVER)
