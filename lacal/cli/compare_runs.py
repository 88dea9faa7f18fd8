"""`lacal compare` of two runs: their decisions joined by id, and gates on what changed."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lacal.cli.class_options import counts_of, groups_of
from lacal.cli.gate_options import gates_of
from lacal.cli.options import source_options_of
from lacal.cli.outputs import command_line
from lacal.cli.run_input import logits_of_run

if TYPE_CHECKING:
    from lacal.classes.class_counts import Counts
    from lacal.classes.groups import Groups
    from lacal.pipeline.compare_runs import RunComparison
    from lacal.report.result import Result
    from lacal.rows.decisions import Decisions
    from lacal.rows.joining import Joined


def runs_result(first: Path, second: Path, given: dict[str, Any]) -> "Result":
    """Compare two predictions files, training runs or logits files, row by row."""
    from lacal import pipeline
    from lacal.gates.candidate import Candidate
    from lacal.report.runs import run_measures
    from lacal.rows.decisions import decisions_of

    gates = gates_of(given)
    files = [logits_of_run(path, given) for path in (first, second)]
    counts = counts_of(given)
    options, names = source_options_of(given), counts.names if counts else None
    sides = [decisions_of(path, options, class_names=names) for path in files]
    joined = _joined(sides[0], sides[1], given)
    groups = _groups(joined, counts, given)
    found = pipeline.compare_runs(joined, groups)
    candidate = Candidate(run_measures(found), found.paired.support, joined.class_names, groups)
    verdicts, remarks = gates.judge(candidate)
    return _result(found, tuple(remarks), verdicts)


def _joined(first: "Decisions", second: "Decisions", given: dict[str, Any]) -> "Joined":
    from lacal.rows.joining import OtherRowsError, join

    try:
        return join(first, second)
    except OtherRowsError as error:
        if given["counts"] is not None or any(_of_predictions(one) for one in (first, second)):
            raise
        hint = "for post-hoc methods on two splits of one model give --counts FILE"
        raise OtherRowsError(f"{error}; {hint}") from error


def _of_predictions(side: "Decisions") -> bool:
    """Whether its file holds no logits, from which alone methods could be tuned."""
    from lacal.formats import open_table
    from lacal.rows.predicted import is_predictions

    return is_predictions(open_table(Path(side.place)))


def _groups(joined: "Joined", counts: "Counts | None", given: dict[str, Any]) -> "Groups | None":
    """The groups of the classes, where counts or a file tell."""
    from lacal.classes.prior import ZeroCount

    prior = None
    if counts is not None:
        prior = counts.prior(
            classes=joined.classes,
            class_names=joined.class_names,
            logits_place=joined.places[0],
            zero_count=ZeroCount.parse(given["zero_count"]),
        )
    return groups_of(given, prior, joined)


def _result(
    found: "RunComparison", remarks: tuple[str, ...], verdicts: "tuple[Any, ...]"
) -> "Result":
    from lacal.report.result import Result
    from lacal.report.runs import runs_json, runs_text, runs_warnings

    warnings = (*runs_warnings(found), *remarks)

    def page() -> Any:
        from lacal.report.page.of_runs import page_of_runs

        return page_of_runs(found, command_line(), warnings)

    return Result(
        "compare",
        json=lambda: {**runs_json(found, warnings), "verdicts": [one.json() for one in verdicts]},
        blocks=lambda: runs_text(found),
        warnings=warnings,
        verdicts=verdicts,
        page=page,
    )
