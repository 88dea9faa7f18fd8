"""SIGKILL to every command that writes, in the midst of its write phase.

What is under a final name is the old file or the new one, whole; the next run sweeps what the dead one left; a run
that goes on ends with the bytes of one that was left alone, a quarter of them after a second kill.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from tests.soak.findings import Findings
from tests.soak.killed_commands import GROUPS, KILLED

ROOT = Path(__file__).parents[2]


def soak(rounds: int, seed: int, until: float) -> Findings:
    """Kill each command so many times.

    Args:
        rounds: Trials of each command.
        seed: Of the moments.
        until: When to stop, on the clock of time.monotonic.

    Returns:
        Rounds of the command that had fewest; figures of all, and the share of kills that came in the write phase
        of the command that had least of them there.
    """
    # Threads of BLAS would not survive the forks.
    alone = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    seconds = min(max(0.0, until - time.monotonic()), 1e9)
    asked = [sys.executable, "-m", "tests.soak.killing"]
    running = [
        subprocess.Popen(
            [*asked, group, str(rounds), str(seed), str(seconds)],
            cwd=ROOT, env=alone, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for group in GROUPS
    ]  # fmt: skip
    found, of_each, shares = Findings(), dict.fromkeys(KILLED, 0), []
    for group, process in zip(GROUPS, running, strict=True):
        out, err = process.communicate()
        if process.returncode:
            found.faults.append(f"{group}: the driver broke; {err[-2000:]}")
        for line in out.splitlines():
            name, of_each[name], figures, faults = json.loads(line)
            found.faults += faults
            for figure, count in figures.items():
                found.count(figure, count)
            shares.append(figures["inside"] / max(1, figures["kills"]))
    found.rounds = min(of_each.values())
    found.figures["least inside, %"] = round(100 * min(shares, default=0.0))
    return found
