"""Start-up: numpy files are read without the heavy libraries."""

import subprocess
import sys
from pathlib import Path

import numpy as np

PROGRAM = """
import sys
from pathlib import Path
from lacal.formats import open_table
open_table(Path(sys.argv[1])).read("")
open_table(Path(sys.argv[2])).read("x")
print([name for name in ("torch", "pyarrow", "safetensors") if name in sys.modules])
"""


def test_numpy_files_load_nothing_heavy(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(3))
    np.savez(tmp_path / "b.npz", x=np.zeros(3))
    arguments = [sys.executable, "-c", PROGRAM, str(tmp_path / "a.npy"), str(tmp_path / "b.npz")]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
