"""What an adjustment mends and breaks on the same rows, and how sure the difference is."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacal.batch import Labels, PerClass, PerRow
from lacal.metrics.moments import Moments, counted
from lacal.tau.strata import student_quantile

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Gain:
    """Fall of an error on the same rows, with its standard error and 95 % interval."""

    value: float
    standard_error: float
    low: float
    high: float


@dataclass(slots=True)
class PairedTally:
    """What an adjustment mended and what it broke, per class; merges by addition.

    Attributes:
        support: (k,) labelled rows of each class.
        mended: (k,) rows wrong before and right after.
        broken: (k,) rows right before and wrong after.
        weighted: Sums of the rows' weights, z being +1 where a row was mended and -1 where it was
            broken; None while no row had one.
    """

    support: NDArray[np.int64]
    mended: NDArray[np.int64]
    broken: NDArray[np.int64]
    weighted: Moments | None = None

    @classmethod
    def empty(cls, classes: int) -> "PairedTally":
        """No rows yet."""
        support, mended, broken = np.zeros((3, classes), np.int64)
        return cls(support, mended, broken)

    def update(
        self, labels: Labels | None, before: Labels, after: Labels, weights: PerRow | None = None
    ) -> None:
        """Add rows; those without a label or of weight 0 do not count."""
        if labels is None:
            return
        rows = counted(labels, weights)
        if rows is not None:
            labels, before, after = labels[rows], before[rows], after[rows]
            weights = None if weights is None else weights[rows]
        was, now = before == labels, after == labels
        if weights is not None or self.weighted is not None:
            sums = self.sums()
            sums.add(labels, now.astype(np.float64) - was, weights)
            self.weighted = sums
        k = self.support.size
        self.support += np.bincount(labels, minlength=k)
        self.mended += np.bincount(labels[now & ~was], minlength=k)
        self.broken += np.bincount(labels[was & ~now], minlength=k)

    def merge(self, other: "PairedTally") -> None:
        """Add another part's rows."""
        if self.weighted is not None or other.weighted is not None:
            sums = self.sums()
            sums.merge(other.sums())
            self.weighted = sums
        self.support += other.support
        self.mended += other.mended
        self.broken += other.broken

    def sums(self) -> Moments:
        """The sums of the weights; without weights, of as many ones as there are rows."""
        if self.weighted is not None:
            return self.weighted
        rows = self.support.astype(np.float64)
        net = (self.mended - self.broken).astype(np.float64)
        changed = (self.mended + self.broken).astype(np.float64)
        return Moments(rows, rows.copy(), net, net.copy(), changed)

    def gain(self, mask: Mask | None = None) -> Gain | None:
        """Fall of the balanced error, paired and stratified by class; None without labelled rows.

        Per class the variance over its rows of (right after - right before), over (n_y - 1), summed,
        rooted, divided by the number of classes; a class of one row enters with its square.

        The interval adds the variance of one more changed row, of average squared weight over the classes
        (in the spirit of Agresti & Min 2005, Statistics in Medicine 24, 729): no change among 30 rows does
        not prove that nothing ever changes. Its quantile is Student's, with Satterthwaite's degrees of
        freedom. Over 210 kinds of problem (2 to 1,000 classes, 3 to 30 rows a class or falling from 100 to
        1) it covers 96.9 % on average, 91 % at worst; value +- 1.96 standard errors 20 % at worst.
        """
        present = self.present(mask)
        k = int(np.count_nonzero(present))
        return _gain(self.sums().only(present), np.full(k, 1.0 / k)) if k else None

    def present(self, mask: Mask | None = None) -> Mask:
        """(k,) classes with labelled rows, of all or of the masked ones."""
        return self.support > 0 if mask is None else (self.support > 0) & mask

    def under(self, prior: PerClass) -> Gain | None:
        """Fall of the error under a class prior (k,), renormalised over the present classes."""
        present = (self.support > 0) & (prior > 0)
        shares = prior[present]
        return _gain(self.sums().only(present), shares / shares.sum()) if shares.size else None

    def micro_gain(self) -> Gain | None:
        """Fall of the share of rows that are wrong; None without labelled rows."""
        return _gain(self.sums().pooled(), np.ones(1)) if self.support.any() else None

    def of_class(self, index: int) -> Gain | None:
        """Fall of the error of one class; None where it has no rows."""
        return self.gain(np.arange(self.support.size) == index)


def _gain(sums: Moments, shares: PerClass) -> Gain:
    """Gain of classes (k,) with rows, each with its share of the whole."""
    value, error = float(shares @ sums.means), float(np.sqrt(_variances(sums, shares).sum()))
    return Gain(value, error, *_ends(value, error**2, sums, shares))


def _variances(sums: Moments, shares: PerClass) -> PerClass:
    """(k,) part of each class in the variance of the gain."""
    own = sums.variances
    variance: PerClass = np.where(np.isnan(own), sums.squared_square / sums.weight**2, own)
    return shares**2 * variance


