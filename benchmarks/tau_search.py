"""`lacal tune-tau`, whole process, against reading the file, a NumPy grid loop, and the scikit-learn loop.

Usage: python benchmarks/tau_search.py [--size inaturalist] [--rounds 5] [--folder DIR] [--large]

Logits are generated at the size of iNaturalist 2018's validation set (24,426 x 8,142 float32, 0.8 GB) and of
ImageNet-LT's test set (50,000 x 1,000), with a long-tailed prior in them. Compared are

  floor    Python that maps the file and sums it
  loop     NumPy: 81 grid points, argmax of blocks in one reused buffer
  sklearn  the loop a user would write: argmax of the whole array, balanced_accuracy_score; a few of the 81
           points are timed and the rest extrapolated

Private memory (RssAnon) is sampled every 10 ms. `--large` adds 3.2 GB as .npy and Parquet, for memory.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SIZES = {"inaturalist": (3, 8142, 2, 1000), "imagenet-lt": (50, 1000, 5, 1280)}
BLOCK = 1024

FLOOR = "import sys, numpy as np; print(np.load(sys.argv[1], mmap_mode='r').sum())"

LOOP = """
import json, sys, numpy as np
logits, labels = np.load(sys.argv[1], mmap_mode='r'), np.load(sys.argv[2])
counts = np.loadtxt(sys.argv[3], delimiter=',', skiprows=1)[:, 1]
log_prior = np.log(counts / counts.sum()).astype(np.float32)
support = np.bincount(labels, minlength=counts.size)
taus = np.linspace(0, 4, 81, dtype=np.float32)
right = np.zeros((taus.size, counts.size))
buffer = np.empty((64, counts.size), np.float32)
for start in range(0, labels.size, 64):
    block, y = logits[start:start + 64], labels[start:start + 64]
    out = buffer[:y.size]
    for t, tau in enumerate(taus):
        np.subtract(block, tau * log_prior, out=out)
        right[t] += np.bincount(y[out.argmax(axis=1) == y], minlength=counts.size)
errors = 1 - (right / support).mean(axis=1)
print(json.dumps(float(errors.min())))
"""

SKLEARN = """
import sys, time, json, numpy as np
from sklearn.metrics import balanced_accuracy_score
start = time.perf_counter()
logits, labels = np.load(sys.argv[1]), np.load(sys.argv[2])
counts = np.loadtxt(sys.argv[3], delimiter=',', skiprows=1)[:, 1]
log_prior = np.log(counts / counts.sum())
loaded = time.perf_counter()
points = int(sys.argv[4])
for tau in np.linspace(0, 4, 81)[20:20 + points]:
    balanced_accuracy_score(labels, (logits - tau * log_prior).argmax(axis=1))
each = (time.perf_counter() - loaded) / points
print(json.dumps(loaded - start + 81 * each))
"""


def generate(folder: Path, size: str, repeats: int = 1) -> tuple[Path, Path, Path]:
    """Logits, labels and counts: noise + log prior + a lead for the label."""
    per_class, k, least, most = SIZES[size]
    rng = np.random.default_rng(0)
    counts = np.round(most * (least / most) ** (np.arange(k) / (k - 1))).astype(np.int64)
    rng.shuffle(counts)
    log_prior = np.log(counts / counts.sum()).astype(np.float32)
    labels = np.repeat(np.arange(k), per_class * repeats)
    rng.shuffle(labels)
    path = folder / f"{size}-{repeats}.npy"
    logits = np.lib.format.open_memmap(path, "w+", np.float32, (labels.size, k))
    for start in range(0, labels.size, BLOCK):
        y = labels[start : start + BLOCK]
        block = 2 * rng.standard_normal((y.size, k), np.float32) + log_prior
        block[np.arange(y.size), y] += rng.normal(9, 2.5, y.size).astype(np.float32)
        logits[start : start + BLOCK] = block
    logits.flush()
    del logits
    np.save(folder / f"{size}-{repeats}-labels.npy", labels)
    table = "class,count\n" + "".join(f"{j},{count}\n" for j, count in enumerate(counts))
    (folder / f"{size}-counts.csv").write_text(table, encoding="utf-8")
    return path, folder / f"{size}-{repeats}-labels.npy", folder / f"{size}-counts.csv"


def run(command: list[str]) -> tuple[float, float, str]:
    """Seconds, peak private memory in MB, and stdout of a fresh process."""
    with tempfile.TemporaryFile() as out:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL)
        peak = 0.0
        while process.poll() is None:
            peak = max(peak, private_memory(process.pid))
            time.sleep(0.01)
        seconds = time.perf_counter() - start
        if process.returncode:
            raise SystemExit(f"{command[:4]} ended with {process.returncode}")
        out.seek(0)
        return seconds, peak, out.read().decode()


def private_memory(pid: int) -> float:
    """RssAnon of a process in MB; 0 where it is gone or not Linux."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return 0.0
    found = [line.split()[1] for line in status.splitlines() if line.startswith("RssAnon")]
    return int(found[0]) / 1024 if found else 0.0


