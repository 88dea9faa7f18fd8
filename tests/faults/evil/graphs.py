"""ONNX files that reach for other files, or would bring the runtime down."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from tests.faults.evil.table import MODEL, Evil, Make
from tests.models.onnx_small import model, node, point, saved, value

CLASSES = 5
WEIGHT = np.linspace(-1, 1, 4 * CLASSES, dtype=np.float32).reshape(4, CLASSES)
SCORES = [value("logits", ("N", CLASSES))]
NEEDED = WEIGHT.nbytes


def good(nodes: list[Any] | None = None, **more: Any) -> Any:
    """x (N, 4) -> logits (N, 5)."""
    weights = {"W": WEIGHT, **more.pop("weights", {})}
    return model(nodes, outputs=more.pop("outputs", SCORES), weights=weights, **more)


def outside(name: str, location: str, offset: Any = 0, length: Any = NEEDED) -> Make:
    """A model whose weight is said to lie at a location, which may hold {marker}'s folder."""

    def make(folder: Path, marker: Path) -> None:
        (marker.parent / "secret.bin").write_bytes(bytes(100))
        made = good()
        point(made.graph.initializer[0], location.format(marker.parent), offset, length)
        saved(made, folder / name)

    return make


def beside(name: str, lay: Callable[[Path, Path], object]) -> Make:
    """A model whose weight lies in `weights.bin`, which is laid there in another way than it should."""

    def make(folder: Path, marker: Path) -> None:
        outside(name, "weights.bin")(folder, marker)
        lay(folder / "weights.bin", marker.parent / "secret.bin")

    return make


def chain(data: Path, secret: Path) -> None:
    (data.parent / "first").symlink_to("second")
    (data.parent / "second").symlink_to(secret)
    data.symlink_to("first")


def twice(data: Path, secret: Path) -> None:
    data.hardlink_to(secret)


def inside_a_node(folder: Path, marker: Path) -> None:
    from onnx import numpy_helper

    constant = node("Constant", "", "c", value=numpy_helper.from_array(WEIGHT, "c"))
    made = good([constant, node("MatMul", "x c", "logits")])
    point(made.graph.node[0].attribute[0].t, "../secret.bin", 0, NEEDED)
    (marker.parent / "secret.bin").write_bytes(bytes(100))
    saved(made, folder / "node.onnx")


def sides(name: str, *dims: int) -> Make:
    def make(folder: Path, marker: Path) -> None:
        made = good()
        tensor = made.graph.initializer[0]
        point(tensor, "weights.bin", 0, None)
        tensor.dims[:] = dims
        (folder / "weights.bin").write_bytes(bytes(100))
        saved(made, folder / name)

    return make


def field(number: int, content: bytes) -> bytes:
    """A field of protobuf with a length, as no library would write it."""
    size, length = len(content), bytearray()
    while True:
        length.append(size & 0x7F | (0x80 if size > 0x7F else 0))
        size >>= 7
        if not size:
            return bytes([number << 3 | 2]) + bytes(length) + content


def nested(name: str, levels: int) -> Make:
    """Graphs in graphs, which readers walk down."""

    def make(folder: Path, marker: Path) -> None:
        inner = b""
        for _ in range(levels):
            attribute = field(1, b"then_branch") + field(6, inner) + b"\xa0\x01\x05"
            inner = field(1, field(2, b"y") + field(4, b"If") + field(5, attribute))
        whole = good([node("If", "x", "logits")]).SerializeToString()
        (folder / name).write_bytes(whole + field(7, inner))

    return make


def graph(name: str, made: Callable[[], Any]) -> Make:
    return lambda folder, _: saved(made(), folder / name)


