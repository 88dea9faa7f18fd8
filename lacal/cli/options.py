"""Options that several commands share, and what they build.

Choices and grids are read late, so that showing a help page imports no NumPy.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from lacal.cli.completing import words, words_or_file
from lacal.errors import UsageError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from lacal.classes.class_counts import Counts
    from lacal.classes.groups import Classes, GroupRule, Groups
    from lacal.classes.prior import LabelPrior
    from lacal.classes.target import TargetPrior
    from lacal.methods import ClassStatistics
    from lacal.rows.logits_source import SourceOptions
    from lacal.rows.source import Source

F = TypeVar("F", bound=Callable[..., Any])


class OneOf(click.ParamType[str]):
    """A choice that names the nearest one when it is missed."""

    name = "choice"

    def __init__(self, *choices: str) -> None:
        """Take the choices in the order they are shown."""
        self.choices = choices

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """The choices between brackets."""
        return f"[{'|'.join(self.choices)}]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The value itself, if it is one of the choices."""
        if value not in self.choices:
            from lacal.classes.names import near_miss, shown

            hint = near_miss(str(value), self.choices)
            known = ", ".join(self.choices)
            self.fail(f"{shown(str(value))} is not one of {known}.{hint}", param, ctx)
        return str(value)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> "list[CompletionItem[str]]":
        """The choices that begin so."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(one) for one in self.choices if one.startswith(incomplete)]


METHOD_NAMES = ("logit-adjustment", "weight-norm", "prior-division")
FILE = click.Path(path_type=Path)


def _stack(*options: Callable[[F], F]) -> Callable[[F], F]:
    def decorate(command: F) -> F:
        return functools.reduce(lambda inner, option: option(inner), reversed(options), command)

    return decorate


def source_options(command: F) -> F:
    """How to read logits, labels and ids; collected by `source_of`."""
    return _stack(
        click.option("--labels", type=FILE, help="File of labels, if not beside the logits."),
        click.option("--logits-key", metavar="NAME", help="Field of the logits, or 'PREFIX*'."),
        click.option(
            "--label-key", metavar="NAME", help="Field of the labels [default: label(s)]."
        ),
        click.option("--id-key", metavar="NAME", help="Field of the row ids [default: id(s)]."),
        click.option(
            "--scores",
            type=OneOf("logits", "log-probs", "probs"),
            help="What the numbers are [default: logits, checked].",
        ),
        click.option(
            "--ignore-label",
            metavar="LABEL",
            help="What rows without a label carry: a number, a text, or '' for an empty cell.",
        ),
        click.option(
            "--skip-key",
            metavar="NAME",
            multiple=True,
            help="Column that is no class (a weight, a score); as often as needed.",
        ),
    )(command)


def counts_options(command: F) -> F:
    """Where training counts come from; read by `prior_of`."""
    return _stack(
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


def weight_option(command: F) -> F:
    """How much each row counts; collected by `source_options_of`."""
    return click.option(
        "--weight-key", metavar="NAME", help="Field of row weights [default: every row counts 1]."
    )(command)


def target_prior_option(command: F) -> F:
    """The class shares of deployment; read by `target_prior_of`."""
    return click.option(
        "--target-prior",
        metavar="PRIOR",
        shell_complete=words_or_file("uniform", "train"),
        help="Class shares where the model will be used: uniform, train, or a FILE of class,share.",
    )(command)


def method_options(command: F) -> F:
    """Which post-hoc method, and the head it needs; read by `statistics_of`."""
    return _stack(
        click.option(
            "--method",
            type=OneOf(*METHOD_NAMES),
            default=METHOD_NAMES[0],
            show_default=True,
            help="Post-hoc method.",
        ),
        click.option(
            "--head", type=FILE, help="The classifier's weight (and bias), for weight-norm."
        ),
        click.option(
            "--bias",
            type=OneOf("drop", "scale", "keep"),
            default="drop",
            show_default=True,
            help="What weight-norm does with the head's bias.",
        ),
    )(command)


def force_adjust_option(command: F) -> F:
    """Whether to adjust what adjusting over-corrects."""
    return click.option(
        "--force-adjust",
        is_flag=True,
        help="Adjust logits that carry the correction already, from lacal or from training.",
    )(command)


def format_options(*formats: str) -> Callable[[F], F]:
    """How the result is printed."""
    return _stack(
        click.option(
            "--format",
            type=OneOf(*formats),
            default=formats[0],
            show_default=True,
            help="How the result is printed.",
        ),
        click.option("--json", is_flag=True, help="Short for --format json."),
    )


def source_options_of(given: dict[str, Any]) -> "SourceOptions":
    """The source options among a command's parameters."""
    from lacal.rows.logits_source import SourceOptions

    names = ("labels", "logits_key", "label_key", "id_key", "scores", "ignore_label")
    said = {name: given[name] for name in names}
    skipped = tuple(given["skip_key"])
    return SourceOptions(**said, weight_key=given.get("weight_key"), skip_keys=skipped)


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


def refuse_beside_calibration(*names: str) -> None:
    """Refuse options that a calibration file already decides, if they were typed."""
    for name in names:
        refuse_typed(name, because=f"--calibration brings its own {name}")


def refuse_head_without_weight_norm(given: dict[str, Any]) -> None:
    """Refuse a head that no method would look at, if it was typed."""
    if given["method"] != "weight-norm":
        refuse_typed("head", "bias", because=f"--method {given['method']} uses no head")


def refuse_typed(*names: str, because: str) -> None:
    """Refuse options that have no say here, if they were typed."""
    ctx = click.get_current_context()
    for name in names:
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise UsageError(f"{because}; leave --{name.replace('_', '-')} out")


def inputs_of(source: Path, given: dict[str, Any]) -> tuple[Path, ...]:
    """Every file a command reads, none of which its output may replace."""
    runs_model = given.get("inputs") is not None and source.is_file()
    return model_inputs_of(source, given) if runs_model else (source, *_others(given))


def model_inputs_of(model: Path, given: dict[str, Any]) -> tuple[Path, ...]:
    """The same of a command that reads a model: its weights may lie in files of their own."""
    from lacal.models import model_files

    return (*model_files(model), *_others(given))


def _others(given: dict[str, Any]) -> tuple[Path, ...]:
    names = ("calibration", "counts", "head", "inputs", "labels", "groups", "target_prior",
             "fit_temperature", "baseline", "baseline_predictions")  # fmt: skip
    config = click.get_current_context().find_root().params.get("config")
    others = [*(given.get(name) for name in names), config]
    return tuple(Path(one) for one in others if one is not None)


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


def statistics_of(
    given: dict[str, Any], prior: "LabelPrior", source: "Source", path: Path
) -> "ClassStatistics":
    """What the method needs to know of the classes; a model at `path` brings its own head."""
    from lacal.cli.show import say
    from lacal.head import read_head
    from lacal.methods import ClassStatistics
    from lacal.models import ModelOptions
    from lacal.ranks import rank_correlation

    of_model = given["method"] == "weight-norm" and given["inputs"] is not None
    head_path = given["head"] or (path if of_model else None)
    if head_path is None:
        return ClassStatistics(prior.log_prior, bias_rule=given["bias"])
    head = read_head(
        head_path,
        classes=source.classes,
        class_names=prior.class_names,
        logits_place=source.place,
        options=ModelOptions(output=given["output"], trust=given["trust_model"]),
    )
    follow = rank_correlation(head.weight_norms, prior.class_counts)
    say(f"head: {head.found}; rank correlation of its norms with the class counts {follow:.2f}")
    return ClassStatistics(prior.log_prior, head.weight_norms, head.bias, given["bias"])
