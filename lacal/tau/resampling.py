"""How sure the gain is: a stratified bootstrap that re-picks tau, and a cross-fitted estimate.

Bootstrap. Each row's deviation from its class mean gets a standard normal multiplier, so that a draw of
the error curve is exactly Gaussian around the curve, with the covariance that the rows show within their
classes over n_y - 1 (Gaussian multiplier bootstrap, van der Vaart & Wellner 1996, 2.9; resampling n_y
rows would understate the variance by a third at three rows a class). All draws then come from one root
of a (t, t) matrix, whatever the number of rows.

The interval of the gain is for the POPULATION gain of the tau that was picked. The in-sample gain is
too good by the picking; each draw measures by how much, as (gain of the draw's tau on the draw) minus
(gain of the same tau on the full sample). The interval is the in-sample gain, less the mean of that, plus
or minus t standard deviations of it. Plain quantiles of the draws cover too little at few rows a class;
three things mend it:

- Student's t with Satterthwaite's degrees of freedom, for variances taken from few rows (1946, Biometrics
  Bulletin 2, 110);
- the variance of one more changed row, in the spirit of Agresti & Min 2005 (Statistics in Medicine 24,
  729) for paired proportions: no change among 30 rows does not prove that nothing ever changes;
- the symmetric form: the quantiles of the draws carry the skewness to the wrong side.

`benchmarks/tau_selection.py --coverage` measures it.

Cross-fitting. Rows of each class are dealt into folds; each fold is scored with the tau picked on the
others. No row is scored with a tau that saw it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacal.tau.path import TauPath
from lacal.tau.selection import (
    Lattice,
    Picker,
    Rule,
    Spans,
    covariance,
)
from lacal.tau.strata import Strata, student_quantile

FOLDS = 5
LEVEL = 0.95
CHUNK = 1 << 20  # curve points drawn at once
_ROUNDING = 1e-12  # of the largest variance possible; smaller eigenvalues are rounding


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """What the draws say.

    Attributes:
        tau: The picked tau, with percentiles of the taus picked in the draws.
        gain: In-sample fall of the balanced error against the unadjusted model, with the interval
            of the population's fall at the picked tau.
        draws: Number of draws.
    """

    tau: Estimate
    gain: Estimate
    draws: int


@dataclass(frozen=True, slots=True)
class CrossFit:
    """Gain measured on rows that did not choose tau.

    Attributes:
        gain: Fall of the balanced error against the unadjusted model.
        standard_error: Of the gain, paired, stratified by class.
        taus: (folds,) the tau each fold was scored with.
    """

    gain: float
    standard_error: float
    taus: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sample:
    """A path on a lattice beside the unadjusted model, row by row.

    Attributes:
        path: The intervals of all rows.
        unadjusted: (n,) whether the plain argmax is right.
        lattice: Where curves are read.
        spans: The path on the lattice.
        strata: The rows by class.
        covariance: (t, t) of the balanced errors at the lattice's taus.
    """

    path: TauPath
    unadjusted: NDArray[np.bool_]
    lattice: Lattice
    spans: Spans
    strata: Strata
    covariance: NDArray[np.float64]

    @classmethod
    def on(cls, path: TauPath, unadjusted: NDArray[np.bool_], lattice: Lattice) -> "Sample":
        """Read a path on a lattice."""
        spans, strata = lattice.spans(path), Strata.of(path)
        return cls(path, unadjusted, lattice, spans, strata, covariance(spans, strata))

    def picker(self, rule: Rule) -> Picker:
        """The rule, with the paired standard error of these rows."""
        return Picker.of(self.lattice, rule, self.covariance)

    def curve(self) -> NDArray[np.float64]:
        """(t,) balanced error at the lattice's taus."""
        return 1.0 - self.spans.total(self.path.row_weights()[self.spans.owner])

    def unadjusted_error(self) -> float:
        """Balanced error of the plain argmax."""
        return float(1.0 - self.path.row_weights() @ self.unadjusted)


