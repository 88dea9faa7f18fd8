"""Kills `lacal adjust` in the middle of its write, again and again; run by `test_kill.py` in a fresh process.

Each trial is a forked child, so a hundred of them cost no hundred imports. The window of the write runs from
the moment the temporary file shows to the moment the final file changes; it is measured first.
"""

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from lacal.cli.main import run


def start(arguments: list[str]) -> int:
    """Process id of a child that runs the command."""
    child = os.fork()
    if not child:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        os._exit(run(arguments))
    return child


def until(happened: Callable[[], bool], child: int) -> bool:
    """Wait for something; False if the child ended first."""
    while not happened():
        if os.waitpid(child, os.WNOHANG)[0]:
            return False
        time.sleep(0.0002)
    return True


def main(folder: Path, kills: int) -> None:
    """Print counts of what the kills met and left behind."""
    target, old = folder / "predictions.parquet", b"the old file"
    arguments = ["adjust", str(folder / "logits.npy"), "--counts", str(folder / "counts.csv")]
    arguments += ["--tau", "1", "-o", str(target), "--force", "--write-scores", "logits"]

    def writing() -> bool:
        return any(folder.glob("*.lacal-tmp"))

    windows = []
    for _ in range(3):
        target.write_bytes(old)
        child = start(arguments)
        assert until(writing, child)
        began = time.perf_counter()
        os.waitpid(child, 0)
        windows.append(time.perf_counter() - began)
    whole = target.read_bytes()
    chance = random.Random(0)
    found = {"inside": 0, "old": 0, "new": 0, "broken": 0, "window": min(windows)}
    for _ in range(kills):
        target.write_bytes(old)
        child = start(arguments)
        if until(writing, child):
            time.sleep(chance.random() * min(windows))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        found["inside"] += writing()
        content = target.read_bytes()
        found["old" if content == old else "new" if content == whole else "broken"] += 1
    child = start(arguments)
    os.waitpid(child, 0)
    found["left"] = len(list(folder.glob("*.lacal-tmp")))
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
