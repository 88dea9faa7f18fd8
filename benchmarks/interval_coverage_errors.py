"""Problems of interval_coverage.py: errors, recalls and gains of classifiers whose true errors are known."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from lacal.metrics import ClassTally, PairedTally, Rate, Score, paired_bootstrap

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]


class Found(NamedTuple):
    """A number as one draw of rows gives it, beside the truth; without a standard error where it has none."""

    truth: float
    value: float | None
    error: float | None
    low: float | None
    high: float | None


Numbers = Iterator[tuple[str, Found]]


class World(Protocol):
    """A kind of problem."""

    @property
    def name(self) -> str:
        """The kind, in words."""

    @property
    def cost(self) -> int:
        """How many draws of the cheapest kinds one of its draws takes."""

    def draw(self, generator: np.random.Generator) -> Numbers:
        """Rows, and each number of the table that they give."""


def found(truth: float, one: Rate | Score) -> Found:
    return Found(truth, one.value, one.standard_error, one.low, one.high)


@dataclass(frozen=True)
class Errors:
    """Errors of classes, and of means over classes."""

    name: str
    support: Counts
    errors: Floats
    cost: int = 1

    def draw(self, generator: np.random.Generator) -> Numbers:
        """As many rows of each class as `support` says; but for the micro error, rows as they come."""
        errors, k = self.errors, self.support.size
        tally = ClassTally.empty(k)
        tally.support, tally.errors = self.support, generator.binomial(self.support, errors)
        few, prior = np.arange(k) >= k - max(1, k // 3), np.geomspace(1, 100, k)
        prior /= prior.sum()
        yield "balanced error", found(float(errors.mean()), tally.balanced())
        yield "group error", found(float(errors[few].mean()), tally.balanced(few))
        yield "target error", found(float(prior @ errors), tally.under(prior))
        shares = self.support / self.support.sum()
        micro = ClassTally.empty(k)
        micro.support = generator.multinomial(self.support.sum(), shares)
        micro.errors = generator.binomial(micro.support, errors)
        yield "micro error", found(float(shares @ errors), micro.micro())
        yield "error of a class", found(float(errors[-1]), tally.of_class(k - 1))


@dataclass(frozen=True)
class Worst:
    """Recall of the worst classes; its standard error here is that of the classes that came out worst."""

    name: str
    support: Counts
    errors: Floats
    cost: int = 5

    def draw(self, generator: np.random.Generator) -> Numbers:
        """As many rows of each class as `support` says."""
        k, recalls = self.support.size, np.sort(1 - self.errors)
        tally = ClassTally.empty(k)
        tally.support, tally.errors = self.support, generator.binomial(self.support, self.errors)
        for what, count in (("worst class", 1), ("worst tenth", -(-k // 10))):
            one = tally.worst_recall(count / k)
            picked = np.argsort(tally.recalls(), kind="stable")[:count]
            plain = tally.balanced(np.isin(np.arange(k), picked)).standard_error
            truth = float(recalls[:count].mean())
            yield f"recall of the {what}", Found(truth, one.value, plain, one.low, one.high)


@dataclass(frozen=True)
class F1:
    """Macro F1; rows that are wrong go to the classes of many rows."""

    name: str
    support: Counts
    errors: Floats
    cost: int = 1

    def draw(self, generator: np.random.Generator) -> Numbers:
        """As many rows of each class as `support` says."""
        k, recalls = self.support.size, 1 - self.errors
        confusion = np.exp(-10 * np.arange(k) / k)[None].repeat(k, 0)
        np.fill_diagonal(confusion, 0)
        confusion *= (self.errors / confusion.sum(axis=1))[:, None]
        np.fill_diagonal(confusion, recalls)
        truth = (2 * self.support * recalls / (self.support + self.support @ confusion)).mean()
        counts = generator.multinomial(self.support, confusion)
        tally = ClassTally(self.support, self.support - counts.diagonal(), counts.sum(axis=0))
        yield "macro F1", found(float(truth), tally.macro_f1())


@dataclass(frozen=True)
class Changes:
    """Rows that an adjustment mends and breaks."""

    name: str
    support: Counts
    mended: Floats
    broken: float
    cost: int = 3

    def draw(self, generator: np.random.Generator) -> Numbers:
        """As many rows of each class as `support` says."""
        mended = generator.binomial(self.support, self.mended)
        broken = generator.binomial(self.support - mended, self.broken / (1 - self.mended))
        paired = PairedTally(self.support, mended, broken)
        seed, truth = int(generator.integers(1 << 30)), float(self.mended.mean()) - self.broken
        for what, one in (
            ("gain", paired.gain()),
            ("gain, bootstrap", paired_bootstrap(paired, {"": None}, draws=200, seed=seed)[""]),
        ):
            if one is not None:
                yield what, Found(truth, one.value, one.standard_error, one.low, one.high)


def supports() -> Iterator[tuple[str, Counts]]:
    """Rows of each class, the last of which has the fewest."""
    for k in (2, 10, 100):
        for rows in (3, 10, 30):
            yield f"{k} classes of {rows} rows", np.full(k, rows)
        tail = np.round(100 * 0.01 ** (np.arange(k) / (k - 1))).astype(np.int64)
        yield f"{k} classes of 100 to 1 rows", tail


def worlds() -> Iterator[World]:
    """Every kind of problem."""
    for rows, support in supports():
        k = support.size
        for wrong, errors in (
            ("2 % wrong", np.full(k, 0.02)),
            ("20 % wrong", np.full(k, 0.2)),
            ("2 to 77 % wrong", np.linspace(0.02, 0.77, k)),
            ("2 % wrong, of one class 90 %", np.where(np.arange(k) == k - 1, 0.9, 0.02)),
        ):
            name = f"{rows}, {wrong}"
            yield from (of(name, support, errors) for of in (Errors, Worst, F1))
        tail = 2 * np.arange(k) / (k - 1)
        for mended, broken in ((0.01, 0.01), (0.03, 0.01), (0.05, 0.05), (0.3, 0.1)):
            name = f"{rows}, {100 * mended:g} % mended, {100 * broken:g} % broken"
            yield Changes(name, support, mended * tail, broken)
