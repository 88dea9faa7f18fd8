"""`--fit-temperature` and `--target-prior`: what they write, what they say, what they refuse."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from scipy.special import softmax

from lacal.adjustment import Adjustment
from lacal.batch import Labels
from lacal.errors import DataError
from lacal.pipeline.quality import Quality
from lacal.pipeline.temperature import Temperature, fit_temperature
from lacal.rows.logits_source import SourceOptions, open_source
from tests.small_world import COUNTS, NAMES, json_of, lacal, refusal, world

PRIOR = np.array(COUNTS) / sum(COUNTS)
TEST = world(seed=1)
FASHION = Path(__file__).parent.parent / "sample_data" / "fashion"


def overconfident(
    rows: NDArray[np.int64], seed: int, temperature: float = 2.5
) -> tuple[NDArray[np.float32], Labels]:
    """Logits of a model trained under PRIOR, right but for a factor; rows[y] rows of class y."""
    generator = np.random.default_rng(seed)
    means = np.random.default_rng(99).normal(size=(len(COUNTS), 6))
    labels = generator.permutation(np.repeat(np.arange(len(COUNTS)), rows))
    points = means[labels] + generator.normal(size=(labels.size, 6))
    posterior = points @ means.T - 0.5 * (means**2).sum(axis=1) + np.log(PRIOR)
    return (temperature * posterior).astype(np.float32), labels


def splits(folder: Path, rows: int = 120, temperature: float = 2.5) -> Path:
    """big_val.npz and big_test.npz with `rows` rows a class; the folder."""
    each = np.full(len(COUNTS), rows)
    for name, seed in (("val", 0), ("test", 1)):
        logits, labels = overconfident(each, seed, temperature)
        np.savez(folder / f"big_{name}.npz", logits=logits, labels=labels)
    return folder


def fit(path: Path, tau: float, **more: Any) -> Temperature:
    batch = SourceOptions(rows_per_batch=more.pop("rows_per_batch", None))
    adjustment = Adjustment(np.ones(len(COUNTS)), -tau * np.log(PRIOR))
    return fit_temperature(open_source(path, batch), adjustment, **more)


def numbers(one: Quality) -> tuple[float, float]:
    """Log loss and calibration error."""
    assert one.log_loss.value is not None
    assert one.calibration.value is not None
    return one.log_loss.value, one.calibration.value


# The fit


def test_tau_and_temperature_are_one_knob(folder: Path) -> None:
    """A model 2.5 times too sure wants tau = 2.5, and its adjusted logits the temperature 2.5."""
    splits(folder, 400)
    found = fit(folder / "big_val.npz", 2.5)
    assert found.low is not None
    assert found.high is not None
    assert found.low < 2.5 < found.high
    assert found.high / found.low < 1.25
    assert found.rows == found.after.log_loss.n == 2000
    before, after = numbers(found.before), numbers(found.after)
    assert after[0] < before[0]
    assert after[1] < 0.5 * before[1]


def test_the_mix_of_the_rows_does_not_matter_and_the_target_does(folder: Path) -> None:
    """Rows of a class repeated count no more than once; another target weighs the classes anew."""
    logits, labels = overconfident(np.array([40, 40, 40, 40, 40]), 5)
    again = np.concatenate([np.arange(labels.size), *(np.flatnonzero(labels == 0),) * 3])
    for name, rows in (("even", np.arange(labels.size)), ("heavy", again)):
        np.savez(folder / f"{name}.npz", logits=logits[rows], labels=labels[rows])
    even, heavy = (fit(folder / f"{name}.npz", 1.0) for name in ("even", "heavy"))
    assert heavy.value == pytest.approx(even.value, rel=1e-4)
    assert heavy.after.log_loss.value == pytest.approx(even.after.log_loss.value, rel=1e-6)
    uniform = fit(folder / "even.npz", 1.0, prior=np.full(5, 0.2))
    assert uniform.value == pytest.approx(even.value, rel=1e-9)
    assert fit(folder / "even.npz", 1.0, prior=PRIOR).value != pytest.approx(even.value, rel=1e-3)


def test_batches_of_any_size_give_one_temperature(folder: Path) -> None:
    splits(folder, 30)
    whole = fit(folder / "big_val.npz", 1.5)
    cut = fit(folder / "big_val.npz", 1.5, rows_per_batch=7)
    assert cut.value == pytest.approx(whole.value, rel=1e-9)
    assert cut.sketch.digest == whole.sketch.digest


def test_rows_and_classes_that_do_not_count_are_told(folder: Path) -> None:
    logits, labels = overconfident(np.array([30, 30, 30, 30, 0]), 3)
    np.savez(folder / "gap.npz", logits=logits, labels=labels)
    never = np.array([0.5, 0.5, 0.0, 0.0, 0.0])
    found = fit(folder / "gap.npz", 1.0, prior=never)
    assert (found.rows, found.left_out, found.absent.tolist()) == (60, 60, [])
    assert fit(folder / "gap.npz", 1.0).absent.tolist() == [4]
    masked = Adjustment(np.ones(5), np.array([0.0, 0.0, 0.0, -np.inf, 0.0]))
    found = fit_temperature(open_source(folder / "gap.npz", SourceOptions()), masked)
    assert (found.rows, found.left_out) == (90, 30)
    assert found.after.log_loss.value is not None  # no row is of a class of probability 0


@pytest.mark.parametrize(
    ("logits", "labels", "fault"),
    [
        ([[9, 0, 1], [0, 9, 1], [1, 0, 9]], [0, 1, 2], "hardly any row scores another class"),
        ([[0, 9, 1], [9, 0, 1], [1, 9, 0]], [0, 1, 2], "do not tell the classes apart"),
        ([[0, 9, 1], [9, 0, 1], [1, 9, 0]], [-1, -1, -1], "no row carries a label of a class"),
    ],
)
def test_rows_that_no_temperature_fits(
    folder: Path, logits: list[list[float]], labels: list[int], fault: str
) -> None:
    np.savez(folder / "few.npz", logits=np.array(logits, np.float64), labels=np.array(labels))
    source = open_source(folder / "few.npz", SourceOptions(ignore_label=-1))
    with pytest.raises(DataError, match=fault):
        fit_temperature(source, Adjustment.identity(3))


# The command


def test_absent_classes_are_named(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    splits(folder)
    logits, labels = overconfident(np.array([30, 0, 30, 0, 30]), 3)
    np.savez(folder / "gap.npz", logits=logits, labels=labels)
    found = json_of(capfd, *adjust(folder, "--fit-temperature", folder / "gap.npz"))
    told = (
        f"2 of 5 classes have no row in {folder / 'gap.npz'} and do not count for the temperature"
    )
    assert f"{told}: {NAMES[1]}, {NAMES[3]}" in found["warnings"]
    complete = json_of(capfd, *adjust(folder, "--fit-temperature", folder / "big_val.npz"))
    assert not any("have no row" in one for one in complete["warnings"])


def adjust(folder: Path, *more: object, source: str = "big_test.npz") -> tuple[object, ...]:
    line = ("adjust", folder / source, "--tau", 1, "--counts", folder / "counts.csv")
    return (*line, "-o", folder / "p.parquet", "--force", *more)


def written(folder: Path) -> tuple[Any, dict[str, Any]]:
    """The table, and what it says its probabilities are."""
    table = pq.read_table(folder / "p.parquet")
    note = (table.schema.metadata or {}).get(b"probabilities", b"{}")
    return table, json.loads(note)


def test_confidences_are_the_formula_and_predictions_stay(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    splits(folder)
    json_of(capfd, *adjust(folder))
    plain, note = written(folder)
    assert note == {}
    options = ("--fit-temperature", folder / "big_val.npz", "--target-prior", "train")
    found = json_of(capfd, *adjust(folder, *options, "--write-scores", "probs", "--top-k", 2))
    table, note = written(folder)
    temperature = found["temperature"]["value"]
    assert note["temperature"] == temperature
    assert note["target_prior"] == found["target_prior"]["name"] == "train"
    assert note["target_shares"] == pytest.approx(PRIOR.tolist())
    with np.load(folder / "big_test.npz") as file:
        adjusted = file["logits"].astype(np.float64) - np.log(PRIOR)
    expected = softmax(adjusted / temperature + np.log(PRIOR), axis=1)
    assert np.stack(table["adjusted_probs"].to_pylist()) == pytest.approx(expected, abs=1e-6)
    own = expected[np.arange(600), adjusted.argmax(axis=1)]
    assert table["confidence"].to_numpy() == pytest.approx(own)
    assert np.stack(table["top_confidences"].to_pylist())[:, 0] == pytest.approx(own)
    for name in ("prediction", "unadjusted_prediction", "changed", "label"):
        assert table[name].equals(plain[name])


def test_what_is_said_is_what_was_measured(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The temperature's numbers are those of the written file, worked out from its probabilities."""
    splits(folder)
    found = json_of(capfd, *adjust(folder, "--fit-temperature", folder / "big_val.npz",
                                   "--write-scores", "probs"))  # fmt: skip
    told, table = found["temperature"], written(folder)[0]
    labels = table["label"].to_numpy()
    probabilities = np.stack(table["adjusted_probs"].to_pylist()).astype(np.float64)
    losses = -np.log(probabilities[np.arange(labels.size), labels])
    by_class = np.bincount(labels, losses) / np.bincount(labels)
    assert told["source_after"]["log_loss"]["value"] == pytest.approx(by_class.mean(), rel=1e-5)
    assert told["source_after"] == found["confidences"]
    assert told["fitted_on"] == str(folder / "big_val.npz")
    assert told["n"] == 600
    low, high = told["interval"]
    assert low < told["value"] < high
    for side in ("", "source_"):
        before, after = told[f"{side}before"], told[f"{side}after"]
        assert after["log_loss"]["value"] < before["log_loss"]["value"]
        assert after["calibration"]["plain"] < before["calibration"]["plain"]
        assert after["calibration"]["scheme"] == "15 equal-width bins"
    again = json_of(capfd, "evaluate", folder / "p.parquet", "--counts", folder / "counts.csv")
    assert again["measures"]["log_loss"]["value"] == pytest.approx(
        found["measures"]["log_loss"]["value"], rel=1e-5
    )


