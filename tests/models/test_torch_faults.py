"""What can go wrong with a torch model: inputs it does not take, damage, another device, no memory."""

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lacal.errors import DataError, LacalError, MissingExtra, RunError, UsageError
from lacal.models import ModelOptions, open_model
from lacal.models.model import OutOfMemory
from lacal.models.torch.device import device_for, set_up
from lacal.models.torch.faults import run_fault
from tests.models.test_torch_session import KINDS, opened
from tests.models.torch_models import (
    CLASSES,
    FEATURES,
    Module,
    exported,
    files_of,
    inputs_of,
    logits_of,
    packed,
    quietly,
    saved_program,
    scripted,
    torch,
    written,
)

WRONG: dict[str, tuple[Sequence[NDArray[Any]], str]] = {
    "width": ([np.zeros((3, FEATURES + 1), np.float32)], "got float32 (3, 7); expected the shapes"),
    "rank": ([np.zeros((3, 2, 2), np.float32)], "got float32 (3, 2, 2); expected the shapes"),
    "type": (
        [np.zeros((3, FEATURES), np.uint8)],
        "got uint8 (3, 6); expected the shapes and types",
    ),
    "text": ([np.zeros((3, FEATURES), "<U3")], "got str96 (3, 6); expected the shapes and types"),
    "number": ([np.zeros((3, FEATURES), np.float32)] * 2, "got 2 arrays, expected one for each of"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_inputs(what: str, tmp_path: Path) -> None:
    arrays, words = WRONG[what]
    for build in KINDS.values():
        model = opened(tmp_path, build("linear"))
        with pytest.raises(DataError) as caught:
            model.run(arrays)
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_layout_and_size_of_images(kind: str, tmp_path: Path) -> None:
    model = opened(tmp_path, KINDS[kind]("conv"))
    for shape in ((2, 8, 8, 3), (2, 3, 9, 9), (2, 192), (2, 4, 8, 8)):
        with pytest.raises(
            DataError, match=r"does not take these inputs \(.+\); got float32 \(2, "
        ):
            model.run([np.zeros(shape, np.float32)])


def test_a_fixed_batch_and_guards(tmp_path: Path) -> None:
    fixed = opened(tmp_path, exported("linear", batch=4))
    assert fixed.run(inputs_of("linear", 4)).shape == (4, CLASSES)
    with pytest.raises(DataError, match=r"Guard failed: .*== 4\); got float32 \(3, 6\)"):
        fixed.run(inputs_of("linear", 3))
    pairs = opened(tmp_path, exported("pairs"))
    first, second = inputs_of("pairs", 3)
    assert pairs.run([first, second]).shape == (3, CLASSES)
    with pytest.raises(
        DataError, match=r"Guard failed: .*; got float32 \(3, 6\), float32 \(1, 6\)"
    ):
        pairs.run([first, second[:1]])


@pytest.mark.parametrize("kind", ["exported", "scripted"])
def test_out_of_memory(kind: str, tmp_path: Path) -> None:
    with pytest.raises(OutOfMemory, match=r"a batch of 3 rows does not fit .*smaller --batch-size"):
        opened(tmp_path, KINDS[kind]("hungry")).run(inputs_of("hungry", 3))


def test_trust(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--trust-model"):
        opened(tmp_path, scripted("linear"), trust=False)
    files = {**files_of(exported("linear")), "archive/extra/note.txt": b"hello"}
    with pytest.raises(UsageError, match="--trust-model"):
        opened(tmp_path, packed(files), trust=False)
    inputs = inputs_of("linear", 4)
    scores = opened(tmp_path, packed(files)).run(inputs)
    np.testing.assert_array_equal(scores, logits_of("linear", inputs))


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files(kind: str, tmp_path: Path) -> None:
    content = KINDS[kind]("linear")
    for at in (10, len(content) // 2, len(content) - 30):
        with pytest.raises(LacalError) as caught:
            opened(tmp_path, content[:at])
        assert caught.value.exit_code == 2
    files = files_of(content)
    inner = next(name for name in files if name.endswith(("models/model.json", "data.pkl")))
    for spoilt in (b"{}", b"\x80\x02."):
        with pytest.raises(DataError, match="damaged"):
            opened(tmp_path, packed({**files, inner: spoilt}))


@pytest.mark.parametrize("kind", ["traced", "exported"])
def test_traced_for_cuda(kind: str, tmp_path: Path) -> None:
    old, new = {
        "traced": (b'torch.device("cpu")', b'torch.device("cuda:0")'),
        "exported": (b'"type": "cpu", "index": null', b'"type": "cuda", "index": 0'),
    }[kind]
    files = files_of(KINDS[kind]("device"))
    changed = {
        name: text if name.endswith(".debug_pkl") else text.replace(old, new)
        for name, text in files.items()
    }
    assert changed != files
    with pytest.raises(
        DataError, match=r"was traced for cuda.* --device cuda, or trace and save it"
    ):
        opened(tmp_path, packed(changed), device="cpu")


def test_no_cuda(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(
        RunError, match=r"--device cuda: .* is built without CUDA; install"
    ) as caught:
        opened(tmp_path, exported("linear"), device="cuda")
    assert caught.value.exit_code == 3
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    with pytest.raises(RunError, match="finds no NVIDIA GPU or no driver for it"):
        device_for(torch, "cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: warnings.warn("too old", stacklevel=1))
    with pytest.raises(RunError, match="says: too old, or take --device cpu"):
        device_for(torch, "cuda")
    model = opened(tmp_path, exported("linear"), device="auto")
    assert model.runs_on.device == "cpu"
    assert "runs on the CPU" in model.runs_on.notes[0]


def test_no_tf32_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert device_for(torch, "auto") == device_for(torch, "cuda") == "cuda:0"
    backends = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [backend.allow_tf32 for backend in backends]
    try:
        for backend in backends:
            backend.allow_tf32 = True
        set_up(torch, "cuda:0", ModelOptions())
        assert [backend.allow_tf32 for backend in backends] == [False, False]
    finally:
        for backend, value in zip(backends, before, strict=True):
            backend.allow_tf32 = value


# What torch says on a GPU, which is not here -> what is raised of it.
GPU_FAULTS: dict[str, tuple[Exception, type[LacalError], str]] = {
    "memory": (torch.OutOfMemoryError("CUDA out of memory. Tried"), OutOfMemory, "smaller --batch"),
    "blas": (
        RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling"),
        OutOfMemory,
        "smaller --batch",
    ),
    "device": (
        RuntimeError(
            "Expected all tensors to be on the same device, but found at least two devices"
        ),
        DataError,
        "keeps some of its tensors on the CPU by its own code",
    ),
    "kernel": (
        RuntimeError("CUDA error: an illegal memory access"),
        RunError,
        "failed on a batch of",
    ),
    "cuda": (RuntimeError("Found no NVIDIA driver on your system"), DataError, "traced for cuda"),
}


@pytest.mark.parametrize("fault", GPU_FAULTS)
def test_gpu_faults(fault: str) -> None:
    error, expected, words = GPU_FAULTS[fault]
    raised = run_fault(Path("m"), torch, error, [np.zeros((2, 3))], "cuda:0", "float32")
    assert type(raised) is expected
    assert words in str(raised)


def test_arguments_that_are_no_tensors(tmp_path: Path) -> None:
    class Scaled(Module):
        def forward(self, x, by: float, more: float = 1.0):  # type: ignore[no-untyped-def]
            return x * by * more

    with pytest.raises(
        DataError, match="needs argument 'by' of type 'float'; expected tensors alone"
    ):
        opened(tmp_path, quietly(torch.jit.script, Scaled()))
    example = (torch.ones(2, FEATURES), 2.0)
    with pytest.raises(DataError, match=r"input .* is no tensor; expected tensors alone"):
        opened(tmp_path, saved_program(torch.export.export(Scaled(), example)))


def test_torch_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, scripted("linear"))
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match=r"needs torch, .*lacal\[torch\]"):
        open_model(path, ModelOptions(trust=True))
