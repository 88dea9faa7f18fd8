"""Several writers of one output at once: one file or another is there, always whole, and who lost says so.

Every writer is a child forked from a process that has read its libraries, and writes other numbers than the rest.
They start together; a reader looks at the output all the while.
"""

import json
import os
import random
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from tests.soak.findings import Findings
from tests.soak.writing_jobs import (
    SMALL,
    content,
    emptied,
    ended,
    leftovers,
    workbench,
)

MOST = 8
# Name -> arguments and output; N stands for the writer's number.
LINES = {
    "adjust": ("adjust IN/test.npz --counts IN/counts.csv --tau N -o OUT/p.parquet", "p.parquet"),
    "tune-tau": ("tune-tau IN/N.npz --counts IN/counts.csv --draws 10 -o OUT/c.json", "c.json"),
    "infer": (f"infer IN/m.onnx IN/N_x.npz {SMALL} -o OUT/l.parquet", "l.parquet"),
    "infer a folder": (f"infer IN/m.onnx IN/N_x.npz {SMALL} -o OUT/l", "l"),
}
KINDS = [(name, more) for name in LINES for more in ("", " --force")]
IN_USE, TAKEN = "is writing it already", "already; add --force"


def soak(rounds: int, seed: int, until: float) -> Findings:
    """In a round two or eight writers meet; half of the rounds replace what is there."""
    seconds = max(1.0, until - time.monotonic())
    done = subprocess.run(
        [sys.executable, "-m", __name__, str(rounds), str(seed), str(min(seconds, 1e9))],
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    found = json.loads(done.stdout)
    return Findings(found["rounds"], found["figures"], found["faults"])


def main(rounds: int, seed: int, seconds: float) -> Findings:
    """All rounds, in a process that may fork."""
    found, until = Findings(), time.monotonic() + seconds
    found.figures |= {"torn reads": 0, "reads": 0}
    with workbench() as folder:
        given, out = folder / "in", folder / "out"
        _write_inputs(given)
        whole = {
            name: [_alone(name, number, given, emptied(out)) for number in range(MOST)]
            for name in LINES
        }
        for number in range(rounds):
            if time.monotonic() > until:
                break
            _meet(number, random.Random(f"{seed} {number}"), given, emptied(out), whole, found)
            found.rounds += 1
    return found


def _write_inputs(given: Path) -> None:
    """Inputs of other numbers for each writer."""
    import numpy as np

    chance = np.random.default_rng(1)
    labels = np.arange(60) % 5
    for number in range(MOST):
        values = chance.normal(size=(60, 5)).astype(np.float32)
        np.savez(given / f"{number}.npz", logits=values, labels=labels)
        np.savez(given / f"{number}_x.npz", x=values[:, :4], labels=labels)


def _line(name: str, number: int) -> str:
    line = LINES[name][0].replace("IN/N", f"IN/{number}")
    return line.replace("--tau N", f"--tau {1 + number / 4}")


def _alone(name: str, number: int, given: Path, out: Path) -> dict[str, bytes]:
    done = ended(_line(name, number), given, out)
    assert done.code == 0, done
    return content(out)


def _meet(
    number: int,
    chance: random.Random,
    given: Path,
    out: Path,
    whole: dict[str, list[dict[str, bytes]]],
    found: Findings,
) -> None:
    """Let some writers loose on one output, and look at what is there until all have ended."""
    name, more = KINDS[number % len(KINDS)]
    writers = (2, MOST)[number // len(KINDS) % 2]
    if more:
        _alone(name, MOST - 1, given, out)
    start, release = os.pipe()
    said = [out.parent / f"said {one}" for one in range(writers)]
    delays = [chance.random() * chance.choice((0, 0.002, 0.03)) for _ in range(writers)]
    children = []
    for one in range(writers):
        child = os.fork()
        if not child:
            os.close(release)
            _write(_line(name, one) + more, given, out, said[one], start, delays[one])
        children.append(child)
    os.close(start)
    os.close(release)
    codes, torn = _watched(children, out, LINES[name][1], whole[name], found)
    left, texts = content(out), [one.read_text() for one in said]
    wrong = [f"{torn} torn reads"] if torn else []
    if left not in whole[name]:
        wrong.append(f"left no writer's output, but {sorted(left)}, temporaries {leftovers(left)}")
    if [one for one in out.iterdir() if one.name != LINES[name][1]]:
        wrong.append(f"left {sorted(one.name for one in out.iterdir())}")
    if codes.count(0) != 1 if not more else not codes.count(0):
        wrong.append(f"ended with {codes}")
    for code, text in zip(codes, texts, strict=True):
        reasons = {0: [""], 2: [TAKEN][: not more], 3: [IN_USE, TAKEN][: 1 + (not more)]}
        if not any(one in text for one in reasons.get(code, ())):
            wrong.append(f"ended with {code} and said: {text}")
        found.count(f"ended with {code}")
    found.faults += [f"round {number}, {writers} writers, {name}{more}: {one}" for one in wrong]


def _write(line: str, given: Path, out: Path, said: Path, start: int, delay: float) -> None:
    """In a child: wait for the start, write, end with the code."""
    code = 99
    try:
        os.read(start, 1)
        time.sleep(delay)
        done = ended(line, given, out)
        said.write_text(done.said)
        code = done.code
    finally:
        os._exit(code)


def _watched(
    children: list[int], out: Path, name: str, whole: list[dict[str, bytes]], found: Findings
) -> tuple[list[int], int]:
    """Exit codes, and how often what was read was nobody's output."""
    codes: dict[int, int] = {}
    torn = 0
    files = {file: {one[file] for one in whole} for file in whole[0]}
    while len(codes) < len(children):
        for file, contents in files.items():
            with suppress(FileNotFoundError, NotADirectoryError):
                torn += (out / file).read_bytes() not in contents
                found.count("reads")
        for child in children:
            if child not in codes:
                ended_child, status = os.waitpid(child, os.WNOHANG)
                if ended_child:
                    codes[child] = os.waitstatus_to_exitcode(status)
    found.count("torn reads", torn)
    return [codes[child] for child in children], torn


if __name__ == "__main__":
    met = main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
    print(json.dumps({"rounds": met.rounds, "figures": met.figures, "faults": met.faults}))
