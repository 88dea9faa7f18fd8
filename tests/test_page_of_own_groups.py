"""Pages of groups from a file and of a target prior: said once, told apart by fingerprint, every class mix named."""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.small_world import NAMES, json_of, lacal, write_world
from tests.test_page import Reader
from tests.test_pages_of_commands import Said

pytestmark = pytest.mark.skipif(find_spec("matplotlib") is None, reason="needs lacal[plots]")

GROUPS = "class,group\ncat,pets\ndog,pets\nemu,birds\nfox,wild\ngnu,wild\n"
EVALUATE = ("evaluate", "test.npz", "--calibration", "cal.json", "--groups", "groups.csv", "--target-prior", "deploy.csv")  # fmt: skip


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_world(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "groups.csv").write_text(GROUPS)
    shares = zip(NAMES, (5, 3, 1, 0.5, 0.5), strict=True)
    (tmp_path / "deploy.csv").write_text("class,count\n" + "".join(f"{n},{s}\n" for n, s in shares))
    assert lacal("tune-tau", "val.npz", "--counts", "counts.csv", "--draws", 20, "-o", "cal.json") == 0  # fmt: skip
    return tmp_path


def page_of(*arguments: object) -> Said:
    assert lacal(*arguments, "--report", "page.html", "--force") == 0
    return Said(Path("page.html"))


def fact(page: Said, name: str) -> str:
    found = re.search(rf"<dt>{name}</dt>\s*<dd>(.*?)</dd>", page.markup, re.DOTALL)
    assert found is not None, name
    return found[1]


def test_a_file_of_groups_is_named_once_beside_its_groups() -> None:
    page = page_of(*EVALUATE)
    told = fact(page, "groups")
    assert told.startswith("as in groups.csv: pets 2, birds 1, wild 2 classes, fingerprint ")
    text = page.text.replace(fact(page, "command"), "")
    assert text.count("as in groups.csv") == 1
    assert {"pets", "birds", "wild"} <= set(re.findall(r"[a-z]+", page.markup[page.markup.index('class="legend"') :][:900]))  # fmt: skip


@pytest.mark.parametrize(
    ("name", "file", "before", "after"),
    [
        ("groups", "groups.csv", "emu,birds", "emu,pets"),
        ("target prior", "deploy.csv", "cat,5", "cat,6"),
    ],
)
def test_a_changed_file_has_another_fingerprint(
    name: str, file: str, before: str, after: str
) -> None:
    text = Path(file).read_text()
    first = fact(page_of(*EVALUATE), name)
    if name == "groups":  # whose order says nothing
        header, *lines = text.splitlines()
        Path(file).write_text("\n".join([header, *reversed(lines)]) + "\n")
    same = fact(page_of(*EVALUATE), name)
    Path(file).write_text(text.replace(before, after))
    other = fact(page_of(*EVALUATE), name)
    fingerprints = [re.findall(r"fingerprint ([0-9a-f]{16})", one) for one in (first, same, other)]
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]
    assert all(len(one) == 1 for one in fingerprints)


def rows_of(page: Said, heading: str) -> dict[str, list[str]]:
    """The table whose first heading begins so: name -> cells."""
    for table in re.findall(r"<table[^>]*>(.*?)</table>", page.markup, re.DOTALL):
        if re.search(rf'<th scope="col"[^>]*>{heading}', table):
            lines = re.findall(r"<tr[^>]*>(.*?)</tr>", table, re.DOTALL)[1:]
            cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line, re.DOTALL) for line in lines]
            plain = [[" ".join(Said._text(one).split()) for one in line] for line in cells]
            return {line[0]: line[1:] for line in plain}
    raise AssertionError(heading)


def shown(one: dict[str, Any]) -> str:
    low, high = one["interval"]
    return f"{100 * one['value']:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def test_every_calibration_error_says_its_class_mix_and_is_the_one_of_the_json(
    capfd: pytest.CaptureFixture[str],
) -> None:
    measures = json_of(capfd, *EVALUATE)["measures"]
    page = page_of(*EVALUATE)
    rows = rows_of(page, "calibration error")
    named = {
        "in class shares of deploy.csv": "target_calibration",
        "rows as they come": "calibration.top_label",
        "every class alike": "balanced_calibration",
        "rows labelled pets": "pets.calibration",
    }
    # What judges the probabilities stands first.
    assert list(rows)[:4] == list(named) or list(rows)[:3] == list(named)[:3]
    for words, name in named.items():
        assert rows[words][2] == shown(measures[name]), words
    alt = next(one for one in page.alts if one.startswith("Reliability diagrams"))
    for words, name in named.items():
        assert f"{words}: calibration error {100 * measures[name]['value']:.1f} %" in alt
    assert "Adjusted logits taken for probabilities are in the class shares of deploy.csv" in page.text  # fmt: skip


def test_without_a_target_every_class_alike_judges_adjusted_logits() -> None:
    page = page_of(*EVALUATE[:-2])
    assert list(rows_of(page, "calibration error"))[:2] == ["every class alike", "rows as they come"]  # fmt: skip


def test_the_temperatures_chart_says_the_class_mix_of_its_numbers() -> None:
    given = ("adjust", "test.npz", "--calibration", "cal.json", "-o", "out.parquet", "--fit-temperature", "val.npz")  # fmt: skip
    page = page_of(*given)
    assert "before and after the temperature, every class alike" in page.text
    page = page_of(*given, "--target-prior", "deploy.csv")
    assert "before and after the temperature, in the class shares of deploy.csv" in page.text


def test_the_curve_speaks_of_the_picks_that_it_draws() -> None:
    assert "and the tau that is applied." in page_of(*EVALUATE).text
    assert "each rule picks" not in page_of(*EVALUATE).text
    assert "each rule picks." in page_of("tune-tau", "val.npz", "--counts", "counts.csv", "--draws", 20).text  # fmt: skip


def test_mended_and_broken_rows_stand_in_columns_of_their_own() -> None:
    page_of(*EVALUATE)
    elements = Reader(Path("page.html").read_text()).elements
    live = [one[1].get("data-live") for one in elements if one[0] == "td" and "data-live" in one[1]]
    assert live == ["error", "gain", "mended", "broken"] * 5
