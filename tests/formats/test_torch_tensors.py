"""`.pt` files: round trips, spoiled ones, and what happens where torch is not installed."""

import json
import os
import struct
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lacal.errors import DataError, MissingExtra
from lacal.formats import open_table
from lacal.formats.table import Field
from tests.formats.test_round_trip import CLASSES, LABELS, ROWS, check, logits_of
from tests.formats.test_spoiled import Spoil, use, zip_bytes

torch = pytest.importorskip("torch")


def test_safetensors_bfloat16(tmp_path: Path) -> None:
    wide = torch.from_numpy(logits_of("f4")).bfloat16()
    raw = wide.view(torch.uint16).numpy().tobytes()
    entry = {"x": {"dtype": "BF16", "shape": [ROWS, CLASSES], "data_offsets": [0, len(raw)]}}
    header = json.dumps(entry).encode()
    (tmp_path / "x").write_bytes(struct.pack("<Q", len(header)) + header + raw)
    check(open_table(tmp_path / "x"), {"x": wide.float().numpy()})


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "float8_e5m2"])
def test_torch(tmp_path: Path, dtype: str) -> None:
    logits = torch.from_numpy(logits_of("f4")).to(getattr(torch, dtype))
    wide = (logits if dtype == "float64" else logits.float()).numpy()
    torch.save(logits, tmp_path / "a.pt")
    check(open_table(tmp_path / "a.pt"), {"": wide})
    held = {
        "val": {"logits": logits, "labels": torch.from_numpy(LABELS)},
        "turned": logits.T.contiguous().T,
        "grad": torch.ones(ROWS, requires_grad=True),
        "class_names": ["a", "b"],
    }
    torch.save(held, tmp_path / "b.pt")
    table = open_table(tmp_path / "b.pt")
    check(table, {"val.logits": wide, "val.labels": LABELS, "turned": wide, "grad": np.ones(ROWS)})
    assert table.class_names == ("a", "b")


def test_what_is_beside_tensors_is_described(tmp_path: Path) -> None:
    packed = torch.zeros(3, 2, dtype=torch.uint8).view(torch.float4_e2m1fn_x2)
    half = torch.zeros(2, dtype=torch.float16).view(torch.complex32)
    held = {
        "epoch": 3,
        "packed": packed,
        "sparse": torch.ones(3).to_sparse(),
        "half": half,
        "x": torch.ones(2),
    }
    torch.save(held, tmp_path / "a.pt")
    assert open_table(tmp_path / "a.pt").fields == {
        "epoch": Field("epoch", "other", (), "int"),
        "packed": Field("packed", "other", (3, 2), "float4_e2m1fn_x2"),
        "sparse": Field("sparse", "other", (None,), "sparse tensor (torch.sparse_coo)"),
        "half": Field("half", "other", (1,), "complex32"),
        "x": Field("x", "float", (2,), "float32"),
    }


def test_dicts_in_dicts_of_just_the_depth(tmp_path: Path) -> None:
    for depth in (15, 16):
        held = torch.ones(1)
        for _ in range(depth):
            held = {"a": held}
        torch.save(held, tmp_path / "a.pt")
        assert list(open_table(tmp_path / "a.pt").fields) == [".".join("a" * depth)]
    torch.save({"a": held}, tmp_path / "a.pt")
    with pytest.raises(DataError, match="nests dicts deeper than 16"):
        open_table(tmp_path / "a.pt")


def torch_of(value: Any) -> Spoil:
    def write(folder: Path) -> Path:
        torch.save(value, folder / "a.pt")
        return folder / "a.pt"

    return write


def quantised(folder: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch means to drop quantised tensors
        tensor = torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)
        torch.save({"x": tensor}, folder / "a.pt")
    return folder / "a.pt"


def dict_in_itself(folder: Path) -> Path:
    loop: dict[str, Any] = {}
    loop["a"] = loop
    return torch_of(loop)(folder)


def nested(folder: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls them a prototype
        torch.save(
            {"x": torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])}, folder / "a.pt"
        )
    return folder / "a.pt"


SPOILED: list[tuple[Spoil, str]] = [
    (torch_of(torch.nn.Linear(2, 2)), "save tensors only, or use safetensors"),
    (torch_of({"x": np.ones(2)}), "save tensors only, or use safetensors"),
    (torch_of({"epoch": 3}), "holds no tensors"),
    (torch_of({}), "holds no tensors"),
    (torch_of({"x": torch.ones(3).to_sparse()}), "'x' is of type sparse tensor"),
    (torch_of({"x": torch.ones(3, dtype=torch.complex64)}), "'x' is of type complex64"),
    (torch_of({"x": torch.ones(3, device="meta")}), "'x' is of type meta tensor"),
    (torch_of({"x": torch.ones(1, 1).expand(10**9, 10)}), "claims more bytes than the file holds"),
    (torch_of({"a": {"b": torch.ones(1)}, "a.b": torch.ones(1)}), "two entries named 'a.b'"),
    (quantised, "'x' is of type quantised tensor"),
    (nested, "'x' is of type nested tensor"),
    (dict_in_itself, "nests dicts deeper than"),
]


@pytest.mark.parametrize(
    ("spoil", "fragment"), SPOILED, ids=lambda value: getattr(value, "__name__", value)
)
def test_spoiled(tmp_path: Path, spoil: Spoil, fragment: str) -> None:
    path = spoil(tmp_path)
    with pytest.raises(DataError) as caught:
        use(path)
    assert fragment in str(caught.value)
    assert str(caught.value).isprintable()


def test_nonsense_in_a_zip(tmp_path: Path) -> None:
    data = zip_bytes([("a/data.pkl", b"hello"), ("a/version", b"3")])
    (tmp_path / "a.pt").write_bytes(data)
    with pytest.raises(DataError, match=r"a\.pt: "):
        use(tmp_path / "a.pt")


def test_absent_torch_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(torch.ones(2), tmp_path / "a.pt")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra) as missing:
        open_table(tmp_path / "a.pt")
    assert str(missing.value) == str(MissingExtra("torch", "torch", "reading a .pt file"))
    assert "pip install 'lacal[torch]'" in str(missing.value)


def test_what_torch_says_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("why\nand advice")

    torch.save(torch.ones(2), tmp_path / "a.pt")
    monkeypatch.setattr(torch, "load", fails)
    with pytest.raises(DataError) as damaged:
        open_table(tmp_path / "a.pt")
    assert str(damaged.value) == (
        f"{tmp_path}/a.pt: cannot be read as tensors (why); the file is damaged, save it again"
    )


@pytest.mark.parametrize("forced", [False, True])
def test_a_payload_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forced: bool
) -> None:
    """Not even where the environment asks torch to unpickle whatever leaves it the choice."""
    if forced:
        monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")

    class Evil:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "marker"),)

    torch.save({"x": Evil()}, tmp_path / "a.pt")
    with pytest.raises(DataError):
        use(tmp_path / "a.pt")
    assert not (tmp_path / "marker").exists()


def test_a_field_asked_for_and_missing(tmp_path: Path) -> None:
    torch.save({"x": torch.ones(1)}, tmp_path / "a.pt")
    with pytest.raises(DataError, match="has no field 'zzz'; it holds x"):
        open_table(tmp_path / "a.pt").read("zzz")
