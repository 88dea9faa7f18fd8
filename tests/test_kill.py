"""A killed `lacal adjust` never leaves a broken file under the final name."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

KILLS = int(os.environ.get("LACAL_KILLS", "100"))


def test_kills_inside_the_write_leave_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    rows, classes = 25_000, 40
    logits = np.random.default_rng(0).standard_normal((rows, classes), np.float32)
    np.save(tmp_path / "logits.npy", logits)
    counts = "class,count\n" + "".join(f"{j},{1000 - 20 * j}\n" for j in range(classes))
    (tmp_path / "counts.csv").write_text(counts, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "tests.killing", str(tmp_path), str(KILLS)],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["broken"] == 0, found
    assert found["inside"] >= 0.7 * KILLS, found  # or the test tests nothing
    assert found["old"] + found["new"] == KILLS, found
    assert found["left"] == 0, found  # the next run swept what the dead ones left
