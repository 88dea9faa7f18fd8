"""The README's commands run as written, and every command has its section."""

import json
import re
import shlex
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import pytest

from lacal.cli.commands import COMMANDS
from lacal.cli.main import run
from lacal.loss_table import LOSSES, Value
from lacal.training.head_table import HEADS
from lacal.training.network_table import NETWORKS
from lacal.training.options import Sampler
from lacal.training.recipes import RECIPES
from lacal.training.second_stage_table import SECOND_STAGES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.DOTALL)
TRAINING = README.partition("\n## lacal train\n")[2].partition("\n## ")[0]
TORCH = find_spec("torch") is not None


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(ROOT / "sample_data", tmp_path / "sample_data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def commands_in(page: str) -> list[str]:
    """Command lines of the page's blocks, in order; those that are broken by a backslash in one piece."""
    blocks = re.findall(r"```sh\n(.*?)```", page, flags=re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line.startswith("lacal ")]


def commands() -> list[str]:
    """All but those about training, which needs torch and has a test of its own."""
    return commands_in(README.replace(TRAINING, ""))


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
        if "import torch" in block and not TORCH:
            continue
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


# Training


@pytest.mark.skipif(not TORCH, reason="torch is not installed")
def test_the_training_runs_end_in_the_table(
    checkout: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """To within the noise of training: another machine computes other last bits, and ends elsewhere."""
    monkeypatch.setenv("LACAL_TRAIN_THREADS", "1")  # the fastest where tests share the cores
    lines = commands_in(TRAINING)
    assert sum(line.startswith("lacal train ") for line in lines) == 3
    for line in lines:
        assert run(shlex.split(line)[1:]) == 0, (line, capfd.readouterr().err)
        assert capfd.readouterr().out
    rows = re.findall(
        r"\| .* \| `(\w+)` \| (as it is|tuned tau) \| ([\d.]+) ± [\d.]+ \| ([\d.]+) ± ", TRAINING
    )
    assert len(rows) == 4
    for folder, kind, balanced, few in rows:
        seen = errors_of(checkout / folder, "unadjusted" if kind == "as it is" else "adjusted")
        assert 100 * seen["balanced_error"]["value"] == pytest.approx(float(balanced), abs=4)
        assert 100 * seen["groups"]["few"]["value"] == pytest.approx(float(few), abs=12)


def errors_of(folder: Path, kind: str) -> Any:
    return json.loads((folder / "summary.json").read_text())["test"][kind]


def loss_rows() -> list[str]:
    """The table of losses as the README should have it."""
    carries = {"nothing": "nothing", "part": "a part", "prior": "all"}
    return [
        f"| `{name}` | {row.formula} | {row.head} | {option_cell(row.options)} | {carries[row.carries]} | {row.source} |"
        for name, row in LOSSES.items()
    ]


def option_cell(options: Any) -> str:
    return ", ".join(f"`{name}` {shown_value(one.default)}" for name, one in options.items())


def shown_value(value: Value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else value


def test_the_table_of_losses_is_the_codes() -> None:
    rows = [line for line in TRAINING.splitlines() if line.startswith("| `")]
    assert [row for row in rows if row.count("|") == 7] == loss_rows()


def test_every_network_head_sampler_stage_and_recipe_is_named() -> None:
    table = TRAINING.partition("| option | choices |")[2]
    for name in (*NETWORKS, *HEADS, *get_args(Sampler), *SECOND_STAGES, *RECIPES):
        assert f"`{name}" in table, name
