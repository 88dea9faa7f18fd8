"""The page of `lacal evaluate`, and what it shares with that of `lacal adjust`."""

import numpy as np

from lacal.calibration import Calibration
from lacal.classes.groups import Groups
from lacal.formats.shown import printable
from lacal.methods import METHODS
from lacal.metrics import ClassTally, Rate
from lacal.pipeline.evaluate import Evaluation
from lacal.pipeline.tune_tau import error_at
from lacal.report.charts.data import Pick
from lacal.report.evaluation import Evaluated, measure_table
from lacal.report.page.content import Page, Section
from lacal.report.page.error_section import error_section
from lacal.report.page.reliability_section import reliability_section
from lacal.report.page.sections import (
    classes_section,
    counts_fact,
    facts_of,
    flows_section,
    groups_fact,
    inference_facts,
    recall_section,
    target_fact,
)
from lacal.report.page.tau_sections import Curve, tau_sections
from lacal.report.temperature import temperature_line, temperature_table, temperature_verdict
from lacal.report.text import error_table, points
from lacal.tau.grid import parse_grid


def page_of_evaluation(one: Evaluated, command_line: str, warnings: tuple[str, ...]) -> Page:
    """Errors, scores and calibration of a labelled source, adjusted or as it is.

    Args:
        one: What was measured.
        command_line: What was typed.
        warnings: What should be known first.
    """
    return Page(
        f"lacal evaluate {printable(one.place, 200)}",
        answer(one),
        warnings,
        (*evaluation_sections(one), *_temperature(one)),
        facts_of(command_line, evaluation_facts(one)),
    )


def answer(one: Evaluated) -> str:
    """How large the balanced error is, what changed, and how sure both are, in one sentence."""
    tally, place = one.found.tally, printable(one.place, 200)
    now = tally.balanced()
    on = f"on {now.n:,} rows of {now.classes:,} classes of {place}"
    before, gain = one.found.unadjusted, one.found.gain
    if before is None or gain is None:
        spread = f"95 % interval {_between(now)}"
        return (
            f"The balanced error is {_percent(now)} {on}, {spread}{_by_group(tally, one.groups)}."
        )
    changed = f"from {_percent(before.balanced())} to {_percent(now)}"
    interval = f"95 % interval {points(gain.low)} to {points(gain.high)}"
    paired = one.found.paired
    if paired is not None and not (paired.mended.any() or paired.broken.any()):
        return f"{_what(one.found.calibration)} mends and breaks no row {on}: the balanced error stays {_percent(now)}."
    if gain.value <= 0:
        return f"{_what(one.found.calibration)} does not lower the balanced error {on}: it goes {changed}, {interval}."
    sure = "" if gain.low > 0 else ", though the interval includes 0"
    return (
        f"{_what(one.found.calibration)} lowers the balanced error {changed} {on}: a gain of {points(gain.value)} "
        f"points, {interval}{sure}."
    )


def _what(calibration: Calibration | None) -> str:
    if calibration is None:
        return "The adjustment"
    return sentence_start(calibration.described.replace("-", " ", 1))


def sentence_start(text: str) -> str:
    """The text with a capital first: the rest, such as the T of a temperature, stays as it is."""
    return text[:1].upper() + text[1:]


def _by_group(tally: ClassTally, groups: Groups | None) -> str:
    """The groups that are told best and worst."""
    if groups is None:
        return ""
    known = [(name, one) for name, one in tally.by_group(groups).items() if one.value is not None]
    if len(known) < 2:
        return ""
    known.sort(key=lambda pair: pair[1].value or 0.0)
    (best, low), (worst, high) = known[0], known[-1]
    return (
        f"; it is lowest in the group {printable(best)}, {_percent(low)}, and highest in {printable(worst)}, "
        f"{_percent(high)}"
    )


def _percent(one: Rate) -> str:
    return "n/a" if one.value is None else f"{100 * one.value:.1f} %"


def _between(one: Rate) -> str:
    """Of rows that are labelled: there are no errors to tell of others."""
    assert one.low is not None
    assert one.high is not None
    return f"{100 * one.low:.1f} to {100 * one.high:.1f}"


