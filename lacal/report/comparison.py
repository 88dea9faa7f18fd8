"""Results of comparing post-hoc methods: for a person a screenful that leads with the answer, for scripts JSON."""

from pathlib import Path

from lacal.classes.names import some_classes
from lacal.formats.shown import printable
from lacal.json_text import Json
from lacal.metrics import Gain, Score
from lacal.pipeline.candidates import UNADJUSTED
from lacal.pipeline.compare import EVERY_CLASS, MethodComparison, MethodRow, SplitFacts
from lacal.pipeline.doubts import at_chance
from lacal.pipeline.split_overlap import found_again
from lacal.report.document import Block
from lacal.report.numbers import SCHEMA_VERSION, gain_of, group_rule, rate, score_json
from lacal.report.text import points, table, with_interval
from lacal.report.warnings import absent, of_other_logits, of_training

GROUPS_SHOWN = 4  # beside each other in a table


def comparison_warnings(found: MethodComparison) -> list[str]:
    """What should be known before a method is chosen."""
    names, val, test = found.prior.class_names, found.val, found.test
    tuned = next(row.calibration for row in found.rows if row.calibration is not None)
    warnings = [*of_training(tuned, test.inference), *of_other_logits(tuned, test.inference)]
    warnings = _of_same_rows(found) + warnings
    if val.absent:
        have, them = ("has", "it") if len(val.absent) == 1 else ("have", "them")
        warnings.append(
            f"{len(val.absent)} of {found.prior.class_counts.size} classes {have} no validation row; the fits leave "
            f"{them} as temperature does: {some_classes(list(val.absent), names)}"
        )
    warnings += at_chance(found.best.measured.tally, names)
    return warnings + absent(found.best.measured.tally, names, "test row")


def _of_same_rows(found: MethodComparison) -> list[str]:
    """About rows of the one split that are among those of the other, as far as the user let that pass."""
    val, test = (printable(one.place, 200) for one in (found.val, found.test))
    if found.tuned_share > 0 and found.same is None:
        share = found_again(found.tuned_share, whole=found.whole)
        return [
            f"{share} rows of {val}, on which every method was tuned, are among those of {test}; so these errors are lower "
            "than those of new rows"
        ]
    if found.same is None:
        return []
    if found.same.by == "ids":
        share = found_again(found.same.share, whole=found.same.whole)
        return [
            f"{share} labelled rows of {val} are in {test} too, by id and label, with other logits; of two models these "
            "errors say nothing"
        ]
    return [
        f"{test} has the labels of {val} row by row; if these are two models' logits of the same rows, say --runs"
    ]


def comparison_answer(found: MethodComparison) -> str:
    """One sentence: which method has the lowest balanced error, and how much lower that surely is."""
    best = found.best
    error = with_interval(best.measured.tally.balanced(), "%")
    if best.name == UNADJUSTED:
        return f"no method lowers the balanced error of the unadjusted model, {error}"
    detail = f" ({best.detail})" if best.detail else ""
    return (
        f"{best.name}{detail} has the lowest balanced error of {len(found.rows) - 1} methods: {error}, gain "
        f"{_points(best.gains[EVERY_CLASS])} points over the unadjusted model"
    )


def comparison_text(found: MethodComparison) -> list[Block]:
    """The answer, who is close behind, errors and gains, and what each group of classes gains or pays."""
    val, test = found.val, found.test
    close = ", ".join(row.name for row in found.close)
    behind = "every other method is surely behind it"
    if close:
        behind = f"not surely behind it: {close}; the order of these may be chance"
    return [
        comparison_answer(found),
        behind,
        f"scored on {test.labelled:,} labelled rows of {printable(test.place, 200)}",
        f"tuned on {val.labelled:,} labelled rows of {printable(val.place, 200)}",
        table(
            ["method", "chosen", "balanced error, %", "gain, points"],
            [_error_row(row) for row in found.rows],
        ),
        *_group_table(found),
        *(f"{row.name}: {row.note}" for row in found.rows if row.note is not None),
        *(f"left out: {name}: {reason}" for name, reason in found.left_out),
    ]


