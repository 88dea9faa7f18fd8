"""Tables and sentences of a page: numbers to the right and words to the left, one minus sign, what failed first."""

import re

import numpy as np
import pytest

from lacal.report.document import Strong, Table
from lacal.report.page.class_table import ClassTable, Column
from lacal.report.page.content import Page, Section
from lacal.report.page.render import render
from lacal.report.page.table_shown import table_shown, with_minus
from tests.test_page import Reader

GATES = Table(
    ("gate", "verdict", "reason", "found"),
    (
        ("gain < -0.5%", "passed", "1.20 % is not below -0.50 %", "gain 1.20 %, 95 % interval -0.40 to 2.80 %"),
        ("few.error > 1%", Strong("FAILED"), "9.00 % is above 1.00 %", "few.error 9.00 %, n 20"),
    ),
)  # fmt: skip
NUMBERS = Table(
    ("%", "adjusted", "gain", "tau by", "n"),
    (
        ("balanced error", "18.7 (17.3 to 20.2)", "-0.7 (-1.0 to -0.4)", "-inf .. 1.2", "1,291"),
        ("  few", "n/a", "+0.0", "1.2", ""),
    ),
)


def kinds(table: Table) -> list[str]:
    return [str(one) for one in table_shown(table)["kinds"][1:]]


def test_numbers_stand_at_the_right_and_words_at_the_left() -> None:
    assert kinds(NUMBERS) == [""] * 4
    assert [one.split('"')[1] for one in kinds(GATES)] == ["words", "words", "words long"]
    html = render(Page("t", "a", (), (Section("s", (GATES,)),), ()))
    headings = [dict(one[1]) for one in Reader(html).elements if one[0] == "th"][:4]
    assert ["words" in (one.get("class") or "") for one in headings] == [False, True, True, True]


def test_tables_of_long_words_stack_on_a_phone_and_name_each_cell() -> None:
    assert table_shown(GATES)["stacks"]
    assert not table_shown(NUMBERS)["stacks"]
    html = render(Page("t", "a", (), (Section("s", (GATES,)),), ()))
    labels = [one[1].get("data-label") for one in Reader(html).elements if one[0] == "td"]
    assert labels == 2 * ["verdict", "reason", "found"]


def test_rows_that_belong_to_the_row_above_are_drawn_in() -> None:
    inner = [row[0]["inner"] for row in table_shown(NUMBERS)["rows"]]
    assert inner == [False, True]


def test_a_verdict_is_a_word_on_a_colour_and_no_other_cell_is() -> None:
    html = render(Page("t", "a", (), (Section("s", (GATES,)),), ()))
    assert re.findall(r'class="verdict (\w+)">(\w+)<', html) == [("passed", "passed"), ("failed", "FAILED")]  # fmt: skip
    other = Table(("gate", "found"), (("FAILED", "passed"),))
    assert 'class="verdict' not in render(Page("t", "a", (), (Section("s", (other,)),), ()))


def test_what_failed_stands_before_the_warnings_and_both_say_what_they_are() -> None:
    html = render(Page("t", "a", ("take care",), (), (), failed=("1 of 2 gates.",)))
    assert re.findall(r'<b class="word">(\w+)</b> ([^<]*)<', html) == [
        ("FAILED", "1 of 2 gates."),
        ("Warning", "take care"),
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("gain -0.7 points, 95 % interval -1.0 to +0.2", "gain −0.7 points, 95 % interval −1.0 to +0.2"),
        ("say --tau -0.5 or --tau=-0.5", "say --tau -0.5 or --tau=-0.5"),
        ("run-1.5 of 2024-01-02.npz", "run-1.5 of 2024-01-02.npz"),
        ("--ignore-label -1", "--ignore-label -1"),
    ],
)  # fmt: skip
def test_sentences_have_a_true_minus_and_commands_and_names_keep_their_dash(
    text: str, shown: str
) -> None:
    assert with_minus(text) == shown


def test_a_page_has_one_minus_sign() -> None:
    html = render(
        Page("t", "gain -0.7", ("fell by -0.2",), (Section("s", (GATES, NUMBERS, "now -0.3")),), ())
    )
    said = " ".join(text for name, texts in Reader(html).said.items() if name not in ("style", "script") for text in texts)  # fmt: skip
    assert re.findall(r"-[\d.]*\d|-inf", said) == ["-0.5"]  # the gate, as it was typed
    assert said.count("−") == 9


def test_commands_are_not_broken_at_their_dashes_and_stay_what_was_typed() -> None:
    line = "lacal tune-tau val.npz --counts 'a <b>.csv' -o out-1.json"
    html = render(Page("t", "a", (), (Section("next", (line,)),), (("command", line),)))
    assert html.count('<span class="option">--counts</span>') == 2
    assert html.count('<span class="option">-o</span> out-1.json') == 2
    assert "<b>" not in html


def test_links_are_short() -> None:
    sections = tuple(Section(f"A long title {at}", (), short) for at, short in enumerate(("One", "", "Three")))  # fmt: skip
    html = render(Page("t", "a", (), sections, (("command", "x"),)))
    assert Reader(html).said["a"] == ["One", "A long title 1", "Three", "Redo"]
    assert Reader(html).said["h2"][0] == "A long title 0"


@pytest.mark.parametrize(("groups", "named"), [(3, 0), (7, 7)])
def test_the_colours_of_groups_are_explained(groups: int, named: int) -> None:
    names = tuple(f"g{at}" for at in range(groups))
    table = ClassTable(
        tuple(f"class {at}" for at in range(7)), names, np.arange(7) % groups, (Column("n", "count", np.ones(7)),)
    )  # fmt: skip
    html = render(Page("t", "a", (), (Section("s", (table,)),), ()))
    legend = html[html.index('<p class="legend">') :]
    legend = legend[: legend.index("</p>")]
    assert re.findall(r"</i>(g\d) <small>(\d)</small>", legend) == [
        (name, str(int((np.arange(7) % groups == at).sum()))) for at, name in enumerate(names)
    ]
    # Where groups share a colour, each class says its own.
    assert html.count('<small class="of">') == named
