"""20 GB of logits, 100,000 classes wide, through the commands that read logits: how much memory of their own they take.

The .npy file is sparse: but for its first rows it holds zeros that lie on no disk. The Parquet file is one row group of
20 GB when decoded; its values repeat, so that it is a fifth of that on disk. Both make ties of nearly everything,
which is the longest way through the search for tau.

Private memory (`RssAnon`), looked at ten times a second, stays below `LIMIT`: 300 MB and four batches. Reading as lacal does
(open, decode, validate, look at every number) takes at most `SLOWER` times as long as a plain read with the same
settings. The commands themselves are timed too, but not held to that: a plain read of such files costs no disk, and
they compute on every number that it only passes on.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lacal.batch import BATCH_ELEMENTS
from tests.soak.findings import Findings

CLASSES = 100_000
GIGABYTES = 20.0
KINDS = ("npy", "parquet")
COMMANDS = ("tune-tau", "adjust", "evaluate")
LIMIT = 300 + 4 * BATCH_ELEMENTS * 4 / 2**20  # MB
SLOWER = 1.5
ROOM = 1.5  # of the files' size must be free

PLAIN = {
    "npy": """
import sys
file, block = open(sys.argv[1], "rb", buffering=0), bytearray(1 << 24)
while file.readinto(block):
    pass
""",
    "parquet": """
import sys, pyarrow as pa, pyarrow.parquet as pq
file = pq.ParquetFile(pa.OSFile(sys.argv[1]), pre_buffer=False, buffer_size=1 << 20)
for batch in file.iter_batches(batch_size=int(sys.argv[2])):
    pass
""",
}
READ = """
import sys
from pathlib import Path
from lacal.rows.logits_source import SourceOptions, open_source
for batch in open_source(Path(sys.argv[1]), SourceOptions(scores="logits")).batches():
    pass
"""


def soak(rounds: int, seed: int, until: float) -> Findings:
    """Every command on every kind of file, as often as there are rounds."""
    found = Findings()
    for number in range(rounds):
        with tempfile.TemporaryDirectory(prefix="lacal-large-") as folder:
            if shutil.disk_usage(folder).free < ROOM * GIGABYTES * 1e9:
                found.faults.append(f"{folder}: there is no room for {GIGABYTES:g} GB")
                break
            for kind in KINDS:
                if time.monotonic() < until:
                    found.faults += faults_of(kind, Path(folder), GIGABYTES, seed + number, found)
        found.rounds += time.monotonic() < until
    return found


def faults_of(
    kind: str,
    folder: Path,
    gigabytes: float,
    seed: int,
    found: Findings,
    commands: tuple[str, ...] = COMMANDS,
    *,
    timed: bool = True,
) -> Iterator[str]:
    """What is missed with one kind of file; the file is gone afterwards."""
    logits = write(kind, folder, gigabytes, seed)
    try:
        if timed:
            yield from _of_reading(kind, logits, found)
        for command in commands:
            seconds, peak = watched(_command(command, kind, folder))
            found.figures[f"{command} {kind} MB"] = round(peak)
            found.figures[f"{command} {kind} s"] = seconds
            if peak > LIMIT:
                yield f"{command} of {kind} holds {peak:.0f} MB, expected at most {LIMIT:.0f}"
    finally:
        logits.unlink()


def _of_reading(kind: str, logits: Path, found: Findings) -> Iterator[str]:
    plain = [sys.executable, "-c", PLAIN[kind], str(logits), str(BATCH_ELEMENTS // CLASSES)]
    times = []
    for command in (plain, [sys.executable, "-c", READ, str(logits)]) * 2:
        seconds, _ = watched(command)
        times.append(seconds)
    ratio = min(times[1::2]) / min(times[::2])
    found.figures[f"plain read {kind} s"] = min(times[::2])
    found.figures[f"lacal's read {kind}, times that"] = ratio
    if ratio > SLOWER:
        yield f"reading {kind} takes {ratio:.2f} times as long as a plain read, expected {SLOWER}"


def write(kind: str, folder: Path, gigabytes: float, seed: int) -> Path:
    """Logits of so many decoded bytes, labels and counts beside them; their path."""
    generator, rows = np.random.default_rng(seed), int(gigabytes * 1e9 / 4 / CLASSES)
    block = generator.normal(size=64).astype("f4")[generator.integers(0, 64, (8, CLASSES))]
    labels = generator.integers(0, CLASSES, rows)
    np.save(folder / "labels.npy", labels)
    counts = (f"class-{one},{1 + 1000 // (1 + one)}\n" for one in range(CLASSES))
    (folder / "counts.csv").write_text("class,count\n" + "".join(counts))
    path = folder / f"logits.{kind}"
    if kind == "npy":
        with path.open("wb") as file:
            header = {"shape": (rows, CLASSES), "fortran_order": False, "descr": "<f4"}
            np.lib.format.write_array_header_1_0(file, header)
            start = file.tell()
            file.write(block.tobytes())
            file.truncate(start + rows * CLASSES * 4)
        return path
    # The same eight rows again and again: a table as large as the file would have to lie in memory.
    part = pa.FixedSizeListArray.from_arrays(pa.array(block.ravel()), CLASSES)
    chunks = [part.slice(0, min(8, rows - start)) for start in range(0, rows, 8)]
    table = pa.table({"logits": pa.chunked_array(chunks), "label": labels})
    pq.write_table(table, path, row_group_size=rows, compression="zstd")
    assert pq.ParquetFile(path).num_row_groups == 1
    return path


def _command(name: str, kind: str, folder: Path) -> list[str]:
    calibration, rows = (
        folder / "calibration.json",
        [f"{folder}/logits.{kind}", "--scores", "logits"],
    )
    if kind == "npy":
        rows += ["--labels", f"{folder}/labels.npy"]
    scored = [*rows, "--calibration", str(calibration), "--allow-tuned-rows", "--json"]
    given = {
        "tune-tau": [*rows, "--counts", f"{folder}/counts.csv", "-o", str(calibration), "--force"],
        "adjust": [*scored, "-o", f"{folder}/predictions.parquet", "--force"],
        "evaluate": scored,
    }
    return [sys.executable, "-m", "lacal", name, *given[name]]


def watched(command: list[str]) -> tuple[float, float]:
    """Seconds of a command that succeeds, and the most memory of its own in MB."""
    began, peak = time.monotonic(), 0.0
    with tempfile.TemporaryFile() as told:
        process = subprocess.Popen(command, stdout=told, stderr=told)
        while process.poll() is None:
            peak = max(peak, _private(process.pid))
            time.sleep(0.1)
        if process.returncode:
            told.seek(0)
            raise RuntimeError(
                f"{command[:4]} ended with {process.returncode}: {told.read()[-500:]!r}"
            )
    return time.monotonic() - began, peak


def _private(process: int) -> float:
    """`RssAnon` in MB; 0 where the process is gone."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    found = re.search(r"RssAnon:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else 0.0
