"""How Arrow opens a file: by the bytes of its path, which need not be text."""

import os
from pathlib import Path
from typing import Any

import pyarrow as pa


def arrow_file(path: Path) -> Any:
    """The file for reading, as pyarrow's readers take it; a context. Of a path as text pyarrow takes UTF-8 alone."""
    return pa.OSFile(os.fsencode(path))
