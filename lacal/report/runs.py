"""Results of comparing two runs row by row: for a person, for scripts, and as measures for gates."""

import math
from collections.abc import Sequence

from lacal.formats.shown import printable
from lacal.json_text import Json
from lacal.measure import Measure
from lacal.metrics import Gain, Rate
from lacal.pipeline.compare_runs import ClassChange, RunComparison
from lacal.report.document import Block, Table
from lacal.report.numbers import SCHEMA_VERSION, errors, gain_of
from lacal.report.sides import SIDES, sides_of, without_suffix
from lacal.report.text import points, table
from lacal.report.warnings import absent

CLASSES_SHOWN = 5
COLUMNS = 100  # of a terminal
IDS_SHOWN = 3
SIGNIFICANT = 0.05


def runs_json(found: RunComparison, warnings: Sequence[str] | None = None) -> Json:
    """What both decided on the rows that they share, at full precision; `runs_warnings` unless others are given."""
    joined, groups, names = found.joined, found.groups, found.joined.class_names
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "compare",
        "compared": "runs",
        "first": joined.places[0],
        "second": joined.places[1],
        "warnings": list(runs_warnings(found) if warnings is None else warnings),
        "joined_by": "id" if joined.by_id else "row",
        "rows": int(joined.labels.size),
        "rows_only_in_first": int(joined.only_first.size),
        "rows_only_in_second": int(joined.only_second.size),
        "unlabelled_rows": found.unlabelled,
        "classes": joined.classes,
        "class_names": None if names is None else list(names),
        "gain": gain_of(found.gain),
        "group_gains": None
        if groups is None
        else {name: gain_of(found.gains.get(name)) for name in groups.masks},
        "micro_gain": gain_of(found.micro_gain),
        "mcnemar": {
            "mended": found.mended,
            "broken": found.broken,
            "p_value": found.mcnemar,
            "test": "two-sided mid-p",
        },
        "changed_rows": found.changed,
        "changed_classes": [_change(one, names) for one in found.changes],
        "first_errors": errors(found.before, groups, names),
        "second_errors": errors(found.after, groups, names),
    }


def _change(one: ClassChange, names: tuple[str, ...] | None) -> Json:
    return {
        "class": one.index,
        "name": None if names is None else names[one.index],
        "n": one.support,
        "first_error": one.before,
        "second_error": one.after,
        "gain": one.gain,
        "mended": one.mended,
        "broken": one.broken,
    }


def runs_text(found: RunComparison) -> list[Block]:
    """The answer first, then balanced, group and micro errors, McNemar's test, and the classes that changed most.

    The tables call the two by their short names where that fits a terminal.
    """
    joined, sides = found.joined, _fitting(found)
    first, second = (printable(place, 200) for place in joined.places)
    how = "joined by id" if joined.by_id else "in the order of the files, which have no ids"
    return [
        runs_answer(found),
        f"first: {first}",
        f"second: {second}; {joined.labels.size:,} rows, {how}",
        error_table(found, sides),
        rows_line(found),
        *_class_tables(found, sides),
    ]


def _fitting(found: RunComparison) -> tuple[str, str]:
    """The longest names of the two with which every table fits a terminal."""
    names = sides_of(found.joined.places)
    for sides in (names, without_suffix(names)):
        if max(map(_width, (error_table(found, sides), *_class_tables(found, sides)))) <= COLUMNS:
            return sides
    return SIDES


def _width(one: Table) -> int:
    """Columns of the terminal that a table takes."""
    widths = [max(map(len, cells)) for cells in zip(one.columns, *one.rows, strict=True)]
    return sum(widths) + 3 * (len(widths) - 1) + 2


def runs_answer(found: RunComparison) -> str:
    """One sentence: which of the two has the lower balanced error, and how sure that is."""
    gain, was, now = found.gain, found.before.balanced().value, found.after.balanced().value
    if not found.mended and not found.broken:
        return (
            f"both have the same balanced error, {_percent(was)} %: they have the same rows right"
        )
    sides = sides_of(found.joined.places)
    first, second = sides if sides != SIDES else ("the first", "the second")
    verdict = f"the difference between {first} and {second} may be chance"
    if gain.low > 0:
        verdict = f"{second} is better than {first}"
    elif gain.high < 0:
        verdict = f"{first} is better than {second}"
    return (
        f"{verdict}: balanced error {_percent(was)} % -> {_percent(now)} %, gain {points(gain.value)} points, "
        f"95 % interval {points(gain.low)} to {points(gain.high)}"
    )


def error_table(found: RunComparison, sides: tuple[str, str]) -> Table:
    """Balanced, group and micro errors of both, and the gain with its interval.

    Args:
        found: The comparison.
        sides: What the two are called.
    """
    rows = [
        _error_row("balanced error", found.before.balanced(), found.after.balanced(), found.gain)
    ]
    if found.groups is not None:
        before, after = (one.by_group(found.groups) for one in (found.before, found.after))
        rows += [
            _error_row(f"  {printable(found.groups.title(name))}", before[name], after[name],
                       found.gains.get(name))
            for name in before
        ]  # fmt: skip
    rows.append(
        _error_row("micro error", found.before.micro(), found.after.micro(), found.micro_gain)
    )
    return table(["%", *sides, "gain", "95 % interval", "classes", "n"], rows)


