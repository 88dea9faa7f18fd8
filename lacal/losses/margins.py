"""Margins that are taken from the label's logit alone."""

from torch import Tensor

from lacal.losses.pairwise import at_least_float32, cross_entropy


def target_margin(logits: Tensor, labels: Tensor, *, margins: Tensor) -> Tensor:
    """`CE(logits - onehot(y) margins_y, labels)`, (n,): the label must win by a margin, larger for rare classes.

    Args:
        logits: (n, k).
        labels: (n,).
        margins: (k,) in units of the logits: prior^(-1/4) for the adaptive loss (Menon et al. 2021); for LDAM
            (Cao et al. 2019), whose margins are of cosines, `scale * statistics.ldam_margins(n, 0.5)`, the logits
            being scale * cos. LDAM's paper shows no scale; its code multiplies by 30 after the margin, as here.

    Returns:
        (n,) losses.
    """
    return cross_entropy(
        minus_at_label(at_least_float32(logits), labels, margins.index_select(0, labels)), labels
    )


def minus_at_label(logits: Tensor, labels: Tensor, amounts: Tensor) -> Tensor:
    """Logits (n, k) with amounts (n,) taken from each row's label; no (n, k) one-hot is made."""
    return logits.scatter_add(1, labels[:, None], -amounts[:, None].to(logits.dtype))
