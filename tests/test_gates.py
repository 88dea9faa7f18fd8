"""Gates: the grammar against Python's own, the three answers, and a table of expressions, data and verdicts."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lacal.errors import UsageError
from lacal.gates.expression import Arithmetic, Comparison, Junction, Name, Number
from lacal.gates.grammar import parse_gate, parse_name
from lacal.gates.judge import judge
from lacal.gates.verdict import Verdict
from tests.gated_measures import MEASURES, measure, verdict

# The grammar

NAMES = ("a", "b.error", 'class."x y".error')
NUMBERS = st.floats(0, 1e6, allow_nan=False).map(lambda value: f"{value!r}")
QUANTITIES = st.recursive(
    st.sampled_from(NAMES) | NUMBERS,
    lambda inner: (
        st.builds("{}{}{}".format, inner, st.sampled_from(("+", " - ", " *")), inner)
        | st.builds("({})".format, inner)
        | st.builds("-{}".format, inner)
    ),
    max_leaves=6,
)
COMPARISONS = st.builds("{} {}{}".format, QUANTITIES, st.sampled_from((">", ">=", "<", "<=")), QUANTITIES)  # fmt: skip
CONDITIONS = st.recursive(
    COMPARISONS,
    lambda inner: (
        st.builds("{} and {}".format, inner, inner)
        | st.builds("{} or {}".format, inner, inner)
        | st.builds("( {})".format, inner)
    ),
    max_leaves=5,
)


@given(CONDITIONS, st.tuples(*[st.floats(-2, 2)] * 3))
@example("a - 1 - 1 > b.error * 2 + 1 and a<1 or a>0", (1.5, 0.25, 0.0))
def test_a_gate_means_what_python_would_take_it_for(
    text: str, values: tuple[float, float, float]
) -> None:
    named = dict(zip(("a", "b.error", "class.x y.error"), values, strict=True))
    python = text.replace('class."x y".error', "c").replace("b.error", "b")
    holds = eval(python, {}, dict(zip("abc", values, strict=True)))
    measures = {name: measure(name, value, "") for name, value in named.items()}
    assert judge([parse_gate(text)], measures)[0].passed is not holds


@given(st.text(max_size=40) | st.text('abn.d or123><=()+-*% "\\', max_size=30))
def test_any_text_is_a_gate_or_refused_in_one_line(text: str) -> None:
    try:
        parse_gate(text)
    except UsageError as error:
        said = str(error)
    else:
        return
    assert said.isprintable()


@given(st.text(min_size=1, max_size=30))
def test_any_class_name_can_be_quoted(name: str) -> None:
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    assert parse_name(f'class."{quoted}".error', "--fail-if") == f"class.{name}.error"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("35%", 0.35),
        ("35.1 %", 0.351),
        ("99\x1c", 99.0),
        ("0.98\x1f %", 0.0098),
        ("1e-3%", 1e-5),
        ("1E2%", 1.0),
        (".5", 0.5),
        ("7.", 7.0),
        ("1e-" + "9" * 5000 + "%", 0.0),
        ("1e" + "0" * 5000 + "1%", 0.1),
        ("1e+2%", 1.0),
    ],
)
def test_numbers(text: str, value: float) -> None:
    assert parse_gate(f"a > {text}").condition == Comparison(">", Name("a"), Number(value))


def test_and_binds_before_or_and_products_before_sums() -> None:
    condition = parse_gate("a > 1 or a > 2 and b < 1 + 2 * c").condition
    tail = Arithmetic("+", Number(1), Arithmetic("*", Number(2), Name("c")))
    assert condition == Junction("or", (
        Comparison(">", Name("a"), Number(1)),
        Junction("and", (Comparison(">", Name("a"), Number(2)), Comparison("<", Name("b"), tail))),
    ))  # fmt: skip


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("", "is empty"),
        ("balanced_error", "nothing is compared"),
        ("balanced_error = 0.3", "'=' is no sign of this grammar; use >= or <="),
        ("balanced_error == 0.3", "hardly ever equal"),
        ("a => 1", "'=' is no sign"),
        ("a > 1 && b > 1", "write and"),
        ("a > 1 || b > 1", "write or"),
        ("a / b > 1", "few.error > 3 * many.error"),
        ("a > 1 AND b > 1", "'AND' is not expected here. Did you mean 'and'?"),
        ("not a > 1", "turn the comparison round"),
        ("a > ", "after 'a >': got the end"),
        ("a > 1 and", "got the end"),
        ("> 1", "got '>'"),
        ("a > and", "got 'and'"),
        ("(a > 1", "a parenthesis is not closed"),
        ("a > 1)", "')' is not expected here"),
        ("0 < a < 1", "two comparisons in a row"),
        ("(a > 1) + 2 > 3", "a condition stands where a number"),
        ("a > 1 and b", "nothing is compared"),
        ("a > 1e999", "too large for a number"),
        ("a > 1e" + "9" * 5000, "too large for a number"),
        ("a > 1e" + "9" * 5000 + "%", "too large for a number"),
        ("a > 1e400%", "too large for a number"),
        ("a > ３５%", "cannot be read"),
        ("a > ٣", "cannot be read"),
        ("a > 1.2.3", "cannot be read"),
        ("a > 3x", "cannot be read"),
        ('class."x > 1', "cannot be read"),
        ("a > __import__('os').system('true')", "between double quotes"),
        ("a > f(1)", "'(' is not expected here"),
        ("a > 1; b > 1", "';' cannot be read"),
        ("a > \x1b[31m", r"'\x1b[31m' cannot be read"),
        ("(" * 21 + "a > 1", "more than 20 parentheses"),
        ("-" * 21 + "a > 1", "more than 20 parentheses"),
        ("a > 1" + " and a > 1" * 60, "expected at most 200; give several"),
        ("a" * 20_001, "expected at most 20,000"),
        ("class.fire engine.error > 5%", 'put the name in quotes: class."fire engine".error'),
        ("two wheels.error.low > 5%", 'put the name in quotes: "two wheels".error'),
        ("class.T-shirt/top.error > 5%", 'put the name in quotes: class."T-shirt/top".error'),
        ("balanced_error > 1% or class.C++.error > 5%", 'put the name in quotes: class."C++".error'),
        ("class.'fire engine'.error > 5%", 'put the name in quotes: class."fire engine".error'),
        ("class.black and white.error > 5%", 'put the name in quotes: class."black and white".error'),
        ("few.error / many.error > 3", "multiply the other side"),
        ("a > 1 AND b.error > 1", "Did you mean 'and'?"),
        ("a > and b.error > 1", "got 'and'"),
    ],
)  # fmt: skip
def test_what_is_no_gate(text: str, fragment: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_gate(text)
    assert fragment in str(caught.value)
    assert str(caught.value).startswith("--fail-if: ")


# What becomes of it


@pytest.mark.parametrize(
    ("text", "passed", "reason"),
    [
        ("balanced_error > 0.35", True, "20.00 % is not above 35.00 %"),
        ("balanced_error > 10%", False, "20.00 % is above 10.00 %"),
        ("balanced_error >= 0.2", False, "20.00 % is at or above 20.00 %"),
        ("balanced_error > 0.2", True, "20.00 % is not above 20.00 %"),
        ("balanced_error < 0.2", True, "20.00 % is not below 20.00 %"),
        ("macro_f1 < 0.75", False, "70.00 % is below 75.00 %"),
        ("log_loss > 0.5", False, "0.8 nats is above 0.5 nats"),
        ("few.error > 3 * many.error", False, "60.00 % is above 30.00 %"),
        ("few.error - many.error <= 50%", False, "50.00 % is at or below 50.00 %"),
        ("few.error.low > 0.5", False, "55.00 % is above 50.00 %"),
        ("few.error.n < 200", False, "120 is below 200"),
        ('class."T-shirt/top".error > 20%', False, "30.00 % is above 20.00 %"),
        (r'class."a \"b\".c".error > 20%', False, "25.00 % is above 20.00 %"),
        ("balanced_error > 35% or few.error > 50%", False,
         "20.00 % is not above 35.00 %; 60.00 % is above 50.00 %"),
        ("balanced_error > 35% and few.error > 50%", True,
         "20.00 % is not above 35.00 %; 60.00 % is above 50.00 %"),
        # The same to two digits, and yet not equal.
        ("balanced_error < 0.200001", False, "20.0000 % is below 20.0001 %"),
        # Undefined: it decides nothing, and where nothing else decides, the gate fails.
        ("medium.error > 0.5", False, "cannot be judged, so it fails: 'medium.error' is undefined (no rows)"),
        ("medium.error.n < 1", False, "0 is below 1"),
        ("medium.error + 0 * few.error > 9%", False, "cannot be judged, so it fails: 'medium.error' is"),
        ("macro_f1.low < 0.5", False,
         "cannot be judged, so it fails: 'macro_f1' has no interval, so 'macro_f1.low' has no value"),
        ("medium.error > 0.5 or few.error > 0.5", False, "'medium.error' is undefined (no rows); 60.00 %"),
        ("medium.error > 0.5 and few.error > 0.7", True, "'medium.error' is undefined (no rows); 60.00 %"),
        ("medium.error > 0.5 or few.error > 0.7", False, "cannot be judged"),
        ("medium.error > 0.5 and few.error > 0.5", False, "cannot be judged"),
        ("1 > 2", True, "1 is not above 2"),
        # NaN is neither above nor below anything, and would pass.
        ("balanced_error*1e308*1e308 - balanced_error*1e308*1e308 > 0", False,
         "cannot be judged, so it fails: its arithmetic gives no finite number"),
        ("log_loss < balanced_error*1e308*1e308", False, "cannot be judged, so it fails: its arithmetic gives"),
        ("balanced_error > -1e308*10", False, "cannot be judged, so it fails: its arithmetic gives"),
        ("few.error > 0.5 or log_loss > log_loss*1e308*1e308", False, "60.00 % is above 50.00 %; its arithmetic"),
    ],
)  # fmt: skip
def test_verdicts(text: str, passed: bool, reason: str) -> None:
    found = verdict(text)
    assert (found.gate, found.passed) == (text, passed)
    assert found.reason.startswith(reason) or reason in found.reason


def test_the_numbers_stand_with_their_intervals() -> None:
    found = verdict("few.error > 50% and few.error.low > macro_f1 or medium.error > 1%").found
    assert found == (
        "few.error 60.00 %, 95 % interval 55.00 to 65.00 %, n 120; macro_f1 70.00 %, no interval, n 500; "
        "medium.error n/a"
    )
    assert (
        verdict("log_loss > 1").found == "log_loss 0.8 nats, 95 % interval 0.75 to 0.85 nats, n 120"
    )
    assert verdict("1 > 2").found == "no measure"
    assert (
        verdict("gain < -1%").found == "gain 4.00 points, 95 % interval -1.00 to 9.00 points, n 120"
    )
    assert verdict("gain < -1%").reason == "4.00 points is not below -1.00 points"


def test_why_a_number_is_undefined_is_said_once() -> None:
    for text in ("medium.error > 1%", "medium.error > 1% or medium.error.low > 2%"):
        one = verdict(text)
        assert f"{one.reason} ({one.found})".count("no rows") == 1
    # Where the reason does not look at the number, what was found says it.
    assert verdict("medium.error.n < 1").found == "medium.error n/a (no rows)"


@given(st.sampled_from(("{} and {}", "{} or {}", "{} or few.error > 9% and {}")),
       st.lists(st.sampled_from((0.0, 0.5, None)), min_size=2, max_size=2),
       st.floats(0, 1))  # fmt: skip
def test_what_is_decided_stays_so_whatever_the_undefined_number_is(
    frame: str, values: list[float | None], other: float
) -> None:
    gate = parse_gate(frame.format("x > 0.3", "y > 0.3"))

    def judged(numbers: list[float | None]) -> Verdict:
        named = zip("xy", numbers, strict=True)
        return judge([gate], MEASURES | {name: measure(name, value) for name, value in named})[0]

    first, second = judged(values), judged([other if one is None else one for one in values])
    if "cannot be judged" in first.reason:
        assert None in values
        assert not first.passed
    else:
        assert first.passed is second.passed


def test_a_share_may_stand_beside_numbers_beyond_one_in_arithmetic() -> None:
    assert verdict("few.error > 3 * balanced_error").passed
    assert verdict("log_loss > 4").passed
    assert math.isclose(parse_gate("a > 2").condition.right.value, 2)  # type: ignore[union-attr]
