"""`lacal tune-tau`: search tau for balanced error on a validation split."""

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
from lacal.cli.model_options import runs_model, takes_model
from lacal.cli.options import (
    FILE,
    OneOf,
    draws_options,
    force_adjust_option,
    inputs_of,
    method_options,
    refuse_head_without_weight_norm,
    source_options,
    statistics_of,
)
from lacal.cli.outputs import command_line, deliver, report_options
from lacal.cli.sections import Sectioned
from lacal.cli.sources import source_of
from lacal.cli.targets import check_reports
from lacal.errors import UsageError

if TYPE_CHECKING:
    from lacal.classes.groups import Groups
    from lacal.pipeline.tune_tau import Tuning
    from lacal.report.page.content import Page
    from lacal.report.result import Result
    from lacal.rows.source import Source


@click.command("tune-tau", cls=Sectioned)
@click.argument("val", type=FILE)
@counts_options
@method_options
@click.option(
    "--grid",
    metavar="FIRST:LAST:STEP",
    help="Taus of the printed curve; its ends bound the pick [default: 0:4:0.05, prior-division "
    "0:1:0.0125].",
)
@click.option(
    "--select",
    type=OneOf("shrunk", "smoothed", "min"),
    default="shrunk",
    show_default=True,
    help="How tau is picked from the curve.",
)
@draws_options()
@groups_option
@click.option("-o", "--out", type=FILE, help="Calibration file to write (JSON).")
@click.option("--force", is_flag=True, help="Replace existing outputs.")
@force_adjust_option
@source_options
@report_options
@takes_model
def command(val: Path, **given: Any) -> None:
    """Search the tau that minimises balanced error on VAL, a labelled validation split.

    The error curve is computed exactly for every real tau in one pass. The report shows the curve on
    the grid, the exact optimum, what each selection rule picks, and intervals for tau and for the gain.
    An HTML report and charts read VAL a second time, to show what the picked tau does to every class.

    \b
    Example:
      lacal tune-tau val.npz --counts counts.csv -o calibration.json --report report.html
    """
    from lacal import pipeline
    from lacal.atomic import check_target
    from lacal.cli.show import WithProgress
    from lacal.methods import METHODS
    from lacal.pipeline.tune_tau import Search
    from lacal.rows.source import refuse_corrected, training_of
    from lacal.tau.grid import parse_grid

    output = given["out"]
    inputs = inputs_of(val, given)
    if output is not None:
        check_target(output, force=given["force"], inputs=inputs)
    check_reports(given, inputs)
    refuse_head_without_weight_norm(given)
    name = given["method"]
    if name == "weight-norm" and given["head"] is None and not runs_model(given):
        raise UsageError("weight-norm needs the classifier's head; give --head FILE")
    grid = parse_grid(given["grid"], METHODS[name])
    counts = counts_of(given)
    if counts is None:
        raise counts_needed()
    source = source_of(
        val,
        given,
        class_names=counts.names if counts else None,
        shift_blind=name == "logit-adjustment",
        allow_adjusted=given["force_adjust"],
    )
    training = training_of(source)
    refuse_corrected(training, source.place, force=given["force_adjust"])
    prior = required_prior_of(given, counts, source)
    groups = prior.groups(group_rule_of(given))
    # Logits that carry the whole correction are right at tau 0, unless the rows say otherwise.
    reference = 0.0 if training is not None and training.carries == "prior" else None
    search = Search(name, grid, given["select"], given["draws"], given["seed"], reference)
    found = pipeline.tune_tau(
        WithProgress(source),
        prior,
        statistics_of(given, prior, source, val),
        search,
        scores=given["scores"] or "logits",
    )
    deliver(_result(found, source, groups), given, found.calibration)


def _result(found: "Tuning", source: "Source", groups: "Groups") -> "Result":
    from lacal.report import numbers, text
    from lacal.report.result import Result
    from lacal.report.warnings import of_tuning

    return Result(
        "tune-tau",
        json=lambda: numbers.tuning(found, source, groups),
        blocks=lambda: text.tuning(found, source, groups),
        warnings=tuple(of_tuning(found)),
        page=lambda: _page(found, source, groups),
    )


def _page(found: "Tuning", source: "Source", groups: "Groups") -> "Page":
    """The report with charts, which looks at every row again under the picked tau."""
    from lacal import pipeline
    from lacal.cli.show import WithProgress
    from lacal.pipeline.keeping import Keep
    from lacal.report.page.of_tuning import page_of_tuning

    scored = pipeline.evaluate(
        WithProgress(source, "scoring"),
        found.calibration,
        allow_tuned_rows=True,
        keep=Keep(groups=groups),
    )
    return page_of_tuning(found, scored, source.place, groups, command_line())
