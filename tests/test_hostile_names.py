"""Class names from files are text, wherever they are shown: no markup, no escape, no command, no layout broken."""

import json
import re
import unicodedata
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.small_world import lacal, refusal

HOSTILE = (
    "<script>alert(1)</script>",
    "\x1b[31mred\x1b[0m",
    "=cmd|' /C calc'!A0",
    "\u202egnp.exe",
    "x" * 10_000,
    "😀‍👩‍👧",
    "a|b`c`*d*",
    "]]><![CDATA[",
    "$\\frac{1}{0}$",
    "&amp;\"'><img src=x onerror=alert(1)>",
    "::error::stop%0A",
    "two\nlines\r\tand a tab",
)
COUNTS = tuple(3 ** (len(HOSTILE) - j) // 100 + 3 for j in range(len(HOSTILE)))
PLAIN = tuple(f"class {j}" for j in range(len(HOSTILE)))

needs_plots = pytest.mark.skipif(find_spec("matplotlib") is None, reason="needs lacal[plots]")


def write_hostile(folder: Path, names: tuple[str, ...]) -> Path:
    k = len(names)
    for split, seed in (("val", 0), ("test", 1)):
        generator = np.random.default_rng(seed)
        labels = np.arange(40 * k) % k
        logits = generator.normal(size=(labels.size, k)) + np.log(np.array(COUNTS) / sum(COUNTS))
        logits[np.arange(labels.size), labels] += 2.0
        ids = np.array([f"{split} {i}" for i in range(labels.size)])
        np.savez(folder / f"{split}.npz", logits=logits, labels=labels, ids=ids)
    # As JSON: a cell of a CSV file may not span lines.
    counted = {"class_counts": COUNTS, "class_names": names}
    (folder / "counts.json").write_text(json.dumps(counted))
    return folder


@pytest.fixture
def hostile(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A world of hostile names, tuned and adjusted."""
    monkeypatch.chdir(write_hostile(tmp_path, HOSTILE))
    assert (
        lacal("tune-tau", "val.npz", "--counts", "counts.json", "--draws", 20, "-o", "c.json") == 0
    )
    assert lacal("adjust", "test.npz", "--calibration", "c.json", "-o", "p.parquet") == 0
    capfd.readouterr()
    return tmp_path


COMMANDS = {
    "inspect": ("inspect", "val.npz", "--counts", "counts.json"),
    "tune-tau": ("tune-tau", "val.npz", "--counts", "counts.json", "--draws", "20"),
    "adjust": ("adjust", "test.npz", "--calibration", "c.json", "-o", "again.parquet", "--force"),
    "evaluate": ("evaluate", "test.npz", "--calibration", "c.json"),
    "predictions": ("evaluate", "p.parquet", "--counts", "counts.json"),
    "methods": ("compare", "val.npz", "test.npz", "--counts", "counts.json"),
    "runs": ("compare", "p.parquet", "p.parquet"),
}
# The elements of a JUnit report.
JUNIT = {
    "testsuites",
    "testsuite",
    "testcase",
    "failure",
    "error",
    "properties",
    "property",
    "system-out",
}
WITH_REPORTS = tuple(name for name in COMMANDS if name != "inspect")


def dangerous(text: str) -> set[str]:
    """Characters that a terminal would obey rather than show."""
    return {c for c in text if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp")}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_terminal_shows_them_escaped(
    hostile: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    assert lacal(*COMMANDS[name]) == 0
    out, err = capfd.readouterr()
    assert not dangerous(out + err)
    assert max(map(len, out.splitlines())) < 400


@pytest.mark.parametrize("name", COMMANDS)
def test_json_keeps_them_to_the_letter(
    hostile: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    assert lacal(*COMMANDS[name], "--json") == 0
    out = capfd.readouterr().out
    assert out.isascii()
    assert out.count("\n") == 1
    spelt: set[str] = set()

    def collect(pairs: list[tuple[str, object]]) -> dict[str, object]:
        for key, value in pairs:
            if key == "class_names" and isinstance(value, list):
                spelt.update(value)
            if key == "name" and "class" in dict(pairs) and isinstance(value, str):
                spelt.add(value)
        return dict(pairs)

    json.loads(out, object_pairs_hook=collect)
    assert spelt == set(HOSTILE)


@pytest.mark.parametrize("name", WITH_REPORTS)
def test_markdown_cells_stay_cells(
    hostile: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    assert lacal(*COMMANDS[name], "--format", "md") == 0
    out = capfd.readouterr().out
    assert not dangerous(out)
    assert "<script" not in out
    assert "<img" not in out
    tables = [block for block in out.split("\n\n") if block.startswith("|")]
    assert tables
    for table in tables:
        bars = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(bars) == 1, table


@pytest.mark.parametrize("name", WITH_REPORTS)
def test_junit_is_xml(hostile: Path, capfd: pytest.CaptureFixture[str], name: str) -> None:
    assert lacal(*COMMANDS[name], "--format", "junit") == 0
    root = ElementTree.fromstring(capfd.readouterr().out)
    assert {one.tag for one in root.iter()} <= JUNIT


@pytest.mark.parametrize("name", WITH_REPORTS)
def test_github_gets_no_command_of_theirs(
    hostile: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    assert lacal(*COMMANDS[name], "--format", "github") == 0
    for line in capfd.readouterr().out.splitlines():
        command = re.match(r"\s*::(.*?)::", line)
        assert command is None or command[1].split(" ")[0] in ("notice", "warning", "error")
        assert "::error::stop" not in line


def test_predictions_keep_them_to_the_letter(hostile: Path) -> None:
    names = set(pq.read_table(hostile / "p.parquet")["prediction_name"].to_pylist())
    assert names <= set(HOSTILE)
    assert len(names) > 6


@pytest.mark.parametrize("j", range(len(HOSTILE)))
def test_a_gate_names_them(hostile: Path, capfd: pytest.CaptureFixture[str], j: int) -> None:
    quoted = HOSTILE[j].replace("\\", "\\\\").replace('"', '\\"')
    gate = f'class."{quoted}".error > 99.9%'
    assert lacal(*COMMANDS["evaluate"], "--fail-if", gate) == 0, capfd.readouterr().err
    assert not dangerous(capfd.readouterr().out)


class Elements(HTMLParser):
    """The elements of a page and their attributes, and what was said in it."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.seen: dict[str, int] = {}
        self.attributes: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen[tag] = self.seen.get(tag, 0) + 1
        self.attributes |= {name for name, _ in attrs}


@needs_plots
@pytest.mark.parametrize("name", WITH_REPORTS)
def test_pages_hold_no_element_of_theirs(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    pages = []
    for kind, names in (("hostile", HOSTILE), ("plain", PLAIN)):
        (tmp_path / kind).mkdir()
        monkeypatch.chdir(write_hostile(tmp_path / kind, names))
        first = ("tune-tau", "val.npz", "--counts", "counts.json", "--draws", 20, "-o", "c.json")
        assert lacal(*first) == 0
        assert lacal("adjust", "test.npz", "--calibration", "c.json", "-o", "p.parquet") == 0
        assert lacal(*COMMANDS[name], "--report", "page.html") == 0, capfd.readouterr().err
        page = (tmp_path / kind / "page.html").read_text(encoding="utf-8")
        assert len(page) < 3_000_000
        assert "\u202e" not in page
        assert "\x1b" not in page
        pages.append(Elements(page))
    theirs, ours = pages
    assert theirs.seen.get("script") == ours.seen.get("script")
    assert "img" not in theirs.seen or theirs.seen["img"] == ours.seen.get("img")
    assert not {one for one in theirs.attributes if one.startswith("on")}


@needs_plots
@pytest.mark.parametrize("name", WITH_REPORTS)
def test_plots_are_svg_and_nothing_else(
    hostile: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    assert lacal(*COMMANDS[name], "--plots", "plots") == 0, capfd.readouterr().err
    drawn = sorted((hostile / "plots").glob("*.svg"))
    assert drawn
    assert len(drawn) == len(list((hostile / "plots").glob("*.png")))
    for path in drawn:
        tags = {one.tag.rpartition("}")[2] for one in ElementTree.parse(path).iter()}
        assert not tags & {"script", "foreignObject", "img"}
        assert "\u202e" not in path.read_text(encoding="utf-8")


def test_names_that_stand_twice_are_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    twice = ("\x1b[31mred", *PLAIN[1:-1], "\x1b[31mred")
    monkeypatch.chdir(write_hostile(tmp_path, twice))
    for line in (COMMANDS["methods"], COMMANDS["tune-tau"]):
        assert "twice" in refusal(capfd, *line)
