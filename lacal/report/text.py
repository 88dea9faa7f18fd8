"""Results of the verbs for a person: a sentence that answers, then small tables.

Errors are shown in percent with one standard error; a gain is in points. Text from files is escaped.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.formats.shown import printable
from lacal.metrics import ClassTally, Gain, Rate
from lacal.pipeline.adjust import Adjusted
from lacal.pipeline.evaluate import Evaluation
from lacal.pipeline.inspect import Inspection
from lacal.pipeline.tune_tau import Tuning
from lacal.prior import Groups, LabelPrior
from lacal.report.warnings import absent
from lacal.source import Source, training_of
from lacal.tau.selection import RULES

BARS = "▁▂▃▄▅▆▇█"
WORST_CLASSES = 5
Block = Any  # a line of text or a rich table


def percent(one: Rate) -> str:
    """`18.7 ± 1.2`, or n/a."""
    if one.value is None:
        return "n/a"
    spread = "" if one.standard_error is None else f" ± {100 * one.standard_error:.1f}"
    return f"{100 * one.value:.1f}{spread}"


def points(value: float) -> str:
    """A difference of errors in percentage points, signed."""
    return f"{100 * value:+.1f}"


def sparkline(values: Sequence[float]) -> str:
    """The curve as one line of bars, lowest to highest."""
    low, high = min(values), max(values)
    if high == low:
        return BARS[0] * len(values)
    return "".join(BARS[round((value - low) / (high - low) * (len(BARS) - 1))] for value in values)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None) -> Block:
    """A small table, first column left, others right."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    heading = None if title is None else Text(title)  # a path may hold what reads as markup
    drawn = Table(title=heading, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for at, name in enumerate(columns):
        drawn.add_column(name, justify="left" if at == 0 else "right", no_wrap=at > 0)
    for row in rows:
        drawn.add_row(*(Text(cell) for cell in row))
    return drawn


def error_table(
    before: ClassTally | None, after: ClassTally, groups: Groups | None, title: str | None = None
) -> Block:
    """Balanced, micro and group errors, unadjusted beside adjusted."""
    named: list[tuple[str, NDArray[np.bool_] | None]] = [("balanced error", None)]
    if groups is not None:
        named += [
            (f"  {name} ({groups.rule[name]} training)", mask)
            for name, mask in groups.masks.items()
        ]
    rows = []
    for name, mask in named:
        one = after.balanced(mask)
        rows.append([name, *_before(before.balanced(mask) if before else None), *_after(one)])
    rows.append(
        ["micro error", *_before(before.micro() if before else None), *_after(after.micro())]
    )
    headings = ["%", "error"] if before is None else ["%", "unadjusted", "adjusted"]
    return table([*headings, "classes", "n"], rows, title)


def _before(one: Rate | None) -> list[str]:
    return [] if one is None else [percent(one)]


def _after(one: Rate) -> list[str]:
    return [percent(one), str(one.classes), f"{one.n:,}"]


def tuning(found: Tuning, source: Source, groups: Groups) -> list[Block]:
    """The answer of `tune-tau`, the groups, the picks and the curve."""
    gain, crossed = found.bootstrap.gain, found.cross_fit
    was, now = found.unadjusted.balanced(), found.adjusted.balanced()
    lines: list[Block] = [
        f"{_method(found)} at tau = {found.tau:g}: balanced error {100 * (was.value or 0):.1f} % -> "
        f"{100 * (now.value or 0):.1f} % on {printable(source.place)}",
        f"gain {points(gain.value)} points, 95 % interval {points(gain.low)} to {points(gain.high)}; "
        f"cross-fitted {points(crossed.gain)} ± {100 * crossed.standard_error:.1f}; "
        f"tau 95 % {found.bootstrap.tau.low:g} to {found.bootstrap.tau.high:g}",
        error_table(found.unadjusted, found.adjusted, groups),
        table(["tau by", "tau", "balanced error %"], _pick_rows(found)),
        _curve_line(found),
    ]
    return lines


def _method(found: Tuning) -> str:
    bias = found.calibration.bias_rule
    return found.search.method + (f" (bias: {bias})" if bias else "")


def _pick_rows(found: Tuning) -> list[list[str]]:
    optimum = found.optimum
    names = {
        "shrunk": "shrunk",
        "smoothed": "smoothed",
        "min": "min (exact, in range)",
        "grid": "grid minimum",
    }
    rows = []
    for name in (*RULES, "grid"):
        mark = " <- picked" if name == found.search.rule else ""
        error = f"{100 * found.pick_errors[name]:.2f}"
        rows.append([names[name] + mark, f"{found.picks[name]:.4g}", error])
    plateau = f"{_end(optimum.low)} .. {_end(optimum.high)}"
    rows.append(["optimum over all tau", plateau, f"{100 * optimum.balanced_error:.2f}"])
    return rows


def _curve_line(found: Tuning) -> str:
    grid, curve = found.search.grid, found.curve
    at = np.unique(np.linspace(0, grid.size - 1, min(grid.size, 41)).round().astype(int))
    return (
        f"curve  {sparkline(curve[at].tolist())}  tau {grid[0]:g} .. {grid[-1]:g}, "
        f"{100 * curve.min():.1f} .. {100 * curve.max():.1f} %"
    )


def gain_line(before: ClassTally, after: ClassTally, gain: Gain) -> str:
    """The answer in one sentence: from, to, and how sure."""
    was, now = before.balanced().value or 0.0, after.balanced().value or 0.0
    return (
        f"balanced error {100 * was:.1f} % -> {100 * now:.1f} %: gain {points(gain.value)} points, "
        f"95 % interval {points(gain.low)} to {points(gain.high)}"
    )


def adjusted(done: Adjusted, source: Source, groups: Groups) -> list[Block]:
    """What `adjust` wrote, and the errors where rows carry labels."""
    scored = done.scored
    lines: list[Block] = []
    if scored.tuned_share > 0:
        lines.append(_tuned_rows(scored.tuned_share))
    share = scored.changed / scored.rows
    lines.append(
        f"wrote {printable(str(done.path))}: {scored.rows:,} rows, {scored.changed:,} predictions changed "
        f"({share:.1%}) by {done.calibration.method} at tau = {done.calibration.tau:g}"
    )
    gain = scored.paired.gain()
    if gain is not None:
        lines.append(gain_line(scored.unadjusted, scored.adjusted, gain))
        lines.append(error_table(scored.unadjusted, scored.adjusted, groups))
        lines += absent(scored.adjusted, done.calibration.class_names)
    return lines


def evaluation(found: Evaluation, place: str, prior: LabelPrior | None) -> list[Block]:
    """Errors with their standard errors, and the worst classes."""
    balanced = found.tally.balanced()
    lines: list[Block] = []
    if found.tuned_share > 0:
        lines.append(_tuned_rows(found.tuned_share))
    lines.append(
        f"balanced error {percent(balanced)} % on {balanced.n:,} rows of {balanced.classes} classes of "
        f"{printable(place)}"
    )
    if found.unadjusted is not None and found.gain is not None:
        lines.append(gain_line(found.unadjusted, found.tally, found.gain))
    groups = None if prior is None else prior.groups()
    lines.append(error_table(found.unadjusted, found.tally, groups))
    lines += absent(found.tally, None if prior is None else prior.class_names)
    lines.append(_worst(found.tally, prior))
    return lines


def _worst(tally: ClassTally, prior: LabelPrior | None) -> Block:
    class_errors = tally.class_errors()
    order = np.lexsort((np.arange(class_errors.size), -np.nan_to_num(class_errors, nan=-1.0)))
    rows = []
    for j in order[:WORST_CLASSES]:
        if tally.support[j]:
            name = str(j) if prior is None else printable(prior.name(int(j)), 40)
            row = [name, percent(tally.of_class(int(j))), f"{tally.support[j]:,}"]
            rows.append(row if prior is None else [*row, f"{prior.class_counts[j]:,}"])
    columns = ["worst classes", "error %", "n"]
    return table(columns if prior is None else [*columns, "training"], rows)


def inspection(seen: Inspection, source: Source, prior: LabelPrior | None) -> list[Block]:
    """What a source holds, then what looks wrong."""
    labelled = int(seen.tally.support.sum())
    present = seen.tally.support[seen.tally.support > 0]
    rows = [
        ["rows x classes", f"{seen.rows:,} x {source.classes:,}"],
        ["stored as", source.stored],
        ["logits", f"{seen.low:.4g} .. {seen.high:.4g}"],
        ["class names", "yes" if (source.class_names or (prior and prior.class_names)) else "no"],
        ["labelled rows", f"{labelled:,}"],
    ]
    if present.size:
        rows.append(["rows per class", f"{present.min():,} .. {present.max():,}"])
        rows.append(["classes with rows", f"{present.size:,} of {source.classes:,}"])
        rows.append(["balanced error %", percent(seen.tally.balanced())])
    if prior is not None:
        groups = prior.groups()
        shape = ", ".join(
            f"{int(mask.sum())} {name} ({groups.rule[name]})" for name, mask in groups.masks.items()
        )
        counts = prior.class_counts
        rows.append(["training counts", f"{counts.max():,} .. {counts.min():,}"])
        rows.append(["imbalance ratio", f"{prior.imbalance_ratio:,.0f}"])
        rows.append(["groups", shape])
    trained = training_of(source)
    told = [] if trained is None else [f"trained with {trained.described()}: {trained.meaning()}"]
    findings = [f"warning: {one}" for one in seen.findings] or ["nothing looks wrong"]
    return [printable(source.place, 200), table(["", ""], rows), *told, *findings]


def _tuned_rows(share: float) -> str:
    return (
        f"warning: tau was tuned on rows that are scored here (about {share:.0%} of the tuning rows came "
        "back), so these errors flatter it"
    )


def _end(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else ("-inf" if value < 0 else "inf")
