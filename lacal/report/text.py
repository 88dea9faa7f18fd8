"""Results of the verbs for a person: a sentence that answers, then small tables.

Errors are shown in percent, in tables with their 95 % interval; a gain is in points. Text from files is escaped.
"""

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from lacal.classes.groups import Groups
from lacal.classes.prior import LabelPrior
from lacal.classes.target import TargetPrior
from lacal.formats.shown import printable
from lacal.metrics import ClassTally, Gain, Rate
from lacal.pipeline.inspect import Inspection
from lacal.pipeline.tune_tau import Tuning
from lacal.report.document import Block, Table
from lacal.rows.source import Source, training_of
from lacal.tau.selection import RULES

BARS = "▁▂▃▄▅▆▇█"
WORST_CLASSES = 5


def percent(one: Rate) -> str:
    """`18.7 ± 1.2`, or n/a."""
    if one.value is None:
        return "n/a"
    spread = "" if one.standard_error is None else f" ± {100 * one.standard_error:.1f}"
    return f"{100 * one.value:.1f}{spread}"


def with_interval(one: Rate, unit: str = "") -> str:
    """`18.7 (17.3 to 20.2)`, a percentage with its 95 % interval, or n/a.

    Example:
        >>> with_interval(Rate(0.25, 0.1, 20, 2, 0.112, 0.469), "%")
        '25.0 % (11.2 to 46.9)'
    """
    if one.value is None or one.low is None or one.high is None:
        return percent(one)
    value = f"{100 * one.value:.1f} {unit}".rstrip()
    return f"{value} ({100 * one.low:.1f} to {100 * one.high:.1f})"


def points(value: float) -> str:
    """A difference of errors in percentage points, signed."""
    return f"{100 * value:+.1f}"


def sparkline(values: Sequence[float]) -> str:
    """The curve as one line of bars, lowest to highest."""
    low, high = min(values), max(values)
    if high == low:
        return BARS[0] * len(values)
    return "".join(BARS[round((value - low) / (high - low) * (len(BARS) - 1))] for value in values)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None) -> Table:
    """A small table, first column left, others right."""
    return Table(tuple(columns), tuple(map(tuple, rows)), title)


def error_table(
    before: ClassTally | None,
    after: ClassTally,
    groups: Groups | None,
    title: str | None = None,
    *,
    target: TargetPrior | None = None,
) -> Block:
    """Balanced, group and micro errors, and that under a target prior, unadjusted beside adjusted; 95 % intervals."""
    named: list[tuple[str, Callable[[ClassTally], Rate]]] = [("balanced error", _balanced(None))]
    if groups is not None:
        named += [
            (f"  {printable(groups.title(name))}", _balanced(mask))
            for name, mask in groups.masks.items()
        ]
    if target is not None:
        prior = target.prior
        named.append((f"error {target.in_short()}", lambda one: one.under(prior)))
    named.append(("micro error", ClassTally.micro))
    rows = []
    for name, error in named:
        one = error(after)
        was = [] if before is None else [with_interval(error(before))]
        rows.append([name, *was, with_interval(one), str(one.classes), f"{one.n:,}"])
    headings = ["%", "error"] if before is None else ["%", "unadjusted", "adjusted"]
    return table([*headings, "classes", "n"], rows, title)


def _balanced(mask: NDArray[np.bool_] | None) -> Callable[[ClassTally], Rate]:
    return lambda one: one.balanced(mask)


def tuning(found: Tuning, source: Source, groups: Groups) -> list[Block]:
    """The answer of `tune-tau`, the groups, the picks and the curve."""
    gain, crossed = found.bootstrap.gain, found.cross_fit
    was, now = found.unadjusted.balanced(), found.adjusted.balanced()
    lines: list[Block] = [
        f"{_method(found)} at tau = {found.tau:g}: balanced error {100 * (was.value or 0):.1f} % -> "
        f"{100 * (now.value or 0):.1f} % on {printable(source.place)}",
        f"gain {points(gain.value)} points, 95 % interval {points(gain.low)} to {points(gain.high)}; "
        f"cross-fitted {points(crossed.gain)} (standard error {100 * crossed.standard_error:.1f}); "
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


def inspection(
    seen: Inspection, source: Source, prior: LabelPrior | None, groups: Groups | None
) -> list[Block]:
    """What a source holds, then what looks wrong."""
    labelled = int(seen.tally.support.sum())
    present = seen.tally.support[seen.tally.support > 0]
    rows = [
        ["rows x classes", f"{seen.rows:,} x {source.classes:,}"],
        ["stored as", source.stored],
        ["log-probabilities" if seen.log_probs else "logits", f"{seen.low:.4g} .. {seen.high:.4g}"],
        ["class names", "yes" if (source.class_names or (prior and prior.class_names)) else "no"],
        ["labelled rows", f"{labelled:,}"],
    ]
    if present.size:
        rows.append(["rows per class", f"{present.min():,} .. {present.max():,}"])
        rows.append(["classes with rows", f"{present.size:,} of {source.classes:,}"])
        rows.append(["balanced error %", with_interval(seen.tally.balanced())])
    if prior is not None:
        counts = prior.class_counts
        rows.append(["training counts", f"{counts.max():,} .. {counts.min():,}"])
        rows.append(["imbalance ratio", f"{prior.imbalance_ratio:,.0f}"])
    if groups is not None:
        shape = (f"{int(mask.sum())} {printable(name)} ({groups.rule[name]})"
                 for name, mask in groups.masks.items())  # fmt: skip
        rows.append(["groups", ", ".join(shape)])
    trained = training_of(source)
    told = [] if trained is None else [f"trained with {trained.described()}: {trained.meaning()}"]
    findings = [f"warning: {one}" for one in seen.findings] or ["nothing looks wrong"]
    return [printable(source.place, 200), table(["", ""], rows), *told, *findings]


def tuned_rows(share: float) -> str:
    """What stands in front of errors of rows that tau was tuned on."""
    return (
        f"warning: tau was tuned on rows that are scored here (about {share:.0%} of the tuning rows came "
        "back), so these errors flatter it"
    )


def _end(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else ("-inf" if value < 0 else "inf")
