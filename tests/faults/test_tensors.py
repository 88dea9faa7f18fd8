"""Spoiled `.pt` and `.safetensors` files through the command line, and what torch stores that numpy does not know."""

import json
import os
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.small_world import json_of, refusal, world

torch = pytest.importorskip("torch")

VAL = world()
LOGITS, LABELS = torch.tensor(VAL.logits), torch.tensor(VAL.labels)


def saved(path: Path, value: Any, **options: Any) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of prototypes and of what torch means to drop
        torch.save(value, path, **options)
    return path


def beside(logits: Any) -> Callable[[Path], Any]:
    """A file of these logits and the small world's labels."""

    def write(path: Path) -> Any:
        saved(path, {"logits": logits, "labels": LABELS})

    return write


def of(value: Any, **options: Any) -> Callable[[Path], Any]:
    return lambda path: saved(path, value, **options)


class Payload:
    """Makes a folder where it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.marker),)


def payload(path: Path) -> None:
    saved(path, {"logits": LOGITS, "labels": LABELS, "x": Payload(path.parent / "marker")})


def rewritten(
    path: Path, change: Callable[[bytes], bytes], packing: int = zipfile.ZIP_STORED
) -> None:
    """The well-saved file with its pickle changed, or its members packed."""
    beside(LOGITS)(path)
    with zipfile.ZipFile(path) as source:
        members = {one: source.read(one) for one in source.namelist()}
    with zipfile.ZipFile(path, "w", packing) as archive:
        for name, data in members.items():
            archive.writestr(name, change(data) if name.endswith("data.pkl") else data)


def on_device(name: str) -> Callable[[Path], None]:
    """As saved on another device: its name stands in the pickle."""

    def write(path: Path) -> None:
        word = b"X" + struct.pack("<I", len(name)) + name.encode()
        rewritten(path, lambda pickled: pickled.replace(b"X\x03\x00\x00\x00cpu", word))

    return write


def sharing(path: Path) -> None:
    """Nine tensors of a directory claim the bytes of a tenth; a million such would need few bytes of their own."""
    saved(path, {f"x{i}": torch.zeros(1 << 16, dtype=torch.uint8) for i in range(10)})
    with zipfile.ZipFile(path) as source:
        members = {one: source.read(one) for one in source.namelist()}
    own = next(one for one in members if one.endswith("/data/0"))
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            if name == own or "/data/" not in name:
                archive.writestr(name, data)
    whole = path.read_bytes()
    end = whole.rindex(b"PK\5\6")
    entries, size, start = struct.unpack("<HII", whole[end + 10 : end + 20])
    directory, word = whole[start:end], own.encode()
    entry = next(b"PK\1\2" + one for one in directory.split(b"PK\1\2") if word in one)
    more = b"".join(entry.replace(word, word[:-1] + str(i).encode()) for i in range(1, 10))
    told = struct.pack("<HHII", entries + 9, entries + 9, size + len(more), start)
    path.write_bytes(whole[:end] + more + whole[end : end + 8] + told + whole[end + 20 :])


def bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", b"")
        archive.writestr("a/data/0", bytes(32 << 20))


def cut(path: Path) -> None:
    beside(LOGITS)(path)
    path.write_bytes(path.read_bytes()[:-100])


def torchscript(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, and met in the wild
        torch.jit.script(torch.nn.Linear(5, 5)).save(str(path))


def quantised(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tensor = torch.quantize_per_tensor(LOGITS, 0.1, 0, torch.qint8)
        beside(tensor)(path)


def half_complex(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an experiment of torch's
        beside(torch.zeros(60, 5, dtype=torch.complex32))(path)


def packed(path: Path) -> None:
    bits = torch.zeros(60, 5, dtype=torch.uint8)
    beside(bits.view(torch.float4_e2m1fn_x2))(path)


REFUSED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a payload": (payload, "lacal never unpickles; save tensors only"),
    "a module": (of(torch.nn.Linear(2, 2)), "save tensors only, or use safetensors"),
    "numpy arrays": (of({"logits": VAL.logits}), "save tensors only, or use safetensors"),
    "the format of old": (
        of({"logits": LOGITS}, _use_new_zipfile_serialization=False),
        "is a Python pickle (or a .pt of before torch 1.6)",
    ),
    "TorchScript": (torchscript, "is a model (torchscript)"),
    "a compressed file": (
        lambda path: rewritten(path, bytes, zipfile.ZIP_DEFLATED),
        "torch itself never compresses",
    ),
    "a bomb": (bomb, "more than 1000:1"),
    "members that share bytes": (sharing, "members claim"),
    "a file cut off": (cut, "is a damaged zip file"),
    "a list": (of([LOGITS]), "holds no tensors"),
    "sparse": (beside(LOGITS.to_sparse()), "'logits' sparse tensor (torch.sparse_coo)"),
    "quantised": (quantised, "'logits' quantised tensor"),
    "meta": (beside(LOGITS.to("meta")), "meta tensor, which holds no values"),
    "complex": (beside(LOGITS.to(torch.complex64)), "'logits' holds complex64"),
    "half complex": (half_complex, "'logits' holds complex32"),
    "truth values": (beside(LOGITS > 0), "'logits' holds bool"),
    "packed": (packed, "'logits' holds float4_e2m1fn_x2"),
    "expanded": (beside(torch.ones(1, 1).expand(10**9, 10)), "claims more bytes than the file"),
    "a single label": (of({"logits": LOGITS, "labels": torch.tensor(1)}), "has shape ()"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(folder: Path, capfd: pytest.CaptureFixture[str], case: str) -> None:
    write, fragment = REFUSED[case]
    path = folder / "val.pt"
    write(path)
    message = refusal(capfd, "tune-tau", path, "--counts", folder / "counts.csv")
    assert message.startswith(f"Error: {path}: ")
    assert fragment in message
    assert message.isprintable()
    assert not (folder / "marker").exists()


KEPT: dict[str, Callable[[Path], Any]] = {
    "as it is": beside(LOGITS),
    "saved on a GPU": on_device("cuda:0"),
    "saved on a Mac": on_device("mps"),
    "saved where nobody knows": on_device("nope"),
    "with a gradient": beside(LOGITS.clone().requires_grad_()),
    "a parameter": beside(torch.nn.Parameter(LOGITS)),
    "a slice": beside(torch.cat([LOGITS, LOGITS, LOGITS])[60:120]),
    "strided": beside(torch.cat([LOGITS, LOGITS], 1)[:, :5]),
    "turned": beside(LOGITS.T.contiguous().T),
    "a conjugate's part": beside(torch.complex(LOGITS, -LOGITS).conj().imag),
}


@pytest.mark.parametrize("case", KEPT)
def test_one_answer(folder: Path, capfd: pytest.CaptureFixture[str], case: str) -> None:
    KEPT[case](folder / "val.pt")
    found, same = (json_of(capfd, "evaluate", folder / one) for one in ("val.pt", "val.npz"))
    assert found["balanced_error"] == same["balanced_error"]
    assert found["measures"] == same["measures"]


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "float64"])
def test_floats_are_taken_as_wide_as_numpy_has_them(
    folder: Path, capfd: pytest.CaptureFixture[str], kind: str
) -> None:
    stored = LOGITS.to(getattr(torch, kind))
    wide = (stored if kind == "float64" else stored.float()).numpy()
    beside(stored)(folder / "stored.pt")
    np.savez(folder / "wide.npz", logits=wide, labels=VAL.labels)
    found, same = (json_of(capfd, "evaluate", folder / one) for one in ("stored.pt", "wide.npz"))
    assert found["measures"] == same["measures"]


X, Y = VAL.logits.tobytes(), VAL.labels.astype("<i8").tobytes()
ENTRIES: dict[str, Any] = {
    "logits": {"dtype": "F32", "shape": [60, 5], "data_offsets": [0, len(X)]},
    "labels": {"dtype": "I64", "shape": [60], "data_offsets": [len(X), len(X) + len(Y)]},
}
HEADER = json.dumps(ENTRIES)


def file_of(header: str, data: bytes = X + Y) -> bytes:
    return struct.pack("<Q", len(header.encode())) + header.encode() + data


def with_logits(**change: Any) -> str:
    return json.dumps({**ENTRIES, "logits": {**ENTRIES["logits"], **change}})


SAFETENSORS: dict[str, tuple[bytes, str]] = {
    "a hole": (
        file_of(HEADER.replace("[1200, 1680]", "[1208, 1688]"), X + bytes(8) + Y),
        "starts at 1,208; expected 1,200",
    ),
    "an overlap": (file_of(with_logits(data_offsets=[0, 1204])), "has 1,204 bytes"),
    "an overflow": (file_of(with_logits(shape=[2**62, 8])), "has 1,200 bytes"),
    "a negative side": (file_of(with_logits(shape=[-60, -5])), "no proper dtype, shape"),
    "a side that is no integer": (file_of(with_logits(shape=[60.0, 5])), "no proper dtype, shape"),
    "a side of 5,000 digits": (
        file_of('{"x":{"dtype":"F32","shape":[' + "9" * 5000 + ']}}'),
        "header cannot be read",
    ),
    "a key twice": (file_of(HEADER[:-1] + ',"logits":1}'), "'logits' is there twice"),
    "a key twice inside": (
        file_of(HEADER.replace('"dtype": "F32"', '"dtype": "F32", "dtype": "F64"')),
        "'dtype' is there twice",
    ),
    "cut off": (file_of(HEADER, (X + Y)[:-1]), "its tensors take 1,680 bytes"),
    "junk behind": (file_of(HEADER, X + Y + b"1"), "its tensors take 1,680 bytes"),
    "no tensor": (file_of("{}", b""), "holds no tensors"),
    "a note alone": (file_of('{"__metadata__":{"a":"b"}}', b""), "holds no tensors"),
    "float8": (
        file_of(with_logits(dtype="F8_E4M3", shape=[60, 20])),
        "'logits' holds F8_E4M3",
    ),
    "no rows": (
        file_of(json.dumps({"x": {"dtype": "F32", "shape": [0, 2**40], "data_offsets": [0, 0]}}), b""),
        "holds no rows",
    ),
    "a space first": (file_of(" " + HEADER), "is of no format that lacal knows"),
    "a header of 20 MB": (file_of("{" + " " * 20_000_000 + "}", b""), "its header claims"),
    "a name of half a character": (
        file_of('{"__metadata__":{"class_names":"[\\"\\\\ud800\\",\\"b\\",\\"c\\",\\"d\\",\\"e\\"]"},' + HEADER[1:]),
        "is not valid UTF-8 text",
    ),
    "names too deep": (
        file_of(json.dumps({"__metadata__": {"class_names": "[" * 100_000}, **ENTRIES})),
        "not a JSON list of strings",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SAFETENSORS)
def test_safetensors(folder: Path, capfd: pytest.CaptureFixture[str], case: str) -> None:
    data, fragment = SAFETENSORS[case]
    path = folder / "val.safetensors"
    path.write_bytes(data)
    message = refusal(capfd, "tune-tau", path, "--counts", folder / "counts.csv")
    assert message.startswith(f"Error: {path}: ")
    assert fragment in message
    assert message.isprintable()


def test_bfloat16_of_safetensors(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    half = LOGITS.bfloat16()
    header = json.dumps({
        "logits": {"dtype": "BF16", "shape": [60, 5], "data_offsets": [0, 600]},
        "labels": {**ENTRIES["labels"], "data_offsets": [600, 1080]},
    })  # fmt: skip
    data = half.view(torch.uint16).numpy().tobytes() + Y
    (folder / "val.safetensors").write_bytes(file_of(header, data))
    np.savez(folder / "wide.npz", logits=half.float().numpy(), labels=VAL.labels)
    found, same = (
        json_of(capfd, "evaluate", folder / one) for one in ("val.safetensors", "wide.npz")
    )
    assert found["measures"] == same["measures"]
