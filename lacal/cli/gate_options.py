"""Options that make a run fail: --fail-if over one run's measures, --baseline over those of an earlier one."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lacal.cli.options import FILE
from lacal.cli.param_types import LINE
from lacal.cli.run_input import logits_of_run
from lacal.cli.sections import section

if TYPE_CHECKING:
    from lacal.cli.completing import Items
    from lacal.gates.expression import Gate
    from lacal.gates.gates import Gates

F = TypeVar("F", bound=Callable[..., Any])


def fail_if_options(command: F) -> F:
    """--fail-if and --exit-zero alone, for a command that compares two runs itself."""
    return section("Gates", *_own())(command)


def gate_options(command: F) -> F:
    """--fail-if, --baseline with its limits, and --exit-zero; read by `gates_of`."""
    fail_if, exit_zero = _own()
    options = [
        fail_if,
        click.option("--baseline", type=FILE, metavar="METRICS",
                     help="JSON that `lacal evaluate` printed of an earlier run."),
        click.option("--max-increase", type=LINE, multiple=True, metavar="NAME=LIMIT",
                     shell_complete=_complete_limit,
                     help="Exit with 1 if NAME rose above the baseline's by more than LIMIT: 0.01, or 5% of "
                          "the baseline's value; may be given again."),
        click.option("--max-decrease", type=LINE, multiple=True, metavar="NAME=LIMIT",
                     shell_complete=_complete_limit,
                     help="The same of a measure that is better when higher."),
        click.option("--significant", is_flag=True,
                     help="Fail a limit only if the paired 95 % interval of the change excludes 0 too."),
        click.option("--baseline-predictions", type=FILE, metavar="FILE",
                     help="The baseline's predictions of the same rows, for --significant."),
        exit_zero,
    ]  # fmt: skip
    return section("Gates", *options)(command)


def _complete_gate(ctx: click.Context, param: click.Parameter, incomplete: str) -> "Items":
    from lacal.cli.completing import gate_names

    return gate_names(ctx, param, incomplete)


def _complete_limit(ctx: click.Context, param: click.Parameter, incomplete: str) -> "Items":
    from lacal.cli.completing import limits

    return limits(ctx, param, incomplete)


def _own() -> tuple[Callable[[F], F], Callable[[F], F]]:
    return (
        click.option(
            "--fail-if", type=LINE, multiple=True, metavar="EXPRESSION", shell_complete=_complete_gate,
            help="Exit with 1 if it holds, such as 'balanced_error > 35% or few.error > 0.6'; may be given again.",
        ),
        click.option(
            "--exit-zero", is_flag=True, help="Print what became of the gates, but exit with 0."
        ),
    )  # fmt: skip


def gates_of(given: dict[str, Any]) -> "Gates":
    """The gates among a command's parameters, read and checked before any long work.

    In a command, between measuring and delivering:

        gates = gates_of(given)  # early
        ... Keep(decisions=gates.needs_decisions)
        verdicts, warnings = gates.judge(Candidate(measures, tally.support, class_names, groups, found.decisions))

    Raises:
        UsageError: An expression or limit that is malformed, or options that lack one another.
        DataError: A baseline that is no JSON of `lacal evaluate`.
    """
    from lacal.gates.gates import Gates, conditions_of, earlier_of, limits_of

    conditions = conditions_of(given["fail_if"])
    if "baseline" not in given:
        return Gates(conditions)
    if conditions:
        _check_names(conditions)
    limits, baseline = limits_of(given["baseline"], given["max_increase"], given["max_decrease"])
    predictions = given["baseline_predictions"]
    if predictions is not None:
        predictions = logits_of_run(predictions)
    from lacal.rows.logits_source import SourceOptions

    # Of the same kind as the run's own file: what a row without a label carries, and which columns are no class.
    options = SourceOptions(ignore_label=given["ignore_label"], skip_keys=tuple(given["skip_key"]))
    earlier = earlier_of(given["significant"], predictions, limits, baseline, options)
    return Gates(conditions, limits, baseline, earlier)


def _check_names(conditions: "tuple[Gate, ...]") -> None:
    """Refuse what is no measure of any evaluation; which groups and classes there are the data say."""
    from lacal.cli.completing import metric_names
    from lacal.gates.judge import check_names
    from lacal.measure import GROUP_METRICS

    ends = tuple(f".{name}" for name in GROUP_METRICS)
    for gate in conditions:
        check_names(gate, metric_names(), ends)
