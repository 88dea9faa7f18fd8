"""Options that several commands share, and what they build.

Choices and grids are read late, so that showing a help page imports no NumPy.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from lacal.cli.param_types import LINE, NamedPath
from lacal.cli.read_files import images_in_danger, settings_file
from lacal.cli.sections import section
from lacal.errors import UsageError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from lacal.classes.prior import LabelPrior
    from lacal.methods import ClassStatistics
    from lacal.rows.logits_source import LogitsSource, SourceOptions
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
FILE = NamedPath()
READING = "Reading the rows"


def stacked(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Several options as one decorator, shown in this order."""

    def decorate(command: F) -> F:
        return functools.reduce(lambda inner, option: option(inner), reversed(options), command)

    return decorate


def source_options(command: F) -> F:
    """How to read logits, labels and ids; collected by `source_of`."""
    return section(
        READING,
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
            type=LINE,
            help="Column that is no class (a weight, a score); as often as needed.",
        ),
    )(command)


def weight_option(command: F) -> F:
    """How much each row counts; collected by `source_options_of`."""
    return section(
        READING,
        click.option(
            "--weight-key",
            metavar="NAME",
            help="Field of row weights [default: every row counts 1].",
        ),
    )(command)


def method_options(command: F) -> F:
    """Which post-hoc method, and the head it needs; read by `statistics_of`."""
    return stacked(
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


def draws_options(of: str = "") -> Callable[[F], F]:
    """Bootstrap draws and their seed; `of` stands before what they are for."""
    return stacked(
        click.option(
            "--draws",
            type=click.IntRange(10, 100_000),
            default=1000,
            show_default=True,
            help=f"{of}bootstrap draws behind the intervals."
            if of
            else "Bootstrap draws behind the intervals.",
        ),
        click.option(
            "--seed",
            type=click.IntRange(0),
            default=0,
            show_default=True,
            help=f"{of}seed of the draws and the folds." if of else "Of the draws and the folds.",
        ),
    )


def force_adjust_option(command: F) -> F:
    """Whether to adjust what adjusting over-corrects."""
    return click.option(
        "--force-adjust",
        is_flag=True,
        help="Adjust logits that carry the correction already, from lacal or from training.",
    )(command)


def format_options(*formats: str) -> Callable[[F], F]:
    """How the result is printed."""
    return stacked(
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


def refuse_unknown_skips(given: dict[str, Any], *sources: "LogitsSource") -> None:
    """Refuse a typed --skip-key that no file has; settings may name columns of some files alone.

    Args:
        given: The command's parameters; where they name further files of rows, one of those may have the column.
        sources: The files that were opened.
    """
    typed = click.get_current_context().get_parameter_source("skip_key")
    further = [given.get(name) for name in ("fit_temperature", "baseline_predictions")]
    if typed is not ParameterSource.COMMANDLINE or any(further):
        return
    from lacal.classes.names import shown

    for name in given["skip_key"]:
        if not any(name in source.table.fields for source in sources):
            places = " and ".join(source.place for source in sources)
            raise UsageError(
                f"--skip-key: there is no column {shown(name)} in {places}; leave it out, or mend its spelling"
            )


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
    named = [Path(given[name]) for name in names if given.get(name) is not None]
    return (*named, *settings_file(), *images_in_danger([given.get("inputs")], given))


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
