"""`lacal train --model` with code that exits, crashes, prints, or depends on chance: a sentence, or a clean result."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from lacal.errors import Interruption, RunError
from lacal.training.device import faults
from tests.test_train import QUICK, SPLITS, data
from tests.training.training_world import tiny_options

__all__ = ["data"]  # the fixture

NETS = """
import ctypes, os, sys
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        if self.training:
            self.odd()
        return self.layer(x)

    def odd(self):
        pass

class Exits(Net):
    def odd(self):
        sys.exit(0)

class Ends(Net):
    def odd(self):
        os._exit(0)

class Crashes(Net):
    def odd(self):
        ctypes.string_at(0)

class Prints(Net):
    def odd(self):
        print("from Python")
        os.write(1, b"from below\\n")
        sys.__stdout__.write("by another name\\n")

class Random(Net):
    def forward(self, x):
        return nn.functional.dropout(self.layer(x))
"""
OWN = [word for word in QUICK if word not in ("--network", "linear")]


@pytest.fixture
def train(data: Path) -> Callable[[str], subprocess.CompletedProcess[str]]:
    """Train a network of nets.py in a process of its own."""
    (data / "nets.py").write_text(NETS)

    def run(name: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "lacal", "train", *SPLITS, *OWN]
        return subprocess.run(
            [*line, "--model", f"nets:{name}", "-o", "run", "--json"],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return run


Train = Callable[[str], subprocess.CompletedProcess[str]]


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("Exits", 3, "--model nets:Exits: failed while it trained: it ended the program: SystemExit: 0"),
        ("Ends", 3, "training with --model nets:Ends: its process ended before it was done (exit code 0)"),
        ("Crashes", 3, "training crashed (SIGSEGV); code of --model nets:Crashes, or a library"),
        ("Random", 2, "--model nets:Random: gives other features for the same rows"),
    ],
)  # fmt: skip
def test_a_run_that_did_not_finish_says_so(train: Train, name: str, code: int, said: str) -> None:
    done = train(name)
    assert done.returncode == code
    assert done.stdout == ""
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert errors[0].startswith(f"Error: {said}")
    assert "Traceback" not in done.stderr


def test_what_the_network_prints_stays_off_stdout(train: Train) -> None:
    done = train("Prints")
    assert done.returncode == 0
    assert json.loads(done.stdout)["command"] == "train"
    for printed in ("from Python", "from below", "by another name"):
        assert printed in done.stderr


@pytest.mark.parametrize("error", [SystemExit(0), GeneratorExit(), BaseException("odd")])
def test_whatever_the_network_raises_is_a_sentence(error: BaseException) -> None:
    with pytest.raises(RunError) as raised, faults(tiny_options(model="a.b:c"), "cpu"):
        raise error
    assert str(raised.value).startswith("--model a.b:c: failed while it trained: ")
    with pytest.raises(type(error)), faults(tiny_options(), "cpu"):
        raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Interruption()])
def test_who_asks_the_run_to_end_is_no_fault_of_the_network(error: BaseException) -> None:
    with pytest.raises(type(error)), faults(tiny_options(model="a.b:c"), "cpu"):
        raise error
