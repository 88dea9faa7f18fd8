"""TorchScript and exported programs through the command line, from inference to the adjusted model."""

from pathlib import Path

import numpy as np
import pytest

from tests.command_line import Run, caller, result

torch = pytest.importorskip("torch")

from tests.models.torch_models import CLASSES, FEATURES, exported, traced


@pytest.fixture
def lacal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Run:
    """Runs a command line in a folder with a model in both kinds, inputs and counts."""
    monkeypatch.chdir(tmp_path)
    Path("model.pt2").write_bytes(exported("linear"))
    Path("model.pt").write_bytes(traced("linear"))
    random = np.random.default_rng(0)
    x = random.standard_normal((300, FEATURES), dtype=np.float32)
    np.savez("val.npz", x=x, labels=random.integers(0, CLASSES, 300))
    np.save("counts.npy", np.array([1000, 300, 100, 30, 10]))

    return caller(capfd)


def test_a_program_gives_the_logits_of_its_torchscript_twin(lacal: Run) -> None:
    result(lacal, "infer", "model.pt2", "val.npz", "-o", "a.npz")
    result(lacal, "infer", "model.pt", "val.npz", "-o", "b.npz", "--trust-model")
    one, other = np.load("a.npz"), np.load("b.npz")
    np.testing.assert_array_equal(one["logits"], other["logits"])
    np.testing.assert_array_equal(one["labels"], np.load("val.npz")["labels"])


@pytest.mark.parametrize("fold", [(), ("--fold",)])
@pytest.mark.parametrize("kind", ["pt2", "pt"])
@pytest.mark.parametrize("method", ["logit-adjustment", "prior-division"])
def test_the_adjusted_model_gives_the_adjusted_predictions(
    lacal: Run, kind: str, fold: tuple[str, ...], method: str
) -> None:
    trust = ("--trust-model",) if kind == "pt" else ()
    source = (f"model.{kind}", "--inputs", "val.npz", *trust)
    tuned = ("--counts", "counts.npy", "--grid", "0.3:1.5:0.1", "--method", method)
    result(lacal, "tune-tau", *source, *tuned, "-o", "calibration.json")
    given = ("--calibration", "calibration.json")
    done = result(lacal, "export", *source, *given, "-o", f"adjusted.{kind}", *fold)
    assert (done["largest_difference"] == 0) or fold
    result(lacal, "infer", f"adjusted.{kind}", "val.npz", *trust, "-o", "adjusted.npz")
    result(lacal, "adjust", *source, *given, "--allow-tuned-rows", "-o", "p.parquet")
    import pyarrow.parquet as pq

    np.testing.assert_array_equal(
        np.load("adjusted.npz")["adjusted_logits"].argmax(axis=1),
        pq.read_table("p.parquet")["prediction"].to_numpy(),
    )
    code, _, err = lacal("export", f"adjusted.{kind}", *given, "-o", f"twice.{kind}", *trust)
    assert (code, "adjusted already" in err) == (2, True), err


def test_torchscript_asks_for_trust(lacal: Run) -> None:
    code, _, err = lacal("inspect", "model.pt", "--inputs", "val.npz")
    assert code == 2
    assert "--trust-model" in err


def test_a_gpu_that_is_not_there_is_an_error(lacal: Run) -> None:
    if torch.cuda.is_available():
        pytest.skip("a GPU is there")
    code, _, err = lacal("inspect", "model.pt2", "--inputs", "val.npz", "--device", "cuda")
    assert (code, "cuda" in err.lower()) == (3, True), err
