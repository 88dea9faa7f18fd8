"""What training put into logits decides what every command does with them: refused, warned of, or taken."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from lacal.calibration_file import read
from lacal.classes.prior import LabelPrior
from lacal.methods import ClassStatistics
from lacal.pipeline.tune_tau import Search, tune_tau
from lacal.rows.logits_source import SourceOptions, open_source
from lacal.trained import KEY
from tests.command_line import Run, caller, result
from tests.records import record
from tests.small_world import NAMES, world, write_world

FASHION = Path(__file__).parent.parent / "sample_data" / "fashion"
COUNTS = ("--counts", "counts.csv")
TUNE = ("tune-tau", "val.npz", *COUNTS, "--draws", "20")
GIVEN = ("--calibration", "calibration.json")


@pytest.fixture
def lacal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Run:
    """Runs a command line in a folder with the small world; its code, stdout and stderr."""
    write_world(tmp_path)
    monkeypatch.chdir(tmp_path)
    lacal = caller(capfd)
    result(lacal, *TUNE, "-o", "calibration.json")
    return lacal


def noted(**said: Any) -> None:
    """Say of the small world's logits how their model was trained."""
    for name in ("val", "test"):
        with np.load(f"{name}.npz") as stored:
            arrays = dict(stored)
        inference = {"model": "m.onnx", "model_sha256": "a", KEY: record(**said).json()}
        np.savez(f"{name}.npz", **{**arrays, "inference": np.array(json.dumps(inference))})


def adjusting(out: str = "p.parquet") -> dict[str, tuple[str, ...]]:
    """Every command line that adjusts logits."""
    return {
        "tune-tau": TUNE,
        "adjust": ("adjust", "test.npz", *GIVEN, "-o", out),
        "adjust by tau": ("adjust", "test.npz", *COUNTS, "--tau", "0.5", "-o", out),
        "evaluate": ("evaluate", "test.npz", *GIVEN),
    }


@pytest.mark.parametrize("name", adjusting())
def test_the_whole_correction_is_refused_unless_forced(lacal: Run, name: str) -> None:
    noted(carries="prior")
    line = adjusting()[name]
    code, out, err = lacal(*line)
    assert (code, out) == (2, "")
    (said,) = [one for one in err.splitlines() if one.startswith("Error: ")]
    for word in (
        ".npz: was trained with the loss 'logit-adjusted'",
        "raw logits",
        "--force-adjust",
    ):
        assert word in said
    assert not Path("p.parquet").exists()
    done = result(lacal, *line, "--force-adjust")
    assert "because you say so" in done["warnings"][0]
    assert "because you say so" in lacal(*line, "--force-adjust", *["--force"] * ("-o" in line))[2]


@pytest.mark.parametrize("name", adjusting())
def test_a_part_of_the_correction_is_warned_of(lacal: Run, name: str) -> None:
    noted(carries="part", loss="ldam")
    line = adjusting()[name]
    assert "'ldam': its logits carry a part" in result(lacal, *line)["warnings"][0]


@pytest.mark.parametrize("name", adjusting())
def test_without_a_correction_all_is_as_without_a_record(lacal: Run, name: str) -> None:
    before = result(lacal, *adjusting("a.parquet")[name])
    noted(carries="nothing")
    after = result(lacal, *adjusting("b.parquet")[name])
    for done in (before, after):
        done.pop("output", None)
        # The calibration was tuned on logits of no known model.
        done["warnings"] = [one for one in done["warnings"] if "trained" in one]
    assert before == after


def test_inspect_and_plain_evaluate_take_all_and_say_what_it_is(lacal: Run) -> None:
    assert result(lacal, "inspect", "val.npz")["trained_with"] is None
    noted(carries="prior")
    assert result(lacal, "inspect", "val.npz")["trained_with"] == record().json()
    shown = lacal("inspect", "val.npz")[1]
    assert "trained with the loss 'logit-adjusted': its logits carry the whole" in shown
    assert result(lacal, "evaluate", "val.npz", *COUNTS)["warnings"] == []
    code, _, err = lacal("evaluate", "val.npz", "--force-adjust")
    assert (code, "without --calibration nothing is adjusted" in err) == (2, True), err


