"""What a shell may offer for the value of an option that is no plain choice, given what is typed of it.

Names come from tables that import no library, read when a shell asks: completing is to be quick, and so is lacal where
nothing is completed.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from lacal.named_options import Option

Items = list[str]
Completer = Callable[[click.Context, click.Parameter, str], Items]


def starting(words: Iterable[str], typed: str) -> Items:
    """Those of the words that begin as typed."""
    return [word for word in words if word.startswith(typed)]


def words_or_file(
    *choices: str,
) -> "Callable[[click.Context, click.Parameter, str], list[CompletionItem[str]]]":
    """For an option that takes one of a few words, or a file: files where no word begins as typed."""

    def complete(
        ctx: click.Context, param: click.Parameter, typed: str
    ) -> "list[CompletionItem[str]]":
        from click.shell_completion import CompletionItem

        found = [CompletionItem(word) for word in starting(choices, typed)]
        return found or [CompletionItem(typed, type="file")]

    return complete


def words(*choices: str) -> Completer:
    """For an option that takes one of a few words, or others that cannot be listed."""
    return lambda ctx, param, typed: starting(choices, typed)


def loss_values(ctx: click.Context, param: click.Parameter, typed: str) -> Items:
    """NAME=VALUE of the loss that was named, or of the default."""
    from lacal.loss_table import LOSSES, options_of

    loss = ctx.params.get("loss")
    return _named_values(options_of(loss), typed) if loss in LOSSES else []


def head_values(ctx: click.Context, param: click.Parameter, typed: str) -> Items:
    """NAME=VALUE of the head that was named, or else of any."""
    from lacal.training.head_table import HEADS

    head = ctx.params.get("head")
    tables = [HEADS[head]] if head in HEADS else HEADS.values()
    return [one for table in tables for one in _named_values(table, typed)]


def stage_values(ctx: click.Context, param: click.Parameter, typed: str) -> Items:
    """NAME=VALUE of the second stage that was named."""
    from lacal.training.second_stage_table import SECOND_STAGES

    stage = ctx.params.get("second_stage")
    return _named_values(SECOND_STAGES[stage].options, typed) if stage in SECOND_STAGES else []


def _named_values(known: "Mapping[str, Option]", typed: str) -> Items:
    """Each option with every word it may be, or with its default, to be changed."""
    return starting(
        (f"{name}={value}" for name, option in known.items() for value in _values(option)), typed
    )


def _values(option: "Option") -> tuple[str, ...]:
    if isinstance(option.default, bool):
        return ("yes", "no")
    if option.words:
        return option.words
    return (f"{option.default:g}" if isinstance(option.default, float) else str(option.default),)


def gate_names(ctx: click.Context, param: click.Parameter, typed: str) -> Items:
    """Names of measures for the last word of an expression; what stands before it is kept."""
    if typed.count('"') % 2:  # in the midst of a class's name
        return []
    last = re.search(r"[\w.]*$", typed)
    at = last.start() if last else len(typed)
    return [typed[:at] + name for name in starting(metric_names(), typed[at:])]


def limits(ctx: click.Context, param: click.Parameter, typed: str) -> Items:
    """NAME=LIMIT, with a limit of each kind, to be changed."""
    return starting(
        (f"{name}={limit}" for name in metric_names() for limit in ("0.01", "5%")), typed
    )


def metric_names() -> Items:
    """Names of measures that depend on no file; of groups, the usual ones."""
    from lacal.measure import GROUP_METRICS, METRIC_NAMES

    of_groups = [f"{group}.{name}" for group in ("many", "medium", "few") for name in GROUP_METRICS]
    return [*METRIC_NAMES, *of_groups]
