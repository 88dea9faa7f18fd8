"""What a person or a CI job should know before using a result: sentences for stderr and for JSON."""

from collections.abc import Sequence

import numpy as np

from lacal.metrics import ClassTally, Gain
from lacal.names import some_classes
from lacal.pipeline.tune_tau import Tuning


def of_tuning(found: Tuning) -> list[str]:
    """About the gain, the range, absent classes, and the grid."""
    warnings = []
    gain = found.bootstrap.gain
    low, high = found.search.grid[[0, -1]]
    if gain.value <= 0:
        warnings.append(
            "this method does not lower the balanced error here; keep the model as it is, or try another "
            "--method"
        )
    elif gain.low <= 0:
        warnings.append("the interval of the gain includes 0; more validation rows would tell")
    if found.at_edge:
        warnings.append(
            f"the best tau may lie outside the range {low:g}..{high:g} that was searched (the optimum over "
            f"all tau is near {_near(found):.3g}); widen it with --grid"
        )
    warnings += absent(found.unadjusted, found.calibration.class_names, "validation row")
    if not found.exact:
        warnings.append("with the bias kept the curve is known on the grid only")
    return warnings


def of_gain(gain: Gain | None) -> list[str]:
    """About an adjustment that makes matters worse."""
    if gain is None or gain.value > 0 or gain.value == gain.low == gain.high == 0:
        return []
    sure = "surely " if gain.high < 0 else ""
    return [f"this adjustment {sure}raises the balanced error of these rows"]


def absent(tally: ClassTally, names: Sequence[str] | None, row: str = "row") -> list[str]:
    """About classes that no row speaks for."""
    if not tally.absent.size:
        return []
    return [
        f"{tally.absent.size} of {tally.support.size} classes have no {row} and do not count: "
        f"{some_classes(tally.absent.tolist(), names)}"
    ]


def _near(found: Tuning) -> float:
    """The end of the optimal plateau that is nearest to the range."""
    ends = np.array([found.optimum.low, found.optimum.high])
    return float(ends[np.abs(np.nan_to_num(ends, posinf=1e9, neginf=-1e9) - found.tau).argmin()])