def test_tau_0_writes_the_raw_predictions(lacal: Run) -> None:
    noted(carries="prior")
    done = result(lacal, "adjust", "test.npz", *COUNTS, "--tau", "0", "-o", "p.parquet")
    assert (done["changed"], [one for one in done["warnings"] if "trained" in one]) == (0, [])
    predicted = pq.read_table("p.parquet")["prediction"].to_numpy()
    np.testing.assert_array_equal(predicted, world(seed=1).logits.argmax(axis=1))
    # At tau 0 weight normalisation still drops the head's bias, so it is an adjustment.
    line = ("adjust", "test.npz", *COUNTS, "--tau", "0", "--method", "weight-norm")
    code, _, err = lacal(*line, "--head", "head.npz", "-o", "q.parquet")
    assert (code, "--force-adjust" in err) == (2, True), err


def test_forced_tuning_shrinks_to_no_adjustment(lacal: Run) -> None:
    """On rows that say nothing about tau, doubt goes for 1 where nothing is known, for 0 where training did it."""
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(40, len(NAMES))).astype(np.float32)
    np.savez("val.npz", logits=logits, labels=generator.integers(0, len(NAMES), 40))
    Path("counts.csv").write_text(
        "class,count\n" + "".join(f"{name},{100 - j}\n" for j, name in enumerate(NAMES))
    )
    assert result(lacal, *TUNE)["tau"] == 1
    noted(carries="part")
    assert result(lacal, *TUNE)["tau"] == 1
    noted(carries="prior")
    done = result(lacal, *TUNE, "--force-adjust", "-o", "forced.json")
    assert done["tau"] == 0
    inference = read(Path("forced.json")).inference
    assert inference is not None
    assert inference[KEY] == record().json()


def test_a_search_may_shrink_to_any_tau(lacal: Run) -> None:
    source = open_source(Path("val.npz"), SourceOptions())
    prior = LabelPrior(np.array([100, 99, 98, 97, 96]))
    statistics = ClassStatistics(prior.log_prior)
    for reference, expected in ((None, 1), (0.0, 0), (0.3, 0.3), (1.0, 1)):
        search = Search("logit-adjustment", np.linspace(0, 2, 21), draws=10, reference=reference)
        assert tune_tau(source, prior, statistics, search).tau == pytest.approx(expected, abs=0.011)


@pytest.mark.parametrize("value", ["odd", [], {**record().json(), "carries": 1}])
def test_a_damaged_record_is_a_sentence(lacal: Run, value: Any) -> None:
    with np.load("val.npz") as stored:
        arrays = dict(stored)
    np.savez("val.npz", **{**arrays, "inference": np.array(json.dumps({KEY: value}))})
    for line in (TUNE, ("inspect", "val.npz")):
        code, _, err = lacal(*line)
        assert (code, "val.npz: the record of how the model was trained" in err) == (2, True), err


def test_files_of_one_network_share_calibrations(lacal: Run) -> None:
    """Logits stored after training have no model file's hash, and are still this model's."""
    other = "tuned on the logits of another model file"
    noted(carries="part", weights="w")
    result(lacal, *TUNE, "-o", "part.json")
    line = ("evaluate", "test.npz", "--calibration", "part.json")
    with np.load("test.npz") as stored:
        arrays = dict(stored)
    for weights, told in (("w", False), ("v", True), (None, True)):
        inference = {
            "model_sha256": "another file",
            "inputs": {"input": {"scale": 1.0}},
            KEY: record(carries="part", weights=weights).json(),
        }
        np.savez("test.npz", **{**arrays, "inference": np.array(json.dumps(inference))})
        warnings = result(lacal, *line)["warnings"]
        assert any(other in one for one in warnings) is told, (weights, warnings)
        assert not any("preprocessed otherwise" in one for one in warnings)


def trained_onnx(path: Path, **said: Any) -> None:
    """The sample's model with a record in it."""
    onnx = pytest.importorskip("onnx")
    model = onnx.load(FASHION / "model.onnx")
    model.metadata_props.add(key="lacal.training", value=record(**said).text())
    onnx.save(model, path)


MODEL = ("model.onnx", "--inputs", "val.parquet", "--scale", "1/255")


