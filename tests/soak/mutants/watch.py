"""The watch over the workers: one that dies or hangs is a finding, and is replaced."""

import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import IO

from tests.soak.findings import Findings
from tests.soak.mutants.rounds import kind_of
from tests.soak.mutants.worker import PLACE, PLACE_FILE, Share

WORKS = 10.0  # seconds that a round may keep the processor busy
HANGS = 60.0  # seconds that it may take at all, on a machine that has other work
STARTS = 120.0  # seconds that a worker may need before its first
STOPS = 5.0  # seconds until a worker that was asked to stop is killed
MOST_FAULTS = 200
COMMAND = [sys.executable, "-m", "tests.soak.mutants", "--work"]
# One thread each: there are as many workers as cores.
ENVIRONMENT = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class Worker:
    """A worker's process, and what is left of its share."""

    def __init__(self, share: Share) -> None:
        """Start it."""
        self.share = share
        self.unreported = share.first
        self.asked: float | None = None  # when it was asked to end its round
        memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
        self.folder = Path(tempfile.mkdtemp(prefix="lacal-mutants-", dir=memory))
        (self.folder / PLACE_FILE).write_bytes(PLACE.pack(-1, time.monotonic(), 0.0))
        given = [share.seed, share.first, share.rounds, share.step, share.again, self.folder]
        with (self.folder / "stderr").open("wb") as stderr:
            self.process = subprocess.Popen(
                [*COMMAND, *map(str, given)],
                stdout=subprocess.PIPE,
                stderr=stderr,
                env={**os.environ, **ENVIRONMENT},
            )
        assert self.process.stdout is not None
        self.reports: IO[bytes] = self.process.stdout

    def place(self) -> tuple[int, bool]:
        """The round that is being played, -1 before the first, and whether it takes too long."""
        number, since, busy = PLACE.unpack((self.folder / PLACE_FILE).read_bytes())
        seconds = time.monotonic() - since
        if number < 0:
            return number, seconds > STARTS
        return number, seconds > HANGS or self._busy() - busy > WORKS

    def _busy(self) -> float:
        """Seconds of the processor that the process has used; 0 where it is gone."""
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self) -> str:
        """Kill it, if it lives, and clear up; what it said last on stderr."""
        if not self.folder.exists():
            return ""
        self.process.kill()
        self.process.wait()
        self.reports.close()
        said = (self.folder / "stderr").read_bytes()[-600:].decode(errors="replace")
        shutil.rmtree(self.folder, ignore_errors=True)
        return said

    def look(self) -> None:
        """See to a round that takes too long: ended at first; when it is played again, stopped as a user would."""
        number, slow = self.place()
        if not slow:
            self.asked = None
        elif self.asked is None:
            self.asked = time.monotonic()
            playing = number == self.share.again
            self.process.send_signal(signal.SIGTERM if playing else signal.SIGKILL)
        elif time.monotonic() - self.asked > STOPS:
            self.process.kill()


def watch(shares: list[Share], until: float) -> Findings:
    """Play shares until all is done, time is up, or too much was found."""
    found = Findings()
    with selectors.DefaultSelector() as talking:
        workers = []

        def start(share: Share) -> None:
            workers.append(Worker(share))
            talking.register(workers[-1].reports, selectors.EVENT_READ, workers[-1])

        try:
            for share in shares:
                start(share)
            while (
                talking.get_map() and time.monotonic() < until and len(found.faults) < MOST_FAULTS
            ):
                for key, _ in talking.select(0.2):
                    line = key.data.reports.readline()
                    if line:
                        _take(line, key.data, found)
                    else:
                        talking.unregister(key.fileobj)
                        if (rest := _rest(key.data, found)) is not None:
                            found.count("workers replaced")
                            start(rest)
                for key in list(talking.get_map().values()):
                    key.data.look()
        finally:
            for worker in workers:
                worker.end()
    return found


def _take(line: bytes, worker: Worker, found: Findings) -> None:
    """Add a worker's report; one that was cut off by its death counts for nothing."""
    if not line.endswith(b"\n"):
        return
    number, counted, broken = json.loads(line)
    for name, times in counted.items():
        found.count(name, times)
        found.rounds += times
    worker.unreported = number + worker.share.step
    found.faults += [_fault(worker.share.seed, number, one) for one in broken]


def _rest(worker: Worker, found: Findings) -> Share | None:
    """What a worker that is gone left to do, None if nothing; notes why it is gone."""
    slow = worker.asked is not None
    code, (number, _), share = worker.process.wait(), worker.place(), worker.share
    said = worker.end()
    if code == 0:
        return None
    if number < 0:
        found.faults.append(f"a worker did not start ({code}): {said}")
        return None
    if number != share.again and (kind_of(share.seed, number).in_child or slow):
        return replace(share, first=worker.unreported, again=number)
    what = "took too long" if slow else f"killed the process ({code})"
    found.faults.append(_fault(share.seed, number, f"{what}; said: {said}"))
    return replace(share, first=number + share.step, again=-1)


def _fault(seed: int, number: int, what: str) -> str:
    again = f"python -m tests.soak.mutants --seed {seed} --round {number}"
    return f"{kind_of(seed, number).name}: {what}; {again}"
