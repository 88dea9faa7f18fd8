"""Every evil file on every command line that takes it."""

import tempfile
import time
from pathlib import Path

from tests.faults.evil.guard import Guard
from tests.faults.evil.trial import EVIL, goods, tried
from tests.soak.findings import Findings


def soak(rounds: int, seed: int, until: float) -> Findings:
    """Try file by file, from number `seed` on; a round is a file with all its lines."""
    found = Findings()
    with tempfile.TemporaryDirectory() as name, Guard() as guard:
        beside = goods(Path(name))
        for number in range(rounds):
            evil = EVIL[(seed + number) % len(EVIL)]
            for line in evil.lines:
                if time.monotonic() > until:
                    return found
                found.faults += tried(evil, line, beside, guard)
                found.count("command lines")
            found.rounds += 1
    found.figures["files"] = len(EVIL)
    return found
