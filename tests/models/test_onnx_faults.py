"""What onnxruntime refuses, runs out of, or falls back from, and that nothing of it is printed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper

from lacal.errors import DataError, RunError
from lacal.models.model import OutOfMemory
from lacal.models.onnx.faults import load_fault, run_fault
from tests.models.onnx_small import model, node, opened, value

X = np.ones((2, 4), np.float32)
WIDE = [value("logits", ("N", 4))]
CUDA = "CUDAExecutionProvider"


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (
            model(opset=99),
            r"needs a newer onnxruntime than .*got opset 99 of ai\.onnx, expected at most \d+",
        ),
        (model(ir=99), r"needs a newer onnxruntime than .*got IR version 99, expected at most \d+"),
        (
            model(
                [node("Scaler", "x", "logits", domain="ai.onnx.ml")],
                outputs=WIDE,
                imports=(helper.make_opsetid("ai.onnx.ml", 99),),
            ),
            r"newer onnxruntime.*got opset 99 of ai\.onnx\.ml",
        ),
        (
            model(
                [node("Foo", "x", "logits", domain="my.ops")],
                imports=(helper.make_opsetid("my.ops", 1),),
            ),
            r"uses custom operators of domain 'my\.ops' \('Foo'\)",
        ),
        (model([node("Foo", "x", "logits", domain="my.ops")]), r"domain 'my\.ops' \('Foo'\)"),
        (model([node("Foo", "x", "logits")]), "operator 'Foo', which opset 17 does not have"),
        (model([node("MatMul", "none W", "logits")]), "does not take the model.*'none'"),
        (
            model([node("MatMul", "l W", "l"), node("Relu", "l", "logits")]),
            "does not take the model",
        ),
        (
            model(
                [
                    node("Cast", "x", "b", to=16),
                    node("Erf", "b", "c"),
                    node("Cast", "c", "logits", to=1),
                ]
            ),
            r"does not run operator 'Erf\(13\)'",
        ),
    ],
)
def test_a_model_that_onnxruntime_does_not_take_is_explained(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], made: Any, words: str
) -> None:
    with pytest.raises(DataError, match=words) as raised:
        opened(made, tmp_path)
    message = str(raised.value).removeprefix(str(tmp_path))
    assert "onnxruntime_src" not in message
    assert len(message) < 350
    assert capfd.readouterr() == ("", "")


HUGE = [
    node("Cast", "x", "i", to=TensorProto.INT64),
    node("ReduceMax", "i", "top", keepdims=0),
    node("Reshape", "top one", "shape"),
    node("ConstantOfShape", "shape", "big"),
    node("ReduceSum", "big", "sum", keepdims=0),
    node("Add", "x sum", "logits"),
]
ONE = {"one": np.array([1], np.int64)}


def test_a_batch_without_room_is_told_from_other_faults(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    found = opened(model(HUGE, outputs=WIDE, weights=ONE), tmp_path)
    with pytest.raises(
        OutOfMemory, match=r"batch of 2 rows does not fit into memory.*ConstantOfShape"
    ):
        found.run([X * 2.0**42])
    assert np.array_equal(found.run([X]), X)  # and it is still good for what fits
    assert capfd.readouterr() == ("", "")


def test_a_fault_in_mid_run_is_a_short_sentence(tmp_path: Path) -> None:
    made = model(
        [node("Gather", "x i", "logits", axis=0)],
        outputs=WIDE,
        weights={"i": np.array([9], np.int64)},
    )
    with pytest.raises(
        RunError, match=r"batch of 2 rows failed in operator Gather '': indices elem"
    ) as raised:
        opened(made, tmp_path).run([X])
    assert not isinstance(raised.value, OutOfMemory)


@pytest.mark.parametrize(
    ("error", "memory"),
    [
        (MemoryError(), True),
        (RuntimeError("std::bad_alloc"), True),
        (
            Exception(
                "bfc_arena.cc:376 void* f(size_t) Failed to allocate memory for requested buffer"
            ),
            True,
        ),
        (Exception("CUDA failure 2: out of memory ; GPU=0 ; hostname=h"), True),
        (Exception("CUDNN failure 4: CUDNN_STATUS_ALLOC_FAILED"), True),
        (Exception("CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED"), True),
        (Exception("Available memory of 10 is smaller than requested bytes of 20"), True),
        (Exception("CUDA failure 700: an illegal memory access was encountered"), False),
        (Exception("CUDA failure 209: no kernel image is available"), False),
        (Exception(), False),
    ],
)
def test_memory_is_told_by_the_text(error: Exception, memory: bool) -> None:
    path = Path("m.onnx")
    assert type(run_fault(path, error, 7)) is (OutOfMemory if memory else RunError)
    fault = load_fault(path, error, "1.0", {}, cuda=False)
    assert type(fault) is (OutOfMemory if memory else DataError)


def test_text_of_a_library_is_cut_and_escaped() -> None:
    error = Exception("[ONNXRuntimeError] : 1 : FAIL : \x1b[31m" + "x" * 5000 + "\nsecond line")
    message = str(run_fault(Path("m.onnx"), error, 7))
    assert "\\x1b[31mxxx" in message
    assert len(message) < 250


class FakeGpu:
    """Stands in for an onnxruntime with CUDA in it, of which `got` says what a session really gets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, got: Any, nodes: int = 3) -> None:
        self.asked: list[Any] = []
        real = onnxruntime.InferenceSession

        def session(content: Any, settings: Any, *, providers: Any, **more: Any) -> Any:
            self.asked.append(providers)
            self.fallback = more["enable_fallback"]
            made = real(content, settings, providers=["CPUExecutionProvider"], **more)
            if providers[0] != "CPUExecutionProvider":
                if isinstance(got, Exception):
                    raise got
                made.get_providers = lambda: got
                part = type("Part", (), {"ep_name": CUDA, "get_nodes": lambda _: range(nodes)})
                made.get_provider_graph_assignment_info = lambda: [part()]
            return made

        monkeypatch.setattr(
            onnxruntime, "get_available_providers", lambda: [CUDA, "CPUExecutionProvider"]
        )
        monkeypatch.setattr(onnxruntime, "InferenceSession", session)
        monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: print("noise"), raising=False)


