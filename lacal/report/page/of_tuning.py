"""The page of `lacal tune-tau`."""

from lacal.classes.groups import Groups
from lacal.formats.shown import printable
from lacal.methods import METHODS
from lacal.pipeline.evaluate import Evaluation
from lacal.pipeline.tune_tau import Tuning
from lacal.report.charts.data import Pick
from lacal.report.page.content import Page
from lacal.report.page.reliability_section import reliability_section
from lacal.report.page.sections import (
    classes_section,
    counts_fact,
    facts_of,
    flows_section,
    groups_fact,
    inference_facts,
    recall_section,
)
from lacal.report.page.tau_sections import Curve, tau_sections
from lacal.report.text import points
from lacal.report.warnings import of_tuning
from lacal.tau.selection import RULES


def page_of_tuning(
    found: Tuning, scored: Evaluation, place: str, groups: Groups, command_line: str
) -> Page:
    """The search for tau, and what the picked tau does to the validation rows.

    Args:
        found: What the search found.
        scored: The validation rows again, adjusted by the calibration that was found, with flows.
        place: The validation rows, as the user named them.
        groups: Of the classes.
        command_line: What was typed.
    """
    calibration = found.calibration
    counts, names = calibration.prior.class_counts, calibration.class_names
    sections = [
        *tau_sections(curve_of_tuning(found, groups), *_words(found)),
        recall_section(
            scored.tally,
            scored.unadjusted,
            class_counts=counts,
            class_names=names,
            groups=groups,
        ),
        flows_section(scored.flows),
        reliability_section(scored.measured, groups, scored.before),
        classes_section(
            scored.tally,
            scored.unadjusted,
            scored.paired,
            class_counts=counts,
            class_names=names,
            groups=groups,
            live=True,
        ),
    ]
    return Page(
        f"lacal tune-tau {printable(place, 200)}",
        answer(found, place),
        tuple(of_tuning(found)),
        tuple(one for one in sections if one is not None),
        facts_of(command_line, _facts(found, place, groups)),
    )


def answer(found: Tuning, place: str) -> str:
    """What changed, and how sure that is, in one sentence."""
    gain, rows = found.bootstrap.gain, int(found.unadjusted.support.sum())
    was, now = (one.balanced() for one in (found.unadjusted, found.adjusted))
    method = found.search.method.replace("-", " ").capitalize()
    changed = f"from {100 * (was.value or 0):.1f} % to {100 * (now.value or 0):.1f} %"
    on = f"on {rows:,} rows of {now.classes:,} classes of {printable(place, 200)}"
    interval = f"95 % interval {points(gain.low)} to {points(gain.high)}"
    if gain.value <= 0:
        return (
            f"{method} does not lower the balanced error {on}: at tau = {found.tau:.4g} it goes {changed}, "
            f"a gain of {points(gain.value + 0.0)} points, {interval}."
        )
    sure = "" if gain.low > 0 else ", though the interval includes 0"
    return (
        f"{method} at tau = {found.tau:.4g} lowers the balanced error {changed} {on}: a gain of "
        f"{points(gain.value)} points, {interval}{sure}."
    )


def _words(found: Tuning) -> tuple[str, ...]:
    tau, crossed = found.bootstrap.tau, found.cross_fit
    folds = crossed.taus.size
    return (
        f"Tau = {found.tau:.4g}, 95 % interval {tau.low:.4g} to {tau.high:.4g}, was picked on the same rows it is "
        f"scored on here. Cross-fitted, where each of {folds} parts is scored with the tau picked on the others, the gain "
        f"is {points(crossed.gain)} ± {100 * crossed.standard_error:.1f} points.",
    )


def curve_of_tuning(found: Tuning, groups: Groups) -> Curve:
    """What is known of tau on the validation rows."""
    names = {"min": "minimum", "grid": "grid minimum"}
    picks = tuple(
        Pick(
            names.get(name, name),
            found.picks[name],
            found.pick_errors[name],
            name == found.search.rule,
        )
        for name in (*RULES, "grid")
    )
    low, high = found.optimum.low, found.optimum.high
    grid, reference = found.search.grid, METHODS[found.search.method].reference
    return Curve(
        found.path,
        found.plain_right,
        found.calibration.prior.class_counts,
        groups,
        float(grid[0]),
        float(grid[-1]),
        picks,
        grid,
        (found.bootstrap.tau.low, found.bootstrap.tau.high),
        # Within the range it is what "minimum" picks.
        None if low <= found.picks["min"] <= high else found.optimum,
        found.exact,
        reference=reference if reference > 0 else None,
    )


def _facts(found: Tuning, place: str, groups: Groups) -> list[tuple[str, str]]:
    calibration, tuned = found.calibration, found.calibration.tuned_on
    bias = "" if calibration.bias_rule is None else f", bias: {calibration.bias_rule}"
    return [
        (
            "validation rows",
            f"{place}: {found.rows:,} rows"
            + ("" if tuned is None else f", fingerprint {tuned.digest}"),
        ),
        counts_fact(calibration.prior.class_counts),
        groups_fact(groups),
        *inference_facts(calibration.inference),
        ("method", f"{calibration.method}{bias}, tau = {found.tau!r} by {found.search.rule}"),
        ("draws, seed", f"{found.search.draws:,}, {found.search.seed}"),
    ]
