"""What the functions of the search for tau promise."""

import numpy as np

from lacal.tau.grid import lowest_on
from lacal.tau.intervals import intervals
from lacal.tau.on_device import rows_seen
from lacal.tau.resampling import class_mean_standard_error, cross_fit
from lacal.tau.screen import Screen, inwards
from lacal.tau.selection import (
    Picker,
    paired_standard_error,
    standard_error_of_differences,
)
from lacal.tau.strata import Strata
from tests.contracts.given import (
    EACH,
    FAMILY,
    LATTICE,
    SUMMED,
    WHOLE,
    Contract,
    accumulated,
    arrays,
    bootstrapped,
    freedom,
    path_of,
    right_at_nodes,
    sample_of,
    screened,
    spans,
    tensor,
)

# Module below lacal and name -> what it promises.
CONTRACTS: dict[str, Contract] = {
    "tau.grid.lowest_on": Contract(WHOLE, lambda taus, errors: lowest_on(taus, errors)),
    "tau.intervals.intervals": Contract(
        EACH, lambda logits, labels: intervals(logits, labels, FAMILY)
    ),
    "tau.on_device.rows_seen": Contract(
        EACH, lambda single, labels: rows_seen(tensor(single), labels, FAMILY)
    ),
    "tau.path.TauPath.balanced_error": Contract(
        EACH,
        lambda taus: path_of(
            *(arrays(7)[name] for name in ("labels", "low", "high"))
        ).balanced_error(taus),
    ),
    "tau.path.TauPathAccumulator.add": Contract(
        SUMMED, lambda labels, low, high: path_of(labels, low, high).balanced_error(LATTICE.taus)
    ),
    "tau.path.TauPathAccumulator.update": Contract(SUMMED, accumulated),
    "tau.resampling.Sample.on": Contract(
        SUMMED,
        lambda labels, low, high, correct: (
            (sample := sample_of(labels, low, high, correct)).covariance,
            sample.curve(),
            sample.unadjusted_error(),
        ),
    ),
    "tau.resampling.bootstrap": Contract(WHOLE, bootstrapped),
    "tau.resampling.cross_fit": Contract(
        WHOLE,
        lambda labels, low, high, correct: cross_fit(
            sample_of(labels, low, high, correct), "shrunk", seed=0
        ),
    ),
    "tau.resampling.class_mean_standard_error": Contract(
        SUMMED,
        lambda values, labels, low, high: class_mean_standard_error(
            values, path_of(labels, low, high)
        ),
    ),
    "tau.screen.Screen.of": Contract(WHOLE, lambda log_prior: Screen.of(log_prior)),
    "tau.screen.Screen.intervals": Contract(EACH, screened),
    "tau.screen.inwards": Contract(EACH, lambda values, correct: inwards(values, np.inf, correct)),
    "tau.selection.Spans.total": Contract(
        WHOLE, lambda: spans().total(np.arange(float(spans().owner.size)))
    ),
    "tau.selection.Spans.of_rows": Contract(WHOLE, lambda correct: spans().of_rows(correct)),
    "tau.selection.Spans.take": Contract(WHOLE, lambda some: spans().take(some)),
    "tau.selection.Lattice.smoothed": Contract(EACH, lambda curves: LATTICE.smoothed(curves)),
    "tau.selection.Lattice.spans": Contract(
        SUMMED, lambda labels, low, high: right_at_nodes(path_of(labels, low, high))
    ),
    "tau.selection.Picker.of": Contract(
        WHOLE, lambda curves: Picker.of(LATTICE, "shrunk", np.cov(curves.T)).pick(curves)
    ),
    "tau.selection.Picker.pick": Contract(
        EACH,
        lambda curves: Picker.of(LATTICE, "shrunk", np.eye(LATTICE.taus.size) / 1e4).pick(curves),
    ),
    "tau.selection.paired_standard_error": Contract(
        SUMMED,
        lambda labels, low, high: paired_standard_error(
            path_of(labels, low, high), LATTICE.spans(path_of(labels, low, high))
        ),
    ),
    "tau.selection.standard_error_of_differences": Contract(
        WHOLE, lambda square: standard_error_of_differences(square)
    ),
    "tau.strata.Strata.of": Contract(
        SUMMED, lambda labels, low, high: Strata.of(path_of(labels, low, high)).size
    ),
    "tau.strata.Strata.variances": Contract(
        SUMMED,
        lambda labels, low, high, values: Strata.of(path_of(labels, low, high)).variances(values),
    ),
    "tau.strata.Strata.freedom": Contract(
        SUMMED, lambda labels, low, high: freedom(Strata.of(path_of(labels, low, high)))
    ),
}
