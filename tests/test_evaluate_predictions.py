"""A predictions file is measured as the logits it was made of, and fields that are not what they say are refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from scipy.special import softmax

from tests.small_world import json_of, lacal, refusal, world

TEST = world(rows=80, seed=5)
OF_SCORES = ("log_loss", "balanced_log_loss", "brier", "calibration.class_wise")
OF_CONFIDENCE = ("calibration.top_label", "balanced_calibration", "few.calibration")


@pytest.fixture
def source(folder: Path) -> Path:
    np.savez(folder / "more.npz", logits=TEST.logits, labels=TEST.labels)
    return folder / "more.npz"


def of_file(
    capfd: pytest.CaptureFixture[str], folder: Path, source: Path, *options: object
) -> dict[str, Any]:
    """The JSON of the predictions that `adjust` writes."""
    path = folder / "p.parquet"
    calibration = folder / "calibration.json"
    line = ("adjust", source, "--calibration", calibration, "-o", path, "--force", *options)
    assert lacal(*line) == 0, capfd.readouterr().err
    return json_of(capfd, "evaluate", path, "--counts", folder / "counts.csv")


@pytest.mark.parametrize("scores", [None, "probs", "logits"])
@pytest.mark.parametrize("prior", [(), ("--target-prior", "train")])
@pytest.mark.parametrize("fitted", [False, True])
def test_the_file_says_what_the_logits_say(
    folder: Path,
    calibration: Path,
    source: Path,
    capfd: pytest.CaptureFixture[str],
    scores: str | None,
    prior: tuple[str, ...],
    fitted: bool,
) -> None:
    """Whatever was written, and whatever the confidences are for."""
    meant = (*prior, *(("--fit-temperature", folder / "val.npz") if fitted else ()))
    direct = json_of(capfd, "evaluate", source, "--calibration", calibration, *meant)
    told = of_file(capfd, folder, source, *meant, *(("--write-scores", scores) if scores else ()))
    for name in ("rows", "balanced_error", "groups", "classes", "unadjusted", "gain"):
        assert told[name] == direct[name], name
    known = (*OF_SCORES, *OF_CONFIDENCE) if scores else OF_CONFIDENCE
    for name in known:
        assert told["measures"][name]["value"] == pytest.approx(
            direct["measures"][name]["value"], rel=1e-5
        ), name
    if scores is None:
        assert all(told["measures"][name]["value"] is None for name in OF_SCORES)
    temperature = direct["probabilities"]["temperature"]
    assert told["probabilities"]["temperature"] == pytest.approx(temperature)


def written(path: Path, metadata: dict[str, str] | None = None, **columns: Any) -> Path:
    base = {"label": [0, 1, 2, 2], "prediction": [0, 1, 2, 0]}
    table = pa.table({**base, **columns})
    pq.write_table(table.replace_schema_metadata(metadata), path)
    return path


def vectors(values: NDArray[Any]) -> Any:
    flat = pa.array(values.astype(np.float32).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])


PROBABILITIES = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0, 0.1, 0.9], [0.5, 0.3, 0.2]])


def test_probabilities_of_others_by_hand(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path / "p.parquet", adjusted_probs=vectors(PROBABILITIES))
    found = json_of(capfd, "evaluate", path)["measures"]
    own = PROBABILITIES[range(4), [0, 1, 2, 2]]
    assert found["log_loss"]["value"] == pytest.approx(-np.log(own).mean(), rel=1e-6)
    confidence = np.array([0.8, 0.7, 0.9, 0.5])  # each in a bin of its own
    error = np.abs(np.array([1, 1, 1, 0]) - confidence).mean()
    assert found["calibration.top_label"]["value"] == pytest.approx(error, rel=1e-6)
    only = written(tmp_path / "c.parquet", confidence=confidence)
    of_confidence = json_of(capfd, "evaluate", only)["measures"]
    assert of_confidence["calibration.top_label"]["value"] == pytest.approx(error)


def test_a_probability_of_zero_is_an_infinite_loss_and_no_number(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sure = np.eye(3)[[0, 1, 2, 0]]
    path = written(tmp_path / "p.parquet", adjusted_probs=vectors(sure))
    found = json_of(capfd, "evaluate", path)["measures"]["log_loss"]
    assert found["value"] is None
    assert found["undefined"] == "infinite: 1 rows gave their own class the probability 0"
    assert lacal("evaluate", path) == 0
    (line,) = [one for one in capfd.readouterr().out.splitlines() if "log loss" in one]
    assert line.split() == ["log", "loss,", "nats", "infinite", "4"]


@pytest.mark.parametrize("name", ["confidence", "Confidence", "CONFIDENCE"])
@pytest.mark.parametrize("kind", [pa.float32(), pa.float64(), pa.int8()])
def test_confidences_are_found_in_any_case_and_of_any_type(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, kind: pa.DataType
) -> None:
    path = written(tmp_path / "p.parquet", **{name: pa.array([1, 1, 1, 0], kind)})
    found = json_of(capfd, "evaluate", path)["measures"]["calibration.top_label"]
    assert (found["value"], found["n"]) == (0, 4)


@pytest.mark.parametrize("spelt", [str.lower, str.upper])
@pytest.mark.parametrize("kind", [pa.int64(), pa.int8(), pa.float16(), pa.float64()])
def test_logits_of_any_type(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    kind: pa.DataType,
    spelt: Callable[[str], str],
) -> None:
    logits = np.array([[2, 0, 0], [0, 3, 0], [-1, 0, 4], [1, 0, 0]])
    column = pa.array(logits.astype(kind.to_pandas_dtype()).tolist(), pa.list_(kind))
    path = written(tmp_path / "p.parquet", **{spelt("adjusted_logits"): column})
    own = softmax(logits, axis=1)[range(4), [0, 1, 2, 2]]
    found = json_of(capfd, "evaluate", path)["measures"]["log_loss"]
    assert found["value"] == pytest.approx(-np.log(own).mean(), rel=1e-6)


def test_one_hot_probabilities_of_whole_numbers(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sure = pa.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]], pa.list_(pa.uint8()))
    path = written(tmp_path / "p.parquet", adjusted_probs=sure)
    assert json_of(capfd, "evaluate", path)["measures"]["brier"]["value"] == 0


def test_logits_at_the_ends_of_the_floats(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Their distance overflows, which is no fault: the probability is 0 (a warning would fail the test)."""
    logits = pa.array([[1e308, -1e308, 0]] * 4, pa.list_(pa.float64()))
    path = written(tmp_path / "p.parquet", adjusted_logits=logits, prediction=[0, 0, 0, 0])
    found = json_of(capfd, "evaluate", path)["measures"]["log_loss"]
    assert found["value"] is None
    assert "3 rows" in found["undefined"]


