"""Every measure against scikit-learn, absent classes left out, and nothing undefined shown as a number."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score, f1_score, log_loss, recall_score

from lacal.classes.prior import LabelPrior
from lacal.classes.target import TargetPrior, target_prior
from lacal.measure import GROUP_METRICS, METRIC_NAMES, Measure
from lacal.measures import measures
from lacal.metrics import Measurement, PairedTally
from lacal.pipeline import evaluate
from lacal.pipeline.evaluate import Evaluation
from lacal.pipeline.keeping import Keep
from lacal.rows.logits_source import SourceOptions, open_source
from tests.small_world import json_of, lacal

K = 12
ABSENT = (0, 5, 11)
COUNTS = np.geomspace(400, 3, K).astype(np.int64)


def rows(n: int = 300, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Logits and labels of K classes, three of which no row is of, though some are predicted."""
    generator = np.random.default_rng(seed)
    present = np.setdiff1d(np.arange(K), ABSENT)
    labels = generator.choice(present, n)
    logits = generator.normal(size=(n, K)).astype(np.float32)
    logits[np.arange(n), labels] += 1.5
    return logits, labels


LOGITS, LABELS = rows()


def softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    raised = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def file_of(folder: Path, **fields: Any) -> Path:
    np.savez(folder / "logits.npz", **{"logits": LOGITS, "labels": LABELS, **fields})
    return folder / "logits.npz"


def measured(folder: Path, target: TargetPrior | None = None) -> dict[str, Measure]:
    source = open_source(file_of(folder), SourceOptions())
    groups = LabelPrior(COUNTS).groups()
    return measures(evaluate(source, None), groups, None, target)


