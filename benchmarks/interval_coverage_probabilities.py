"""Problems of interval_coverage.py: losses, calibration errors and temperatures of known populations."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from interval_coverage_errors import Counts, Floats, Found, Numbers, World, found

from lacal.fits.temperature import COLDEST, HOTTEST, InverseSearch, LogLossSums
from lacal.metrics import NORMAL_95, CalibrationError, ClassWiseBins, ScoreTally, TopLabelBins


class Population:
    """Gaussian classes around the corners of a simplex, and a model that knows them but for a temperature.

    Rows are drawn from it with replacement, so what the measures say of all of it is the truth.

    Attributes:
        each: Rows of each class.
        shares: (k,) of the classes, as rows come.
        labels: (k * each,) sorted.
        shown: (k * each, k) probabilities of the model.
    """

    def __init__(self, k: int, ratio: float, temperature: float) -> None:
        generator = np.random.default_rng([k, int(ratio), int(100 * temperature)])
        self.name = (
            f"{k} classes {ratio:g}:1, {'over-confident' if temperature < 1 else 'calibrated'}"
        )
        self.k, self.each = k, max(20_000 // k, 400)
        shares = np.geomspace(ratio, 1, k)
        self.shares = shares / shares.sum()
        self.labels = np.repeat(np.arange(k), self.each)
        distance = 1.2 + 0.5 * np.log10(k)
        points = generator.standard_normal((self.labels.size, k))
        points[np.arange(self.labels.size), self.labels] += distance
        logits = (distance * points + np.log(self.shares)) / temperature
        shown = np.exp(logits - logits.max(axis=1, keepdims=True))
        self.shown = shown / shown.sum(axis=1, keepdims=True)
        everything = np.arange(self.labels.size)
        self.scores = self.scored(everything)
        bins = self.binned(everything, self.shares[self.labels])
        self.top, self.class_wise = (one.error() for one in bins)
        fitted = self.temperature(everything)
        if fitted is None:
            raise SystemExit(f"{self.name}: no temperature fits the whole population")
        self.best_temperature = fitted[0]

    def as_they_come(self, generator: np.random.Generator, rows: int) -> Counts:
        """Rows of any class."""
        labels = generator.choice(self.k, rows, p=self.shares)
        return labels * self.each + generator.integers(0, self.each, rows)

    def of_each(self, generator: np.random.Generator, rows: int) -> Counts:
        """As many rows of each class."""
        labels = np.repeat(np.arange(self.k), rows)
        return labels * self.each + generator.integers(0, self.each, labels.size)

    def scored(self, rows: Counts) -> ScoreTally:
        """Losses of some rows."""
        tally = ScoreTally.empty(self.k)
        tally.update(self.shown[rows], self.labels[rows])
        return tally

    def binned(
        self, rows: Counts, weights: Floats | None = None
    ) -> tuple[TopLabelBins, ClassWiseBins]:
        """Calibration of some rows."""
        shown, labels = self.shown[rows], self.labels[rows]
        top, class_wise = TopLabelBins.empty(self.k), ClassWiseBins.empty(self.k)
        right = shown.argmax(axis=1) == labels
        top.update(shown.max(axis=1), right, labels, weights)
        class_wise.update(shown, labels, weights)
        return top, class_wise

    def temperature(self, rows: Counts) -> tuple[float, float] | None:
        """Temperature for equal shares and the standard error of its log; None where none fits."""
        search, inverse = InverseSearch(), 1.0
        adjusted, labels = np.log(self.shown[rows]) - np.log(self.shares), self.labels[rows]
        while True:
            sums = LogLossSums(inverse, np.zeros(self.k))
            sums.update(adjusted, labels)
            following = search.after(sums)
            if following is None:
                break
            inverse = following
        error = sums.error_of_log()
        fits = error is not None and 1 / HOTTEST < inverse < 1 / COLDEST
        return (1 / inverse, error) if fits and error is not None else None


@dataclass(frozen=True)
class AsTheyCome:
    """Losses and calibration errors of rows of any class."""

    people: Population
    rows: int
    cost: int = 4

    @property
    def name(self) -> str:
        """The kind, in words."""
        return f"{self.people.name}, {self.rows} rows"

    def draw(self, generator: np.random.Generator) -> Numbers:
        """Rows as they come."""
        people = self.people
        rows = people.as_they_come(generator, self.rows)
        drawn, all_, shares = people.scored(rows), people.scores, people.shares
        yield "log loss", found(all_.log_loss(shares).value or 0.0, drawn.log_loss())
        yield "Brier score", found(all_.brier(shares).value or 0.0, drawn.brier())
        top, class_wise = people.binned(rows)
        few = ", 50 rows" if self.rows == 50 else ""
        yield from _calibration(f"top label{few}", people.top, top.error())
        if self.rows * shares.min() >= 3:  # a mean over the classes with rows: let all have some
            yield from _calibration(f"class-wise{few}", people.class_wise, class_wise.error())


def _calibration(what: str, truth: CalibrationError, one: CalibrationError) -> Numbers:
    plain, root = truth.value or 0.0, truth.rms or 0.0
    yield f"calibration error, {what}", Found(plain, one.value, None, one.low, one.high)
    ends = (one.rms_low, one.rms_high)
    yield f"calibration error, {what}, debiased", Found(root, one.rms_debiased, None, *ends)


@dataclass(frozen=True)
class OfEach:
    """Balanced losses and the temperature of as many rows of each class."""

    people: Population
    rows: int
    cost: int = 5

    @property
    def name(self) -> str:
        """The kind, in words."""
        return f"{self.people.name}, {self.rows} rows a class"

    def draw(self, generator: np.random.Generator) -> Numbers:
        """As many rows of each class."""
        people = self.people
        rows = people.of_each(generator, self.rows)
        drawn, all_ = people.scored(rows), people.scores
        for what, truth, one in (
            ("balanced log loss", all_.log_loss("balanced"), drawn.log_loss("balanced")),
            ("balanced Brier score", all_.brier("balanced"), drawn.brier("balanced")),
        ):
            yield what, found(truth.value or 0.0, one)
        fitted = people.temperature(rows)
        if fitted is not None:  # else lacal refuses, and says why
            value, error = fitted
            spread = float(np.exp(NORMAL_95 * error))
            ends = (value / spread, value * spread)
            yield "temperature", Found(people.best_temperature, value, value * error, *ends)


def worlds() -> Iterator[World]:
    """Every kind of problem."""
    for k in (2, 10, 100):
        for ratio in (1.0, 100.0):
            for temperature in (1.0, 0.5):
                people = Population(k, ratio, temperature)
                yield from (AsTheyCome(people, rows) for rows in (50, 200, 1000))
                yield from (OfEach(people, rows) for rows in (3, 10, 30))
