"""A command that runs a model does so in a child: crashes become sentences, Ctrl-C always gets through."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

# A command of lacal's that does what it is told, as a model might.
COMMAND = """
import collections, itertools, os, signal, sys, time
from pathlib import Path
import click
from lacal.cli import commands, main
from lacal.cli.supervised import supervised
from lacal.errors import DataError

@click.command()
@click.argument("what")
@click.option("--out", type=click.Path(path_type=Path))
@supervised(lambda given: given["what"] != "alone")
def command(what, out):
    from lacal.atomic import writing
    if what == "listen":
        try:
            print(os.getpid(), flush=True)
            time.sleep(60)
        finally:
            print("cleaned", flush=True)
    if what == "import":
        try:
            print(os.getpid(), flush=True)
            time.sleep(60)
        except BaseException:
            raise ImportError("initialization failed")
    print(os.getpid(), flush=True)
    if what == "fail":
        raise DataError("x.onnx: is bad; mend it")
    if what == "debug":
        raise ValueError("lacal's own")
    if what == "exit":
        sys.exit(0)
    if what.startswith("_exit"):
        if out:
            if os.fork():
                os._exit(int(what[5:]))
            os.close(1), os.close(2)
            time.sleep(20)  # holds all that the child held open
        os._exit(int(what[5:]))
    if what.startswith("SIG"):
        os.kill(os.getpid(), getattr(signal, what))
    if what == "write":
        with writing(out) as file:
            file.write(b"half")
            file.flush()
            collections.deque(itertools.repeat(1), maxlen=0)
    if what == "deaf":
        collections.deque(itertools.repeat(1), maxlen=0)  # no signal handler gets to run

commands.command_named = lambda name: command
main.main(["infer", *sys.argv[1:]])
"""

Running = subprocess.Popen[str]


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "command.py"
    path.write_text(COMMAND)
    return path


def start(script: Path, *arguments: str) -> Running:
    return subprocess.Popen(
        [sys.executable, str(script), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.fixture
def started(script: Path) -> Iterator[list[Running]]:
    running: list[Running] = []
    yield running
    for one in running:
        one.kill()
        one.communicate()


def child_of(running: Running) -> int:
    """The process that runs the model, once it does."""
    assert running.stdout is not None
    return int(running.stdout.readline())


def test_a_command_that_runs_no_model_stays_in_its_process(script: Path) -> None:
    running = start(script, "alone")
    out, _ = running.communicate()
    assert (int(out), running.returncode) == (running.pid, 0)


def test_a_stop_that_a_library_takes_for_its_own_error(
    script: Path, started: list[Running]
) -> None:
    running = start(script, "import")
    started.append(running)
    child_of(running)
    running.send_signal(signal.SIGTERM)
    _, err = running.communicate()
    assert (running.returncode, err) == (143, "Stopped by SIGTERM; outputs are whole or absent.\n")


def test_success_and_errors_pass_through(script: Path) -> None:
    for what, code, said in [("nothing", 0, ""), ("fail", 2, "Error: x.onnx: is bad; mend it\n")]:
        running = start(script, what)
        out, err = running.communicate()
        assert int(out) != running.pid
        assert (running.returncode, err) == (code, said)


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGBUS", "SIGILL", "SIGKILL"])
def test_a_crash_is_a_sentence(script: Path, name: str) -> None:
    running = start(script, name)
    _, err = running.communicate()
    assert running.returncode == 3
    assert err.count("\n") == 1
    assert ("memory ran out" if name == "SIGKILL" else f"runtime crashed ({name})") in err


@pytest.mark.parametrize("code", [0, 2, 7])
@pytest.mark.parametrize("left_behind", [False, True])
def test_a_child_that_ends_before_it_is_done_has_failed(
    script: Path, code: int, left_behind: bool
) -> None:
    began = time.monotonic()
    running = start(script, f"_exit{code}", *(["--out", "x"] if left_behind else []))
    _, err = running.communicate()
    assert running.returncode == 3
    assert err.startswith(f"Error: _exit{code}: the process that runs the model ended before it")
    assert f"(exit code {code})" in err
    assert err.count("\n") == 1
    assert time.monotonic() - began < 10


def test_code_that_calls_exit_has_not_succeeded(script: Path) -> None:
    running = start(script, "exit")
    _, err = running.communicate()
    assert running.returncode == 3
    assert err == "Error: the run ended before it was done; code that it ran called exit (0).\n"


def test_a_fault_of_lacal_is_one_sentence_of_its_own(script: Path) -> None:
    running = start(script, "debug")
    _, err = running.communicate()
    assert running.returncode == 3  # not Python's own 1, which says that a gate failed
    assert err.startswith("Error: lacal met a fault of its own (ValueError: lacal's own, ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
@pytest.mark.parametrize(("what", "group"), [("listen", False), ("listen", True), ("deaf", True)])
def test_a_signal_ends_both_soon(
    script: Path, started: list[Running], what: str, number: signal.Signals, code: int, group: bool
) -> None:
    running = start(script, what)
    started.append(running)
    child = child_of(running)
    began = time.monotonic()
    # A terminal's Ctrl-C goes to the whole group, `kill` to the parent alone.
    (os.killpg if group else os.kill)(running.pid, number)
    out, err = running.communicate()
    assert time.monotonic() - began < 10  # two seconds on a machine that is not busy
    assert running.returncode == code
    assert out == ("cleaned\n" if what == "listen" else "")
    assert len(err.split("\n")) <= 3  # click ends the terminal's ^C line first
    assert "outputs are whole or absent" in err
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_a_child_that_is_ended_leaves_no_temporary(
    script: Path, started: list[Running], tmp_path: Path
) -> None:
    running = start(script, "write", "--out", str(tmp_path / "x.bin"))
    started.append(running)
    child_of(running)
    while not list(tmp_path.glob(".x.bin.*")):
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    assert running.wait() == 130
    assert sorted(one.name for one in tmp_path.iterdir()) == ["command.py"]


def test_a_child_ends_with_its_parent(script: Path, started: list[Running]) -> None:
    running = start(script, "listen")
    started.append(running)
    child = child_of(running)
    running.kill()
    running.wait()
    for _ in range(1000):
        if not Path(f"/proc/{child}").exists() or "State:\tZ" in Path(
            f"/proc/{child}/status"
        ).read_text(encoding="ascii"):
            return
        time.sleep(0.01)
    pytest.fail("the child lives on")
