"""What is inside a model file of torch, told from its zip alone: torch is not imported.

Torch runs code while it loads: TorchScript is a program, and an exported program (.pt2) may carry pickles,
compiled libraries and texts that are evaluated. A .pt2 of tensors and graph alone needs no trust: it is
checked member by member and handed to torch as a new archive of only what was checked.
"""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

from lacal.errors import DataError, UsageError
from lacal.formats.fields import names_from_json
from lacal.formats.shown import place, printable, reason
from lacal.formats.zipped import members_of, only_compressed, zip_errors
from lacal.models.torch.exported_graph import NotPlain, plain_json
from lacal.trained import TrainingRecord, record_from_text

CALIBRATION = "extra/lacal_calibration.json"
TRAINING = "extra/lacal_training.json"
CLASS_NAMES = "extra/class_names.json"
SAMPLE_INPUTS = "data/sample_inputs/model.pt"
GRAPH = "models/model.json"
JSON_MEMBERS = {
    GRAPH,
    "data/weights/model_weights_config.json",
    "data/constants/model_constants_config.json",
}
PLAIN_MEMBERS = re.compile(
    r"data/weights/(?:weight_[0-9]+|model_weights_config\.json)"
    r"|data/constants/(?:tensor_[0-9]+|model_constants_config\.json)"
    r"|data/sample_inputs/model\.pt|models/model\.json"
    r"|extra/(?:lacal_calibration|lacal_training|class_names)\.json"
    r"|archive_format|archive_version|version|byteorder"
    r"|\.data/(?:version|serialization_id)|\.format_version|\.storage_alignment"
)
EXTRA_LIMIT = 64 << 20  # bytes of a calibration, a training record, or of class names
CUDA_IN_CODE = re.compile(rb'torch\.device\("(cuda(?::[0-9]+)?)"')
CUDA_IN_GRAPH = re.compile(rb'"type":\s*"(cuda)"')


def check_exported(path: Path, trust: bool) -> None:
    """Look into a .pt2 before it is loaded.

    Args:
        path: The file.
        trust: Whether it may hold more than tensors and a graph.

    Raises:
        DataError: It is damaged.
        UsageError: It holds something that can run code; names it.
    """
    _check_whole(path)
    if not trust:
        for _ in _plain_members(path):
            pass


def check_torchscript(path: Path, trust: bool) -> None:
    """Look into a TorchScript file before it is loaded.

    Raises:
        DataError: It is damaged.
        UsageError: It is not trusted; TorchScript is code, and there is no safe way to load it.
    """
    _check_whole(path)
    if not trust:
        raise UsageError(
            f"{place(path)}: is TorchScript, a program that runs when it is loaded; give --trust-model "
            "if you know where it comes from, or save the model as ONNX or with torch.export (.pt2), "
            "which need no trust"
        )


def without_sample_inputs(path: Path, trust: bool = False) -> io.BytesIO:
    """A .pt2 as torch may load it: what was checked, and empty sample inputs, which are a pickle.

    Args:
        path: The file.
        trust: Whether it may hold more than tensors and a graph; such a file is copied as it is.

    Raises:
        DataError: It is damaged.
        UsageError: It holds more than tensors and a graph, and is not trusted.
    """
    try:
        members = [(f"archive/{name}", content) for name, content in _plain_members(path)]
    except UsageError:
        if not trust:
            raise
        return io.BytesIO(path.read_bytes())
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    buffer.seek(0)
    return buffer


def traced_device(path: Path) -> str | None:
    """The CUDA device that a model's own code or graph names ("cuda:0"); None where it names none."""
    with zip_errors(path), zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            name = _inner(member.filename)
            if name.startswith("code/") and name.endswith(".py"):
                found = CUDA_IN_CODE.search(archive.read(member))
            elif name in JSON_MEMBERS:
                found = CUDA_IN_GRAPH.search(archive.read(member))
            else:
                continue
            if found:
                return found[1].decode()
    return None


