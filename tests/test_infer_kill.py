"""A killed `lacal infer`, resumed, ends with the bytes of a run that was left alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

KILLS = int(os.environ.get("LACAL_KILLS", "20"))


def test_killed_runs_resume_to_the_same_bytes(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.infer_source", str(tmp_path), str(KILLS)],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["equal"] == KILLS, found
    assert found["inside"] >= 0.7 * found["kills"], found  # or the test tests nothing
    assert found["kept"] >= 0.5 * found["kills"], found  # parts were there to go on with
    assert found["left"] == 0, found