def _error_row(name: str, before: Rate, after: Rate, gain: Gain | None) -> list[str]:
    sure = ["n/a", "n/a"]
    if gain is not None:
        sure = [points(gain.value), f"{points(gain.low)} to {points(gain.high)}"]
    values = [_percent(before.value), _percent(after.value)]
    return [name, *values, *sure, str(after.classes), f"{after.n:,}"]


def rows_line(found: RunComparison) -> str:
    """McNemar's test in words: it is of rows, so common classes decide it."""
    evenly = (
        "more unevenly than a toss-up would"
        if found.mcnemar < SIGNIFICANT
        else "as a toss-up might"
    )
    return (
        f"rows: {found.mended:,} mended, {found.broken:,} broken, {evenly} (McNemar's test, two-sided mid-p, "
        f"p {p_value(found.mcnemar)}); {found.changed:,} predicted otherwise"
    )


def _class_tables(found: RunComparison, sides: tuple[str, str]) -> list[Table]:
    """The classes that gained most and lost most; many single rows may have changed by chance."""
    first, second = (f"{side} %" for side in sides)
    tables: list[Table] = []
    for title, changes in (
        ("classes that gained most", found.gained(CLASSES_SHOWN)),
        ("classes that lost most", found.lost(CLASSES_SHOWN)),
    ):
        if changes:
            rows = [_class_row(one, found.joined.class_names) for one in changes]
            tables.append(table([title, first, second, "gain", "mended", "broken", "n"], rows))
    return tables


def _class_row(one: ClassChange, names: tuple[str, ...] | None) -> list[str]:
    name = str(one.index) if names is None else printable(names[one.index], 40)
    values = [_percent(one.before), _percent(one.after), points(one.gain)]
    return [name, *values, f"{one.mended:,}", f"{one.broken:,}", f"{one.support:,}"]


def runs_warnings(found: RunComparison) -> list[str]:
    """About rows that were left out or taken on trust, and classes that no row speaks for."""
    joined, warnings = found.joined, []
    for place, ids in zip(joined.places, (joined.only_first, joined.only_second), strict=True):
        if ids.size:
            some = ", ".join(printable(str(one), 40) for one in ids[:IDS_SHOWN].tolist())
            more = ", ..." if ids.size > IDS_SHOWN else ""
            shown, one = printable(place, 200), ids.size == 1
            are, do = ("row is", "does") if one else ("rows are", "do")
            warnings.append(
                f"{ids.size:,} {are} in {shown} alone and {do} not count: {'id' if one else 'ids'} {some}{more}"
            )
    if not joined.by_id:
        warnings.append(
            "there are no ids, so rows were paired by their order; their labels agree, which two orders of the same rows "
            "could do by chance"
        )
    if found.unlabelled:
        have = "row has no label and does" if found.unlabelled == 1 else "rows have no label and do"
        warnings.append(f"{found.unlabelled:,} shared {have} not count")
    return warnings + absent(found.before, joined.class_names)


def run_measures(found: RunComparison) -> dict[str, Measure]:
    """The numbers that gates may name: the second run's errors, the first's under `first.`, and the gains."""
    every: list[Measure] = []
    for prefix, tally in (("", found.after), ("first.", found.before)):
        rates = {"balanced_error": tally.balanced(), "micro_error": tally.micro()}
        if found.groups is not None:
            rates |= {f"{name}.error": one for name, one in tally.by_group(found.groups).items()}
        every += [_of_rate(prefix + name, one) for name, one in rates.items()]
    support = found.paired.support
    gains: dict[str, tuple[Gain | None, int]] = {
        "gain": (found.gain, int(support.sum())),
        "micro_gain": (found.micro_gain, int(support.sum())),
    }
    if found.groups is not None:
        for name, mask in found.groups.masks.items():
            gains[f"{name}.gain"] = found.gains.get(name), int(support[mask].sum())
    every += [_of_gain(name, *one) for name, one in gains.items()]
    every.append(
        Measure(
            "mcnemar.p", found.mcnemar, None, None, None, found.mended + found.broken, "higher", ""
        )
    )
    return {one.name: one for one in every}


def _of_rate(name: str, one: Rate) -> Measure:
    undefined = "no labelled row" if one.value is None else None
    return Measure(
        name, one.value, one.low, one.high, one.standard_error, one.n, undefined=undefined
    )


def _of_gain(name: str, one: Gain | None, n: int) -> Measure:
    if one is None:
        return Measure(name, None, None, None, None, n, "higher", undefined="no labelled row")
    return Measure(name, one.value, one.low, one.high, one.standard_error, n, "higher")


def p_value(value: float) -> str:
    """Two digits with their sign, or a bound where more would be noise.

    Example:
        >>> p_value(0.0372), p_value(1e-9)
        ('= 0.037', '< 0.0001')
    """
    if value < 1e-4:
        return "< 0.0001"
    return f"= {value:.{max(2, 1 - math.floor(math.log10(value)))}f}"


def _percent(value: float | None) -> str:
    return "n/a" if value is None else f"{100 * value:.1f}"