def archive_note(path: Path) -> str | None:
    """The calibration (JSON text) of a model that lacal has adjusted; None for any other.

    Raises:
        DataError: The file or the note is damaged.
    """
    content = _extra(path, CALIBRATION)
    if content is None:
        return None
    try:
        text = content.decode()
        json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{place(path)}: its calibration ({CALIBRATION}) is damaged ({reason(error)}); "
            "export the model again"
        ) from error
    return text


def archive_class_names(path: Path) -> tuple[str, ...] | None:
    """The class names in `extra/class_names.json`, a JSON list of strings, where there is one.

    Raises:
        DataError: The file is damaged, or the entry is something else.
    """
    return names_from_json(path, _extra(path, CLASS_NAMES))


def archive_training(path: Path) -> TrainingRecord | None:
    """How the model was trained, where lacal trained it.

    Raises:
        DataError: The file or the record is damaged.
    """
    return record_from_text(_extra(path, TRAINING), place(path))


def _extra(path: Path, wanted: str) -> bytes | None:
    with zip_errors(path), zipfile.ZipFile(path) as archive:
        for member in members_of(path, archive):
            if _inner(member.filename) != wanted:
                continue
            if member.file_size > EXTRA_LIMIT:
                raise DataError(
                    f"{place(path)}: '{wanted}' has {member.file_size:,} bytes; expected at most "
                    f"{EXTRA_LIMIT:,}; remove it from the file"
                )
            return archive.read(member)
    return None


def _check_whole(path: Path) -> None:
    with zip_errors(path), zipfile.ZipFile(path) as archive:
        packings = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]
        advice = "torch packs in no such way; save the model again"
        only_compressed(path, members_of(path, archive), packings, advice)
        spoilt = archive.testzip()
    if spoilt is not None:
        raise DataError(
            f"{place(path)}: member '{printable(spoilt)}' is damaged; copy or save the file again"
        )


def _plain_members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Each member by its name under the archive's own folder, and what may be loaded of it."""
    with zip_errors(path), zipfile.ZipFile(path) as archive:
        members = members_of(path, archive)
        root = members[0].filename.partition("/")[0] if members else ""
        for member in members:
            folder, _, name = member.filename.partition("/")
            if folder != root or not PLAIN_MEMBERS.fullmatch(name):
                raise _untrusted(path, f"'{member.filename}'{_called(member.filename)}")
        advice = "torch never compresses a .pt2; save it again"
        only_compressed(path, members, [zipfile.ZIP_STORED], advice)
        for member in members:
            name = _inner(member.filename)
            if name == SAMPLE_INPUTS:
                yield name, b""
            elif name in JSON_MEMBERS:
                yield name, _plain(path, name, archive.read(member))
            else:
                yield name, archive.read(member)


def _plain(path: Path, name: str, content: bytes) -> bytes:
    try:
        return plain_json(content)
    except NotPlain as found:
        raise _untrusted(path, f"{found} in '{name}'") from found
    except ValueError as error:
        raise DataError(
            f"{place(path)}: '{name}' cannot be read ({reason(error)}); the file is damaged, save it again"
        ) from error


def _untrusted(path: Path, what: str) -> UsageError:
    return UsageError(
        f"{place(path)}: holds {printable(what, 200)}; expected tensors and a graph alone, since more can "
        "run code when it is loaded; give --trust-model if you know where the file comes from, or save "
        "the model again with torch.export.save"
    )


def _called(name: str) -> str:
    """What a foreign member is, where that is known."""
    for mark, what in {
        "aotinductor": ", compiled code",
        "opaque_obj": ", a pickle",
        "custom_obj": ", a custom object",
        "serialized_": ", the layout of torch before 2.8, which is made of pickles",
        "extra/": ", an extra file",
    }.items():
        if mark in name:
            return what
    return ""


def _inner(name: str) -> str:
    return name.partition("/")[2]