def _ends(value: float, variance: float, sums: Moments, shares: PerClass) -> tuple[float, float]:
    """95 % interval of a gain of that variance; see `PairedTally.gain`."""
    rows = sums.effective
    own = np.maximum(rows - 1, 1.0)
    more = float(((shares / rows) ** 2).mean())
    doubt = float((_variances(sums, shares) ** 2 / own).sum() + more**2 / own.sum())
    half = student_quantile((variance + more) ** 2 / doubt, 0.975) * math.sqrt(variance + more)
    return max(value - half, -1.0), min(value + half, 1.0)


def paired_bootstrap(
    paired: PairedTally, masks: Mapping[str, Mask | None], *, draws: int = 2000, seed: int = 0
) -> dict[str, Gain]:
    """Gain of the balanced error in each named group of classes, with bootstrap intervals.

    Stratified by class: in a draw, the mended and broken rows of a class are multinomial over its rows, and
    the deviation from what was seen is multiplied by sqrt(n / (n - 1)), without which three rows a class
    would understate the variance by a third. Weighted rows are drawn as a Gaussian of the class's
    variance. A class of one row deviates by the change it shows. The interval is `PairedTally.gain`'s with
    the variance of the draws: quantiles of the draws cover less where rows are few, 24 to 84 % of the
    time at 2 classes, 0.03 against 0.01 changed and 3 to 30 rows a class.

    Args:
        paired: The counts.
        masks: Name -> (k,) bool, or None for all classes; groups without rows are left out.
        draws: Number of draws, at least 2.
        seed: Of the generator; the same seed gives the same intervals.
    """
    shares = {}
    for name, mask in masks.items():
        present = paired.present(mask)
        if present.any():
            shares[name] = present / np.count_nonzero(present)
    if not shares:
        return {}
    sums = paired.sums()
    deviations = _draws(paired, np.array(list(shares.values())), draws, seed)
    gains = {}
    for (name, share), drawn in zip(shares.items(), deviations, strict=True):
        present = share > 0
        found = _gain(sums.only(present), share[present])
        ends = _ends(found.value, float(drawn.var()), sums.only(present), share[present])
        gains[name] = Gain(found.value, found.standard_error, *ends)
    return gains


def _draws(
    paired: PairedTally, shares: NDArray[np.float64], draws: int, seed: int
) -> NDArray[np.float64]:
    """(g, draws) deviations of the gains of groups, which give the classes `shares` (g, k)."""
    generator = np.random.default_rng(seed)
    sums = paired.sums()
    moving = np.flatnonzero(sums.squared_square)  # no other class deviates
    drawn = np.zeros((shares.shape[0], draws))
    if paired.weighted is not None:
        spread = np.sqrt(_variances(sums.only(moving), np.ones(moving.size)))
        for at, one in enumerate(moving):
            drawn += np.outer(shares[:, one], spread[at] * generator.standard_normal(draws))
        return drawn
    for one in moving:
        n, mended, broken = (int(a[one]) for a in (paired.support, paired.mended, paired.broken))
        if n == 1:
            change = generator.choice([-1.0, 1.0], draws)
        else:
            better = generator.binomial(n, mended / n, draws)
            left = broken / (n - mended) if broken else 0.0
            net = better - generator.binomial(n - better, left)
            change = (net - (mended - broken)) / math.sqrt(n * (n - 1.0))
        drawn += np.outer(shares[:, one], change)
    return drawn


def mcnemar(mended: int, broken: int) -> float:
    """Two-sided mid-p value of McNemar's test: are changes for better and worse equally likely?

    Given n = mended + broken changed rows, `broken` is Binomial(n, 1/2) if they are. The mid-p value counts
    what was seen by half; it holds its level in practice where the exact test is too timid.

    Source: Fagerland, Lydersen & Laake 2013, BMC Medical Research Methodology 13, 91.

    Example:
        >>> mcnemar(10, 2)
        0.0224609375
    """
    seen = _at(min(mended, broken), mended + broken)
    tail = sum(_below(min(mended, broken), mended + broken))
    return 1.0 if mended == broken else min(1.0, 2 * tail + seen)


def _at(k: int, n: int) -> float:
    """Probability of k heads in n throws."""
    if n < 1000:
        return float(math.comb(n, k) / 2**n)
    return math.exp(
        math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) - n * math.log(2)
    )


def _below(k: int, n: int) -> list[float]:
    """Probabilities of k - 1, k - 2, ... heads, as far as they matter; k <= n / 2."""
    term = _at(k, n)
    terms: list[float] = []
    for heads in range(k, 0, -1):
        term *= heads / (n - heads + 1)
        if term < 1e-18 * (terms[0] if terms else 1.0):
            break
        terms.append(term)
    return terms
