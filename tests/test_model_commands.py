"""A model with its inputs does in every command what its saved logits do."""

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.command_line import Run, caller, result

pytest.importorskip("onnxruntime")
pytest.importorskip("PIL")

FASHION = Path(__file__).parent.parent / "sample_data" / "fashion"
SCALE = ("--scale", "1/255")


@pytest.fixture
def lacal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Run:
    """Runs a command line in a folder with the sample; its code, stdout and stderr."""
    for one in FASHION.iterdir():
        shutil.copy(one, tmp_path / one.name)
    monkeypatch.chdir(tmp_path)

    return caller(capfd)


def infer(lacal: Run, split: str, *more: str) -> Any:
    return result(
        lacal,
        "infer",
        "model.onnx",
        f"{split}.parquet",
        *SCALE,
        "-o",
        f"{split}_logits.parquet",
        *more,
    )


def tuned(lacal: Run, *source: str) -> Any:
    return result(
        lacal, "tune-tau", *source, "--counts", "counts.csv", "-o", "calibration.json", "--force"
    )


def test_infer_stores_what_every_command_reads(lacal: Run, tmp_path: Path) -> None:
    done = infer(lacal, "val")
    assert (done["rows"], done["labelled_rows"], done["classes"]) == (500, 500, 10)
    assert done["class_names"][1] == "Trouser"
    assert done["inference"]["provider"] == "CPUExecutionProvider"
    stored = pq.read_table(tmp_path / "val_logits.parquet")
    assert stored.column_names == ["id", "label", "logits"]
    assert stored["id"][3].as_py() == "val_0003.png"
    kept = json.loads(stored.schema.metadata[b"lacal.inference"])
    assert kept == done["inference"]


def test_tuning_from_the_model_is_tuning_from_its_logits(lacal: Run) -> None:
    infer(lacal, "val")
    of_logits = tuned(lacal, "val_logits.parquet")
    calibration = json.loads(Path("calibration.json").read_text())
    of_model = tuned(lacal, "model.onnx", "--inputs", "val.parquet", *SCALE)
    again = json.loads(Path("calibration.json").read_text())
    assert of_logits.pop("source") != of_model.pop("source")
    assert of_logits == of_model
    assert calibration == again
    assert again["inference"]["model"] == "model.onnx"
    assert of_model["gain"] > 0.02


def test_evaluate_and_adjust_agree_from_model_and_logits(lacal: Run) -> None:
    infer(lacal, "test")
    tuned(lacal, "model.onnx", "--inputs", "val.parquet", *SCALE)
    given = ("--calibration", "calibration.json")
    model = ("model.onnx", "--inputs", "test.parquet", *SCALE)
    errors = [
        result(lacal, "evaluate", *source, *given) for source in (model, ("test_logits.parquet",))
    ]
    assert errors[0].pop("source") != errors[1].pop("source")
    assert errors[0] == errors[1]
    for name, source in (("a", model), ("b", ("test_logits.parquet",))):
        result(lacal, "adjust", *source, *given, "-o", f"{name}.parquet")
    assert pq.read_table("a.parquet").equals(pq.read_table("b.parquet"))


def test_the_rows_tau_was_tuned_on_are_recognised_from_the_model_too(lacal: Run) -> None:
    tuned(lacal, "model.onnx", "--inputs", "val.parquet", *SCALE)
    code, _, err = lacal(
        *("evaluate", "model.onnx", "--inputs", "val.parquet", *SCALE),
        *("--calibration", "calibration.json"),
    )
    assert code == 2
    assert "rows that tau was tuned on" in err


def test_inspect_looks_at_a_models_logits(lacal: Run) -> None:
    seen = result(
        lacal, "inspect", "model.onnx", "--inputs", "val.parquet", *SCALE, "--counts", "counts.csv"
    )
    assert (seen["rows"], seen["classes"]) == (500, 10)
    assert "CPUExecutionProvider" in seen["dtype"]


