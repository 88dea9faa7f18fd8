"""The page of `lacal compare` for methods: which has the lowest balanced error, how sure that is, and who pays."""

from dataclasses import replace

from lacal.formats.shown import printable
from lacal.metrics import Gain
from lacal.pipeline.candidates import UNADJUSTED
from lacal.pipeline.compare import EVERY_CLASS, MethodComparison, MethodRow, SplitFacts
from lacal.report.charts import figures
from lacal.report.charts.comparison_data import GroupGain, Method, Methods
from lacal.report.charts.marks import percent
from lacal.report.charts.style import group_colours
from lacal.report.comparison import comparison_answer, comparison_text
from lacal.report.document import Table
from lacal.report.page.content import Chart, Page, Section
from lacal.report.page.reliability_section import reliability_section
from lacal.report.page.sections import (
    classes_section,
    counts_fact,
    facts_of,
    groups_fact,
    inference_facts,
    recall_section,
)

MOST_GROUPS = 8  # dots a method that can still be told apart


def page_of_comparison(
    found: MethodComparison, command_line: str, warnings: tuple[str, ...]
) -> Page:
    """Every method's gain and what it costs each group, then the best one class by class.

    Args:
        found: The comparison.
        command_line: What was typed.
        warnings: What should be known first.
    """
    places = f"{printable(found.val.place, 200)} {printable(found.test.place, 200)}"
    sections = [*_methods(found), *_best(found)]
    return Page(
        f"lacal compare {places}",
        _sentence(comparison_answer(found)),
        warnings,
        tuple(sections),
        facts_of(command_line, _facts(found)),
    )


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _methods(found: MethodComparison) -> list[Section]:
    """Gains over the unadjusted model, of all classes and of each group, with the tables of the terminal."""
    blocks = comparison_text(found)
    tables = [block for block in blocks if isinstance(block, Table)]
    behind, *rest = [block for block in blocks[1:] if isinstance(block, str)]
    shown = Methods(tuple(_method(row, found) for row in found.rows), UNADJUSTED)
    told = "; ".join(f"{row.name} {percent(row.error[0])}" for row in shown.rows)
    sections = [
        Section(
            "Every method",
            (
                _sentence(behind),
                Chart(
                    "methods",
                    "Fall of the balanced error against the unadjusted model on the same rows, with paired 95 % "
                    "intervals; grey where it may be chance.",
                    f"Balanced errors: {told}.",
                    lambda: figures.methods(shown),
                ),
                *tables[:1],
                *(f"{one}." for one in rest if one.startswith(("left out: ", *_noted(found)))),
            ),
        )
    ]
    if len(found.groups.masks) <= MOST_GROUPS and any(row.groups for row in shown.rows):
        chart = Chart(
            "method_groups",
            "Fall of each group's error, with paired 95 % intervals; left of 0 a group pays.",
            "The numbers stand in the table below.",
            lambda: figures.method_groups(shown),
        )
        sections.append(Section("Error of each group", (chart, *tables[1:])))
    return sections


def _noted(found: MethodComparison) -> tuple[str, ...]:
    return tuple(f"{row.name}: " for row in found.rows if row.note is not None)


def _method(row: MethodRow, found: MethodComparison) -> Method:
    error, gain = row.measured.tally.balanced(), row.gains.get(EVERY_CLASS)
    shades = dict(zip(found.groups.masks, group_colours(len(found.groups.masks)), strict=True))
    groups = tuple(
        GroupGain(name, _ends(row.gains[name]), shade)
        for name, shade in shades.items()
        if name in row.gains
    )
    return Method(
        row.name,
        row.detail,
        (error.value or 0.0, error.low, error.high),
        None if gain is None else _ends(gain),
        groups,
    )


def _ends(one: Gain) -> tuple[float, float, float]:
    return one.value, one.low, one.high


def _best(found: MethodComparison) -> list[Section]:
    """The method of the first row beside the unadjusted model, class by class; alone where that is the first."""
    best, counts, names = found.best, found.prior.class_counts, found.prior.class_names
    plain = None if best.name == UNADJUSTED else found.unadjusted
    before = None if plain is None else plain.measured
    tallies = best.measured.tally, None if before is None else before.tally
    what = "the unadjusted model" if plain is None else best.name
    recall = recall_section(*tallies, class_counts=counts, class_names=names, groups=found.groups)
    confidence = reliability_section(best.measured, found.groups, before)
    classes = classes_section(
        *tallies,
        None if plain is None else best.paired,
        class_counts=counts,
        class_names=names,
        groups=found.groups,
    )
    assert confidence is not None  # every method has the probabilities of every class
    return [replace(one, title=f"{one.title}: {what}") for one in (recall, confidence, classes)]


def _facts(found: MethodComparison) -> list[tuple[str, str]]:
    return [
        ("tuned on", _split(found.val)),
        ("scored on", _split(found.test)),
        counts_fact(found.prior.class_counts),
        groups_fact(found.groups),
        *inference_facts(found.test.inference),
        ("draws, seed", f"{found.draws:,}, {found.seed}"),
    ]


def _split(one: SplitFacts) -> str:
    return f"{one.place}: {one.rows:,} rows, {one.labelled:,} of them labelled, fingerprint {one.digest}"
