"""The table of losses, and reading options of it from texts and from values."""

import re
import subprocess
import sys

import pytest

from lacal.errors import UsageError
from lacal.loss_table import LOSSES, Carries, carried_by_loss, options_of
from lacal.named_options import Option, Value, parse_options, settled_options

NAMES = (
    "softmax balanced class-balanced adaptive ldam equalised softmax-equalised logit-adjusted "
    "logit-adjusted-consistent balanced-softmax logit-adjusted-adaptive vector-scaling ala ala-difficulty "
    "ala-quantity ala-difficulty-ldam lade focal class-balanced-focal"
)

KNOWN = {
    "gamma": Option(2.0, "of something", low=0.0),
    "share": Option(0.5, "of something", low=0.0, high=1.0),
    "tau": Option(1.0, "of something"),
    "form": Option("paper", "of two", words=("paper", "code")),
    "detached": Option(False, "or not"),
}


def test_the_rows_are_those_of_the_contract() -> None:
    assert " ".join(LOSSES) == NAMES


@pytest.mark.parametrize("name", LOSSES)
def test_every_row_says_all_of_itself(name: str) -> None:
    row = LOSSES[name]
    for text in (row.title, row.formula, row.source):
        assert text
        assert text == text.strip()
        assert not text.endswith(".")
    assert row.departs is None or row.departs.strip()
    assert re.search(r"20\d\d", row.source)
    for option, one in options_of(name).items():
        assert re.fullmatch("[a-z_]+", option)
        assert one.help
        assert settled_options({option: one}, {option: one.default}, "x") == {option: one.default}


def test_titles_tell_rows_apart() -> None:
    assert len({row.title for row in LOSSES.values()}) == len(LOSSES)
    assert len({row.formula for row in LOSSES.values()}) == len(LOSSES)


def test_deferred_weights_go_with_what_has_none() -> None:
    for name, row in LOSSES.items():
        assert ("drw" in options_of(name)) != row.weighted
        assert ("normalise" in options_of(name)) == row.weighted


@pytest.mark.parametrize(
    ("name", "options", "carries"),
    [
        ("softmax", {}, "nothing"),
        ("softmax", {"drw": 0.8}, "part"),
        ("focal", {"drw": 0.0}, "nothing"),
        ("ldam", {"drw": 0.8}, "part"),
        ("balanced", {}, "prior"),
        ("logit-adjusted", {"tau": 1.0}, "prior"),
        ("logit-adjusted", {"tau": 1.5}, "prior"),
        ("logit-adjusted", {"tau": 0.5}, "part"),
        ("logit-adjusted", {"tau": -1.0}, "part"),
        ("logit-adjusted", {"tau": 0.0}, "nothing"),
        ("logit-adjusted", {"tau": 0.0, "drw": 3.0}, "part"),
        ("logit-adjusted-consistent", {"tau": 0.5}, "prior"),
        ("equalised", {"tau": 0.0}, "nothing"),
        ("vector-scaling", {"tau": 0.0, "gamma": 0.3}, "part"),
        ("vector-scaling", {"tau": 0.0, "gamma": 0.0}, "nothing"),
        ("vector-scaling", {}, "prior"),
        ("lade", {}, "prior"),
    ],
)
def test_what_logits_carry_follows_the_options(
    name: str, options: dict[str, Value], carries: Carries
) -> None:
    assert carried_by_loss(name, options) == carries


@pytest.mark.parametrize("name", LOSSES)
def test_with_its_defaults_a_loss_carries_what_its_row_says(name: str) -> None:
    defaults = {option: one.default for option, one in options_of(name).items()}
    assert carried_by_loss(name, defaults) == carried_by_loss(name, {}) == LOSSES[name].carries


def test_options_are_read_as_their_kinds() -> None:
    said = ["gamma=1e-1", "form=code", "detached=YES", "tau=-2"]
    assert parse_options(KNOWN, said, "x") == {
        "gamma": 0.1,
        "share": 0.5,
        "tau": -2.0,
        "form": "code",
        "detached": True,
    }
    assert list(parse_options(KNOWN, [], "x")) == list(KNOWN)
    assert parse_options(KNOWN, ["detached=0"], "x")["detached"] is False


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gamma", "--loss-option: got 'gamma', expected NAME=VALUE"),
        ("=2", "got '=2', expected NAME=VALUE"),
        ("gama=2", "there is no option 'gama'; expected one of: gamma, share, tau, form, detached. "
                   "Did you mean 'gamma'?"),
        ("gamma=", "gamma: got '', expected a number, at least 0"),
        ("gamma=-1", "gamma: got '-1', expected a number, at least 0"),
        ("gamma=nan", "gamma: got 'nan', expected a number, at least 0"),
        ("gamma=true", "gamma: got 'true', expected a number, at least 0"),
        ("share=1.01", "share: got '1.01', expected a number, at least 0 and at most 1"),
        ("tau=inf", "tau: got 'inf', expected a number"),
        ("tau=1\x1b[31m", r"tau: got '1\x1b[31m', expected a number"),
        ("form=papr", "form: got 'papr', expected one of paper, code. Did you mean 'paper'?"),
        ("detached=maybe", "detached: got 'maybe', expected yes or no"),
    ],
)  # fmt: skip
def test_options_that_are_none(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_options(KNOWN, [text], "--loss-option")
    assert said in str(caught.value)
    assert str(caught.value).startswith("--loss-option")


def test_an_option_is_said_once() -> None:
    with pytest.raises(UsageError, match="gamma is given twice; leave one out"):
        parse_options(KNOWN, ["gamma=1", "gamma=2"], "x")


def test_a_loss_without_options_says_so() -> None:
    with pytest.raises(UsageError, match="there is no option 'gamma'; it has none"):
        parse_options({}, ["gamma=1"], "x")


@pytest.mark.parametrize(
    "given",
    [
        {"gamma": True},
        {"gamma": "1"},
        {"gamma": float("inf")},
        {"detached": 1.0},
        {"form": 1.0},
        {"form": "Paper"},
        {"other": 1.0},
    ],
)
def test_values_of_another_kind_are_refused(given: dict[str, Value]) -> None:
    with pytest.raises(UsageError, match=f"loss x.*{next(iter(given))}"):
        settled_options(KNOWN, given, "loss x")


def test_the_table_needs_no_torch() -> None:
    code = "import sys, lacal.loss_table; assert not {'torch', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
