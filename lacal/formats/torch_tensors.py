"""`.pt`, `.pth`: tensors saved by torch, loaded with `weights_only` and nothing else.

The zip is looked into first: torch reserves what its directory claims. After loading, a tensor must not
reach beyond its storage, nor a storage beyond its record, before a value is touched.
"""

import pickle
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.errors import DataError, MissingExtra
from lacal.formats.fields import chosen, paired
from lacal.formats.raw import kind_of
from lacal.formats.shown import place, printable, reason
from lacal.formats.table import Field, Kind
from lacal.formats.zipped import members_of, only_compressed, zip_errors

DEPTH_LIMIT = 16  # of dicts in dicts; a pickle can hold a dict that holds itself
PACKED = "_x2"  # how torch calls a type of which two numbers share a byte
# What NumPy has by itself: another package may teach it integers of few bits, too.
WHOLE = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


@dataclass(frozen=True, slots=True)
class TorchTable:
    """A tensor (field "") or a dict of tensors (one field each, "a.b" where nested)."""

    path: Path
    fields: dict[str, Field]
    class_names: tuple[str, ...] | None
    _tensors: dict[str, Any]

    def read(self, name: str) -> NDArray[Any]:
        """The whole tensor."""
        chosen(self.path, self.fields, [name])
        return np.ascontiguousarray(_to_numpy(self._tensors[name]))

    def blocks(self, names: Sequence[str], rows: int) -> Iterator[tuple[NDArray[Any], ...]]:
        """Aligned slices of the tensors, which are in memory already."""
        wanted = chosen(self.path, self.fields, names)
        paired(self.path, wanted)
        for start in range(0, (wanted[0].shape[0] or 0) if wanted else 0, rows):
            parts = (self._tensors[name][start : start + rows] for name in names)
            yield tuple(np.ascontiguousarray(_to_numpy(part)) for part in parts)


def open_torch(path: Path) -> TorchTable:
    """Check the zip, load it onto the CPU, and describe every tensor."""
    with zip_errors(path), zipfile.ZipFile(path) as archive:
        members = members_of(path, archive)
        advice = "torch itself never compresses; save the tensors again"
        only_compressed(path, members, [zipfile.ZIP_STORED], advice)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's remarks on its own storages
        torch = _torch()
        leaves = dict(_leaves(path, _loaded(path, torch), torch, "", 0))
        records = {member.file_size for member in members}
        fields = {name: _field(path, name, leaf, records, torch) for name, leaf in leaves.items()}
    if all(field.kind == "other" and not field.shape for field in fields.values()):
        raise DataError(f"{place(path)}: holds no tensors; save a tensor or a dict of tensors")
    return TorchTable(path, fields, _class_names(leaves), leaves)


def _torch() -> ModuleType:
    try:
        import torch
    except ModuleNotFoundError as error:
        raise MissingExtra("torch", "torch", "reading a .pt file") from error
    module: ModuleType = torch
    return module


def _loaded(path: Path, torch: ModuleType) -> Any:
    try:
        # By its name torch would take a.safetensors for another format
        with path.open("rb") as file:
            return torch.load(file, weights_only=True, map_location="cpu")
    except pickle.UnpicklingError as error:
        raise DataError(
            f"{place(path)}: holds Python objects beside tensors, or is damaged; lacal never unpickles; "
            "save tensors only, or use safetensors"
        ) from error
    # struct.error, KeyError, AssertionError, ...: torch promises no kind
    except Exception as error:
        raise DataError(
            f"{place(path)}: cannot be read as tensors ({reason(error)}); the file is damaged, save it again"
        ) from error


def _leaves(
    path: Path, value: Any, torch: ModuleType, name: str, depth: int
) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, Mapping):
        yield name, value
        return
    if depth == DEPTH_LIMIT:
        raise DataError(f"{place(path)}: nests dicts deeper than {DEPTH_LIMIT}; save a flat dict")
    seen = set()
    for key, inner in value.items():
        for leaf_name, leaf in _leaves(path, inner, torch, _joined(name, key), depth + 1):
            if leaf_name in seen:
                raise DataError(
                    f"{place(path)}: has two entries named '{printable(leaf_name)}'; rename one"
                )
            seen.add(leaf_name)
            yield leaf_name, leaf


def _joined(name: str, key: object) -> str:
    return f"{name}.{key}" if name else str(key)


def _field(path: Path, name: str, leaf: Any, records: set[int], torch: ModuleType) -> Field:
    if not isinstance(leaf, torch.Tensor):
        return Field(name, "other", (), type(leaf).__name__)
    if leaf.layout != torch.strided or leaf.is_quantized or leaf.is_nested or leaf.is_meta:
        return Field(name, "other", (None,), _unusual(leaf, torch))
    _check_extent(path, name, leaf, records)
    stored = str(leaf.dtype).removeprefix("torch.")
    shape = tuple(leaf.shape)
    kind: Kind = "other"
    if leaf.is_floating_point() and not stored.endswith(PACKED):
        kind = "float"
    elif stored in WHOLE:
        kind = kind_of(np.dtype(stored))
    return Field(name, kind, shape, stored)


def _unusual(leaf: Any, torch: ModuleType) -> str:
    if leaf.is_meta:
        return "meta tensor, which holds no values"
    if leaf.is_quantized:
        return f"quantised tensor ({leaf.dtype})"
    return "nested tensor" if leaf.is_nested else f"sparse tensor ({leaf.layout})"


def _check_extent(path: Path, name: str, tensor: Any, records: set[int]) -> None:
    held, claimed = tensor.untyped_storage().nbytes(), tensor.numel() * tensor.element_size()
    # Empty storages have no record of their own size; any other size must be a record's.
    if claimed > held or (held and held not in records):
        raise DataError(
            f"{place(path)}: tensor '{printable(name)}' of shape {tuple(tensor.shape)} claims more bytes "
            "than the file holds for it; save it with .contiguous(), or the file is damaged"
        )


def _to_numpy(tensor: Any) -> NDArray[Any]:
    plain = tensor.detach()
    if plain.is_floating_point() and plain.element_size() < 4:
        plain = plain.float()  # half, bfloat16, float8: numpy lacks most of them
    array: NDArray[Any] = plain.resolve_conj().resolve_neg().numpy()
    return array


def _class_names(leaves: dict[str, Any]) -> tuple[str, ...] | None:
    names = leaves.get("class_names")
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
        return tuple(names)
    return None
