"""The page of `lacal adjust`: what the adjustment does to the rows, and what its confidences are worth."""

from typing import Any

import numpy as np

from lacal.formats.shown import printable
from lacal.report.adjusting import AdjustingReport
from lacal.report.charts import figures
from lacal.report.charts.data import Reliability
from lacal.report.charts.style import colour
from lacal.report.class_mix import ALIKE
from lacal.report.page.content import Chart, Page, Section
from lacal.report.page.of_evaluation import (
    answer,
    evaluation_facts,
    evaluation_sections,
    sentence_start,
)
from lacal.report.page.reliability_section import panel_of
from lacal.report.page.sections import facts_of, flows_section
from lacal.report.temperature import temperature_line, temperature_table, temperature_verdict


def page_of_adjusting(one: AdjustingReport, command_line: str, warnings: tuple[str, ...]) -> Page:
    """What was written; without labels, which predictions moved and nothing of errors.

    Args:
        one: What was written, and what was measured on the way.
        command_line: What was typed.
        warnings: What should be known first.
    """
    done, found = one.done, one.done.found
    facts = [("predictions", str(done.path)), *evaluation_facts(one.measured)]
    flows = [section for section in (flows_section(found.flows),) if section is not None]
    return Page(
        f"lacal adjust {printable(one.measured.place, 200)}",
        answer(one.measured) if done.labelled else _changed(one),
        warnings,
        (*(evaluation_sections(one.measured) if done.labelled else flows), *_temperature(one)),
        facts_of(command_line, facts),
    )


def _changed(one: AdjustingReport) -> str:
    done, rows = one.done, one.done.found.rows
    what = sentence_start(done.calibration.described.replace("-", " ", 1))
    return (
        f"{what} changes {done.changed:,} of {rows:,} predictions "
        f"({100 * done.changed / rows:.1f} %) of {printable(one.measured.place, 200)}; no row carries a label, so nothing is "
        "known of the errors."
    )


def _temperature(one: AdjustingReport) -> list[Section]:
    """The confidences before and after the temperature; nothing where none was fitted."""
    fitted, target = one.done.wanted.temperature, one.done.wanted.target
    if fitted is None:
        return []
    line = temperature_line(fitted, target)
    items: list[Any] = [f"{line[0].upper()}{line[1:]}."]
    cold, warm = one.done.cold, one.done.found.measured.top
    if cold is not None and warm is not None:
        # As the numbers in the table: every class alike where no target prior is given.
        shares = np.ones(warm.rows.shape[0]) if target is None else target.prior
        panels = tuple(
            panel_of(f"T = {value:.4g}", top, colour(role), shares)
            for value, top, role in ((1.0, cold.top, "before"), (fitted.value, warm, "after"))
        )
        told = "; ".join(f"{panel.title}: {panel.error}" for panel in panels)
        mix = f"{ALIKE}," if target is None else f"{target.in_words()},"
        items.append(
            Chart(
                "temperature",
                f"Accuracy against confidence before and after the temperature, {mix} with 95 % intervals.",
                f"Reliability diagrams, {mix} {told}.",
                lambda: figures.reliability(Reliability(panels)),
            )
        )
    items.append(temperature_table(fitted, target, one.measured.place, one.both))
    verdict = temperature_verdict(fitted, one.measured.place, one.both)
    items.append(f"{sentence_start(verdict)}.")
    return [Section("What the temperature does", tuple(items), "Temperature")]
