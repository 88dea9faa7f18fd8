"""Ctrl-C gets through to a model that never returns, whichever runtime it is stuck in."""

import io
import signal
import subprocess
import sys
import time
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pytest

# What a user waits for at most; generous, since CI machines are busy.
PATIENCE = 10


def endless_onnx(path: Path) -> Path:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    make, float32 = onnx.helper, onnx.TensorProto.FLOAT
    body = make.make_graph(
        [
            make.make_node("Identity", ["go"], ["go_on"]),
            make.make_node("Sin", ["v"], ["w"]),
        ],
        "body",
        [
            make.make_tensor_value_info("i", onnx.TensorProto.INT64, []),
            make.make_tensor_value_info("go", onnx.TensorProto.BOOL, []),
            make.make_tensor_value_info("v", float32, ["n", 4]),
        ],
        [
            make.make_tensor_value_info("go_on", onnx.TensorProto.BOOL, []),
            make.make_tensor_value_info("w", float32, ["n", 4]),
        ],
    )
    graph = make.make_graph(
        [make.make_node("Loop", ["turns", "go_in", "x"], ["logits"], body=body)],
        "endless",
        [make.make_tensor_value_info("x", float32, ["n", 4])],
        [make.make_tensor_value_info("logits", float32, ["n", 4])],
        [
            make.make_tensor("turns", onnx.TensorProto.INT64, [], [2**62]),
            make.make_tensor("go_in", onnx.TensorProto.BOOL, [], [True]),
        ],
    )
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)
    return path


def endless_torchscript(path: Path) -> Path:
    path.write_bytes(endless_script())
    return path


@cache
def endless_script() -> bytes:
    """Defined once: torch takes no second definition of the same."""
    torch = pytest.importorskip("torch")
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


@pytest.mark.parametrize("made", [endless_onnx, endless_torchscript])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_an_endless_model(
    tmp_path: Path, made: type, number: signal.Signals, code: int
) -> None:
    model = made(tmp_path / "endless")
    np.save(tmp_path / "x.npy", np.ones((20, 4), np.float32))
    line = ["infer", str(model), str(tmp_path / "x.npy"), "-o", str(tmp_path / "out.npz")]
    process = subprocess.Popen(
        [sys.executable, "-m", "lacal", *line, "--trust-model"],
        stderr=subprocess.PIPE,
        text=True,
    )
    child = children_of(process.pid)
    while seconds_of(child) < 2.0:  # imports take less; from then on it is the model
        assert process.poll() is None
        time.sleep(0.05)
    began = time.monotonic()
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert time.monotonic() - began < PATIENCE
    assert "outputs are whole or absent" in err
    assert sorted(one.name for one in tmp_path.iterdir()) == ["endless", "x.npy"]


def children_of(pid: int) -> int:
    """The one child of a process, once there is one."""
    listing = Path(f"/proc/{pid}/task/{pid}/children")
    for _ in range(2000):
        found = listing.read_text().split()
        if found:
            return int(found[0])
        time.sleep(0.01)
    raise AssertionError("no child")


def seconds_of(pid: int) -> float:
    """Processor time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
