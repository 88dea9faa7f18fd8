"""The last layer of a classifier: features (n, d) to logits (n, k).

Each head says its `kind`, its numbers of `features` and `classes`, and `scale`: the s of logits s * cos, by which
margins on cosines are multiplied; None where logits are no such thing.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from lacal.classes.names import near_miss, shown
from lacal.errors import UsageError
from lacal.named_options import Value, settled_options
from lacal.training.head_table import HEADS

TINY = 1e-12  # beside norms, so that zeros have no direction rather than a broken one


def make_head(
    kind: str, features: int, classes: int, options: Mapping[str, Value] | None = None
) -> nn.Module:
    """A head with weights drawn from torch's global generator.

    Args:
        kind: Row of `HEADS`.
        features: d.
        classes: k.
        options: Of that row; its defaults where nothing is said.

    Raises:
        UsageError: There is no such head or option, a value is out of range, or the parts do not divide the
            features.
    """
    if kind not in HEADS:
        raise UsageError(
            f"--head: there is no head {shown(kind)}; expected one of: {', '.join(HEADS)}."
            + near_miss(kind, tuple(HEADS))
        )
    settled = settled_options(HEADS[kind], options or {}, f"--head-option ({kind})")
    values = {name: float(value) for name, value in settled.items()}
    if kind == "linear":
        return LinearHead(features, classes)
    if kind == "cosine":
        return CosineHead(features, classes, values["scale"])
    parts = values.pop("parts")
    if parts != int(parts) or features % parts:
        raise UsageError(
            f"--head-option (causal-norm): parts: got {parts:g}, expected a whole number that divides the "
            f"{features} features of the network"
        )
    return CausalNormHead(features, classes, parts=int(parts), **values)


class LinearHead(nn.Linear):
    """Logits `features @ weight.T + bias`, weight (k, d), bias (k,).

    Weights are drawn as in kaidic/LDAM-DRW: normal, with variance 2 / d (He et al. 2015).
    """

    kind = "linear"
    scale: float | None = None

    def __init__(self, features: int, classes: int) -> None:
        super().__init__(features, classes)
        nn.init.kaiming_normal_(self.weight)
        self.features, self.classes = features, classes


class CosineHead(nn.Module):
    """Logits `scale * cos(features, weight_j)`, weight (k, d), no bias.

    A row of zeros has no direction; its cosines are 0.

    Source: Cao et al. 2019, code kaidic/LDAM-DRW (`NormedLinear`), with the scale of its loss brought into the
    head, so that logits of every head go into every loss, post-hoc adjustment and calibration alike.
    """

    kind = "cosine"

    def __init__(self, features: int, classes: int, scale: float) -> None:
        super().__init__()
        rows = torch.empty(classes, features).uniform_(-1, 1)
        self.weight = nn.Parameter(functional.normalize(rows))
        self.features, self.classes, self.scale = features, classes, scale

    def forward(self, features: Tensor) -> Tensor:
        """(n, k) logits."""
        # In this form exporters to ONNX compute the scaled rows once, and the head is found as a linear one.
        norms = self.weight.norm(dim=1, keepdim=True) + TINY
        return functional.linear(functional.normalize(features), self.scale * self.weight / norms)


class CausalNormHead(nn.Module):
    """The multi-head normalised classifier whose prediction leaves out the mean feature's direction.

    Features x and weights w are split into K parts. In training

        logit_j = sum over parts of t / K * cos(x, w_j) * ||w_j|| / (||w_j|| + gamma),

    and `direction`, a moving average of features, becomes `momentum * direction + mean of the batch`: only where
    it points matters. In eval mode each part of x / ||x|| loses `alpha * cos(x, d) * d`, d being the unit vector
    of that part of the average (total direct effect). Before the first step of training d is zero, and nothing
    is lost.

    Source: Tang et al. 2020, section 4; code KaihuaTang/Long-Tailed-Recognition.pytorch, in which parts of zeros
    become NaN; here they add nothing. The code lowers 1 - momentum with the rate outside CIFAR; here it stays.
    """

    kind = "causal-norm"
    scale: float | None = None  # its logits are a sum of cosines, and of shrunk ones

    def __init__(
        self,
        features: int,
        classes: int,
        *,
        parts: int = 2,
        scale: float = 16.0,
        gamma: float = 1 / 32,
        alpha: float = 1.0,
        momentum: float = 0.9,
    ) -> None:
        super().__init__()
        bound = 1 / math.sqrt(features)
        self.weight = nn.Parameter(torch.empty(classes, features).uniform_(-bound, bound))
        self.register_buffer("direction", torch.zeros(features))
        self.features, self.classes, self.parts = features, classes, parts
        self.part_scale, self.gamma = scale / parts, gamma
        self.alpha, self.momentum = alpha, momentum

    def forward(self, features: Tensor) -> Tensor:
        """(n, k) logits; in train mode the moving average goes on."""
        unit = functional.normalize(self._parts(features), dim=2)
        if self.training:
            with torch.no_grad():
                self.direction.mul_(self.momentum).add_(features.mean(0))
        else:
            mean = functional.normalize(self._parts(self.direction), dim=2)
            unit = unit - self.alpha * (unit * mean).sum(2, keepdim=True) * mean
        return functional.linear(unit.flatten(1), self._shrunk())

    def _shrunk(self) -> Tensor:
        """(k, d) each part of a weight over its norm plus gamma, times t / K."""
        weight = self._parts(self.weight)
        shrunk = self.part_scale * weight / (weight.norm(dim=2, keepdim=True) + self.gamma + TINY)
        return shrunk.flatten(1)

    def _parts(self, rows: Tensor) -> Tensor:
        """(n, d) or (d,) as (n, K, d / K)."""
        return rows.reshape(-1, self.parts, self.features // self.parts)
