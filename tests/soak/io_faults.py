"""Each call that writes to the disk fails in turn, once or from then on: what is there stays whole, and the end is said.

`python -m tests.soak.io_faults JOB CALL ERROR once|ever fresh|forced` brings one back, and shows what it left.
"""

import errno
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from unittest import mock

from lacal import atomic
from tests.soak.disk import Call, listened
from tests.soak.findings import Findings
from tests.soak.writing_jobs import (
    JOBS,
    Content,
    Ended,
    Job,
    content,
    emptied,
    ended,
    exported_once,
    leftovers,
    make_old,
    published,
    torn,
    workbench,
)

ERRORS = ("ENOSPC", "EIO", "EACCES", "EDQUOT")


@dataclass(frozen=True, slots=True)
class Fault:
    """Which call fails, and how.

    Attributes:
        call: Its number, from 1.
        error: Name of the error.
        ever: Whether every call after it fails as well.
    """

    call: int
    error: str
    ever: bool


def soak(rounds: int, seed: int, until: float) -> Findings:
    """In a round each call of every command fails once and for ever; four rounds go through all errors."""
    return over(list(product(JOBS, (False, True))), rounds, seed, until)


def over(
    jobs: Iterable[tuple[str, bool]], rounds: int, seed: int, until: float, followed: int = 1
) -> Findings:
    """The same over some commands.

    Args:
        jobs: Names, and whether there are outputs to replace.
        rounds: Of each call of each of them.
        seed: Number of the first round.
        until: When to stop.
        followed: Of so many runs that can be gone on with, one is.
    """
    found = Findings()
    with workbench() as folder, exported_once():
        bench = Bench(folder, found, followed)
        for number in range(rounds):
            for name, forced in jobs:
                bench.take(JOBS[name], forced=forced)
                for fault in _faults(bench.calls, number + seed, forced=forced):
                    if time.monotonic() > until:
                        return found
                    bench.try_out(fault)
            found.rounds += 1
    return found


