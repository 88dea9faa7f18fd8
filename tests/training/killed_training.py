"""Run as a module: kills of `train` at random moments, and what the resumed runs come to.

Each trial is a forked child, so that many of them cost no imports; this process runs nothing in torch before. A
child tells of every step, and is killed within a few milliseconds of a random one: in a step, in validation, or
while a checkpoint is written.
"""

import json
import os
import random
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch._dynamo  # noqa: F401 - the first optimiser imports it, which takes seconds

from lacal.training.run_folder import epochs_kept, run_folder
from lacal.training.train import train
from tests.training.training_world import Heard, tiny_data, tiny_options

EPOCHS, STEPS = 6, 6  # of an epoch
WAIT = 0.006  # seconds: an epoch's end with its checkpoint takes longer than its steps
FILES = ("config.json", "counts.csv", "best.safetensors", "last.safetensors")
IMAGES, FEATURES = tiny_data(shape=(1, 8, 8)), tiny_data()
KINDS: tuple[tuple[Any, dict[str, Any]], ...] = (
    (FEATURES, {"network": "mlp:8", "nesterov": True}),
    (
        FEATURES,
        {"network": "linear", "optimiser": "adamw", "lr": 0.01, "sampler": "class-balanced"},
    ),
    (IMAGES, {"network": "small-cnn:2", "augment": "crop:1,flip", "loss": "logit-adjusted"}),
)


@dataclass
class Tells(Heard):
    """A listener that writes a byte at every step."""

    pipe: int = -1

    def step(self, loss: float | None) -> None:
        super().step(loss)
        os.write(self.pipe, b".")


def child_of(target: Path, kind: int) -> tuple[int, int]:
    """Process id of a child that trains, or goes on, and the pipe it tells its steps by."""
    readable, pipe = os.pipe()
    child = os.fork()
    if child:
        os.close(pipe)
        return child, readable
    code = 1
    try:
        data, given = KINDS[kind]
        with run_folder(target, resume=True, force=False) as folder:
            options = tiny_options(epochs=EPOCHS, threads=1, **given)
            train(data, options, folder, Tells(pipe=pipe))
        code = 0
    except BaseException:
        traceback.print_exc()
    os._exit(code)


def whole_run(target: Path, kind: int) -> None:
    """A run that is left alone."""
    child, readable = child_of(target, kind)
    assert os.waitpid(child, 0)[1] == 0
    os.close(readable)


def killed(target: Path, kind: int, steps: int, wait: float) -> bool:
    """Whether the kill, some seconds after so many steps, met a child that was at work."""
    child, readable = child_of(target, kind)
    while steps and os.read(readable, 1):
        steps -= 1
    time.sleep(wait)
    os.kill(child, signal.SIGKILL)
    os.close(readable)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def content(target: Path) -> dict[str, Any]:
    """Everything that has no clock in it."""
    found: dict[str, Any] = {name: (target / name).read_bytes() for name in FILES}
    lines = (target / "metrics.jsonl").read_text().splitlines()
    found["metrics"] = [{**json.loads(line), "seconds": None} for line in lines]
    return found


def main(folder: Path, kills: int) -> None:
    """Print what the kills met, and what the resumed runs left."""
    whole = []
    for kind in range(len(KINDS)):
        whole_run(folder / f"alone {kind}", kind)
        whole.append(content(folder / f"alone {kind}"))
    found = {"kills": 0, "inside": 0, "kept": 0, "equal": 0, "left": 0}
    chance = random.Random(0)
    for trial in range(kills):
        target, kind = folder / str(trial), trial % len(KINDS)
        for _ in range(1 + (trial % 4 == 3)):  # a quarter is killed again as it goes on
            left = STEPS * (EPOCHS - epochs_kept(target))
            steps = chance.randint(1, left) if left else 0
            found["inside"] += killed(target, kind, steps, chance.random() * WAIT)
            found["kills"] += 1
            found["kept"] += epochs_kept(target) > 0
        whole_run(target, kind)
        found["equal"] += content(target) == whole[kind]
        found["left"] += len(list(target.rglob(".*.lacal-tmp")))
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