def _error_row(row: MethodRow) -> list[str]:
    gain = row.gains.get(EVERY_CLASS)
    return [
        row.name,
        row.detail,
        with_interval(row.measured.tally.balanced()),
        "" if gain is None else _points(gain),
    ]


def _group_table(found: MethodComparison) -> list[Block]:
    """Gain of each group of classes, methods in the same order; many groups are cut to the first and last."""
    names = list(found.groups.masks)
    shown = names if len(names) <= GROUPS_SHOWN else names[:2] + names[-2:]
    support = found.best.measured.tally.support
    headings = [
        f"{printable(name, 20)} (n {int(support[found.groups.masks[name]].sum()):,})"
        for name in shown
    ]
    rows = [
        [row.name, *(_points_or_none(row.gains.get(name)) for name in shown)]
        for row in found.rows
        if row.name != UNADJUSTED
    ]
    rules = "; ".join(f"{printable(found.groups.title(name), 80)}" for name in shown)
    more = len(names) - len(shown)
    rest = [f"{more} other groups stand in --json"] if more else []
    return [table(["gain by group, points", *headings], rows), f"groups: {rules}", *rest]


def _points(gain: Gain) -> str:
    return f"{points(gain.value)} ({points(gain.low)} to {points(gain.high)})"


def _points_or_none(gain: Gain | None) -> str:
    return "n/a" if gain is None else _points(gain)


def _log_loss(row: MethodRow) -> Score | None:
    """Mean over classes of the class's log loss, of the adjusted logits as they are."""
    scores = row.measured.scores
    return None if scores is None else scores.log_loss("balanced")


# JSON


def comparison_json(found: MethodComparison, kept: tuple[str, Path] | None) -> Json:
    """The table at full precision.

    Args:
        found: The comparison.
        kept: Name and calibration file of the method that was kept, if one was.
    """
    names = found.prior.class_names
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "compare",
        "compared": "methods",
        "val": _split(found.val),
        "test": _split(found.test),
        "warnings": comparison_warnings(found),
        "classes": int(found.prior.class_counts.size),
        "class_names": None if names is None else list(names),
        "groups": {name: group_rule(found.groups, name) for name in found.groups.masks},
        "best": found.best.name,
        "close": [row.name for row in found.close],
        "methods": [_method(row, found) for row in found.rows],
        "left_out": [{"name": name, "reason": reason} for name, reason in found.left_out],
        "tuned_share": found.tuned_share,
        "draws": found.draws,
        "seed": found.seed,
        "kept": None if kept is None else {"name": kept[0], "file": str(kept[1])},
    }


def _split(one: SplitFacts) -> Json:
    return {
        "source": one.place,
        "rows": one.rows,
        "labelled_rows": one.labelled,
        "absent_classes": list(one.absent),
        "digest": one.digest,
    }


def _method(row: MethodRow, found: MethodComparison) -> Json:
    calibration, tally = row.calibration, row.measured.tally
    fitted = None if calibration is None else calibration.fitted_on
    by_group, loss = tally.by_group(found.groups), _log_loss(row)
    return {
        "name": row.name,
        "method": None if calibration is None else calibration.method,
        "bias": None if calibration is None else calibration.bias_rule,
        "tau": None if calibration is None else calibration.tau,
        "ridge": None if fitted is None else fitted.ridge,
        "detail": row.detail,
        "note": row.note,
        "balanced_error": rate(tally.balanced()),
        "micro_error": rate(tally.micro()),
        "groups": {name: rate(one) for name, one in by_group.items()},
        "gain": gain_of(row.gains.get(EVERY_CLASS)),
        "group_gains": {name: gain_of(row.gains.get(name)) for name in found.groups.masks},
        "behind": gain_of(row.behind),
        "mended": int(row.paired.mended.sum()),
        "broken": int(row.paired.broken.sum()),
        "balanced_log_loss": None if loss is None else score_json(loss),
    }
