"""What the system does to a run: a full disk, a signal, a reader that leaves. Each in its own process."""

import json
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
unlimited = resource.RLIM_INFINITY
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), unlimited))
from lacal.cli.main import main
try:
    main(sys.argv[2:])
finally:  # what looks on may have to write, as the measure of coverage does
    resource.setrlimit(resource.RLIMIT_FSIZE, (unlimited, unlimited))
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
    assert "outputs are whole or absent" in err
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


@pytest.mark.parametrize("line", ["inspect val.npz", "--help", "tune-tau --help"])
def test_a_closed_stdout_is_a_failure_in_one_sentence(folder: Path, line: str) -> None:
    done = run(folder, "sh", "-c", f'exec "$0" -m lacal {line} >&-', sys.executable)
    assert "stdout is closed" in one_sentence(done, 3)


@pytest.mark.parametrize("where", ["2>&-", "2>/dev/full"])
def test_a_lost_stderr_keeps_the_result(folder: Path, where: str) -> None:
    line = "tune-tau val.npz --counts counts.csv --draws 10 --json -o c.json"
    done = run(folder, "sh", "-c", f'exec "$0" -m lacal {line} {where}', sys.executable)
    assert done.returncode == 0
    assert json.loads(done.stdout)["command"] == "tune-tau"
    for bad in ("inspect none.npz", "inspect"):
        done = run(folder, "sh", "-c", f'exec "$0" -m lacal {bad} {where}', sys.executable)
        assert done.returncode == 2


@pytest.mark.parametrize("more", ["", "--json"])
def test_an_ascii_locale_prints_what_it_can(folder: Path, more: str) -> None:
    text = (folder / "counts.csv").read_text().replace("cat", "größe")
    (folder / "größe.csv").write_text(text, encoding="utf-8")
    line = f"evaluate val.npz --counts größe.csv {more}"
    shell = f'PYTHONIOENCODING=ascii exec "$0" -m lacal {line}'
    done = run(folder, "sh", "-c", shell, sys.executable)
    assert (done.returncode, done.stderr) == (0, "")
    if more:
        assert "größe" in {one["name"] for one in json.loads(done.stdout)["classes"]}
    missing = run(
        folder,
        "sh",
        "-c",
        'PYTHONIOENCODING=ascii exec "$0" -m lacal inspect ü.npz',
        sys.executable,
    )
    one_sentence(missing, 2)


@pytest.mark.parametrize(
    ("value", "trace"), [("0", False), ("", False), ("false", False), ("1", True)]
)
def test_debug_from_the_environment(folder: Path, value: str, trace: bool) -> None:
    shell = f'LACAL_DEBUG={value} exec "$0" -m lacal inspect none.npz'
    done = run(folder, "sh", "-c", shell, sys.executable)
    assert ("Traceback" in done.stderr) == trace


def test_a_path_that_cannot_be_one_is_bad_input(folder: Path) -> None:
    line = ["tune-tau", "val.npz", "--counts", "counts.csv", "-o", "a" * 300]
    assert "name another path" in one_sentence(run(folder, *LACAL, *line), 2)
