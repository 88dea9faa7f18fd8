"""lacal against exact arithmetic on random small problems: files in, tuned, adjusted, predictions read back.

Compared, and how:

- predictions: the class of every row equals IEEE 754's rounding of `scale * logit + offset`, worked out in fractions,
  and equals that of real arithmetic wherever the best two are further apart than that rounding;
- errors: the counts per class are equal, and the balanced error is within 1e-14 of the fraction;
- when a row is right: the ends of its interval lie within the rounding of two differences and a quotient, and an end
  at tau = 0, a tie, is open or closed as it must be;
- the curve at every tau of the grid: within 1e-12 of the fraction, where the smallest step is 1 / 15,000;
- the lowest point of the curve, its plateau's ends, and the tau of every rule: equal, ends within their rounding.

A question that rounding may decide is counted as undecided and not compared; `soak` demands that few are.
"""

import math
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from lacal import pipeline
from lacal.batch import NO_LABEL
from lacal.calibration import Calibration, calibration_of
from lacal.pipeline.adjust import Wanted
from lacal.pipeline.predictions import PredictionColumns
from lacal.pipeline.tune_tau import Search, Tuning, tune_tau
from lacal.rows.logits_source import LogitsSource, SourceOptions, open_source
from lacal.tau.grid import parse_grid
from lacal.tau.path import MIN_PLATEAU
from lacal.tau.selection import Lattice
from tests.soak.findings import Findings
from tests.soak.oracle import exact
from tests.soak.oracle.optimum import Cell, Edge, optimum
from tests.soak.oracle.pick import picked
from tests.soak.oracle.problems import Problem, problem_of

SETTLED = ("ends", "curve points", "plateaus", "picks")


def soak(rounds: int, seed: int, until: float) -> Findings:
    """Compare `rounds` problems."""
    found = Findings()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            if time.monotonic() > until:
                break
            for fault in faults_of(problem_of(seed, number), Path(folder), found):
                found.faults.append(f"problem {number} of seed {seed}: {fault}")
            found.rounds += 1
    for what in SETTLED:
        sure, unsure = (int(found.figures.get(name, 0)) for name in (what, f"undecided {what}"))
        if rounds >= 100 and unsure > sure / 10:
            found.faults.append(f"{unsure} {what} are undecided, more than a tenth of {sure}")
    return found


def faults_of(problem: Problem, folder: Path, found: Findings) -> Iterator[str]:
    """What lacal gets wrong in one problem."""
    source = _source(problem, folder)
    rows = _exact_rows(problem)
    calibration = calibration_of(
        problem.method, problem.tau, problem.prior, problem.statistics,
        select="given", scores="logits", tuned_on=None,
    )  # fmt: skip
    if len(set(rows.labels)) > 1:
        grid = parse_grid(problem.grid, problem.row)
        search = Search(problem.method, grid, problem.rule, draws=10)
        tuning = tune_tau(source, problem.prior, problem.statistics, search)
        yield from _of_rows(tuning, rows, found)
        yield from _of_curve(tuning, rows, found)
        yield from _of_optimum(tuning, problem, rows, found)
        yield from _of_picks(tuning, problem, rows, found)
        calibration = tuning.calibration
        found.count("tuned")
    yield from _of_predictions(problem, source, calibration, folder, found)


def _source(problem: Problem, folder: Path) -> LogitsSource:
    np.savez(folder / "rows.npz", logits=problem.logits, labels=problem.labels)
    options = SourceOptions(scores="logits", ignore_label=NO_LABEL, rows_per_batch=64)
    return open_source(
        folder / "rows.npz", options, shift_blind=problem.method == "logit-adjustment"
    )


def _exact_rows(problem: Problem) -> exact.Rows:
    """The labelled rows, by the method's definition."""
    family = problem.row.family(problem.statistics)
    assert family is not None
    slopes, shift = family.slopes.tolist(), None if family.shift is None else family.shift.tolist()
    labelled = problem.labels != NO_LABEL
    labels = problem.labels[labelled].tolist()
    right = [
        exact.right_linear(scores, label, slopes)
        if shift is None
        else exact.right_power(scores, shift, label, slopes)
        for scores, label in zip(problem.logits[labelled].tolist(), labels, strict=True)
    ]
    return exact.Rows(labels, right)


def _of_rows(tuning: Tuning, rows: exact.Rows, found: Findings) -> Iterator[str]:
    """The interval of every row."""
    path = tuning.path
    if path.labels.tolist() != list(rows.labels):
        yield "the labels differ"
        return
    ends = {
        int(o): (lo, hi)
        for o, lo, hi in zip(path.owner, path.low.tolist(), path.high.tolist(), strict=True)
    }
    for number, right in enumerate(rows.right):
        if number not in ends:
            if right.surely_somewhere:
                yield f"labelled row {number} is never right, expected {right}"
            found.count("ends")
            continue
        for end, value, inwards in zip((right.low, right.high), ends[number], (1, -1), strict=True):
            fits = value == -inwards * math.inf if end is None else end.allows(value, inwards)
            if right.never or not fits:
                yield f"labelled row {number} ends at {value!r}, expected {right}"
            found.count(
                "ends"
                if end is None or end.sure or end.most - end.least < 1e-9
                else "undecided ends"
            )


