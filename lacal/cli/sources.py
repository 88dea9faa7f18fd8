"""The source that a command works on, built of its parameters: a model over its --inputs, or a logits file."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lacal.cli.model_options import (
    PREPROCESSING,
    RUNNING,
    input_options_of,
    model_options_of,
    runs_model,
)
from lacal.cli.options import refuse_typed, refuse_unknown_skips, source_options_of
from lacal.errors import DataError, UsageError

if TYPE_CHECKING:
    from lacal.inputs.inputs import InputOptions, Inputs
    from lacal.model_source import ModelSource
    from lacal.models import Model
    from lacal.rows.labels import LabelReader
    from lacal.rows.source import Source


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


def _twice_normalised(model: "Model", options: "InputOptions") -> list[str]:
    """A warning where pixels are scaled for a model of `lacal train`, which does so itself."""
    said = options.preprocessing
    if model.training is None or (said.scale in (None, 1) and not said.mean and not said.std):
        return []
    return [
        f"{model.path}: was trained by lacal on raw values, which it normalises itself; say --scale 1 and leave "
        "--mean and --std out, unless these inputs are stored otherwise than the training data were"
    ]


def _say_of_labels(reader: "LabelReader | None", rows: int | None) -> None:
    """How labels are given to the rows, and what should be known of them."""
    from lacal.cli.show import say, warn

    if reader is not None:
        for line in reader.paired(rows):
            say(line)
        warn(reader.remarks())
