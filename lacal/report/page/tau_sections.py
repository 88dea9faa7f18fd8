"""The sections about tau: the exact curve with what every rule picks, the slider, and the groups' curves."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lacal.classes.groups import Groups
from lacal.formats.shown import printable
from lacal.pipeline.tune_tau import tally_of
from lacal.report.charts import figures
from lacal.report.charts.data import GroupCurves, Pick, TauCurve
from lacal.report.charts.steps import group_curves, steps_of
from lacal.report.page.content import Chart, Section
from lacal.report.page.slider import Slider, slider_of
from lacal.report.page.ticks import thinned, ticks
from lacal.tau.path import Plateau, TauPath

Taus = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Curve:
    """What is known of tau on one set of rows.

    Attributes:
        path: When each labelled row is right.
        before: (n,) whether the unadjusted model is right on each of them.
        class_counts: (k,) training counts.
        groups: Of the classes.
        low: First tau that is shown.
        high: Last tau that is shown.
        picks: Of every rule; exactly one is chosen, and the page opens at it.
        grid: (t,) taus of the printed curve; empty for none.
        interval: 95 % interval of the chosen tau; None where there is none.
        plateau: The optimum over all tau; None where it is not to be shown.
        exact: Whether the curve is known at every tau, or on the grid alone.
        chosen_words: What the chosen tau is: "picked", "of the calibration".
        reference: A tau that theory names; None for none.
    """

    path: TauPath
    before: NDArray[np.bool_]
    class_counts: NDArray[np.int64]
    groups: Groups
    low: float
    high: float
    picks: tuple[Pick, ...]
    grid: Taus = field(default_factory=lambda: np.empty(0))
    interval: tuple[float, float] | None = None
    plateau: Plateau | None = None
    exact: bool = True
    chosen_words: str = "picked"
    reference: float | None = None

    @property
    def chosen(self) -> Pick:
        """The pick that counts."""
        return next(one for one in self.picks if one.chosen)


def tau_sections(curve: Curve, *words: str) -> tuple[Section, Section]:
    """The curve with its slider, and the curves of the groups.

    Args:
        curve: What is known.
        words: Sentences above the curve.
    """
    chosen = curve.chosen
    said = "; ".join(
        f"{one.name} tau {one.tau:.4g}, error {100 * one.error:.1f} %" for one in curve.picks
    )
    known = "at every tau" if curve.exact else "at the taus of the grid"
    shown_picks = f"the tau that is {curve.chosen_words}"
    if len(curve.picks) > 1:
        shown_picks = "the tau that each rule picks"
    shown = Section(
        "Balanced error over tau",
        (
            *words,
            Chart(
                "curve",
                f"Balanced error {known}, and {shown_picks}.",
                f"Balanced error over tau from {curve.low:g} to {curve.high:g}. {said}.",
                lambda: figures.curve(_curve_data(curve)),
            ),
            _slider(curve),
        ),
        "Tau",
    )
    at = curve.path.right_at(chosen.tau)
    groups = Section(
        "Error of each group",
        (
            Chart(
                "group_curves",
                "Balanced error within each group of classes. A larger tau helps rare classes at the cost of common ones.",
                f"Error of each group at tau {chosen.tau:.4g}: {_said_of_groups(curve, at)}.",
                lambda: figures.group_curves(
                    GroupCurves(
                        group_curves(curve.path, curve.groups, curve.low, curve.high), chosen.tau
                    )
                ),
            ),
        ),
        "Groups",
    )
    return shown, groups


def _said_of_groups(curve: Curve, right: NDArray[np.bool_]) -> str:
    support = curve.path.support
    hits = np.bincount(curve.path.labels[right], minlength=curve.path.classes)
    said = []
    for name, mask in curve.groups.masks.items():
        present = mask & (support > 0)
        if present.any():
            error = 1 - float((hits[present] / support[present]).mean())
            said.append(f"{printable(name)} {100 * error:.1f} %")
    return ", ".join(said)


def _curve_data(curve: Curve) -> TauCurve:
    errors = curve.path.balanced_error(curve.grid)
    taus, steps = curve.grid, errors
    if curve.exact:
        taus, steps = steps_of(curve.path, curve.low, curve.high)
    plateau = curve.plateau
    return TauCurve(
        taus,
        steps,
        curve.grid,
        errors,
        curve.picks,
        curve.interval,
        None if plateau is None else (plateau.low, plateau.high, plateau.balanced_error),
        exact=curve.exact,
        chosen_words=curve.chosen_words,
        unadjusted=tally_of(curve.path, curve.before).balanced().value,
    )


def _slider(curve: Curve) -> Slider:
    """Where tau 0 is not the unadjusted model (a bias is dropped, a class masked), it has no button."""
    marks: dict[str, float] = {}
    if np.array_equal(curve.before, curve.path.right_at(0.0)):
        marks["unadjusted"] = 0.0
    for one in curve.picks:
        marks[curve.chosen_words if one.chosen else one.name] = one.tau
    if curve.reference is not None:
        marks.setdefault("theory", curve.reference)
    taus = (
        ticks(curve.low, curve.high, tuple(marks.values()))
        if curve.exact
        else thinned(curve.grid, [one.tau for one in curve.picks])
    )
    return slider_of(
        curve.path,
        curve.before,
        curve.class_counts,
        curve.groups,
        taus,
        marks,
        curve.chosen_words,
    )
