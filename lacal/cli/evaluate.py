"""`lacal evaluate`: errors, scores and calibration with their uncertainty, and gates on them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lacal.cli.class_options import (
    counts_of,
    counts_options,
    group_rule_of,
    groups_of,
    groups_option,
    prior_of,
    target_prior_of,
    target_prior_option,
)
from lacal.cli.gate_options import gate_options, gates_of
from lacal.cli.model_options import runs_model, takes_model
from lacal.cli.options import (
    FILE,
    force_adjust_option,
    inputs_of,
    refuse_beside_calibration,
    refuse_typed,
    source_options,
    source_options_of,
    weight_option,
)
from lacal.cli.outputs import command_line, deliver, report_options
from lacal.cli.run_input import logits_of_run
from lacal.cli.sections import Sectioned
from lacal.cli.sources import model_without_inputs, source_of
from lacal.cli.targets import check_reports, wants_page
from lacal.cli.temperature_options import temperature_of, temperature_option
from lacal.errors import DataError, UsageError

if TYPE_CHECKING:
    from lacal.calibration import Calibration
    from lacal.classes.groups import Groups
    from lacal.classes.prior import LabelPrior
    from lacal.classes.target import TargetPrior
    from lacal.formats import Table
    from lacal.gates.verdict import Verdict
    from lacal.pipeline.keeping import Keep
    from lacal.report.evaluation import Evaluated
    from lacal.report.page.content import Page
    from lacal.report.result import Result
    from lacal.rows.predicted_scores import PredictionsFile
    from lacal.rows.source import Source


_NO_TAU = (
    "evaluate takes its tau from --calibration FILE (lacal tune-tau writes one); of a tau of your own, lacal adjust "
    "--counts FILE --tau T writes the predictions that evaluate measures"
)


@click.command("evaluate", cls=Sectioned)
@click.argument("source", type=FILE)
@click.option("--calibration", type=FILE, help="Adjust the logits with this.")
@click.option("--tau", hidden=True, help="Refused, with what to do instead.")
@counts_options
@groups_option
@target_prior_option
@temperature_option
@click.option(
    "--bins",
    type=click.IntRange(2, 1000),
    default=15,
    show_default=True,
    help="Equal-width bins of the calibration errors.",
)
@click.option("--allow-tuned-rows", is_flag=True, help="Score the rows that tau was tuned on.")
@click.option("--force", is_flag=True, help="Replace existing reports.")
@force_adjust_option
@source_options
@weight_option
@report_options
@gate_options
@takes_model
def command(source: Path, **given: Any) -> None:
    """Measure the errors of SOURCE: labelled logits, a predictions file with labels, a model, or a training run.

    Groups (many, medium, few) need the training counts, from --counts or --calibration, or a file of --groups.
    Adjusted logits are taken as probabilities of classes in equal shares, or in those of --target-prior. Neither
    changes a prediction, which is for the balanced error; see lacal adjust --help for the fewest errors in known shares.

    \b
    Example:
      lacal evaluate predictions.parquet --counts counts.csv
    """
    from lacal import calibration_file
    from lacal.gates.candidate import Candidate
    from lacal.report.evaluation import evaluation_warnings
    from lacal.rows.predicted import is_predictions

    refuse_typed("tau", because=_NO_TAU)
    if not runs_model(given):
        source = logits_of_run(source, given)
    check_reports(given, inputs_of(source, given))
    gates = gates_of(given)
    group_rule_of(given)
    loaded = calibration_file.read(given["calibration"]) if given["calibration"] else None
    if loaded is not None:
        refuse_beside_calibration("counts", "zero_count")
    else:
        refuse_typed(
            "force_adjust", "fit_temperature", because="without --calibration nothing is adjusted"
        )
    table = None if runs_model(given) else _opened(source)
    if table is not None and is_predictions(table):
        one = _predictions(table, loaded, given, decisions=gates.needs_decisions)
    else:
        one = _logits(source, loaded, given, decisions=gates.needs_decisions)
    found = one.found
    candidate = Candidate(
        one.measures,
        found.tally.support,
        one.class_names,
        one.groups,
        found.decisions,
        found.weighted,
        one.target,
        found.measured.top.error().scheme if found.measured.top else None,
        found.probabilities if found.measured.top else None,
    )
    verdicts, remarks = gates.judge(candidate)
    warnings = [*evaluation_warnings(one), *remarks]
    deliver(_result(one, warnings, verdicts), given)


def _opened(path: Path) -> "Table":
    from lacal.formats import open_table

    try:
        return open_table(path)
    except DataError as error:
        raise model_without_inputs(path) or error from error


def _logits(
    path: Path, loaded: "Calibration | None", given: dict[str, Any], *, decisions: bool
) -> "Evaluated":
    """A source of logits, adjusted or as it is."""
    from lacal import pipeline
    from lacal.cli.show import WithProgress
    from lacal.pipeline.temperature import HeldApart
    from lacal.probabilities import Probabilities
    from lacal.report.evaluation import Evaluated
    from lacal.rows.source import refuse_corrected, require_labels, training_of

    if runs_model(given):
        refuse_typed("weight_key", because="SOURCE is a model, whose inputs carry no weights")
    counts = counts_of(given)
    source = source_of(
        path,
        given,
        class_names=loaded.prior.class_names if loaded else counts.names if counts else None,
        shift_blind=loaded is None or loaded.shift_blind,
        allow_adjusted=loaded is None or given["force_adjust"],
    )
    require_labels(source)
    prior = loaded.prior if loaded else prior_of(given, counts, source)
    if loaded is not None:
        loaded.check_fits(source.classes, source.class_names, source.place)
        if not loaded.adjustment.changes_nothing:
            refuse_corrected(training_of(source), source.place, force=given["force_adjust"])
    groups, target = _asked(given, prior, source)
    fitted = None if loaded is None else temperature_of(given, loaded, source, target)
    shown, apart = WithProgress(source), None
    if fitted is not None:
        apart = HeldApart(shown, fitted, allow_tuned_rows=given["allow_tuned_rows"])
    found = pipeline.evaluate(
        apart or shown,
        loaded,
        allow_tuned_rows=given["allow_tuned_rows"],
        keep=_keep(given, groups, decisions=decisions),
        probabilities=Probabilities(
            fitted.value if fitted else 1.0, target.log_prior if target and loaded else None
        ),
    )
    return Evaluated.of(
        found,
        str(path),
        prior,
        class_names=(prior and prior.class_names) or source.class_names,
        groups=groups,
        target=target,
        temperature=fitted,
        fitted_share=0.0 if apart is None else apart.share,
    )


def _predictions(
    table: "Table", loaded: "Calibration | None", given: dict[str, Any], *, decisions: bool
) -> "Evaluated":
    """A file of predictions, which are measured as they are."""
    from lacal import pipeline
    from lacal.classes.prior import ZeroCount
    from lacal.report.evaluation import Evaluated
    from lacal.rows.predicted_scores import open_predictions

    place = str(table.path)
    if loaded is not None:
        raise UsageError(
            f"{place}: holds predictions, which a calibration cannot adjust again; leave "
            "--calibration out, or give the logits"
        )
    if given["labels"] is not None:
        raise UsageError(
            f"{place}: holds predictions; their labels stand in the same file; leave --labels "
            "out, and give it to the lacal adjust that writes them"
        )
    ids = () if decisions else ("id_key",)
    refuse_typed(
        *("scores", "logits_key", "skip_key", *ids),
        because=f"{place}: holds predictions, so there are no logits to read",
    )
    counts, prior = counts_of(given), None
    if counts is not None:
        prior = counts.prior(
            class_names=table.class_names,
            logits_place=place,
            zero_count=ZeroCount.parse(given["zero_count"]),
        )
    file = open_predictions(table, prior, source_options_of(given))
    groups, target = _asked(given, prior, file)
    found = pipeline.evaluate_predictions(file, keep=_keep(given, groups, decisions=decisions))
    return Evaluated.of(
        found,
        place,
        prior,
        class_names=file.class_names,
        groups=groups,
        target=target or file.beside.target,
        taken=file.target,
    )


def _asked(
    given: dict[str, Any], prior: "LabelPrior | None", source: "Source | PredictionsFile"
) -> "tuple[Groups | None, TargetPrior | None]":
    """The groups of the classes, and the class shares of deployment."""
    target = target_prior_of(
        given,
        prior,
        classes=source.classes,
        class_names=source.class_names,
        place=source.place,
    )
    return groups_of(given, prior, source), target


def _keep(given: dict[str, Any], groups: "Groups | None", *, decisions: bool) -> "Keep":
    """What the pass gathers: a page shows the curve over tau, and where predictions moved."""
    from lacal.pipeline.keeping import Keep

    page = wants_page(given)
    return Keep(path=page, decisions=decisions, groups=groups if page else None, bins=given["bins"])


def _result(one: "Evaluated", warnings: list[str], verdicts: "tuple[Verdict, ...]") -> "Result":
    from lacal.report.evaluation import evaluation_text
    from lacal.report.evaluation_json import evaluation_json
    from lacal.report.result import Result

    return Result(
        "evaluate",
        json=lambda: evaluation_json(one, warnings, verdicts),
        blocks=lambda: evaluation_text(one),
        warnings=tuple(warnings),
        verdicts=verdicts,
        page=lambda: _page(one, warnings),
    )


def _page(one: "Evaluated", warnings: list[str]) -> "Page":
    from lacal.report.page.of_evaluation import page_of_evaluation

    return page_of_evaluation(one, command_line(), tuple(warnings))