def test_the_terminal_tells_the_same(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    splits(folder)
    assert lacal(*adjust(folder, "--fit-temperature", folder / "big_val.npz")) == 0
    out = capfd.readouterr().out
    assert "in equal class shares on 600 rows of " in out
    assert out.count("calibration error, %") == 2
    assert lacal(*adjust(folder)) == 0
    assert "confidences in equal class shares: calibration error" in capfd.readouterr().out


def test_a_target_from_a_file_and_a_source_without_labels(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    splits(folder)
    with np.load(folder / "big_test.npz") as file:
        np.savez(folder / "bare.npz", logits=file["logits"])
        adjusted = file["logits"].astype(np.float64) - np.log(PRIOR)
    rows = "".join(f"{name},{share}\n" for name, share in zip(NAMES, (1, 1, 2, 3, 3), strict=True))
    (folder / "shares.csv").write_text("class,count\n" + rows)
    line = adjust(folder, "--target-prior", folder / "shares.csv", source="bare.npz")
    found = json_of(capfd, *line, "--fit-temperature", folder / "big_val.npz")
    assert (found["adjusted"], found["confidences"], found["measures"]) == (None, None, None)
    assert found["temperature"]["source_after"] is None
    shares = np.array([1, 1, 2, 3, 3]) / 10
    assert found["target_prior"]["shares"] == pytest.approx(shares)
    expected = softmax(adjusted / found["temperature"]["value"] + np.log(shares), axis=1)
    own = expected[np.arange(600), adjusted.argmax(axis=1)]
    assert written(folder)[0]["confidence"].to_numpy() == pytest.approx(own)
    assert lacal(*line) == 0
    assert capfd.readouterr().out.startswith("wrote ")


def test_equal_shares_change_nothing(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    splits(folder)
    json_of(capfd, *adjust(folder))
    plain = written(folder)[0]
    json_of(capfd, *adjust(folder, "--target-prior", "uniform"))
    assert written(folder)[0]["confidence"].to_numpy() == pytest.approx(
        plain["confidence"].to_numpy(), rel=1e-12
    )


def test_a_fit_that_is_not_needed_or_does_harm_is_said(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    splits(folder, 60, temperature=1.0)
    found = json_of(capfd, *adjust(folder, "--fit-temperature", folder / "big_val.npz"))
    assert any("the interval of the temperature includes 1" in one for one in found["warnings"])
    logits, labels = overconfident(np.full(5, 60), 7, temperature=1.0)
    np.savez(folder / "true.npz", logits=logits, labels=labels)
    splits(folder, 60)
    line = adjust(folder, "--fit-temperature", folder / "big_val.npz", source="true.npz")
    found = json_of(capfd, *line)
    assert any(one.startswith("the temperature raises log loss from ") for one in found["warnings"])


def test_a_model_takes_the_logits_that_infer_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Options that name fields speak of the model's inputs, not of VAL."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("PIL")
    for one in FASHION.iterdir():
        shutil.copy(one, tmp_path / one.name)
    monkeypatch.chdir(tmp_path)
    table = pq.read_table("test.parquet")
    names = ["truth" if name == "label" else name for name in table.column_names]
    pq.write_table(table.slice(0, 200).rename_columns(names), "renamed.parquet")
    pixels = ("--scale", "1/255")
    json_of(capfd, "infer", "model.onnx", "val.parquet", *pixels, "-o", "val_logits.parquet")
    line = ("adjust", "model.onnx", "--inputs", "renamed.parquet", *pixels, "--label-key", "truth",
            "--tau", 1, "--counts", "counts.csv", "-o", "p.parquet")  # fmt: skip
    found = json_of(capfd, *line, "--fit-temperature", "val_logits.parquet")
    assert (found["rows"], found["temperature"]["n"]) == (200, 500)
    assert found["temperature"]["source_after"]["log_loss"]["n"] == 200


# Refusals


def test_rows_of_the_fit_are_not_scored_unless_allowed(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    splits(folder)
    line = adjust(folder, "--fit-temperature", folder / "big_test.npz")
    message = refusal(capfd, *line)
    assert (
        "about 100% of the rows that the temperature was fitted on are among these rows" in message
    )
    assert not (folder / "p.parquet").exists()
    assert json_of(capfd, *line, "--allow-tuned-rows")["fitted_share"] == 1.0
    assert lacal(*line, "--allow-tuned-rows") == 0
    assert capfd.readouterr().out.startswith("warning: the temperature was fitted on rows")


def test_the_rows_that_tau_was_tuned_on_may_be_fitted_on(
    folder: Path, calibration: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    line = ("adjust", folder / "test.npz", "--calibration", calibration, "-o", folder / "p.parquet")
    found = json_of(capfd, *line, "--fit-temperature", folder / "val.npz")
    assert found["temperature"]["n"] == 60


@pytest.mark.parametrize(
    ("val", "fault"),
    [
        ({"logits": TEST.logits}, "has no labels; add a field `labels` to it"),
        (
            {"logits": TEST.logits[:, :4], "labels": TEST.labels % 4},
            "has 4 classes, the calibration",
        ),
        ({"logits": softmax(TEST.logits, axis=1), "labels": TEST.labels}, "probabilities"),
    ],
)
def test_other_rows_are_refused(
    folder: Path, capfd: pytest.CaptureFixture[str], val: dict[str, Any], fault: str
) -> None:
    np.savez(folder / "odd.npz", **val)
    line = adjust(folder, "--fit-temperature", folder / "odd.npz", source="test.npz")
    assert fault in refusal(capfd, *line)
    assert not (folder / "p.parquet").exists()


def test_a_target_of_classes_that_are_never_predicted(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "zero.csv").write_text("class,count\ncat,500\ndog,120\nemu,60\nfox,25\ngnu,0\n")
    (folder / "gnus.csv").write_text("class,count\ncat,0\ndog,0\nemu,0\nfox,0\ngnu,7\n")
    line = ("adjust", folder / "test.npz", "--tau", 1, "--counts", folder / "zero.csv",
            "--zero-count", "mask", "-o", folder / "p.parquet")  # fmt: skip
    message = refusal(capfd, *line, "--target-prior", folder / "gnus.csv")
    assert "every class that occurs there has no training example" in message
    assert not (folder / "p.parquet").exists()


def test_a_target_of_training_needs_no_more_than_the_calibration(
    folder: Path, calibration: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    line = ("adjust", folder / "test.npz", "--calibration", calibration, "-o", folder / "p.parquet")
    found = json_of(capfd, *line, "--target-prior", "train")
    assert found["target_prior"]["shares"] == pytest.approx(PRIOR.tolist())
