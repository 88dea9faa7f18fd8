"""How sure the gain is: a stratified bootstrap that re-picks tau, and a cross-fitted estimate.

Bootstrap. Within each class of n_y rows, n_y - 1 are drawn with replacement (McCarthy & Snowden 1985):
the variance of a class mean comes out unbiased, where drawing n_y would understate it by a third at
three rows a class. Classes of a single row cannot be resampled alone; they are put together in pairs,
neighbours by class number, the survey statistician's collapsed strata, which errs towards wide intervals.

The interval of the gain is for the POPULATION gain of the tau that was picked. The in-sample gain is
too good by the picking; each draw measures by how much, as (gain of the draw's tau on the draw) minus
(gain of the same tau on the full sample), and the interval is the in-sample gain minus the quantiles of
that difference.

Cross-fitting. Rows of each class are dealt into folds; each fold is scored with the tau picked on the
others. No row is scored with a tau that saw it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacal.selection import Lattice, Picker, Rule, Spans, paired_standard_error
from lacal.tau_path import TauPath

FOLDS = 5
LEVEL = 0.95
# Drawn rows of one chunk; several short arrays in cache beat a long one.
CHUNK = 1 << 17


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
    """

    path: TauPath
    unadjusted: NDArray[np.bool_]
    lattice: Lattice
    spans: Spans

    @classmethod
    def on(cls, path: TauPath, unadjusted: NDArray[np.bool_], lattice: Lattice) -> "Sample":
        """Read a path on a lattice."""
        return cls(path, unadjusted, lattice, lattice.spans(path))

    def picker(self, rule: Rule) -> Picker:
        """The rule, with the paired standard error of these rows."""
        return Picker(self.lattice, rule, paired_standard_error(self.path, self.spans))

    def curve(self) -> NDArray[np.float64]:
        """(t,) balanced error at the lattice's taus."""
        return self.path.balanced_error(self.lattice.taus)

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
    strata = _Strata.of(sample.path)
    curve, unadjusted = sample.curve(), sample.unadjusted_error()
    chunk = max(1, CHUNK // max(strata.slots, 1))
    taus, optimism = [], []
    for start in range(0, draws, chunk):
        count = min(chunk, draws - start)
        errors, plain = _replicates(sample, strata, generator, count)
        node = picker.pick(errors)
        on_draw = plain - errors[np.arange(count), node]
        optimism.append(on_draw - (unadjusted - curve[node]))
        taus.append(sample.lattice.taus[node])
    tail = (1 - LEVEL) / 2
    gain = unadjusted - float(sample.path.balanced_error(np.array([tau]))[0])
    above, below = np.quantile(np.concatenate(optimism), [tail, 1 - tail])
    tau_low, tau_high = np.quantile(np.concatenate(taus), [tail, 1 - tail])
    return Bootstrap(
        Estimate(tau, float(tau_low), float(tau_high)),
        Estimate(gain, gain - float(below), gain - float(above)),
        draws,
    )


@dataclass(frozen=True, slots=True)
class _Strata:
    """Rows ordered by stratum, and for each drawn slot the stratum it draws from.

    Attributes:
        order: (n,) row numbers, stratum by stratum.
        first: (slots,) position in `order` of the slot's stratum.
        size: (slots,) rows of that stratum.
        factor: (slots,) rows of the stratum over rows drawn from it.
    """

    order: NDArray[np.int64]
    first: NDArray[np.int64]
    size: NDArray[np.float32]
    factor: NDArray[np.float64]

    @property
    def slots(self) -> int:
        return self.first.size

    @classmethod
    def of(cls, path: TauPath) -> "_Strata":
        stratum = _collapse_singles(path)
        order = np.argsort(stratum, kind="stable")
        sizes = np.bincount(stratum)
        sizes = sizes[sizes > 0]
        first = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        drawn = np.maximum(sizes - 1, 1)
        return cls(
            order,
            np.repeat(first, drawn),
            np.repeat(sizes, drawn).astype(np.float32),
            np.repeat(sizes / drawn, drawn),
        )


def _collapse_singles(path: TauPath) -> NDArray[np.int64]:
    """(n,) stratum of each row: its class, but classes of one row go in pairs (one triple if odd)."""
    support = path.support
    merged = np.arange(path.classes)
    single = np.flatnonzero(support == 1)
    if single.size == 1:
        others = np.flatnonzero(support > 1)
        if others.size:
            merged[single] = others[np.abs(others - single[0]).argmin()]
    elif single.size:
        pair = np.minimum(np.arange(single.size) // 2, single.size // 2 - 1)
        merged[single] = single[2 * pair]
    return merged[path.labels]


def _replicates(
    sample: Sample, strata: _Strata, generator: np.random.Generator, count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Balanced-error curves (count, t) and unadjusted errors (count,) of fresh draws."""
    t = sample.lattice.taus.size
    uniform = generator.random((count, strata.slots), np.float32)
    # float32 may round the product up to the size itself.
    step = np.minimum((uniform * strata.size).astype(np.int64), strata.size.astype(np.int64) - 1)
    drawn = strata.order[strata.first + step]
    weights = sample.path.row_weights()[drawn] * strata.factor
    draw = np.arange(count)[:, None]
    multiplicity = np.bincount(
        (drawn + draw * sample.path.labels.size).ravel(),
        weights.ravel(),
        minlength=count * sample.path.labels.size,
    ).reshape(count, -1)
    plain = 1.0 - multiplicity @ sample.unadjusted
    spans = sample.spans
    held = multiplicity[:, spans.owner].ravel()
    cell = draw * (t + 1)
    steps = np.bincount((cell + spans.first).ravel(), held, minlength=count * (t + 1))
    steps -= np.bincount((cell + spans.stop).ravel(), held, minlength=count * (t + 1))
    right = np.cumsum(steps.reshape(count, t + 1)[:, :t], axis=1)
    return 1.0 - right, plain


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
        rest = _rows_of(sample, fold != held_out)
        node = int(rest.picker(rule).pick(rest.curve()[None])[0]) if rest.path.labels.size else None
        tau = sample.lattice.reference if node is None else float(sample.lattice.taus[node])
        taus.append(tau)
        right |= (fold == held_out) & path.right_at(tau)
    change = right.astype(np.float64) - sample.unadjusted
    gain = float(path.row_weights() @ change)
    return CrossFit(gain, class_mean_standard_error(change, path), np.array(taus))


def class_mean_standard_error(values: NDArray[np.float64], path: TauPath) -> float:
    """Standard error of the mean over classes of the class means of `values` (n,).

    A class of one row enters with the square of its value.
    """
    rows_of = path.support[path.support > 0].astype(np.float64)
    present = np.flatnonzero(path.support)
    rank = np.searchsorted(present, path.labels)
    total = np.bincount(rank, values)
    squares = np.bincount(rank, values**2)
    spread = np.where(rows_of > 1, squares - total**2 / rows_of, squares)
    variance = spread / (rows_of * np.maximum(rows_of - 1, 1))
    return float(np.sqrt(np.maximum(variance, 0).sum()) / present.size)


def _deal(path: TauPath, folds: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """(n,) fold of each row: the rows of a class are shuffled and dealt round from a random fold."""
    shuffled = generator.permutation(path.labels.size)
    by_class = shuffled[np.argsort(path.labels[shuffled], kind="stable")]
    labels = path.labels[by_class]
    first = np.searchsorted(labels, labels, side="left")
    start = generator.integers(folds, size=path.classes)
    fold = np.empty(path.labels.size, np.int64)
    fold[by_class] = (np.arange(labels.size) - first + start[labels]) % folds
    return fold


def _rows_of(sample: Sample, chosen: NDArray[np.bool_]) -> Sample:
    """The sample of some of the rows."""
    path = sample.path
    number = np.cumsum(chosen) - 1
    mine = chosen[path.owner]
    part = TauPath(
        path.labels[chosen], number[path.owner[mine]], path.low[mine], path.high[mine], path.classes
    )
    return Sample.on(part, sample.unadjusted[chosen], sample.lattice)
