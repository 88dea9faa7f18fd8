"""What the functions under contract are given: arrays by name, and what is made of them."""

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from lacal.adjustment import Adjustment
from lacal.batch import NO_LABEL, Batch
from lacal.fits.log_loss import HeldRows
from lacal.fits.temperature import LogLossSums
from lacal.fits.vector_scaling import VectorScaling
from lacal.methods import METHODS, ClassStatistics, Family
from lacal.metrics import (
    ClassTally,
    FlowTally,
    PairedTally,
    ScoreTally,
    TopLabelBins,
)
from lacal.metrics.cells import CellSums
from lacal.metrics.moments import Moments, counted
from lacal.probabilities import Probabilities
from lacal.tau.intervals import intervals
from lacal.tau.path import TauPath, TauPathAccumulator
from lacal.tau.resampling import Sample, bootstrap
from lacal.tau.screen import Screen
from lacal.tau.selection import (
    Lattice,
)
from lacal.tau.strata import Strata

EACH, ORDERED, SUMMED, WHOLE = "each", "ordered", "summed", "whole"

N, K, BINS, T = 40, 5, 4, 31
LOG_PRIOR = np.log([0.6, 0.2, 0.1, 0.07, 0.03])
ADJUSTMENT = Adjustment(np.linspace(0.5, 2, K), -LOG_PRIOR)
METHOD = METHODS["logit-adjustment"]
FAMILY = Family(LOG_PRIOR)
LATTICE = Lattice.over(0.0, 1.0, METHOD)
MASK = np.array([True, False, True, True, False])
Arrays = dict[str, NDArray[Any]]
Some = TypeVar("Some")


@dataclasses.dataclass(frozen=True)
class Contract:
    """One function: how rows enter, and a call whose arguments are named after the arrays of `arrays`."""

    rows: str
    call: Callable[..., Any]

    @property
    def arguments(self) -> tuple[str, ...]:
        return tuple(inspect.signature(self.call).parameters)


def arrays(seed: int) -> Arrays:
    """Everything that a function may be given; those of `A_ROW` hold an entry a row."""
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.r_[np.arange(K), generator.integers(0, K - 1, N - K)])
    logits = generator.normal(size=(N, K))
    logits[np.arange(N), labels] += 1
    probabilities = Probabilities().of(logits)
    low, high = intervals(logits, labels, FAMILY)
    predictions = logits.argmax(axis=1)
    steps = np.cumsum(generator.normal(size=(N, LATTICE.taus.size)), axis=1) / 50
    return {
        "labels": labels,
        "some_labels": np.where(generator.random(N) < 0.2, NO_LABEL, labels),
        "logits": logits,
        "single": logits.astype(np.float32),
        "predictions": predictions,
        "adjusted_predictions": ADJUSTMENT.predict(logits),
        "correct": predictions == labels,
        "probabilities": probabilities,
        "confidence": probabilities.max(axis=1),
        "weights": generator.uniform(0.5, 2, N),
        "values": generator.normal(size=N),
        "low": low,
        "high": high,
        "curves": steps,
        "dropped": generator.random((N, K)) < 0.3,
        "class_counts": np.array([600, 200, 100, 70, 30]),
        "log_prior": LOG_PRIOR.copy(),
        "shares": generator.uniform(0.1, 0.9, K),
        "prior": generator.dirichlet(np.ones(K)),
        "numbers": generator.integers(3, 30, K).astype(np.float64),
        "mask": MASK.copy(),
        "parameters": generator.normal(size=(2, K)) / 10,
        "pairwise": generator.normal(size=(K, K)),
        "taus": np.linspace(-1, 2, T),
        "errors": generator.random(T).round(1),
        "some": np.array([3, 1, 7]),
        "square": np.cov(generator.normal(size=(T, 3 * T))),
    }


A_ROW = {
    "labels", "some_labels", "logits", "single", "predictions", "adjusted_predictions", "correct",
    "probabilities", "confidence", "weights", "values", "low", "high", "curves", "dropped",
}  # fmt: skip
A_CLASS = {"class_counts", "log_prior", "shares", "prior", "numbers"}


