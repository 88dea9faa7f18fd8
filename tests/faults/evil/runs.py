"""Folders of training runs that a stranger has changed: code by name, pickles as weights, links out of the folder."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.faults.evil.pickles import bare
from tests.faults.evil.table import Evil, Make

# (the folder of the run, what it makes if it gets its way)
Change = Callable[[Path, Path], object]

START = (
    "train rows.npz --start {} --second-stage crt -o next",
    "train rows.npz -o {} --epochs 2 --network linear --resume",
    "compare {} begun",
    "evaluate {}/val_logits.parquet",
)


def of_run(name: str, change: Change) -> Make:
    """A copy of the good run with something else in it, and a module that it may name."""

    def make(folder: Path, marker: Path) -> None:
        shutil.copytree(folder / "begun", folder / name)
        (folder / "owned.py").write_text(f"import os\nos.mkdir({str(marker)!r})\n")
        change(folder / name, marker)

    return make


def configured(**options: Any) -> Change:
    def change(run: Path, marker: Path) -> None:
        config = json.loads((run / "config.json").read_text())
        config["options"] |= options
        (run / "config.json").write_text(json.dumps(config))

    return change


def pickled(run: Path, marker: Path) -> None:
    for name in ("best.safetensors", "last.safetensors"):
        (run / name).write_bytes(bare(2)(marker))


def vouched_for(run: Path, marker: Path) -> None:
    """A checkpoint that is a pickle, and a pointer that holds its hash."""
    (run / "summary.json").unlink()
    content = bare(4)(marker)
    (run / "state" / "epoch-00001.safetensors").write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    kept = {"epochs": 1, "sha256": sha256, "best": 1, "best_sha256": sha256}
    (run / "state" / "last.json").write_text(json.dumps({"kept": [kept]}))


def linked(run: Path, marker: Path) -> None:
    for name in ("best.safetensors", "last.safetensors"):
        (run / name).unlink()
        (run / name).symlink_to("/etc/passwd")


def pointing_away(run: Path, marker: Path) -> None:
    (run / "summary.json").unlink()
    kept = {"epochs": "../../secret", "sha256": "", "best": 1, "best_sha256": ""}
    (run / "state" / "last.json").write_text(json.dumps({"kept": [kept]}))


def nested(run: Path, marker: Path) -> None:
    for name in ("config.json", "summary.json", "state/last.json", "state/plan.json"):
        (run / name).write_text("[" * 50_000)


def planned(run: Path, marker: Path) -> None:
    (run / "summary.json").unlink()
    (run / "state" / "plan.json").write_text("[" * 50_000)


def model_inside(run: Path, marker: Path) -> None:
    (run / "summary.json").write_bytes(bare(0)(marker))
    (run / "config.json").write_bytes(bare(5)(marker))


RUNS = [
    Evil("named-run", of_run("named-run", configured(model="owned:build")), START[:2], (0, 2)),
    Evil("spelt-run", of_run("spelt-run", configured(network="owned:build")), START[:1]),
    Evil("pickled-run", of_run("pickled-run", pickled), START[:1]),
    Evil("vouched-run", of_run("vouched-run", vouched_for), START[:2]),
    Evil("linked-run", of_run("linked-run", linked), START[:1]),
    Evil("away-run", of_run("away-run", pointing_away), START[:2]),
    Evil("nested-run", of_run("nested-run", nested), START[:3]),
    Evil("planned-run", of_run("planned-run", planned), START[1:2]),
    Evil("inside-run", of_run("inside-run", model_inside), START[:3]),
]