MATMUL = node("MatMul", "x W", "l")
HUGE = [node("ConstantOfShape", "big", "c"), node("ReduceSum", "c", "s", keepdims=0), MATMUL, node("Add", "l s", "logits")]  # fmt: skip
FILES = {
    "dotdot": outside("dotdot.onnx", "../secret.bin"),
    "deep-dotdot": outside("deep-dotdot.onnx", "sub/../../secret.bin"),
    "absolute": outside("absolute.onnx", "{}/secret.bin"),
    "passwd": outside("passwd.onnx", "/etc/passwd"),
    "backslash": outside("backslash.onnx", "..\\secret.bin"),
    "drive": outside("drive.onnx", "C:\\secret.bin"),
    "nul": outside("nul.onnx", "weights.bin\0../secret.bin"),
    "nowhere": outside("nowhere.onnx", ""),
    "address": outside("address.onnx", "*/_ORT_MEM_ADDR_/*", 4096),
    "missing": outside("missing.onnx", "weights.bin"),
    "url": outside("url.onnx", "http://127.0.0.1:9/weights.bin"),
    "link": beside("link.onnx", lambda data, secret: data.symlink_to(secret)),
    "links": beside("links.onnx", chain),
    "hard-link": beside("hard-link.onnx", twice),
    "pipe": beside("pipe.onnx", lambda data, _: os.mkfifo(data)),
    "folder": beside("folder.onnx", lambda data, _: data.mkdir()),
    "device": beside("device.onnx", lambda data, _: data.symlink_to("/dev/zero")),
    "environ": beside("environ.onnx", lambda data, _: data.symlink_to("/proc/self/environ")),
    "short": beside("short.onnx", lambda data, _: data.write_bytes(bytes(NEEDED - 1))),
    "before": outside("before.onnx", "x.npy", -8),
    "beyond": outside("beyond.onnx", "x.npy", 1 << 60),
    "longer": outside("longer.onnx", "x.npy", 0, 1 << 50),
    "node": inside_a_node,
    "negative": sides("negative.onnx", -4, CLASSES),
    "enormous": sides("enormous.onnx", 1 << 40, 1 << 22),
}
GRAPHS = [
    *(Evil(f"{name}.onnx", make, (MODEL[0], MODEL[1], MODEL[4], MODEL[6]), says=f"{name}.onnx") for name, make in FILES.items()),
    Evil("nested.onnx", nested("nested.onnx", 24), (MODEL[0], MODEL[1])),
    Evil("very-nested.onnx", nested("very-nested.onnx", 3000), (MODEL[0], MODEL[1])),
    Evil("custom.onnx", graph("custom.onnx", lambda: good([node("Run", "x", "logits", domain="os.system")])), (MODEL[0],)),
    Evil("huge.onnx", graph("huge.onnx", lambda: good(HUGE, weights={"big": np.array([1 << 40], np.int64)})), (MODEL[0],), (3,)),
    # These two pass every checker and kill onnxruntime; the process that runs them is a child.
    Evil("max.onnx", graph("max.onnx", lambda: good([MATMUL, helper.make_node("Max", ["l", ""], ["logits"])])), (MODEL[0], MODEL[5]), (2, 3)),
    Evil("scale.onnx", graph("scale.onnx", lambda: good([node("RandomNormal", "", "n", shape=[2, 3], scale=-1.0), MATMUL, node("ReduceSum", "n", "s", keepdims=0), node("Add", "l s", "logits")])), (MODEL[0],), (2, 3)),
    Evil("note.onnx", graph("note.onnx", lambda: good(metadata={"lacal.calibration": "[" * 5000, "lacal.training": "{}"})), MODEL, (0, 2)),
    Evil("config.onnx", graph("config.onnx", lambda: good(metadata={"ort_config": '{"session_options": {"enable_profiling": 1}}'})), (MODEL[0],), (0,)),
    Evil("sequence.onnx", graph("sequence.onnx", lambda: good([MATMUL, node("SequenceConstruct", "l", "logits")], outputs=[helper.make_tensor_sequence_value_info("logits", TensorProto.FLOAT, None)])), (MODEL[0],)),
]  # fmt: skip
