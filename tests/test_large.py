"""100,000 classes wide, and more bytes than may be held: commands stay within the memory that they promise."""

import sys
from pathlib import Path

import pytest

from tests.soak.findings import Findings
from tests.soak.large import LIMIT, faults_of, watched

pytestmark = pytest.mark.soak
GIGABYTES = 0.2  # held, it would break the limit


@pytest.mark.parametrize(
    ("kind", "commands"), [("npy", ("tune-tau", "adjust", "evaluate")), ("parquet", ("tune-tau",))]
)
def test_memory_is_of_the_batch(kind: str, commands: tuple[str, ...], tmp_path: Path) -> None:
    found = Findings()
    assert not list(faults_of(kind, tmp_path, GIGABYTES, 0, found, commands, timed=False))
    for command in commands:
        assert 50 < int(found.figures[f"{command} {kind} MB"]) < LIMIT


def test_memory_that_is_held_is_seen() -> None:
    held = "import time; held = b'1' * (400 << 20); time.sleep(0.3)"
    assert watched([sys.executable, "-c", held])[1] > LIMIT
    with pytest.raises(RuntimeError, match="ended with 1"):
        watched([sys.executable, "-c", "raise SystemExit(1)"])