def test_what_is_done_to_the_inputs_is_said(lacal: Run) -> None:
    _, _, err = lacal("inspect", "model.onnx", "--inputs", "val.parquet", *SCALE)
    assert "model: onnx, output logits, on cpu" in err
    assert "x 1/255" in err


def test_limit_stops_early(lacal: Run) -> None:
    assert infer(lacal, "val", "--limit", "7")["rows"] == 7


def test_preprocessing_from_a_table_of_the_configuration(lacal: Run, tmp_path: Path) -> None:
    (tmp_path / "lacal.toml").write_text("[preprocessing]\nscale = '1/255'\n")
    line = ("inspect", "model.onnx", "--inputs", "val.parquet", "--json")
    code, configured, err = lacal("--config", "lacal.toml", *line)
    assert code == 0, err
    assert configured == lacal(*line, *SCALE)[1]
    (tmp_path / "lacal.toml").write_text("[preprocessing]\nscael = 1\n")
    code, _, err = lacal("--config", "lacal.toml", *line)
    assert code == 2
    assert "'scael' is no preprocessing option. Did you mean 'scale'?" in err


def test_weight_norm_takes_the_models_own_head(lacal: Run) -> None:
    code, out, err = lacal(
        *("tune-tau", "model.onnx", "--inputs", "val.parquet", *SCALE, "--counts", "counts.csv"),
        *("--method", "weight-norm", "--bias", "keep", "--json"),
    )
    assert code == 0, err
    assert "rank correlation of its norms with the class counts" in err
    from_file = lacal(
        *("tune-tau", "model.onnx", "--inputs", "val.parquet", *SCALE, "--counts", "counts.csv"),
        *("--method", "weight-norm", "--bias", "keep", "--json", "--head", "model.onnx"),
    )
    assert out == from_file[1]


@pytest.mark.parametrize("fold", [False, True])
def test_an_exported_model_is_the_adjusted_model(lacal: Run, fold: bool) -> None:
    tuned(lacal, "model.onnx", "--inputs", "val.parquet", *SCALE)
    line = ("export", "model.onnx", "--calibration", "calibration.json", "-o", "adjusted.onnx")
    done = result(lacal, *line, *(["--fold"] if fold else []))
    assert done["generated_inputs"]
    assert (done["largest_difference"] == 0) or fold
    assert done["largest_difference"] < 4e-6
    done = result(lacal, *line, "--force", "--inputs", "test.parquet", *SCALE)
    assert not done["generated_inputs"]
    assert done["changed_predictions"] > 10
    adjusted = result(lacal, "evaluate", "adjusted.onnx", "--inputs", "test.parquet", *SCALE)
    original = result(
        lacal,
        *("evaluate", "model.onnx", "--inputs", "test.parquet", *SCALE),
        *("--calibration", "calibration.json"),
    )
    assert adjusted["balanced_error"] == original["balanced_error"]


