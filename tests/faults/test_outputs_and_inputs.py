"""Outputs that would replace what is read, or be read as a part of it, by any name; and a full stdout."""

import subprocess
import sys
from pathlib import Path

import pytest

from lacal.atomic import identities, would_be_part
from tests.small_world import refusal

EVALUATE = ("evaluate", "val.npz", "--counts", "counts.csv", "--force")
TUNE = ("tune-tau", "val.npz", "--counts", "counts.csv", "--force")


@pytest.fixture(autouse=True)
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small world's files, with images of a class folder and of a list; nobody looks into them."""
    monkeypatch.chdir(folder)
    for name in ("cls/cat/1.png", "cls/dog/2.png", "img/3.png", "img/errors.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"an image")
    (folder / "list.txt").write_text("3.png cat\nerrors.png dog\n")
    (folder / "charts").mkdir()
    (folder / "charts" / "curve.png").symlink_to(folder / "img" / "errors.png")
    return folder


# Outputs and inputs

LIST = ("--inputs", "list.txt", "--root", "img")
CLASSES = ("--inputs", "cls")
OVERWRITTEN = "is also an input and would be overwritten"
A_PART = "would be read as a part of the input cls"
PARTS = "charts would be read as parts of the input"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ((*EVALUATE, *LIST, "--report", "md=img/3.png"), f"img/3.png: {OVERWRITTEN}"),
        ((*TUNE, *LIST, "-o", "img/3.png"), f"img/3.png: {OVERWRITTEN}"),
        ((*TUNE, *LIST, "-o", "charts/curve.png"), f"charts/curve.png: {OVERWRITTEN}"),
        ((*TUNE, *CLASSES, "-o", "cls/cat/1.png"), f"cls/cat/1.png: {A_PART}"),
        ((*TUNE, *CLASSES, "-o", "cls/cat/new.png"), f"cls/cat/new.png: {A_PART}"),
        ((*EVALUATE, *LIST, "--plots", "img"), "png there is an input, which a chart could"),
        ((*EVALUATE, *LIST, "--plots", "charts"), "curve.png there is an input, which a chart"),
        ((*EVALUATE, *CLASSES, "--plots", "cls/cat"), f"--plots cls/cat: {PARTS} cls"),
        ((*EVALUATE, *CLASSES, "--plots", "cls/new"), f"--plots cls/new: {PARTS} cls"),
        (("evaluate", "cls", "--counts", "counts.csv", "--plots", "cls"), f"{PARTS} cls"),
        ((*EVALUATE, "--labels", "*", "--plots", "."), f"{PARTS} *"),
    ],
)  # fmt: skip
def test_an_output_never_replaces_an_image_or_joins_the_input(
    here: Path, capfd: pytest.CaptureFixture[str], line: tuple[str, ...], told: str
) -> None:
    pytest.importorskip("matplotlib", exc_type=ImportError)
    before = {one: one.read_bytes() for one in here.rglob("*") if one.is_file()}
    assert told in refusal(capfd, *line)
    assert {one: one.read_bytes() for one in here.rglob("*") if one.is_file()} == before


def test_an_output_beside_images_is_no_image(here: Path) -> None:
    assert not would_be_part(here / "cls" / "cat" / "r.html", here / "cls")
    assert would_be_part(here / "cls" / "r.html", here / "cls")
    assert not would_be_part(here / "img" / "r.png", here / "cls")


def test_a_list_that_cannot_be_read_is_refused_as_an_input(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (here / "list.txt").write_text("3.png cat\nnone.png dog\n")
    (here / "r.md").touch()
    told = refusal(capfd, *EVALUATE, *LIST, "--report", "r.md")
    assert "r.md" not in told


def test_training_data_and_settings_are_not_replaced(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    line = ("train", "list.txt", "--root", "img", "-o", "run", "--force", "--report")
    assert OVERWRITTEN in refusal(capfd, *line, "md=img/3.png")
    (here / "pyproject.toml").write_text("[tool.lacal.train]\nepochs = 1\n")
    assert OVERWRITTEN in refusal(capfd, *line, "md=pyproject.toml")


def test_settings_of_the_folder_are_an_input(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    settings = here / "pyproject.toml"
    settings.write_text('[tool.lacal.evaluate]\ncounts = "counts.csv"\n')
    line = ("evaluate", "val.npz", "--report", "md=pyproject.toml", "--force")
    assert f"pyproject.toml: {OVERWRITTEN}" in refusal(capfd, *line)
    settings.unlink()
    (here / "other.toml").write_text('[evaluate]\ncounts = "counts.csv"\n')
    again = ("--config", "other.toml", *line[:2], "--report", "md=other.toml", "--force")
    assert f"other.toml: {OVERWRITTEN}" in refusal(capfd, *again)


def test_a_name_that_cannot_be_is_no_file() -> None:
    assert identities([Path("a\0b"), Path("none")]) == set()
    assert len(identities([Path("charts/curve.png"), Path("img/errors.png")])) == 1


# Links


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("nowhere/x", "is a link to {here}/nowhere/x, where folder {here}/nowhere does not exist"),
        ("val.npz/x", "is a link to {here}/val.npz/x, where {here}/val.npz is not a folder"),
    ],
)
def test_a_link_to_no_folder_says_where_it_leads(
    here: Path, capfd: pytest.CaptureFixture[str], target: str, told: str
) -> None:
    (here / "link.parquet").symlink_to(target)
    line = ("adjust", "test.npz", "--counts", "counts.csv", "--tau", 1, "-o", "link.parquet")
    assert f"link.parquet: {told.format(here=here.resolve())}" in refusal(capfd, *line)


# Stdout


@pytest.mark.parametrize("line", ["inspect val.npz", "inspect val.npz --json", "--help"])
def test_a_full_stdout_is_named(here: Path, line: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "lacal", *line.split()],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False, cwd=here, timeout=60,
        )  # fmt: skip
    told = "Error: stdout: No space left on device; send the result to another place.\n"
    assert (done.returncode, done.stderr) == (3, told)


def test_reports_of_no_known_kind_are_refused_as_before(capfd: pytest.CaptureFixture[str]) -> None:
    told = refusal(capfd, *EVALUATE, *LIST, "--report", "junt=r.xml")
    assert "'junt' is no kind of report" in told
