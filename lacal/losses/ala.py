"""Adaptive logit adjustment: a margin that grows with the example's difficulty and the class's rarity."""

from torch import Tensor

from lacal.losses.margins import minus_at_label
from lacal.losses.pairwise import at_least_float32, cross_entropy


def ala(logits: Tensor, labels: Tensor, *, factors: Tensor, scale: float) -> Tensor:
    """`CE(s (cos - onehot(y) DF factors_y), labels)`, (n,), DF = (1 - cos_y) / 2 without gradient.

    Args:
        logits: (n, k) s * cos of features and class weights.
        labels: (n,).
        factors: (k,) `statistics.quantity_factors(n)` for ALA; for its ablations ones (difficulty alone), or
            `statistics.ldam_margins(n, 0.5)`. Quantity alone is `target_margin` with scale * quantity factors.
        scale: s, 30 in the paper.

    Source: Zhao et al., AAAI 2022; no official code was found.
    """
    logits = at_least_float32(logits)
    own = logits.detach().gather(1, labels[:, None]).squeeze(1)
    difficulty = (scale - own) / 2  # s DF
    return cross_entropy(
        minus_at_label(logits, labels, difficulty * factors.index_select(0, labels)), labels
    )