def _of_curve(tuning: Tuning, rows: exact.Rows, found: Findings) -> Iterator[str]:
    """The printed curve, and the tallies before and after."""
    for tau, value in zip(tuning.search.grid.tolist(), tuning.curve.tolist(), strict=True):
        expected = rows.balanced_error(tau)
        found.count("undecided curve points" if expected is None else "curve points")
        if expected is not None and abs(Fraction(value) - expected) > 1e-12:
            yield f"the curve at {tau} is {value!r}, expected {float(expected)!r}"
    expected = rows.balanced_error(tuning.tau)
    value = tuning.adjusted.balanced().value
    if expected is not None and (value is None or abs(Fraction(value) - expected) > 1e-14):
        yield f"the balanced error at tau {tuning.tau} is {value!r}, expected {float(expected)!r}"


def _of_optimum(
    tuning: Tuning, problem: Problem, rows: exact.Rows, found: Findings
) -> Iterator[str]:
    """The lowest point over all taus, and its plateau."""
    best = optimum(rows, (None, None), Fraction(problem.row.reference), MIN_PLATEAU)
    found.count("plateaus" if best.decided else "undecided plateaus")
    if not best.decided:
        return
    one = tuning.optimum
    if abs(Fraction(one.balanced_error) - best.error) > 1e-12:
        yield f"the lowest error is {one.balanced_error!r}, expected {float(best.error)!r}"
    if not any(_same_plateau((one.low, one.high), cell) for cell in best.plateaus):
        yield f"the best plateau is {one.low!r}..{one.high!r}, expected one of {best.plateaus}"


def _of_picks(tuning: Tuning, problem: Problem, rows: exact.Rows, found: Findings) -> Iterator[str]:
    """The tau of every rule."""
    for name, expected in _expected_picks(tuning, problem, rows):
        found.count("undecided picks" if expected is None else "picks")
        tau = tuning.picks[name]
        if expected is not None and not any(
            abs(tau - one) <= 1e-12 * max(1.0, abs(one)) for one in expected
        ):
            yield f"{name} picks {tau!r}, expected one of {expected}"


def _expected_picks(
    tuning: Tuning, problem: Problem, rows: exact.Rows
) -> Iterator[tuple[str, list[float] | None]]:
    grid, method = tuning.search.grid.tolist(), problem.row
    errors = [rows.balanced_error(tau) for tau in grid]
    known = [one for one in errors if one is not None]
    lowest = min(known, default=Fraction(0))
    clear = len(known) == len(errors) and all(one == lowest or one - lowest > 3e-9 for one in known)
    yield "grid", [grid[errors.index(lowest)]] if clear else None
    low, high = Fraction(grid[0]), Fraction(grid[-1])
    best = optimum(rows, (low, high), Fraction(method.reference), MIN_PLATEAU)
    middles = [(max(_at(a, low), low) + min(_at(b, high), high)) / 2 for a, b in best.plateaus]
    yield "min", [float(one) for one in middles] if best.decided else None
    lattice = Lattice.over(float(low), float(high), method)
    taus = picked(
        rows, lattice.taus.tolist(), lattice.inside.tolist(),
        bandwidth=method.bandwidth, reference=method.reference,
    )  # fmt: skip
    for name, tau in taus.items():
        yield name, None if tau is None else [tau]


def _of_predictions(
    problem: Problem, source: LogitsSource, calibration: Calibration, folder: Path, found: Findings
) -> Iterator[str]:
    """Every row's class as written to the file, and the errors that it makes."""
    path, wanted = folder / "predictions.parquet", Wanted(allow_tuned_rows=True)
    done = pipeline.adjust(source, calibration, path, PredictionColumns(), wanted)
    written: list[Any] = pq.read_table(path)["prediction"].to_pylist()
    adjustment = calibration.adjustment
    scale, offset = adjustment.scale.tolist(), adjustment.offset.tolist()
    for number, (logits, prediction) in enumerate(
        zip(problem.logits.tolist(), written, strict=True)
    ):
        expected = exact.predicted(scale, offset, logits)
        real = exact.surely_predicted(scale, offset, logits)
        found.count("predictions")
        if prediction != expected or real not in (None, prediction):
            yield f"row {number} is predicted as {prediction}, expected {expected}, in real arithmetic {real}"
    if len(written) != problem.labels.size:
        yield f"{len(written)} predictions of {problem.labels.size} rows"
    wrong, support = _errors(problem, written)
    tally, mean = done.found.tally, done.found.tally.balanced().value
    if tally.errors.tolist() != wrong or tally.support.tolist() != support:
        yield f"errors per class are {tally.errors}, expected {wrong}"
    shares = [Fraction(a, b) for a, b in zip(wrong, support, strict=True) if b]
    balanced = sum(shares, Fraction(0)) / len(shares) if shares else None
    if (mean is None) != (balanced is None) or abs(Fraction(mean or 0) - (balanced or 0)) > 1e-14:
        yield f"the balanced error is {mean!r}, expected {balanced}"


def _errors(problem: Problem, written: list[int]) -> tuple[list[int], list[int]]:
    """Wrong rows and rows of each class."""
    k = problem.logits.shape[1]
    wrong, support = [0] * k, [0] * k
    for label, prediction in zip(problem.labels.tolist(), written, strict=True):
        if label != NO_LABEL:
            support[label] += 1
            wrong[label] += label != prediction
    return wrong, support


def _same_plateau(found: tuple[float, float], expected: Cell) -> bool:
    return all(
        value == infinite if edge is None else abs(Fraction(value) - edge.at) <= edge.slack + abs(edge.at) * exact.ULP * 4 + exact.LEAST
        for value, edge, infinite in zip(found, expected, (-math.inf, math.inf), strict=True)
    )  # fmt: skip


def _at(edge: Edge | None, infinite: Fraction) -> Fraction:
    return infinite if edge is None else edge.at
