"""Numbers that are not what they seem: scores, labels, ids, counts and JSON through the command line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from numpy.typing import NDArray

from lacal.formats.text import MOST_JSON, MOST_NESTED, strict_json
from lacal.metrics import ClassTally
from lacal.pipeline.doubts import against_counts, at_chance
from tests.small_world import COUNTS, NAMES, json_of, lacal, refusal, world

VAL = world()
SOFTMAX = np.exp(VAL.logits.astype("f8"))
SOFTMAX /= SOFTMAX.sum(axis=1, keepdims=True)
per_folder = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


def logits_of(folder: Path, logits: Any, **more: Any) -> Path:
    np.savez(folder / "val.npz", **{"logits": logits, "labels": VAL.labels, **more})
    return folder / "val.npz"


def changed(value: float, dtype: str = "f4") -> NDArray[Any]:
    logits = VAL.logits.astype(dtype)
    logits[7, 2] = value
    return logits


LOW = "where -inf means 'never this class', write a low number such as -1e4"
MANY = np.where(np.arange(60)[:, None] % 9 == 3, np.nan, VAL.logits)
SCORES: dict[str, tuple[Any, str]] = {
    "NaN": (changed(np.nan), "row 7, class 2 is NaN; expected finite logits; mend the model"),
    "NaN in rows": (MANY, "row 3, class 0 is NaN (and at least 6 more such)"),
    "infinity": (changed(np.inf), "row 7, class 2 is inf"),
    "a mask": (changed(-np.inf), LOW),
    "halves that overflowed": (changed(np.inf, "f2"), "stores float16, which overflows"),
    "probabilities": (SOFTMAX, "look like probabilities"),
    "half probabilities": (SOFTMAX.astype("f2"), "look like probabilities"),
    "one-hot": (np.eye(5)[VAL.labels], "look like probabilities"),
    "sigmoids": (1 / (1 + np.exp(-VAL.logits)), "as sigmoid outputs do"),
    "percentages": (100 * SOFTMAX, "look like percentages (all from 0, sums 100)"),
    "rounded percentages": ((100 * SOFTMAX).round(1), "look like percentages"),
    "whole percentages": (
        np.array([[90, 4, 3, 2, 1], [20, 20, 20, 20, 20]] * 30),
        "look like percentages",
    ),
}


@pytest.mark.parametrize("case", SCORES)
@pytest.mark.parametrize("command", ["inspect", "adjust"])
def test_scores(folder: Path, capfd: pytest.CaptureFixture[str], command: str, case: str) -> None:
    logits, fragment = SCORES[case]
    path, out = logits_of(folder, logits), folder / "p.parquet"
    counts = ("--counts", folder / "counts.csv")
    more = ("--tau", 1, "-o", out) if command == "adjust" else ()
    message = refusal(capfd, command, path, *counts, *more)
    assert message.startswith(f"Error: {path}: ")
    assert fragment in message
    assert not out.exists()


def test_percentages_that_are_logits(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = logits_of(folder, 100 * SOFTMAX)
    assert json_of(capfd, "evaluate", path, "--scores", "logits")["rows"] == 60


def test_a_low_number_masks_as_promised(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    logits = VAL.logits.copy()
    logits[:, 2] = -1e4
    path, out = logits_of(folder, logits, ids=np.arange(60)), folder / "p.parquet"
    line = ("adjust", path, "--counts", folder / "counts.csv", "--tau", 1, "-o", out)
    assert lacal(*line) == 0
    kept = np.delete(logits, 2, axis=1) - np.log(np.delete(COUNTS, 2))
    expected = np.delete(np.arange(5), 2)[kept.argmax(axis=1)]
    assert pq.read_table(out).column("prediction").to_pylist() == expected.tolist()


def test_log_probabilities_are_logits(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    answers = []
    for scores, how in ((VAL.logits, ()), (np.log(SOFTMAX), ()), (SOFTMAX, ("--scores", "probs"))):
        path = logits_of(folder, scores)
        line = ("tune-tau", path, "--counts", folder / "counts.csv", "--draws", 10, *how)
        found = json_of(capfd, *line)
        answers.append((found["adjusted"], found["unadjusted"]))
    assert answers[0] == answers[1] == answers[2]
    assert lacal("inspect", logits_of(folder, np.log(SOFTMAX))) == 0
    assert "log-probabilities" in capfd.readouterr().out
    assert lacal("inspect", logits_of(folder, VAL.logits)) == 0
    assert "log-probabilities" not in capfd.readouterr().out


# Labels


@pytest.mark.parametrize(
    ("labels", "fragment"),
    [
        (VAL.labels + 1, "row 4 has label 5, expected 0..4 (and at least 11 more); if the"),
        (np.where(VAL.labels == 3, -1, VAL.labels + 1), "more, -1..5); labels must number"),
        (np.where(np.arange(60) == 9, 2**33, VAL.labels), "row 9 has label 8589934592"),
        (np.where(np.arange(60) == 9, -100, VAL.labels), "say --ignore-label -100"),
        (np.where(np.arange(60) == 9, np.inf, VAL.labels), "row 9 is inf, expected a whole class"),
        (VAL.labels > 2, "holds bool, expected class numbers or names"),
        (VAL.labels.astype("M8[s]"), "holds datetime64[s], expected class"),
    ],
)
def test_labels(
    folder: Path, capfd: pytest.CaptureFixture[str], labels: Any, fragment: str
) -> None:
    path = logits_of(folder, VAL.logits, labels=labels)
    assert fragment in refusal(capfd, "tune-tau", path, "--counts", folder / "counts.csv")


def test_training_labels_are_checked_before_they_are_counted(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """numpy would allocate 64 GiB for the label 2^33, and count -1 with the last class."""
    for number, fragment in ((2**33, "training labels 0..10,000,000"), (-1, "label 9 is negative")):
        labels = VAL.labels.copy()
        labels[9] = number
        np.save(folder / "train.npy", labels)
        line = ("tune-tau", folder / "val.npz", "--counts", folder / "train.npy")
        assert fragment in refusal(capfd, *line, "--counts-from-labels")


def test_an_ignored_number_that_is_a_class(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """255 marks rows without a label in bytes, and is a class where there are 300."""
    logits = np.random.default_rng(0).normal(size=(400, 300)).astype("f4")
    np.savez(folder / "wide.npz", logits=logits, labels=(np.arange(400) % 255).astype("u1"))
    line = ("evaluate", folder / "wide.npz", "--ignore-label", 255)
    assert lacal(*line) == 0
    said = "--ignore-label 255 is also the number of a class (they go from 0 to 299)"
    assert said in capfd.readouterr().err
    np.savez(folder / "few.npz", logits=VAL.logits, labels=VAL.labels)
    assert lacal("evaluate", folder / "few.npz", "--ignore-label", 255) == 0
    assert "is also the number" not in capfd.readouterr().err


# Labels in a file of their own, by id

IDS: dict[str, Callable[[NDArray[Any]], Any]] = {
    "numbers": lambda order: order,
    "large numbers": lambda order: order + 2**62,
    "larger numbers": lambda order: order.astype("u8") + np.uint64(2**63),
    "floats": lambda order: order.astype("f8"),
    "digits": lambda order: order.astype(str),
    "words": lambda order: np.array([f"row {i:03}" for i in order]),
}


@per_folder
@given(
    st.sampled_from(sorted(IDS)),
    st.sampled_from(["csv", "npz", "parquet"]),
    st.integers(0, 99),
    st.sampled_from(["ids", "sample"]),
)
def test_labels_are_joined_by_id(folder: Path, kind: str, layout: str, seed: int, key: str) -> None:
    """Whatever the order of a file of labels, whatever the ids: one answer."""
    order = np.random.default_rng(seed).permutation(60)
    names = np.array(NAMES)[VAL.labels]
    np.savez(
        folder / "rows.npz", logits=VAL.logits, class_names=NAMES, **{key: IDS[kind](np.arange(60))}
    )
    if kind == "floats" and layout == "csv":
        kind = "numbers"  # 0.0 as text is another id than 0
    ids, labels, path = IDS[kind](order), names[order], folder / f"labels.{layout}"
    if layout == "npz":
        np.savez(path, label=labels, **{key: ids})
    elif layout == "parquet":
        pq.write_table(pa.table({"label": labels, key: ids}), path)
    else:
        rows = "".join(f"{one},{label}\n" for one, label in zip(ids.tolist(), labels, strict=True))
        path.write_text(f"{key},label\n{rows}")
    line = ("adjust", folder / "rows.npz", "--labels", path, "--id-key", key, "--tau", 0)
    out = folder / "p.parquet"
    assert lacal(*line, "--counts", folder / "counts.csv", "-o", out, "--force") == 0
    assert pq.read_table(out).column("label").to_pylist() == VAL.labels.tolist()


@pytest.mark.parametrize(
    ("ids", "rows", "fragment"),
    [
        (np.arange(1, 61), 60, "has no label for the id '0' of row 0 (ids here are such as '1')"),
        (np.char.add("x", np.arange(60).astype(str)), 60, "has no label for the id '0' of row 0"),
        (np.arange(60) % 59, 60, "row 59 has the same id as row 0, '0' (1 rows repeat an id)"),
        (np.arange(61), 61, "has 61 labels"),
        (np.arange(59), 59, "has no label for the id '59' of row 59"),
        (np.ones((60, 2)), 60, "cannot be the ids"),
    ],
)
def test_ids_that_do_not_pair_up(
    folder: Path, capfd: pytest.CaptureFixture[str], ids: Any, rows: int, fragment: str
) -> None:
    np.savez(folder / "rows.npz", logits=VAL.logits, ids=np.arange(60))
    np.savez(folder / "labels.npz", labels=np.arange(rows) % 5, ids=ids)
    line = ("evaluate", folder / "rows.npz", "--labels", folder / "labels.npz")
    message = refusal(capfd, *line)
    assert message.startswith(f"Error: {folder / 'labels.npz'}")
    assert fragment in message


def test_labels_pair_up_by_place_where_one_side_has_no_ids(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    truth = json_of(capfd, "evaluate", folder / "val.npz")["balanced_error"]
    np.save(folder / "labels.npy", VAL.labels)
    np.savez(folder / "only.npz", y=VAL.labels)  # labels by another name
    np.savez(folder / "both.npz", labels=VAL.labels, ids=np.arange(60)[::-1])
    np.save(folder / "logits.npy", VAL.logits)
    for rows, labels in (
        ("val.npz", "labels.npy"),
        ("logits.npy", "both.npz"),
        ("val.npz", "only.npz"),
    ):
        line = ("evaluate", folder / rows, "--labels", folder / labels)
        assert json_of(capfd, *line)["balanced_error"] == truth


# Rows, classes and counts in different orders


def shuffled(seed: int = 1) -> NDArray[np.int64]:
    return np.random.default_rng(seed).permutation(VAL.labels)


def test_labels_of_other_rows_are_noticed(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = logits_of(folder, VAL.logits, labels=shuffled())
    counts = ("--counts", folder / "counts.csv")
    said = "is that of guesses; are the labels in the order of the rows"
    for line in (("evaluate", path), ("tune-tau", path, *counts, "--draws", 10)):
        assert lacal(*line) == 0
        assert said in capfd.readouterr().err
    path = logits_of(folder, VAL.logits)
    assert lacal("tune-tau", path, *counts, "--draws", 10) == 0
    assert "guesses" not in capfd.readouterr().err


def test_counts_in_another_order_are_noticed(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "c.json").write_text(json.dumps(COUNTS[::-1]))
    for counts, noticed in (("c.json", True), ("counts.csv", False)):
        line = ("tune-tau", folder / "val.npz", "--counts", folder / counts, "--draws", 10)
        assert lacal(*line) == 0
        told = capfd.readouterr().err
        assert ("are recognised less often (rank correlation -" in told) is noticed


def tally_of(labels: NDArray[Any], predictions: NDArray[Any], classes: int) -> ClassTally:
    tally = ClassTally.empty(classes)
    tally.update(labels, predictions)
    return tally


@pytest.mark.parametrize("classes", [2, 5, 40])
@pytest.mark.parametrize("slant", [0.3, 1.0, 5.0])
def test_chance_is_told_from_skill(classes: int, slant: float) -> None:
    """Guesses of any preference are noticed, but for a few by accident; skill is not."""
    random = np.random.default_rng(classes)
    noticed = 0
    for _ in range(100):
        labels = np.arange(50 * classes) % classes
        guesses = random.choice(classes, labels.size, p=random.dirichlet(np.full(classes, slant)))
        noticed += bool(at_chance(tally_of(labels, guesses, classes)))
        right = np.where(random.random(labels.size) < 0.5, labels, guesses)
        assert not at_chance(tally_of(labels, right, classes))
    assert noticed >= 93


def test_little_is_not_judged() -> None:
    labels = np.arange(5)
    assert not at_chance(tally_of(labels, np.roll(labels, 1), 5))  # 1 row a class
    assert not at_chance(tally_of(labels[:0], labels[:0], 5))  # none
    assert not at_chance(tally_of(np.zeros(99, int), np.ones(99, int), 5))  # 1 class
    four = np.repeat(np.arange(4), 9)
    wrong = np.where(np.arange(36) % 9 < four * 2, -2, four)  # the more often wrong, the higher
    assert not against_counts(tally_of(four, wrong, 4), np.arange(4))
    ten = np.repeat(np.arange(10), 20)
    wrong = np.where(np.arange(200) % 20 < ten, -2, ten)
    assert against_counts(tally_of(ten, wrong, 10), np.arange(10))
    assert not against_counts(tally_of(ten, wrong, 10), np.arange(10)[::-1])


# Counts and JSON

COUNT_FILES = {
    "zero": ("[5, 4, 3, 2, 0]", "1 of 5 classes have no training example"),
    "all zero": ("[0, 0, 0, 0, 0]", "every count is 0"),
    "none": ("[]", "holds no counts"),
    "none by name": ("{}", "holds no counts"),
    "a prior": ("[0.5, 0.2, 0.1, 0.1, 0.1]", "they sum to 1 as a prior does"),
    "a constant": ("[Infinity, 1, 1, 1, 1]", "Infinity is no number of JSON"),
    "too large for floats": ("[1e400, 1, 1, 1, 1]", "the count of class 0 is 'inf'"),
    "too large to be exact": ("[9007199254740993, 1, 1, 1, 1]", "count 0 is too large"),
    "309 digits": ("[" + "9" * 309 + ", 1, 1, 1, 1]", "the count of class 0 is '999"),
    "5,000 digits": ("[" + "9" * 5000 + "]", "Exceeds the limit (4300 digits)"),
    "a key twice": ('{"cat": 5, "cat": 4}', "a key occurs twice"),
    "too deep": ("[" * 100_000, "it nests too deep"),
    "deep": ("[" * 400 + "]" * 400, "the count of class 0 is '[[["),
    "truth": ("[true, 1, 1, 1, 1]", "the count of class 0 is 'True'"),
    "null": ("[null, 1, 1, 1, 1]", "the count of class 0 is 'None'"),
    "text": ('["5", 1, 1, 1, 1]', "the count of class 0 is '5'"),
    "a number alone": ("3", "holds no counts, expected a list"),
    "more behind": ("[5, 4, 3, 2, 1] x", "is not JSON that can be read (Extra data"),
    "half a character": ('{"\\ud800":1,"b":1,"c":1,"d":1,"e":1}', "is not valid UTF-8 text"),
    "a NUL": ('{"a\\u0000":1,"b":1,"c":1,"d":1,"e":1}', "holds a NUL character"),
    "lists for ever": ("[" + "[]," * MOST_NESTED + "[]]", "holds too many lists"),
}


@pytest.mark.parametrize("case", COUNT_FILES)
def test_counts(folder: Path, capfd: pytest.CaptureFixture[str], case: str) -> None:
    text, fragment = COUNT_FILES[case]
    path, out = folder / "spoiled.json", folder / "c.json"
    path.write_text(text)
    message = refusal(capfd, "tune-tau", folder / "val.npz", "--counts", path, "-o", out)
    assert message.startswith(f"Error: {path}: ")
    assert fragment in message
    assert message.isprintable()
    assert not out.exists()


@pytest.mark.parametrize(
    ("counts", "fragment"),
    [
        (np.array([1.0, 2, 3, np.nan, 5]), "count 3 is not finite"),
        (np.array([1, 2, 3, -4, 5]), "count 3 is negative"),
        (np.array([2**63, 1, 1, 1, 1], "u8"), "count 0 is too large"),
        (np.ones(5, bool), "counts are bool, expected whole numbers"),
        (np.ones((5, 1)), "counts have 2 dimensions"),
        (np.array(list("abcde")), "holds text where numbers were expected"),
        (np.arange(12), "has 12 counts"),
    ],
)
def test_arrays_of_counts(
    folder: Path, capfd: pytest.CaptureFixture[str], counts: Any, fragment: str
) -> None:
    np.savez(folder / "counts.npz", class_counts=counts)
    line = ("tune-tau", folder / "val.npz", "--counts", folder / "counts.npz")
    assert fragment in refusal(capfd, *line)


def test_json_too_long_is_not_parsed() -> None:
    with pytest.raises(ValueError, match="too long"):
        strict_json(" " * (MOST_JSON + 1))
