"""A process that plays rounds one after another, and says what it met: a line of JSON a report on its stdout."""

import collections
import importlib
import json
import mmap
import os
import resource
import struct
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.soak.mutants.rounds import round_of

REPORTS = 0.5  # seconds between reports
# Bytes that a round may reserve besides what the process has: a length of 31 bits is believed by pyarrow, which
# touches no more than the file holds.
ADDRESSES = 5 * 2**30
# The round that is being played, the clock and the CPU's time at its start
PLACE = struct.Struct("<qdd")
PLACE_FILE = "place"
LIMITED = 1_000  # rounds between limits: what libraries keep of a hundred thousand files is no round's fault
STAGE = "stage"


@dataclass(frozen=True, slots=True)
class Share:
    """The rounds of one worker.

    Attributes:
        seed: Of all rounds.
        first: Its first round.
        rounds: Where the rounds end.
        step: From one of its rounds to the next.
        again: The round that took a worker with it, or too long, and is to be played as lacal is run: a model in a
            child process. That costs ten times as much, so other rounds do without. -1 where there is none.
    """

    seed: int
    first: int
    rounds: int
    step: int
    again: int = -1


def work(share: Share, folder: Path) -> None:
    """Play a share in a folder that the watching process made, and will remove."""
    from tests.soak.mutants.promises import Stage

    talk = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    with (folder / PLACE_FILE).open("r+b") as file:
        place = mmap.mmap(file.fileno(), PLACE.size)
    (folder / STAGE).mkdir()
    stage = Stage(folder / STAGE)
    _import_runtimes()
    counted: collections.Counter[str] = collections.Counter()
    reported = time.monotonic()
    for played, number in enumerate(range(share.first, share.rounds, share.step)):
        if played % LIMITED == 0:
            _limit_addresses()
        now = time.monotonic()
        # In one piece: `pack_into` writes zeros first, and the watch would believe them.
        place[:] = PLACE.pack(number, now, time.process_time())
        one = round_of(share.seed, number)
        code, broken = stage.play(one, in_child=number == share.again)
        counted[f"{one.kind.name}: {code}"] += 1
        # What comes after it may end this worker too: the next one must not play it in its own process.
        if broken or number == share.again or now - reported > REPORTS:
            _report(talk, number, counted, broken)
            reported = now
    _report(talk, share.rounds, counted, [])


def _import_runtimes() -> None:
    """What takes addresses of its own, and time in the first round that needs it."""
    for name in ("onnx", "onnxruntime", "torch"):
        importlib.import_module(name)


def _limit_addresses() -> None:
    """A file whose header asks for more than this meets a MemoryError, which is a finding."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ADDRESSES, resource.RLIM_INFINITY))


def _report(
    talk: IO[str], number: int, counted: "collections.Counter[str]", broken: list[str]
) -> None:
    talk.write(json.dumps([number, counted, broken]) + "\n")
    talk.flush()
    counted.clear()
