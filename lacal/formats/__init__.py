"""Readers of input files: logits, labels, ids, counts, whatever they were saved as.

`open_table` looks at a file's first bytes and returns a `Table`. Nothing heavy is imported before a
file calls for it: .npy and .npz need numpy alone.
"""

from pathlib import Path

from lacal.formats.sniff import is_folder, is_pattern, sniff
from lacal.formats.table import Field, MayBeEmpty, Noted, Table
from lacal.formats.text import read_text
from lacal.formats.unchanged import HeldTable, state_of, unchanged

__all__ = ["Field", "MayBeEmpty", "Noted", "Table", "open_table", "read_text"]


def open_table(path: Path) -> Table:
    """The file, folder of parts, or pattern of parts, opened by what it holds.

    Raises:
        DataError: It is missing, damaged, or of no format read here.
        MissingExtra: It is a .pt file and torch is not installed.
        RunError: It was changed meanwhile. Reading the table raises this too.
    """
    if is_folder(path) or is_pattern(path):
        from lacal.formats.parts import open_parts

        return open_parts(path)
    opened = state_of(path)
    with unchanged(path, opened):
        return HeldTable(_reader(path), opened)


def _reader(path: Path) -> Table:
    match sniff(path):
        case "npy":
            from lacal.formats.npy import open_npy

            return open_npy(path)
        case "npz":
            from lacal.formats.npz import open_npz

            return open_npz(path)
        case "safetensors":
            from lacal.formats.safetensors import open_safetensors

            return open_safetensors(path)
        case "torch":
            from lacal.formats.torch_tensors import open_torch

            return open_torch(path)
        case "csv":
            from lacal.formats.delimited import open_delimited

            return open_delimited(path)
        case "lines":
            from lacal.formats.lines import open_lines

            return open_lines(path)
        case layout:
            from lacal.formats.arrow import open_arrow

            return open_arrow(path, layout)
