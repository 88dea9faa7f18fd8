"""The page of `lacal compare` for two runs: whether the second is better, where, and how sure that is."""

from dataclasses import replace

from lacal.formats.shown import printable
from lacal.pipeline.compare_runs import ClassChange, RunComparison
from lacal.report.charts import comparison_data, figures
from lacal.report.document import Table
from lacal.report.page.class_table import ClassTable, classes_of
from lacal.report.page.content import Chart, Page, Section
from lacal.report.page.error_section import error_section
from lacal.report.page.sections import facts_of
from lacal.report.runs import runs_answer, runs_text

SIDES = ("first", "second")
CHANGES = 8  # classes that gained, and as many that lost


def page_of_runs(found: RunComparison, command_line: str, warnings: tuple[str, ...]) -> Page:
    """Two runs on the rows they share.

    Args:
        found: The comparison.
        command_line: What was typed.
        warnings: What should be known first.
    """
    answer = runs_answer(found).replace(" -> ", " → ")
    blocks = runs_text(found)
    table = next(block for block in blocks if isinstance(block, Table))
    rows = next(block for block in blocks if isinstance(block, str) and block.startswith("rows: "))
    sections = [
        error_section(
            found.after,
            found.before,
            found.groups,
            table,
            f"{rows[0].upper()}{rows[1:]}.",
            sides=SIDES,
        ),
        *_changes(found),
        Section("Every class", ("Recall in percent with its 95 % interval.", _classes(found))),
    ]
    return Page(
        f"lacal compare {' '.join(printable(one, 200) for one in found.joined.places)}",
        f"{answer[0].upper()}{answer[1:]}.",
        warnings,
        tuple(sections),
        facts_of(command_line, _facts(found)),
    )


def _changes(found: RunComparison) -> list[Section]:
    """The classes that gained and lost most; nothing where none did."""
    gained, lost = found.gained(CHANGES), found.lost(CHANGES)
    if not gained and not lost:
        return []
    shown = comparison_data.ClassChanges(
        tuple(_change(one, found) for one in gained),
        tuple(_change(one, found) for one in reversed(lost)),
        SIDES,
    )
    rises = sum(one.gain > 0 for one in found.changes)
    falls = sum(one.gain < 0 for one in found.changes)
    told = f"Recall rises in {rises:,} classes and falls in {falls:,}; the numbers stand in the table of all classes."
    caption = "Classes that gained and lost most, few rows drawn towards no change. Of many classes some move by chance."
    chart = Chart("class_changes", caption, told, lambda: figures.class_changes(shown))
    return [Section("Classes that changed", (chart,))]


def _change(one: ClassChange, found: RunComparison) -> comparison_data.ClassChange:
    names = found.joined.class_names
    name = str(one.index) if names is None else names[one.index]
    return comparison_data.ClassChange(name, one.support, 1 - one.before, 1 - one.after)


def _classes(found: RunComparison) -> ClassTable:
    """The table of all classes, its columns under the names of the sides."""
    table = classes_of(
        found.after,
        found.before,
        found.paired,
        class_names=found.joined.class_names,
        groups=found.groups,
    )
    titles = {"unadjusted": SIDES[0], "adjusted": SIDES[1]}
    columns = tuple(replace(one, title=titles.get(one.title, one.title)) for one in table.columns)
    return replace(table, columns=columns)


def _facts(found: RunComparison) -> list[tuple[str, str]]:
    joined = found.joined
    how = "joined by id" if joined.by_id else "in the order of the files, which have no ids"
    facts = [(side, place) for side, place in zip(SIDES, joined.places, strict=True)]
    facts.append(("rows", f"{joined.labels.size:,}, {how}"))
    if found.groups is not None:
        rules = [f"{name} {found.groups.rule[name]}" for name in found.groups.masks]
        facts.append(("groups", ", ".join(rules)))
    return [*facts, ("draws, seed", f"{found.draws:,}, {found.seed}")]