def class_means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(k,) mean over the rows of each class, NaN where it has none."""
    with np.errstate(invalid="ignore"):
        return np.bincount(LABELS, values, K) / np.bincount(LABELS, minlength=K)


def test_every_name_is_there_and_no_other(tmp_path: Path) -> None:
    found = measured(tmp_path)
    groups = [f"{group}.{one}" for group in ("many", "medium", "few") for one in GROUP_METRICS]
    classes = [f"class.{j}.error" for j in range(K)]
    assert sorted(found) == sorted([*METRIC_NAMES, *groups, *classes])
    assert all(name == one.name for name, one in found.items())


def test_equal_to_scikit_learn(tmp_path: Path) -> None:
    found, predictions = measured(tmp_path), LOGITS.argmax(axis=1)
    present = np.unique(LABELS)
    probabilities = softmax(LOGITS)
    assert np.isin(predictions, ABSENT).any()
    recalls = recall_score(LABELS, predictions, labels=present, average=None)
    losses = -np.log(probabilities[np.arange(LABELS.size), LABELS])
    with pytest.warns(UserWarning, match="y_pred contains classes not in y_true"):
        balanced = 1 - balanced_accuracy_score(LABELS, predictions)
    expected = {
        "balanced_error": balanced,
        "micro_error": np.mean(predictions != LABELS),
        "worst_class.recall": recalls.min(),
        "worst_tenth.recall": recalls.min(),  # one of nine present classes
        "macro_f1": f1_score(LABELS, predictions, labels=present, average="macro", zero_division=0),
        "log_loss": log_loss(LABELS, probabilities, labels=np.arange(K)),
        "balanced_log_loss": np.nanmean(class_means(losses)),
        "brier": ((probabilities - np.eye(K)[LABELS]) ** 2).sum(axis=1).mean(),
        "few.error": np.nanmean(np.where(COUNTS < 20, class_means(predictions != LABELS), np.nan)),
    }
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value, rel=1e-5), name
    few = LabelPrior(COUNTS).groups().masks["few"]
    assert found["few.error"].n == np.count_nonzero(few[LABELS])
    assert all(found[name].n == LABELS.size for name in ("balanced_error", "log_loss", "macro_f1"))


def brute_calibration(mask: NDArray[np.bool_], weights: NDArray[np.float64]) -> float:
    """Expected calibration error of the prediction over 15 bins, by a loop."""
    probabilities = softmax(LOGITS)[mask]
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == LABELS[mask]
    weights, error = weights[mask] / weights[mask].sum(), 0.0
    for j in range(15):
        inside = (confidence > j / 15) & (confidence <= (j + 1) / 15)
        error += abs(float((weights * (right - confidence.astype(float)))[inside].sum()))
    return error


def test_calibration_by_a_loop(tmp_path: Path) -> None:
    shares = np.geomspace(1, 50, K)
    target = TargetPrior("deployed", shares / shares.sum())
    found, ones = measured(tmp_path, target), np.ones(LABELS.size)
    every = np.ones(LABELS.size, np.bool_)
    alike = 1 / np.bincount(LABELS, minlength=K).clip(1)[LABELS]
    masks = LabelPrior(COUNTS).groups().masks
    expected = {
        "calibration.top_label": brute_calibration(every, ones),
        "balanced_calibration": brute_calibration(every, alike),
        "target_calibration": brute_calibration(every, alike * target.prior[LABELS]),
        "few.calibration": brute_calibration(masks["few"][LABELS], ones),
        "many.calibration": brute_calibration(masks["many"][LABELS], ones),
    }
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value, abs=1e-6), name


def test_under_a_target_prior_by_hand(tmp_path: Path) -> None:
    shares = np.geomspace(1, 50, K)
    shares /= shares.sum()
    found = measured(tmp_path, TargetPrior("deployed", shares))
    present = np.bincount(LABELS, minlength=K) > 0
    weights = np.where(present, shares, 0) / shares[present].sum()
    wrong = class_means(LOGITS.argmax(axis=1) != LABELS)
    losses = class_means(-np.log(softmax(LOGITS)[np.arange(LABELS.size), LABELS]))
    assert found["target_error"].value == pytest.approx(np.nansum(weights * wrong))
    assert found["target_log_loss"].value == pytest.approx(np.nansum(weights * losses), rel=1e-6)
    even = measured(tmp_path, target_prior("uniform", None, classes=K, class_names=None, place="x"))
    assert even["target_error"].value == pytest.approx(found["balanced_error"].value)


# What is not defined


def test_what_is_not_known_says_why(tmp_path: Path) -> None:
    tally_only = Measurement(3)
    tally_only.update(np.array([0, 0, 1]), np.array([0, 1, 1]))
    found = measures(Evaluation(3, tally_only), None, ("a", "b", "c"), None)
    undefined = {name: one.undefined or "" for name, one in found.items() if one.value is None}
    assert undefined["class.c.error"] == "no labelled row"
    assert undefined["gain"].startswith("nothing was adjusted; give --calibration")
    assert undefined["target_error"] == "no target prior is given; say --target-prior"
    assert "write them with lacal adjust --write-scores probs" in undefined["log_loss"]
    assert "lacal adjust writes it as confidence" in undefined["calibration.top_label"]
    assert all(one.undefined is None for one in found.values() if one.value is not None)
    assert sorted(name for name, one in found.items() if one.value is not None) == [
        "balanced_error", "class.a.error", "class.b.error", "macro_f1", "micro_error",
        "worst_class.recall", "worst_tenth.recall",
    ]  # fmt: skip


def test_an_infinite_loss_says_how_many_rows() -> None:
    sums = Measurement(3)
    probabilities = np.array([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]])
    sums.update(np.array([0, 0]), np.array([0, 1]), probabilities)
    found = measures(Evaluation(2, sums), None, None, None)
    for name in ("log_loss", "balanced_log_loss"):
        assert found[name].value is None
        assert found[name].undefined == "infinite: 1 rows gave their own class the probability 0"
    assert found["brier"].value == pytest.approx((0.5 + 1.5) / 2)


def test_a_group_without_rows_is_undefined(tmp_path: Path) -> None:
    sums = Measurement(2)
    sums.update(np.array([0]), np.array([0]), np.array([[0.9, 0.1]]))
    groups = LabelPrior(np.array([500, 5])).groups()
    found = measures(Evaluation(1, sums), groups, None, None)
    for one in GROUP_METRICS:
        assert found[f"few.{one}"].value is None
        assert found[f"few.{one}"].undefined == "no labelled row"
        assert found[f"few.{one}"].n == 0
    assert found["many.error"].value == 0


def test_the_gain_is_better_when_higher() -> None:
    sums, paired = Measurement(2), PairedTally.empty(2)
    labels, before, after = np.array([0, 0, 1, 1]), np.array([0, 0, 0, 0]), np.array([0, 0, 1, 0])
    sums.update(labels, after)
    paired.update(labels, before, after)
    gain = measures(Evaluation(4, sums, sums, paired), None, None, None)["gain"]
    assert (gain.value, gain.n, gain.better) == (0.25, 4, "higher")


# Absent classes in what is shown


def test_absent_classes_are_named_and_no_zero_is_made_up(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    names = [f"name{j}" for j in range(K)]
    lines = [f"{name},{count}\n" for name, count in zip(names, COUNTS, strict=True)]
    (tmp_path / "counts.csv").write_text("class,count\n" + "".join(lines))
    line = ("evaluate", file_of(tmp_path), "--counts", tmp_path / "counts.csv")
    found = json_of(capfd, *line)
    assert found["absent_classes"] == list(ABSENT)
    for j in ABSENT:
        assert found["classes"][j] == {
            "class": j, "name": names[j], "group": found["classes"][j]["group"],
            "error": None, "standard_error": None, "interval": None, "n": 0,
        }  # fmt: skip
    assert lacal(*line) == 0
    out = capfd.readouterr().out
    assert "3 of 12 classes have no row and do not count: name0, name5, name11" in out


def test_measures_can_be_left_out(tmp_path: Path) -> None:
    source = open_source(file_of(tmp_path), SourceOptions())
    found = evaluate(source, None, keep=Keep(measures=False))
    assert found.measured.top is None
    assert found.tally.balanced().value == evaluate(source, None).tally.balanced().value


def test_a_loss_too_large_for_a_probability_is_still_a_number(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A probability of exp(-3000) is 0 in every float; its log is not."""
    logits = np.array([[0, 3000, 0], [0, 0, 3000], [5, 0, 0]], np.float32)
    path = file_of(tmp_path, logits=logits, labels=np.array([0, 2, 0]))
    (tmp_path / "counts.csv").write_text("class,count\n0,3\n1,2\n2,1\n")
    found = json_of(capfd, "evaluate", path)["measures"]["log_loss"]
    assert found["value"] == pytest.approx((3000 + 0 + np.log1p(2 * np.exp(-5))) / 3)
    line = (
        "adjust",
        path,
        "--counts",
        tmp_path / "counts.csv",
        "--tau",
        0,
        "-o",
        tmp_path / "p.parquet",
    )
    assert lacal(*line, "--write-scores", "logits") == 0
    again = json_of(capfd, "evaluate", tmp_path / "p.parquet")["measures"]["log_loss"]
    assert again["value"] == pytest.approx(found["value"])
