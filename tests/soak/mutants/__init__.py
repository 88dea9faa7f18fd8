"""Damaged files through the command line: every command ends with 0, 2 or 3, says why in a sentence, and breaks no output.

`soak` plays rounds on every core; a round is a file of some kind, damaged by chance, and a command that meets it. What
is promised stands in `promises`, what is damaged and who meets it in `rounds`. A round can be brought back alone:

    python -m tests.soak.mutants --seed 0 --round 123
"""

import os
import re

from tests.soak.findings import Findings
from tests.soak.mutants import watch as watching
from tests.soak.mutants.worker import Share


def soak(rounds: int, seed: int, until: float) -> Findings:
    """Play rounds 0 to `rounds`; the figures say how many ended with each exit code, of all kinds of file."""
    found = play(rounds, seed, until)
    summed = Findings(found.rounds, {}, found.faults)
    kinds = set()
    for name, times in found.figures.items():
        if ended := re.fullmatch(r"(.*): (-?\d+)", name):
            kinds.add(ended[1])
            summed.count(f"ended with {ended[2]}", int(times))
        else:
            summed.figures[name] = times
    summed.figures = {"kinds of file": len(kinds), **dict(sorted(summed.figures.items()))}
    return summed


def play(rounds: int, seed: int, until: float) -> Findings:
    """The same; the figures say how often each kind of file ended with each exit code."""
    cores = len(os.sched_getaffinity(0))
    return watching.watch([Share(seed, first, rounds, cores) for first in range(cores)], until)
