"""`lacal train`: train a classifier with a long-tail loss, and keep what the rest of lacal reads."""

import contextlib
import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lacal.cli.options import FILE, OneOf
from lacal.cli.outputs import command_line, deliver, report_options
from lacal.cli.read_files import images_in_danger, settings_file
from lacal.cli.sections import Sectioned
from lacal.cli.supervised import Words, supervised
from lacal.cli.targets import check_reports
from lacal.cli.training_options import (
    RowOf,
    data_options,
    machine_options,
    network_options,
    preprocessing_options,
    stage_options,
    step_options,
)
from lacal.cli.training_settings import data_options_of, start_of, train_options_of
from lacal.errors import MissingExtra
from lacal.training.recipes import RECIPES

if TYPE_CHECKING:
    from lacal.report.page.content import Page
    from lacal.training.run import TrainingReport

LISTS = ("losses", "recipes", "networks", "heads", "samplers", "second-stages")


def _print_list(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    """Print one of the tables and end."""
    if value is None:
        return
    from lacal.cli.show import show_text
    from lacal.report.training_tables import TABLES

    show_text(TABLES[value]())
    ctx.exit()


def _tell_what_is_kept(given: dict[str, Any]) -> None:
    from lacal.cli.show import say
    from lacal.training.run_folder import epochs_kept

    epochs = epochs_kept(given["out"])
    if epochs:
        say(f"{epochs:,} finished epochs are kept; go on with --resume")


def _words(given: dict[str, Any], place: str) -> Words:
    from lacal.formats.shown import printable

    model = given["model"]
    blamed = "torch, a driver or a library may be at fault"
    if model:
        blamed = f"code of --model {printable(model)}, or a library that it calls, may be at fault"
    process = (
        f"training with --model {printable(model)}: its process"
        if model
        else "training: its process"
    )
    return Words(process, "training", blamed)


@contextlib.contextmanager
def _stdout_is_stderr() -> Iterator[None]:
    """The result alone is printed on stdout, whatever code of the user's prints, through Python or not."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()  # what was written to it by a name of its own
        os.dup2(kept, 1)
        os.close(kept)


@click.command("train", cls=Sectioned)
@click.argument("data", type=FILE)
@click.option("-o", "--out", type=FILE, required=True, metavar="RUN", help="Folder to fill.")
@click.option(
    "--recipe",
    type=RowOf(*RECIPES),
    help=f"A paper's values, printed before they run: {', '.join(RECIPES)}.",
)
@click.option(
    "--list",
    type=OneOf(*LISTS),
    is_eager=True,
    expose_value=False,
    callback=_print_list,
    help="Print a table of what there is, and end.",
)
@click.option("--resume", is_flag=True, help="Go on with a broken run.")
@click.option("--force", is_flag=True, help="Replace the run that RUN holds.")
@data_options
@preprocessing_options
@network_options
@step_options
@stage_options
@machine_options
@report_options
@supervised(lambda given: True, _tell_what_is_kept, _words)
def command(data: Path, **given: Any) -> None:
    """Train a classifier on DATA with a loss for long-tailed classes, and keep everything in RUN.

    DATA are arrays (.npz), a table of tensors or feature columns (Parquet, Arrow, CSV), or images: a folder of
    class folders, a list file of `path label` lines, or Parquet with encoded images.

    RUN holds the logits of the validation and test split, the training counts, the model (ONNX and .pt2), the
    checkpoints, the metrics and the settings. Every other command reads them.

    \b
    Example:
      lacal train train.parquet --loss logit-adjusted -o run
    """
    from lacal.cli.show import say
    from lacal.cli.training_progress import TrainingProgress
    from lacal.report.result import Result
    from lacal.report.training import training_json, training_text, training_warnings
    from lacal.training.recipes import described

    options, typed = train_options_of(given)
    _need_torch()
    splits = (data, given["val"], given["test"], given["counts"])
    read = (*(one for one in splits if one is not None), *settings_file())
    check_reports(given, (*read, *images_in_danger(splits[:3], given)))
    start = start_of(given)
    data_given = data_options_of(data, given)
    from lacal.training.run import run_training

    if given["recipe"]:
        for line in described(given["recipe"], options, typed):
            say(line)
    with _stdout_is_stderr(), TrainingProgress() as progress:
        report = run_training(
            data_given,
            options,
            given["out"],
            resume=given["resume"],
            force=given["force"],
            start=start,
            progress=progress,
            say=say,
            summary=training_json,
        )
    result = Result(
        "train",
        json=lambda: training_json(report),
        blocks=lambda: training_text(report),
        warnings=tuple(training_warnings(report)),
        page=lambda: _page(report),
    )
    deliver(result, given)


def _page(report: "TrainingReport") -> "Page":
    from lacal.report.page.of_training import page_of_training

    return page_of_training(report, command_line())


def _need_torch() -> None:
    """Refuse before any data are read."""
    for package in ("torch", "safetensors"):
        if find_spec(package) is None:
            raise MissingExtra(package, "torch", "training")
