"""The whole files that mutants are made from, and the folder of good files that stand beside a mutant."""

import functools
import io
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tests.soak.captured import Captured

NAMES = ("cat", "dog", "emu")
COUNTS = (100, 20, 4)
ROWS = 12
FEATURES = 4


def _rows(seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64], list[str]]:
    chance = np.random.default_rng(seed)
    labels = np.arange(ROWS) % len(NAMES)
    logits = chance.normal(size=(ROWS, len(NAMES))) + np.log(COUNTS)
    logits[np.arange(ROWS), labels] += 2.0
    return logits.astype("f4"), labels, [f"{seed}-{row}" for row in range(ROWS)]


LOGITS, LABELS, IDS = _rows(1)
FIELDS: dict[str, Any] = {"logits": LOGITS, "label": LABELS, "id": np.array(IDS)}
HEAD: dict[str, Any] = {
    "weight": np.random.default_rng(2).normal(size=(len(NAMES), FEATURES)).astype("f4"),
    "bias": np.linspace(-1, 1, len(NAMES)).astype("f4"),
}
TABLE = pa.table(
    {
        "logits": pa.FixedSizeListArray.from_arrays(LOGITS.ravel(), len(NAMES)),
        "label": LABELS,
        "id": pa.array(IDS),
    }
)
OTHER_TABLE = pa.table(
    {
        "logits": pa.array([list(map(float, row)) for row in LOGITS], pa.list_(pa.float64())),
        "label": pa.array([NAMES[j] for j in LABELS]).dictionary_encode(),
        "id": pa.array(IDS, pa.large_string()),
    }
)


def written(write: Callable[[io.BytesIO], object]) -> bytes:
    """What a writer writes."""
    stream = io.BytesIO()
    write(stream)
    return stream.getvalue()


def npy(array: NDArray[Any]) -> bytes:
    """An .npy file of it."""
    return written(lambda stream: np.save(stream, array))


def npz(arrays: dict[str, Any], packed: bool = False) -> bytes:
    """An .npz file of them."""
    return written(lambda stream: (np.savez_compressed if packed else np.savez)(stream, **arrays))


def safetensors(arrays: dict[str, NDArray[Any]]) -> bytes:
    """A .safetensors file of them, all float32 or int64."""
    header: dict[str, Any] = {"__metadata__": {"made": "by a test"}}
    data = b""
    for name, array in arrays.items():
        kind = "F32" if array.dtype == np.float32 else "I64"
        ends = [len(data), len(data) + array.nbytes]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": ends}
        data += array.tobytes()
    told = json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(told)) + told + data


def parquet(table: Any, **options: Any) -> bytes:
    """A Parquet file of it."""
    return written(lambda stream: pq.write_table(table, stream, **options))


def ipc(table: Any, streamed: bool) -> bytes:
    """An Arrow IPC file or stream of it."""

    def write(stream: io.BytesIO) -> None:
        new = pa.ipc.new_stream if streamed else pa.ipc.new_file
        with new(stream, table.schema) as writer:
            writer.write_table(table)

    return written(write)


def csv(quoted: bool = False) -> bytes:
    """Ids, labels and a column a class."""
    mark = '"' if quoted else ""
    lines = ["id,label," + ",".join(NAMES)]
    for row, label, name in zip(LOGITS, LABELS, IDS, strict=True):
        lines.append(f"{mark}{name}{mark},{label}," + ",".join(f"{one:.4g}" for one in row))
    return "\n".join([*lines, ""]).encode()


def counts_csv() -> bytes:
    """Training counts by name."""
    lines = [f"{name},{count}" for name, count in zip(NAMES, COUNTS, strict=True)]
    return "\n".join(["class,count", *lines, ""]).encode()


