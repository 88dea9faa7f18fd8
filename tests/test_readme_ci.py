"""The README's CI jobs: their shell lines are run as the runners run them, with gates that pass and that fail."""

import itertools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.small_world import lacal

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SECTION = README.partition("\n## Gates and reports, for CI\n")[2].partition("\n## ")[0]
GITHUB, GITLAB = re.findall(r"```yaml\n(.*?)```", SECTION, flags=re.DOTALL)


def scripts(job: str, key: str) -> list[str]:
    """The shell behind every `key`, on its line or, behind a `|`, in the block below it."""
    lines, found = job.splitlines(), []
    for at, line in enumerate(lines):
        start, there, rest = line.partition(f"{key} ")
        if there and not start.strip(" -"):
            below = indented(lines[at + 1 :], len(start) + 1)
            found.append(textwrap.dedent("\n".join(below)) if rest == "|" else rest)
    return found


def indented(lines: list[str], most: int) -> Iterator[str]:
    """The lines up to the first that is indented by less."""
    return itertools.takewhile(lambda one: one.startswith(" " * most), lines)


@pytest.fixture
def runner(tmp_path: Path) -> Path:
    """A checkout on a machine where lacal is installed: `pip` has nothing to do."""
    shutil.copytree(ROOT / "sample_data" / "langid", tmp_path / "sample_data" / "langid")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, script in (
        ("lacal", f'exec {shlex.quote(sys.executable)} -m lacal "$@"'),
        ("pip", "exit 0"),
    ):
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    return tmp_path


def shell(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    """As a runner calls bash; GitHub without pipefail, which these lines do not need."""
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script], cwd=folder,
        env={**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT),
             "GITHUB_STEP_SUMMARY": str(folder / "step_summary"), "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize(("limit", "code"), [("20%", 0), ("2%", 1)])
def test_the_github_job(runner: Path, limit: str, code: int) -> None:
    install, judge, summary = scripts(GITHUB.replace("> 20%", f"> {limit}"), "run:")
    assert limit in judge
    assert shell(runner, install).returncode == 0
    done = shell(runner, judge)
    assert done.returncode == code, done.stderr
    level = "error" if code else "notice"
    assert (
        f"\n::{level} title=lacal gate {'FAILED' if code else 'passed'}::balanced_error > "
        in done.stdout
    )
    assert [
        one["passed"] for one in json.loads((runner / "metrics.json").read_text())["verdicts"]
    ] == [not code, True]
    assert "always()" in GITHUB
    assert shell(runner, summary).returncode == 0
    said = (runner / "step_summary").read_text()
    assert ("1 of 2 gates failed" if code else "2 gates passed") in said


@pytest.mark.parametrize("code", [0, 1])
def test_the_gitlab_job(runner: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """The accepted model is adjusted; a new one passes where it is as well, and fails where it is not adjusted."""
    monkeypatch.chdir(runner)
    counts = ("--counts", "sample_data/langid/counts.csv")
    assert (
        lacal(
            "adjust",
            "sample_data/langid/test.npz",
            *counts,
            "--tau",
            "1.2",
            "-o",
            "tau_1.parquet",
        )
        == 0
    )
    assert lacal("evaluate", "tau_1.parquet", *counts, "--report", "accepted.json") == 0
    lines = scripts(GITLAB.partition("artifacts:")[0], "-")
    assert len(lines) == 3
    for line in lines[:2]:
        assert shell(runner, line).returncode == 0
    if code:
        calibration = json.loads((runner / "tuned.json").read_text())
        assert calibration["tau"] > 1
        assert (
            lacal(
                "tune-tau",
                "sample_data/langid/val.npz",
                *counts,
                "--grid",
                "0:0.2:0.05",
                "-o",
                "tuned.json",
                "--force",
            )
            == 0
        )
    done = shell(runner, lines[2])
    assert done.returncode == code, done.stderr
    suite = ElementTree.parse(runner / "gates.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("1", str(code))
    assert ("so it is sure" in done.stdout) is bool(code)
    assert "junit: gates.xml" in GITLAB


def test_the_verdicts_shown_are_those_of_the_commands(
    runner: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(runner)
    counts = "--counts sample_data/langid/counts.csv"
    made = (
        f"lacal tune-tau sample_data/langid/val.npz {counts} -o calibration.json",
        "lacal adjust sample_data/langid/test.npz --calibration calibration.json -o predictions.parquet",
        f"lacal adjust sample_data/langid/test.npz {counts} --tau 1 -o tau_1.parquet",
    )
    judged = [line for line in SECTION.splitlines() if line.startswith("lacal evaluate")]
    for line in (*made, *judged):
        assert lacal(*shlex.split(line)[1:]) == 0, line
    out = capfd.readouterr().out
    shown = [line for line in SECTION.splitlines() if line.startswith("gate ")]
    assert [line.split()[1] for line in shown] == ["passed:", "passed:", "passed:", "FAILED:"]
    for one in shown:
        assert one.removesuffix("...)") in out


def test_a_job_that_finds_its_files_needs_force(
    runner: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(runner)
    job = (
        "tune-tau",
        "sample_data/langid/val.npz",
        "--counts",
        "sample_data/langid/counts.csv",
        "-o",
        "tuned.json",
    )
    assert lacal(*job) == 0
    assert lacal(*job) == 2
    assert "--force" in capfd.readouterr().err
    assert lacal(*job, "--force") == 0
    assert "`--force`" in SECTION
