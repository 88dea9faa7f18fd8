"""The world of two_gaussians.py: its samples, its population as quadrature nodes, and a scorer fitted to either."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import ndtr

from lacal.adjustment import Adjustment
from lacal.losses import make_loss
from lacal.methods import METHODS, ClassStatistics

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

RARE = 0.05  # share of class 1
ROWS = 10_000
MEAN = np.array([1.0, 1.0])
LOWEST = float(ndtr(-math.sqrt(2)))  # balanced error of the best separator there is
LOGIT_ADJUSTMENT = METHODS["logit-adjustment"]


@dataclass(frozen=True, slots=True)
class Rows:
    """A sample, or quadrature nodes in its place.

    Attributes:
        inputs: (n, 2).
        labels: (n,) 0 or 1.
        weights: (n,) of each row; they sum to 1.
        class_counts: (2,) of the labels, or what stands for them.
    """

    inputs: Floats
    labels: Labels
    weights: Floats
    class_counts: Floats


def sample(generator: np.random.Generator, rows: int = ROWS) -> Rows:
    """Independent rows, labels among them."""
    labels = (generator.random(rows) < RARE).astype(np.int64)
    inputs = generator.standard_normal((rows, 2)) + (2 * labels - 1)[:, None] * MEAN
    counts = np.bincount(labels, minlength=2).astype(np.float64)
    return Rows(inputs, labels, np.full(rows, 1 / rows), counts)


def nodes(side: int = 48) -> Rows:
    """The whole population: Gauss-Hermite nodes, side * side a class, exact beyond double precision here."""
    points, weights = np.polynomial.hermite_e.hermegauss(side)
    weights = weights / weights.sum()
    plane = np.stack(np.meshgrid(points, points), -1).reshape(-1, 2)
    share = np.outer(weights, weights).ravel()
    priors = np.array([1 - RARE, RARE])
    return Rows(
        np.concatenate([plane - MEAN, plane + MEAN]),
        np.repeat(np.arange(2), len(plane)),
        np.concatenate([share * prior for prior in priors]),
        ROWS * priors,
    )


def fit(loss: str, options: dict[str, Any], rows: Rows) -> Floats:
    """(3,) the affine scorer w1, w2, b that minimises a loss; the logits are -f/2 and f/2.

    BFGS on torch's gradients in double precision, to a gradient of 1e-7: the losses are convex in three numbers.
    """
    of_class = make_loss(loss, rows.class_counts, options).double()
    inputs = torch.from_numpy(np.column_stack([rows.inputs, np.ones(len(rows.labels))]))
    labels, weights = torch.from_numpy(rows.labels), torch.from_numpy(rows.weights)

    def value(scorer: Floats) -> tuple[float, Floats]:
        at = torch.tensor(scorer, requires_grad=True)
        half = inputs @ at / 2
        losses = of_class.unreduced(torch.stack([-half, half], dim=1), labels)
        mean = (weights * losses).sum()
        mean.backward()
        return mean.item(), np.asarray(at.grad)

    found = minimize(value, np.zeros(3), jac=True, method="BFGS", options={"gtol": 1e-7})
    steepest = float(np.abs(found.jac).max())
    if steepest > 1e-5:  # BFGS may stop for want of digits, which is no harm
        raise RuntimeError(f"{loss}: did not converge; the gradient is still {steepest:.1e}")
    return np.asarray(found.x)


def posthoc(rows: Rows, tau: float) -> Adjustment:
    """Lacal's adjustment, by the training counts."""
    prior = rows.class_counts / rows.class_counts.sum()
    return LOGIT_ADJUSTMENT.adjustment(ClassStatistics(np.log(prior)), tau)


def logits(scorer: Floats, inputs: Floats) -> Floats:
    """(n, 2) of the scorer."""
    half = (inputs @ scorer[:2] + scorer[2]) / 2
    return np.stack([-half, half], axis=1)


def exact_error(scorer: Floats, adjustment: Adjustment) -> float:
    """The separator's own balanced error: two tails of the normal distribution."""
    offset = scorer[2] + adjustment.offset[1] - adjustment.offset[0]
    distance, norm = MEAN @ scorer[:2], math.hypot(*scorer[:2])
    return float(ndtr((offset - distance) / norm) + ndtr((-offset - distance) / norm)) / 2