def tensors(function: Callable[..., Any], **fixed: Any) -> Callable[..., Any]:
    """A loss that is given tensors of the arrays."""

    def with_labels(logits: Any, labels: Any) -> Any:
        return function(tensor(logits), tensor(labels), **fixed)

    return with_labels


def tensor(array: NDArray[Any]) -> torch.Tensor:
    """A tensor, of Fortran order as the array is; torch has neither read-only tensors nor another byte order."""
    copy = torch.tensor(np.ascontiguousarray(array.astype(array.dtype.newbyteorder("="))))
    return (
        copy.t().contiguous().t()
        if copy.ndim == 2 and array.strides[0] < array.strides[1]
        else copy
    )


def per_class(values: NDArray[np.float64]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32)


def path_of(labels: Any, low: Any, high: Any) -> TauPath:
    path = TauPathAccumulator(METHOD, ClassStatistics(LOG_PRIOR), np.array([0.0, 1.0]))
    path.add(labels, low, high)
    return path.result()


def sample_of(labels: Any, low: Any, high: Any, correct: Any) -> Sample:
    return Sample.on(path_of(labels, low, high), correct, LATTICE)


def updated(empty: Some, *given: Any, **named: Any) -> Some:
    accumulator: Any = empty
    accumulator.update(*given, **named)
    return empty


def paired() -> PairedTally:
    one = arrays(7)
    return updated(
        PairedTally.empty(K), one["labels"], one["predictions"], one["adjusted_predictions"]
    )


def tally() -> ClassTally:
    one = arrays(7)
    return updated(ClassTally.empty(K), one["labels"], one["predictions"])


def scores() -> ScoreTally:
    one = arrays(7)
    return updated(ScoreTally.empty(K), one["probabilities"], one["labels"])


def top() -> TopLabelBins:
    one = arrays(7)
    return updated(TopLabelBins.empty(K, BINS), one["confidence"], one["correct"], one["labels"])


def moments() -> Moments:
    sums = Moments.empty(K)
    sums.add(arrays(7)["labels"], arrays(7)["values"], None)
    return sums


def added(labels: Any, values: Any, weights: Any) -> Moments:
    sums = Moments.empty(K)
    sums.add(labels, values, weights)
    return sums


def cell_sums(labels: Any, values: Any) -> Any:
    """Two ways in: as many cells as rows, and many more."""
    few, many = CellSums(K, 2), CellSums(10_000, 2)
    few.add(labels, values, 1.0)
    many.add(labels * 1000, values, 1.0)
    return few.dense(), many.result()


def spans() -> Any:
    one = arrays(7)
    return LATTICE.spans(path_of(one["labels"], one["low"], one["high"]))


def held() -> HeldRows:
    return HeldRows.of(arrays(7)["logits"], arrays(7)["labels"])


def scaling() -> VectorScaling:
    return VectorScaling.around(ADJUSTMENT, held())


def flows() -> FlowTally:
    return FlowTally.of({"head": MASK, "tail": ~MASK})


def screened(single: Any, labels: Any) -> Any:
    screen = Screen.of(LOG_PRIOR)
    assert screen is not None
    return screen.intervals(single, labels)


def counted_of(some_labels: Any, weights: Any) -> Any:
    rows = counted(some_labels, weights)
    return np.ones(some_labels.size, np.bool_) if rows is None else rows


def log_loss_sums(logits: Any, labels: Any) -> LogLossSums:
    return updated(LogLossSums(0.7, np.zeros(K)), logits, labels)


def accumulated(logits: Any, labels: Any) -> Any:
    path = TauPathAccumulator(METHOD, ClassStatistics(LOG_PRIOR), np.array([0.0, 1.0]))
    path.update(Batch(logits, labels, None, 0))
    return path.result().balanced_error(LATTICE.taus)


def right_at_nodes(path: TauPath) -> Any:
    found = LATTICE.spans(path)
    return found.total(np.ones(found.owner.size))


def freedom(strata: Strata) -> float:
    return strata.freedom(np.arange(1.0, 1 + strata.size.size), 0.1)


def bootstrapped(labels: Any, low: Any, high: Any, correct: Any) -> Any:
    sample = sample_of(labels, low, high, correct)
    return bootstrap(sample, sample.picker("shrunk"), 0.5, draws=20, seed=0)
