"""Names in gates: which are refused, with what was probably meant, and how they are printed."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lacal.errors import UsageError
from lacal.gates.grammar import parse_gate, parse_name
from lacal.gates.judge import check_names
from lacal.gates.quoting import typed
from tests.gated_measures import MEASURES, verdict


def test_names_are_printed_as_they_can_be_pasted_back() -> None:
    for name in MEASURES:
        again = verdict(f"{typed(name)}.n < 500").found
        assert again.startswith(typed(name)), again
    assert verdict('class."T-shirt/top".error > 99%').found.startswith(
        'class."T-shirt/top".error 30'
    )


@given(
    st.text(max_size=30),
    st.sampled_from(("class.{}.error", "{}.error", "first.{}.calibration", "{}.gain")),
)
@example("7up", "{}.error")
@example("", "class.{}.error")
@example('a\\"b', "{}.gain")
def test_what_is_printed_parses_to_the_name(name: str, frame: str) -> None:
    whole = frame.format(name)
    assert parse_name(typed(whole), "--fail-if") == whole


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("balanced_eror > 0.3", "'balanced_eror' is no measure of this run. Did you mean 'balanced_error'?"),
        ("fw.error.low > 0.3", "Did you mean 'few.error'?"),
        ("class.cat.error > 0.3", "is no measure of this run"),
        ("zzz > 1", "expected one such as 'balanced_error', 'few.error'"),
        ("balanced_error > 35", "'balanced_error' is a share, from 0 to 1; got 35, expected 35% or 0.35"),
        ("2 < macro_f1", "is a share"),
        ("gain < -5", "'gain' is a difference of shares, from -1 to 1; got -5, expected -5% or -0.05"),
        ("balanced_error > 1", "can never hold: its left side is from 0 to 1, its right side 1"),
        ("balanced_error < 0 or few.error > 1%", "can never hold"),
        ("100% < few.error.low", "can never hold"),
        ("few.error > many.error + 5", "its left side is from 0 to 1, its right side from 5 to 6"),
        ("few.error - many.error > 30", "its left side is from -1 to 1, its right side 30"),
        ("few.error * -1 >= 0.5", "its left side is from -1 to 0"),
        ("few.error.n < 0", "can never hold"),
        ("macro_f1.lo < 0.5", "behind a name stand .low, .high and .n. Did you mean 'macro_f1.low'?"),
        ("few.recall < 0.5", "Did you mean 'few.error'? Its recall is 1 - few.error."),
        ("balanced_accuracy < 0.5", "Did you mean 'balanced_error'? Its accuracy is 1 - balanced_error."),
        ("two wheel.error > 0.5", 'put the name in quotes: "two wheel".error'),
        ('"two wheel".error > 0.5', "Did you mean '\"two wheels\".error'?"),
        ('class."T-shirt".error > 0.5', "Did you mean 'class.\"T-shirt/top\".error'?"),
        ("class.T-shirt.error > 0.5", 'put the name in quotes: class."T-shirt".error'),
        ("few.eror - many.error > 5%", "Did you mean 'few.error'?"),
        ("error > 5%", "Did you mean 'balanced_error'?"),
        ("rare.error > 5%", "is no measure of this run; its groups are few, many, medium, "),
        ("few.gain < 0", "lacal evaluate has the gain of the balanced error alone"),
    ],
)  # fmt: skip
def test_gates_that_could_never_be_meant(text: str, fragment: str) -> None:
    with pytest.raises(UsageError) as caught:
        verdict(text)
    assert fragment in str(caught.value)


def refused(text: str, *known: str) -> str:
    with pytest.raises(UsageError) as caught:
        check_names(parse_gate(text), known)
    return str(caught.value)


def test_groups_need_training_counts() -> None:
    """Without groups the classes' names are the nearest, and no help."""
    evaluated = ("balanced_error", "micro_error", "gain", "class.wa.error", "class.few.error")
    for name in ("few.error", "few.error.low", "rare.calibration"):
        assert refused(f"{name} > 5%", *evaluated).endswith(
            "groups of classes need the training counts: give --counts (or --calibration)"
        )
    assert "Did you mean 'balanced_error'?" in refused("balanced.error > 5%", *evaluated)
    compared = ("balanced_error", "first.balanced_error", "gain", "micro_gain", "mcnemar.p")
    assert refused("few.gain < 0", *compared).endswith("need the training counts: give --counts")
    assert "lacal evaluate has" in refused("class.wa.error > 5%", *compared)


def test_of_a_class_there_is_its_error() -> None:
    early = ("balanced_error", "worst_class.recall", "few.error")
    for end, told in (("recall", " Its recall is 1 - class.fo.error."), ("f1", "")):
        said = refused(f"class.fo.{end} < .5", *early)
        assert said.endswith(f"of a class there is its error. Did you mean 'class.fo.error'?{told}")
    assert "Did you mean 'class.fo.error.low'?" in refused("class.fo.error.lo < .5", *early)


def test_a_misspelt_name_is_refused_before_the_work() -> None:
    static, ends = ("balanced_error", "log_loss", "worst_class.recall"), (".error",)
    for known in ("few.error > 1%", "log_loss.low > 3", 'class."x".error.n > 0.5'):
        check_names(parse_gate(known), static, ends)
    with pytest.raises(UsageError, match=r"Did you mean 'worst_class.recall'"):
        check_names(parse_gate("worst_class.recal < 0.1"), static, ends)
