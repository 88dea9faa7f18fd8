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
    for output in ("-o calibration.json", "-o fashion_test.parquet"):
        line = next(line for line in commands() if output in line)
        assert run(shlex.split(line)[1:]) == 0
    capfd.readouterr()
    blocks = [block for kind, block in BLOCKS if kind == "python"]
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})
    assert "Gain(" in capfd.readouterr().out


def test_every_command_has_a_section() -> None:
    for name in COMMANDS:
        assert f"\n## lacal {name}\n" in README


def rows_of(table: str) -> list[tuple[str, ...]]:
    """Name, before and after of each row of errors."""
    return re.findall(
        r"\| \**(balanced|many|medium|few)[^|]*\| \**([^|*]+?)\** \| \**([^|*]+?)\** \|", table
    )


def check_table(table: str, shown: str) -> None:
    rows = rows_of(table)
    assert rows
    for name, before, after in rows:
        lines = [line for line in shown.splitlines() if line.strip().startswith(name)]
        assert any(before in line and after in line for line in lines), (name, lines)


def shown_by(line: str, capfd: pytest.CaptureFixture[str]) -> str:
    assert run(shlex.split(line)[1:]) == 0
    return capfd.readouterr().out


def test_the_first_table_is_what_the_demo_shows(
    checkout: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    first_screen = README.partition("make test")[0]
    tune, adjust = commands()[1:3]
    shown_by(tune, capfd)
    shown = shown_by(adjust, capfd)
    assert len(rows_of(first_screen)) == 4
    check_table(first_screen, shown)
    answer = re.search(r"gain of ([\d.]+) points, 95 % interval ([\d.]+) to ([\d.]+)", README)
    assert answer is not None
    value, low, high = answer.groups()
    assert f"gain +{value} points, 95 % interval +{low} to +{high}" in shown


def test_the_table_of_the_model_is_what_its_commands_show(
    checkout: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    section = README.partition("## From the model itself")[2].partition("\n## ")[0]
    tune, evaluate = (
        line for line in section.splitlines() if "fashion.json" in line and "export" not in line
    )
    shown_by(tune, capfd)
    check_table(section, shown_by(evaluate, capfd))
