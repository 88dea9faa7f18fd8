"""What each chart shows, as arrays and words; how it is drawn is in `lacal.report.charts.figures`.

Errors and recalls are in [0, 1] here and in percent on the charts. A class without rows is NaN and not drawn.
Names are as the user's files have them: drawing makes them safe.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacal.batch import PerClass

PerTau = NDArray[np.float64]
Counts = NDArray[np.int64]
SIDES = ("unadjusted", "adjusted")


@dataclass(frozen=True, slots=True)
class Pick:
    """A tau that a selection rule picks.

    Attributes:
        name: Of the rule, in the words of the tables.
        tau: What it picks.
        error: Balanced error there.
        chosen: Whether this is the one that was asked for.
    """

    name: str
    tau: float
    error: float
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class Band:
    """95 % interval of a curve, tau by tau.

    Attributes:
        taus: (t,) ascending.
        low: (t,) lower ends.
        high: (t,) upper ends.
    """

    taus: PerTau
    low: PerTau
    high: PerTau


@dataclass(frozen=True, slots=True)
class TauCurve:
    """Balanced error over tau.

    Attributes:
        taus: (m,) corners of the exact step curve, as `steps_of` gives them; the grid where it is known there only.
        errors: (m,) balanced error at the corners.
        grid: (t,) taus of the printed curve, drawn as dots; empty for none.
        grid_errors: (t,) balanced error there.
        picks: Of every rule; at most one is chosen.
        tau_interval: 95 % interval of the chosen tau; None where there is none.
        plateau: Ends of the optimum over all tau, either may be infinite, and its error; None where unknown.
        band: Interval of the curve; None where there is none.
        exact: Whether the curve is known between the dots too.
        symbol: Name of the axis.
        chosen_words: How the chosen tau is called beside its mark.
        unadjusted: Balanced error of the unadjusted model; None where it is not to be shown.
    """

    taus: PerTau
    errors: PerTau
    grid: PerTau
    grid_errors: PerTau
    picks: tuple[Pick, ...]
    tau_interval: tuple[float, float] | None = None
    plateau: tuple[float, float, float] | None = None
    band: Band | None = None
    exact: bool = True
    symbol: str = "tau"
    chosen_words: str = "picked"
    unadjusted: float | None = None


@dataclass(frozen=True, slots=True)
class GroupCurve:
    """One group's balanced error over tau.

    Attributes:
        name: Of the group.
        rule: Which classes it holds, in words: `> 100`.
        classes: How many of them have rows.
        n: Labelled rows.
        taus: (m,) corners of its step curve.
        errors: (m,) balanced error within the group.
        colour: Of its line.
    """

    name: str
    rule: str
    classes: int
    n: int
    taus: PerTau
    errors: PerTau
    colour: str


@dataclass(frozen=True, slots=True)
class GroupCurves:
    """Every group's balanced error over tau.

    Attributes:
        curves: One a group that has rows.
        tau: To be marked.
        symbol: Name of the axis.
    """

    curves: tuple[GroupCurve, ...]
    tau: float
    symbol: str = "tau"


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """One error with its interval, before and after where both are known.

    Attributes:
        name: What it is the error of.
        detail: What it rests on: `84 classes, 9,915 rows`.
        after: Value, low, high of what is reported; None where undefined.
        before: The same without the adjustment; None where there was none.
        colour: Of its mark; None for that of every row that is no group.
    """

    name: str
    detail: str
    after: tuple[float, float | None, float | None] | None
    before: tuple[float, float | None, float | None] | None = None
    colour: str | None = None


@dataclass(frozen=True, slots=True)
class Errors:
    """Errors, one below the other.

    Attributes:
        rows: In the order they are shown.
        sides: What before and after are called.
    """

    rows: tuple[ErrorRow, ...]
    sides: tuple[str, str] = SIDES


@dataclass(frozen=True, slots=True)
class CountBand:
    """The training counts of one group, where groups are made by counts.

    Attributes:
        name: Of the group.
        low: Smallest count in it.
        high: Largest count in it.
        colour: Of its name.
    """

    name: str
    low: float
    high: float
    colour: str


@dataclass(frozen=True, slots=True)
class ClassRecalls:
    """Recall of each class, before and after.

    Attributes:
        class_counts: (k,) training examples; None where unknown: classes then stand in order of recall.
        support: (k,) labelled rows.
        after: (k,) recall that is reported, NaN where absent.
        before: (k,) without the adjustment; None where there was none.
        names: Of the classes; None for their numbers.
        bands: Training counts of the groups, ascending; empty where groups are made otherwise.
        sides: What before and after are called.
    """

    class_counts: Counts | None
    support: Counts
    after: PerClass
    before: PerClass | None = None
    names: tuple[str, ...] | None = None
    bands: tuple[CountBand, ...] = ()
    sides: tuple[str, str] = SIDES


@dataclass(frozen=True, slots=True)
class Flows:
    """Where predictions moved.

    Attributes:
        groups: Names of g groups, many to few.
        moved: (g, g) rows predicted in group i before and in group j after, of those that changed class.
        mended: (g, g) those of them that were wrong before and are right after; None without labels.
        broken: (g, g) those that were right and are wrong; None without labels.
        rows: All rows.
    """

    groups: tuple[str, ...]
    moved: Counts
    mended: Counts | None
    broken: Counts | None
    rows: int


@dataclass(frozen=True, slots=True)
class ReliabilityPanel:
    """Confidence against accuracy in bins of confidence.

    Attributes:
        title: Whose rows: `all`, `few`.
        edges: (b + 1,) of the bins.
        confidence: (b,) mean confidence, NaN where a bin is empty.
        accuracy: (b,) share that is right, NaN where empty.
        low: (b,) lower end of the 95 % interval of accuracy.
        high: (b,) upper end.
        n: (b,) rows.
        colour: Of its marks.
        error: What stands below the title: `calibration error 3.1 %`.
    """

    title: str
    edges: NDArray[np.float64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    n: Counts
    colour: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class Reliability:
    """One panel for all rows and one for each group."""

    panels: tuple[ReliabilityPanel, ...]
