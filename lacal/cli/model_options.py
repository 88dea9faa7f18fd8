"""Options of commands that run a model, and the source they build: a model with --inputs, or a logits file."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lacal.cli.options import FILE, OneOf, refuse_typed, refuse_unknown_skips, source_options_of
from lacal.cli.param_types import LINE
from lacal.cli.sections import section
from lacal.cli.supervised import supervised
from lacal.errors import DataError, UsageError

if TYPE_CHECKING:
    from lacal.inputs.inputs import InputOptions, Inputs
    from lacal.model_source import ModelSource
    from lacal.models import Model, ModelOptions
    from lacal.rows.labels import LabelReader
    from lacal.rows.source import Source

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


def source_of(
    path: Path,
    given: dict[str, Any],
    *,
    class_names: tuple[str, ...] | None = None,
    shift_blind: bool = True,
    allow_adjusted: bool = False,
) -> "Source":
    """The source a command works on: a model over its inputs, or a logits file.

    Args:
        path: What the user named.
        given: The command's parameters.
        class_names: Names known from elsewhere (counts, calibration), to read text labels with.
        shift_blind: Whether what follows ignores a constant added to a row.
        allow_adjusted: Take what is adjusted already.
    """
    if runs_model(given):
        return model_source_of(
            path,
            given,
            class_names=class_names,
            shift_blind=shift_blind,
            allow_adjusted=allow_adjusted,
        )
    from lacal.rows.logits_source import open_source

    refuse_typed(
        *RUNNING,
        *PREPROCESSING,
        because="without --inputs there is no model to run (a file to write is -o FILE)",
    )
    try:
        source = open_source(
            path,
            source_options_of(given),
            class_names=class_names,
            shift_blind=shift_blind,
            allow_adjusted=allow_adjusted,
        )
    except DataError as error:
        raise model_without_inputs(path) or error from error
    refuse_unknown_skips(given, source)
    _say_of_labels(source.label_reader, source.rows)
    return source


def _say_of_labels(reader: "LabelReader | None", rows: int | None) -> None:
    """How labels are given to the rows, and what should be known of them."""
    from lacal.cli.show import say, warn

    if reader is not None:
        for line in reader.paired(rows):
            say(line)
        warn(reader.remarks())


def _told_of_order(error: DataError, inputs: Path) -> DataError:
    """The error of what is no model, with a word where the inputs are one."""
    from lacal.models.kind import model_kind

    try:
        swapped = inputs.is_file() and model_kind(inputs) is not None
    except DataError:
        swapped = False
    if not swapped:
        return error
    return DataError(f"{error}; {inputs} is a model: name it first, its inputs after it")


def model_source_of(
    path: Path,
    given: dict[str, Any],
    *,
    class_names: tuple[str, ...] | None = None,
    shift_blind: bool = True,
    allow_adjusted: bool = False,
) -> "ModelSource":
    """A model over its inputs, tried on the first rows; what is done to them is said on stderr."""
    from lacal.cli.show import say, warn
    from lacal.inputs import open_inputs
    from lacal.model_source import open_model_source
    from lacal.models import open_model
    from lacal.models.model import refuse_adjusted

    refuse_typed(
        *("logits_key", "skip_key"), because="SOURCE is a model, so there are no logits to name"
    )
    options = input_options_of(given)
    try:
        model = open_model(path, model_options_of(given))
    except DataError as error:
        raise _told_of_order(error, given["inputs"]) from error
    if not allow_adjusted:
        refuse_adjusted(model)
    inputs = open_inputs(given["inputs"], model.inputs, options)
    source = open_model_source(
        model,
        inputs,
        labels=given["labels"],
        label_key=given["label_key"],
        class_names=class_names,
        scores=given["scores"],
        ignore_label=given["ignore_label"],
        batch_size=given["batch_size"],
        shift_blind=shift_blind,
        allow_nondeterministic=given["allow_nondeterministic"],
    )
    for line in source.described():
        say(line)
    warn(_twice_normalised(model, options))
    _say_of_labels(source.label_reader, source.rows)
    return source


def trial_inputs_of(model: "Model", given: dict[str, Any]) -> "Inputs | None":
    """Inputs to try a model on, where some are given; what is done to them is said on stderr."""
    from lacal.cli.show import say, warn
    from lacal.inputs import open_inputs

    if not runs_model(given):
        refuse_typed(*PREPROCESSING, "input", "root", because="without --inputs nothing is read")
        return None
    options = input_options_of(given)
    inputs = open_inputs(given["inputs"], model.inputs, options)
    for line in inputs.described():
        say(line)
    warn(_twice_normalised(model, options))
    return inputs


def _twice_normalised(model: "Model", options: "InputOptions") -> list[str]:
    """A warning where pixels are scaled for a model of `lacal train`, which does so itself."""
    said = options.preprocessing
    if model.training is None or (said.scale in (None, 1) and not said.mean and not said.std):
        return []
    return [
        f"{model.path}: was trained by lacal on raw values, which it normalises itself; say --scale 1 and leave "
        "--mean and --std out, unless these inputs are stored otherwise than the training data were"
    ]


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


def model_without_inputs(path: Path) -> UsageError | None:
    """A better word for a model given without inputs."""
    from lacal.models import model_kind

    try:
        kind = model_kind(path) if path.is_file() else None
    except DataError:
        return None
    if kind is None:
        return None
    return UsageError(
        f"{path}: is a model ({kind}); say what to run it on with --inputs INPUTS, or give the logits it "
        "makes"
    )
