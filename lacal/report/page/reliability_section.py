"""The section about confidence: accuracy against it, and calibration errors, each with the class mix it is of."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacal.batch import PerClass
from lacal.classes.groups import Groups
from lacal.classes.target import TargetPrior
from lacal.formats.shown import printable
from lacal.metrics import CalibrationError, TopLabelBins
from lacal.metrics.measurement import Measurement
from lacal.report.charts import figures
from lacal.report.charts.data import Reliability, ReliabilityPanel
from lacal.report.charts.style import colour, group_colours
from lacal.report.class_mix import ALIKE, OF_GROUPS, ROWS, mixes
from lacal.report.document import Table
from lacal.report.page.content import Chart, Section
from lacal.report.temperature import shares_of

MOST_PANELS = 8  # groups with a diagram of their own


@dataclass(frozen=True, slots=True)
class _Mix:
    """Rows, and the class mix in which they count.

    Attributes:
        name: What is said of it.
        mask: (k,) classes of the labels; None for all.
        weights: (k,) share of each class; None for that among the rows.
        colour: Of its marks.
        inner: Whether it is a part of what stands above it.
    """

    name: str
    mask: NDArray[np.bool_] | None
    weights: PerClass | None
    colour: str
    inner: bool = False

    def error(self, top: TopLabelBins) -> CalibrationError:
        """Its calibration error."""
        return top.error(self.mask, class_weights=self.weights)

    def panel(self, top: TopLabelBins) -> ReliabilityPanel:
        """Its diagram."""
        return panel_of(self.name, top, self.colour, self.weights, self.mask)


def panel_of(
    title: str,
    top: TopLabelBins,
    shade: str,
    weights: PerClass | None,
    mask: NDArray[np.bool_] | None = None,
) -> ReliabilityPanel:
    """A diagram with its calibration error, in a class mix.

    Args:
        title: What stands above it.
        top: What was counted.
        shade: Of its marks.
        weights: (k,) share of each class; None for that among the rows.
        mask: (k,) classes of the labels; None for all.
    """
    diagram, error = (
        top.diagram(mask, class_weights=weights),
        top.error(mask, class_weights=weights),
    )
    return ReliabilityPanel(
        title, diagram.edges, diagram.confidence, diagram.accuracy, diagram.low, diagram.high, diagram.n,
        shade, f"calibration error {_percent(error.value, ' %')}",
    )  # fmt: skip


def reliability_section(
    measured: Measurement,
    groups: Groups | None,
    before: Measurement | None = None,
    target: TargetPrior | None = None,
    taken: TargetPrior | None = None,
) -> Section | None:
    """Confidence against accuracy, for all rows in every class mix and each group; None without probabilities.

    Args:
        measured: What is reported.
        groups: Of the classes; None for none.
        before: What it is held against; None for nothing.
        target: Class shares of deployment; None for none.
        taken: The class shares that the probabilities are for; None where nobody knows. Adjusted logits are for
            equal ones unless others are said.
    """
    top = measured.top
    if top is None or not top.rows.any():
        return None
    was = None if before is None else before.top
    if before is not None and taken is None:
        taken = target or TargetPrior.uniform(top.rows.shape[0])
    every = _mixes(top.rows.shape[0], groups, target, taken)
    panels = tuple(one.panel(top) for one in every if one.error(top).n)
    rows = [
        ("  " * one.inner + one.name, *_cells(one, was), *_cells(one, top), f"{one.error(top).n:,}")
        for one in every
    ]
    columns: tuple[str, ...] = ("plain", "debiased")
    if was is not None:
        columns = ("unadjusted", "debiased", "adjusted", "debiased")
    said = "; ".join(f"{panel.title}: {panel.error}" for panel in panels)
    chart = Chart(
        "reliability",
        "Accuracy of the rows in each bin of confidence, with 95 % intervals. On the dashed line confidence is right; "
        "below it, it promises too much.",
        f"Reliability diagrams: {said}.",
        lambda: figures.reliability(Reliability(panels)),
    )
    table = Table(
        ("calibration error, %", *columns, "n"),
        tuple(rows),
        f"Of the predicted class, in {top.error().scheme}: plain with its 95 % interval, and the root mean square with "
        "the noise taken out",
    )
    of_groups = (
        [f"{OF_GROUPS[0].upper()}{OF_GROUPS[1:]}."]
        if len(every) > len(mixes(target, taken))
        else []
    )
    return Section(
        "Calibration of the confidence",
        (_words(every[0].name, before, taken), chart, table, *of_groups),
        "Confidence",
    )


def _words(first: str, before: Measurement | None, taken: TargetPrior | None) -> str:
    """For which class mix the confidences are, and what the others say."""
    others = f"“{ROWS}” is the class mix of these rows, “{ALIKE}” gives every class the same weight"
    if taken is None:
        return f"A calibration error holds in one class mix: {others}."
    made = "Probabilities" if before is None else "Adjusted logits taken for probabilities"
    return f"{made} are {shares_of(taken)}; what judges them is the error “{first}”. {others[0]}{others[1].upper()}{others[2:]}."


def _mixes(
    classes: int, groups: Groups | None, target: TargetPrior | None, taken: TargetPrior | None
) -> list[_Mix]:
    """Those of all rows, as the terminal has them, then the groups."""
    weights = {
        "calibration.top_label": None,
        "balanced_calibration": np.ones(classes),
        "target_calibration": None if target is None else target.prior,
    }
    ink = colour("ink")
    every = [_Mix(words, None, weights[name], ink) for words, name in mixes(target, taken)]
    if groups is not None and len(groups.masks) <= MOST_PANELS:
        shades = group_colours(len(groups.masks))
        every += [
            _Mix(f"rows labelled {printable(name)}", mask, None, shade, inner=True)
            for (name, mask), shade in zip(groups.masks.items(), shades, strict=True)
        ]
    return every


def _cells(mix: _Mix, top: TopLabelBins | None) -> list[str]:
    """Plain with its interval, and debiased."""
    if top is None:
        return []
    one = mix.error(top)
    spread = ""
    if one.low is not None and one.high is not None:
        spread = f" ({_percent(one.low)} to {_percent(one.high)})"
    return [_percent(one.value) + spread, _percent(one.rms_debiased)]


def _percent(value: float | None, unit: str = "") -> str:
    return "n/a" if value is None else f"{100 * value:.1f}{unit}"
