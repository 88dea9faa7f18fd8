"""`lacal inspect`: what a logits file holds or a model gives, and what looks wrong with it."""

from pathlib import Path
from typing import Any

import click

from lacal.cli.class_options import (
    counts_of,
    counts_options,
    group_rule_of,
    groups_of,
    groups_option,
    prior_of,
)
from lacal.cli.model_options import takes_model
from lacal.cli.options import FILE, format_options, source_options
from lacal.cli.sections import Sectioned
from lacal.cli.sources import source_of


@click.command("inspect", cls=Sectioned)
@click.argument("source", type=FILE)
@counts_options
@groups_option
@source_options
@format_options("text", "json")
@takes_model
def command(source: Path, **given: Any) -> None:
    """Show shape, type, classes, label support and training counts of SOURCE, and what looks wrong.

    \b
    Example:
      lacal inspect val.npz --counts counts.csv
    """
    from lacal import pipeline
    from lacal.cli.show import WithProgress, show_json, show_text
    from lacal.report import numbers, text

    group_rule_of(given)
    counts = counts_of(given)
    names = counts.names if counts else None
    opened = source_of(source, given, class_names=names)
    prior = prior_of(given, counts, opened)
    groups = groups_of(given, prior, opened)
    seen = pipeline.inspect(WithProgress(opened), prior)
    if given["json"] or given["format"] == "json":
        show_json(numbers.inspection(seen, opened, prior, groups))
    else:
        show_text(text.inspection(seen, opened, prior, groups))
