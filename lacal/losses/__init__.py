"""Losses for training on long-tailed data: pure functions of logits and labels, and a shell that holds the counts.

    loss = make_loss("logit-adjusted", class_counts, {"tau": 1.0})
    loss(logits, labels).backward()

Every function takes logits (n, k), in which half precisions are computed as float32, and labels (n,) int64 in
0..k-1, and gives the losses of the rows, (n,), neither weighted nor averaged. Statistics of the classes are (k,)
tensors, which `lacal.losses.statistics` works out from the counts. What a model trained so may be used for stands in
`lacal.loss_table`.
"""

from lacal.losses.ala import ala
from lacal.losses.equalised import equalised, softmax_equalised
from lacal.losses.focal import focal, sigmoid_focal
from lacal.losses.lade import lade, lade_regulariser
from lacal.losses.margins import target_margin
from lacal.losses.pairwise import class_weighted, pairwise_margin, softmax_cross_entropy
from lacal.losses.prior import (
    balanced_softmax,
    logit_adjusted,
    logit_adjusted_adaptive,
    vector_scaling,
)
from lacal.losses.shell import ClassLoss, make_loss

__all__ = [
    "ClassLoss",
    "ala",
    "balanced_softmax",
    "class_weighted",
    "equalised",
    "focal",
    "lade",
    "lade_regulariser",
    "logit_adjusted",
    "logit_adjusted_adaptive",
    "make_loss",
    "pairwise_margin",
    "sigmoid_focal",
    "softmax_cross_entropy",
    "softmax_equalised",
    "target_margin",
    "vector_scaling",
]
