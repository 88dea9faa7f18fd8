"""`lacal tune-tau --report page.html --plots DIR`: the answer, the sections, what other methods and groups change."""

import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lacal.classes.groups import GroupRule
from lacal.metrics import ClassTally, PairedTally
from lacal.report.charts.data import Pick
from lacal.report.page.content import Page, Section
from lacal.report.page.render import render
from lacal.report.page.sections import classes_section, recall_section
from lacal.report.page.tau_sections import Curve, tau_sections
from lacal.tau.path import TauPath
from tests.small_world import json_of, lacal, refusal
from tests.test_page import Reader, data_of

pytestmark = pytest.mark.skipif(find_spec("matplotlib") is None, reason="needs lacal[plots]")

TUNE = ("tune-tau", "val.npz", "--counts", "counts.csv", "--draws", 20)
REPORT = ("--report", "page.html")


@pytest.fixture(autouse=True)
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folder)
    return folder


def headings(html: str) -> list[str]:
    return Reader(html).said["h2"]


def test_the_page_leads_with_the_answer_that_the_json_holds(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    found = json_of(capfd, *TUNE, *REPORT)
    html = (here / "page.html").read_text()
    answer = Reader(html).said["h1"][0].replace("\u00a0", " ")
    low, high = found["gain_interval"]
    assert f"tau = {found['tau']:g}" in answer
    for number in (
        found["unadjusted"]["balanced_error"]["value"],
        found["adjusted"]["balanced_error"]["value"],
    ):
        assert f"{100 * number:.1f} %" in answer
    assert f"{100 * low:+.1f} to {100 * high:+.1f}" in answer
    assert headings(html) == [
        "Balanced error over tau", "Error of each group", "Recall of each class", "Where predictions moved",
        "Calibration of the confidence", "Every class", "To redo it",
    ]  # fmt: skip
    plain = re.sub(r"</?span[^>]*>", "", html)  # around options, which are not broken
    facts = " ".join(Reader(plain).said["dd"])
    assert "lacal tune-tau val.npz --counts counts.csv" in facts
    assert re.search(r"fingerprint [0-9a-f]{16}", facts)


def test_a_report_is_not_replaced_unless_forced(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (here / "page.html").write_text("mine")
    assert "exists already; add --force" in refusal(capfd, *TUNE, *REPORT)
    assert (here / "page.html").read_text() == "mine"
    assert "also an input" in refusal(capfd, *TUNE, "--report", "json=counts.csv", "--force")


def test_charts_are_written_by_name(here: Path) -> None:
    assert lacal(*TUNE, "--plots", "charts") == 0
    names = {path.name for path in (here / "charts").iterdir()}
    wanted = ("curve", "group_curves", "recall", "flows", "reliability")
    assert names == {f"{name}.{kind}" for name in wanted for kind in ("svg", "png")}


def test_groups_are_those_that_were_asked_for(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    found = json_of(capfd, *TUNE, "--groups", "quantiles:2", *REPORT)
    assert list(found["adjusted"]["groups"]) == ["q1", "q2"]
    names = Reader((here / "page.html").read_text()).said["bdi"]
    assert names[:4] == ["all classes", "q1", "q2", "all rows"]
    (here / "groups.csv").write_text("class,group\ncat,pets\ndog,pets\nemu,zoo\nfox,zoo\ngnu,zoo\n")
    assert lacal(*TUNE, "--groups", "groups.csv", *REPORT, "--force") == 0
    names = Reader((here / "page.html").read_text()).said["bdi"]
    assert names[:4] == ["all classes", "pets", "zoo", "all rows"]


def slider_of(here: Path, *more: object) -> dict[str, Any]:
    assert lacal(*TUNE, *more, *REPORT, "--force") == 0
    return data_of((here / "page.html").read_text(), "slider-data")


def buttons(here: Path) -> str:
    return " ".join(Reader((here / "page.html").read_text()).said["button"])


def test_the_slider_holds_the_pick_and_what_the_rules_pick(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    found = json_of(capfd, *TUNE)
    taus = slider_of(here)["taus"]
    assert {one["tau"] for one in found["picks"].values()} <= set(taus)
    assert {0.0, 1.0, 0.37, 4.0} <= set(taus)
    for name in ("unadjusted", "theory", "picked", "smoothed", "minimum"):
        assert name in buttons(here)


def test_a_finer_method_has_finer_ticks(here: Path) -> None:
    told = slider_of(here, "--method", "prior-division")
    assert {0.002, 0.5, 1.0} <= set(told["taus"])


HEAD = ("--method", "weight-norm", "--head", "head.npz")


def test_tau_0_is_not_called_unadjusted_where_it_drops_the_bias(here: Path) -> None:
    slider_of(here, *HEAD, "--bias", "drop")
    assert "unadjusted" not in buttons(here)
    slider_of(here, *HEAD, "--bias", "scale")
    assert "unadjusted" in buttons(here)


def test_a_curve_known_on_the_grid_moves_on_the_grid(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    line = (*HEAD, "--bias", "keep", "--grid", "0:2:0.25")
    found = json_of(capfd, *TUNE, *line)
    assert not found["exact"]
    assert slider_of(here, *line)["taus"] == found["grid"]["tau"]
    assert "unadjusted" in buttons(here)


def test_a_loss_is_told_as_one(here: Path) -> None:
    with np.load("val.npz") as every:
        logits, labels = every["logits"], every["labels"]
    # Balanced already: any tau > 0 only harms.
    np.savez("val.npz", logits=8.0 * np.eye(5)[labels] + 0 * logits, labels=labels)
    assert lacal(*TUNE, *REPORT, "--grid", "2:6:0.5") == 0
    answer = Reader((here / "page.html").read_text()).said["h1"][0]
    assert "does not lower the balanced error" in answer


def test_a_thousand_classes_and_fifty_thousand_rows_take_less_than_3_mb() -> None:
    k, n = 1000, 50_000
    generator = np.random.default_rng(0)
    labels = generator.integers(0, k, n)
    # Every row is right in a stretch of its own: the worst case for the rows that are embedded.
    low = generator.uniform(-1, 3, n)
    path = TauPath(labels, np.arange(n), low, low + generator.uniform(0.02, 1, n), k)
    before, right = path.right_at(0.0), path.right_at(1.0)
    counts = np.maximum(1280 * (5 / 1280) ** (np.arange(k) / k), 2).astype(np.int64)
    groups = GroupRule().by_counts(counts)
    taus = np.arange(0.0, 4.01, 0.05)
    pick = Pick("shrunk", 1.0, float(path.balanced_error(np.ones(1))[0]), chosen=True)
    curve = Curve(path, before, counts, groups, 0.0, 4.0, (pick,), taus)
    after, was = ClassTally.empty(k), ClassTally.empty(k)
    after.update(labels, np.where(right, labels, -2))
    was.update(labels, np.where(before, labels, -2))
    paired = PairedTally.empty(k)
    paired.update(labels, np.where(before, labels, -2), np.where(right, labels, -2))
    told: Any = {
        "class_counts": counts,
        "class_names": [f"a class of some name, {j}" for j in range(k)],
        "groups": groups,
    }
    sections: tuple[Section, ...] = (
        *tau_sections(curve),
        recall_section(after, was, **told),
        classes_section(after, was, paired, **told, live=True),
    )
    html = render(Page("large", "Large.", (), sections, ()))
    assert len(html.encode()) < 3_000_000
    assert len(json.dumps(data_of(html, "slider-data")["classes"])) > 250_000
