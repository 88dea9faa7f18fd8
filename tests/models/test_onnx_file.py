"""ONNX files as they are read: whole, cut off, made up, and with weights beside them."""

import hashlib
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("onnx")

import onnx
from onnx import TensorProto, helper, numpy_helper

from lacal.errors import DataError, MissingExtra
from lacal.models import model_sha256
from lacal.models.onnx.external import external_files
from lacal.models.onnx.file import all_tensors, foreign_operators, load_onnx, metadata
from tests.models.onnx_small import WEIGHT, beside, model, node, point, saved, value

DTYPES = ["float32", "float64", "float16", "int64", "int32", "uint8", "bool"]


def arrays_of(made: Any) -> dict[str, Any]:
    return {one.name: numpy_helper.to_array(one) for one in made.graph.initializer}


def same(first: dict[str, Any], second: dict[str, Any]) -> bool:
    return first.keys() == second.keys() and all(
        first[name].dtype == second[name].dtype and np.array_equal(first[name], second[name])
        for name in first
    )


@settings(max_examples=40, deadline=None)
@given(
    shapes=st.lists(st.lists(st.integers(0, 5), max_size=3), min_size=1, max_size=4),
    dtype=st.sampled_from(DTYPES),
    gap=st.integers(0, 9),
    seed=st.integers(0, 999),
)
def test_weights_beside_a_model_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, shapes: Any, dtype: str, gap: int, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("beside")
    rng = np.random.default_rng(seed)
    weights = {f"w{i}": rng.integers(0, 2, shape).astype(dtype) for i, shape in enumerate(shapes)}
    made = model(weights=weights)
    before = arrays_of(made)
    path = beside(made, folder, gap=gap)
    assert same(before, arrays_of(load_onnx(path)))
    left = load_onnx(path, weights=False)
    assert left == made  # untouched
    assert list(external_files(path, all_tensors(left))) == ["weights.bin"]


def test_weights_of_four_bits_take_half_a_byte(tmp_path: Path) -> None:
    made = model()
    tensor = made.graph.initializer.add(name="q", data_type=TensorProto.INT4, dims=[5])
    tensor.raw_data = b"\x21\x43\x05"
    beside(made, tmp_path)
    assert load_onnx(tmp_path / "model.onnx").graph.initializer[1].raw_data == b"\x21\x43\x05"


def test_weights_inside_nodes_are_found(tmp_path: Path) -> None:
    constant = node("Constant", "", "c", value=numpy_helper.from_array(WEIGHT, "c"))
    made = model([constant, node("MatMul", "x c", "logits")])
    point(made.graph.node[0].attribute[0].t, "gone.bin")
    with pytest.raises(DataError, match=r"tensor 'c' are missing.*'gone\.bin'"):
        load_onnx(saved(made, tmp_path / "m.onnx"))


@pytest.mark.parametrize("cut", range(0, 200, 7))
def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path, cut: int) -> None:
    content = model().SerializeToString()
    path = tmp_path / "m.onnx"
    path.write_bytes(content[: len(content) * cut // 200])
    with pytest.raises(DataError, match=r"m\.onnx: (is empty|is no whole ONNX model)"):
        load_onnx(path)


@settings(max_examples=150, deadline=None)
@given(junk=st.binary(min_size=1, max_size=300))
def test_junk_is_refused(tmp_path_factory: pytest.TempPathFactory, junk: bytes) -> None:
    path = tmp_path_factory.mktemp("junk") / "m.onnx"
    path.write_bytes(junk)
    with pytest.raises(DataError):
        load_onnx(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"<!DOCTYPE html><html>", "HTML"),
        (model().SerializeToString().replace(b"logits", b"logi\xff\xfe"), "not UTF-8"),
    ],
)
def test_what_is_there_instead_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words):
        load_onnx(path)


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.onnx: there is no such file"):
        load_onnx(tmp_path / "none.onnx")


@pytest.mark.parametrize(
    ("location", "offset", "length", "words"),
    [
        ("none.bin", 0, 48, r"tensor 'W' are missing.*'none\.bin'"),
        ("w.bin", 0, 47, r"claim 47 bytes; got a tensor float \(4, 3\) that needs 48"),
        ("w.bin", 9, 48, r"cut off: 'w\.bin' has 52 bytes, expected 48 from byte 9 on"),
        ("w.bin", 9, None, "cut off"),
        ("w.bin", -4, 48, "offset '-4', expected a number of bytes"),
        ("w.bin", 10**30, 48, "expected a number of bytes"),
        ("../w.bin", 0, 48, "inside the model's own folder"),
        ("sub/../../w.bin", 0, 48, "inside the model's own folder"),
        ("..\\w.bin", 0, 48, "inside the model's own folder"),
        ("C:\\w.bin", 0, 48, "inside the model's own folder"),
        ("/etc/passwd", 0, 48, "inside the model's own folder"),
        ("w\0.bin", 0, 48, "inside the model's own folder"),
        ("", 0, 48, "name no file"),
        ("*/_ORT_MEM_ADDR_/*", 4096, 48, "missing"),
        ("folder", 0, 48, "no regular file"),
        ("pipe", 0, 48, "no regular file"),
        ("leads_out", 0, 48, "a link that leads out of the model's folder"),
        ("round", 0, 48, "missing"),
        ("twice.bin", 0, 48, "2 hard links"),
    ],
)
@pytest.mark.parametrize("weights", [True, False])
def test_weights_that_are_not_where_they_may_be_are_refused(
    tmp_path: Path, location: str, offset: int, length: int | None, words: str, weights: bool
) -> None:
    home = tmp_path / "home"
    (home / "folder").mkdir(parents=True)
    (tmp_path / "w.bin").write_bytes(bytes(52))
    (home / "w.bin").write_bytes(bytes(52))
    (home / "twice.bin").write_bytes(bytes(52))
    (home / "again.bin").hardlink_to(home / "twice.bin")
    (home / "leads_out").symlink_to(tmp_path / "w.bin")
    (home / "round").symlink_to("round")
    os.mkfifo(home / "pipe")
    made = model()
    point(made.graph.initializer[0], location, offset, length)
    path = saved(made, home / "m.onnx")
    with pytest.raises(DataError, match=words):
        load_onnx(path, weights=weights)


@pytest.mark.parametrize(("kind", "dims"), [(TensorProto.FLOAT, [-4, 3]), (8, [2]), (99, [2])])
def test_weights_of_no_size_are_refused(tmp_path: Path, kind: int, dims: list[int]) -> None:
    made = model()
    tensor = made.graph.initializer[0]
    point(tensor, "w.bin")
    tensor.data_type = kind
    tensor.dims[:] = dims
    (tmp_path / "w.bin").write_bytes(bytes(99))
    with pytest.raises(DataError, match="which no bytes can be"):
        load_onnx(saved(made, tmp_path / "m.onnx"))


def linked_cache(tmp_path: Path) -> Path:
    """A model as Hugging Face keeps it: both files under their hashes, links to them by name."""
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "1"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    path = beside(model(), blobs)
    path.rename(blobs / "aaaa")
    (blobs / "weights.bin").rename(blobs / "bbbb")
    (snapshot / "model.onnx").symlink_to("../../blobs/aaaa")
    (snapshot / "weights.bin").symlink_to("../../blobs/bbbb")
    return snapshot / "model.onnx"


def test_a_cache_of_symlinks_is_followed(tmp_path: Path) -> None:
    assert same(arrays_of(load_onnx(linked_cache(tmp_path))), {"W": WEIGHT})


def test_data_in_a_folder_below_are_read(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    assert same(arrays_of(load_onnx(beside(model(), tmp_path, "deep/w.bin"))), {"W": WEIGHT})


def test_custom_operators_are_found_and_own_functions_are_not(tmp_path: Path) -> None:
    made = model(
        [node("Mine", "x", "y", domain="own"), node("Foo", "y", "logits", domain="my.ops")],
        outputs=[value("logits", ("N", 4))],
    )
    made.functions.add(name="Mine", domain="own", input=["a"], output=["b"])
    assert foreign_operators(load_onnx(saved(made, tmp_path / "m.onnx"))) == {"my.ops": "Foo"}


def test_metadata_are_read(tmp_path: Path) -> None:
    path = saved(model(metadata={"author": "me", "class_names": "[]"}), tmp_path / "m.onnx")
    assert metadata(load_onnx(path)) == {"author": "me", "class_names": "[]"}


def test_without_onnx_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(model(), tmp_path / "m.onnx")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtra, match=r"lacal\[onnx\]"):
        load_onnx(path)


def test_the_hash_of_a_model_is_of_all_its_files(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    weight = numpy_helper.from_array(np.arange(12, dtype=np.float32).reshape(4, 3), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["logits"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 3])],
        [weight],
    )
    onnx.save(helper.make_model(graph), path)
    assert model_sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    onnx.save(
        helper.make_model(graph),
        path,
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
    )
    before = model_sha256(path)
    assert before == model_sha256(path)
    changed = bytearray((tmp_path / "weights.bin").read_bytes())
    changed[5] ^= 1
    (tmp_path / "weights.bin").write_bytes(changed)
    assert model_sha256(path) != before
