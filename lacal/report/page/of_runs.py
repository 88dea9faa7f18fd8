"""The page of `lacal compare` for two runs: whether the second is better, where, and how sure that is."""

from dataclasses import replace

from lacal.formats.shown import printable
from lacal.pipeline.compare_runs import ClassChange, RunComparison
from lacal.report.charts import comparison_data, figures
from lacal.report.page.class_table import ClassTable, classes_of
from lacal.report.page.content import Chart, Page, Section
from lacal.report.page.error_section import error_section
from lacal.report.page.sections import facts_of, groups_fact
from lacal.report.runs import error_table, rows_line, runs_answer
from lacal.report.sides import SIDES, sides_of

CHANGES = 8  # classes that gained, and as many that lost


def page_of_runs(found: RunComparison, command_line: str, warnings: tuple[str, ...]) -> Page:
    """Two runs on the rows they share.

    Args:
        found: The comparison.
        command_line: What was typed.
        warnings: What should be known first.
    """
    answer, rows = runs_answer(found).replace(" -> ", " → "), rows_line(found)
    sides = sides_of(found.joined.places)
    sections = [
        error_section(
            found.after,
            found.before,
            found.groups,
            error_table(found, sides),
            f"{rows[0].upper()}{rows[1:]}.",
            sides=sides,
        ),
        *_changes(found, sides),
        Section(
            "Every class", ("Recall in percent with its 95 % interval.", _classes(found, sides))
        ),
    ]
    return Page(
        f"lacal compare {' '.join(printable(one, 200) for one in found.joined.places)}",
        _sentence(answer, sides),
        warnings,
        tuple(sections),
        facts_of(command_line, _facts(found)),
    )


def _sentence(answer: str, sides: tuple[str, str]) -> str:
    """With a capital, unless it begins with the name of a file."""
    named = answer.startswith(sides)
    return f"{answer if named else answer[0].upper() + answer[1:]}."


def _changes(found: RunComparison, sides: tuple[str, str]) -> list[Section]:
    """The classes that gained and lost most; nothing where none did."""
    gained, lost = found.gained(CHANGES), found.lost(CHANGES)
    if not gained and not lost:
        return []
    shown = comparison_data.ClassChanges(
        tuple(_change(one, found) for one in gained),
        tuple(_change(one, found) for one in reversed(lost)),
        sides,
    )
    rises = sum(one.gain > 0 for one in found.changes)
    falls = sum(one.gain < 0 for one in found.changes)
    told = f"The error falls in {rises:,} classes and rises in {falls:,}; the table of all classes has their recall."
    caption = (
        "Errors of the classes that gained and lost most, in the order of (mended - broken) / (n + 2), so that few rows "
        "count less. Of many classes some move by chance."
    )
    chart = Chart("class_changes", caption, told, lambda: figures.class_changes(shown))
    return [Section("Classes that changed", (chart,))]


def _change(one: ClassChange, found: RunComparison) -> comparison_data.ClassChange:
    names = found.joined.class_names
    name = str(one.index) if names is None else names[one.index]
    return comparison_data.ClassChange(name, one.support, one.before, one.after)


def _classes(found: RunComparison, sides: tuple[str, str]) -> ClassTable:
    """The table of all classes, its columns under the names of the sides."""
    table = classes_of(
        found.after,
        found.before,
        found.paired,
        class_names=found.joined.class_names,
        groups=found.groups,
    )
    titles = {"unadjusted": sides[0], "adjusted": sides[1]}
    columns = tuple(replace(one, title=titles.get(one.title, one.title)) for one in table.columns)
    return replace(table, columns=columns)


def _facts(found: RunComparison) -> list[tuple[str, str]]:
    joined = found.joined
    how = "joined by id" if joined.by_id else "in the order of the files, which have no ids"
    facts = [(side, place) for side, place in zip(SIDES, joined.places, strict=True)]
    facts.append(("rows", f"{joined.labels.size:,}, {how}"))
    if found.groups is not None:
        facts.append(groups_fact(found.groups))
    return facts
