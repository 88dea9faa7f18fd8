"""`lacal evaluate` against plain reading of the same file, its memory, and the coverage of its intervals.

    python benchmarks/evaluation.py [--rows 50000] [--classes 1000] [--rounds 5]
    python benchmarks/evaluation.py --memory
    python benchmarks/evaluation.py --coverage [--draws 2000]

The first table: seconds of the whole command in this process (reading, every measure, the JSON) over seconds
of reading the file with numpy or pyarrow alone; CPU seconds of all threads, which other work on the machine
does not lengthen, best of interleaved rounds, files in the page cache. The second: peak private memory at a
tenth of the rows and at all of them. The third: how often 95 % intervals hold the truth, beside value +-
1.96 standard errors, in simulated problems whose truth is known.
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
from numpy.typing import NDArray

from lacal.cli.main import run
from lacal.metrics import ClassTally, PairedTally

Counts = NDArray[np.int64]


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


def coverage(draws: int) -> None:
    """Balanced errors and paired gains of few rows a class, by simulation."""
    generator = np.random.default_rng(0)
    print("95 % intervals: covered, %, and by value +- 1.96 standard errors")
    print("classes  rows a class  error       balanced error   gain of changes 0.03 - 0.01")
    for classes in (2, 10, 100):
        for rows in (3, 10, 30):
            for error in (0.02, 0.2):
                support = np.full(classes, rows)
                found = [_balanced(support, error, generator) for _ in range(draws)]
                gains = [_gain(support, generator) for _ in range(draws)]
                ours, plain = 100 * np.mean(found, axis=0)
                gain, bare = 100 * np.mean(gains, axis=0)
                print(
                    f"{classes:7}  {rows:12}  {error:5}  {ours:12.1f} {plain:6.1f}   {gain:12.1f} {bare:6.1f}"
                )


def _balanced(support: Counts, error: float, generator: np.random.Generator) -> tuple[bool, bool]:
    tally = ClassTally.empty(support.size)
    tally.support, tally.errors = support, generator.binomial(support, error)
    one = tally.balanced()
    if one.value is None or one.low is None or one.high is None or one.standard_error is None:
        raise SystemExit("a problem without rows")
    return one.low <= error <= one.high, abs(one.value - error) <= 1.96 * one.standard_error


def _gain(support: Counts, generator: np.random.Generator) -> tuple[bool, bool]:
    mended = generator.binomial(support, 0.03)
    broken = generator.binomial(support - mended, 0.01 / 0.97)
    one = PairedTally(support, mended, broken).gain()
    if one is None:
        raise SystemExit("a problem without rows")
    return one.low <= 0.02 <= one.high, abs(one.value - 0.02) <= 1.96 * one.standard_error


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--classes", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--draws", type=int, default=2_000)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--coverage", action="store_true")
    asked = parser.parse_args()
    if asked.coverage:
        coverage(asked.draws)
        return
    with tempfile.TemporaryDirectory() as folder:
        if asked.memory:
            memory(Path(folder), asked.rows, asked.classes)
        else:
            speed(Path(folder), asked.rows, asked.classes, asked.rounds)


if __name__ == "__main__":
    main()