def tune(logits: Path, labels: Path, counts: Path) -> list[str]:
    """The command that is measured."""
    given = ["--labels", str(labels), "--counts", str(counts), "--draws", "1000", "--json"]
    return [sys.executable, "-m", "lacal", "tune-tau", str(logits), *given]


def compare(folder: Path, size: str, rounds: int, points: int) -> None:
    """Print times and ratios of one size."""
    files = [str(one) for one in generate(folder, size)]
    python = [sys.executable, "-c"]
    ours, floor = tune(*map(Path, files)), [*python, FLOOR, files[0]]
    run(floor)  # the file is in the page cache from here on
    pairs = [(run(ours), run(floor)) for _ in range(rounds)]
    seconds = statistics.median(one[0] for one, _ in pairs)
    bare = statistics.median(one[0] for _, one in pairs)
    ratios = sorted(one[0] / other[0] for one, other in pairs)
    found = json.loads(pairs[0][0][2])
    print(f"\n{size}: {Path(files[0]).stat().st_size / 1e9:.1f} GB")
    print(f"  tune-tau {seconds:6.2f} s, RssAnon {max(one[1] for one, _ in pairs):.0f} MB")
    print(f"  floor    {bare:6.2f} s   tune-tau / floor = {statistics.median(ratios):.2f} ", end="")
    print(f"(from {ratios[0]:.2f} to {ratios[-1]:.2f} in {rounds} pairs)")
    loop, _, error = run([*python, LOOP, *files])
    print(f"  loop     {loop:6.2f} s   loop / tune-tau = {loop / seconds:.1f}")
    _, _, extrapolated = run([*python, SKLEARN, *files, str(points)])
    theirs = float(json.loads(extrapolated))
    print(f"  sklearn  {theirs:6.0f} s   sklearn / tune-tau = {theirs / seconds:.0f} ", end="")
    print(f"(extrapolated from {points} of 81 points)")
    best = found["optimum"]["balanced_error"]
    print(f"  balanced error: exact optimum {best:.6f}, best of the loop {json.loads(error):.6f}")


def memory(folder: Path) -> None:
    """Peak private memory at 3.2 GB, .npy and Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    logits, labels, counts = generate(folder, "inaturalist", 4)
    mapped, numbers = np.load(logits, mmap_mode="r"), np.load(labels)
    parquet = folder / "large.parquet"
    schema = pa.schema({"logits": pa.list_(pa.float32(), mapped.shape[1]), "label": pa.int64()})
    with pq.ParquetWriter(parquet, schema, compression="none") as writer:
        for start in range(0, numbers.size, BLOCK * 4):
            block = mapped[start : start + BLOCK * 4]
            column = pa.FixedSizeListArray.from_arrays(pa.array(block.ravel()), block.shape[1])
            part = pa.table([column, numbers[start : start + BLOCK * 4]], schema=schema)
            writer.write_table(part)
    for path, extra in ((logits, True), (parquet, False)):
        command = tune(path, labels, counts)
        if not extra:
            command = [one for one in command if one not in ("--labels", str(labels))]
        seconds, peak, _ = run(command)
        size = path.stat().st_size / 1e9
        print(f"  {path.suffix[1:]:8} {size:.1f} GB: {seconds:.1f} s, RssAnon {peak:.0f} MB")


def main() -> None:
    """Every size, then memory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, action="append")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sklearn-points", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--large", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        for size in given.size or SIZES:
            compare(Path(folder), size, given.rounds, given.sklearn_points)
        if given.large:
            print("\nprivate memory")
            memory(Path(folder))


if __name__ == "__main__":
    main()