@pytest.fixture
def with_model(lacal: Run, tmp_path: Path) -> Run:
    """The same with the sample's inputs and counts beside."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("PIL")
    for name in ("val.parquet", "counts.csv"):
        shutil.copy(FASHION / name, tmp_path / name)
    return lacal


def test_a_models_record_goes_into_its_logits(with_model: Run) -> None:
    trained_onnx(Path("model.onnx"), carries="prior")
    line = ("infer", "model.onnx", "val.parquet", "--scale", "1/255", "--limit", "40")
    done = result(with_model, *line, "-o", "logits.npz")
    assert done["inference"][KEY] == record().json()
    _, _, err = with_model(*line, "-o", "logits.parquet")
    assert "trained with the loss 'logit-adjusted': its logits carry the whole correction" in err
    for name in ("logits.npz", "logits.parquet"):
        code, _, err = with_model("tune-tau", name, *COUNTS)
        assert (code, "--force-adjust" in err) == (2, True), err
    code, _, err = with_model(*line, "-o", "logits.npy")
    assert (code, "cannot say that its logits are corrected by training" in err) == (2, True), err
    assert not Path("logits.npy").exists()
    trained_onnx(Path("model.onnx"), carries="part")
    assert with_model(*line, "-o", "logits.npy")[0] == 0


def test_a_model_that_carries_the_correction_is_not_adjusted_unasked(with_model: Run) -> None:
    trained_onnx(Path("model.onnx"), carries="part")
    part = result(with_model, "tune-tau", *MODEL, *COUNTS, "-o", "c.json")
    assert "carry a part" in part["warnings"][0]
    given = ("--calibration", "c.json")
    done = result(with_model, "export", "model.onnx", *given, "-o", "a.onnx")
    assert "carry a part" in done["warnings"][0]
    trained_onnx(Path("model.onnx"), carries="prior")
    lines = {
        "tune": ("tune-tau", *MODEL, *COUNTS),
        "evaluate": ("evaluate", *MODEL, *given, "--allow-tuned-rows"),
        "export": ("export", "model.onnx", *given, "-o", "b.onnx"),
    }
    for line in lines.values():
        code, out, err = with_model(*line)
        assert (code, out, "model.onnx" in err and "--force-adjust" in err) == (2, "", True), err
    assert not Path("b.onnx").exists()
    for line in lines.values():
        done = result(with_model, *line, "--force-adjust")
        assert "because you say so" in done["warnings"][0]
    for path in ("a.onnx", "b.onnx"):  # the record stays with the model
        line = ("infer", path, "val.parquet", "--scale", "1/255", "--limit", "20")
        inference = result(with_model, *line, "-o", f"{path}.npz")["inference"]
        assert inference["adjusted"]
        assert inference[KEY]["carries"] == ("part" if path == "a.onnx" else "prior")


def test_a_damaged_record_in_a_model_is_a_sentence(with_model: Run) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(FASHION / "model.onnx")
    model.metadata_props.add(key="lacal.training", value='{"loss": 1}')
    onnx.save(model, "model.onnx")
    code, _, err = with_model("inspect", *MODEL)
    assert (code, "model.onnx: the record of how the model was trained" in err) == (2, True), err


@pytest.mark.parametrize("kind", ["pt2", "pt"])
def test_torch_models_carry_the_record_too(lacal: Run, kind: str) -> None:
    pytest.importorskip("torch")
    import warnings

    from tests.models.torch_models import FEATURES, module, saved_program, saved_script, torch

    note = {"lacal_training": record().text()}
    if kind == "pt2":
        content = saved_program(torch.export.export(module("linear"), (torch.ones(2, 6),)), **note)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = saved_script(torch.jit.script(module("linear")), **note)
    Path(f"model.{kind}").write_bytes(content)
    x = np.random.default_rng(0).standard_normal((60, FEATURES), dtype=np.float32)
    np.savez("x.npz", x=x, labels=np.arange(60) % 5)
    trust = ("--trust-model",) if kind == "pt" else ()
    done = result(lacal, "infer", f"model.{kind}", "x.npz", "-o", "logits.npz", *trust)
    assert done["inference"][KEY] == record().json()
    line = (
        "export",
        f"model.{kind}",
        *GIVEN,
        "-o",
        f"adjusted.{kind}",
        *trust,
        "--inputs",
        "x.npz",
    )
    code, _, err = lacal(*line)
    assert (code, "--force-adjust" in err) == (2, True), err
    assert "because you say so" in result(lacal, *line, "--force-adjust")["warnings"][0]
    done = result(lacal, "infer", f"adjusted.{kind}", "x.npz", "-o", "adjusted.npz", *trust)
    assert (done["inference"]["adjusted"], done["inference"][KEY]) == (True, record().json())
