"""`lacal adjust`: adjusted predictions of a logits file, or of a model over its inputs."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lacal.cli.model_options import (
    source_of,
    takes_model,
)
from lacal.cli.options import (
    FILE,
    OneOf,
    counts_of,
    counts_options,
    force_adjust_option,
    format_options,
    inputs_of,
    method_options,
    refuse_beside_calibration,
    refuse_head_without_weight_norm,
    required_prior_of,
    source_options,
    statistics_of,
)
from lacal.cli.sections import Sectioned
from lacal.errors import UsageError

if TYPE_CHECKING:
    from lacal.calibration import Calibration
    from lacal.class_counts import Counts
    from lacal.source import Source


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
@click.option("--allow-tuned-rows", is_flag=True, help="Score the rows that tau was tuned on.")
@force_adjust_option
@source_options
@format_options("text", "json")
@takes_model
def command(source: Path, **given: Any) -> None:
    """Apply a calibration (or --counts and --tau) to SOURCE and write one row an example.

    \b
    Example:
      lacal adjust test.npz --calibration calibration.json -o predictions.parquet
    """
    from lacal import calibration_file, pipeline
    from lacal.atomic import check_target
    from lacal.cli.show import WithProgress, show_json, show_text, warn
    from lacal.pipeline.predictions import PredictionColumns
    from lacal.report import numbers, text
    from lacal.report.warnings import of_gain, of_other_logits, of_training
    from lacal.source import refuse_corrected, training_of

    output: Path = given["out"]
    if output.suffix.lower() not in (".parquet", ".pq"):
        raise UsageError(f"{output}: predictions are written as Parquet; name a .parquet file")
    check_target(output, force=given["force"], inputs=inputs_of(source, given))
    _check_one_recipe(given)
    loaded = calibration_file.read(given["calibration"]) if given["calibration"] else None
    method = loaded.method if loaded else given["method"]
    counts = counts_of(given)
    names = loaded.prior.class_names if loaded else counts.names if counts else None
    opened = source_of(
        source,
        given,
        class_names=names,
        shift_blind=method == "logit-adjustment",
        allow_adjusted=given["force_adjust"],
    )
    recipe = loaded or _given_tau(given, counts, opened, source)
    recipe.check_fits(opened.classes, opened.class_names, opened.place)
    if not recipe.adjustment.changes_nothing:
        refuse_corrected(training_of(opened), opened.place, force=given["force_adjust"])
    warn(of_training(recipe, opened.inference))
    warn(of_other_logits(recipe, opened.inference))
    top_k = given["top_k"]
    if top_k > opened.classes:
        raise UsageError(f"--top-k: got {top_k}, expected at most {opened.classes}, the classes")
    done = pipeline.adjust(
        WithProgress(opened),
        recipe,
        output,
        PredictionColumns(top_k, given["write_scores"]),
        allow_tuned_rows=given["allow_tuned_rows"],
        force=given["force"],
    )
    groups = recipe.prior.groups()
    warn(of_gain(done.scored.paired.gain()))
    if given["json"] or given["format"] == "json":
        show_json(numbers.adjusted(done, opened, groups))
    else:
        show_text(text.adjusted(done, opened, groups))


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
        raise UsageError(f"--tau: got {given['tau']}, expected less than {LARGEST_TAU:g}")
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
