"""--fit-temperature: what `adjust` and `evaluate` take, and the fit it stands for."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lacal.cli.options import FILE

if TYPE_CHECKING:
    from lacal.calibration import Calibration
    from lacal.classes.target import TargetPrior
    from lacal.pipeline.temperature import Temperature
    from lacal.rows.source import Source

F = TypeVar("F", bound=Callable[..., Any])


def temperature_option(command: F) -> F:
    """Where the temperature is fitted; read by `temperature_of`."""
    return click.option(
        "--fit-temperature",
        type=FILE,
        metavar="VAL",
        help="Labelled logits to fit the temperature of the probabilities on, by log loss in the class shares of "
        "--target-prior; the rows that tau was tuned on may be it.",
    )(command)


def temperature_of(
    given: dict[str, Any],
    recipe: "Calibration",
    source: "Source",
    target: "TargetPrior | None",
) -> "Temperature | None":
    """The temperature of --fit-temperature; None where it is not given.

    Args:
        given: The command's parameters; VAL is read by the same field names as a SOURCE of logits.
        recipe: The calibration whose adjusted logits it is for.
        source: SOURCE, of the same classes.
        target: Class shares where the probabilities are used; None for equal shares.

    Raises:
        UsageError: VAL carries no labels.
        DataError: VAL is of other classes, or no temperature fits it.
    """
    path = given["fit_temperature"]
    if path is None:
        return None
    from dataclasses import replace

    from lacal.cli.model_options import runs_model
    from lacal.cli.options import source_options_of
    from lacal.cli.show import WithProgress
    from lacal.errors import UsageError
    from lacal.pipeline.temperature import fit_temperature
    from lacal.rows.logits_source import SourceOptions, open_source
    from lacal.rows.source import refuse_corrected, training_of

    # Beside a model these options speak of its inputs and outputs; VAL is what `lacal infer` made of it.
    named = SourceOptions() if runs_model(given) else source_options_of(given)
    # What weighs the rows of SOURCE is no class of VAL.
    left_out = (*named.skip_keys, *([named.weight_key] if named.weight_key else []))
    val = open_source(
        path,
        replace(named, labels=None, weight_key=None, skip_keys=left_out),
        class_names=recipe.prior.class_names or source.class_names,
        shift_blind=recipe.shift_blind,
        allow_adjusted=given["force_adjust"],
    )
    if not val.labelled:
        raise UsageError(
            f"--fit-temperature {path}: has no labels; add a field `labels` to it, or name one with --label-key"
        )
    recipe.check_fits(val.classes, val.class_names, val.place)
    if not recipe.adjustment.changes_nothing:
        refuse_corrected(training_of(val), val.place, force=given["force_adjust"])
    prior = None if target is None else target.prior
    return fit_temperature(WithProgress(val, "fitting"), recipe.adjustment, prior=prior)
