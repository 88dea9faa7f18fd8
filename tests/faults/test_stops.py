"""Ctrl-C, SIGTERM and SIGHUP: within two seconds, nothing torn, what can be gone on with is said."""

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from lacal.pipeline.infer import infer
from lacal.pipeline.parts_store import rows_kept
from tests.infer_source import content, sample, small_limits
from tests.soak.stops import SIGNALS, soak

LACAL = [sys.executable, "-m", "lacal"]
# Says that it is at work; and, told to end, asks for a second signal before it has cleaned up.
IMPATIENT = """
import sys, time
from lacal.atomic import writing
from lacal.cli import commands, main
import click
from pathlib import Path

@click.command()
@click.argument("out", type=click.Path(path_type=Path))
def command(out):
    with writing(out) as file:
        try:
            print("READY", flush=True)
            time.sleep(60)
        finally:
            print("AGAIN", flush=True)
            time.sleep(0.3)

commands.command_named = lambda name: command
main.main(["inspect", sys.argv[1]])
"""

# Goes on as lacal, with a signal ignored, as nohup does for SIGHUP.
IGNORING = """
import os, signal, sys
signal.signal(int(sys.argv[1]), signal.SIG_IGN)
print("READY", flush=True)
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


@pytest.mark.soak
def test_signals_at_random_moments_of_every_command() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("onnxruntime")
    found = soak(int(os.environ.get("LACAL_STOPS", "3")), 0, math.inf)  # each of the 9 once
    assert not found.faults, "\n".join(found.faults)
    assert int(found.figures["at work"]) >= 0.6 * int(found.figures["stops"]), found.figures


@pytest.mark.parametrize("number", SIGNALS)
def test_who_asks_twice_does_not_break_the_clean_up(tmp_path: Path, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", IMPATIENT, str(tmp_path / "out")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    for said in ("READY\n", "AGAIN\n"):
        assert process.stdout.readline() == said
        process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert "outputs are whole or absent" in err
    assert err.strip().count("\n") == 0
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_that_the_caller_ignores_stays_ignored(
    folder: Path, number: signal.Signals
) -> None:
    line = "tune-tau val.npz --counts counts.csv --draws 2000 -o c.json"
    process = subprocess.Popen(
        [sys.executable, "-c", IGNORING, str(int(number)), *LACAL[1:], *line.split()],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "READY\n"
    while process.poll() is None:
        process.send_signal(number)
        time.sleep(0.02)
    err = process.communicate()[1]
    assert process.returncode == 0, err
    assert (folder / "c.json").exists()


def test_ctrl_c_before_anything_is_loaded_leaves_no_trace() -> None:
    code = "import os, signal, sys, threading; import lacal.__main__ as m; sys.argv = ['lacal', '--help']\n"
    code += "class Slow:\n    def find_spec(self, *_): os.kill(os.getpid(), signal.SIGINT)\n"
    code += "sys.meta_path.insert(0, Slow()); m.main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


def stopped_at(row: int) -> object:
    def before(first: int) -> None:
        if first >= row:
            raise KeyboardInterrupt

    return before


@pytest.mark.parametrize("row", [0, 7, 35, 49, 70])
def test_a_stopped_run_keeps_the_rows_of_the_part_it_was_filling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, row: int
) -> None:
    small_limits(monkeypatch.setattr, 49)
    infer(sample(rows=100), tmp_path / "alone.parquet")
    target = tmp_path / "out.parquet"
    with pytest.raises(KeyboardInterrupt):
        infer(sample(rows=100, before=stopped_at(row)), target)
    assert rows_kept(target) == row
    source = sample(rows=100)
    assert infer(source, target, resume=True).resumed_rows == row
    assert [first for first, _ in source.started] == [row]
    assert [*content(target).values()] == [*content(tmp_path / "alone.parquet").values()]


def test_a_stop_within_a_batch_does_not_count_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lacal.pipeline import collect

    add, calls = collect._Block.add, 0

    def cut_short(block: collect._Block, batch: object, batch_size: int) -> None:
        nonlocal calls
        calls += 1
        add(block, batch, batch_size)  # type: ignore[arg-type]
        if calls == 3:
            block.rows -= 7  # as if the last line had not been reached
            raise KeyboardInterrupt

    monkeypatch.setattr(collect._Block, "add", cut_short)
    target = tmp_path / "out.npz"
    with pytest.raises(KeyboardInterrupt):
        infer(sample(rows=100), target)
    assert rows_kept(target) == 14
    monkeypatch.undo()
    infer(sample(rows=100), target, resume=True)
    with np.load(target) as stored:
        assert stored["ids"].tolist() == sample(rows=100).ids.tolist()  # type: ignore[union-attr]
