"""The page as text: nothing from outside, nothing unescaped, the same bytes again, numbers as elsewhere."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from lacal.classes.groups import Groups
from lacal.metrics import ClassTally, PairedTally
from lacal.report.document import Table
from lacal.report.page.class_table import SHOWN, ClassTable, Column, classes_of
from lacal.report.page.content import Page, Section
from lacal.report.page.render import render
from lacal.report.page.shown import packed, shown_tau, spread, written

HOSTILE = (
    "<script>alert(1)</script>", "</script><img src=x onerror=alert(1)>", "\x1b[31mred", "=cmd()", "\u202egnp.exe",
    "x" * 10_000, "😀" * 50, "{{ 7 * 7 }}", "a\u0300" * 40, '"><b>', "\u2028", "", "العربية", "lone \udc80",
)  # fmt: skip


class Reader(HTMLParser):
    """Elements with their attributes, and what stands in each kind of element."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.said: dict[str, list[str]] = {}
        self.inside: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, text: str) -> None:
        if self.inside and text.strip():
            self.said.setdefault(self.inside[-1], []).append(text.strip())


def table(names: tuple[str, ...]) -> ClassTable:
    k = len(names)
    numbers = np.arange(k, dtype=np.float64)
    return ClassTable(names, ("few",), np.zeros(k, np.int64), (Column("n", "count", numbers),))


def page(*items: Any, title: str = "lacal", answer: str = "All is well.") -> Page:
    return Page(title, answer, ("take care",), (Section("One", items),), (("command", "lacal x"),))


def test_the_same_page_gives_the_same_bytes() -> None:
    one = page("A sentence.", Table(("a", "b"), (("x", "1"),)), table(("cat", "dog")))
    assert render(one) == render(one)


def test_nothing_is_fetched_and_only_our_script_runs() -> None:
    html = render(page(table(HOSTILE)))
    links = [one.get(name) or "#" for _, one in Reader(html).elements for name in ("src", "href")]
    assert all(one.startswith(("#", "data:")) for one in links)
    style = html[html.index("<style>") : html.index("</style>")]
    assert not re.search(r"url\(|@import|https?:", style)
    policy = next(
        one[1]["content"] or "" for one in Reader(html).elements if "http-equiv" in one[1]
    )
    assert "default-src 'none'" in policy
    script = html[html.rindex("<script>") + len("<script>") : html.rindex("</script>")]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "unsafe-eval" not in policy


def test_hostile_text_makes_no_element_and_no_control_character() -> None:
    # As long: long words stack on a phone.
    plain = tuple(f"class {j} {'x' * len(name)}" for j, name in enumerate(HOSTILE))
    found = []
    for names in (HOSTILE, plain):
        cells = tuple((name, name) for name in names)
        html = render(
            Page(
                names[0],
                names[1],
                names,
                (
                    Section(
                        names[2],
                        (names[4], Table((names[0], names[3]), cells, names[9]), table(names)),
                    ),
                ),
                tuple((name, name) for name in names),
            )
        )
        assert all(c.isprintable() or c in "\n\u00a0" for c in html)
        html.encode()
        found.append([tag for tag, _ in Reader(html).elements])
    assert found[0] == found[1]
    assert "49" not in Reader(html).said["bdi"]


def test_names_reach_the_script_whole_and_short() -> None:
    told = data_of(render(page(table(HOSTILE))), "class-data")
    assert told["names"][0] == HOSTILE[0]
    assert told["names"][11] == "(unnamed)"
    assert told["names"][12] == "العربية"
    assert max(map(len, told["names"])) < 1000


def data_of(html: str, name: str) -> dict[str, Any]:
    found = re.search(rf'<script type="application/json" class="{name}">(.*?)</script>', html, re.S)
    assert found
    value: dict[str, Any] = json.loads(found[1])
    return value


def test_a_number_stays_with_its_percent_sign() -> None:
    assert "12.1\u00a0%" in render(page(answer="It is 12.1 % now."))