UNREAD = "'probabilities' in its metadata cannot be read; expected a temperature and class shares"
NO_SHARES = "the target shares are not one share from 0 to 1 a class"
# More than a float holds.
HUGE = "1" + "0" * 400

LISTED = "of 2 dimensions, expected numbers, the probability of the prediction"
VECTOR = "expected numbers, a probability for every class"


@pytest.mark.parametrize(
    ("columns", "fault"),
    [
        ({"confidence": [0.9, 0.8, 87.0, 0.5]}, "'confidence' of row 2 is 87.0, expected the probability"),
        ({"confidence": [[0.5, 0.5]] * 4}, f"'confidence' holds list<element: double> {LISTED}"),
        ({"confidence": [[0.5]] * 4}, LISTED),
        ({"confidence": ["high", "low", "high", "low"]}, "'confidence' holds string, expected numbers"),
        ({"Confidence": [True] * 4}, "'Confidence' holds bool, expected numbers"),
        ({"confidence": pa.array([1, 1, 0, 0], pa.decimal128(5, 2))}, "holds decimal128(5, 2), expected"),
        ({"confidence": [0.5] * 4, "Confidence": [0.5] * 4}, "both 'confidence' and 'Confidence' could be"),
        ({"adjusted_probs": [0.5] * 4}, f"'adjusted_probs' holds double, {VECTOR}"),
        ({"adjusted_probs": [[True, False, False]] * 4}, "holds list<element: bool>"),
        ({"adjusted_logits": [["a", "b", "c"]] * 4}, "expected numbers, a logit for every class"),
        ({"adjusted_probs": vectors(PROBABILITIES), "adjusted_logits": [1.0] * 4}, "'adjusted_logits' holds"),
        ({"confidence": [0.9, float("nan"), 0.7, 0.5]}, "row 1 is nan"),
        ({"confidence": [0.9, -0.1, 0.7, 0.5]}, "row 1 is -0.1"),
        ({"adjusted_probs": vectors(2 * PROBABILITIES)}, "row 0 is no probability vector (sum 2"),
        ({"adjusted_probs": vectors(PROBABILITIES - np.array([[0.5, -0.5, 0]]))}, "smallest -0.3"),
        ({"adjusted_probs": vectors(np.where(PROBABILITIES == 0, np.nan, PROBABILITIES))}, "row 2 is no"),
        ({"adjusted_probs": vectors(PROBABILITIES[:, :2])}, "0..1"),
        ({"adjusted_logits": vectors(np.where(PROBABILITIES == 0, np.nan, 1))}, "row 2 has the largest value nan"),
        ({"adjusted_logits": vectors(np.where(PROBABILITIES > 0.85, np.inf, 1))}, "row 2 has the largest value inf"),
        ({"unadjusted_prediction": [0, 1, 2, 3]}, "row 3 is 3, expected a class, 0..2; every row needs"),
        ({"unadjusted_prediction": [-1, 1, 2, 0]}, "row 0 is -1, expected a class, 0..2"),
        ({"prediction": [0, -1, 2, 0]}, "'prediction': row 1 is -1, expected a class, 0..2"),
        ({"weight": [1, 1, 1, -1]}, "row 3 weighs -1"),
    ],
)  # fmt: skip
def test_fields_that_are_not_what_they_say(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], columns: dict[str, Any], fault: str
) -> None:
    path = written(tmp_path / "p.parquet", {"class_names": '["a", "b", "c"]'}, **columns)
    more = ("--weight-key", "weight") if "weight" in columns else ()
    message = refusal(capfd, "evaluate", path, *more)
    assert "ignore-label" not in message
    if columns.keys() == {"adjusted_probs"} and fault == "0..1":
        fault = "holds 2 scores a row, expected one for each of the 3 classes"
    assert fault in message


@pytest.mark.parametrize(
    ("note", "fault"),
    [("{", UNREAD), ("[]", UNREAD), ("{}", UNREAD), ('{"temperature": "x"}', UNREAD),
     (f'{{"temperature": {HUGE}}}', UNREAD), (f'{{"temperature": -{HUGE}}}', UNREAD), ('{"temperature": 1e999}', UNREAD),
     (f'{{"temperature": 1, "target_shares": {HUGE}}}', UNREAD),
     (f'{{"temperature": 1, "target_shares": [1, 0, {HUGE}]}}', UNREAD),
     ('{"temperature": 1, "target_prior": "\\ud800"}', UNREAD),
     ('{"temperature": 0}', "is 0, expected one from 1e-06 on"), ('{"temperature": 1e-300}', "is 1e-300, expected"),
     ('{"temperature": 1, "target_shares": [1, 1, 1]}', NO_SHARES),
     ('{"temperature": 1, "target_shares": [1e308, 1e308, 1e308]}', NO_SHARES),
     ('{"temperature": 1, "target_shares": [1, -1e-3, 1e-3]}', NO_SHARES),
     ('{"temperature": 1, "target_shares": [0.5, 0.5]}', "holds 2 target shares, expected one for each of the 3"),
     ('{"temperature": 1, "target_shares": [[1]]}', NO_SHARES)],
)  # fmt: skip
def test_a_note_about_probabilities_that_makes_no_sense(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], note: str, fault: str
) -> None:
    columns = {"adjusted_logits": vectors(np.log(PROBABILITIES + 0.01))}
    path = written(tmp_path / "p.parquet", {"probabilities": note}, **columns)
    message = refusal(capfd, "evaluate", path)
    assert message.startswith(f"Error: {path}: ")
    assert fault in message


def test_logits_so_far_apart_that_a_temperature_makes_the_distance_infinite(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nothing is warned of: the class behind has probability 0."""
    logits = np.where(PROBABILITIES > 0.4, 1e305, -1e305)
    note = {"probabilities": '{"temperature": 1e-5}'}
    path = written(tmp_path / "p.parquet", note, adjusted_logits=logits.tolist())
    found = json_of(capfd, "evaluate", path)["measures"]["brier"]
    assert found["value"] == 0.5  # the last row is surely wrong


def test_the_note_is_applied_to_adjusted_logits(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    logits = np.log(PROBABILITIES + 0.01)
    note = json.dumps({"temperature": 2.0, "target_shares": [0.5, 0.25, 0.25]})
    path = written(tmp_path / "p.parquet", {"probabilities": note}, adjusted_logits=vectors(logits))
    scores = logits / 2 + np.log([0.5, 0.25, 0.25])
    own = scores[range(4), [0, 1, 2, 2]] - np.log(np.exp(scores).sum(axis=1))
    found = json_of(capfd, "evaluate", path)["measures"]["log_loss"]
    assert found["value"] == pytest.approx(-own.mean(), rel=1e-5)


def test_the_ids_are_named_where_rows_are_paired(
    folder: Path, calibration: Path, source: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Predictions need ids for --significant alone; elsewhere the option is refused."""
    of_file(capfd, folder, source)
    path = folder / "p.parquet"
    line = ("evaluate", path, "--id-key", "id")
    assert "leave --id-key out" in refusal(capfd, *line)
    metrics = folder / "metrics.json"
    assert lacal("evaluate", path, "--report", metrics) == 0
    gates = ("--baseline", metrics, "--max-increase", "balanced_error=0", "--significant")
    assert lacal(*line, *gates, "--baseline-predictions", path) == 0
