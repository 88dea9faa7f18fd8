"""`lacal infer`: run a model over inputs and store its logits."""

from pathlib import Path
from typing import Any

import click

from lacal.cli.model_options import model_options, running_options
from lacal.cli.options import FILE, format_options, inputs_of, source_options
from lacal.cli.sections import Sectioned
from lacal.cli.sources import model_source_of
from lacal.cli.supervised import supervised


def _tell_what_is_kept(given: dict[str, Any]) -> None:
    from lacal.cli.show import say
    from lacal.pipeline.parts_store import rows_kept

    rows = rows_kept(given["out"])
    if rows:
        say(f"{rows:,} finished rows are kept; go on with --resume")


@click.command("infer", cls=Sectioned)
@click.argument("model", type=FILE)
@click.argument("inputs", type=FILE)
@click.option(
    "-o",
    "--out",
    type=FILE,
    required=True,
    help="Logits to write: .parquet, .npz, .npy, or a folder of Parquet parts.",
)
@click.option("--force", is_flag=True, help="Replace an existing output, or a broken run.")
@click.option("--resume", is_flag=True, help="Go on with a broken run.")
@source_options
@format_options("text", "json")
@model_options
@running_options
@supervised(lambda given: True, _tell_what_is_kept)
def command(model: Path, **given: Any) -> None:
    """Run MODEL over INPUTS and store the logits, with labels, ids and a record of how they were made.

    MODEL is an ONNX file, an exported program (.pt2) or TorchScript. INPUTS are arrays (.npy, .npz), a
    table of tensors or feature columns (Parquet, Arrow, CSV), or images: a folder of class folders, a list
    file of `path label` lines, or Parquet with encoded images.

    \b
    Example:
      lacal infer model.onnx val.parquet -o val_logits.parquet
    """
    from lacal.cli.show import WithProgress, say, show_json, show_text, warn
    from lacal.pipeline.infer import check_output, infer
    from lacal.report.models import inference_json, inference_text

    out = given["out"]
    check_output(out, force=given["force"], resume=given["resume"], inputs=inputs_of(model, given))
    source = model_source_of(model, given, allow_adjusted=True)
    done = infer(WithProgress(source, "running"), out, resume=given["resume"], force=given["force"])
    say(f"wrote {out}")
    if out.suffix.lower() == ".npy":
        warn(["an .npy file holds the logits alone; name .npz or .parquet to keep labels and ids"])
    warn(source.notes)
    if given["json"] or given["format"] == "json":
        show_json(inference_json(done, source))
    else:
        show_text(inference_text(done, source))
