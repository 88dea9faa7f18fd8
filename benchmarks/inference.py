"""Inference through lacal against a bare loop of the same runtime, threads and batch; ratios within one run.

    python benchmarks/inference.py                  ResNet-20 on 10,000 images, and a model that costs nothing
    python benchmarks/inference.py --device cuda    a ResNet-50-sized TorchScript, float32 and bfloat16,
                                                    and tau tuned on the device
    python benchmarks/inference.py --memory         private memory at 10,000 and 100,000 inputs

Each figure is the bare loop's time over lacal's, best of interleaved rounds: 1 is as fast, below 1 slower.
"""

import argparse
import io
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from lacal.inputs import open_inputs
from lacal.inputs.inputs import InputOptions
from lacal.inputs.preprocessing import Preprocessing
from lacal.model_source import ModelSource, open_model_source
from lacal.models import ModelOptions, open_model
from lacal.pipeline.infer import infer

ROUNDS = 3


class Residual(nn.Module):
    """Two or three convolutions and a shortcut."""

    def __init__(self, before: int, inner: int, after: int, stride: int, deep: bool) -> None:
        """Basic block, or a bottleneck where `deep`."""
        super().__init__()
        sizes = [(before, inner, 1, 1), (inner, inner, 3, stride), (inner, after, 1, 1)]
        if not deep:
            sizes = [(before, inner, 3, stride), (inner, after, 3, 1)]
        layers: list[nn.Module] = []
        for inside, outside, kernel, step in sizes:
            conv = nn.Conv2d(inside, outside, kernel, step, kernel // 2, bias=False)
            layers += [conv, nn.BatchNorm2d(outside), nn.ReLU()]
        self.body = nn.Sequential(*layers[:-1])
        same = before == after and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(before, after, 1, stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, before, h, w) -> (n, after, h / stride, w / stride)."""
        return torch.relu(self.body(x) + self.shortcut(x))


def resnet20() -> nn.Module:
    """For 3 x 32 x 32, 10 classes, 0.27 M weights."""
    stages = [(16, 16, 1), (16, 32, 2), (32, 64, 2)]
    blocks: list[nn.Module] = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    for before, after, stride in stages:
        blocks.append(Residual(before, after, after, stride, deep=False))
        blocks += [Residual(after, after, after, 1, deep=False) for _ in range(2)]
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)).eval()


def resnet50() -> nn.Module:
    """For 3 x 224 x 224, 1,000 classes, 25 M weights."""
    stem = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
    blocks: list[nn.Module] = [stem, nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    before = 64
    for inner, repeats, stride in [(64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)]:
        for at in range(repeats):
            blocks.append(Residual(before, inner, 4 * inner, 1 if at else stride, deep=True))
            before = 4 * inner
    head = nn.Linear(2048, 1000)
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head).eval()


def tiny() -> nn.Module:
    """32 features, 10 classes, 700 weights: nearly all of its time is the call itself."""
    return nn.Sequential(nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 10)).eval()


def saved(net: nn.Module, example: torch.Tensor, folder: Path, kind: str) -> Path:
    """The network as a file of a kind, any batch size."""
    path = folder / f"{kind}{'.onnx' if kind == 'onnx' else '.pt'}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript and the older exporter announce their end
        if kind == "torchscript":
            torch.jit.trace(net, example).save(str(path))
            return path
        content = io.BytesIO()
        axes = {"x": {0: "n"}, "logits": {0: "n"}}
        torch.onnx.export(
            net,
            (example,),
            content,
            input_names=["x"],
            output_names=["logits"],
            dynamic_axes=axes,
            dynamo=False,
        )
        path.write_bytes(content.getvalue())
    return path


def bare(path: Path, inputs: Path, batch: int, device: str, half: bool) -> Callable[[], int]:
    """The loop anyone would write: read the array, run batch after batch, keep the logits."""
    if path.suffix == ".onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

        def run_onnx() -> int:
            x = np.load(inputs)
            parts = [session.run(None, {"x": x[i : i + batch]})[0] for i in range(0, len(x), batch)]
            return len(np.concatenate(parts))

        return run_onnx
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = torch.jit.load(path, map_location=device).eval()
    kind = torch.bfloat16 if half else torch.float32
    net = net.to(kind)

    def run_torch() -> int:
        x = torch.from_numpy(np.load(inputs))
        with torch.inference_mode():
            parts = [
                net(x[i : i + batch].to(device, kind)).float().cpu()
                for i in range(0, len(x), batch)
            ]
        return len(torch.cat(parts))

    return run_torch


def opened(
    path: Path, inputs: Path, batch: int, device: Any, half: bool, labels: Path | None = None
) -> ModelSource:
    """The same through lacal."""
    precision: Any = "bfloat16" if half else "float32"
    model = open_model(path, ModelOptions(device=device, precision=precision, trust=True))
    read = open_inputs(inputs, model.inputs, InputOptions(Preprocessing()))
    return open_model_source(model, read, labels=labels, batch_size=batch)


def drained(source: ModelSource) -> int:
    """Rows of one pass."""
    return sum(one.logits.shape[0] for one in source.batches())


def drained_on_device(source: ModelSource) -> int:
    """Rows of a pass that looks at nothing, the device's last work done: what tuning is timed against."""
    rows = sum(one.logits.shape[0] for one in source.device_batches())
    torch.cuda.synchronize()
    return rows


def best(*runs: Callable[[], object]) -> list[float]:
    """Shortest time of each, rounds interleaved so that a slow moment hits all alike."""
    times = [[] for _ in runs]
    for _ in range(ROUNDS):
        for run, seen in zip(runs, times, strict=True):
            began = time.perf_counter()
            run()
            seen.append(time.perf_counter() - began)
    return [min(seen) for seen in times]


def compare(folder: Path, name: str, kind: str, rows: int, batch: int) -> None:
    """One line: a pass over the batches, and `infer` with its file, against the bare loop."""
    net, shape = (tiny(), (32,)) if name == "tiny" else (resnet20(), (3, 32, 32))
    path = saved(net, torch.zeros(2, *shape), folder, kind)
    inputs = folder / f"{name}.npy"
    if not inputs.exists():
        values = np.random.default_rng(0).standard_normal((rows, *shape), dtype=np.float32)
        np.save(inputs, values)
    loop = bare(path, inputs, batch, "cpu", False)
    source = opened(path, inputs, batch, "cpu", False)
    stored = folder / "logits.parquet"
    theirs, ours, written = best(
        loop, lambda: drained(source), lambda: infer(source, stored, force=True)
    )
    print(
        f"{name:10} {kind:12} {rows:>9,} rows in {batch:>5}: bare {theirs:6.2f} s, pass "
        f"{theirs / ours:.2f}, infer to Parquet {theirs / written:.2f}"
    )


def on_device(folder: Path) -> None:
    """ResNet-50 on the GPU: throughput in both precisions, and what tuning on the device adds."""
    from lacal.classes.prior import LabelPrior
    from lacal.methods import METHODS, ClassStatistics
    from lacal.pipeline.tune_tau import Search, tune_tau
    from lacal.tau.grid import parse_grid

    rows, batch = 8192, 256
    print(torch.cuda.get_device_name())
    path = saved(resnet50(), torch.zeros(2, 3, 224, 224), folder, "torchscript")
    random = np.random.default_rng(0)
    inputs, labels = folder / "images.npy", folder / "labels.npy"
    np.save(inputs, random.standard_normal((rows, 3, 224, 224), dtype=np.float32))
    np.save(labels, random.integers(0, 1000, rows))
    counts = (1280 * (5 / 1280) ** (np.arange(1000) / 999)).astype(np.int64)
    prior = LabelPrior(counts)
    statistics = ClassStatistics(prior.log_prior)
    method = "logit-adjustment"
    search = Search(method, parse_grid(None, METHODS[method]), draws=10)
    for half in (False, True):
        source = opened(path, inputs, batch, "cuda", half)
        loop = bare(path, inputs, batch, "cuda", half)
        theirs, ours = best(loop, lambda source=source: drained(source))
        print(
            f"{'bfloat16' if half else 'float32':9} bare {rows / theirs:,.0f} rows/s, lacal "
            f"{theirs / ours:.2f} of it"
        )
        labelled = opened(path, inputs, batch, "cuda", half, labels)
        only, tuned = best(
            lambda labelled=labelled: drained_on_device(labelled),
            lambda labelled=labelled: tune_tau(labelled, prior, statistics, search),
        )
        print(
            f"          tune-tau on the device costs {100 * (tuned / only - 1):.1f} % of the pass"
        )


def memory(folder: Path) -> None:
    """Peak private memory of `lacal infer` at 10,000 and 100,000 inputs."""
    path = saved(tiny(), torch.zeros(2, 32), folder, "onnx")
    for rows in (10_000, 100_000, 1_000_000):
        inputs = folder / f"{rows}.npy"
        np.save(inputs, np.zeros((rows, 32), np.float32))
        line = ["infer", str(path), str(inputs), "-o", str(folder / f"{rows}.parquet")]
        print(f"{rows:>9,} inputs: {peak_of(line):.0f} MB")


def peak_of(arguments: list[str]) -> float:
    """Largest RssAnon in MB of a lacal command, run in a process of its own."""
    with subprocess.Popen(
        [sys.executable, "-c", WATCHED, *arguments], stdout=subprocess.PIPE
    ) as run:
        out, _ = run.communicate()
    return float(out.split()[-1])


WATCHED = """
import sys, threading, time
from lacal.cli.main import run
peak = 0.0
def watch():
    global peak
    while True:
        lines = open('/proc/self/status').read().splitlines()
        peak = max(peak, int(next(l for l in lines if l.startswith('RssAnon')).split()[1]) / 1024)
        time.sleep(0.01)
threading.Thread(target=watch, daemon=True).start()
code = run(sys.argv[1:])
assert code == 0, code
print(peak)
"""


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--memory", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if asked.memory:
            memory(Path(folder))
        elif asked.device == "cuda":
            on_device(Path(folder))
        else:
            for kind in ("onnx", "torchscript"):
                compare(Path(folder), "resnet20", kind, 10_000, 64)
                compare(Path(folder), "tiny", kind, 1_000_000, 256)
                compare(Path(folder), "tiny", kind, 1_000_000, 4096)


if __name__ == "__main__":
    main()
