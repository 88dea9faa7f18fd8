"""Too little memory, and files that may not grow: at every level the end is said, and what was there stays whole.

Every run is a child forked from a process that has read its libraries, under a limit of the system's.
"""

import ctypes
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.soak.findings import Findings
from tests.soak.writing_jobs import (
    JOBS,
    Job,
    content,
    emptied,
    ended,
    leftovers,
    make_old,
    published,
    torn,
    workbench,
)

# Bytes that a run may take beside what its libraries have: more than the least that Python needs to start a thread
# (below that, `Thread.start` waits for ever for one that died: CPython issue 140746), up to what is enough for all commands.
LEAST, MOST = 1 << 20, 200 << 20
PATIENCE = 60.0  # seconds that a run may take
ROWS, CLASSES = 100_000, 100
LARGE = {
    "tune-tau": "tune-tau IN/large.npy --labels IN/labels.npy --counts IN/large.csv --draws 10 -o OUT/c.json",
    "adjust": "adjust IN/large.npy --counts IN/large.csv --tau 1 --write-scores probs -o OUT/p.parquet",
    "evaluate": "evaluate IN/large.npy --labels IN/labels.npy --report OUT/r.json",
}
SIZED = ("tune-tau", "adjust", "evaluate", "infer", "infer a folder", "export")
LIMITS = {"memory": resource.RLIMIT_AS, "size": resource.RLIMIT_FSIZE}


def soak(rounds: int, seed: int, until: float) -> Findings:
    """In a round one level of memory, and one size that no file may pass, for every command."""
    seconds = max(1.0, until - time.monotonic())
    done = subprocess.run(
        [sys.executable, "-m", __name__, str(rounds), str(seed), str(min(seconds, 1e9))],
        stdout=subprocess.PIPE, text=True, check=True,
        env={**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system"},  # as the command line's door has it
    )  # fmt: skip
    found = json.loads(done.stdout)
    return Findings(found["rounds"], found["figures"], found["faults"])


def main(rounds: int, seed: int, seconds: float) -> Findings:
    """All rounds, in a process that may fork."""
    found, until = Findings(), time.monotonic() + seconds
    with workbench() as folder:
        bench = Bench(folder, found)
        for number in range(rounds):
            chance = random.Random(f"{seed} {number}")
            for name in LARGE:
                bench.try_out(
                    bench.large[name], "memory", LEAST + int(MOST * chance.random() ** 3), number
                )
            for name in SIZED:
                bench.try_out(JOBS[name], "size", chance.choice((0, 1, 7, 64, 300, 2000)), number)
            found.rounds += 1
            if time.monotonic() > until:
                break
    return found


class Bench:
    """Commands on their inputs, run under one limit after another."""

    def __init__(self, folder: Path, found: Findings) -> None:
        """Write large inputs too, and run every command once for what it leaves and for the memory it takes."""
        self.given, self.out, self.found = folder / "in", folder / "out", found
        self.said = folder / "said"
        _write_large(self.given)
        self.large = {
            name: Job(f"large {name}", line, (line.rpartition("/")[2],))
            for name, line in LARGE.items()
        }
        self.new = {}
        for job in (*self.large.values(), *(JOBS[name] for name in SIZED)):
            emptied(self.out)
            child = os.fork()  # so that this process keeps no memory that its children could use
            if not child:
                self._limited(job, "size", resource.RLIM_INFINITY)
            assert not os.waitpid(child, 0)[1], self.said.read_text()
            self.new[job.name] = published(job, content(self.out))

    def try_out(self, job: Job, limit: str, level: int, number: int) -> None:
        """Run a command under a limit, and judge what it leaves."""
        make_old(job, self.given, emptied(self.out))
        old = published(job, content(self.out))
        child = os.fork()
        if not child:
            self._limited(job, limit, level)
        code, said = _exit_code(child), self.said.read_text()
        left = content(self.out)
        wrong = torn(job, left, old, self.new[job.name])
        if code not in (0, 3) or "fault of its own" in said:
            wrong.append(f"ended with {code} and said: {said}")
        if code == 0 and published(job, left) != self.new[job.name]:
            wrong.append("ended with 0, and not all is written")
        if leftovers(left):
            wrong.append(f"left {leftovers(left)}")
        self.found.count(f"{limit}: ended with {code}")
        self.found.faults += [
            f"round {number}, {job.name} under a {limit} of {level} bytes: {one}" for one in wrong
        ]

    def _limited(self, job: Job, limit: str, level: int) -> None:
        """In a child: the limit, the run, its code."""
        code = 99
        try:
            with self.said.open("w") as said:
                if limit == "memory":
                    # What earlier work has left is not to be had again
                    ctypes.CDLL(None).malloc_trim(0)
                    level += _addresses()
                resource.setrlimit(LIMITS[limit], (level, resource.RLIM_INFINITY))
                done = ended(f"{job.line} --force", self.given, self.out)
                resource.setrlimit(LIMITS[limit], (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
                said.write(done.said)
            code = done.code
        finally:
            os._exit(code)


def _exit_code(child: int) -> int:
    """How a child ended; it is killed where it does not."""
    until = time.monotonic() + PATIENCE
    while not (ended_child := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() > until:
            os.kill(child, signal.SIGKILL)
            ended_child = os.waitpid(child, 0)
            break
        time.sleep(0.002)
    return os.waitstatus_to_exitcode(ended_child[1])


def _addresses() -> int:
    """Bytes of addresses of this process, which is what the limit counts."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _write_large(given: Path) -> None:
    import numpy as np

    chance = np.random.default_rng(0)
    np.save(given / "large.npy", chance.normal(size=(ROWS, CLASSES)).astype(np.float32))
    np.save(given / "labels.npy", np.arange(ROWS) % CLASSES)
    lines = "".join(f"{j},{1 + 10 * j}\n" for j in range(CLASSES))
    (given / "large.csv").write_text(f"class,count\n{lines}")


if __name__ == "__main__":
    met = main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
    print(json.dumps({"rounds": met.rounds, "figures": met.figures, "faults": met.faults}))
