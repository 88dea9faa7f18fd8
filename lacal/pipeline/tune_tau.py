"""`tune_tau`: one pass over a validation source, then everything about tau from the path."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.batch import Labels
from lacal.calibration import Calibration, calibration_of
from lacal.classes.names import some_classes
from lacal.classes.prior import LabelPrior
from lacal.errors import DataError
from lacal.methods import METHODS, ClassStatistics, Method
from lacal.metrics import ClassTally
from lacal.pipeline.tuning_record import record_of
from lacal.rows.fingerprint import RowSketch
from lacal.rows.source import Source, device_source, require_labels
from lacal.tau.grid import lowest_on
from lacal.tau.path import Plateau, TauPath, TauPathAccumulator
from lacal.tau.resampling import Bootstrap, CrossFit, Sample, bootstrap, cross_fit
from lacal.tau.selection import RULES, Lattice, Rule


@dataclass(frozen=True, slots=True)
class Search:
    """How tau is searched.

    Attributes:
        method: Row of the method table.
        grid: (t,) ascending taus of the printed curve; its ends bound the pick.
        rule: Selection rule.
        draws: Bootstrap draws.
        seed: Of the bootstrap and of the folds.
        reference: The tau that shrinkage draws towards; None for the method's own.
    """

    method: str
    grid: NDArray[np.float64]
    rule: Rule = "shrunk"
    draws: int = 1000
    seed: int = 0
    reference: float | None = None


@dataclass(frozen=True, slots=True)
class Tuning:
    """What the search found.

    Attributes:
        search: How it was searched.
        rows: Rows of the source, labelled or not.
        curve: (t,) balanced error at the grid's taus.
        optimum: Lowest balanced error over all real tau, with its plateau.
        picks: What each selection rule picks, and "grid": the grid's lowest point.
        pick_errors: Balanced error at each of those.
        tau: The pick of the rule that was asked for.
        exact: Whether the curve is known at every tau, or on the grid alone.
        unadjusted: Errors of the plain argmax, per class.
        adjusted: Errors at the picked tau, per class.
        bootstrap: Intervals for tau and for the gain over the unadjusted model.
        cross_fit: The gain on rows that did not choose tau.
        calibration: What to apply and to store.
        path: When each labelled row is right; on the grid alone where that is all that is known.
        plain_right: (n,) whether the plain argmax is right on each of them.
    """

    search: Search
    rows: int
    curve: NDArray[np.float64]
    optimum: Plateau
    picks: dict[str, float]
    pick_errors: dict[str, float]
    tau: float
    exact: bool
    unadjusted: ClassTally
    adjusted: ClassTally
    bootstrap: Bootstrap
    cross_fit: CrossFit
    calibration: Calibration
    path: TauPath
    plain_right: NDArray[np.bool_]

    @property
    def at_edge(self) -> bool:
        """Whether a better tau may lie outside the range: the pick at its end, or the optimum beyond."""
        low, high = (float(end) for end in self.search.grid[[0, -1]])
        near = 0.02  # a step of the lattice that the pick is read from
        if (self.tau - low <= near and low != 0) or high - self.tau <= near:
            return True
        return self.exact and not (self.optimum.high >= low and self.optimum.low <= high)


def tune_tau(
    source: Source,
    prior: LabelPrior,
    statistics: ClassStatistics,
    search: Search,
    *,
    scores: str = "logits",
) -> Tuning:
    """Search the tau of a post-hoc method for balanced error on a labelled validation source.

    Args:
        source: Logits with labels.
        prior: Training class counts, in the source's class order.
        statistics: What the method needs: log prior, and the head for weight normalisation.
        search: Method, grid, rule, draws, seed.
        scores: What the source's numbers were, for the record.

    Raises:
        DataError: No labels, or rows of a single class.
    """
    require_labels(source)
    path, unadjusted, sketch = _one_pass(source, METHODS[search.method], statistics, search.grid)
    refuse_one_class(path, source.place, prior)
    return tuning_of(
        path,
        unadjusted,
        sketch,
        prior,
        statistics,
        search,
        scores=scores,
        inference=source.inference,
    )


def refuse_one_class(path: TauPath, place: str, prior: LabelPrior) -> None:
    """Refuse labelled rows that are all of one class."""
    if np.count_nonzero(path.support) < 2:
        only = some_classes([int(path.labels[0])], prior.class_names)
        raise DataError(
            f"{place}: every labelled row is of class {only}; balanced error needs a validation "
            "split with at least 2 classes"
        )


def tuning_of(
    path: TauPath,
    unadjusted: NDArray[np.bool_],
    sketch: RowSketch,
    prior: LabelPrior,
    statistics: ClassStatistics,
    search: Search,
    *,
    scores: str = "logits",
    inference: dict[str, Any] | None = None,
) -> Tuning:
    """Everything about tau, from what one pass over the validation rows leaves.

    Args:
        path: The taus at which each labelled row is right, under the searched method.
        unadjusted: (n,) whether the plain argmax is right on it.
        sketch: Fingerprint of all rows.
        prior: As for `tune_tau`, and so are the next three.
        statistics: What the method needs.
        search: Method, grid, rule, draws, seed.
        scores: What the source's numbers were.
        inference: How a model made the logits, where that is known.
    """
    method = METHODS[search.method]
    exact = method.family(statistics) is not None
    low, high = float(search.grid[0]), float(search.grid[-1])
    lattice = Lattice.over(low, high, method, search.reference)
    sample = Sample.on(path, unadjusted, lattice)
    picks: dict[str, float] = {rule: _pick(sample, rule, low, high) for rule in RULES}
    if not exact:
        picks = {rule: _nearest(search.grid, tau) for rule, tau in picks.items()}
    curve = path.balanced_error(search.grid)
    picks["grid"] = lowest_on(search.grid, curve)
    tau = picks[search.rule]
    before, after = tally_of(path, unadjusted), tally_of(path, path.right_at(tau))
    intervals = bootstrap(
        sample, sample.picker(search.rule), tau, draws=search.draws, seed=search.seed
    )
    crossed = cross_fit(sample, search.rule, seed=search.seed)
    optimum = path.optimum(-np.inf, np.inf, lattice.reference)
    record = record_of(
        sketch,
        tallies=(before, after),
        grid=search.grid,
        curve=curve,
        optimum=optimum,
        picks=picks,
        intervals=intervals,
        crossed=crossed,
        seed=search.seed,
    )
    return Tuning(
        search=search,
        rows=sketch.rows,
        curve=curve,
        optimum=optimum,
        picks=picks,
        pick_errors={name: error_at(path, tau) for name, tau in picks.items()},
        tau=tau,
        exact=exact,
        unadjusted=before,
        adjusted=after,
        bootstrap=intervals,
        cross_fit=crossed,
        calibration=calibration_of(
            search.method,
            tau,
            prior,
            statistics,
            select=search.rule,
            scores=scores,
            tuned_on=record,
            inference=inference,
        ),
        path=path,
        plain_right=unadjusted,
    )


def _one_pass(
    source: Source, method: Method, statistics: ClassStatistics, grid: NDArray[np.float64]
) -> tuple[TauPath, NDArray[np.bool_], RowSketch]:
    """The path, whether the plain argmax is right on each labelled row, and the fingerprint."""
    path = TauPathAccumulator(method, statistics, grid, source.place)
    sketch = RowSketch()
    family = method.family(statistics)
    told_by_path = family is not None and family.plain_at_zero
    right: list[NDArray[np.bool_]] = []
    on_device = device_source(source)
    if on_device is not None and family is not None:
        from lacal.tau.on_device import rows_of

        for seen in rows_of(on_device, family):
            sketch.add(seen.hashes)
            path.add(seen.labels, seen.low, seen.high)
            right.append(seen.plain_right)
    else:
        for batch in source.batches():
            sketch.update(batch)
            path.update(batch)
            if not told_by_path:
                logits, labels = batch.labelled()
                right.append(logits.argmax(axis=1) == labels)
    try:
        found = path.result()
    except DataError as error:
        raise DataError(f"{source.place}: {error}") from error
    return found, found.right_at(0.0) if told_by_path else np.concatenate(right), sketch


def _pick(sample: Sample, rule: Rule, low: float, high: float) -> float:
    """The rule's tau; "min" is exact, not read off the lattice."""
    if rule != "min":
        node = sample.picker(rule).pick(sample.curve()[None])[0]
        return float(sample.lattice.taus[node])
    best = sample.path.optimum(low, high, sample.lattice.reference)
    return (max(best.low, low) + min(best.high, high)) / 2


def _nearest(grid: NDArray[np.float64], tau: float) -> float:
    return float(grid[np.abs(grid - tau).argmin()])


def error_at(path: TauPath, tau: float) -> float:
    """The balanced error at one tau, as its tally has it to the last bit: 36.25 is rounded alike wherever it is shown."""
    error = tally_of(path, path.right_at(tau)).balanced().value
    assert error is not None  # a path has rows
    return error


def tally_of(path: TauPath, right: NDArray[np.bool_]) -> ClassTally:
    """Errors per class of the path's rows, of which (n,) are right."""
    tally = ClassTally.empty(path.classes)
    predictions: Labels = np.where(right, path.labels, -2)  # any class but the label
    tally.update(path.labels, predictions)
    return tally
