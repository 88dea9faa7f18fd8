"""The whole command line as a real process, in environments that are odd but nobody's fault."""

import ast
import json
import os
import random
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from tests.small_world import write_world

ROUNDS = int(os.environ.get("LACAL_ENVIRONMENTS", "12"))
LINES = (
    ("inspect", "{}/val.npz"),
    ("inspect", "{}/none.npz"),
    ("tune-tau", "{}/val.npz", "--counts", "{}/counts.csv", "--draws", "10"),
    ("adjust", "{}/test.npz", "--counts", "{}/counts.csv", "--tau", "1", "-o", "{}/o/p.csv"),
    ("evaluate", "{}/test.npz", "--counts", "{}/größe.csv", "--report", "{}/o/e.html"),
    ("compare", "{}/val.npz", "{}/test.npz", "--counts", "{}/counts.csv", "--draws", "10"),
    ("infer", "{}/model.onnx", "{}/x.npy", "-o", "{}/o/l.npz"),
    ("completion", "bash"),
    ("tune-tau", "--help"),
    ("frobnicate",),
)
Changes = tuple[dict[str, str | None], ...]
# What a round may change: each is a choice of variables, or of the interpreter's options.
HOME: Changes = ({}, {"HOME": None}, {"HOME": "/nonexistent"}, {"HOME": "/proc"})
LOCALE: Changes = ({}, {"LC_ALL": "C"}, {"LC_ALL": "POSIX", "PYTHONUTF8": "0"}, {"LC_ALL": "xx_YY.nonsense"}, {"PYTHONIOENCODING": "ascii"})  # fmt: skip
OTHER: Changes = (
    {},
    {"PYTHONOPTIMIZE": "2"},
    {"TERM": None, "COLUMNS": "1"},
    {"TERM": "dumb", "COLUMNS": "wide"},
    {"FORCE_COLOR": "1"},
    {"NO_COLOR": ""},
    {"TMPDIR": "/nonexistent", "MPLCONFIGDIR": "/proc/nonexistent"},
    {"PATH": None},
    {"PYTHONWARNINGS": "error"},
    {"TZ": "nowhere"},
)
STREAMS = ("", "", "", "<&-", "2>&-", "2>/dev/full", "< /dev/null")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from tests.models.onnx_small import model

    folder = write_world(tmp_path_factory.mktemp("files"))
    text = (folder / "counts.csv").read_text().replace("cat", "größe")
    (folder / "größe.csv").write_text(text, encoding="utf-8")
    onnx.save(model(), folder / "model.onnx")
    np.save(folder / "x.npy", np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32))
    (folder / "o").mkdir()
    return folder


def started(
    line: tuple[str, ...], files: Path, environment: Mapping[str, str], cwd: Path, streams: str
) -> subprocess.CompletedProcess[str]:
    words = [word.format(files) for word in line]
    return subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" -m lacal "$@" {streams}', sys.executable, *words],
        cwd=cwd, env=environment, capture_output=True, timeout=100, check=False, encoding="utf-8",
    )  # fmt: skip


def listed(folder: Path) -> set[Path]:
    return {one.relative_to(folder) for one in folder.rglob("*")}


Outcome = tuple[int, str, str, dict[Path, bytes]]


def outcome(
    line: tuple[str, ...], files: Path, environment: dict[str, str], cwd: Path, streams: str
) -> Outcome:
    """Exit code, stdout, stderr, and the files that were written."""
    for one in (files / "o").iterdir():
        one.unlink()
    before = listed(files)
    done = started(line, files, environment, cwd, streams)
    left = {one: (files / one).read_bytes() for one in listed(files) - before}
    return done.returncode, done.stdout, done.stderr, left


@pytest.fixture(scope="module")
def alone() -> dict[tuple[str, ...], Outcome]:
    """What a line comes to in an environment that is not odd."""
    return {}


@pytest.mark.parametrize("number", range(ROUNDS))
def test_an_odd_environment_changes_no_result(
    files: Path, tmp_path: Path, number: int, alone: dict[tuple[str, ...], Outcome]
) -> None:
    chance = random.Random(number)
    line = LINES[number % len(LINES)]
    changes = chance.choice(HOME) | chance.choice(LOCALE) | chance.choice(OTHER)
    streams = chance.choice(STREAMS)
    root = Path(__file__).parents[2]
    plain = {**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    odd = {name: value for name, value in {**plain, **changes}.items() if value is not None}
    (tmp_path / "cwd").mkdir()

    told = f"{line} with {changes} {streams}"
    if line not in alone:
        alone[line] = outcome(line, files, plain, tmp_path / "cwd", "")
    # Nobody may write there
    cwd = chance.choice((tmp_path / "cwd", tmp_path / "cwd", Path("/proc")))
    expected, found = alone[line], outcome(line, files, odd, cwd, streams)
    assert found[0] == expected[0], (told, found)
    assert "Traceback" not in found[2], told
    assert found[3].keys() == expected[3].keys(), told
    if "PYTHONUTF8" not in changes:  # or the name of a file is but bytes, and shown as such
        assert found[3] == expected[3], told
    assert not listed(tmp_path / "cwd"), told  # nothing but the outputs is written
    if not {"LC_ALL", "PYTHONIOENCODING", "COLUMNS", "FORCE_COLOR"} & set(changes):
        assert found[1] == expected[1], told


def test_a_current_folder_that_is_gone(files: Path, tmp_path: Path) -> None:
    shell = f'mkdir gone && cd gone && rmdir ../gone && exec "$0" -m lacal inspect {files}/val.npz'
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        ["/bin/sh", "-c", shell, sys.executable],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_checks_stand_without_asserts(files: Path) -> None:
    for bad, said in (("--tau=nan", "tau"), ("--seed=-1", "seed")):
        line = ("tune-tau", "{}/val.npz", "--counts", "{}/counts.csv", bad)
        done = [
            started(line, files, {**os.environ, "PYTHONOPTIMIZE": level}, files, "")
            for level in ("0", "2")
        ]
        assert [one.returncode for one in done] == [2, 2]
        assert done[0].stderr == done[1].stderr
        assert said in done[0].stderr


def test_asserts_tell_readers_of_types_and_check_nothing() -> None:
    sources = (Path(__file__).parents[2] / "lacal").rglob("*.py")
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in sources)
    asserts = [one for tree in trees for one in ast.walk(tree) if isinstance(one, ast.Assert)]
    assert asserts
    for one in asserts:
        said = ast.unparse(one.test)
        assert said.endswith(" is not None") or said.startswith("isinstance("), said


def test_json_is_whole_whatever_the_locale(files: Path) -> None:
    line = ("evaluate", "{}/test.npz", "--counts", "{}/größe.csv", "--json")
    told = []
    for change in LOCALE:
        environment = {**os.environ, **{name: value for name, value in change.items() if value}}
        done = started(line, files, environment, files, "")
        told.append(json.loads(done.stdout))
    assert all(one == told[0] for one in told)
