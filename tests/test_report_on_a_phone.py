"""Pages on a phone: what is wider than it says so, what can fit does, and what failed can be read on every ground."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.browser import DESK, PHONE, Browser, browser
from tests.small_world import lacal, write_world
from tests.test_report_in_a_browser import WIDER, contrast, luminance

pytestmark = pytest.mark.skipif(find_spec("matplotlib") is None, reason="needs lacal[plots]")

BOXES = """
  return [...document.querySelectorAll(".scroll")].map((one) => ({
    name: one.ariaLabel, wider: one.scrollWidth - one.clientWidth, stacks: Boolean(one.querySelector(".stacks")),
    shade: getComputedStyle(one).backgroundAttachment, images: getComputedStyle(one).backgroundImage,
    groups: Boolean(one.querySelector(".groups")), stuck: getComputedStyle(one.querySelector("tbody th")).position,
  }))"""


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser")) as one:
        yield one
        assert one.heard() == []


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of rows that fail one gate of two, with a warning."""
    folder = write_world(tmp_path_factory.mktemp("phone"))
    counts = ("--counts", folder / "counts.csv")
    assert lacal("tune-tau", folder / "val.npz", *counts, "--draws", 20, "-o", folder / "c.json") == 0  # fmt: skip
    gates = ("--fail-if", "balanced_error > 1%", "--fail-if", "few.error > 100 * many.error and gain < -50%")  # fmt: skip
    line = (
        "evaluate",
        folder / "val.npz",
        "--allow-tuned-rows",
        "--calibration",
        folder / "c.json",
    )
    assert lacal(*line, *gates, "--report", folder / "page.html") == 1
    return folder / "page.html"


def test_wide_tables_show_that_they_scroll_and_keep_their_names_in_sight(
    tab: Browser, report: Path
) -> None:
    tab.open(report, size=PHONE)
    assert tab.run(WIDER) <= 0
    boxes = tab.run(BOXES)
    wide = [one for one in boxes if one["wider"] > 0]
    assert wide
    for one in wide:
        assert one["shade"] == "local, local, scroll, scroll", one
        assert one["images"].count("gradient") == 4, one
        assert one["stuck"] == "sticky", one
    assert not any(one["wider"] > 0 for one in boxes if one["groups"] or one["stacks"])


def test_the_gates_are_read_without_scrolling(tab: Browser, report: Path) -> None:
    tab.open(report, size=PHONE)
    gates = next(one for one in tab.run(BOXES) if one["name"] == "gate")
    assert gates["stacks"]
    assert gates["wider"] <= 0
    edges = tab.run("""
      return [...document.querySelectorAll(".stacks td")].map((one) => one.getBoundingClientRect().right)""")
    assert len(edges) == 6
    assert max(edges) <= PHONE[0]
    before = tab.run('return getComputedStyle(document.querySelector(".stacks td"), "::before").content')  # fmt: skip
    assert before == '"verdict"'


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE])
def test_what_failed_stands_out_and_can_be_read(
    tab: Browser, report: Path, size: tuple[int, int], scheme: str
) -> None:
    tab.prefer(scheme)
    tab.open(report, size=size)
    words = tab.run("""
      return [...document.querySelectorAll(".word, .verdict")].map((one) => {
        const style = getComputedStyle(one);
        return [one.innerText, style.color, style.backgroundColor];
      })""")
    assert [one[0] for one in words].count("FAILED") == 2
    assert "passed" in [one[0] for one in words]
    for text, ink, ground in words:
        assert contrast(luminance(ink), luminance(ground)) >= 4.5, (text, scheme)
    grounds = {text: ground for text, _, ground in words}
    assert grounds["FAILED"] != grounds["passed"]
    top = tab.run('return document.querySelector(".failed").getBoundingClientRect().top')
    assert top < size[1]
    tab.prefer()


def test_links_take_few_lines_and_charts_end_where_tables_end(tab: Browser, report: Path) -> None:
    tab.open(report, size=DESK)
    assert tab.run('return document.querySelector("nav").offsetHeight') < 40
    ends = tab.run("""
      const right = (one) => Math.round(one.getBoundingClientRect().right);
      return [[...document.querySelectorAll("figure svg")].map(right),
              [...document.querySelectorAll(".scroll:has(.groups)")].map(right)]""")
    assert len({*ends[0], *ends[1]}) == 1
    tab.open(report, size=PHONE)
    assert tab.run('return document.querySelector("nav").offsetHeight') < 70
