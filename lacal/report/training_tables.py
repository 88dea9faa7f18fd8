"""What `lacal train --list` prints: the tables of losses, heads, networks, samplers, second stages and recipes."""

import textwrap
from collections.abc import Callable, Mapping

from lacal.loss_table import DEFERRED, LOSSES
from lacal.named_options import Option, Value
from lacal.trained import MEANING
from lacal.training.head_table import HEADS
from lacal.training.recipes import RECIPES
from lacal.training.second_stage_table import SECOND_STAGES

WIDTH = 100

NETWORKS = {
    "linear": "the head alone: the inputs are its features",
    "mlp": "mlp:256,128: layers of these widths; 256 by default",
    "small-cnn": "small-cnn:32: three convolutional stages with batch normalisation, for small images",
    "resnet32": "He et al. 2016 for CIFAR: 16, 32, 64 channels, 5 blocks a stage",
}

SAMPLERS = {
    "instance": "every example once an epoch",
    "class-balanced": "classes alike often, then an example of the class",
    "square-root": "classes in proportion to the square root of their counts",
    "progressive": "from instance in the first epoch to class-balanced in the last",
}


def losses() -> list[str]:
    """Formula, source, head, what the logits carry, and options of every loss."""
    lines = []
    for name, row in LOSSES.items():
        head = "any head" if row.head == "any" else f"{row.head} head"
        lines += [f"{name}: {row.title}", *_wrapped(row.formula)]
        lines += _wrapped(f"{row.source}; {head}; {MEANING[row.carries]}")
        lines += _wrapped(f"departs: {row.departs}") if row.departs else []
        lines += _options(row.options)
    deferred = "deferred re-weighting, of every loss that has no class weights of its own:"
    return [*lines, deferred, *_options(DEFERRED)]


def heads() -> list[str]:
    """The last layers."""
    return [line for name, known in HEADS.items() for line in (name, *_options(known))]


def second_stages() -> list[str]:
    """What can be trained on a finished run's features."""
    lines = []
    for name, row in SECOND_STAGES.items():
        lines += [f"{name}: {row.title}", *_wrapped(row.formula), *_wrapped(row.source)]
        lines += [*_wrapped(f"departs: {row.departs}"), *_options(row.options)]
    return lines


def recipes() -> list[str]:
    """Published recipes; their values are printed when one runs."""
    lines = []
    for name, row in RECIPES.items():
        lines += [f"{name}: {row.title}", *_wrapped(row.source), *_wrapped(row.data)]
        lines += [line for note in row.notes for line in _wrapped(f"note: {note}")]
    return lines


def _told(table: Mapping[str, str]) -> Callable[[], list[str]]:
    return lambda: [line for name, text in table.items() for line in (name, *_wrapped(text))]


TABLES: dict[str, Callable[[], list[str]]] = {
    "losses": losses,
    "recipes": recipes,
    "networks": _told(NETWORKS),
    "heads": heads,
    "samplers": _told(SAMPLERS),
    "second-stages": second_stages,
}


def _options(known: Mapping[str, Option]) -> list[str]:
    return [
        line
        for name, one in known.items()
        for line in _wrapped(f"{name}={_value(one.default)}: {one.help}{_words(one)}", "    ")
    ]


def _words(one: Option) -> str:
    return f" ({', '.join(one.words)})" if one.words else ""


def _value(value: Value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _wrapped(text: str, indent: str = "  ") -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )
