"""Models of torch that run code: in every place of a .pt2 that can hold some, and TorchScript."""

import io
import json
import pickle
import shutil
import subprocess
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Tuple  # noqa: UP035 - TorchScript knows no `tuple[...]` of a string

from tests.faults.evil.pickles import Trap, call
from tests.faults.evil.table import LOGITS, MODEL, Evil, Make
from tests.models.torch_models import Module, exported, files_of, packed, torch, traced

GRAPH = "archive/models/model.json"
WEIGHTS = "archive/data/weights/model_weights_config.json"
CONSTANTS = "archive/data/constants/model_constants_config.json"
SAMPLES = "archive/data/sample_inputs/model.pt"
Files = dict[str, bytes]


def in_graph(change: Callable[[Any, Path], Any]) -> Callable[[Files, Path], None]:
    def spoil(files: Files, marker: Path) -> None:
        graph = json.loads(files[GRAPH])
        change(graph, marker)
        files[GRAPH] = json.dumps(graph).encode()

    return spoil


def nodes(graph: Any) -> Any:
    return graph["graph_module"]["graph"]["nodes"]


def sizes(graph: Any) -> Any:
    return graph["graph_module"]["graph"]["tensor_values"]["input"]["sizes"]


def pickled_samples(files: Files, marker: Path) -> None:
    buffer = io.BytesIO()
    torch.save(Trap(marker), buffer)
    files[SAMPLES] = buffer.getvalue()


def opaque(files: Files, marker: Path) -> None:
    files["archive/data/constants/opaque_obj_0"] = pickle.dumps(Trap(marker))
    entry = {
        "path_name": "opaque_obj_0",
        "is_param": False,
        "use_pickle": True,
        "tensor_meta": None,
    }
    files[CONSTANTS] = json.dumps({"config": {"c": entry}}).encode()


def pickled_weight(files: Files, marker: Path) -> None:
    config = json.loads(files[WEIGHTS])
    config["config"]["weight"]["use_pickle"] = True
    files[WEIGHTS] = json.dumps(config).encode()
    buffer = io.BytesIO()
    torch.save(Trap(marker), buffer)
    files["archive/data/weights/weight_0"] = buffer.getvalue()


def legacy(files: Files, marker: Path) -> None:
    files.clear()
    files["serialized_exported_program.json"] = b"{}"
    buffer = io.BytesIO()
    torch.save(Trap(marker), buffer)
    files["serialized_state_dict.pt"] = buffer.getvalue()
    files["version"] = b"8.8"


def set_expression(graph: Any, marker: Path) -> None:
    sizes(graph)[0]["as_expr"]["expr_str"] = call(marker)


def set_context(graph: Any, marker: Path) -> None:
    spec = graph["graph_module"]["module_call_graph"][0]["signature"]
    spec["in_spec"] = spec["in_spec"].replace("builtins.dict", "enum.Enum")


# What is put into a .pt2, and the words of the error.
PROGRAMS: dict[str, tuple[Callable[[Files, Path], None], str]] = {
    "compiled code": (
        lambda files, _: files.update({"archive/data/aotinductor/model/model.so": b"\x7fELF"}),
        "aotinductor/model/model.so', compiled code",
    ),
    "opaque object": (opaque, "opaque_obj_0', a pickle"),
    "custom object": (
        lambda files, _: files.update({"archive/data/constants/custom_obj_0": b""}),
        "custom_obj_0', a custom object",
    ),
    "pickled weight": (pickled_weight, "a pickled tensor (use_pickle)"),
    "legacy layout": (legacy, "the layout of torch before 2.8"),
    "extra file": (
        lambda files, _: files.update({"archive/extra/note.txt": b"hello"}),
        "extra/note.txt', an extra file",
    ),
    "second model": (
        lambda files, _: files.update({"archive/models/other.json": files[GRAPH]}),
        "'archive/models/other.json'",
    ),
    "another folder": (
        lambda files, _: files.update({"other/models/model.json": files[GRAPH]}),
        "'other/models/model.json'",
    ),
    "expression": (in_graph(set_expression), "the expression '__import__"),
    "guard": (
        in_graph(lambda graph, marker: graph["guards_code"].append(f"{call(marker)} is None")),
        "the expression '__import__",
    ),
    "operator": (
        in_graph(lambda graph, _: nodes(graph)[0].update(target="torch.os.system")),
        "the operator 'torch.os.system'",
    ),
    "operator on files": (
        in_graph(
            lambda graph, _: nodes(graph)[0].update(target="torch.ops.aten.from_file.default")
        ),
        "the operator 'torch.ops.aten.from_file.default'",
    ),
    "name": (
        in_graph(lambda graph, marker: nodes(graph)[0].update(name=f"a = {call(marker)}; b")),
        "which could become code",
    ),
    "constant by path": (
        lambda files, _: files.update({CONSTANTS: b'{"config": {"c": {"path_name": "../x"}}}'}),
        "the constant '../x'",
    ),
    "foreign type": (in_graph(set_context), "inputs or outputs of type 'enum.Enum'"),
}


class AtLoad(Module):
    """Writes a file when it is loaded."""

    def __init__(self, marker: str) -> None:
        super().__init__()
        self.marker = marker

    @torch.jit.export  # type: ignore[untyped-decorator]
    def __getstate__(self) -> Tuple[str, bool]:  # noqa: UP006
        return self.marker, self.training

    @torch.jit.export  # type: ignore[untyped-decorator]
    def __setstate__(self, state: Tuple[str, bool]) -> None:  # noqa: UP006
        self.marker = state[0]
        self.training = state[1]
        torch.save(torch.zeros(1), state[0])

    def forward(self, x):  # type: ignore[no-untyped-def]
        return x[:, :3]


class AtRun(Module):
    """Makes, or overwrites, a file when it is run."""

    def __init__(self, marker: str) -> None:
        super().__init__()
        self.marker = marker

    def forward(self, x):  # type: ignore[no-untyped-def]
        return x[:, :3] + torch.from_file(self.marker, True, 8, dtype=torch.float32).sum()


def script(kind: type, marker: Path) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(kind(str(marker))), buffer)
    return buffer.getvalue()


@cache
def library(marker: Path) -> bytes:
    """A shared library that makes a file when it is loaded; a stub of one where there is no compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return b"\x7fELF\x02\x01\x01"
    source = f'#include <stdio.h>\n__attribute__((constructor)) void f(void) {{ fclose(fopen("{marker}", "w")); }}\n'
    made = marker.with_suffix(".so")
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-xc", "-", "-o", made], input=source.encode(), check=True
    )
    content = made.read_bytes()
    made.unlink()
    return content


def compiled(files: Files, marker: Path) -> None:
    files["archive/data/aotinductor/model/model.so"] = library(marker)
    files["archive/data/aotinductor/model/model.wrapper.json"] = b"{}"


def program(name: str, spoil: Callable[[Files, Path], None]) -> Make:
    def make(folder: Path, marker: Path) -> None:
        files = files_of(exported("linear"))
        spoil(files, marker)
        (folder / name).write_bytes(packed(files))

    return make


def scripted(name: str, kind: type) -> Make:
    return lambda folder, marker: (folder / name).write_bytes(script(kind, marker))


def inside_out(folder: Path, marker: Path) -> None:
    """TorchScript that calls itself a .pt2, members of both inside."""
    files = files_of(script(AtLoad, marker))
    files |= files_of(exported("linear"))
    (folder / "both.pt2").write_bytes(packed(files))


def polyglot(folder: Path, marker: Path) -> None:
    """An ONNX file in front, TorchScript behind: a zip is read from its end."""
    (folder / "poly.onnx").write_bytes((folder / "good.onnx").read_bytes() + script(AtLoad, marker))


PT2 = [
    Evil(f"{name.replace(' ', '-')}.pt2", program(f"{name.replace(' ', '-')}.pt2", spoil), MODEL, says=words)
    for name, (spoil, words) in PROGRAMS.items()
]  # fmt: skip
TORCH = [
    *PT2,
    Evil("library.pt2", program("library.pt2", compiled), (*MODEL, LOGITS[0])),
    Evil("samples.pt2", program("samples.pt2", pickled_samples), MODEL, (0, 2)),
    Evil("at-load.pt", scripted("at-load.pt", AtLoad), (*MODEL, LOGITS[0], LOGITS[4])),
    Evil("at-run.pt", scripted("at-run.pt", AtRun), MODEL),
    Evil("at-load.onnx", scripted("at-load.onnx", AtLoad), MODEL),
    Evil("both.pt2", inside_out, MODEL),
    Evil("poly.onnx", polyglot, MODEL, (0, 2)),
    Evil("traced.pt", lambda folder, _: (folder / "traced.pt").write_bytes(traced("linear")), MODEL),
]  # fmt: skip
