"""Options of `lacal train`, under their headings; `lacal.cli.training_settings` says what they settle.

The names of losses, heads, samplers and second stages come from their tables, the defaults from `TrainOptions`.
"""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar, get_args

import click

from lacal.cli.completing import head_values, loss_values, stage_values, words
from lacal.cli.options import FILE, OneOf
from lacal.cli.param_types import LINE
from lacal.cli.sections import section
from lacal.loss_table import LOSSES
from lacal.training.head_table import HEADS
from lacal.training.options import Keep, Optimiser, Precision, Sampler, TrainOptions
from lacal.training.second_stage_table import SECOND_STAGES

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT = TrainOptions()


class RowOf(OneOf):
    """A row of a table: the names stand in the help text, which wraps."""

    name = "name"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """NAME."""
        return "NAME"


class Number(click.ParamType[float]):
    """A finite number within bounds."""

    name = "number"

    def __init__(self, low: float, high: float = float("inf"), *, above: bool = False) -> None:
        """Take the bounds; `above` leaves the lower one out."""
        self.low, self.high, self.above = low, high, above

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number."""
        number = float(click.FLOAT.convert(value, param, ctx))
        fits = self.low < number if self.above else self.low <= number
        if not (fits and number <= self.high and number < float("inf")):
            low = f"above {self.low:g}" if self.above else f"at least {self.low:g}"
            high = f" and at most {self.high:g}" if self.high < float("inf") else ""
            self.fail(f"{value} is out of range; expected a number {low}{high}.", param, ctx)
        return number


def data_options(command: F) -> F:
    """What is trained on; read by `data_options_of`."""
    return section(
        "Data",
        click.option("--val", type=FILE, help="Validation split: chooses the epoch and tau."),
        click.option("--test", type=FILE, help="Test split: reported, never chosen on."),
        click.option(
            "--val-fraction",
            type=Number(0, 0.9, above=True),
            metavar="X",
            help="Cut this share of every class off DATA for validation [default: 0.1, without --val].",
        ),
        click.option(
            "--long-tail",
            metavar="PROFILE:RATIO",
            shell_complete=words("exp:100", "step:10"),
            help="Cut balanced training data long-tailed: exp:100 or step:10.",
        ),
        click.option("--counts", type=FILE, help="Names and order of the classes, and a check."),
        click.option(
            "--input", metavar="FIELD", help="Field of the inputs, where it is not plain."
        ),
        click.option(
            "--label-key", metavar="NAME", help="Field of the labels [default: label(s)]."
        ),
        click.option("--id-key", metavar="NAME", help="Field of the row ids [default: id(s)]."),
        click.option("--root", type=FILE, help="Folder that the paths of a list file start from."),
        click.option(
            "--workers", type=click.IntRange(1, 256), help="Threads that read and decode."
        ),
    )(command)


def preprocessing_options(command: F) -> F:
    """What becomes of the inputs: sizes while they are read, values inside the network."""
    return section(
        "Inputs",
        click.option("--preset", type=OneOf("imagenet", "cifar10"), help="Usual preprocessing."),
        click.option("--resize", metavar="N|HxW", help="Shorter side, or both sides, of images."),
        click.option("--crop", metavar="N|HxW", help="Centre crop of images."),
        click.option("--channels", type=OneOf("RGB", "BGR", "L"), help="Channels of images."),
        click.option("--layout", type=OneOf("NCHW", "NHWC"), help="Axes of image arrays."),
        click.option("--scale", metavar="X", help="The network multiplies by this, as 1/255 ..."),
        click.option("--mean", metavar="A,B,C", help="... subtracts this ..."),
        click.option(
            "--std",
            metavar="A,B,C",
            help="... and divides by this [default: mean and std of the training values].",
        ),
        click.option("--no-normalise", is_flag=True, help="The network takes values as they are."),
    )(command)


def network_options(command: F) -> F:
    """What is trained, by which loss."""
    return section(
        "Network and loss",
        click.option(
            "--network",
            metavar="NAME",
            default=DEFAULT.network,
            show_default=True,
            help="linear, mlp[:WIDTH,...], small-cnn[:WIDTH] or resnet32; auto is small-cnn for images, else mlp.",
        ),
        click.option(
            "--model",
            metavar="PACKAGE.MODULE:FACTORY",
            help="A backbone of your own: a function of an example's shape.",
        ),
        click.option(
            "--head", type=RowOf(*HEADS), help=f"{_names(HEADS)} [default: what the loss needs]."
        ),
        click.option(
            "--head-option",
            metavar="NAME=VALUE",
            multiple=True,
            type=LINE,
            shell_complete=head_values,
            help="Such as scale=30.",
        ),
        click.option(
            "--loss",
            type=RowOf(*LOSSES),
            default=DEFAULT.loss,
            show_default=True,
            help=f"{_names(LOSSES)}.",
        ),
        click.option(
            "--loss-option",
            metavar="NAME=VALUE",
            multiple=True,
            type=LINE,
            shell_complete=loss_values,
            help="Such as tau=1 or drw=0.8; lacal train --list losses shows all.",
        ),
        click.option(
            "--sampler",
            type=RowOf(*get_args(Sampler)),
            default=DEFAULT.sampler,
            show_default=True,
            help=f"How examples are drawn: {_names(get_args(Sampler))}.",
        ),
    )(command)


def step_options(command: F) -> F:
    """How the weights are found."""
    return section(
        "Optimisation",
        _counted("--epochs", DEFAULT.epochs, 1, "Passes over the training data."),
        _counted("--batch-size", DEFAULT.batch_size, 2, "Rows of a step."),
        _choice("--optimiser", DEFAULT.optimiser, get_args(Optimiser), "How weights are moved."),
        _number("--lr", DEFAULT.lr, Number(0, above=True), "Peak learning rate; of adamw 0.001."),
        _number("--momentum", DEFAULT.momentum, Number(0, 1), "Of SGD."),
        click.option("--nesterov/--no-nesterov", default=False, help="Nesterov's momentum."),
        _number("--weight-decay", DEFAULT.weight_decay, Number(0), "Of all parameters."),
        _counted("--warmup", DEFAULT.warmup, 0, "Epochs over which the rate rises."),
        click.option(
            "--schedule",
            metavar="NAME",
            shell_complete=words("constant", "cosine", "step:60,80:0.1"),
            default=DEFAULT.schedule,
            show_default=True,
            help="Of the rate: constant, cosine, or step:EPOCH,...:FACTOR,...",
        ),
        click.option(
            "--clip",
            type=Number(0, above=True),
            metavar="NORM",
            help="Largest norm of the gradient [default: none].",
        ),
        click.option(
            "--augment",
            metavar="NAME,...",
            shell_complete=words("crop:4", "flip", "crop:4,flip"),
            default=DEFAULT.augment,
            help="Of images: crop:PIXELS, flip, or both [default: none].",
        ),
        _choice("--precision", DEFAULT.precision, get_args(Precision), "What is computed in."),
        _choice(
            "--keep", DEFAULT.keep, get_args(Keep), "Epoch to keep: best on validation, or last."
        ),
    )(command)


def stage_options(command: F) -> F:
    """A second stage on a finished run."""
    return section(
        "Second stage",
        click.option("--start", type=FILE, metavar="RUN", help="A finished run to start from."),
        click.option(
            "--second-stage",
            type=RowOf(*SECOND_STAGES),
            help=f"What is trained on its frozen features: {_names(SECOND_STAGES)}.",
        ),
        click.option(
            "--stage-option",
            metavar="NAME=VALUE",
            multiple=True,
            type=LINE,
            shell_complete=stage_values,
            help="Of the stage.",
        ),
    )(command)


def machine_options(command: F) -> F:
    """Where it runs, and what is drawn."""
    return section(
        "Machine",
        _counted("--seed", DEFAULT.seed, 0, "Of weights, order, augmentation and splits."),
        click.option(
            "--device",
            type=OneOf("auto", "cpu", "cuda"),
            default=DEFAULT.device,
            show_default=True,
            help="Where to run; cuda that cannot be had is an error.",
        ),
        click.option("--threads", type=click.IntRange(1, 256), help="Of torch, on the CPU."),
    )(command)


def _names(table: Iterable[str]) -> str:
    return ", ".join(table)


def _counted(option: str, default: int, low: int, told: str) -> Callable[[F], F]:
    return click.option(
        option, type=click.IntRange(low), metavar="N", default=default, show_default=True, help=told
    )


def _number(option: str, default: float, kind: Number, told: str) -> Callable[[F], F]:
    return click.option(
        option, type=kind, metavar="X", default=default, show_default=True, help=told
    )


def _choice(option: str, default: str, choices: tuple[str, ...], told: str) -> Callable[[F], F]:
    return click.option(option, type=OneOf(*choices), default=default, show_default=True, help=told)