def bootstrap(sample: Sample, picker: Picker, tau: float, *, draws: int, seed: int) -> Bootstrap:
    """Intervals for tau and for the paired gain over the unadjusted model.

    Args:
        sample: The validation rows.
        picker: The rule, applied anew in every draw.
        tau: The tau picked on all rows.
        draws: Number of draws, at least 1.
        seed: Of the generator; the same seed gives the same interval.
    """
    generator = np.random.default_rng(seed)
    strata = sample.strata
    centre = np.append(sample.curve(), sample.unadjusted_error())
    root = _root(_covariance_with_unadjusted(sample), strata)
    taus, optimism = [], []
    chunk = max(1, CHUNK // centre.size)
    for start in range(0, draws, chunk):
        count = min(chunk, draws - start)
        errors = centre + generator.standard_normal((count, centre.size)) @ root.T
        node = picker.pick(errors[:, :-1])
        on_draw = errors[:, -1] - errors[np.arange(count), node]
        optimism.append(on_draw - (centre[-1] - centre[node]))
        taus.append(sample.lattice.taus[node])
    tail = (1 - LEVEL) / 2
    tau_low, tau_high = np.quantile(np.concatenate(taus), [tail, 1 - tail])
    change = sample.path.right_at(tau).astype(np.float64) - sample.unadjusted
    gain = float(sample.path.row_weights() @ change)
    low, high = _interval(gain, np.concatenate(optimism), change, strata)
    return Bootstrap(
        Estimate(tau, float(tau_low), float(tau_high)), Estimate(gain, low, high), draws
    )


def _covariance_with_unadjusted(sample: Sample) -> NDArray[np.float64]:
    """(t + 1, t + 1) covariance of the balanced errors at the nodes and, last, of the plain argmax."""
    strata, plain = sample.strata, sample.unadjusted.astype(np.float64)
    per_stratum = np.bincount(strata.of_row, plain, minlength=strata.size.size)
    shared = strata.spread[strata.of_row] * plain - (strata.centre * per_stratum)[strata.of_row]
    across = sample.spans.total(shared[sample.spans.owner])
    t = sample.spans.nodes
    whole = np.empty((t + 1, t + 1))
    whole[:t, :t] = sample.covariance
    whole[t, :t] = whole[:t, t] = across
    whole[t, t] = strata.variances(plain).sum()
    return whole


def _root(covariance: NDArray[np.float64], strata: Strata) -> NDArray[np.float64]:
    """A root of a covariance that may be singular."""
    # Not Cholesky: the sums behind the covariance round, and a tiny negative eigenvalue would end the run.
    values, vectors = np.linalg.eigh(covariance)
    noise = _ROUNDING * float(strata.spread @ strata.size)
    return np.asarray(vectors * np.sqrt(np.where(values > noise, values, 0.0)), np.float64)


def _interval(
    gain: float, optimism: NDArray[np.float64], change: NDArray[np.float64], strata: Strata
) -> tuple[float, float]:
    """Ends of the gain's interval; `change` (n,) is what the picked tau changes in each row."""
    more = strata.one_row()
    quantile = student_quantile(strata.freedom(strata.variances(change), more), (1 + LEVEL) / 2)
    half = quantile * float(np.sqrt(optimism.var() + more))
    middle = gain - float(optimism.mean())
    return max(middle - half, -1.0), min(middle + half, 1.0)


def cross_fit(sample: Sample, rule: Rule, *, seed: int, folds: int = FOLDS) -> CrossFit:
    """The gain over the unadjusted model on rows that did not choose tau.

    Args:
        sample: The validation rows.
        rule: How tau is picked on the other folds.
        seed: Deals the rows of each class into folds.
        folds: Number of folds; fewer where there are fewer rows.
    """
    path = sample.path
    fold = _deal(path, min(folds, path.labels.size), np.random.default_rng(seed))
    right = np.zeros(path.labels.size, np.bool_)
    taus = []
    for held_out in np.unique(fold):
        tau = _tau_without(sample, fold == held_out, rule)
        taus.append(tau)
        right |= (fold == held_out) & path.right_at(tau)
    change = right.astype(np.float64) - sample.unadjusted
    gain = float(path.row_weights() @ change)
    return CrossFit(gain, class_mean_standard_error(change, path), np.array(taus))


def class_mean_standard_error(values: NDArray[np.float64], path: TauPath) -> float:
    """Standard error of the mean over classes of the class means of `values` (n,)."""
    return float(np.sqrt(Strata.of(path).variances(values).sum()))


def _deal(path: TauPath, folds: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """(n,) fold of each row: dealt in turn, class after class, so that classes and folds come out even."""
    place = generator.permutation(path.classes)[path.labels]
    order = np.lexsort((generator.random(path.labels.size), place))
    fold = np.empty(path.labels.size, np.int64)
    fold[order] = np.arange(path.labels.size) % folds
    return fold


def _tau_without(sample: Sample, held_out: NDArray[np.bool_], rule: Rule) -> float:
    """The tau picked on all rows but these; the reference where no row is left."""
    rest = ~held_out
    if not rest.any():
        return sample.lattice.reference
    none = np.empty(0)
    # Picking reads the labels and the spans; the intervals themselves need not be copied.
    path = TauPath(sample.path.labels[rest], none.astype(int), none, none, sample.path.classes)
    spans, strata = sample.spans.of_rows(rest), Strata.of(path)
    curve = 1.0 - spans.total(path.row_weights()[spans.owner])
    picker = Picker.of(sample.lattice, rule, covariance(spans, strata))
    return float(sample.lattice.taus[picker.pick(curve[None])[0]])
