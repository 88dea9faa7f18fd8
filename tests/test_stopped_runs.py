"""What the system does to a run: a full disk, a signal, a reader that leaves. Each in its own process."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.small_world import COUNTS

LACAL = [sys.executable, "-m", "lacal"]
WITH_LIMIT = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
from lacal.cli.main import main
main(sys.argv[2:])
"""
RECIPE = ["--counts", "counts.csv", "--tau", "1"]


def run(
    folder: Path, *command: str, stdout: int = subprocess.PIPE
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )


def one_sentence(done: subprocess.CompletedProcess[str], code: int) -> str:
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def many_rows(folder: Path) -> None:
    """Enough random rows for a predictions file of several row groups, none of which compresses."""
    generator = np.random.default_rng(0)
    np.save(folder / "long.npy", generator.normal(size=(200_000, len(COUNTS))).astype(np.float32))


@pytest.mark.parametrize(("limit", "before"), [(0, None), (100_000, b"old"), (1_000_000, None)])
def test_a_disk_that_is_full_sooner_or_later(
    folder: Path, limit: int, before: bytes | None
) -> None:
    many_rows(folder)
    output = folder / "out.parquet"
    if before is not None:
        output.write_bytes(before)
    names = sorted(folder.iterdir())
    line = [
        "adjust",
        "long.npy",
        *RECIPE,
        "-o",
        "out.parquet",
        "--force",
        "--write-scores",
        "probs",
    ]
    done = run(folder, sys.executable, "-c", WITH_LIMIT, str(limit), *line)
    assert "out.parquet: could not be written (File too large)" in one_sentence(done, 3)
    assert done.stdout == ""
    assert sorted(folder.iterdir()) == names
    assert before is None or output.read_bytes() == before


def test_a_disk_that_is_full_for_the_calibration(folder: Path) -> None:
    line = ["tune-tau", "val.npz", "--counts", "counts.csv", "-o", "c.json"]
    done = run(folder, sys.executable, "-c", WITH_LIMIT, "1000", *line)
    assert "c.json: could not be written (File too large)" in one_sentence(done, 3)
    assert not (folder / "c.json").exists()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_in_the_middle_leaves_nothing(folder: Path, number: int, code: int) -> None:
    with (folder / "long.npy").open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (10_000_000, len(COUNTS))}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + 10_000_000 * len(COUNTS) * 4)  # zeros that take no room
    names = sorted(folder.iterdir())
    line = ["adjust", "long.npy", *RECIPE, "-o", "out.parquet", "--scores", "logits"]
    with subprocess.Popen(
        [*LACAL, *line], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        while not any(path.name.endswith(".lacal-tmp") for path in folder.iterdir()):
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert out == ""
    assert err.strip().count("\n") == 0  # click ends the line of a terminal's ^C
    assert "nothing was written" in err
    assert sorted(folder.iterdir()) == names


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_reader_that_leaves_ends_the_run_quietly(folder: Path, more: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = run(folder, *LACAL, "inspect", "val.npz", *more, stdout=write)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "line", [["inspect", "val.npz"], ["inspect", "val.npz", "--json"], ["--help"]]
)
def test_a_full_disk_behind_stdout(folder: Path, line: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = run(folder, *LACAL, *line, stdout=full.fileno())
    assert "No space left on device" in one_sentence(done, 3)


def test_no_stderr_is_no_trouble(folder: Path) -> None:
    shell = 'exec "$0" -m lacal inspect none.npz 2>&-'
    assert run(folder, "sh", "-c", shell, sys.executable).returncode == 2
