"""Model files of torch, looked into before they are loaded: whole, plain, and what they carry."""

import io
import json
import random
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from lacal.errors import DataError, UsageError
from lacal.models.torch.archive import (
    archive_class_names,
    archive_note,
    check_exported,
    check_torchscript,
    traced_device,
    without_sample_inputs,
)
from tests.models.torch_models import (
    exported,
    files_of,
    module,
    packed,
    saved_program,
    saved_script,
    scripted,
    torch,
    traced,
    written,
)

GRAPH = "archive/models/model.json"
SAMPLES = "archive/data/sample_inputs/model.pt"

NAMES = ["linear", "bias-free", "conv", "softmax", "two inputs", "several", "named", "pairs"]


@pytest.mark.parametrize("name", NAMES)
def test_what_torch_writes_needs_no_trust(name: str, tmp_path: Path) -> None:
    path = written(tmp_path, exported(name))
    check_exported(path, trust=False)
    before, after = files_of(exported(name)), files_of(without_sample_inputs(path).getvalue())
    assert after.keys() == before.keys()
    assert after[SAMPLES] == b"" != before[SAMPLES]
    assert all(after[key] == before[key] for key in before if "weight_" in key)


def test_torchscript_needs_trust(tmp_path: Path) -> None:
    path = written(tmp_path, scripted("linear"), "model.pt")
    with pytest.raises(
        UsageError, match=r"is TorchScript, a program .*--trust-model.*need no trust"
    ):
        check_torchscript(path, trust=False)
    check_torchscript(path, trust=True)


CHECKS: dict[str, tuple[Callable[[], bytes], Callable[[Path], None]]] = {
    "exported": (lambda: exported("linear"), lambda path: check_exported(path, trust=True)),
    "torchscript": (lambda: scripted("linear"), lambda path: check_torchscript(path, trust=True)),
}


@pytest.mark.parametrize("kind", CHECKS)
def test_cut_off_anywhere(kind: str, tmp_path: Path) -> None:
    content, check = CHECKS[kind][0](), CHECKS[kind][1]
    for at in random.Random(1).sample(range(4, len(content) - 1), 40):
        with pytest.raises(DataError, match=r"damaged zip|was cut off"):
            check(written(tmp_path, content[:at]))


@pytest.mark.parametrize("kind", CHECKS)
def test_a_changed_byte_of_the_weights(kind: str, tmp_path: Path) -> None:
    content = bytearray(CHECKS[kind][0]())
    weight = module("linear").weight.detach().numpy().tobytes()
    content[bytes(content).index(weight) + 5] ^= 0x40
    with pytest.raises(DataError, match="is damaged; copy or save the file again"):
        CHECKS[kind][1](written(tmp_path, bytes(content)))


def encrypted(content: bytes) -> bytes:
    changed = bytearray(content)
    changed[changed.rindex(b"PK\x01\x02") + 8] |= 1
    return bytes(changed)


def twice(content: bytes) -> bytes:
    buffer = io.BytesIO(content)
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr(archive.namelist()[0], b"x")
    return buffer.getvalue()


def bomb(content: bytes) -> bytes:
    return packed({"archive/archive_format": bytes(20 << 20)}, zipfile.ZIP_DEFLATED)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [(encrypted, "is encrypted"), (twice, "is there twice"), (bomb, "more than 1000:1")],
)
@pytest.mark.parametrize("kind", CHECKS)
def test_odd_zips(kind: str, spoil: Callable[[bytes], bytes], words: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=words):
        CHECKS[kind][1](written(tmp_path, spoil(CHECKS[kind][0]())))


def test_a_compressed_pt2_and_broken_json(tmp_path: Path) -> None:
    files = files_of(exported("linear"))
    with pytest.raises(DataError, match="packed with deflate; torch never compresses"):
        check_exported(written(tmp_path, packed(files, zipfile.ZIP_DEFLATED)), trust=False)
    for content in (b"{", b"[" * 100_000, b"\xff"):
        with pytest.raises(DataError, match=r"'models/model\.json' cannot be read"):
            check_exported(written(tmp_path, packed({**files, GRAPH: content})), trust=False)


def test_traced_device(tmp_path: Path) -> None:
    plain, program = traced("device"), exported("linear")
    assert traced_device(written(tmp_path, plain)) is None
    assert traced_device(written(tmp_path, program)) is None
    code = {
        name: text.replace(b'torch.device("cpu")', b'torch.device("cuda:1")')
        for name, text in files_of(plain).items()
    }
    assert traced_device(written(tmp_path, packed(code))) == "cuda:1"
    graph = {
        name: text.replace(b'"type": "cpu"', b'"type": "cuda"') if name == GRAPH else text
        for name, text in files_of(program).items()
    }
    assert traced_device(written(tmp_path, packed(graph))) == "cuda"


def both_kinds(**extra: str) -> list[bytes]:
    program = torch.export.export(module("linear"), (torch.ones(2, 6),))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        script = torch.jit.script(module("linear"))
    return [saved_program(program, **extra), saved_script(script, **extra)]


def test_notes_and_names(tmp_path: Path) -> None:
    note, names = '{"tau": 1.5, "π": "é"}', ["cat", "dög"]
    for content in both_kinds(lacal_calibration=note, class_names=json.dumps(names)):
        path = written(tmp_path, content)
        assert archive_note(path) == note
        assert archive_class_names(path) == tuple(names)
    check_exported(written(tmp_path, both_kinds(lacal_calibration=note)[0]), trust=False)
    for content in (exported("linear"), scripted("linear")):
        path = written(tmp_path, content)
        assert archive_note(path) is None
        assert archive_class_names(path) is None


def test_malformed_notes_and_names(tmp_path: Path) -> None:
    for content in both_kinds(lacal_calibration="{", class_names='{"a": 1}'):
        path = written(tmp_path, content)
        with pytest.raises(DataError, match=r"its calibration .* is damaged"):
            archive_note(path)
        with pytest.raises(DataError, match="class_names in its metadata is not a JSON list"):
            archive_class_names(path)
