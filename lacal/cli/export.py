"""`lacal export`: the adjusted model as a file."""

from pathlib import Path
from typing import Any

import click

from lacal.cli.model_options import (
    inputs_option,
    model_options,
    model_options_of,
    running_options,
)
from lacal.cli.options import (
    FILE,
    force_adjust_option,
    format_options,
    model_inputs_of,
    refuse_typed,
)
from lacal.cli.sections import Sectioned
from lacal.cli.supervised import supervised


@click.command("export", cls=Sectioned)
@click.argument("model", type=FILE)
@click.option("--calibration", type=FILE, required=True, help="File written by tune-tau.")
@click.option(
    "-o",
    "--out",
    type=FILE,
    required=True,
    help="Adjusted model to write, of the model's own kind.",
)
@click.option("--fold", is_flag=True, help="Edit the head's weight and bias; add no step.")
@click.option("--force", is_flag=True, help="Replace an existing output.")
@force_adjust_option
@format_options("text", "json")
@inputs_option
@model_options
@running_options
@supervised(lambda given: True)
def command(model: Path, **given: Any) -> None:
    """Write MODEL with the calibration's adjustment inside, checked against the original before it appears.

    The check runs both models on --inputs, or on generated ones, and compares logits and predictions.

    \b
    Example:
      lacal export model.onnx --calibration calibration.json -o adjusted.onnx
    """
    from lacal import calibration_file
    from lacal.atomic import check_target
    from lacal.cli.show import say, show_json, show_text
    from lacal.cli.sources import trial_inputs_of
    from lacal.pipeline.export import check_kind, export
    from lacal.report.models import export_json, export_text

    refuse_typed("precision", because="the adjusted model keeps the precision of the original")
    out = given["out"]
    check_target(out, force=given["force"], inputs=model_inputs_of(model, given))
    check_kind(model, out)
    calibration = calibration_file.read(given["calibration"])
    options = model_options_of(given)
    done = export(
        model,
        calibration,
        out,
        options,
        trial=lambda opened: trial_inputs_of(opened, given),
        fold=given["fold"],
        force=given["force"],
        force_adjust=given["force_adjust"],
    )
    say(f"wrote {out}")
    if given["json"] or given["format"] == "json":
        show_json(export_json(done))
    else:
        show_text(export_text(done))
