"""Faults that were found by trying models and their inputs, each kept as a test."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from lacal.atomic import sweep
from lacal.errors import RunError
from lacal.model_source import open_model_source
from lacal.pipeline.infer import check_output
from tests.command_line import Run, caller, result
from tests.fake_models import FakeModel
from tests.test_model_source import made

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

WEIGHT = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)


@pytest.fixture
def lacal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Run:
    monkeypatch.chdir(tmp_path)
    np.savez("x.npz", x=np.random.default_rng(1).standard_normal((37, 4)).astype(np.float32))

    return caller(capfd)


def saved(
    path: str, *behind: tuple[str, dict[str, Any]], names: list[str] | None = None, **how: Any
) -> None:
    """features (n, 4) @ WEIGHT and, one after the other, the operators given."""
    helper, float32 = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [helper.make_node("MatMul", ["x", "w"], ["t0"])]
    for at, (operator, attributes) in enumerate(behind):
        inputs = [f"t{at}", *attributes.pop("more", [])]
        nodes.append(helper.make_node(operator, inputs, [f"t{at + 1}"], **attributes))
    nodes.append(helper.make_node("Identity", [f"t{len(behind)}"], ["logits"]))
    rows = how.pop("rows", "n")
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", float32, [rows, 4])],
        [helper.make_tensor_value_info("logits", float32, [rows, 3])],
        [
            onnx.numpy_helper.from_array(WEIGHT, "w"),
            onnx.numpy_helper.from_array(np.float32(1), "one"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    if names:
        helper.set_model_props(model, {"class_names": json.dumps(names)})
    onnx.save(model, path, **how)


def test_a_class_folder_called_by_a_digit_is_a_name(lacal: Run) -> None:
    image = pytest.importorskip("PIL.Image")
    helper, float32 = onnx.helper, onnx.TensorProto.FLOAT
    weight = onnx.numpy_helper.from_array(np.ones((4, 3), np.float32), "w")
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["x"], ["flat"]),
            helper.make_node("MatMul", ["flat", "w"], ["logits"]),
        ],
        "g",
        [helper.make_tensor_value_info("x", float32, ["n", 1, 2, 2])],
        [helper.make_tensor_value_info("logits", float32, ["n", 3])],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, {"class_names": json.dumps(["2", "0", "1"])})
    onnx.save(model, "m.onnx")
    for folder in ("1", "2"):
        Path("photos", folder).mkdir(parents=True)
        image.fromarray(np.zeros((2, 2), np.uint8)).save(f"photos/{folder}/a.png")
    code, _, err = lacal("infer", "m.onnx", "photos", "--scale", "1", "-o", "o.npz")
    assert code == 0, err
    stored = np.load("o.npz")
    assert dict(zip(stored["ids"].tolist(), stored["labels"].tolist(), strict=True)) == {
        "1/a.png": 2,
        "2/a.png": 0,
    }


@pytest.mark.parametrize("fixed", [None, 7, 40])
def test_other_company_is_tried_in_fixed_batches_too(tmp_path: Path, fixed: int | None) -> None:
    model, inputs = made(tmp_path, batch_size=fixed, fault="batch norm")
    with pytest.raises(RunError, match="change with the rows beside it"):
        open_model_source(model, inputs)


class Faint(FakeModel):
    """Scores of a small range, moved by their company."""

    def run(self, inputs: Any) -> Any:
        scores = super().run(inputs) * np.float32(1e-4)
        return scores - scores.mean(axis=0)


def test_company_is_judged_by_the_range_of_the_scores(tmp_path: Path) -> None:
    model, inputs = made(tmp_path)
    with pytest.raises(RunError, match="change with the rows beside it"):
        open_model_source(Faint(model.path), inputs)


@pytest.mark.parametrize("changed", ["ids", "ignore_label", "scores"])
def test_the_plan_holds_every_option(tmp_path: Path, changed: str) -> None:
    model, inputs = made(tmp_path)
    plan = open_model_source(model, inputs).plan()
    if changed == "ids":
        inputs.ids = np.arange(len(inputs.x))
    options: dict[str, Any] = {"ignore_label": {"ignore_label": 0}, "scores": {"scores": "logits"}}
    other = open_model_source(model, inputs, **options.get(changed, {})).plan()
    assert [name for name in plan if plan[name] != other[name]] == [changed]


@pytest.mark.parametrize("operator", ["Mul", "Max"])
def test_probabilities_that_no_graph_shows_are_not_exported(lacal: Run, operator: str) -> None:
    saved(
        "m.onnx",
        ("Softmax", {"axis": -1}),
        (operator, {"more": ["one"]} if operator == "Mul" else {}),
    )
    np.save("counts.npy", np.array([100, 10, 1]))
    saved("logits.onnx")
    np.savez("l.npz", x=np.load("x.npz")["x"], labels=np.arange(37) % 3)
    line = ("tune-tau", "logits.onnx", "--inputs", "l.npz", "--counts", "counts.npy")
    assert lacal(*line, "-o", "c.json")[0] == 0
    code, _, err = lacal(
        "export", "m.onnx", "--calibration", "c.json", "-o", "q.onnx", "--inputs", "x.npz"
    )
    assert (code, "softmax" in err, Path("q.onnx").exists()) == (2, True, False), err


def test_weights_beside_a_model_are_an_input(lacal: Run) -> None:
    saved(
        "m.onnx",
        save_as_external_data=True,
        location="w.npy",
        size_threshold=0,
    )
    before = Path("w.npy").read_bytes()
    code, _, err = lacal("infer", "m.onnx", "x.npz", "-o", "w.npy", "--force")
    assert (code, "is also an input" in err) == (2, True), err
    assert Path("w.npy").read_bytes() == before


def test_a_folder_deep_inside_an_input_is_no_output(tmp_path: Path) -> None:
    (tmp_path / "photos" / "cat").mkdir(parents=True)
    with pytest.raises(Exception, match="lies together with the input"):
        check_output(tmp_path / "photos" / "cat" / "o", force=False, inputs=[tmp_path / "photos"])


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--input", "x=x", "--input", "x=x"), 2, "--input: names 'x' twice"),
        (("--scale", "1e-320"), 2, "say --scores logits"),
        (("--threads", "100000"), 2, "100000 is not in the range"),
        (("--batch-size", "x"), 2, "'x' is not a valid"),
    ],
)
def test_options_with_odd_values(
    lacal: Run, options: tuple[str, ...], code: int, words: str
) -> None:
    saved("m.onnx")
    found, _, err = lacal("infer", "m.onnx", "x.npz", "-o", "o.npz", *options)
    assert (found, words in err) == (code, True), err


@pytest.mark.parametrize("rows", [1, 2, 4])
def test_a_trial_takes_no_more_rows_than_fit(tmp_path: Path, rows: int) -> None:
    model, inputs = made(tmp_path)
    model.room = rows
    source = open_model_source(model, inputs, batch_size=rows)
    assert max(model.batches) == rows
    model.batches.clear()
    source = open_model_source(model, inputs)  # 16 do not fit, and fewer are tried
    assert sum(batch.logits.shape[0] for batch in source.batches()) == len(inputs.x)


def test_labels_apart_may_be_more_than_a_limit_of_rows(lacal: Run) -> None:
    saved("m.onnx")
    np.save("l.npy", np.arange(37) % 3)
    line = ("infer", "m.onnx", "x.npz", "--labels", "l.npy", "-o", "o.npz")
    code, _, err = lacal(*line, "--limit", "10")
    assert code == 0, err
    assert np.load("o.npz")["labels"].tolist() == [i % 3 for i in range(10)]


@pytest.mark.parametrize("kind", ["exported", "traced"])
def test_a_half_precision_model_is_exported(lacal: Run, kind: str) -> None:
    torch = pytest.importorskip("torch")
    from tests.models.torch_models import quietly

    net = torch.nn.Linear(4, 3).bfloat16().eval()
    example = torch.zeros(2, 4, dtype=torch.bfloat16)
    trust = ("--trust-model",) if kind == "traced" else ()
    if kind == "traced":
        Path("m.pt").write_bytes(quietly(lambda: torch.jit.trace(net, example)))
    else:
        batch = torch.export.Dim("n", min=1, max=1000)
        program = torch.export.export(net, (example,), dynamic_shapes=({0: batch},))
        torch.export.save(program, "m.pt2")
    name = "m.pt" if kind == "traced" else "m.pt2"
    np.save("counts.npy", np.array([100, 10, 1]))
    np.savez("l.npz", x=np.load("x.npz")["x"], labels=np.arange(37) % 3)
    source = (name, "--inputs", "l.npz", *trust)
    assert lacal("tune-tau", *source, "--counts", "counts.npy", "-o", "c.json")[0] == 0
    code, _, err = lacal("export", *source, "--calibration", "c.json", "-o", f"q{name[1:]}")
    assert code == 0, err


def test_a_zombie_leaves_no_temporary_for_ever(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    child.send_signal(signal.SIGKILL)
    while "Z" not in Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[0]:
        pass
    from lacal import atomic

    mark = atomic._temporary(tmp_path / "o.npz").name.replace(f"-{os.getpid()}-", f"-{child.pid}-")
    (tmp_path / mark).write_bytes(b"x")
    sweep(tmp_path / "o.npz")
    assert not list(tmp_path.iterdir())
    child.wait()


def test_a_crash_names_the_model(tmp_path: Path) -> None:
    helper, float32 = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [
            helper.make_node(
                "Max", ["x", ""], ["y"]
            ),  # passes every checker, and kills onnxruntime
            helper.make_node("MatMul", ["y", "w"], ["logits"]),
        ],
        "g",
        [helper.make_tensor_value_info("x", float32, ["n", 4])],
        [helper.make_tensor_value_info("logits", float32, ["n", 3])],
        [onnx.numpy_helper.from_array(WEIGHT, "w")],
    )
    path = tmp_path / "m.onnx"
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path
    )
    np.save(tmp_path / "x.npy", np.ones((5, 4), np.float32))
    line = [sys.executable, "-m", "lacal", "infer", path, tmp_path / "x.npy", "-o", tmp_path / "o"]
    ended = subprocess.run([str(one) for one in line], capture_output=True, text=True)
    assert ended.returncode in (2, 3)  # a later onnxruntime may refuse it
    assert str(path) in ended.stderr.splitlines()[-1]
    assert sorted(one.name for one in tmp_path.iterdir()) == ["m.onnx", "x.npy"]


@pytest.mark.parametrize("kind", ["parquet", "csv"])
@pytest.mark.parametrize("spelt", [str, int])
@pytest.mark.parametrize("key", ["label", "truth"])
def test_inputs_without_a_label_are_named_and_then_left_out(
    lacal: Run, kind: str, spelt: type, key: str
) -> None:
    """A null or an empty cell, whatever the column is called; training needs every label."""
    saved("m.onnx")
    labels = [None if row in (5, 20) else spelt(row % 3) for row in range(37)]
    x = np.load("x.npz")["x"]
    table = pa.table({**{f"x{j}": x[:, j] for j in range(4)}, key: labels})
    path = f"i.{kind}"
    if kind == "csv":
        pa_csv.write_csv(table, path)
    else:
        pq.write_table(table, path)
    asked = () if key == "label" else ("--label-key", key)
    line = ("evaluate", "m.onnx", "--inputs", path, *asked)
    code, _, err = lacal(*line)
    assert code == 2
    assert f"'{key}': row 5 is " in err
    assert "say --ignore-label ''" in err
    found = result(lacal, *line, "--ignore-label", "")
    assert (found["rows"], found["micro_error"]["n"]) == (37, 35)
    code, _, err = lacal("train", path, *asked, "-o", "run")
    assert code == 2
    assert "fault of its own" not in err
    assert not Path("run").exists()
