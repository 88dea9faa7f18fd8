"""Models with every fault a real one can have, each through the command line: its exit code, and what is said."""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("torch")

import onnx
from onnx import helper

from lacal import model_source
from lacal.cli.main import run
from lacal.environment import ask
from lacal.models.onnx.session import OnnxModel
from lacal.pipeline import collect
from tests.faults.evil.graphs import CLASSES, HUGE, good
from tests.models.onnx_small import beside, node, saved, value
from tests.models.torch_models import (
    Module,
    exported,
    files_of,
    module,
    packed,
    quietly,
    torch,
    traced,
)
from tests.small_world import COUNTS, NAMES, json_of, lacal, refusal

MATMUL = node("MatMul", "x W", "l")
IDENTITY = node("Identity", "l", "logits")
FLAGS = {"half": np.array(0.5, np.float32), "on": np.array(True)}
ONES = {name: np.ones(CLASSES, np.float32) for name in "sbmv"}
RANDOM = "two runs on the same 16 rows gave different scores; dropout"


def graph(*nodes: Any, **more: Any) -> bytes:
    return bytes(good(list(nodes) or None, **more).SerializeToString())


def after(name: str, **attributes: Any) -> bytes:
    """The logits through one more operator."""
    return graph(MATMUL, node(name, "l", "logits", **attributes))


