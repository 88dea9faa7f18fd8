"""The post-hoc methods: pure functions (class statistics, tau) -> Adjustment, and their table.

A new method is one function and one row of `METHODS`. Beside the adjustment each row states the
family of score lines it moves along, from which `lacal.tau.path` builds the exact error curve.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lacal.adjustment import Adjustment
from lacal.batch import PerClass
from lacal.errors import DataError, UsageError

BIAS_RULES = ("drop", "scale", "keep")
# Of weight norms. What float32 can hold lies well between, and powers of these at any usual tau are in float64.
SMALLEST_NORM, LARGEST_NORM = 1e-50, 1e50


@dataclass(frozen=True, slots=True)
class ClassStatistics:
    """What a method may know about the classes.

    Attributes:
        log_prior: (k,) log training frequency, -inf for masked classes.
        weight_norms: (k,) L2 norms of the rows of the classifier's weight, > 0.
        bias: (k,) the classifier's bias; zeros for a head without one.
        bias_rule: What weight normalisation does with the bias: "drop", "scale" or "keep".
    """

    log_prior: PerClass
    weight_norms: PerClass | None = None
    bias: PerClass | None = None
    bias_rule: str = "drop"

    def head(self) -> tuple[PerClass, PerClass]:
        """Weight norms and bias, or the option that brings them."""
        if self.weight_norms is None:
            raise UsageError(
                "weight-norm needs the classifier's head; give --head FILE with its weight (k, d) "
                "or the norms (k,)"
            )
        bias = np.zeros_like(self.weight_norms) if self.bias is None else self.bias
        return self.weight_norms, bias


@dataclass(frozen=True, slots=True)
class Family:
    """How the scores of one example move with tau.

    Linear: `score_j = logits_j - tau * slopes_j`.
    Power:  `score_j = (logits_j - shift_j) * exp(-tau * slopes_j)`.

    Attributes:
        slopes: (k,) log prior or log norm; -inf marks a class that is never predicted.
        shift: (k,) for the power family; None for the linear one.
    """

    slopes: PerClass
    shift: PerClass | None = None

    @property
    def plain_at_zero(self) -> bool:
        """Whether tau = 0 is the unadjusted model: no bias taken out, no class masked."""
        untouched = self.shift is None or not self.shift.any()
        return untouched and not np.isneginf(self.slopes).any()


@dataclass(frozen=True, slots=True)
class Method:
    """One row of the table.

    Attributes:
        adjustment: (class statistics, tau) -> Adjustment.
        family: Class statistics -> Family, or None where only a grid can be searched.
        grid: Default search: first tau, last tau, step.
        reference: The tau that shrinkage draws towards, the method's neutral or canonical value.
        bandwidth: Standard deviation, in units of tau, of the smoothing of the error curve.
        source: Where the formula stands.
    """

    adjustment: Callable[[ClassStatistics, float], Adjustment]
    family: Callable[[ClassStatistics], Family | None]
    grid: tuple[float, float, float]
    reference: float
    bandwidth: float
    source: str


def logit_adjustment(statistics: ClassStatistics, tau: float) -> Adjustment:
    """`logits - tau * log_prior`: consistent for balanced error at tau = 1 (Menon et al. 2021)."""
    log_prior = statistics.log_prior
    offset = np.where(np.isneginf(log_prior), -np.inf, -tau * _finite(log_prior))
    return Adjustment(np.ones_like(log_prior), offset)


def weight_norm(statistics: ClassStatistics, tau: float) -> Adjustment:
    """`w_j . x / ||w_j||^tau`: weight normalisation (Kang et al. 2020, tau-normalisation).

    The logits hold `w_j . x + b_j`. What becomes of b_j makes three different classifiers:
    "drop" removes it (the authors' code; tau = 0 is then not the original model), "scale" divides
    it too, "keep" leaves it outside (tau = 0 is the original model).
    """
    norms, bias = statistics.head()
    # Of numbers that leave float64, `_sound` makes a sentence.
    with np.errstate(all="ignore"):
        scale = norms**-tau
        offset = {"drop": -bias * scale, "scale": np.zeros_like(scale), "keep": bias * (1 - scale)}
    return _sound("weight-norm", tau, scale, offset[statistics.bias_rule], statistics)


def prior_division(statistics: ClassStatistics, tau: float) -> Adjustment:
    """`logits / prior^tau`: division of LOGITS by the prior (Kim & Kim 2020, Ye et al. 2020).

    Dividing probabilities by the prior is `logit_adjustment`, another method.
    """
    with np.errstate(all="ignore"):
        scale = np.exp(_finite(statistics.log_prior)) ** -tau
    return _sound("prior-division", tau, scale, np.zeros_like(scale), statistics)


def _prior_lines(statistics: ClassStatistics) -> Family:
    return Family(statistics.log_prior)


def _norm_powers(statistics: ClassStatistics) -> Family | None:
    norms, bias = statistics.head()
    if statistics.bias_rule == "keep" and bias.any():
        return None
    slopes = _mask(np.log(norms), statistics)
    return Family(slopes, bias if statistics.bias_rule == "drop" else np.zeros_like(bias))


def _prior_powers(statistics: ClassStatistics) -> Family:
    return Family(statistics.log_prior, np.zeros_like(statistics.log_prior))


METHODS: dict[str, Method] = {
    "logit-adjustment": Method(
        logit_adjustment,
        _prior_lines,
        grid=(0.0, 4.0, 0.05),
        reference=1.0,
        bandwidth=0.25,
        source="Menon et al., ICLR 2021, eq. 9",
    ),
    "weight-norm": Method(
        weight_norm,
        _norm_powers,
        grid=(0.0, 4.0, 0.05),
        reference=1.0,
        bandwidth=0.2,
        source="Kang et al., ICLR 2020, tau-normalisation",
    ),
    "prior-division": Method(
        prior_division,
        _prior_powers,
        grid=(0.0, 1.0, 0.0125),
        reference=0.0,
        bandwidth=0.05,
        source="Kim & Kim 2020; Ye et al. 2020",
    ),
}


def _finite(log_prior: PerClass) -> PerClass:
    """Masked classes get a harmless 0; `_mask` or the caller takes them out of the argmax."""
    return np.where(np.isneginf(log_prior), 0.0, log_prior)


def _sound(
    method: str, tau: float, scale: PerClass, offset: PerClass, statistics: ClassStatistics
) -> Adjustment:
    """The adjustment of these scales and offsets, unless one of them has left float64 at this tau."""
    sound = np.isfinite(scale) & (scale > 0) & np.isfinite(offset)
    if not sound.all():
        at = int(sound.argmin())
        lost = f"scale {scale[at]:g}"
        if 0 < scale[at] < np.inf:
            lost = f"offset {offset[at]:g}"
        raise DataError(
            f"{method} at tau = {tau:g}: class {at} would get {lost}; a tau this large overflows, choose one nearer 0"
        )
    return Adjustment(scale, _mask(offset, statistics))


def _mask(values: PerClass, statistics: ClassStatistics) -> PerClass:
    """-inf where the class is masked."""
    return np.where(np.isneginf(statistics.log_prior), -np.inf, values)
