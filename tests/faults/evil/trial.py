"""An evil file tried on a command line, next to good ones, and what went wrong."""

import contextlib
import io
import re
import shutil
import tempfile
from pathlib import Path

import numpy as np

from tests.faults.evil.graphs import GRAPHS, good
from tests.faults.evil.guard import Guard, Outcome
from tests.faults.evil.pickles import PICKLES
from tests.faults.evil.programs import TORCH
from tests.faults.evil.runs import RUNS
from tests.faults.evil.table import Evil
from tests.faults.evil.texts import TEXTS
from tests.models.onnx_small import model, node, saved, value
from tests.small_world import COUNTS, lacal, world, write_world

EVIL = [*PICKLES, *TORCH, *GRAPHS, *TEXTS, *RUNS]
# What no terminal may be sent: control characters, and those that turn text around.
UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
SECONDS = 20  # far more than any takes, and far less than a hang
LENGTH = 700  # characters of an error


def goods(folder: Path) -> Path:
    """Good files, which evil ones are put beside; the folder itself."""
    write_world(folder)
    np.save(folder / "x.npy", np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32))
    np.save(folder / "bare.npy", world().logits)
    np.save(folder / "bare-counts.npy", np.array(COUNTS))
    saved(good(), folder / "good.onnx")
    mean = [node("ReduceMean", "x", "r", axes=[2, 3], keepdims=0), node("MatMul", "r W", "logits")]
    inputs = [value("x", ("N", 3, "h", "w"))]
    saved(model(mean, inputs, weights={"W": np.ones((3, 3), np.float32)}), folder / "pictures.onnx")
    counts = ("--counts", folder / "counts.csv", "--draws", 20)
    quietly("tune-tau", folder / "val.npz", *counts, "-o", folder / "calibration.json")
    np.savez(folder / "rows.npz", x=np.load(folder / "x.npy"), labels=np.arange(20) % 2)
    line = ("--epochs", 2, "--network", "linear", "--device", "cpu")
    quietly("train", folder / "rows.npz", "-o", folder / "begun", *line)
    return folder


def quietly(*arguments: object) -> None:
    """A command line that must succeed, of which nothing is shown: stdout is the soak's table."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        assert lacal(*arguments) == 0, said.getvalue()


def tried(evil: Evil, line: str, beside: Path, guard: Guard) -> list[str]:
    """What went wrong, a sentence each: nothing, if lacal keeps its word.

    Args:
        evil: The file.
        line: Of its command lines.
        beside: Folder of good files.
        guard: What runs the line.
    """
    with tempfile.TemporaryDirectory(prefix="evil") as name:
        folder, marker = Path(name) / "work", Path(name) / "marker"
        shutil.copytree(beside, folder)
        evil.make(folder, marker)
        around, before = {*folder.parent.iterdir()}, {*folder.iterdir()}
        told = line.replace("{}", evil.name)
        ran = guard.run(folder, told.split(" "))
        faults = _faults(evil, ran, whole=line == evil.lines[0])
        if made := {*folder.parent.iterdir()} - around:
            faults.append(f"made {sorted(one.name for one in made)}")
        left = {*folder.iterdir()} - before
        if ran.code and left:
            faults.append(f"left {sorted(one.name for one in left)}")
    return [f"lacal {told}: {one}\n{ran.err[-400:]}" for one in faults]


def _faults(evil: Evil, ran: Outcome, *, whole: bool) -> list[str]:
    faults = [f"caught {one}" for one in ran.caught]
    if ran.code not in evil.codes:
        faults.append(f"exit code {ran.code}")
    faults += [f"{word} on stderr" for word in ("Traceback", "fault of its own") if word in ran.err]
    if found := UNSAFE.search(ran.out + ran.err):
        faults.append(f"{found[0]!r} on a terminal")
    errors = [one for one in ran.err.splitlines() if one.startswith("Error: ")]
    if ran.code and len(errors) != 1:
        faults.append(f"{len(errors)} errors")
    if any(len(one) > LENGTH for one in errors):
        faults.append(f"an error of more than {LENGTH} characters")
    if ran.code and whole and not any(evil.says in one for one in errors):
        faults.append(f"does not say {evil.says!r}")
    if ran.seconds > SECONDS:
        faults.append(f"took {ran.seconds:.1f} s")
    return faults
