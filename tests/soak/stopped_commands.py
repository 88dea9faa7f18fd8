"""Commands with so much to do that a signal meets them at work; two of them run models that never return."""

import functools
import io
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np

ROWS, CLASSES = 100_000, 20
COUNTED = ("--counts", "many_counts.csv")
ENDLESS = ("--scores", "logits", "--batch-size", "10", "-o")

# Name -> line, and the processor seconds within which a moment is drawn: start-up, imports, work.
STOPPED: Mapping[str, tuple[tuple[str, ...], float]] = {
    "inspect": (("inspect", "long.npy", "--scores", "logits"), 1.5),
    "tune-tau": (("tune-tau", "many.npz", *COUNTED, "--draws", "3000", "-o", "c.json"), 2.0),
    "adjust": (("adjust", "long.npy", "--counts", "counts.csv", "--tau", "1", "--scores", "logits", "-o", "p.parquet"), 2.0),
    "evaluate": (("evaluate", "many.npz", *COUNTED, "--report", "e.html"), 1.5),
    "compare": (("compare", "many.npz", "many.npz", *COUNTED, "--allow-tuned-rows"), 3.0),
    "infer": (("infer", "model.onnx", "inputs.npy", *ENDLESS, "out.parquet"), 2.5),
    "train": (("train", "train.npz", "--val", "val3.npz", "--network", "mlp:16", "--epochs", "10000", "-o", "run"), 5.0),
    "endless onnx": (("infer", "endless.onnx", "inputs.npy", *ENDLESS, "endless1.npz"), 2.5),
    "endless torchscript": (("infer", "endless.pt", "inputs.npy", *ENDLESS, "endless2.npz", "--trust-model"), 5.0),
}  # fmt: skip
RESUMES = {"infer": ".out.parquet.parts/part-*.arrow", "train": "run/state/epoch-*"}


def make_inputs(folder: Path) -> None:
    """The files that the lines name."""
    import onnx

    from tests.models.onnx_small import model
    from tests.small_world import write_world

    write_world(folder)
    chance = np.random.default_rng(0)
    np.savez(
        folder / "many.npz",
        logits=chance.standard_normal((ROWS, CLASSES), np.float32),
        labels=np.arange(ROWS) % CLASSES,
    )
    counts = "".join(f"{one},{1000 - 40 * one}\n" for one in range(CLASSES))
    (folder / "many_counts.csv").write_text("class,count\n" + counts)
    zeros(folder / "long.npy", 20_000_000, 5)
    zeros(folder / "inputs.npy", 2_000_000, 4)
    onnx.save(model(), folder / "model.onnx")
    onnx.save(endless_onnx(), folder / "endless.onnx")
    (folder / "endless.pt").write_bytes(endless_script())
    for name in ("train", "val3"):
        inputs = chance.normal(size=(2_000, 4)).astype(np.float32)
        np.savez(folder / f"{name}.npz", x=inputs, labels=np.arange(2_000) % 3)


def zeros(path: Path, rows: int, columns: int) -> None:
    """An array that takes no room on the disk."""
    with path.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (rows, columns)}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + rows * columns * 4)


def endless_onnx() -> object:
    """A loop of 2**62 turns."""
    from onnx import TensorProto, helper

    value, float32 = helper.make_tensor_value_info, TensorProto.FLOAT
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["go_on"]), helper.make_node("Sin", ["v"], ["w"])],
        "body",
        [
            value("i", TensorProto.INT64, []),
            value("go", TensorProto.BOOL, []),
            value("v", float32, ["n", 4]),
        ],
        [value("go_on", TensorProto.BOOL, []), value("w", float32, ["n", 4])],
    )
    graph = helper.make_graph(
        [helper.make_node("Loop", ["turns", "go_in", "x"], ["logits"], body=body)],
        "endless",
        [value("x", float32, ["n", 4])],
        [value("logits", float32, ["n", 4])],
        [
            helper.make_tensor("turns", TensorProto.INT64, [], [2**62]),
            helper.make_tensor("go_in", TensorProto.BOOL, [], [True]),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@functools.cache
def endless_script() -> bytes:
    """A loop without an end; defined once, since torch takes no second definition of the same."""
    import torch

    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = torch.jit.ScriptModule()
        module.define(
            "def forward(self, x):\n"
            "    while bool(x.sum() < 1e9):\n"
            "        x = torch.sin(x)\n"
            "    return x\n"
        )
        torch.jit.save(module, file)
    return file.getvalue()
