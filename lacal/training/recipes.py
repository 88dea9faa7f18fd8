"""Published training recipes by name: every value of the run, where it stands, and what lacal does otherwise.

A recipe sets options of `lacal train`; what the user types beside it goes before it. The data are the user's:
`data` says which cut the paper used. No torch here.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import Any

from lacal.training.options import TrainOptions

# Of CIFAR's training images, as Cao et al. wrote them down; Hong et al. use them for CIFAR-100 as well.
CIFAR_PIXELS = "--scale 1/255 --mean 0.4914,0.4822,0.4465 --std 0.2023,0.1994,0.2010"


@dataclass(frozen=True, slots=True)
class Recipe:
    """One row of the table.

    Attributes:
        title: A few words for tables.
        source: Paper and code.
        data: What it was run on, with the options that cut or normalise data so.
        values: Of fields of `TrainOptions`; the rest keep their defaults. Options of the loss and the head
            that are not named keep theirs.
        notes: Where code and paper differ and which is followed, and where lacal differs from both.
    """

    title: str
    source: str
    data: str
    values: Mapping[str, Any]
    notes: tuple[str, ...]


RECIPES: dict[str, Recipe] = {
    "cao2019-cifar": Recipe(
        title="LDAM with deferred re-weighting",
        source="Cao et al., NeurIPS 2019; code kaidic/LDAM-DRW",
        data=f"CIFAR-10-LT or CIFAR-100-LT: --long-tail exp:100, {CIFAR_PIXELS}",
        values={
            "network": "resnet32",
            "head": "cosine",
            "head_options": {"scale": 30.0},
            "loss": "ldam",
            "loss_options": {"max_margin": 0.5, "drw": 0.8, "drw_beta": 0.9999},
            "epochs": 200,
            "batch_size": 128,
            "lr": 0.1,
            "momentum": 0.9,
            "weight_decay": 2e-4,
            "warmup": 5,
            "schedule": "step:160,180:0.01,0.0001",
            "augment": "crop:4,flip",
        },
        notes=(
            "the paper's deferred weights are 1/n; the code's, followed here, are those of effective numbers with "
            "beta 0.9999, from epoch 160 of 200 (drw 0.8) on",
            "the paper's loss shows no scale; the code's is 30",
            "the code normalises CIFAR-100 by CIFAR-10's mean and deviation",
            "the code keeps the epoch that is best on the test set; lacal keeps the best on validation",
        ),
    ),
    "cui2019-cifar": Recipe(
        title="softmax weighted by the effective number of examples",
        source="Cui et al., CVPR 2019; code richardaecn/class-balanced-loss",
        data="CIFAR-10-LT or CIFAR-100-LT: --long-tail exp:50 in its script, --scale 1/128 --mean 1 --std 1",
        values={
            "network": "resnet32",
            "loss": "class-balanced",
            "loss_options": {"beta": 0.9999, "normalise": "rows"},
            "epochs": 200,
            "batch_size": 128,
            "lr": 0.1,
            "momentum": 0.9,
            "weight_decay": 2e-4,
            "warmup": 5,
            "schedule": "step:160,180:0.01,0.0001",
            "augment": "crop:4,flip",
            "keep": "last",
        },
        notes=(
            "the script's multipliers of the rate, 0.01 and 0.0001, are followed; the code's defaults are 0.1 and 0.01",
            "the code divides the weighted losses of a batch by its rows (normalise rows), not by the sum of weights",
            "the code warms up by step, lacal by epoch; the code's other losses are sigmoid and sigmoid focal",
        ),
    ),
    "menon2021-cifar": Recipe(
        title="logit-adjusted softmax",
        source="Menon et al., ICLR 2021, arXiv v2 appendix D; code google-research/logit_adjustment",
        data="CIFAR-10-LT or CIFAR-100-LT: --long-tail exp:100",
        values={
            "network": "resnet32",
            "loss": "logit-adjusted",
            "loss_options": {"tau": 1.0},
            "epochs": 200,
            "batch_size": 128,
            "lr": 0.1,
            "momentum": 0.9,
            "weight_decay": 1e-4,
            "warmup": 5,
            "schedule": "step:160,180:0.1",
            "augment": "crop:4,flip",
            "keep": "last",
        },
        notes=(
            "paper and code differ, and the paper is followed: the code runs 1,241 epochs (CIFAR-10-LT) or 1,419 "
            "(CIFAR-100-LT), steps at 604, 926 and 1,128 or 691, 1,059 and 1,290, and uses Nesterov's momentum",
            "the code pads by 2 pixels, decays as PyTorch's 2e-4 would, and builds its ResNet of bottlenecks",
            "the code adds log(prior^tau + 1e-12); lacal adds tau * log prior",
        ),
    ),
    "hong2021-cifar100": Recipe(
        title="LADE",
        source="Hong et al., CVPR 2021; code hyperconnect/LADE",
        data=f"CIFAR-100-LT: --long-tail exp:100, {CIFAR_PIXELS}",
        values={
            "network": "resnet32",
            "loss": "lade",
            "loss_options": {"alpha": 0.1, "lambda": 0.01, "form": "code"},
            "epochs": 200,
            "batch_size": 256,
            "lr": 0.2,
            "momentum": 0.9,
            "weight_decay": 5e-4,
            "warmup": 5,
            "schedule": "step:120,160:0.01",
            "augment": "crop:4,flip",
            "keep": "last",
        },
        notes=(
            "alpha 0.1 and lambda 0.01 are those for imbalance 100; for 50 and 10 the paper has alpha 0.01",
            "weight decay and warm-up are the code's; the paper's text was not checked for them",
            "paper and code differ in the regulariser (ratio of priors of each row's label, or of the column's "
            "class), and the code, which made the paper's figures, is followed; form paper is the other",
        ),
    ),
}


def described(recipe: str, options: TrainOptions, typed: Collection[str]) -> list[str]:
    """A recipe as it runs, a line each: its source and data, every value, its notes.

    Args:
        recipe: Row of `RECIPES`.
        options: What was settled with it.
        typed: Fields that the user set beside it.
    """
    row = RECIPES[recipe]
    lines = [f"recipe {recipe}: {row.title} ({row.source})", f"  made for {row.data}"]
    for one in fields(options):
        value = getattr(options, one.name)
        told = "" if one.name not in typed else _instead(row.values.get(one.name))
        lines.append(f"  {one.name:<14} {_text(value)}{told}")
    return lines + [f"  note: {note}" for note in row.notes]


def _instead(recipes: Any) -> str:
    return " (as you say)" if recipes is None else f" (as you say; the recipe: {_text(recipes)})"


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(one)}" for name, one in value.items()) or "none"
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
