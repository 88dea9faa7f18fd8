"""What a calibration file keeps of a search: the rows it saw, the curve, the picks and how sure they are."""

import numpy as np
from numpy.typing import NDArray

from lacal.calibration_records import CrossFitRecord, EstimateRecord, PlateauRecord, TunedOn
from lacal.metrics import ClassTally
from lacal.rows.fingerprint import RowSketch
from lacal.tau.path import Plateau
from lacal.tau.resampling import Bootstrap, CrossFit, Estimate


def record_of(
    sketch: RowSketch,
    *,
    tallies: tuple[ClassTally, ClassTally],
    grid: NDArray[np.float64],
    curve: NDArray[np.float64],
    optimum: Plateau,
    picks: dict[str, float],
    intervals: Bootstrap,
    crossed: CrossFit,
    seed: int,
) -> TunedOn:
    """The record of a search.

    Args:
        sketch: Fingerprint of all rows.
        tallies: Errors of the plain argmax, and at the picked tau.
        grid: (t,) taus.
        curve: (t,) balanced error at them.
        optimum: Over all real tau.
        picks: What every rule picks.
        intervals: For tau and for the gain.
        crossed: The gain on rows that did not choose tau.
        seed: Of the draws and the folds.
    """
    before, after = tallies
    return TunedOn(
        rows=sketch.rows,
        labelled=int(before.support.sum()),
        classes_present=int(np.count_nonzero(before.support)),
        digest=f"{sketch.digest:016x}",
        sketch=[f"{int(one):016x}" for one in sketch.smallest],
        repeats=sketch.repeats,
        unadjusted_error=before.balanced().value or 0.0,
        balanced_error=after.balanced().value or 0.0,
        grid=grid.tolist(),
        curve=curve.tolist(),
        optimum=PlateauRecord(
            low=_finite(optimum.low),
            high=_finite(optimum.high),
            balanced_error=optimum.balanced_error,
        ),
        picks=picks,
        tau=_estimate(intervals.tau),
        gain=_estimate(intervals.gain),
        cross_fitted=CrossFitRecord(
            gain=crossed.gain, standard_error=crossed.standard_error, taus=crossed.taus.tolist()
        ),
        draws=intervals.draws,
        seed=seed,
    )


def _estimate(one: Estimate) -> EstimateRecord:
    return EstimateRecord(value=one.value, low=one.low, high=one.high)


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
