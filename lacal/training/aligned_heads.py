"""Heads of second stages: features (n, d) to logits (n, k), most of them around a head that stays as it is.

Like every head they say their `kind`, their numbers of `features` and `classes`, and `scale`, which is None: their
logits are no s * cos, whatever head they stand on.
"""

import copy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from lacal.batch import PerClass
from lacal.loss_table import Value
from lacal.training.heads import make_head


class _Around(nn.Module):
    """A frozen head inside another: it takes no gradient and stays in eval mode."""

    scale: float | None = None

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head.requires_grad_(False).eval()
        self.features, self.classes = head.features, head.classes

    def train(self, mode: bool = True) -> "_Around":
        """Everything but the frozen head."""
        super().train(mode)
        self.head.eval()
        return self


class LearnedScaleHead(_Around):
    """Logits `factors * head(features)`, factors (k,) from ones.

    Weight normalisation with tau is this one with `factors = norm(weight)^-tau` (the bias divided too).

    Source: LWS of Kang et al. 2020, in whose code the bias is scaled as well.
    """

    kind = "lws"

    def __init__(self, head: nn.Module) -> None:
        super().__init__(head)
        self.factors = nn.Parameter(torch.ones(head.classes))

    def forward(self, features: Tensor) -> Tensor:
        """(n, k) logits."""
        return self.factors * self.head(features)

    def merged(self) -> nn.Module:
        """The same classifier as a linear head where it stands on one, so that it can be read and stored as such."""
        if self.head.kind != "linear":
            return self
        merged = copy.deepcopy(self.head).requires_grad_(True)
        with torch.no_grad():
            merged.weight.mul_(self.factors[:, None])
            merged.bias.mul_(self.factors)
        return merged


class DisAlignHead(_Around):
    """Logits `(1 + c * magnitude) * z + c * margin`, z the head's and c (n, 1) = sigmoid of a linear map of features.

    With a constant c it holds LWS (a margin of 0), logit adjustment (a magnitude of 0, `c * margin = -tau *
    log_prior`) and weight normalisation. It starts from (1 + c) z.

    Source: Zhang et al. 2021, section 3, and its code for where it starts.
    """

    kind = "disalign"

    def __init__(self, head: nn.Module) -> None:
        super().__init__(head)
        self.magnitude = nn.Parameter(torch.ones(head.classes))
        self.margin = nn.Parameter(torch.zeros(head.classes))
        self.confidence = nn.Linear(head.features, 1)
        nn.init.constant_(self.confidence.weight, 0.1)

    def forward(self, features: Tensor) -> Tensor:
        """(n, k) logits."""
        confidence = self.confidences(features)
        return (1 + confidence * self.magnitude) * self.head(features) + confidence * self.margin

    def confidences(self, features: Tensor) -> Tensor:
        """(n, 1) in 0..1, how far a row is aligned."""
        return self.confidence(features).sigmoid()


def generalised_weights(class_counts: NDArray[Any], rho: float) -> PerClass:
    """(k,) `counts^-rho`, scaled to a mean of 1: the generalised re-weighting of DisAlign's loss.

    Example:
        >>> generalised_weights(np.array([100, 10, 1]), 1.0).round(3).tolist()
        [0.027, 0.27, 2.703]
    """
    # Shares of the rarest, so that no power is too small or large for a float.
    raw = (np.min(class_counts) / np.asarray(class_counts, np.float64)) ** rho
    weights: PerClass = raw * (raw.size / raw.sum())
    return weights


class NearestMeanHead(nn.Module):
    """Logits `-|x' - weight_j|^2` but for |x'|^2, which all classes share; x' = (x - centre) / |x - centre|.

    A feature at the centre has no direction; its x' is 0.

    Source: Kang et al. 2020, nearest class mean on features "cl2n".
    """

    kind = "ncm"
    scale: float | None = None

    def __init__(self, centre: Tensor, means: Tensor) -> None:
        """Take the mean of all training features (d,), and of each class's x' (k, d)."""
        super().__init__()
        self.register_buffer("centre", centre)
        self.register_buffer("means", means)
        self.classes, self.features = means.shape

    def forward(self, features: Tensor) -> Tensor:
        """(n, k) logits."""
        unit = functional.normalize(features - self.centre)
        return functional.linear(unit, 2 * self.means, -self.means.square().sum(1))

    @classmethod
    def of(cls, features: Tensor, labels: Tensor, classes: int) -> "NearestMeanHead":
        """The head of training features (n, d), every class among the labels (n,)."""
        centre = features.mean(0)
        unit = functional.normalize(features - centre)
        sums = features.new_zeros(classes, features.shape[1]).index_add_(0, labels, unit)
        return cls(centre, sums / labels.bincount(minlength=classes)[:, None])


def fresh(head: nn.Module) -> nn.Module:
    """A head of the same kind and options, with weights drawn from torch's global generator."""
    options: dict[str, Value] = {}
    if head.kind == "cosine":
        options = {"scale": head.scale}
    elif head.kind == "causal-norm":
        same = {name: getattr(head, name) for name in ("parts", "gamma", "alpha", "momentum")}
        options = {**same, "scale": head.part_scale * head.parts}
    return make_head(head.kind, head.features, head.classes, options)
