"""`lacal adjust`: adjusted predictions of a logits file, or of a model over its inputs."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lacal.cli.class_options import (
    counts_of,
    counts_options,
    group_rule_of,
    groups_of,
    groups_option,
    required_prior_of,
    target_prior_of,
    target_prior_option,
)
from lacal.cli.model_options import runs_model, takes_model
from lacal.cli.options import (
    FILE,
    OneOf,
    force_adjust_option,
    inputs_of,
    method_options,
    refuse_beside_calibration,
    refuse_head_without_weight_norm,
    source_options,
    statistics_of,
)
from lacal.cli.outputs import command_line, deliver, report_options
from lacal.cli.run_input import logits_of_run
from lacal.cli.sections import Sectioned
from lacal.cli.sources import source_of
from lacal.cli.targets import check_reports, wants_page
from lacal.cli.temperature_options import temperature_of, temperature_option
from lacal.errors import UsageError

if TYPE_CHECKING:
    from lacal.calibration import Calibration
    from lacal.classes.class_counts import Counts
    from lacal.classes.groups import Groups
    from lacal.pipeline.adjust import Adjusted
    from lacal.report.adjusting import AdjustingReport
    from lacal.report.page.content import Page
    from lacal.report.result import Result
    from lacal.rows.source import Source


@click.command("adjust", cls=Sectioned)
@click.argument("source", type=FILE)
@click.option("--calibration", type=FILE, help="File written by tune-tau.")
@click.option("--tau", type=float, help="Use this tau, with --counts, instead of a calibration.")
@counts_options
@method_options
@click.option("-o", "--out", type=FILE, required=True, help="Predictions to write (.parquet).")
@click.option("--force", is_flag=True, help="Replace an existing output.")
@click.option("--top-k", type=click.IntRange(0), default=0, help="Also list the K best classes.")
@click.option(
    "--write-scores",
    type=OneOf("logits", "probs"),
    help="Also write every adjusted logit or probability.",
)
@temperature_option
@target_prior_option
@groups_option
@click.option(
    "--allow-tuned-rows",
    is_flag=True,
    help="Score the rows that tau was tuned on, or the temperature fitted on.",
)
@force_adjust_option
@source_options
@report_options
@takes_model
def command(source: Path, **given: Any) -> None:
    """Apply a calibration (or --counts and --tau) to SOURCE and write one row an example.

    The prediction is the class of the largest adjusted logit, which is for the balanced error. Its confidence is
    a probability: of classes in equal shares, or in those of --target-prior, at the temperature of
    --fit-temperature. Neither changes a prediction: for the fewest errors in known class shares, take the
    class of the largest probability (--write-scores probs with that --target-prior), or another --tau.

    \b
    Example:
      lacal adjust test.npz --calibration calibration.json -o predictions.parquet
    """
    from lacal import pipeline
    from lacal.atomic import check_target
    from lacal.cli.show import WithProgress
    from lacal.pipeline.adjust import Wanted
    from lacal.pipeline.keeping import Keep
    from lacal.pipeline.predictions import PredictionColumns

    if not runs_model(given):
        source = logits_of_run(source, given)
    output: Path = given["out"]
    if output.suffix.lower() not in (".parquet", ".pq"):
        raise UsageError(f"{output}: predictions are written as Parquet; name a .parquet file")
    inputs = inputs_of(source, given)
    check_target(output, force=given["force"], inputs=inputs)
    check_reports(given, inputs)
    group_rule_of(given)
    opened, recipe = _opened(source, given)
    top_k = given["top_k"]
    if top_k > opened.classes:
        raise UsageError(f"--top-k: got {top_k}, expected at most {opened.classes}, the classes")
    groups = groups_of(given, recipe.prior)
    target = target_prior_of(
        given,
        recipe.prior,
        classes=opened.classes,
        class_names=recipe.prior.class_names or opened.class_names,
        place=opened.place,
    )
    temperature = temperature_of(given, recipe, opened, target)
    done = pipeline.adjust(
        WithProgress(opened),
        recipe,
        output,
        PredictionColumns(top_k, given["write_scores"]),
        Wanted(temperature, target, given["allow_tuned_rows"]),
        keep=Keep(path=opened.labelled and wants_page(given), groups=groups),
        force=given["force"],
    )
    deliver(_result(done, opened, groups), given)


def _opened(path: Path, given: dict[str, Any]) -> "tuple[Source, Calibration]":
    """SOURCE, and what to apply to it, of the same classes."""
    from lacal import calibration_file
    from lacal.rows.source import refuse_corrected, training_of

    _check_one_recipe(given)
    loaded = calibration_file.read(given["calibration"]) if given["calibration"] else None
    counts = counts_of(given)
    names = loaded.prior.class_names if loaded else counts.names if counts else None
    source = source_of(
        path,
        given,
        class_names=names,
        shift_blind=loaded.shift_blind if loaded else given["method"] == "logit-adjustment",
        allow_adjusted=given["force_adjust"],
    )
    recipe = loaded or _given_tau(given, counts, source, path)
    recipe.check_fits(source.classes, source.class_names, source.place)
    if not recipe.adjustment.changes_nothing:
        refuse_corrected(training_of(source), source.place, force=given["force_adjust"])
    return source, recipe


def _result(done: "Adjusted", source: "Source", groups: "Groups | None") -> "Result":
    from lacal.report.adjusting import (
        AdjustingReport,
        adjusting_json,
        adjusting_text,
        adjusting_warnings,
    )
    from lacal.report.result import Result

    report = AdjustingReport.of(done, source.place, groups)
    warnings = tuple(adjusting_warnings(report))
    return Result(
        "adjust",
        json=lambda: adjusting_json(report),
        blocks=lambda: adjusting_text(report),
        warnings=warnings,
        page=lambda: _page(report, warnings),
    )


def _page(report: "AdjustingReport", warnings: tuple[str, ...]) -> "Page":
    from lacal.report.page.of_adjusting import page_of_adjusting

    return page_of_adjusting(report, command_line(), warnings)


def _check_one_recipe(given: dict[str, Any]) -> None:
    if (given["calibration"] is None) == (given["tau"] is None):
        raise UsageError(
            "say what to apply: either --calibration FILE, or --counts FILE with --tau T"
        )
    if given["calibration"] is not None:
        refuse_beside_calibration("counts", "method", "head", "bias", "zero_count")
    else:
        refuse_head_without_weight_norm(given)


def _given_tau(
    given: dict[str, Any], counts: "Counts | None", source: "Source", path: Path
) -> "Calibration":
    """A calibration made of the tau on the command line, tuned on nothing."""
    from lacal.calibration import LARGEST_TAU, calibration_of

    if not abs(given["tau"]) < LARGEST_TAU:
        raise UsageError(
            f"--tau: got {given['tau']}, expected a number between {-LARGEST_TAU:g} and {LARGEST_TAU:g}"
        )
    prior = required_prior_of(given, counts, source)
    return calibration_of(
        given["method"],
        given["tau"],
        prior,
        statistics_of(given, prior, source, path),
        select="given",
        scores=given["scores"] or "logits",
        tuned_on=None,
    )
