"""Results as Markdown, JUnit, workflow commands of GitHub and JSON: golden files, and any text at all."""

import json
import re
import unicodedata
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt  # rich brings it

from lacal.cli.outputs import rendered_text
from lacal.formats.shown import printable
from lacal.gates.verdict import Verdict
from lacal.report.document import Table
from lacal.report.markdown import escaped
from lacal.report.result import Result
from tests.golden_files import GOLDEN, VERDICTS, renderings, results


@pytest.mark.parametrize("path", renderings(), ids=lambda path: path.name)
def test_golden_files(path: Path) -> None:
    """`python -m tests.golden_files` writes them anew; read what it changed."""
    assert renderings()[path] == path.read_text(encoding="utf-8")


def test_no_golden_file_is_left_over() -> None:
    assert set(GOLDEN.iterdir()) == set(renderings())


def test_junit_has_a_testcase_a_gate() -> None:
    root = ElementTree.fromstring(rendered_text(results()["failed"], "junit"))
    (suite,) = root
    cases = suite.findall("testcase")
    assert [one.get("name") for one in cases] == [one.shown for one in VERDICTS]
    assert [one.find("failure") is None for one in cases] == [one.passed for one in VERDICTS]
    for one in (root, suite):
        assert (one.get("tests"), one.get("failures"), one.get("errors")) == ("3", "2", "0")
    assert [one.tag for one in suite] == ["testcase"] * 3 + ["system-out"]


HOSTILE = st.text(max_size=40) | st.text("|`<>*_[]()#@:&%\\\n\r\x1b\u202e\ufffe\x00 a", max_size=30)


def hostile(text: str) -> Result:
    """The text wherever text from files may stand; escaped for a terminal, as blocks and reasons are."""
    shown = printable(text, 1000)
    return Result(
        "evaluate",
        json=lambda: {"name": text},
        blocks=lambda: [shown, Table(("a", shown), ((shown, shown),), shown)],
        warnings=(shown,),
        verdicts=(Verdict(text, False, shown, shown),),
    )


@given(HOSTILE)
@example("]]>")
@example("\ud800")
def test_junit_holds_any_text(text: str) -> None:
    shown = rendered_text(hostile(text), "junit")
    root = ElementTree.fromstring(shown.encode())
    assert {one.tag for one in root.iter()} == {
        "testsuites",
        "testsuite",
        "testcase",
        "failure",
        "system-out",
    }


@given(HOSTILE)
@example("::error::x\n##[group]")
@example(":::")
def test_no_text_becomes_a_command_of_github(text: str) -> None:
    for line in rendered_text(hostile(text), "github").splitlines():
        command = re.match(r"\s*::([a-z-]+)", line)
        assert command is None or command[1] in ("error", "notice", "warning")
        assert "::" not in line if command is None else line.count("::") == 2
        assert "##[" not in line


class Shown(HTMLParser):
    """The elements of a fragment."""

    def __init__(self, fragment: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.feed(fragment)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)


@given(HOSTILE)
@example("</td><script>")
def test_markdown_keeps_any_text_text(text: str) -> None:
    shown = rendered_text(hostile(text), "md")
    assert Shown(shown).tags == []
    rows = [line for line in shown.splitlines() if line.startswith("|")]
    assert [len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) for row in rows] == [5] * 3 + [3] * 3
    assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs") and c != "\n" for c in shown)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a*b_c", r"a\*b\_c"),
        ("[x](y)", r"\[x\](y)"),
        ("@team and a@b", "@&#8203;team and a@&#8203;b"),
        ("#12, # no", "#&#8203;12, # no"),
        ("see http://x and www.x", "see http:&#8203;//x and www&#8203;.x"),
        ("&amp; <b>", "&amp;amp; &lt;b&gt;"),
        ("a\\|b", r"a\\\|b"),
        ("a\x1b\u202e", r"a\\x1b\\u202e"),
    ],
)
def test_what_markdown_would_take_for_its_own(text: str, shown: str) -> None:
    assert escaped(text) == shown


class Read(HTMLParser):
    """Elements and text of Markdown as its reader would see it."""

    def __init__(self, markdown: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.feed(MarkdownIt("commonmark").enable("table").render(markdown))

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data.replace("\u200b", "")


@given(st.text(max_size=40) | st.text("|`<>*_[]()#@:&%\\-+=.!~1 a\n\t", max_size=30))
@example("- a")
@example("12) a")
@example("1. a")
@example("# a")
@example("===")
@example("    a")
@example("a\\|b")
@example("![a](b)")
@example("<!-- a")
def test_markdown_reads_as_what_it_was_made_of(text: str) -> None:
    one = hostile(text)
    read = Read(rendered_text(one, "md"))
    assert read.tags <= {
        "h2",
        "p",
        "strong",
        "blockquote",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
    }
    shown = " ".join(str(one.blocks()[0]).split())
    # In the verdict's three cells, the warning, the paragraph, the table's title, its heading and both cells.
    assert " ".join(read.text.split()).count(shown) >= 8 or not shown


def test_json_holds_names_to_the_letter() -> None:
    assert json.loads(rendered_text(hostile("\ud800\x1b|"), "json")) == {"name": "\ud800\x1b|"}
