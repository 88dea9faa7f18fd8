"""Warnings that name the cause, errors rounded alike everywhere, and arguments in the wrong place."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lacal.metrics import ClassTally
from lacal.pipeline.doubts import at_chance
from lacal.pipeline.tune_tau import error_at
from lacal.tau.path import TauPath
from tests.small_world import COUNTS, NAMES, json_of, lacal, refusal, world

VAL = world(rows=300)
GUESSES = "is that of guesses"
ORDER = "are the labels in the order of the rows"


def tally_of(labels: np.ndarray[Any, Any], predictions: np.ndarray[Any, Any]) -> ClassTally:
    tally = ClassTally.empty(int(labels.max()) + 1)
    tally.update(labels, predictions)
    return tally


def warnings_of_tuning(
    folder: Path, capfd: pytest.CaptureFixture[str], logits: Any, *more: object
) -> list[str]:
    np.savez(folder / "other.npz", logits=logits, labels=VAL.labels)
    counts = () if "--counts" in more else ("--counts", folder / "counts.csv")
    line = ("tune-tau", folder / "other.npz", *counts, "--draws", 50, *more)
    found: list[str] = json_of(capfd, *line)["warnings"]
    return found


# Guesses


@pytest.mark.parametrize(("rows", "right"), [(10, 7), (10, 6), (20, 13), (10, 5)])
def test_few_rows_are_not_said_to_be_guessed(rows: int, right: int) -> None:
    """Where the interval reaches down to what only skill has, nobody can tell."""
    labels = np.repeat([0, 1], rows)
    predictions = np.where(np.tile(np.arange(rows) < right, 2), labels, 1 - labels)
    assert not at_chance(tally_of(labels, predictions))


def test_permuted_columns_are_noticed_though_tau_lowers_their_error(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    logits = VAL.logits[:, [1, 2, 3, 4, 0]]
    found = warnings_of_tuning(folder, capfd, logits)
    assert GUESSES in found[0]
    assert ORDER in found[0]
    assert not any("widen" in one for one in found)


def test_a_model_of_one_class_is_named_as_that(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    logits = VAL.logits + 30 * (np.arange(5) == 0)
    np.savez(folder / "head.npz", logits=logits, labels=VAL.labels, class_names=np.array(NAMES))
    (found,) = json_of(capfd, "evaluate", folder / "head.npz")["warnings"]
    assert "is that of guesses: 300 of 300 rows are predicted as class cat" in found
    assert ORDER not in found
    # Tau mends it, so that there is no doubt about rows or classes.
    found = warnings_of_tuning(folder, capfd, logits, "--grid", "0:20:0.5")
    assert not any(GUESSES in one for one in found)


# Causes first


def test_counts_in_another_order_are_told_before_what_they_cause(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "turned.json").write_text(str(list(COUNTS[::-1])))
    found = warnings_of_tuning(folder, capfd, VAL.logits, "--counts", folder / "turned.json")
    assert "are counts and logits in one class order" in found[0]
    assert "the optimum over all tau is negative, near -" in found[1]
    assert not any("widen" in one or "another --method" in one for one in found)


def test_a_negative_optimum_is_no_matter_of_the_grid(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shares = np.log(np.array(COUNTS) / sum(COUNTS))
    found = warnings_of_tuning(folder, capfd, VAL.logits - 1.25 * shares)
    assert not any("widen" in one for one in found)
    (told,) = [one for one in found if "does not lower" in one]
    assert (
        "is the model corrected already (balanced loss or sampler)? then keep it as it is" in told
    )


def test_a_range_that_ends_too_early_is_told(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    found = warnings_of_tuning(folder, capfd, VAL.logits, "--grid", "0:0.2:0.1")
    assert any("widen it with --grid" in one for one in found)


def test_a_gain_that_may_be_none_is_told(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    few = world(rows=40, seed=3, shift=0.3)
    np.savez(folder / "few.npz", logits=few.logits, labels=few.labels)
    line = ("tune-tau", folder / "few.npz", "--counts", folder / "counts.csv", "--select", "min")
    found = json_of(capfd, *line, "--draws", 50)
    assert found["gain"] > 0
    assert (
        "the interval of the gain includes 0; more validation rows would tell" in found["warnings"]
    )


# One error, one number


def test_an_error_is_the_same_to_the_last_bit_wherever_it_is_shown(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Of 7 rows a class sums of weights and means of class errors end in other bits."""
    others = 0
    for seed in range(20):
        random = np.random.default_rng(seed)
        labels = np.repeat(np.arange(3), [7, 11, 13])
        low = random.normal(size=31)
        path = TauPath(labels, np.arange(31), low, low + 1, 3)
        right = path.right_at(0.3)
        tally = tally_of(labels, np.where(right, labels, -2))
        assert error_at(path, 0.3) == tally.balanced().value
        others += error_at(path, 0.3) != path.balanced_error(np.array([0.3]))[0]
    assert others
    found = json_of(
        capfd, "tune-tau", folder / "val.npz", "--counts", folder / "counts.csv", "--draws", 50
    )
    picked = found["picks"][found["select"]]["balanced_error"]
    assert picked == found["adjusted"]["balanced_error"]["value"]


