"""Options about the classes that several commands share, and what they build: counts, groups, target prior."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lacal.cli.completing import words, words_or_file
from lacal.cli.options import FILE, stacked
from lacal.errors import UsageError

if TYPE_CHECKING:
    from lacal.classes.class_counts import Counts
    from lacal.classes.groups import Classes, GroupRule, Groups
    from lacal.classes.prior import LabelPrior
    from lacal.classes.target import TargetPrior
    from lacal.rows.source import Source

F = TypeVar("F", bound=Callable[..., Any])


def counts_options(command: F) -> F:
    """Where training counts come from; read by `prior_of`."""
    return stacked(
        click.option("--counts", type=FILE, help="Training counts per class (or labels to count)."),
        click.option("--counts-key", metavar="NAME", help="Field of the counts."),
        click.option("--counts-from-labels", is_flag=True, help="The counts file holds labels."),
        click.option(
            "--zero-count",
            metavar="RULE",
            shell_complete=words("error", "mask", "smooth:1"),
            default="error",
            show_default=True,
            help="For a class of zero count: error, mask (never predict it) or smooth:K.",
        ),
    )(command)


def groups_option(command: F) -> F:
    """Which classes are looked at together; read by `groups_of`."""
    return click.option(
        "--groups",
        metavar="RULE",
        shell_complete=words_or_file("100,20", "quantiles:3"),
        help="MANY,FEW of the training counts, quantiles:N of them, or a FILE of class,group "
        "[default: 100,20].",
    )(command)


def target_prior_option(command: F) -> F:
    """The class shares of deployment; read by `target_prior_of`."""
    return click.option(
        "--target-prior",
        metavar="PRIOR",
        shell_complete=words_or_file("uniform", "train"),
        help="Class shares where the model will be used: uniform, train, or a FILE of class,share.",
    )(command)


def counts_of(given: dict[str, Any]) -> "Counts | None":
    """The counts file, or None where none is given; a zero rule misspelt is refused either way."""
    from lacal.classes.prior import ZeroCount

    ZeroCount.parse(given["zero_count"])
    if given["counts"] is None:
        return None
    from lacal.classes.counts import read_counts

    return read_counts(
        given["counts"], key=given["counts_key"], from_labels=given["counts_from_labels"]
    )


def prior_of(
    given: dict[str, Any], counts: "Counts | None", source: "Source"
) -> "LabelPrior | None":
    """The training counts, checked against the source's classes."""
    if counts is None:
        return None
    from lacal.classes.prior import ZeroCount

    return counts.prior(
        classes=source.classes,
        class_names=source.class_names,
        logits_place=source.place,
        zero_count=ZeroCount.parse(given["zero_count"]),
    )


def group_rule_of(given: dict[str, Any]) -> "GroupRule":
    """The rule of --groups, its file read; the default where none is given."""
    from lacal.classes.groups import GroupRule

    return GroupRule() if given["groups"] is None else GroupRule.parse(given["groups"])


def groups_of(
    given: dict[str, Any], prior: "LabelPrior | None", source: "Classes | None" = None
) -> "Groups | None":
    """The groups of the classes; None where no rule was given and no training counts are known.

    Args:
        given: The command's parameters.
        prior: The training counts, where known.
        source: Says the classes where the counts do not.
    """
    groups = group_rule_of(given).groups(prior, source)
    if groups is None and given["groups"] is not None:
        raise UsageError(
            f"--groups {given['groups']}: groups by training count need the counts; give --counts FILE"
        )
    return groups


def target_prior_of(
    given: dict[str, Any],
    prior: "LabelPrior | None",
    *,
    classes: int,
    class_names: tuple[str, ...] | None,
    place: str,
) -> "TargetPrior | None":
    """The class shares of --target-prior, where it is given."""
    if given["target_prior"] is None:
        return None
    from lacal.classes.target import target_prior

    return target_prior(
        given["target_prior"], prior, classes=classes, class_names=class_names, place=place
    )


def counts_needed() -> UsageError:
    """What a command without counts is told that cannot do without."""
    return UsageError(
        "training counts are needed; give --counts FILE (a CSV of class,count, for example)"
    )


def required_prior_of(
    given: dict[str, Any], counts: "Counts | None", source: "Source"
) -> "LabelPrior":
    """The training counts of a command that cannot do without."""
    prior = prior_of(given, counts, source)
    if prior is None:
        raise counts_needed()
    return prior
