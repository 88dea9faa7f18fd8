"""SIGINT, SIGTERM and SIGHUP to every command at random moments: it ends within two seconds, and says what is kept.

A moment is drawn in processor time, so that it meets the same work on a busy machine.
"""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.soak.findings import Findings
from tests.soak.stopped_commands import RESUMES, STOPPED, make_inputs

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PROMISED = 2.0  # seconds
LACAL = [sys.executable, "-m", "lacal"]
TICK = os.sysconf("SC_CLK_TCK")


def soak(rounds: int, seed: int, until: float) -> Findings:
    """Stop a command of each signal in every round.

    Args:
        rounds: Of one stop a signal.
        seed: Of the commands and the moments.
        until: When to end, on the clock of time.monotonic.
    """
    found = Findings(
        figures={"stops": 0, "at work": 0, "with something kept": 0, "longest, s": 0.0}
    )
    with _none_ignored(), tempfile.TemporaryDirectory(prefix="lacal-stops-") as temporary:
        folder = Path(temporary)
        make_inputs(folder)
        names = sorted(one.name for one in folder.iterdir())
        for number in range(rounds):
            for at, one in enumerate(SIGNALS):
                if time.monotonic() > until:
                    return found
                trial = len(SIGNALS) * number + at
                _stop(found, folder, one, random.Random(f"{seed} {trial}"), trial)
                for left in {one.name for one in folder.iterdir()} - set(names):
                    path = folder / left
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            found.rounds += 1
    return found


@contextlib.contextmanager
def _none_ignored() -> Iterator[None]:
    """A shell has what it starts in the background ignore SIGINT; so would our children, who keep what is ignored."""
    ignored = [one for one in SIGNALS if signal.getsignal(one) == signal.SIG_IGN]
    for one in ignored:
        signal.signal(one, signal.SIG_DFL)
    try:
        yield
    finally:
        for one in ignored:
            signal.signal(one, signal.SIG_IGN)


def _stop(
    found: Findings, folder: Path, number: signal.Signals, chance: random.Random, trial: int
) -> None:
    name = list(STOPPED)[trial % len(STOPPED)]
    line, most = STOPPED[name]
    process = subprocess.Popen(
        [*LACAL, *line], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    moment = chance.uniform(0, most)
    while _used(process.pid) < moment and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(number)
    took, err = _ended(process)
    where = f"{name} stopped by {number.name} after {moment:.2f} s, trial {trial}"
    found.count("stops")
    if process.returncode == 0:
        return  # it was done before
    if process.returncode in (-number, 1) and "/lacal/" not in err:
        return  # Python itself was still starting
    found.count("at work")
    found.figures["longest, s"] = max(float(found.figures["longest, s"]), took)
    if process.returncode != 128 + number and process.returncode != -number:
        found.faults.append(f"{where}: ended with {process.returncode}; {err[-500:]}")
    if took > PROMISED:
        found.faults.append(f"{where}: took {took:.1f} s")
    if "Traceback" in err or "Error" in err:
        found.faults.append(f"{where}: said {err[-500:]}")
    if left := [str(one) for one in folder.rglob("*.lacal-tmp")]:
        found.faults.append(f"{where}: left {left}")
    if name in RESUMES and any(folder.glob(RESUMES[name])):
        found.count("with something kept")
        if "--resume" not in err:
            found.faults.append(f"{where}: did not say how to go on; {err[-500:]}")


def _ended(process: subprocess.Popen[str]) -> tuple[float, str]:
    """Seconds until it ended, without those that it waited for a processor; and what it said."""
    began, waited, before = time.monotonic(), 0.0, _waited(process.pid)
    while process.poll() is None:
        waited = max(waited, _waited(process.pid) - before)
        time.sleep(0.005)
    took = time.monotonic() - began
    return took - waited, process.communicate()[1]


def _waited(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):  # it has ended, or the kernel does not say
        return 0.0


def _used(pid: int) -> float:
    """Processor seconds of a process and its children."""
    listing = Path(f"/proc/{pid}/task/{pid}/children")
    try:
        pids = [pid, *map(int, listing.read_text().split())]
        stats = [Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split() for one in pids]
    except OSError:  # one of them has ended
        return 0.0
    return sum(int(one[11]) + int(one[12]) for one in stats) / TICK
