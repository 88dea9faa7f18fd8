"""Recipes hold what their sources say, and can be run as they stand."""

from dataclasses import fields
from typing import get_type_hints

import pytest

from lacal.loss_table import LOSSES, options_of
from lacal.named_options import parse_options
from lacal.training.head_table import HEADS
from lacal.training.network_table import parse_network
from lacal.training.options import TrainOptions
from lacal.training.recipes import RECIPES, described
from lacal.training.schedule import check_options, rate


def options(name: str, **typed: object) -> TrainOptions:
    return TrainOptions(**{**RECIPES[name].values, **typed})


@pytest.mark.parametrize("name", RECIPES)
def test_every_value_is_one_that_training_takes(name: str) -> None:
    row = RECIPES[name]
    kinds = get_type_hints(TrainOptions)
    assert row.values.keys() <= {one.name for one in fields(TrainOptions)}
    for field in ("epochs", "batch_size", "lr", "weight_decay", "momentum", "warmup"):
        assert type(row.values[field]) is kinds[field]
    made = options(name)
    check_options(made)
    parse_network(made.network)
    assert LOSSES[made.loss].head in ("any", made.head)
    for values, known in (
        (made.loss_options, options_of(made.loss)),
        (made.head_options, HEADS[made.head]),
    ):
        texts = [f"{key}={value}" for key, value in values.items()]
        assert parse_options(known, texts, name).items() >= values.items()


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_says_where_it_stands_and_where_code_and_paper_differ(name: str) -> None:
    row = RECIPES[name]
    assert row.title
    assert "; code " in row.source
    assert "--long-tail exp:" in row.data
    assert row.notes


# Epochs from 0. LDAM-DRW counts from 1: (e + 1) / 5 up to 5, x 0.01 above 160, x 0.0001 above 180.
@pytest.mark.parametrize(
    ("name", "rates"),
    [
        ("cao2019-cifar", {0: 0.02, 4: 0.1, 159: 0.1, 160: 1e-3, 179: 1e-3, 180: 1e-5, 199: 1e-5}),
        ("cui2019-cifar", {0: 0.02, 4: 0.1, 159: 0.1, 160: 1e-3, 179: 1e-3, 180: 1e-5, 199: 1e-5}),
        ("menon2021-cifar", {0: 0.02, 4: 0.1, 159: 0.1, 160: 1e-2, 179: 1e-2, 180: 1e-3, 199: 1e-3}),
        ("hong2021-cifar100", {0: 0.04, 4: 0.2, 119: 0.2, 120: 2e-3, 159: 2e-3, 160: 2e-5}),
    ],
)  # fmt: skip
def test_rates_are_those_of_the_sources(name: str, rates: dict[int, float]) -> None:
    made = options(name)
    assert made.epochs == 200
    assert {epoch: rate(made, epoch) for epoch in rates} == pytest.approx(rates)


def test_deferred_weights_start_where_the_code_starts_them() -> None:
    made = options("cao2019-cifar")
    start = made.loss_options["drw"]
    assert isinstance(start, float)
    assert start * made.epochs == 160


def test_a_recipe_is_printed_in_full() -> None:
    made = options("cao2019-cifar")
    lines = described("cao2019-cifar", made, ())
    text = "\n".join(lines)
    assert lines[0] == (
        "recipe cao2019-cifar: LDAM with deferred re-weighting (Cao et al., NeurIPS 2019; code kaidic/LDAM-DRW)"
    )
    for one in fields(TrainOptions):
        assert sum(line.split()[0] == one.name for line in lines) == 1, one.name
    assert "  loss_options   max_margin 0.5, drw 0.8, drw_beta 0.9999" in lines
    assert "  weight_decay   0.0002" in lines
    assert "  nesterov       no" in lines
    assert text.count("  note: ") == len(RECIPES["cao2019-cifar"].notes)
    assert "as you say" not in text


def test_what_is_typed_stands_beside_what_the_recipe_has() -> None:
    made = options("cao2019-cifar", lr=0.05, device="cpu")
    lines = described("cao2019-cifar", made, {"lr", "device"})
    assert "  lr             0.05 (as you say; the recipe: 0.1)" in lines
    assert "  device         cpu (as you say)" in lines
