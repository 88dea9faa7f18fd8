"""What the options of `lacal train` settle: the data, how a network is trained, and what a second stage starts from.

Defaults are those of `TrainOptions`; a recipe goes before them, and what the user sets (on the command line, in
the environment or in a configuration file) before a recipe.
"""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from lacal.cli.model_options import PREPROCESSING
from lacal.cli.options import refuse_typed
from lacal.errors import UsageError
from lacal.loss_table import LOSSES, options_of
from lacal.named_options import Option, Value, parse_options
from lacal.training.head_table import HEADS
from lacal.training.network_table import AUTO, parse_network
from lacal.training.options import ADAMW_LR, TrainOptions
from lacal.training.recipes import RECIPES
from lacal.training.schedule import check_options
from lacal.training.second_stage_table import SECOND_STAGES

if TYPE_CHECKING:
    from lacal.training.data import DataOptions
    from lacal.training.started import StartFrom

# Options of a first stage, which a second one has no say in. (--model it must name again: no code runs because a
# file names it.)
FIRST_STAGE = (
    *("network", "head", "head_option", "loss", "loss_option", "sampler", "recipe"),
    *("epochs", "batch_size", "optimiser", "lr", "momentum", "nesterov", "weight_decay"),
    *("warmup", "schedule", "clip", "augment", "precision", "keep"),
)


def data_options_of(data: Path, given: dict[str, Any]) -> "DataOptions":
    """The options about data among a command's parameters."""
    from lacal.inputs.preprocessing import Preprocessing
    from lacal.training.data import DataOptions

    if given["val"] is not None and given["val_fraction"] is not None:
        raise UsageError("--val brings the validation split; leave --val-fraction out")
    if given["no_normalise"]:
        refuse_typed("scale", "mean", "std", because="--no-normalise takes values as they are")
    same = ("val", "test", "val_fraction", "long_tail", "counts", "input", "label_key", "id_key")
    return DataOptions(
        data=data,
        preprocessing=Preprocessing.parse(**{name: given[name] for name in PREPROCESSING}),
        normalise=not given["no_normalise"],
        **{name: given[name] for name in (*same, "root", "seed", "workers")},
    )


def train_options_of(given: dict[str, Any]) -> tuple[TrainOptions, frozenset[str]]:
    """How the network is trained, and which fields the user set beside a recipe."""
    recipe = dict(RECIPES[given["recipe"]].values) if given["recipe"] else {}
    if given["model"] is not None:
        refuse_typed("network", because="--model brings the network")
    if is_set("loss") and given["loss"] != recipe.get("loss"):
        # Its options, and the head that is there for it, make no sense with another loss.
        for name in ("loss_options", "head", "head_options"):
            recipe.pop(name, None)
    if is_set("head") and given["head"] != recipe.get("head"):
        recipe.pop("head_options", None)
    plain = [one.name for one in fields(TrainOptions) if one.name in given]
    values = {
        name: given[name] if is_set(name) else recipe.get(name, given[name]) for name in plain
    }
    if values["optimiser"] == "adamw" and not is_set("lr") and "lr" not in recipe:
        values["lr"] = ADAMW_LR
    values["head"] = _head(values["loss"], values["head"])
    tables = {"loss": options_of(values["loss"]), "head": HEADS[values["head"]]}
    for kind, known in tables.items():
        values[f"{kind}_options"] = _options(
            known,
            given[f"{kind}_option"],
            recipe.get(f"{kind}_options", {}),
            f"--{kind}-option ({values[kind]})",
        )
    options = TrainOptions(**values)
    check_options(options)
    if options.model is None and options.network != AUTO:
        parse_network(options.network)
    typed = {name for name in plain if is_set(name)}
    typed |= {f"{name}s" for name in ("loss_option", "head_option") if given[name]}
    return options, frozenset(typed)


def start_of(given: dict[str, Any]) -> "StartFrom | None":
    """The run that a second stage starts from, where one is asked for."""
    from lacal.training.started import StartFrom

    if given["start"] is None:
        for name in ("second_stage", "stage_option"):
            if given[name]:
                raise UsageError(
                    "a second stage starts from a finished run, --start RUN, and there is none; leave --"
                    f"{name.replace('_', '-')} out"
                )
        return None
    if given["second_stage"] is None:
        raise UsageError(
            f"--start: say what is trained on the features of {given['start']}: --second-stage "
            + " or ".join(SECOND_STAGES)
        )
    refuse_typed(*FIRST_STAGE, because="--start brings its own, and the stage's are --stage-option")
    name = given["second_stage"]
    known = SECOND_STAGES[name].options
    options = parse_options(known, given["stage_option"], f"--stage-option ({name})")
    return StartFrom(given["start"], name, options)


def is_set(name: str) -> bool:
    """Whether the user said something, in any way, rather than left an option alone."""
    source = click.get_current_context().get_parameter_source(name)
    return source not in (None, ParameterSource.DEFAULT)


def _head(loss: str, head: str | None) -> str:
    needs = LOSSES[loss].head
    if needs == "any":
        return head or "linear"
    if head not in (None, needs):
        raise UsageError(
            f"--head: got {head}, but the loss {loss} needs a {needs} head; leave --head out, or choose "
            "another loss"
        )
    return needs


def _options(
    known: dict[str, Option], texts: Sequence[str], recipes: dict[str, Value], what: str
) -> dict[str, Value]:
    """Every option's value: as typed, else the recipe's, else its default."""
    said = {text.partition("=")[0] for text in texts}
    rest = [f"{name}={value}" for name, value in recipes.items() if name not in said]
    return parse_options(known, [*texts, *rest], what)
