"""Small files that unpack to gigabytes are refused, or streamed, in little memory and soon."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lacal.formats import open_table
from tests.faults.bombs import BOMBS, big_batch, parquet_rows

ROOT = Path(__file__).parents[2]
MOST_MB = 500
MOST_SECONDS = 5

# Bomb -> what is said of it.
SAID = {
    "npz": "to 4,000,3",
    "parquet rows": "has 60 labels, ",
    "parquet dictionary": "column 'id' has more than 4,096 characters in row 0",
    "parquet texts": "column 'id' has more than 4,096 characters in row 0",
    "ipc batch": "to 337,500,000 bytes, more than 1000:1",
    "ipc dictionary": "column 'id' has more than 4,096 characters in row 0",
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, float, int, str]]:
    """Exit code, seconds, MB, and words of a command for every bomb."""
    folder = tmp_path_factory.mktemp("bombs")
    (folder / "counts.csv").write_text("class,count\na,9\nb,3\n")
    np.save(folder / "labels.npy", np.zeros(60, np.int64))
    np.save(folder / "ones.npy", np.eye(2))
    commands: list[tuple[list[str], int | None]] = []
    for name, make in BOMBS.items():
        path = folder / name
        make(path)
        command = ["tune-tau", str(path), "--counts", str(folder / "counts.csv")]
        more = ["--labels", str(folder / "labels.npy")] if name == "parquet rows" else []
        commands.append((command + more, None))
    big_batch(folder / "big batch")
    commands.append(
        (
            [
                "inspect",
                str(folder / "ones.npy"),
                "--labels",
                str(folder / "big batch"),
                "--label-key=id",
            ],
            80,
        )
    )
    asked = [sys.executable, "-m", "tests.faults.bombs", json.dumps(commands)]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True)
    return dict(zip([*BOMBS, "big batch"], json.loads(done.stdout), strict=True))


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb(outcomes: dict[str, tuple[int, float, int, str]], name: str) -> None:
    code, seconds, megabytes, said = outcomes[name]
    assert code == 2, said
    assert SAID[name] in said
    assert megabytes < MOST_MB
    assert seconds < MOST_SECONDS


def test_a_batch_larger_than_the_memory(outcomes: dict[str, tuple[int, float, int, str]]) -> None:
    # The file is in order and the machine too small: exit 3.
    code, _, _, said = outcomes["big batch"]
    assert code == 3, said
    assert "out of memory" in said


def test_a_billion_rows_are_streamed(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    parquet_rows(path)
    assert path.stat().st_size < 4 << 20
    table = open_table(path)
    assert table.fields["logit_0"].shape == (1_000_000_000,)
    blocks = table.blocks(["logit_0", "label"], 1 << 20)
    rows = sum(len(next(blocks)[0]) for _ in range(5))
    assert rows > 4_000_000
