"""Every command that writes, as the kills run it: its files, its lines, what it leaves."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.small_world import COUNTS, write_world

GROUPS = ("light", "torch")  # what has to be loaded; each in a process of its own
TRAINING = ("train", "train.npz", "--val", "val3.npz", "--test", "test3.npz", "--epochs", "4")
ON_CPU = ("--batch-size", "8", "--device", "cpu", "--threads", "1")


@dataclass(frozen=True)
class Killed:
    """A command under the kills.

    Attributes:
        lines: Each without its outputs.
        outputs: Of each line: what it writes -> the option that names it.
        group: "light", or "torch" where torch has to be loaded.
        resumes: Whether a killed run is gone on with, or replaced by the next.
        turns: Which line a trial takes: one after the other, and from the front again.
        without_models: Lines of training that export no model files, which takes longest.
    """

    lines: tuple[tuple[str, ...], ...]
    outputs: tuple[Mapping[str, str], ...]
    group: str = "light"
    resumes: bool = False
    turns: tuple[int, ...] = (0,)
    without_models: tuple[int, ...] = ()


INFER = ("infer", "model.onnx", "x.npz", "--batch-size", "10", "--threads", "1")
KILLED = {
    "tune-tau": Killed(
        (("tune-tau", "val.npz", "--counts", "counts.csv", "--draws", "10"),), ({"c.json": "-o"},)
    ),
    "adjust": Killed(
        (
            ("adjust", "long.npy", "--counts", "counts.csv", "--tau", "1", "--write-scores", "logits"),
        ),
        ({"p.parquet": "-o"},),
    ),
    "evaluate": Killed(
        (("evaluate", "test.npz", "--counts", "counts.csv"),),
        ({"e.html": "--report", "e.json": "--report"},),
    ),
    "compare": Killed(
        (("compare", "val.npz", "test.npz", "--counts", "counts.csv", "--draws", "10", "--keep", "weight-norm:drop", "--head", "head.npz"),),
        ({"kept.json": "-o", "m.json": "--report"},),
    ),
    "infer": Killed(
        (INFER,) * 4,
        tuple({name: "-o"} for name in ("out.npz", "out.parquet", "out", "out.npy")),
        resumes=True,
        turns=(0, 1, 2, 3),
    ),
    "export onnx": Killed(
        (("export", "model.onnx", "--calibration", "c3.json", "--threads", "1"),), ({"a.onnx": "-o"},)
    ),
    "export pt2": Killed(
        (("export", "model.pt2", "--calibration", "c3.json", "--threads", "1", "--trust-model"),),
        ({"a.pt2": "-o"},),
        group="torch",
    ),
    "train": Killed(
        (
            (*TRAINING, *ON_CPU, "--network", "mlp:8", "--optimiser", "adamw"),
            (*TRAINING, *ON_CPU, "--network", "mlp:8", "--optimiser", "adamw"),
            (*TRAINING, *ON_CPU, "--network", "linear", "--sampler", "class-balanced"),
        ),
        ({"run": "-o"},) * 3,
        group="torch",
        resumes=True,
        turns=(0, 1, 2, 1, 2, 1, 2, 1, 2, 1),
        without_models=(1, 2),
    ),
}  # fmt: skip


def make_inputs(folder: Path, group: str) -> None:
    """The files that the lines of a group name; run in a process of its own, which may start threads."""
    chance = np.random.default_rng(0)
    write_world(folder)
    (folder / "counts3.csv").write_text("class,count\n0,100\n1,20\n2,5\n")
    np.savez(
        folder / "x.npz",
        x=chance.normal(size=(300, 4)).astype(np.float32),
        labels=np.arange(300) % 3,
        ids=np.array([f"é{'x' * (i % 9)}-{i}" for i in range(300)]),
    )
    if group == "light":
        import onnx

        from tests.models.onnx_small import model

        long = chance.standard_normal((20_000, len(COUNTS)), np.float32)
        np.save(folder / "long.npy", long)
        onnx.save(model(), folder / "model.onnx")
    else:
        _torch_model(folder / "model.pt2")
        for name, counts in {"train": (40, 20, 8), "val3": (8,) * 3, "test3": (8,) * 3}.items():
            labels = chance.permutation(np.repeat(np.arange(3), counts))
            x = chance.normal(size=(labels.size, 4)) + 2 * np.eye(4)[labels]
            np.savez(folder / f"{name}.npz", x=x.astype(np.float32), labels=labels)
    logits = chance.normal(size=(90, 3)).astype(np.float32)
    np.savez(folder / "val_of_3.npz", logits=logits, labels=np.arange(90) % 3)


CALIBRATES = ("tune-tau", "val_of_3.npz", "--counts", "counts3.csv", "--draws", "10", "-o", "c3.json")  # fmt: skip


def _torch_model(path: Path) -> None:
    import torch

    torch.manual_seed(0)
    batch = torch.export.Dim("batch", min=1)
    program = torch.export.export(
        torch.nn.Linear(4, 3), (torch.zeros(2, 4),), dynamic_shapes=({0: batch},)
    )
    torch.export.save(program, path)


def content(path: Path) -> dict[str, bytes] | None:
    """What an output holds, by the names of its files; None where there is none. Seconds are left out."""
    if not path.exists():
        return None
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    return {str(one.relative_to(path)): _steady(one) for one in files if one.name != "lock"}


def _steady(path: Path) -> bytes:
    if path.parent.name == "state":  # checkpoints tell of seconds, and pointers of checkpoints
        return b""
    try:
        if path.name == "metrics.jsonl":
            told = [json.loads(line) for line in path.read_text().splitlines()]
        elif path.name == "summary.json":
            told = [json.loads(path.read_text())]
        else:
            return path.read_bytes()
    except ValueError:  # torn, as a killed run may leave its metrics
        return path.read_bytes()
    return json.dumps([{**one, "seconds": 0, "resumed_epochs": 0} for one in told]).encode()