# Options and the environment


def test_an_option_of_lacal_behind_the_command_is_told_its_place(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    said = refusal(capfd, "tune-tau", folder / "val.npz", "--config", "c.toml")
    assert "--config: goes before the command: lacal --config ... tune-tau" in said


def test_a_variable_that_no_option_reads_is_told(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LACAL_TUNETAU_SELECT", "min")
    monkeypatch.setenv("LACAL_TUNE_TAU_SELECT", "shrunk")
    monkeypatch.setenv("LACAL_TRAIN_EPOCH", "3")
    line = ("tune-tau", folder / "val.npz", "--counts", folder / "counts.csv", "--draws", 10)
    assert lacal(*line) == 0
    (said,) = [one for one in capfd.readouterr().err.splitlines() if "environment" in one]
    assert said == (
        "warning: LACAL_TUNETAU_SELECT in the environment sets no option of tune-tau. Did you mean "
        "'LACAL_TUNE_TAU_SELECT'?"
    )
    assert lacal("env", "--json") == 0
    assert "in the environment" not in capfd.readouterr().err


@pytest.mark.parametrize("tau", ["nan", "-inf", "1e7"])
def test_tau_is_a_number_within_bounds(
    folder: Path, capfd: pytest.CaptureFixture[str], tau: str
) -> None:
    line = ("adjust", folder / "val.npz", "--counts", folder / "counts.csv", f"--tau={tau}")
    said = refusal(capfd, *line, "-o", folder / "p.parquet")
    assert "expected a number between -1e+06 and 1e+06" in said


# Arguments in the wrong place


def test_predictions_in_place_of_logits_are_named(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = ["id,label,prediction,prediction_name,confidence", "a,0,0,cat,0.9", "b,1,1,dog,0.8"]
    (folder / "p.csv").write_text("\n".join(lines) + "\n")
    said = refusal(capfd, "tune-tau", folder / "p.csv", "--counts", folder / "counts.csv")
    assert "p.csv: holds predictions, not logits" in said


def test_a_model_behind_its_inputs_is_told_its_place(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    value = onnx.helper.make_tensor_value_info("x", 1, ["n", 5])
    out = onnx.helper.make_tensor_value_info("y", 1, ["n", 5])
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "g", [value], [out])
    onnx.save(onnx.helper.make_model(graph), folder / "m.onnx")
    said = refusal(capfd, "infer", folder / "val.npz", folder / "m.onnx", "-o", folder / "o.npz")
    assert "m.onnx is a model: name it first, its inputs after it" in said
    (folder / "empty.onnx").touch()
    for inputs in ("test.npz", "none.npz", "empty.onnx"):
        said = refusal(capfd, "infer", folder / "val.npz", folder / inputs, "-o", folder / "o.npz")
        assert "name it first" not in said