WHOLE = graph()
SPOILT: dict[str, tuple[bytes, str]] = {
    "cut off": (WHOLE[:60], "is no model that lacal runs"),
    "junk": (bytes(range(1, 200)), "is no model that lacal runs"),
    "another magic": (b"GIF89a" + WHOLE, "is no model that lacal runs"),
    "empty": (b"", "is empty (0 bytes)"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    "page": (b"<!doctype html><title>404</title>", "is an HTML or XML page"),
    "newer opset": (graph(opset=99), "needs a newer onnxruntime than"),
    "newer IR": (graph(ir=99), "got IR version 99"),
    "custom operator": (graph(node("Foo", "x", "logits", domain="my.ops")), "domain 'my.ops' ('Foo')"),
    "cycle": (graph(node("Add", "x b", "a"), node("Add", "a x", "b"), node("MatMul", "b W", "logits")), "acyclic"),
    "lying shape": (graph(outputs=[value("logits", ("N", 7))]), "declares 7 classes and gives 5"),
    "other rows": (graph(MATMUL, node("ReduceSum", "l axis", "logits"), weights={"axis": np.array([0])}), "(1, 5) for 16 rows"),
    "no batch": (graph(inputs=[value("x", (0, 4))]), "got 0 by 'x'"),
    "several outputs": (graph(MATMUL, IDENTITY, outputs=[value("l", ("N", 5)), value("logits", ("N", 5))]), "--output NAME"),
    "sequence": (graph(MATMUL, node("SequenceConstruct", "l", "logits"), outputs=[helper.make_tensor_sequence_value_info("logits", 1, None)]), "is a sequence"),
    "integers": (graph(MATMUL, node("Cast", "l", "logits", to=7), outputs=[value("logits", ("N", 5), 7)]), "is int64"),
    "one class": (graph(node("MatMul", "x V", "logits"), outputs=[value("logits", ("N", 1))], weights={"V": np.ones((4, 1), np.float32)}), "at least 2 classes"),
    "softmax": (after("Softmax", axis=1), "--output 'l'"),
    "sigmoid": (after("Sigmoid"), "is a softmax or sigmoid of 'l'"),
}  # fmt: skip
FAILING: dict[str, tuple[bytes, str]] = {
    "NaN": (after("Log"), "is NaN (and "),
    "dropout": (graph(MATMUL, node("Dropout", "l half on", "logits"), weights=FLAGS), RANDOM),
    "noise": (graph(MATMUL, node("RandomNormalLike", "l", "n"), node("Add", "l n", "logits")), RANDOM),
    "batch statistics": (graph(MATMUL, node("ReduceMean", "l", "m", axes=[0]), node("Sub", "l m", "logits")), "change with the rows beside"),
    "no room": (graph(*HUGE, weights={"big": np.array([1 << 40], np.int64)}), "one row is too much"),
}  # fmt: skip


@pytest.fixture
def at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with inputs, and the one to be in."""
    rows = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32)
    np.save(tmp_path / "x.npy", -np.abs(rows[:, :4]))
    np.save(tmp_path / "x6.npy", rows)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def infer(name: str, content: bytes, *more: str, inputs: str = "x.npy") -> list[str]:
    Path(name).write_bytes(content)
    return ["infer", name, inputs, "-o", "o.npz", *more]


@pytest.mark.parametrize("fault", SPOILT)
def test_a_model_at_fault(fault: str, at_work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    content, words = SPOILT[fault]
    said = refusal(capfd, *infer("m.onnx", content))
    assert words in said
    assert said.count("m.onnx") <= 2
    assert not Path("o.npz").exists()


@pytest.mark.parametrize("fault", FAILING)
def test_a_model_that_fails(fault: str, at_work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    content, words = FAILING[fault]
    assert words in refusal(capfd, *infer("m.onnx", content), code=3)
    assert [one.name for one in sorted(at_work.iterdir())] == ["m.onnx", "x.npy", "x6.npy"]


def linear() -> list[Any]:
    return [torch.nn.Linear(6, 5), torch.nn.Dropout(0.5)]


class Widening(Module):
    """Gives float64 for some rows and float32 for others."""

    def forward(self, x):  # type: ignore[no-untyped-def]
        if bool((x > 0).any()):
            return x.double() * 2.5
        return x - 1.5


TORCH: dict[str, tuple[str, Callable[[], bytes], int, str]] = {
    "cut off": ("m.pt2", lambda: exported("linear")[:900], 2, "is a damaged zip file"),
    "softmax": ("m.pt2", lambda: exported("softmax"), 2, "is a softmax of 'linear'"),
    "dropout left on": ("m.pt2", lambda: exported("dropout", training=True), 3, RANDOM),
    "no room": ("m.pt2", lambda: exported("hungry"), 3, "one row is too much"),
    "several outputs": ("m.pt2", lambda: exported("several"), 2, "--output NAME"),
    "flat": ("m.pt2", lambda: exported("flat"), 2, "gives no scores"),
    "cut off script": ("m.pt", lambda: traced("linear")[:900], 2, "is a damaged zip file"),
    "other width": ("m.pt", lambda: traced("log-linear"), 2, "does not take these inputs"),
    "traced in training": ("m.pt", lambda: traced("dropout", training=True), 3, RANDOM),
    "traced on a GPU": ("m.pt", lambda: for_a_gpu(traced("device")), 2, "was traced for cuda:0"),
    "state dict": ("m.pt", lambda: state(), 2, "is no program to run"),
}  # fmt: skip


def for_a_gpu(content: bytes) -> bytes:
    """TorchScript whose code names a GPU, as that of a model traced on one does."""
    files = files_of(content)
    return packed({name: one.replace(b'("cpu")', b'("cuda:0")') for name, one in files.items()})


def state() -> bytes:
    buffer = io.BytesIO()
    torch.save(module("linear").state_dict(), buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("fault", TORCH)
def test_a_torch_model_at_fault(
    fault: str, at_work: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    name, made, code, words = TORCH[fault]
    inputs = "x.npy" if fault == "other width" else "x6.npy"
    said = refusal(capfd, *infer(name, made(), "--trust-model", inputs=inputs), code=code)
    assert words in said
    assert len(said) < 500
    assert "weights_only" not in said


def test_a_script_saved_in_training_is_put_into_evaluation(at_work: Path) -> None:
    with torch.random.fork_rng(devices=[]):
        net = torch.nn.Sequential(*linear()).train()
    content = quietly(torch.jit.script, net)
    assert lacal(*infer("m.pt", content, "--trust-model", inputs="x6.npy")) == 0


@pytest.mark.parametrize("batch", [1, 3, 8, 50])
def test_a_fixed_batch_is_padded(batch: int, at_work: Path) -> None:
    whole = good(inputs=[value("x", (batch, 4))], outputs=[value("logits", (batch, CLASSES))])
    assert lacal(*infer("fixed.onnx", whole.SerializeToString())) == 0
    fixed = np.load("o.npz")["logits"]
    assert lacal(*infer("m.onnx", WHOLE, "--force")) == 0
    assert np.array_equal(fixed, np.load("o.npz")["logits"])


@pytest.mark.parametrize("change", ["big-endian", "Fortran", "strided", "float64", "read-only"])
def test_the_layout_of_inputs_changes_no_bit(change: str, at_work: Path) -> None:
    """onnxruntime takes big-endian numbers for native ones without a word."""
    x = np.load("x.npy")
    made = {
        "big-endian": x.astype(">f4"),
        "Fortran": np.asfortranarray(x),
        "strided": np.repeat(x, 2, axis=0)[::2],
        "float64": x.astype(np.float64),
        "read-only": x,
    }
    np.save("y.npy", made[change])
    if change == "read-only":
        Path("y.npy").chmod(0o444)
    for inputs, out in (("x.npy", "a.npz"), ("y.npy", "b.npz")):
        Path("m.onnx").write_bytes(WHOLE)
        assert lacal("infer", "m.onnx", inputs, "-o", out) == 0
    assert np.array_equal(np.load("a.npz")["logits"], np.load("b.npz")["logits"])


@pytest.mark.parametrize("opset", [13, 17, 21])
def test_an_export_keeps_the_models_own_versions(
    opset: int, at_work: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """onnx writes its newest by default, which onnxruntime refuses; weights that lay beside come into the one file."""
    made = good(opset=opset, ir=8)
    beside(made, at_work)
    rows = "".join(f"{name},{count}\n" for name, count in zip(NAMES, COUNTS, strict=True))
    Path("counts.csv").write_text("class,count\n" + rows)
    np.savez("val.npz", x=np.repeat(np.load("x.npy"), 3, axis=0), labels=np.arange(60) % CLASSES)
    line = ("--inputs", "val.npz", "--counts", "counts.csv", "--draws", 10, "-o", "c.json")
    json_of(capfd, "tune-tau", "model.onnx", *line)
    json_of(capfd, "export", "model.onnx", "--calibration", "c.json", "-o", "out.onnx")
    found = onnx.load("out.onnx", load_external_data=False)
    assert (found.ir_version, found.opset_import[0].version) == (8, opset)
    assert all(one.data_location == 0 for one in found.graph.initializer)


def test_a_crash_tells_what_is_kept(
    at_work: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The process that runs the model is gone, and the parts that it finished are not."""
    monkeypatch.setattr(collect, "PART_ROWS", 20)
    monkeypatch.setattr(model_source, "TOGETHER_SECONDS", 0.0)
    real = OnnxModel.run

    def dying(self: OnnxModel, inputs: Any) -> Any:
        if (inputs[0] > 10).any():
            time.sleep(0.5)  # time for the part before to be written
            os.kill(os.getpid(), signal.SIGKILL)
        return real(self, inputs)

    monkeypatch.setattr(OnnxModel, "run", dying)
    rows = np.zeros((60, 4), np.float32)
    rows[55] = 11
    np.save("x.npy", rows)
    line = infer("m.onnx", WHOLE, "--batch-size", "5")
    assert run(line, supervise=True) == 3
    err = capfd.readouterr().err
    assert "40 finished rows are kept; go on with --resume" in err
    assert "m.onnx: the process that runs the model was killed" in err.splitlines()[-1]
    monkeypatch.setattr(OnnxModel, "run", real)
    assert lacal(*line, "--resume") == 0
    assert np.load("o.npz")["logits"].shape == (60, CLASSES)


def test_scores_that_change_their_type(
    at_work: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(model_source, "TOGETHER_SECONDS", 0.0)
    rows = np.zeros((64, 6), np.float32)
    rows[40:] = 1
    np.save("far.npy", rows)
    content = quietly(torch.jit.script, Widening())
    line = infer("m.pt", content, "--trust-model", "--batch-size", "4", inputs="far.npy")
    said = refusal(capfd, *line, code=3)
    assert "scores of row 40 and on are float64, those before it float32" in said


def test_nothing_is_left_in_the_home_folder(at_work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """onnxruntime keeps a database there, and reports to its makers, unless it is told not to."""
    saved(good(), at_work / "m.onnx")
    (at_work / "home").mkdir()
    for name in ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(at_work / "home"))
    line = [sys.executable, "-m", "lacal", "infer", "m.onnx", "x.npy", "-o", "o.npz"]
    subprocess.run(line, check=True, capture_output=True)
    assert ask("onnxruntime").fault is None
    assert not list((at_work / "home").rglob("*"))


CUDA = "CUDAExecutionProvider" in onnxruntime.get_available_providers() or torch.cuda.is_available()


@pytest.mark.skipif(CUDA, reason="a GPU is there")
@pytest.mark.parametrize("name", ["m.onnx", "m.pt2", "m.pt", "train"])
def test_a_gpu_that_is_not_there_ends_the_run_soon(
    name: str, at_work: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Asked for the GPU means on the GPU, or exit code 3."""
    saved(good(), at_work / "m.onnx")
    Path("m.pt2").write_bytes(exported("linear"))
    Path("m.pt").write_bytes(traced("linear"))
    np.savez("rows.npz", x=np.ones((20, 4), np.float32), labels=np.arange(20) % 2)
    inputs = "x.npy" if name == "m.onnx" else "x6.npy"
    line = ["infer", name, inputs, "-o", "o.npz", "--trust-model"]
    if name == "train":
        line = ["train", "rows.npz", "-o", "run"]
    began = time.monotonic()
    assert "cuda" in refusal(capfd, *line, "--device", "cuda", code=3)
    assert time.monotonic() - began < 5
    assert not Path("o.npz").exists()
    assert not Path("run").exists()
