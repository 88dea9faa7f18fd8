"""Power is lost at any call: of what was not synced, any part may be missing, and the run goes on to the same bytes.

A run is recorded once, every call that it makes on the disk. A round takes the calls up to a random one, and makes
the folder that a disk could hold then: names whose folder was not synced since may be the old ones, bytes that were
not synced may be missing, torn or zero. It is judged as it is, then `--resume` (or `--force`) runs on it.
"""

import random
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from lacal import atomic
from lacal.pipeline.parts_store import rows_kept
from lacal.training.run_folder import epochs_kept
from tests.soak.disk import Call, listened
from tests.soak.findings import Findings
from tests.soak.writing_jobs import (
    JOBS,
    Content,
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

LOST = ("all that was not synced", "no names", "bytes", "some names")


@dataclass(slots=True)
class File:
    """A file's bytes: those that are safe, and those of all writes."""

    safe: bytes = b""
    now: bytearray = field(default_factory=bytearray)


@dataclass(slots=True)
class Named:
    """A change of names: of its kind, of which file, and whether it is safe."""

    call: Call
    file: File | None
    safe: bool = False

    def folders(self) -> set[Path]:
        """Whose sync makes it safe; a rename is one change, with the folder of the new name."""
        return {(self.call.to or self.call.path).parent}


class Lossy:
    """What a disk is told of, and what it may hold after a loss of power."""

    def __init__(self, folder: Path) -> None:
        """Begin with what is there, which is safe."""
        self.files: dict[Path, File] = {}
        self.folders = {folder, *(one for one in folder.rglob("*") if one.is_dir())}
        for one in folder.rglob("*"):
            if one.is_file():
                data = one.read_bytes()
                self.files[one] = File(data, bytearray(data))
        self.names: list[Named] = []
        self.start = dict(self.files), set(self.folders)

    def hear(self, call: Call) -> None:
        """A call that was made."""
        if call.kind == "fsync":
            self._sync(call.path)
        elif call.kind == "write":
            file = self.files[call.path].now
            file[len(file) :] = bytes(max(0, call.offset - len(file)))
            file[call.offset : call.offset + len(call.data)] = call.data
        elif call.kind == "truncate":
            del self.files[call.path].now[call.offset :]
        elif call.kind in ("rename", "link", "unlink", "mkdir", "rmdir") or call.fresh:
            made = File() if call.kind == "open" else self.files.get(call.path)
            change = Named(call, made)
            if _apply(change, self.files, self.folders):
                self.names.append(change)

    def after_loss(self, chance: random.Random, kind: str) -> tuple[dict[Path, bytes], set[Path]]:
        """Files and folders that the disk may hold now, some of what was not synced lost."""
        files, folders = dict(self.start[0]), set(self.start[1])
        unsafe = [one for one in self.names if not one.safe]
        last = {LOST[0]: 0, LOST[1]: 0, LOST[2]: len(unsafe)}.get(
            kind, chance.randint(0, len(unsafe))
        )
        kept = {id(one) for one in unsafe[:last]}
        for one in self.names:
            if one.safe or id(one) in kept:
                _apply(one, files, folders)
        return {
            path: self._bytes(file, chance, kind)
            for path, file in files.items()
            if path.parent in folders
        }, folders

    def _sync(self, path: Path) -> None:
        if path in self.files:
            self.files[path].safe = bytes(self.files[path].now)
        for one in self.names:
            one.safe |= path in one.folders()

    def _bytes(self, file: File, chance: random.Random, kind: str) -> bytes:
        now = bytes(file.now)
        if now == file.safe or kind == LOST[1]:
            return now
        if kind == LOST[0]:
            return file.safe
        cut = chance.randint(0, len(now))
        if not now.startswith(file.safe):
            return now[:cut] + file.safe[cut:]
        cut = max(cut, len(file.safe))
        # Torn, or zeros as far as it was to go
        return now[:cut] + bytes(len(now) - cut) * chance.randint(0, 1)


def _apply(change: Named, files: dict[Path, File], folders: set[Path]) -> bool:
    """Make a change of names where it can be made."""
    call = change.call
    if call.kind == "mkdir":
        possible = call.path.parent in folders and call.path not in folders
        folders |= {call.path} if possible else set()
        return possible
    if call.kind == "rmdir":
        folders.discard(call.path)
        return True
    if call.kind == "open":
        if call.path in files or call.path.parent not in folders or change.file is None:
            return False
        files[call.path] = change.file
        return True
    if call.kind == "rename" and call.path in folders:
        return _move(call, files, folders)
    if call.path not in files:
        return False
    file = files[call.path] if call.kind == "link" else files.pop(call.path)
    if call.to is not None:
        if call.to.parent not in folders:
            return False
        files[call.to] = file
    return True


def _move(call: Call, files: dict[Path, File], folders: set[Path]) -> bool:
    """A folder with all that is in it; one that is there is empty."""
    assert call.to is not None
    within = [one for one in (*files, *folders) if one == call.path or call.path in one.parents]
    for one in within:
        there = call.to / one.relative_to(call.path)
        if one in folders:
            folders.remove(one)
            folders.add(there)
        else:
            files[there] = files.pop(one)
    return True


@dataclass(slots=True)
class Recorded:
    """A job that ran once: what was there before, every call, and what it left."""

    job: Job
    kept: Path
    out: Path
    calls: list[Call]
    old: Content
    new: Content


def soak(rounds: int, seed: int, until: float) -> Findings:
    """Over the commands that resume, and one that does not: a round is a cut point."""
    return over(("infer", "infer a folder", "train", "adjust", "tune-tau"), rounds, seed, until)


def over(jobs: Sequence[str], rounds: int, seed: int, until: float) -> Findings:
    """The same over some commands."""
    found = Findings()
    with workbench() as folder, exported_once():
        given = folder / "in"
        runs = [
            _recorded(JOBS[name], given, folder / f"kept {number} {forced}", forced=forced)
            for number, name in enumerate(jobs)
            for forced in (False, True)
        ]
        for number in range(rounds):
            if time.monotonic() > until:
                break
            _cut(runs[number % len(runs)], given, random.Random(f"{seed} {number}"), number, found)
            found.rounds += 1
    return found


def _recorded(job: Job, given: Path, kept: Path, *, forced: bool) -> Recorded:
    emptied(kept)
    if forced:
        make_old(job, given, kept)
    out = given.parent / "out"  # of every job: some files tell where they are
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(kept, out)
    calls: list[Call] = []
    with listened(out, calls.append):
        done = ended(job.line + " --force" * forced, given, out)
    assert done.code == 0, done
    left = content(out)
    return Recorded(job, kept, out, calls, published(job, content(kept)), published(job, left))


def _cut(run: Recorded, given: Path, chance: random.Random, number: int, found: Findings) -> None:
    """Lose power at a random call, look at what is there, and go on."""
    shutil.rmtree(run.out)
    shutil.copytree(run.kept, run.out)
    at, kind = chance.randint(1, len(run.calls)), LOST[number // 2 % len(LOST)]
    disk = Lossy(run.out)
    for call in run.calls[:at]:
        disk.hear(call)
    files, folders = disk.after_loss(chance, kind)
    emptied(run.out)
    for one in sorted(folders - {run.out}):
        one.mkdir(parents=True, exist_ok=True)
    for path, data in files.items():
        path.write_bytes(data)
    left = content(run.out)
    wrong = torn(run.job, left, run.old, run.new)
    promised, kept = _promised(run, at), _kept(run)
    if kept < promised:
        wrong.append(f"{kept} rows or epochs are kept of {promised} that were finished")
    found.count("with finished parts", bool(kept))
    with mock.patch.object(atomic, "_alive", return_value=False):
        wrong += _wrong_again(run, given)
    found.count(f"lost {kind}")
    found.faults += [
        f"round {number}, {run.job.name}{' forced' * bool(run.old)}, before call {at + 1} of {len(run.calls)}, lost {kind}: {one}"
        for one in wrong
    ]


def _promised(run: Recorded, at: int) -> int:
    """Rows or epochs that were finished for good: the part, its line and its folder were synced."""
    if not run.job.resumes:
        return 0
    calls, mark = run.calls[:at], "state/last.json" if run.job.run else "journal"
    if any(one.kind == "unlink" and str(one.path).endswith(mark) for one in calls):
        return 0  # cleared before it, or removed after it
    done = 0
    for number, call in enumerate(calls):
        name = str(call.to or call.path)
        said = call.kind == ("rename" if run.job.run else "write") and name.endswith(mark)
        folder = Path(name).parent
        if said and any(one.kind == "fsync" and one.path == folder for one in calls[number:-1]):
            done += 1
    return done - 1 if run.job.run else 20 * min(done, 3)


def _kept(run: Recorded) -> int:
    target = run.out / run.job.outputs[0]
    if run.job.run:
        return epochs_kept(target) if not (target / "summary.json").exists() else 99
    return rows_kept(target) if run.job.resumes else 0


def _wrong_again(run: Recorded, given: Path) -> list[str]:
    """What is wrong with the run that goes on."""
    tries = [" --force"]
    if run.job.resumes:
        # A result that was in place is told by its file's number, which is another one here.
        tries = [" --resume", " --force" if run.job.run else " --resume --force"]
    for more in tries:
        again = ended(run.job.line + more, given, run.out)
        if again.code == 0:
            break
        if again.code != 2 or "--force" not in again.said:
            return [f"{more} ended with {again}"]
    left = content(run.out)
    wrong = [] if again.code == 0 else [f"the run after it ended with {again}"]
    if published(run.job, left) != run.new:
        wrong.append(f"{more} left something else")
    if leftovers(left):
        wrong.append(f"{more} left {leftovers(left)}")
    return wrong
