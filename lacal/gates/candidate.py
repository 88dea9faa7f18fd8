"""`Candidate`: the run that gates judge."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lacal.measure import Measure

if TYPE_CHECKING:
    from lacal.classes.groups import Groups
    from lacal.classes.target import TargetPrior
    from lacal.probabilities import Probabilities
    from lacal.rows.decisions import Decisions


@dataclass(frozen=True, slots=True)
class Candidate:
    """What was measured of a run, as far as gates look at it.

    Attributes:
        measures: By name, those of single classes among them.
        support: (k,) labelled rows per class.
        class_names: Where known.
        groups: Classes looked at together, where training counts or a file say so.
        decisions: Row by row, for --significant; None where nobody asked for them.
        weighted: Whether rows were weighted.
        target: Class shares that `target_` measures are under.
        scheme: Bins of the calibration errors, in words.
        probabilities: What its probabilities are of the adjusted logits; None where none are known.
    """

    measures: Mapping[str, Measure]
    support: NDArray[np.int64]
    class_names: tuple[str, ...] | None = None
    groups: "Groups | None" = None
    decisions: "Decisions | None" = None
    weighted: bool = False
    target: "TargetPrior | None" = None
    scheme: str | None = None
    probabilities: "Probabilities | None" = None
