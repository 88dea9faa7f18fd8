"""`lacal evaluate` against plain reading of the same file, and its memory.

    python benchmarks/evaluation.py [--rows 50000] [--classes 1000] [--rounds 5]
    python benchmarks/evaluation.py --memory

The first table: seconds of the whole command in this process (reading, every measure, the JSON) over seconds
of reading the file with numpy or pyarrow alone; CPU seconds of all threads, which other work on the machine
does not lengthen, best of interleaved rounds, files in the page cache. The second: peak private memory at a
tenth of the rows and at all of them.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from lacal.cli.main import run


def write_files(folder: Path, rows: int, classes: int) -> None:
    """logits.npz, predictions.parquet with all probabilities, and training counts."""
    generator = np.random.default_rng(0)
    labels = np.sort(generator.integers(0, classes, rows))
    logits = 2 * generator.standard_normal((rows, classes), dtype=np.float32)
    logits[np.arange(rows), labels] += 5
    np.savez(folder / "logits.npz", logits=logits, labels=labels)
    counts = np.maximum(1000 * 0.005 ** (np.arange(classes) / classes), 1).astype(int)
    lines = "".join(f"{j},{count}\n" for j, count in enumerate(counts))
    (folder / "counts.csv").write_text("class,count\n" + lines)
    name, given = str(folder / "logits.npz"), ["--counts", str(folder / "counts.csv")]
    calibration = str(folder / "calibration.json")
    quiet("tune-tau", name, *given, "--draws", "10", "-o", calibration)
    adjust = ("adjust", name, "--calibration", calibration, "--allow-tuned-rows", "--write-scores")
    quiet(*adjust, "probs", "-o", str(folder / "predictions.parquet"))


def quiet(*arguments: str) -> None:
    """A command of lacal in this process, without its output."""
    with (
        Path(os.devnull).open("w") as nothing,
        contextlib.redirect_stdout(nothing),
        contextlib.redirect_stderr(nothing),
    ):
        code = run(list(arguments))
    if code:
        raise SystemExit(f"lacal {' '.join(arguments)}: exit code {code}")


def read(path: Path) -> None:
    """The whole file, as anyone would."""
    if path.suffix == ".npz":
        with np.load(path) as file:
            for name in file.files:
                file[name]
    else:
        pq.read_table(path)


def best(rounds: int, *calls: Callable[[], None]) -> list[float]:
    """Least CPU time of each, rounds interleaved so that a slow moment hits all alike."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for call, seen in zip(calls, times, strict=True):
            began = time.process_time()
            call()
            seen.append(time.process_time() - began)
    return [min(seen) for seen in times]


def speed(folder: Path, rows: int, classes: int, rounds: int) -> None:
    """Evaluating against reading."""
    write_files(folder, rows, classes)
    counts = ["--counts", str(folder / "counts.csv")]
    calibrated = ["--calibration", str(folder / "calibration.json"), "--allow-tuned-rows"]
    print(f"{rows:,} x {classes:,}                           read, s  evaluate, s  ratio")
    for name, options in (
        ("predictions.parquet", counts),
        ("logits.npz", counts),
        ("logits.npz", calibrated),
    ):
        path = folder / name
        line = ["evaluate", str(path), *options, "--json"]
        plain, ours = best(rounds, lambda path=path: read(path), lambda line=line: quiet(*line))
        what = f"{name}{' --calibration' if options is calibrated else ''}"
        print(f"{what:38}  {plain:7.2f}  {ours:11.2f}  {ours / plain:5.2f}")


WATCHED = """
import sys, threading, time
from lacal.cli.main import run
peak = 0.0
def watch():
    global peak
    while True:
        lines = open('/proc/self/status').read().splitlines()
        peak = max(peak, int(next(l for l in lines if l.startswith('RssAnon')).split()[1]) / 1024)
        time.sleep(0.005)
threading.Thread(target=watch, daemon=True).start()
code = run(sys.argv[1:])
print(peak, file=sys.stderr)
sys.exit(code)
"""


def memory(folder: Path, rows: int, classes: int) -> None:
    """Largest private memory of `lacal evaluate`, each in a process of its own."""
    for share in (10, 1):
        inside = folder / str(share)
        inside.mkdir()
        write_files(inside, rows // share, classes)
        for name in ("predictions.parquet", "logits.npz"):
            line = ["evaluate", str(inside / name), "--counts", str(inside / "counts.csv")]
            watched = [sys.executable, "-c", WATCHED, *line]
            done = subprocess.run(watched, capture_output=True, check=True)
            peak = float(done.stderr.split()[-1])
            print(f"{rows // share:,} x {classes:,}  {name:20}  {peak:.0f} MB")


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--classes", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if asked.memory:
            memory(Path(folder), asked.rows, asked.classes)
        else:
            speed(Path(folder), asked.rows, asked.classes, asked.rounds)


if __name__ == "__main__":
    main()
