"""The README's commands run as written, and every command has its section."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from lacal.cli.commands import COMMANDS
from lacal.cli.main import run

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.DOTALL)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(ROOT / "sample_data", tmp_path / "sample_data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def commands() -> list[str]:
    lines = [line for kind, block in BLOCKS if kind == "sh" for line in block.splitlines()]
    return [line for line in lines if line.startswith("lacal ")]


def test_every_command_runs_in_the_order_of_the_page(
    checkout: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert len(commands()) >= 8
    for line in commands():
        arguments = shlex.split(line, comments=True)[1:]
        if arguments == ["--help"]:
            assert run(arguments) == 0
            continue
        assert run(arguments) == 0, (line, capfd.readouterr().err)
        assert capfd.readouterr().out


def test_the_python_block_runs(checkout: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tune = next(line for line in commands() if "-o calibration.json" in line)
    assert run(shlex.split(tune)[1:]) == 0
    capfd.readouterr()
    blocks = [block for kind, block in BLOCKS if kind == "python"]
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})
    assert "Gain(" in capfd.readouterr().out


def test_every_command_has_a_section() -> None:
    for name in COMMANDS:
        assert f"\n## lacal {name}\n" in README


def test_the_first_table_is_what_the_demo_shows(
    checkout: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tune, adjust = commands()[1:3]
    assert run(shlex.split(tune)[1:]) == 0
    capfd.readouterr()
    assert run(shlex.split(adjust)[1:]) == 0
    shown = capfd.readouterr().out
    rows = re.findall(
        r"\| \**(balanced|many|medium|few)[^|]*\| \**([^|*]+?)\** \| \**([^|*]+?)\** \|", README
    )
    assert len(rows) == 4
    answer = re.search(r"gain of ([\d.]+) points, 95 % interval ([\d.]+) to ([\d.]+)", README)
    assert answer is not None
    value, low, high = answer.groups()
    assert f"gain +{value} points, 95 % interval +{low} to +{high}" in shown
    for name, before, after in rows:
        line = next(
            line for line in shown.splitlines() if line.strip().startswith(name) and "±" in line
        )
        assert before in line, (name, line)
        assert after in line, (name, line)