def evaluation_sections(one: Evaluated) -> list[Section]:
    """Everything that is known of labelled rows: errors, tau, recalls, moves, confidence, classes."""
    found, groups = one.found, one.groups
    after, before = found.tally, found.unadjusted
    counts = None if one.prior is None else one.prior.class_counts
    curve = curve_of(found, groups)
    # The slider's table begins with the same numbers.
    told = curve is not None and one.target is None
    table = () if told else (error_table(before, after, groups, target=one.target),)
    sections = [
        error_section(after, before, groups, *table, target=one.target),
        *(() if curve is None else tau_sections(curve, *_words(found))),
        recall_section(
            after, before, class_counts=counts, class_names=one.class_names, groups=groups
        ),
        flows_section(found.flows),
        reliability_section(found.measured, groups, found.before, one.target, one.taken),
        Section("Recall of the worst, F1 and scores", (measure_table(one),), "Scores"),
        classes_section(
            after,
            before,
            found.paired,
            class_counts=counts,
            class_names=one.class_names,
            groups=groups,
            live=curve is not None,
        ),
    ]
    return [section for section in sections if section is not None]


def curve_of(found: Evaluation, groups: Groups | None) -> Curve | None:
    """The curve over tau on these rows; None where rows carry weights, or the adjustment has no exact curve."""
    calibration, path = found.calibration, found.path
    if calibration is None or path is None or groups is None or found.weighted:
        return None
    method, statistics = METHODS[calibration.method], calibration.statistics
    family = method.family(statistics)
    if family is None or not family.plain_at_zero:  # nobody kept what the unadjusted model decides
        return None
    tuned, tau = calibration.tuned_on, calibration.tau
    grid = parse_grid(None, method) if tuned is None else np.array(tuned.grid)
    error = error_at(path, tau)
    return Curve(
        path,
        path.right_at(0.0),
        calibration.prior.class_counts,
        groups,
        min(float(grid[0]), tau),
        max(float(grid[-1]), tau),
        (Pick("applied", tau, error, chosen=True),),
        interval=None if tuned is None else (tuned.tau.low, tuned.tau.high),
        plateau=path.optimum(-np.inf, np.inf, method.reference),
        chosen_words="applied",
    )


def _words(found: Evaluation) -> tuple[str, ...]:
    calibration = found.calibration
    assert calibration is not None  # or there is no curve
    if found.tuned_share > 0:
        return (
            f"Tau = {calibration.tau:.4g} was tuned on rows that are among these, so its error here flatters it.",
        )
    chose = f"These rows did not choose tau = {calibration.tau:.4g}"
    if calibration.tuned_on is not None:
        one = calibration.tuned_on.tau
        chose += f", whose 95 % interval on the validation rows is {one.low:.4g} to {one.high:.4g}"
    return (f"{chose}; to choose another by what is seen here would be to tune on them.",)


def _temperature(one: Evaluated) -> list[Section]:
    fitted = one.temperature
    if fitted is None:
        return []
    line = temperature_line(fitted, one.target)
    table = temperature_table(fitted, one.target, one.place, None)
    verdict = sentence_start(temperature_verdict(fitted, one.place, None))
    return [Section("Temperature", (f"{line[0].upper()}{line[1:]}.", table, f"{verdict}."))]


def evaluation_facts(one: Evaluated) -> list[tuple[str, str]]:
    """What the numbers rest on."""
    found, calibration = one.found, one.found.calibration
    weighed = ", weighted" if found.weighted else ""
    digest = "" if found.digest is None else f", fingerprint {found.digest}"
    facts = [("rows", f"{one.place}: {found.rows:,} rows{weighed}{digest}")]
    if one.prior is not None:
        facts.append(counts_fact(one.prior.class_counts))
    if one.groups is not None:
        facts.append(groups_fact(one.groups))
    if one.target is not None:
        facts.append(target_fact(one.target))
    if calibration is not None:
        facts += calibration_facts(calibration)
    if found.measured.top is not None:
        facts.append(("temperature", f"{found.probabilities.temperature:.6g}"))
    return [*facts, *inference_facts(found.inference)]


def calibration_facts(calibration: Calibration) -> list[tuple[str, str]]:
    """What is applied, and which rows chose it."""
    bias = "" if calibration.bias_rule is None else f", bias: {calibration.bias_rule}"
    setting = "tau" if calibration.fitted_on is None else "T"
    made = f"{calibration.method}{bias}, {setting} = {calibration.tau!r} by {calibration.select}, lacal {calibration.lacal}"
    tuned = calibration.rows_seen
    if tuned is None:
        return [("calibration", made)]
    return [
        ("calibration", made),
        ("tuned on", f"{tuned.labelled:,} labelled rows, fingerprint {tuned.digest}"),
    ]