def test_only_the_first_classes_stand_on_paper() -> None:
    k = SHOWN + 50
    html = render(page(table(tuple(f"name {j}" for j in range(k)))))
    names = Reader(html).said["bdi"]
    # Sorted by n from the largest down.
    assert names == [f"name {j}" for j in range(k - 1, 49, -1)]
    assert f"{SHOWN} of {k} classes are shown." in html


def test_classes_without_a_number_come_last_either_way() -> None:
    values = np.array([2.0, np.nan, 3.0, 2.0])
    for descending, order in ((True, [2, 0, 3, 1]), (False, [0, 3, 2, 1])):
        one = ClassTable(
            ("a", "b", "c", "d"), (), np.full(4, -1), (Column("n", "count", values),), 0, descending
        )
        assert one.sorted().tolist() == order


def test_the_class_table_says_what_the_tallies_say() -> None:
    labels = np.array([0, 0, 0, 1, 1, 3])
    before, after = ClassTally.empty(4), ClassTally.empty(4)
    paired = PairedTally.empty(4)
    was, now = np.array([0, 0, 1, 0, 0, 3]), np.array([0, 1, 0, 1, 1, 3])
    before.update(labels, was)
    after.update(labels, now)
    paired.update(labels, was, now)
    groups = Groups({"a": np.array([1, 1, 0, 0], bool), "b": np.array([0, 0, 1, 0], bool)}, {})
    one = classes_of(
        after, before, paired, class_counts=np.array([9, 5, 3, 1]), groups=groups, live=True
    )
    assert one.names == ("0", "1", "2", "3")
    assert one.place.tolist() == [0, 0, 1, -1]
    assert [column.title for column in one.columns] == [
        "training", "n", "unadjusted", "adjusted", "mended", "broken",
    ]  # fmt: skip
    recalls = one.columns[3]
    np.testing.assert_array_equal(recalls.values, after.recalls())
    assert recalls.low is not None
    assert recalls.high is not None
    error = after.of_class(0)
    assert error.high is not None
    assert recalls.low[0] == 1 - error.high
    assert np.isnan([recalls.values[2], recalls.low[2], recalls.high[2]]).all()
    assert one.columns[4].values.tolist() == [1, 2, 0, 0]
    assert one.columns[5].values.tolist() == [1, 0, 0, 0]
    assert [column.live for column in one.columns] == [
        None,
        None,
        None,
        "recall",
        "mended",
        "broken",
    ]
    assert one.pair == (2, 3)


def test_without_counts_the_worst_classes_come_first() -> None:
    tally = ClassTally.empty(3)
    tally.update(np.array([0, 1, 2]), np.array([0, 0, 0]))
    one = classes_of(tally)
    assert [column.title for column in one.columns] == ["n", "recall"]
    assert one.sorted().tolist() == [1, 2, 0]


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("share", 0.12345, "12.3"), ("share", 0.0625, "6.2"), ("points", -0.0125, "−1.2"),
        ("points", 0.0, "+0.0"), ("count", 1234567.0, "1,234,567"), ("number", 0.5, "0.500"),
        ("share", np.nan, "n/a"),
    ],
)  # fmt: skip
def test_numbers_are_written_as_in_every_report(kind: Any, value: float, text: str) -> None:
    assert written(kind, value) == text


def test_intervals_and_taus_are_written() -> None:
    assert spread("share", 0.1, 0.2) == "10.0–20.0"
    assert spread("points", -0.01, 0.02) == "−1.0 to\u00a0+2.0"
    assert spread("share", np.nan, 0.2) == ""
    taus = (0.0, 1.0, 0.725, 1.25678, -0.5, 10.0)
    assert [shown_tau(one) for one in taus] == ["0", "1", "0.725", "1.2568", "−0.5", "10"]


def test_packed_numbers_keep_every_bit() -> None:
    values = np.array([0.1, -np.inf, np.nan, 1e-300])
    back = np.frombuffer(base64.b64decode(packed(values)), "<f8")
    np.testing.assert_array_equal(back, values)
    shorts = np.array([1, 65535], ">u2")
    assert np.frombuffer(base64.b64decode(packed(shorts)), "<u2").tolist() == [1, 65535]
