"""`lacal inspect`: what a logits file holds, and what looks wrong with it."""

from pathlib import Path
from typing import Any

import click

from lacal.cli.options import (
    FILE,
    counts_of,
    counts_options,
    format_options,
    prior_of,
    source_options,
    source_options_of,
)


@click.command("inspect", short_help="Show what a logits file holds and what looks wrong.")
@click.argument("source", type=FILE)
@counts_options
@source_options
@format_options("text", "json")
def command(source: Path, **given: Any) -> None:
    """Show shape, type, classes, label support and training counts of SOURCE, and what looks wrong.

    \b
    Example:
      lacal inspect val.npz --counts counts.csv
    """
    from lacal import pipeline
    from lacal.cli.show import WithProgress, show_json, show_text
    from lacal.report import numbers, text
    from lacal.source import open_source

    counts = counts_of(given)
    names = counts.names if counts else None
    opened = open_source(source, source_options_of(given), class_names=names)
    prior = prior_of(given, counts, opened)
    seen = pipeline.inspect(WithProgress(opened), prior)
    if given["json"] or given["format"] == "json":
        show_json(numbers.inspection(seen, opened, prior))
    else:
        show_text(text.inspection(seen, opened, prior))