def test_cuda_that_is_there_is_used_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    fake = FakeGpu(monkeypatch, [CUDA, "CPUExecutionProvider"])
    for device in ("auto", "cuda"):
        where = opened(model(), tmp_path, device=device).runs_on
        assert where.device.startswith("cuda:0")
        assert where.provider == CUDA
        assert where.notes == ("CUDA runs 3 nodes, CPU 0",)
    (name, settings), last = fake.asked[0]
    assert (name, settings["use_tf32"], last) == (CUDA, "0", "CPUExecutionProvider")
    assert fake.fallback == 0
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("got", "nodes", "words"),
    [
        (["CPUExecutionProvider"], 3, "found no CUDA device"),
        ([CUDA, "CPUExecutionProvider"], 0, "runs no operator of this model on CUDA"),
        (RuntimeError("CUDA failure 35: CUDA driver version is insufficient"), 3, "CUDA"),
        (Exception("CUDA failure 2: out of memory"), 3, "does not fit into memory|CUDA"),
    ],
)
def test_cuda_that_is_not_had_is_an_error_or_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, got: Any, nodes: int, words: str
) -> None:
    FakeGpu(monkeypatch, got, nodes)
    with pytest.raises(RunError, match=words):
        opened(model(), tmp_path, device="cuda")
    found = opened(model(), tmp_path, device="auto")
    assert found.runs_on.device == "cpu"
    assert len(found.runs_on.notes) == 1
    assert "the model runs on the CPU" in found.runs_on.notes[0]
    assert found.run([X]).shape == (2, 3)


def test_a_bad_model_is_the_model_s_fault_also_on_cuda(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FakeGpu(monkeypatch, [CUDA])
    with pytest.raises(DataError, match="opset 99"):
        opened(model(opset=99), tmp_path, device="cuda")


def test_without_cuda_in_it_onnxruntime_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(
        RunError, match=r"--device cuda cannot be had: onnxruntime .* has no CUDA in it"
    ):
        opened(model(), tmp_path, device="cuda")
    assert opened(model(), tmp_path, device="auto").runs_on.device == "cpu"
    assert capfd.readouterr() == ("", "")
