"""The report as a reader has it: opened in Chromium, moved, sorted, and held against `lacal evaluate`."""

import csv
import json
import random
import re
from collections.abc import Iterator
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lacal.report.page.shown import spread, written
from tests.browser import DESK, PHONE, Browser, browser
from tests.small_world import lacal
from tests.test_page import HOSTILE

pytestmark = pytest.mark.skipif(find_spec("matplotlib") is None, reason="needs lacal[plots]")

LANGID = Path(__file__).parent.parent / "sample_data" / "langid"
TAU = 1.37
MOVE = 'const tau = document.querySelector("#tau"); tau.value = arguments[0]; tau.dispatchEvent(new Event("input"))'
WIDER = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser")) as one:
        yield one
        assert one.heard() == []


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of tune-tau on real data, one class of which has no validation row."""
    folder = tmp_path_factory.mktemp("langid")
    with np.load(LANGID / "val.npz") as every:
        kept = every["labels"] != 7
        np.savez(
            folder / "val.npz", logits=every["logits"][kept], labels=every["labels"][kept],
            class_names=every["class_names"],
        )  # fmt: skip
    page = folder / "report.html"
    counts = ("--counts", LANGID / "counts.csv")
    assert lacal("tune-tau", folder / "val.npz", *counts, "--draws", 20, "--report", page) == 0
    line = ("adjust", folder / "val.npz", *counts, "--tau", TAU, "-o", folder / "at.parquet")
    assert lacal(*line) == 0
    measured = ("evaluate", folder / "at.parquet", *counts, "--report", folder / "at.json")
    assert lacal(*measured) == 0
    return page


@pytest.fixture(scope="module")
def evaluated(report: Path) -> dict[str, Any]:
    """What `lacal evaluate` says at that tau."""
    value: dict[str, Any] = json.loads((report.parent / "at.json").read_text())
    return value


def groups_on(tab: Browser) -> list[dict[str, Any]]:
    """The table of groups as it stands: texts, and every digit where the slider has written."""
    rows = tab.run("""
      return [...document.querySelectorAll("table.groups tbody tr")].map((row) => ({
        name: row.querySelector("bdi").textContent,
        ...Object.fromEntries([...row.querySelectorAll("[data-live]")].map((cell) => [cell.dataset.live, {
          text: cell.firstChild.textContent, value: Number(cell.dataset.value),
          spread: cell.querySelector("small")?.textContent ?? "",
        }])),
      }))""")
    return list(rows)


def classes_on(tab: Browser) -> dict[str, list[str]]:
    """Class -> texts of its cells; number and interval apart by a blank."""
    rows = tab.run("""
      return [...document.querySelectorAll(".classes tbody tr")].map((row) =>
        [row.querySelector("bdi").textContent, ...[...row.querySelectorAll("td:not(.pair)")].map((cell) =>
          [...cell.childNodes].map((part) => part.textContent).join(" "))])""")
    return {row[0]: row[1:] for row in rows}


def test_the_slider_says_what_evaluate_says_to_the_last_digit(
    tab: Browser, report: Path, evaluated: dict[str, Any]
) -> None:
    tab.open(report, f"#tau={TAU}")
    tab.settled("")
    assert tab.text("output.tau") == str(TAU)
    rows = groups_on(tab)
    told = [evaluated["balanced_error"], *evaluated["groups"].values(), evaluated["micro_error"]]
    assert len(rows) == len(told) == 5
    for row, one in zip(rows, told, strict=True):
        assert row["error"]["value"] == one["value"]
        assert row["error"]["text"] == f"{100 * one['value']:.1f}"
        assert row["error"]["spread"] == spread("share", *one["interval"])
    gain = evaluated["gain"]
    assert rows[0]["gain"]["value"] == gain["value"]
    assert rows[0]["gain"]["spread"] == spread("points", *gain["interval"])
    assert tab.text("[data-now=error]") == f"{100 * evaluated['balanced_error']['value']:.1f}"


def test_every_class_says_what_evaluate_says(
    tab: Browser, report: Path, evaluated: dict[str, Any]
) -> None:
    tab.open(report, f"#tau={TAU}")
    tab.settled("")
    shown = classes_on(tab)
    assert len(shown) == len(evaluated["classes"]) == 101
    mended, broken = changed_rows(report.parent / "at.parquet")
    for one in evaluated["classes"]:
        n, _, recall, *counts = shown[one["name"]][1:]
        assert n == str(one["n"])
        assert counts == [str(mended.get(one["name"], 0)), str(broken.get(one["name"], 0))]
        if one["error"] is None:
            assert recall == "n/a"
            continue
        low, high = one["interval"]
        ends = spread("share", 1 - high, 1 - low)
        assert recall == f"{written('share', 1 - one['error'])} {ends}"
    assert sum(mended.values()) == groups_on(tab)[0]["mended"]["value"]
    assert sum(broken.values()) == groups_on(tab)[0]["broken"]["value"]


def changed_rows(predictions: Path) -> tuple[dict[str, int], dict[str, int]]:
    """Rows mended and broken, by the name of their label, counted from the predictions file."""
    table: pa.Table = pq.read_table(predictions)
    names = json.loads(table.schema.metadata[b"class_names"])
    mended: dict[str, int] = {}
    broken: dict[str, int] = {}
    columns = (table[name].to_pylist() for name in ("label", "unadjusted_prediction", "prediction"))
    for label, was, now in zip(*columns, strict=True):
        if was != now:
            for counts, right in ((mended, now), (broken, was)):
                counts[names[label]] = counts.get(names[label], 0) + (right == label)
    return mended, broken


def test_it_opens_at_the_pick_and_comes_back_to_it(tab: Browser, report: Path) -> None:
    tab.open(report)
    before = (groups_on(tab), classes_on(tab))
    paper = re.sub(r"<script.*", "", report.read_text(), flags=re.S)
    assert tab.text("output.tau") in tab.text("h1")
    for row in before[0]:
        assert f"{row['error']['text']}<small>{row['error']['spread']}</small>" in paper
    tab.settled(MOVE, 300)
    assert groups_on(tab) != before[0]
    assert classes_on(tab) != before[1]
    tab.settled('document.querySelector(".marks [aria-pressed=true]")?.click()')
    tab.settled(
        '[...document.querySelectorAll(".marks button")].find((one) => one.textContent.includes("picked")).click()'
    )
    assert (groups_on(tab), classes_on(tab)) == before


def test_keys_move_it_and_the_address_remembers(tab: Browser, report: Path) -> None:
    tab.open(report, "#tau=1")
    tab.settled("")
    tab.press("#tau", "\ue014\ue014")  # arrow right, twice
    tab.settled("")
    assert tab.text("output.tau") == "1.02"
    assert tab.run("return location.hash") == "#tau=1.02"
    assert tab.run('return document.querySelector("#tau").ariaValueText').startswith(
        "tau 1.02, balanced error"
    )
    tab.press("#tau", "\ue011")  # home
    tab.settled("")
    assert tab.text("output.tau") == "0"
    assert groups_on(tab)[0]["gain"]["text"] == "+0.0"


@pytest.mark.parametrize(("asked", "tau"), [("99", "4"), ("-3", "0"), ("0.994", "0.99")])
def test_the_nearest_tick_is_taken(tab: Browser, report: Path, asked: str, tau: str) -> None:
    tab.open(report, f"#tau={asked}")
    tab.settled("")
    assert tab.text("output.tau") == tau


def test_an_address_that_names_no_tau_is_passed_over(tab: Browser, report: Path) -> None:
    tab.open(report)
    picked = tab.text("output.tau")
    tab.open(report, "#tau=<b>1")
    tab.settled("")
    assert tab.text("output.tau") == picked


def test_the_charts_follow(tab: Browser, report: Path) -> None:
    tab.open(report, f"#tau={TAU}")
    tab.settled("")
    at = tab.run("""
      const figure = document.querySelector("figure[data-chart=curve]");
      const box = JSON.parse(figure.dataset.axes)[0];
      const dot = figure.querySelector(".live circle");
      const x = box.x_low + (dot.getAttribute("cx") - box.left) / box.width * (box.x_high - box.x_low);
      const up = (box.top + box.height - dot.getAttribute("cy")) / box.height;
      return [x, box.y_low + up * (box.y_high - box.y_low)]""")
    assert at[0] == pytest.approx(TAU)
    assert at[1] == pytest.approx(100 * groups_on(tab)[0]["error"]["value"])
    lines = tab.run(
        'return document.querySelector("figure[data-chart=recall] .dots").getAttribute("d").split("M").length - 1'
    )
    assert lines == 100
    hidden = 'return getComputedStyle(document.querySelector("[data-chart=recall] .part-after")).visibility'
    assert tab.run(hidden) == "hidden"
    tab.open(report)
    assert tab.run(hidden) == "visible"


def test_classes_are_sorted_and_found(tab: Browser, report: Path) -> None:
    tab.open(report)
    column = 'const at = {heading}; document.querySelectorAll(".classes th[data-column] button")[at].click()'
    tab.settled(column.format(heading=0))
    names = list(classes_on(tab))
    assert names == sorted(names)
    tab.settled(column.format(heading=4))  # adjusted, from the lowest up; n/a last
    recalls = [cells[3].split()[0] for cells in classes_on(tab).values()]
    assert recalls[-1] == "n/a"
    numbers = [float(one) for one in recalls[:-1]]
    assert numbers == sorted(numbers)
    tab.settled(column.format(heading=4))
    recalls = [cells[3].split()[0] for cells in classes_on(tab).values()]
    assert recalls[-1] == "n/a"
    assert float(recalls[0]) == 100.0
    tab.press(".finder input", "K")
    tab.settled("")
    assert classes_on(tab)
    assert all("k" in name for name in classes_on(tab)), classes_on(tab)
    tab.press(".finder input", "\ue003\ue003few")
    tab.settled("")
    with_few = classes_on(tab)
    assert len(with_few) == 11
    assert all(int(cells[0]) < 20 for cells in with_few.values())


def test_numbers_are_written_as_python_writes_them(tab: Browser, report: Path) -> None:
    tab.open(report)
    source = resources.files("lacal.report.page").joinpath("assets", "numbers.js").read_text()
    draw = random.Random(0)
    halves = [n / 2000 for n in range(0, 2001, 7)] + [n / 32 for n in range(33)]
    values = [
        *halves,
        *(-one for one in halves[1:] if one),
        *(draw.uniform(-1, 1) for _ in range(500)),
        5e-324,
    ]
    for kind in ("share", "points", "number"):
        found = tab.run(
            f"{source}; return arguments[0].map((one) => written('{kind}', one))", values
        )
        assert found == [written(kind, one) for one in values]
    counts = [0, 7, 999, 1000, 123456, 1234567]
    found = tab.run(f"{source}; return arguments[0].map((one) => written('count', one))", counts)
    assert found == [f"{one:,}" for one in counts]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE])
def test_it_fits_the_screen_and_can_be_read(
    tab: Browser, report: Path, size: tuple[int, int], scheme: str
) -> None:
    tab.prefer(scheme)
    tab.open(report, size=size)
    assert tab.run(WIDER) <= 0
    colours = tab.run("""
      const style = getComputedStyle(document.body), muted = getComputedStyle(document.querySelector(".eyebrow"));
      return [style.backgroundColor, style.color, muted.color]""")
    paper, ink, muted = (luminance(one) for one in colours)
    assert (paper > 0.5) == (scheme == "light")
    assert contrast(paper, ink) > 12
    assert contrast(paper, muted) > 4.5
    # The whole table of groups is in sight without scrolling sideways.
    assert (
        tab.run(
            'const box = document.querySelector("table.groups").parentElement; return box.scrollWidth - box.clientWidth'
        )
        <= 0
    )
    tab.prefer()


def luminance(colour: str) -> float:
    """Relative luminance of `rgb(r, g, b)`, as WCAG 2.2 defines it."""
    parts = [int(one) / 255 for one in re.findall(r"\d+", colour)[:3]]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: float, other: float) -> float:
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


def test_paper_has_no_controls(tab: Browser, report: Path) -> None:
    tab.prefer("dark", media="print")
    tab.open(report)
    for control in (".bar", ".marks", ".finder", "nav"):
        assert tab.run("return document.querySelector(arguments[0]).offsetHeight", control) == 0
    assert luminance(tab.run("return getComputedStyle(document.body).color")) < 0.05
    assert len(classes_on(tab)) == 101
    tab.prefer()


def test_hostile_names_are_text_and_break_nothing(
    tab: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = HOSTILE[:10]
    generator = np.random.default_rng(0)
    labels = np.arange(200) % 10
    logits = generator.normal(size=(200, 10)) + 2 * np.eye(10)[labels]
    np.savez("val.npz", logits=logits, labels=labels)
    with Path("counts.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [("class", "count"), *zip(names, range(10, 210, 20), strict=True)]
        )
    line = ("tune-tau", "val.npz", "--counts", "counts.csv", "--draws", 20)
    assert lacal(*line, "--report", "page.html") == 0
    for size in (DESK, PHONE):
        tab.open(tmp_path / "page.html", size=size)
        tab.settled(MOVE, 200)
        assert tab.run(WIDER) <= 0
        shown = tab.run(
            'return [...document.querySelectorAll(".classes bdi")].map((one) => one.textContent)'
        )
        assert len(shown) == len(names)
        assert {names[0], names[3], names[6]} <= set(shown)
        assert (
            tab.run(
                'return document.querySelectorAll(".classes :is(img, script:not([type]), b)").length'
            )
            == 0
        )
        heights = tab.run(
            'return [...document.querySelectorAll(".classes tbody tr")].map((one) => one.offsetHeight)'
        )
        assert max(heights) <= 60
