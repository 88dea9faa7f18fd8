"""`lacal evaluate`: errors with their uncertainty."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lacal.cli.model_options import (
    model_without_inputs,
    runs_model,
    source_of,
    takes_model,
)
from lacal.cli.options import (
    FILE,
    counts_of,
    counts_options,
    force_adjust_option,
    format_options,
    prior_of,
    refuse_beside_calibration,
    refuse_typed,
    source_options,
)
from lacal.cli.sections import Sectioned
from lacal.errors import DataError, UsageError

if TYPE_CHECKING:
    from lacal.calibration import Calibration
    from lacal.formats import Table
    from lacal.pipeline.evaluate import Evaluation
    from lacal.prior import LabelPrior


@click.command("evaluate", cls=Sectioned)
@click.argument("source", type=FILE)
@click.option("--calibration", type=FILE, help="Adjust the logits with this.")
@counts_options
@click.option("--allow-tuned-rows", is_flag=True, help="Score the rows that tau was tuned on.")
@force_adjust_option
@source_options
@format_options("text", "json")
@takes_model
def command(source: Path, **given: Any) -> None:
    """Measure the errors of SOURCE: labelled logits, a predictions file with labels, or a model.

    Groups (many, medium, few) need the training counts, from --counts or --calibration.

    \b
    Example:
      lacal evaluate predictions.parquet --counts counts.csv
    """
    from lacal import calibration_file
    from lacal.cli.show import show_json, show_text, warn
    from lacal.pipeline.evaluate import is_predictions
    from lacal.report import numbers, text
    from lacal.report.warnings import of_gain, of_other_logits, of_training

    loaded = calibration_file.read(given["calibration"]) if given["calibration"] else None
    if loaded is not None:
        refuse_beside_calibration("counts", "zero_count")
    else:
        refuse_typed("force_adjust", because="without --calibration nothing is adjusted")
    table = None if runs_model(given) else _opened(source)
    if table is not None and is_predictions(table):
        found, prior = _predictions(table, loaded, given)
    else:
        found, prior = _logits(source, loaded, given)
    warn(of_training(loaded, found.inference))
    warn([*of_other_logits(loaded, found.inference), *of_gain(found.gain)])
    if given["json"] or given["format"] == "json":
        show_json(numbers.evaluation(found, str(source), loaded, prior))
    else:
        show_text(text.evaluation(found, str(source), prior))


def _opened(path: Path) -> "Table":
    from lacal.formats import open_table

    try:
        return open_table(path)
    except DataError as error:
        raise model_without_inputs(path) or error from error


def _logits(
    path: Path, loaded: "Calibration | None", given: dict[str, Any]
) -> "tuple[Evaluation, LabelPrior | None]":
    from lacal import pipeline
    from lacal.cli.show import WithProgress
    from lacal.source import refuse_corrected, training_of

    counts = counts_of(given)
    source = source_of(
        path,
        given,
        class_names=loaded.prior.class_names if loaded else counts.names if counts else None,
        shift_blind=loaded is None or loaded.method == "logit-adjustment",
        allow_adjusted=loaded is None or given["force_adjust"],
    )
    prior = loaded.prior if loaded else prior_of(given, counts, source)
    if loaded is not None:
        loaded.check_fits(source.classes, source.class_names, source.place)
        if not loaded.adjustment.changes_nothing:
            refuse_corrected(training_of(source), source.place, force=given["force_adjust"])
    found = pipeline.evaluate(
        WithProgress(source), loaded, allow_tuned_rows=given["allow_tuned_rows"]
    )
    return found, prior


def _predictions(
    table: "Table", loaded: "Calibration | None", given: dict[str, Any]
) -> "tuple[Evaluation, LabelPrior | None]":
    from lacal import pipeline
    from lacal.prior import ZeroCount

    if loaded is not None:
        raise UsageError(
            f"{table.path}: holds predictions, which a calibration cannot adjust again; leave "
            "--calibration out, or give the logits"
        )
    if given["labels"] is not None:
        raise UsageError(
            f"{table.path}: holds predictions; their labels must stand in the same file, so --labels "
            "cannot be used"
        )
    refuse_typed(
        "scores",
        "logits_key",
        "id_key",
        because=f"{table.path}: holds predictions, so there are no logits to read",
    )
    counts, prior = counts_of(given), None
    if counts is not None:
        prior = counts.prior(
            class_names=table.class_names,
            logits_place=str(table.path),
            zero_count=ZeroCount.parse(given["zero_count"]),
        )
    found = pipeline.evaluate_predictions(
        table, prior, label_key=given["label_key"], ignore=given["ignore_label"]
    )
    return found, prior
