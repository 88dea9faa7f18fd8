"""`lacal compare`: post-hoc methods on two splits of one model, or two runs on the same rows."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lacal.cli.class_options import (
    counts_needed,
    counts_of,
    counts_options,
    group_rule_of,
    groups_option,
    required_prior_of,
)
from lacal.cli.gate_options import fail_if_options
from lacal.cli.options import (
    FILE,
    OneOf,
    draws_options,
    force_adjust_option,
    inputs_of,
    refuse_typed,
    refuse_unknown_skips,
    source_options,
    source_options_of,
)
from lacal.cli.outputs import command_line, deliver, report_options
from lacal.cli.run_input import is_run
from lacal.cli.sections import Sectioned
from lacal.cli.sources import model_without_inputs
from lacal.cli.targets import check_reports
from lacal.errors import DataError, UsageError

if TYPE_CHECKING:
    from lacal.calibration import Calibration
    from lacal.classes.class_counts import Counts
    from lacal.classes.prior import LabelPrior
    from lacal.pipeline.candidates import Head
    from lacal.pipeline.compare import MethodComparison
    from lacal.report.result import Result
    from lacal.rows.logits_source import LogitsSource

KEEPABLE = (
    "logit-adjustment:1",
    "logit-adjustment",
    "weight-norm",
    "weight-norm:drop",
    "weight-norm:scale",
    "weight-norm:keep",
    "prior-division",
    "temperature",
    "class-offsets",
    "vector-scaling",
)
BESIDE = "put the labels beside each one's logits: a column `label`, or numpy.savez(FILE, logits=..., labels=...)"
METHODS_ALONE = ("head", "out", "keep", "allow_tuned_rows", "force_adjust")
DRAWN = ("draws", "seed")


@click.command("compare", cls=Sectioned)
@click.argument("first", type=FILE)
@click.argument("second", type=FILE)
@click.option(
    "--runs", is_flag=True, help="Compare two logits files as two models' runs, with --counts too."
)
@counts_options
@click.option(
    "--head",
    type=FILE,
    help="The classifier's weight (and bias), for weight-norm; a file of arrays, or an ONNX model.",
)
@groups_option
@draws_options("Of methods: ")
@click.option(
    "--keep",
    type=OneOf(*KEEPABLE),
    metavar="METHOD",
    help="The method of the table whose calibration -o writes.",
)
@click.option("-o", "--out", type=FILE, help="Calibration file to write (JSON); needs --keep.")
@click.option("--force", is_flag=True, help="Replace existing outputs.")
@click.option("--allow-tuned-rows", is_flag=True, help="Score rows of VAL that are among TEST's.")
@force_adjust_option
@source_options
@report_options
@fail_if_options
def command(first: Path, second: Path, **given: Any) -> None:
    """Compare post-hoc methods, or two runs.

    Which correction is best for this model? With --counts, FIRST is a validation split and SECOND a test split of one
    model's logits. Every method that applies is tuned on FIRST and scored on SECOND, as a table sorted by balanced error.

    Is the new model better than the old one? FIRST and SECOND are two runs on the same rows: predictions files, folders
    of `lacal train`, or logits files without --counts or with --runs. Rows are joined by id, and what SECOND mends and
    breaks against FIRST is counted. Weights of rows are not taken.

    \b
    Example:
      lacal compare val.npz test.npz --counts counts.csv
      lacal compare before.parquet after.parquet
    """
    inputs = (*inputs_of(first, given), second)
    check_reports(given, inputs)
    group_rule_of(given)
    if _asks_for_methods(first, second, given):
        refuse_typed("fail_if", "exit_zero", because="gates judge runs, not methods")
        result, calibration = _methods(first, second, inputs, given)
        deliver(result, given, calibration)
    else:
        refuse_typed(*METHODS_ALONE, because="two runs are compared as they are")
        refuse_typed(*DRAWN, because="two runs need no draws, their intervals are computed")
        from lacal.cli.compare_runs import runs_result

        deliver(runs_result(first, second, given), given)


def _asks_for_methods(first: Path, second: Path, given: dict[str, Any]) -> bool:
    """Whether the two are splits of one model; counts say so where neither holds predictions."""
    runs = [is_run(path) for path in (first, second)]
    decided = [
        not run and _holds_predictions(path)
        for run, path in zip(runs, (first, second), strict=True)
    ]
    if any(decided):
        refuse_typed("labels", because="labels of predictions stand in the same file")
    if given["runs"] or any(runs) or any(decided):
        return False
    if given["counts"] is None and (given["keep"] or given["out"] or given["head"]):
        raise counts_needed()
    return given["counts"] is not None


def _holds_predictions(path: Path) -> bool:
    from lacal.formats import open_table
    from lacal.rows.predicted import is_predictions

    try:
        return is_predictions(open_table(path))
    except DataError as error:
        raise _not_a_model(path) or error from error


def _not_a_model(path: Path) -> UsageError | None:
    if model_without_inputs(path) is None:
        return None
    return UsageError(
        f"{path}: is a model; compare reads the logits it makes, which lacal infer {path} stores"
    )


# Methods


def _methods(
    first: Path, second: Path, inputs: tuple[Path, ...], given: dict[str, Any]
) -> "tuple[Result, Calibration | None]":
    """The result, and the calibration of the method that is to be kept."""
    from lacal import pipeline
    from lacal.atomic import check_target
    from lacal.classes.names import agree
    from lacal.cli.show import WithProgress
    from lacal.pipeline.candidate_rows import Settings
    from lacal.rows.source import refuse_corrected, training_of

    refuse_typed("labels", because=f"one file cannot label two splits; {BESIDE}")
    output, keep = given["out"], given["keep"]
    if (output is None) != (keep is None):
        missing = "-o FILE" if output is None else "--keep NAME"
        raise UsageError(f"--keep and -o go together, a method and its file; give {missing} too")
    if output is not None:
        check_target(output, force=given["force"], inputs=inputs)
    counts = counts_of(given)
    val, test = (_split(path, counts, given) for path in (first, second))
    refuse_unknown_skips(given, val, test)
    agree(val.class_names, val.place, test.class_names, test.place)
    for split in (val, test):
        if not split.labelled:
            raise UsageError(f"{split.place}: has no labels; {BESIDE}")
        refuse_corrected(training_of(split), split.place, force=given["force_adjust"])
    prior = required_prior_of(given, counts, val)
    required_prior_of(given, counts, test)
    training = training_of(val)
    reference = 0.0 if training is not None and training.carries == "prior" else None
    found = pipeline.compare_methods(
        WithProgress(val, "tuning"),
        WithProgress(test, "scoring"),
        prior,
        _head(given, prior, val),
        prior.groups(group_rule_of(given)),
        Settings(given["draws"], given["seed"], given["scores"], reference),
        allow_tuned_rows=given["allow_tuned_rows"],
    )
    calibration = _kept(found, keep)
    kept = None if calibration is None else (keep, output)
    return _methods_result(found, kept), calibration


def _split(path: Path, counts: "Counts | None", given: dict[str, Any]) -> "LogitsSource":
    from lacal.rows.logits_source import open_source

    return open_source(
        path,
        source_options_of(given),
        class_names=counts.names if counts else None,
        allow_adjusted=given["force_adjust"],
    )


def _head(given: dict[str, Any], prior: "LabelPrior", val: "LogitsSource") -> "Head | None":
    from lacal.cli.show import say
    from lacal.head import read_head
    from lacal.ranks import rank_correlation

    if given["head"] is None:
        return None
    head = read_head(
        given["head"],
        classes=val.classes,
        class_names=prior.class_names,
        logits_place=val.place,
    )
    follow = rank_correlation(head.weight_norms, prior.class_counts)
    say(f"head: {head.found}; rank correlation of its norms with the class counts {follow:.2f}")
    return head.weight_norms, head.bias


def _kept(found: "MethodComparison", name: str | None) -> "Calibration | None":
    """The calibration of the method that was asked for."""
    if name is None:
        return None
    calibrations = {row.name: row.calibration for row in found.rows}
    calibration = calibrations.get(name)
    if calibration is None:
        reasons = dict(found.left_out)
        there = ", ".join(one for one, file in calibrations.items() if file is not None)
        why = f"it {reasons[name]}" if name in reasons else f"this table has {there}"
        raise UsageError(f"--keep {name}: is not in the table; {why}")
    return calibration


def _methods_result(found: "MethodComparison", kept: tuple[str, Path] | None) -> "Result":
    from lacal.report.comparison import comparison_json, comparison_text, comparison_warnings
    from lacal.report.result import Result

    warnings = tuple(comparison_warnings(found))

    def page() -> Any:
        from lacal.report.page.of_comparison import page_of_comparison

        return page_of_comparison(found, command_line(), warnings)

    return Result(
        "compare",
        json=lambda: comparison_json(found, kept),
        blocks=lambda: comparison_text(found),
        warnings=warnings,
        page=page,
    )