def _faults(calls: int, number: int, *, forced: bool) -> Iterator[Fault]:
    """Each call fails in one way where there are no outputs yet, and in the other where there are."""
    for call in range(1, calls + 1):
        ever = (number // len(ERRORS) + call + forced) % 2
        yield Fault(call, ERRORS[(call + number) % len(ERRORS)], bool(ever))


class Bench:
    """A command on its inputs, run again and again with another fault."""

    def __init__(self, folder: Path, found: Findings, followed: int = 1) -> None:
        """Take the jobs' inputs in that folder."""
        self.followed = followed
        self.given, self.out, self.kept = folder / "in", folder / "out", folder / "kept"
        self.found = found
        self.job, self.forced = JOBS["adjust"], False
        self.old: Content = {}
        self.new: Content = {}
        self.calls = 0

    def take(self, job: Job, *, forced: bool) -> None:
        """Make the outputs that are there before, and run the job undisturbed."""
        self.job, self.forced, self.old, self.new = job, forced, {}, {}
        emptied(self.kept)
        if forced:
            make_old(job, self.given, self.kept)
        self.old = published(job, content(self.kept))
        self._reset()
        calls: list[Call] = []
        with listened(self.out, calls.append):
            done = self._run()
        self.calls = len(calls)
        left = content(self.out)
        self.new = published(job, left)
        if done.code or leftovers(left):
            self._fault(None, f"an undisturbed run ended with {done}, and left {leftovers(left)}")

    def try_out(self, fault: Fault) -> Ended:
        """Run the job with a fault, and judge what it leaves."""
        self._reset()
        failed: list[Call] = []
        count = 0

        def heard(call: Call) -> None:
            nonlocal count
            count += 1
            if count == fault.call or (count > fault.call and fault.ever):
                failed.append(call)
                number = getattr(errno, fault.error)
                raise OSError(number, os.strerror(number), str(call.path))

        with listened(self.out, heard):
            done = self._run()
        self.found.count("faults")
        self.found.count(f"{self.job.name.split()[0]} ended with {done.code}")
        wrong = self._wrong(done, failed)
        if not wrong and (fault.call % self.followed == 0 or leftovers(content(self.out))):
            wrong = self._wrong_again(done)
        for one in wrong:
            self._fault(fault, f"{failed[0].kind} of {failed[0].path.name}: {one}")
        return done

    def _wrong(self, done: Ended, failed: list[Call]) -> list[str]:
        """What is wrong right after the fault."""
        left = content(self.out)
        wrong = torn(self.job, left, self.old, self.new)
        if done.code not in (0, 2, 3) or "fault of its own" in done.said:
            wrong.append(f"ended with {done.code}")
        if done.code == 0 and published(self.job, left) != self.new:
            wrong.append("ended with 0, and not all is written")
        names = [*self.job.outputs, *(f".{one}.parts" for one in self.job.outputs)]
        if done.code and not any(f"/out/{name}" in done.said for name in names):
            wrong.append(f"no path in: {done.said}")
        if done.code and len([one for one in done.said.splitlines() if one[:6] == "Error:"]) != 1:
            wrong.append(f"not one sentence: {done.said}")
        if "nothing was changed" in done.said and any(
            self.old.get(name) != data and f"/{name}:" in done.said
            for name, data in published(self.job, left).items()
            if name != "run/metrics.jsonl"  # which grows
        ):
            wrong.append(f"something was changed, though it said: {done.said}")
        stuck = any(one.kind in ("unlink", "rmdir") for one in failed)
        if not stuck and leftovers(left):
            wrong.append(f"left {leftovers(left)}")
        return wrong

    def _wrong_again(self, done: Ended) -> list[str]:
        """What is wrong after the run that follows: it goes on where it can, and sweeps up."""
        left = content(self.out)
        if not leftovers(left) and not (self.job.resumes and done.code):
            return []
        self.found.count("runs after it")
        # The process that left them is this one, so it would be thought to be at work on them.
        with mock.patch.object(atomic, "_alive", return_value=False):
            again = self._run(self._way_on(done))
            # What is there is still the old run
            if again.code == 2 and self.job.run and self.forced:
                again = self._run(" --force")
        left = content(self.out)
        wrong = [] if again.code == 0 else [f"the run after it ended with {again}"]
        if published(self.job, left) != self.new:
            wrong.append("the run after it left something else")
        if leftovers(left):
            wrong.append(f"the run after it left {leftovers(left)}")
        return wrong

    def _way_on(self, done: Ended) -> str:
        """The options of the run that follows."""
        if not (self.job.resumes and done.code):
            return " --force"
        return " --resume --force" if self.forced and not self.job.run else " --resume"

    def _reset(self) -> None:
        emptied(self.out).rmdir()
        shutil.copytree(self.kept, self.out)

    def _run(self, more: str | None = None) -> Ended:
        more = (" --force" if self.forced else "") if more is None else more
        return ended(self.job.line + more, self.given, self.out)

    def _fault(self, fault: Fault | None, what: str) -> None:
        which = (
            ""
            if fault is None
            else f" {fault.call} {fault.error} {'ever' if fault.ever else 'once'}"
        )
        state = "forced" if self.forced else "fresh"
        self.found.faults.append(f"'{self.job.name}'{which} {state}: {what}")


def main(name: str, call: str, error: str, mode: str, state: str) -> None:
    """Bring a fault back."""
    found = Findings()
    with workbench() as folder, exported_once():
        bench = Bench(folder, found)
        bench.take(JOBS[name], forced=state == "forced")
        print(bench.try_out(Fault(int(call), error, mode == "ever")))
        left = shutil.copytree(bench.out, Path(tempfile.mkdtemp()), dirs_exist_ok=True)
    print(*sorted(content(left)), *found.faults, f"in {left}", sep="\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
