"""Which kind of model a file is, told by what it holds; needs no runtime.

ONNX has no magic number: its fields are walked as protobuf's wire format lays them out. TorchScript and
exported programs (.pt2) are zip files told apart by their members.
"""

import os
import zipfile
from pathlib import Path
from typing import BinaryIO

from lacal.errors import DataError
from lacal.formats.shown import place
from lacal.formats.sniff import first_bytes, refuse_foreign
from lacal.formats.zipped import zip_errors
from lacal.models.model import ModelKind

# Top-level fields of ModelProto, and the wire types they come in: 0 a varint, 2 a length and bytes.
ONNX_FIELDS = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}
ONNX_GRAPH = 7
PT2_MARKS = {"archive_format", "archive_version", "serialized_exported_program.json"}


def model_kind(path: Path) -> ModelKind | None:
    """The kind of model a file is; None where it is something else.

    Raises:
        DataError: The file is missing, unreadable or empty, or a known mistake such as a git-lfs pointer.
    """
    head = first_bytes(path)
    refuse_foreign(path, head)
    if head.startswith(b"PK\x03\x04"):
        with zip_errors(path), zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        inner = {name.partition("/")[2] or name for name in names}  # torch puts a folder around all
        if inner & PT2_MARKS:
            return "exported"
        return "torchscript" if "constants.pkl" in inner else None
    if head[0] in (0x08, 0x12, 0x3A) and _is_onnx(path):
        return "onnx"
    return None


def require_model(path: Path) -> ModelKind:
    """The kind of model a file is; an error that says what it is instead."""
    kind = model_kind(path)
    if kind is None and zipfile.is_zipfile(path):
        raise DataError(
            f"{place(path)}: holds tensors or a pickled module, which is no program to run; save the model with "
            "torch.export.save, or export it to ONNX"
        )
    if kind is None:
        raise DataError(
            f"{place(path)}: is no model that lacal runs; expected ONNX, an exported program (.pt2) or "
            "TorchScript, whole and not cut off"
        )
    return kind


def _is_onnx(path: Path) -> bool:
    size = path.stat().st_size
    with path.open("rb") as file:
        seen = set()
        while file.tell() < size:
            key = _varint(file)
            if key is None or ONNX_FIELDS.get(key >> 3) != key & 7:
                return False
            value = _varint(file)
            if value is None:
                return False
            if key & 7 == 2 and (value > size or file.seek(value, os.SEEK_CUR) > size):
                return False
            seen.add(key >> 3)
    return ONNX_GRAPH in seen


def _varint(file: BinaryIO) -> int | None:
    value = 0
    for shift in range(0, 64, 7):
        byte = file.read(1)
        if not byte:
            return None
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    return None
