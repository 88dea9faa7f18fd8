"""Run as a module, in a fresh process: kills of the commands of a group; `tests.soak.kills` starts it.

What a command imports is imported here once. A command that starts anew after a kill is let run up to its first
write, and forked there for every trial: a trial then costs a fork and a write. One that goes on with `--resume` is
forked at its start.

Where a kill comes is drawn from what a run that was left alone called between the opening of its first temporary
and its last rename. There a trial kills itself; or every third tells its parent to do so, which hits in the midst of
whatever follows.
"""

import contextlib
import importlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import lacal.atomic
import lacal.model_source
from lacal.cli.main import run
from tests.infer_source import small_limits
from tests.soak.findings import Findings
from tests.soak.kill_meter import TEMPORARY, Meter
from tests.soak.killed_commands import CALIBRATES, KILLED, Killed, content, make_inputs

OLD = b"the old file"
LONG = 500  # events: what it takes a word to get through to the parent, and its kill back
Content = dict[str, bytes] | None


def ended(child: int) -> int:
    """Its exit code; that of a signal is negative."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def differing(now: dict[str, Content], then: dict[str, Content]) -> list[str]:
    """Names of files, within outputs, that are not the same."""
    pairs = ((name, now[name] or {}, then[name] or {}) for name in now)
    return [f"{name}/{one}" for name, a, b in pairs for one in a | b if a.get(one) != b.get(one)]


class Kills:
    """The kills of one command, in a folder of its own."""

    def __init__(self, name: str, folder: Path, seed: int, until: float) -> None:
        """Where inputs are, and when to stop on the clock of time.monotonic."""
        self.name, self.folder, self.seed, self.until = name, folder, seed, until
        self.command: Killed = KILLED[name]
        self.found = Findings(figures=dict.fromkeys(("kills", "inside", "old", "whole"), 0))
        self.said = folder / f"{name}.said"
        self.sizes: dict[int, int] = {}  # of each line: events of its write phase
        self.renames: dict[int, list[int]] = {}  # events at which something is published
        self.orders: dict[int, list[str]] = {}  # in which its outputs are published
        self.whole: dict[int, dict[str, Content]] = {}  # what it leaves
        self.meter = Meter()

    def target(self, kind: int) -> Path:
        """Where a line writes: always the same, since outputs may tell of it."""
        return self.folder / str(kind)

    def line(self, kind: int, more: str) -> list[str]:
        """A command line with its outputs."""
        named = self.command.outputs[kind].items()
        pairs = [(option, str(self.target(kind) / name)) for name, option in named]
        return [*self.command.lines[kind], *(word for pair in pairs for word in pair), more]

    def outputs(self, kind: int) -> dict[str, Content]:
        """What is under its final names."""
        return {name: content(self.target(kind) / name) for name in self.command.outputs[kind]}

    def fault(self, trial: int, what: str) -> None:
        """Keep a fault with what brings it back, and what the process said last."""
        last = self.said.read_text(errors="replace").strip().splitlines()[-1:]
        self.found.faults.append(f"{self.name}, seed {self.seed}, trial {trial}: {what}; {last}")

    def runs(
        self, kind: int, more: str, at_first_write: Callable[[], None] = lambda: None
    ) -> NoReturn:
        """In a child: run a line quietly, and tell of a run that is left alone."""
        code, sweep = 1, lacal.atomic.sweep

        def first_write(path: Path) -> None:
            lacal.atomic.sweep = sweep
            at_first_write()
            self.meter.writes = True
            sweep(path)

        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.dup2(os.open(self.said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
            lacal.atomic.sweep = first_write
            if kind in self.command.without_models:
                finish = importlib.import_module("lacal.training.finish")
                setattr(finish, "deliver_models", lambda *given: ({}, []))  # noqa: B010
            code = run(self.line(kind, more))
            if not self.meter.at:
                told = {
                    "events": self.meter.last,
                    "renames": self.meter.renames,
                    "published": self.meter.published,
                    "modules": sorted(sys.modules),
                }
                (self.folder / "measured.json").write_text(json.dumps(told))
        except BaseException:
            traceback.print_exc()
        os._exit(code)

    def fork(self, at: int = 0, tells: bool = False) -> int | None:
        """Fork, and kill the child at an event of its own; its exit code, or None in the child."""
        readable, pipe = os.pipe()
        child = os.fork()
        if not child:
            os.close(readable)
            self.meter = Meter(at, pipe if tells else -1)
            if not tells:
                os.close(pipe)
            return None
        os.close(pipe)
        if os.read(readable, 1):
            os.kill(child, signal.SIGKILL)
            self.found.count("killed from outside")
        os.close(readable)
        return ended(child)

    def run(self, kind: int, more: str, at: int = 0, tells: bool = False) -> int:
        """Fork at a line's start; the child's exit code."""
        code = self.fork(at, tells)
        if code is None:
            self.runs(kind, more)
        return code

    def moment(self, chance: random.Random, kind: int) -> int:
        """An event: half of them of the whole phase, half of them around a rename."""
        if chance.random() < 0.5:
            return chance.randint(1, self.sizes[kind])
        near = chance.choice(self.renames[kind]) + chance.randint(-40, 5)
        return min(max(near, 1), self.sizes[kind])

    def learn(self, kind: int, warm: bool) -> None:
        """Take over what a run that was left alone told, and left; import what it imported."""
        told = json.loads((self.folder / "measured.json").read_text())
        now = self.outputs(kind)
        if warm and (other := differing(now, self.whole[kind])):
            self.fault(-1, f"two runs left other bytes: {other}")
        self.sizes[kind], self.orders[kind] = told["events"], told["published"]
        self.renames[kind] = told["renames"]
        self.whole[kind] = now
        assert all(self.whole[kind].values()), (self.name, self.whole[kind].keys())
        for name in told["modules"]:
            if name not in sys.modules and name.partition(".")[0] not in ("__main__", "tests"):
                with contextlib.suppress(ImportError):
                    importlib.import_module(name)

    def many(self, rounds: int) -> Findings:
        """Make the trials; what they met."""
        for kind in range(len(self.command.lines)):
            target = self.target(kind)
            target.mkdir()
            for warm in (False, True):  # imports in the midst of the write phase would stretch it
                if code := self.run(kind, "--force"):
                    self.fault(-1, f"a run that was left alone ended with {code}")
                    return self.found
                self.learn(kind, warm)
        if self.command.resumes:
            self.resumed(rounds)
        else:
            self.from_the_first_write(rounds)
        return self.found

    # A command that starts anew

    def from_the_first_write(self, rounds: int) -> None:
        """Let the command run up to its first write, and make every trial a fork of it there."""
        target = self.target(0)
        told = self.folder / "found.json"

        def trials() -> None:
            for trial in range(rounds):
                if time.monotonic() > self.until:
                    break
                chance = random.Random(f"{self.name} {self.seed} {trial}")
                old = OLD if chance.random() < 0.5 else None
                self.lay(target, old)
                at = self.moment(chance, 0)
                code = self.fork(at, trial % 3 == 2 and at < self.sizes[0] - LONG)
                if code is None:
                    return  # and write, until it is killed
                self.look(target, trial, old, code)
            found = [self.found.rounds, self.found.figures, self.found.faults]
            told.write_text(json.dumps(found))
            os._exit(0)

        child = os.fork()
        if not child:
            self.runs(0, "--force", trials)
        if code := ended(child):
            self.fault(-1, f"the trials ended with {code}")
            return
        self.found = Findings(*json.loads(told.read_text()))
        if self.run(0, "--force") or self.outputs(0) != self.whole[0]:
            self.fault(rounds, "the run after the kills did not end as it should")
        if left := [one.name for one in target.iterdir() if TEMPORARY in one.name]:
            self.fault(rounds, f"the run after the kills left {left}")

    def lay(self, target: Path, old: bytes | None) -> None:
        """Put old outputs, or none, in place."""
        for name in self.orders[0]:
            (target / name).unlink(missing_ok=True)
            if old is not None:
                (target / name).write_bytes(old)

    def look(self, target: Path, trial: int, old: bytes | None, code: int) -> None:
        """What a killed run left: each output old or whole, and published in order."""
        before = None if old is None else {".": old}
        now = self.outputs(0)
        new = [now[name] == self.whole[0][name] for name in self.orders[0]]
        for name, is_new in zip(self.orders[0], new, strict=True):
            if not is_new and now[name] != before:
                self.fault(trial, f"{name} is broken")
        if new != sorted(new, reverse=True):
            self.fault(trial, f"{self.orders[0]} were not published in this order: {new}")
        left = [one.name for one in target.iterdir() if TEMPORARY in one.name]
        if len(left) > len(new) - sum(new):
            self.fault(trial, f"what earlier runs left was not swept: {left}")
        if code not in (0, -signal.SIGKILL):
            self.fault(trial, f"ended with {code}")
        self.found.rounds += 1
        self.found.count("kills", code != 0)
        self.found.count("inside", code != 0 and (bool(left) or 0 < sum(new) < len(new)))
        self.found.count("whole" if all(new) else "old")

    # A command that goes on

    def resumed(self, rounds: int) -> None:
        """Kill a run, a quarter of them again as it goes on, and let it come to its end."""
        for trial in range(rounds):
            if time.monotonic() > self.until:
                break
            chance = random.Random(f"{self.name} {self.seed} {trial}")
            kind = self.command.turns[trial % len(self.command.turns)]
            target = self.target(kind)
            shutil.rmtree(target)
            target.mkdir()
            at = self.moment(chance, kind)
            ats = [at, *([chance.randint(1, self.sizes[kind] - at + 1)] if trial % 4 == 3 else [])]
            for one in ats:
                tells = trial % 3 == 2 and one < self.sizes[kind] - LONG
                code = self.run(kind, "--resume", one, tells)
                if code not in (0, -signal.SIGKILL):
                    self.fault(trial, f"a run to be killed ended with {code}")
                now, whole = self.outputs(kind), self.whole[kind]
                if self.name != "train" and any(
                    now[name] not in (None, whole[name]) for name in now
                ):
                    self.fault(trial, "the output is broken")
                self.found.count("kills", code != 0)
                self.found.count("inside", code != 0 and now != whole)
            self.comes_to_its_end(trial, kind, target)
            self.found.rounds += 1

    def comes_to_its_end(self, trial: int, kind: int, target: Path) -> None:
        """Go on with a killed run and hold it against one that was left alone."""
        published = self.outputs(kind) == self.whole[kind]
        self.found.count("whole" if published else "old")
        code = self.run(kind, "--resume")
        if code and not published:
            self.fault(trial, f"the resumed run ended with {code}")
        now = self.outputs(kind)
        if now != self.whole[kind]:
            other = differing(now, self.whole[kind])
            self.fault(trial, f"the resumed run left other bytes: {other}")
        hidden = [one.name for one in target.rglob(".*") if code == 0]
        if hidden:
            self.fault(trial, f"the resumed run left {hidden}")


def main(group: str, rounds: int, seed: int, seconds: float) -> None:
    """Print what the kills of each command met, a line of JSON each."""
    with tempfile.TemporaryDirectory(prefix="lacal-kills-") as temporary:
        folder = Path(temporary)
        os.chdir(folder)
        maker = os.fork()
        if not maker:
            made(group)
        assert ended(maker) == 0, "the inputs could not be made"
        small_limits(setattr, 50)
        # A batch at a time, so that parts end where they should
        lacal.model_source.TOGETHER_SECONDS = 0
        names = [name for name, one in KILLED.items() if one.group == group]
        until = time.monotonic() + seconds
        for at, name in enumerate(names):
            own = folder / name
            own.mkdir()
            left = (until - time.monotonic()) / (len(names) - at)
            found = Kills(name, own, seed, time.monotonic() + left).many(rounds)
            print(json.dumps([name, found.rounds, found.figures, found.faults]), flush=True)


def made(group: str) -> NoReturn:
    """In a child, since torch may start threads: make the inputs."""
    code = 1
    try:
        os.dup2(2, 1)
        make_inputs(Path(), group)
        code = run([*CALIBRATES])
    except BaseException:
        traceback.print_exc()
    os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
