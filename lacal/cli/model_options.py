"""Options of commands that run a model, and what they say of the model and of its inputs."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lacal.cli.options import FILE, OneOf
from lacal.cli.param_types import LINE
from lacal.cli.sections import section
from lacal.cli.supervised import supervised
from lacal.errors import UsageError

if TYPE_CHECKING:
    from lacal.inputs.inputs import InputOptions
    from lacal.models import ModelOptions

F = TypeVar("F", bound=Callable[..., Any])

PREPROCESSING = ("preset", "resize", "crop", "mean", "std", "scale", "layout", "channels")
RUNNING = (
    "input",
    "output",
    "device",
    "precision",
    "batch_size",
    "threads",
    "workers",
    "limit",
    "root",
    "allow_nondeterministic",
)


class BatchSize(click.ParamType[int]):
    """A number of rows, or "auto"."""

    name = "number of rows, or auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number; None for auto."""
        if value is None or value == "auto":
            return None
        return click.IntRange(1).convert(value, param, ctx)


def inputs_option(command: F) -> F:
    """What to run SOURCE on where it is a model."""
    return section(
        "Where SOURCE is a model",
        click.option(
            "--inputs",
            type=FILE,
            help="Held-out inputs to run it on: arrays, feature columns, or images.",
        ),
    )(command)


def model_options(command: F) -> F:
    """How a model is run; collected by `model_options_of`."""
    return section(
        "Model",
        click.option("--output", metavar="NAME", help="Which of the model's outputs to take."),
        click.option(
            "--device",
            type=OneOf("auto", "cpu", "cuda"),
            default="auto",
            show_default=True,
            help="Where to run; cuda that cannot be had is an error.",
        ),
        click.option(
            "--precision",
            type=OneOf("float32", "bfloat16", "float16"),
            default="float32",
            show_default=True,
            help="What torch models compute in.",
        ),
        click.option("--threads", type=click.IntRange(1, 256), help="Of the runtime, on the CPU."),
        click.option(
            "--trust-model",
            is_flag=True,
            help="Load models that run code of their own: TorchScript.",
        ),
    )(command)


def running_options(command: F) -> F:
    """What a model is run on; collected by `input_options_of`."""
    return section(
        "Model's inputs",
        click.option(
            "--input",
            type=LINE,
            multiple=True,
            metavar="NAME=FIELD",
            help="Field of a model's input.",
        ),
        click.option(
            "--batch-size",
            type=BatchSize(),
            default="auto",
            show_default=True,
            help="Rows at a time; auto halves when memory runs out.",
        ),
        click.option(
            "--workers", type=click.IntRange(1, 256), help="Threads that read and decode."
        ),
        click.option("--limit", type=click.IntRange(1), metavar="N", help="Stop after N rows."),
        click.option("--root", type=FILE, help="Folder that the paths of a list file start from."),
        click.option(
            "--allow-nondeterministic",
            is_flag=True,
            help="Take a model whose scores differ from run to run.",
        ),
        click.option("--preset", type=OneOf("imagenet", "cifar10"), help="Usual preprocessing."),
        click.option("--resize", metavar="N|HxW", help="Shorter side, or both sides."),
        click.option("--crop", metavar="N|HxW", help="Centre crop."),
        click.option("--scale", metavar="X", help="Multiply raw values, such as 1/255."),
        click.option("--mean", metavar="A,B,C", help="Subtract, after --scale, a channel each."),
        click.option("--std", metavar="A,B,C", help="Divide by, after --mean."),
        click.option("--layout", type=OneOf("NCHW", "NHWC"), help="Layout the model takes."),
        click.option("--channels", type=OneOf("RGB", "BGR", "L"), help="Channels the model takes."),
    )(command)


def takes_model(command: F) -> F:
    """All options of a command whose SOURCE may be a model, which then runs in a process of its own."""
    return inputs_option(model_options(running_options(supervised(runs_model)(command))))


def runs_model(given: dict[str, Any]) -> bool:
    """Whether a command's SOURCE is a model."""
    return given.get("inputs") is not None


def model_options_of(given: dict[str, Any]) -> "ModelOptions":
    """The model options among a command's parameters."""
    from lacal.models import ModelOptions

    return ModelOptions(
        given["output"],
        given["device"],
        given["precision"],
        given["trust_model"],
        given["threads"],
    )


def input_options_of(given: dict[str, Any]) -> "InputOptions":
    """The options about a model's inputs among a command's parameters."""
    from lacal.inputs.inputs import InputOptions
    from lacal.inputs.preprocessing import Preprocessing

    return InputOptions(
        Preprocessing.parse(**{name: given[name] for name in PREPROCESSING}),
        fields=_pairs(given["input"]),
        label_key=None if given.get("labels") else given.get("label_key"),
        id_key=given.get("id_key"),
        root=given["root"],
        limit=given["limit"],
        workers=given["workers"],
    )


def _pairs(texts: tuple[str, ...]) -> dict[str, str]:
    """Model input -> field."""
    fields: dict[str, str] = {}
    for text in texts:
        name, equals, field = text.partition("=")
        if not (name and equals and field):
            raise UsageError(
                f"--input: got {text!r}, expected NAME=FIELD, a model's input and a field"
            )
        if name in fields:
            raise UsageError(f"--input: names {name!r} twice; leave one out")
        fields[name] = field
    return fields
