"""The rows of `lacal.loss_table` as functions: what each takes from the counts, once, and what it does every step."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lacal.batch import PerClass
from lacal.loss_table import Value
from lacal.losses import statistics
from lacal.losses.ala import ala
from lacal.losses.equalised import equalised, softmax_equalised
from lacal.losses.focal import focal, sigmoid_focal
from lacal.losses.lade import lade
from lacal.losses.margins import target_margin
from lacal.losses.prior import logit_adjusted_adaptive, vector_scaling


@dataclass(frozen=True, slots=True)
class Given:
    """What a row is built from.

    Attributes:
        class_counts: (k,) above 0.
        options: All of the row's.
        scale: s of the cosine head; 1 where the row does without one.
    """

    class_counts: PerClass
    options: Mapping[str, Value]
    scale: float

    def number(self, name: str) -> float:
        """An option that is a number."""
        return float(self.options[name])

    def log_prior(self) -> dict[str, NDArray[Any]]:
        """The statistic that most rows need."""
        return {"log_prior": statistics.log_prior(self.class_counts)}


@dataclass(frozen=True, slots=True)
class Built:
    """A loss with its numbers filled in.

    Attributes:
        losses: (logits, labels, **statistics) -> (n,); None for cross-entropy on logits + offsets, which PyTorch
            computes in one go with its mean.
        statistics: (k,) arrays by the function's argument; `offsets`, or none, where there is no function.
        weights: (k,) of classes, for a loss that has its own.
    """

    losses: Callable[..., Tensor] | None = None
    statistics: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    weights: PerClass | None = None


def _balanced(given: Given) -> Built:
    return Built(weights=statistics.prior_power(given.class_counts, -1))


def _class_balanced(given: Given) -> Built:
    return Built(weights=_effective(given))


def _adaptive(given: Given) -> Built:
    return Built(target_margin, {"margins": statistics.prior_power(given.class_counts, -0.25)})


def _ldam(given: Given) -> Built:
    margins = statistics.ldam_margins(given.class_counts, given.number("max_margin"))
    return Built(target_margin, {"margins": given.scale * margins})


def _equalised(given: Given) -> Built:
    return Built(partial(equalised, tau=given.number("tau")), given.log_prior())


def _softmax_equalised(given: Given) -> Built:
    rare = given.class_counts / given.class_counts.sum() < given.number("lambda")
    return Built(partial(_drawn, gamma=given.number("gamma")), {"rare": rare})


def _drawn(logits: Tensor, labels: Tensor, *, rare: Tensor, gamma: float) -> Tensor:
    """Softmax equalisation with a draw from torch's global generator."""
    draws = torch.rand(logits.shape, device=logits.device) < gamma
    return softmax_equalised(logits, labels, dropped=rare & draws)


def _logit_adjusted(given: Given) -> Built:
    return Built(statistics=_adjusted(given))


def _consistent(given: Given) -> Built:
    weights = statistics.prior_power(given.class_counts, given.number("tau") - 1)
    return Built(statistics=_adjusted(given), weights=weights)


def _adjusted(given: Given) -> dict[str, NDArray[Any]]:
    return {"offsets": given.number("tau") * statistics.log_prior(given.class_counts)}


def _balanced_softmax(given: Given) -> Built:
    return Built(statistics={"offsets": np.log(given.class_counts)})


def _logit_adjusted_adaptive(given: Given) -> Built:
    margins = statistics.prior_power(given.class_counts, -0.25)
    return Built(logit_adjusted_adaptive, {**given.log_prior(), "margins": margins})


def _vector_scaling(given: Given) -> Built:
    multipliers = statistics.count_ratios(given.class_counts, given.number("gamma"))
    return Built(
        partial(vector_scaling, tau=given.number("tau")),
        {**given.log_prior(), "multipliers": multipliers},
    )


def _ala(given: Given) -> Built:
    return _difficulty_times(statistics.quantity_factors(given.class_counts), given)


def _ala_difficulty(given: Given) -> Built:
    return _difficulty_times(np.ones(given.class_counts.size), given)


def _ala_quantity(given: Given) -> Built:
    return Built(
        target_margin, {"margins": given.scale * statistics.quantity_factors(given.class_counts)}
    )


def _ala_difficulty_ldam(given: Given) -> Built:
    margins = statistics.ldam_margins(given.class_counts, given.number("max_margin"))
    return _difficulty_times(margins, given)


def _difficulty_times(factors: PerClass, given: Given) -> Built:
    return Built(partial(ala, scale=given.scale), {"factors": factors})


def _lade(given: Given) -> Built:
    of_batch = partial(
        lade,
        alpha=given.number("alpha"),
        regularisation=given.number("lambda"),
        as_coded=given.options["form"] == "code",
    )
    return Built(of_batch, given.log_prior())


def _focal(given: Given) -> Built:
    detached = bool(given.options["detached"])
    return Built(partial(focal, gamma=given.number("gamma"), detached=detached))


def _class_balanced_focal(given: Given) -> Built:
    return Built(partial(sigmoid_focal, gamma=given.number("gamma")), weights=_effective(given))


def _effective(given: Given) -> PerClass:
    return statistics.effective_number_weights(given.class_counts, given.number("beta"))


ROWS: dict[str, Callable[[Given], Built]] = {
    "softmax": lambda _: Built(),
    "balanced": _balanced,
    "class-balanced": _class_balanced,
    "adaptive": _adaptive,
    "ldam": _ldam,
    "equalised": _equalised,
    "softmax-equalised": _softmax_equalised,
    "logit-adjusted": _logit_adjusted,
    "logit-adjusted-consistent": _consistent,
    "balanced-softmax": _balanced_softmax,
    "logit-adjusted-adaptive": _logit_adjusted_adaptive,
    "vector-scaling": _vector_scaling,
    "ala": _ala,
    "ala-difficulty": _ala_difficulty,
    "ala-quantity": _ala_quantity,
    "ala-difficulty-ldam": _ala_difficulty_ldam,
    "lade": _lade,
    "focal": _focal,
    "class-balanced-focal": _class_balanced_focal,
}