def test_an_adjusted_model_is_not_adjusted_twice(lacal: Run) -> None:
    tuned(lacal, "model.onnx", "--inputs", "val.parquet", *SCALE)
    given = ("--calibration", "calibration.json")
    assert lacal("export", "model.onnx", *given, "-o", "adjusted.onnx")[0] == 0
    source = ("adjusted.onnx", "--inputs", "test.parquet", *SCALE)
    for line in (
        ("tune-tau", *source, "--counts", "counts.csv"),
        ("adjust", *source, *given, "-o", "p.parquet"),
        ("evaluate", *source, *given),
        ("export", "adjusted.onnx", *given, "-o", "twice.onnx"),
    ):
        code, _, err = lacal(*line)
        assert (code, "adjusted already" in err) == (2, True), (line, err)
    # Its logits are stored as what they are, and not adjusted again either.
    assert lacal("infer", "adjusted.onnx", "test.parquet", *SCALE, "-o", "a.parquet")[0] == 0
    code, _, err = lacal("tune-tau", "a.parquet", "--counts", "counts.csv")
    assert (code, "adjusted already" in err) == (2, True)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            ("tune-tau", "model.onnx", "--counts", "counts.csv"),
            "is a model (onnx); say what to run",
        ),
        (("inspect", "model.onnx"), "say what to run it on with --inputs"),
        (("evaluate", "model.onnx"), "say what to run it on with --inputs"),
        (
            ("tune-tau", "val.parquet", "--counts", "counts.csv", "--output", "c.json"),
            "without --inputs there is no model to run (a file to write is -o FILE); leave --output out",
        ),
        (
            ("inspect", "val.parquet", "--inputs", "val.parquet", *SCALE),
            "val.parquet: is no model that lacal runs",
        ),
        (("inspect", "model.onnx", "--inputs", "val.parquet"), "say how pixels become inputs"),
        (("inspect", "model.onnx", "--inputs", "gone.parquet", *SCALE), "there is no such file"),
        (
            ("inspect", "model.onnx", "--inputs", "val.parquet", *SCALE, "--logits-key", "x"),
            "SOURCE is a model, so there are no logits to name; leave --logits-key out",
        ),
        (
            ("inspect", "model.onnx", "--inputs", "val.parquet", *SCALE, "--input", "image"),
            "--input: got 'image', expected NAME=FIELD",
        ),
        (
            ("inspect", "model.onnx", "--inputs", "val.parquet", *SCALE, "--batch-size", "0"),
            "0 is not in the range",
        ),
        (("infer", "model.onnx", "val.parquet", *SCALE, "-o", "x.csv"), ".parquet"),
        (("infer", "model.onnx", "val.parquet", *SCALE, "-o", "val.parquet", "--force"), "input"),
        (
            ("infer", "model.onnx", "val.parquet", *SCALE, "-o", "model.onnx", "--force"),
            "model.onnx",
        ),
    ],
)
def test_a_command_line_that_makes_no_sense(lacal: Run, line: tuple[str, ...], words: str) -> None:
    before = sorted(Path().iterdir())
    code, out, err = lacal(*line)
    assert (code, out) == (2, ""), err
    assert words in err
    assert sorted(Path().iterdir()) == before


def test_a_gpu_that_is_not_there_is_an_error(lacal: Run) -> None:
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("a GPU is there")
    code, _, err = lacal(
        "inspect", "model.onnx", "--inputs", "val.parquet", *SCALE, "--device", "cuda"
    )
    assert code == 3
    assert "cuda" in err.lower()


@pytest.mark.parametrize(
    ("scale", "words"),
    [("1/127", "preprocessed otherwise: image scale was 0.0039"), ("1/255", None)],
)
def test_other_preprocessing_than_tuned_on_is_warned_of(
    lacal: Run, scale: str, words: str | None
) -> None:
    tuned(lacal, "model.onnx", "--inputs", "val.parquet", *SCALE)
    source = ("model.onnx", "--inputs", "test.parquet", "--scale", scale)
    given = ("--calibration", "calibration.json", "--json")
    for line in (
        ("evaluate", *source, *given),
        ("adjust", *source, *given, "-o", "p.parquet", "--force"),
    ):
        _, out, err = lacal(*line)
        said = [one for one in json.loads(out)["warnings"] if "tuned on" in one]
        assert bool(said) == (words is not None)
        if words is not None:
            assert words in said[0]
            assert f"warning: {said[0]}" in err


def test_another_model_than_tuned_on_is_warned_of(lacal: Run, tmp_path: Path) -> None:
    import onnx

    tuned(lacal, "model.onnx", "--inputs", "val.parquet", *SCALE)
    model = onnx.load("model.onnx")
    model.doc_string = "another"
    onnx.save(model, "other.onnx")
    found = result(
        lacal,
        *("evaluate", "other.onnx", "--inputs", "test.parquet", *SCALE),
        *("--calibration", "calibration.json"),
    )
    assert "the calibration was tuned on the logits of another model file" in found["warnings"]
