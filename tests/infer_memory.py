"""What `infer` holds at most, in a process of its own: no other test's threads are counted with it."""

import json
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa

from lacal.pipeline import logits_file
from lacal.pipeline.infer import infer
from tests.infer_source import ArraySource, sample, small_limits

CLASSES, BATCH = 50, 500


def peak(target: Path, rows: int) -> int:
    """Bytes that NumPy and Python, and Arrow, hold at most while so many rows are stored."""
    some = sample(1_000, CLASSES).logits
    many = ArraySource(np.lib.stride_tricks.as_strided(some, (rows, CLASSES), (0, 4)))
    many.batch_size = BATCH
    usual = pa.default_memory_pool()
    pool = pa.proxy_memory_pool(usual)
    pa.set_memory_pool(pool)
    tracemalloc.start()
    try:
        infer(many, target, force=True)
        return tracemalloc.get_traced_memory()[1] + int(pool.max_memory())
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(usual)


def main(target: Path) -> None:
    """Print the peak of few rows, and of ten times as many."""
    small_limits(setattr, 2_000)
    logits_file.GROUP_ROWS = 1_000
    # The first imports, and Python's table of interned names, which grows by a megabyte at a time.
    peak(target, 100_000)
    print(json.dumps([peak(target, 10_000), peak(target, 100_000)]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