GROUPS = b"class,group\ncat,head\ndog,tail\nemu,tail\n"
SHARES = b"class,share\ncat,0.2\ndog,0.3\nemu,0.5\n"
LINES = "\n".join([*map(str, LABELS), ""]).encode()
CONFIG = b"""[tune-tau]
select = "min"
draws = 10
grid = "0:4:0.5"
groups = "100,20"
[adjust]
top-k = 2
write-scores = "probs"
[evaluate]
bins = 10
fail-if = ["balanced_error > 90%", "many.error > 0.99"]
[preprocessing]
mean = "0.5,0.5,0.5"
"""


@functools.cache
def onnx_model(hidden: bool = True) -> bytes:
    """x (N, 4) -> logits (N, 3): two layers, or one with a softmax."""
    from onnx import TensorProto, helper, numpy_helper

    chance = np.random.default_rng(4)
    weights: dict[str, NDArray[Any]] = {"W": HEAD["weight"].T.copy(), "b": HEAD["bias"]}
    if hidden:
        weights |= {"V": chance.normal(size=(FEATURES, FEATURES)).astype("f4")}
        nodes = [
            ("MatMul", ["x", "V"], ["h"]),
            ("Relu", ["h"], ["r"]),
            ("Gemm", ["r", "W", "b"], ["logits"]),
        ]
    else:
        nodes = [
            ("MatMul", ["x", "W"], ["m"]),
            ("Add", ["m", "b"], ["logits"]),
            ("Identity", ["logits"], ["same"]),
        ]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ("N", len(NAMES)))]
    graph = helper.make_graph(
        [helper.make_node(*one) for one in nodes],
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ("N", FEATURES))],
        outputs,
        [numpy_helper.from_array(one, name) for name, one in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return bytes(model.SerializeToString())


@functools.cache
def torch_file(head: bool = False) -> bytes:
    """A .pt of tensors."""
    import torch

    given: dict[str, Any] = HEAD if head else {"logits": LOGITS, "label": LABELS}
    tensors = {name: torch.from_numpy(array.copy()) for name, array in given.items()}
    return written(lambda stream: torch.save(tensors, stream))


@functools.cache
def torchscript() -> bytes:
    """A small TorchScript model."""
    import torch

    torch.manual_seed(0)
    layers = torch.nn.Sequential(
        torch.nn.Linear(FEATURES, 5), torch.nn.ReLU(), torch.nn.Linear(5, len(NAMES))
    )
    traced = torch.jit.trace(layers.eval(), torch.zeros(2, FEATURES))
    return written(lambda stream: torch.jit.save(traced, stream))


def good_file(name: str) -> bytes:
    """One of `write_good_files`, from the current folder."""
    return Path(name).read_bytes()


def write_good_files(folder: Path, captured: Captured) -> None:
    """What a mutant stands beside: two splits, counts, a calibration, predictions, metrics, a model and its inputs."""

    def at(name: str) -> str:
        return str(folder / name)

    for name, seed in (("val", 5), ("test", 6)):
        logits, labels, ids = _rows(seed)
        (folder / f"{name}.npz").write_bytes(
            npz({"logits": logits, "label": labels, "id": np.array(ids)})
        )
    (folder / "rows.npz").write_bytes(npz(FIELDS))
    (folder / "logits.npy").write_bytes(npy(LOGITS))
    (folder / "labels.npy").write_bytes(npy(LABELS))
    (folder / "inputs.npz").write_bytes(
        npz(
            {
                "x": np.random.default_rng(7).normal(size=(ROWS, FEATURES)).astype("f4"),
                "label": LABELS,
            }
        )
    )
    (folder / "counts.csv").write_bytes(counts_csv())
    (folder / "model.onnx").write_bytes(onnx_model())
    (folder / "head.npz").write_bytes(npz(HEAD))
    counts = ("--counts", at("counts.csv"))
    for line in (
        ["tune-tau", at("val.npz"), *counts, "--draws", "10", "-o", at("c.json")],
        ["adjust", at("rows.npz"), "--calibration", at("c.json"), "-o", at("p.parquet")],
        ["evaluate", at("p.parquet"), *counts, "--report", at("m.json")],
    ):
        said = captured.run(line)
        if said.code:
            raise RuntimeError(f"{line}: {said.err}")
