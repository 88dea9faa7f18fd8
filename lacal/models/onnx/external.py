"""Weights kept in files beside an ONNX model: where they may lie, and that all their bytes are there.

A model file is a stranger's text: a location such as `../../.ssh/id_rsa` would be read as weights. So only
regular files inside the model's own folder are opened. A model in a cache of symlinks (Hugging Face: model
and data are links into one folder) has two such folders: that of the link and that of the file it leads to.
"""

import math
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

from lacal.errors import DataError, RunError
from lacal.formats.shown import place, printable, reason

EXTERNAL = 1  # TensorProto.EXTERNAL
NAMED_BITS = {
    "FLOAT": 32,
    "DOUBLE": 64,
    "BOOL": 8,
}  # all other types carry their bits in their name


@dataclass(frozen=True, slots=True)
class External:
    """Where the bytes of one tensor lie.

    Attributes:
        tensor: The TensorProto.
        location: File name, as the model spells it.
        file: The same, resolved and checked.
        offset: First byte.
        size: Bytes that type and shape need.
    """

    tensor: Any
    location: str
    file: Path
    offset: int
    size: int


def check_external(path: Path, tensors: Iterable[Any]) -> list[External]:
    """The tensors of a model that are kept outside it, each checked; nothing is read.

    Raises:
        DataError: One points outside the model's folder, or its file is missing, no plain file or short.
    """
    return [_checked(path, tensor) for tensor in tensors if tensor.data_location == EXTERNAL]


def load_external(path: Path, tensors: Iterable[Any]) -> None:
    """Move the bytes of all external tensors into the model.

    Raises:
        DataError: As `check_external`.
        RunError: A file cannot be read, or does not fit into memory.
    """
    for one in check_external(path, tensors):
        one.tensor.raw_data = _bytes(path, one.file, one.offset, one.size)
        one.tensor.data_location = 0
        del one.tensor.external_data[:]


def external_paths(path: Path, tensors: Iterable[Any]) -> list[Path]:
    """Every file of external data, resolved and checked as by `check_external`, in the order of their names."""
    return sorted({one.file for one in check_external(path, tensors)})


def external_files(path: Path, tensors: Iterable[Any]) -> dict[str, bytes]:
    """Location, as the model spells it, -> whole content, for every file of external data.

    Raises:
        DataError: As `check_external`.
        RunError: A file cannot be read, or does not fit into memory.
    """
    files = {one.location: one.file for one in check_external(path, tensors)}
    return {location: _bytes(path, file, 0, -1) for location, file in files.items()}


def _checked(path: Path, tensor: Any) -> External:
    where = f"{place(path)}: external data of tensor '{_text(tensor.name)}'"
    said = {entry.key: entry.value for entry in tensor.external_data}
    location = said.get("location")
    if not isinstance(location, str) or not location:
        raise DataError(f"{where} name no file; export the model again")
    file = _file(path, where, location)
    offset, length = (_natural(where, key, said.get(key)) for key in ("offset", "length"))
    size = _size(where, tensor)
    if length is not None and length != size:
        raise DataError(
            f"{where} claim {length:,} bytes; got a tensor {_shape(tensor)} that needs {size:,}; "
            "the model is damaged, export it again"
        )
    held = file.stat().st_size
    if (offset or 0) + size > held:
        raise DataError(
            f"{where} are cut off: '{_text(location)}' has {held:,} bytes, expected {size:,} "
            f"from byte {offset or 0:,} on; copy or download the file again"
        )
    return External(tensor, location, file, offset or 0, size)


def _file(path: Path, where: str, location: str) -> Path:
    shown = f"'{_text(location)}'"
    parts = re.split(r"[/\\]", location)
    if not parts[0] or ".." in parts or PureWindowsPath(location).drive or "\0" in location:
        raise DataError(
            f"{where} lie in {shown}; expected a file name inside the model's own folder; "
            "export the model again"
        )
    named = path.parent / location
    folders = {path.parent.resolve(), path.resolve().parent}
    try:
        file = named.resolve(strict=True)
        status = file.stat()
    except (OSError, RuntimeError) as error:  # RuntimeError: links that go round in a circle
        raise DataError(
            f"{where} are missing: there is no readable file {shown} beside the model; "
            "copy it there, both files belong together"
        ) from error
    if not any(file.is_relative_to(folder) for folder in folders):
        raise DataError(
            f"{where} lie in {shown}, a link that leads out of the model's folder; "
            "copy the file itself beside the model"
        )
    if not stat.S_ISREG(status.st_mode):
        raise DataError(f"{where} lie in {shown}, which is no regular file; copy the data into one")
    if status.st_nlink != 1:
        raise DataError(
            f"{where} lie in {shown}, to which {status.st_nlink} hard links lead, so it may be another's "
            "file; copy it beside the model"
        )
    return file


def _natural(where: str, key: str, text: object) -> int | None:
    if text is None or text == "":
        return None
    if not isinstance(text, str) or not re.fullmatch(r"[0-9]{1,19}", text):
        raise DataError(
            f"{where} have {key} '{_text(text)}', expected a number of bytes; the model is damaged, "
            "export it again"
        )
    return int(text)


def _size(where: str, tensor: Any) -> int:
    try:
        kind = tensor.DataType.Name(tensor.data_type)
    except ValueError:
        kind = ""
    digits = re.search(r"\d+", kind)
    bits = NAMED_BITS.get(kind) or (int(digits[0]) if digits else 0)
    if not bits or any(side < 0 for side in tensor.dims):
        raise DataError(
            f"{where} are {_shape(tensor)}, which no bytes can be; the model is damaged, export it again"
        )
    return (math.prod(int(side) for side in tensor.dims) * bits + 7) // 8


def _shape(tensor: Any) -> str:
    kind = tensor.data_type
    name = (
        tensor.DataType.Name(kind).lower() if kind in tensor.DataType.values() else f"type {kind}"
    )
    return f"{name} {tuple(tensor.dims)}"


def _bytes(path: Path, file: Path, offset: int, size: int) -> bytes:
    try:
        with file.open("rb") as opened:
            opened.seek(offset)
            content = opened.read(size)
    except MemoryError as error:
        raise RunError(f"{place(path)}: its external data do not fit into memory") from error
    except OSError as error:
        raise RunError(
            f"{place(path)}: external data could not be read: {reason(error)}"
        ) from error
    if len(content) < size:
        raise RunError(f"{place(path)}: external data were shortened while they were read")
    return content


def _text(value: object) -> str:
    return printable(value if isinstance(value, str) else repr(value), 60)
