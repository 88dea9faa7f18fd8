"""`evaluate`: the same errors from logits and from predictions, by hand and by scikit-learn."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import balanced_accuracy_score

from tests.small_world import COUNTS, NAMES, json_of, lacal, refusal, world

TEST = world(seed=1)
LOG_PRIOR = np.log(np.array(COUNTS) / sum(COUNTS))


def balanced(predictions: Any) -> float:
    return float(1 - balanced_accuracy_score(TEST.labels, predictions))


def test_plain_logits(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    found = json_of(capfd, "evaluate", folder / "test.npz")
    plain = TEST.logits.argmax(axis=1)
    assert found["balanced_error"]["value"] == pytest.approx(balanced(plain), abs=1e-12)
    assert found["micro_error"]["value"] == pytest.approx(float(np.mean(plain != TEST.labels)))
    assert found["balanced_error"]["n"] == found["rows"] == 60
    assert found["groups"] is None
    assert found["unadjusted"] is None
    assert found["classes"][2]["name"] is None
    by_class = [np.mean(plain[TEST.labels == j] != j) for j in range(5)]
    assert [one["error"] for one in found["classes"]] == pytest.approx(by_class)


def test_groups_and_names_come_with_the_counts(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    found = json_of(capfd, "evaluate", folder / "test.npz", "--counts", folder / "counts.csv")
    groups = found["groups"]
    assert {name: one["classes"] for name, one in groups.items()} == {
        "many": 2,
        "medium": 2,
        "few": 1,
    }
    assert groups["few"]["training_count"] == "< 20"
    assert groups["few"]["value"] == found["classes"][4]["error"]
    assert [one["name"] for one in found["classes"]] == list(NAMES)


def test_adjusted_logits_and_their_predictions_agree(
    folder: Path, calibration: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    direct = json_of(capfd, "evaluate", folder / "test.npz", "--calibration", calibration)
    adjusted = (TEST.logits - direct["tau"] * LOG_PRIOR).argmax(axis=1)
    assert direct["balanced_error"]["value"] == pytest.approx(balanced(adjusted), abs=1e-12)
    plain = balanced(TEST.logits.argmax(axis=1))
    assert direct["unadjusted"]["balanced_error"]["value"] == pytest.approx(plain, abs=1e-12)

    path = folder / "p.parquet"
    line = ("adjust", folder / "test.npz", "--calibration", calibration, "-o", path)
    written = json_of(capfd, *line)
    assert written["adjusted"]["classes"] == direct["classes"]
    again = json_of(capfd, "evaluate", path, "--counts", folder / "counts.csv")
    for name in ("balanced_error", "micro_error", "groups", "classes", "unadjusted", "gain"):
        assert again[name] == direct[name]
    nameless = json_of(capfd, "evaluate", path)
    assert nameless["balanced_error"] == direct["balanced_error"]


def predictions_file(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def test_predictions_of_others(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = predictions_file(tmp_path / "p.parquet", label=[0, 0, 1, 3], prediction=[0, 1, 1, 2])
    found = json_of(capfd, "evaluate", path)
    assert found["balanced_error"]["value"] == pytest.approx((0.5 + 0 + 1) / 3)
    assert found["absent_classes"] == [2]
    (tmp_path / "p.csv").write_text("truth,prediction\n0,0\n0,1\n1,1\n3,2\n")
    assert "has no field `label`, which a predictions file holds beside `prediction`" in refusal(
        capfd, "evaluate", tmp_path / "p.csv"
    )
    named = json_of(capfd, "evaluate", tmp_path / "p.csv", "--label-key", "truth")
    assert named["balanced_error"] == found["balanced_error"]


@pytest.mark.parametrize("name", ["p.csv", "p.parquet"])
def test_ignored_rows_make_no_classes(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    columns = {"label": [0, 255, 1, 3], "prediction": [0, 1, 1, 2]}
    if name == "p.csv":
        rows = [",".join(map(str, row)) for row in zip(*columns.values(), strict=True)]
        (tmp_path / name).write_text("\n".join(["label,prediction", *rows]) + "\n")
    else:
        predictions_file(tmp_path / name, **columns)
    found = json_of(capfd, "evaluate", tmp_path / name, "--ignore-label", 255)
    assert found["absent_classes"] == [2]
    assert found["balanced_error"]["value"] == pytest.approx(1 / 3)


def test_predictions_by_name(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = predictions_file(folder / "p.parquet", label=["cat", "gnu"], prediction=["cat", "dog"])
    found = json_of(capfd, "evaluate", path, "--counts", folder / "counts.csv")
    assert found["balanced_error"]["value"] == 0.5
    (folder / "p.csv").write_text("label,prediction\ncat,cat\ngnu,gnuu\n")
    line = ("evaluate", folder / "p.csv", "--counts", folder / "counts.csv")
    assert "row 1 is 'gnuu'" in refusal(capfd, *line)


def test_the_whole_file_may_be_without_labels(
    folder: Path, calibration: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    np.savez(folder / "bare.npz", logits=TEST.logits)
    assert "has no labels" in refusal(capfd, "evaluate", folder / "bare.npz")
    line = ("adjust", folder / "bare.npz", "--calibration", calibration, "-o", folder / "p.parquet")
    assert json_of(capfd, *line)["adjusted"] is None
    assert "label" not in pq.read_schema(folder / "p.parquet").names
    assert "has no field `label`" in refusal(capfd, "evaluate", folder / "p.parquet")


def test_predictions_are_not_adjusted_again(
    folder: Path, calibration: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = predictions_file(folder / "p.parquet", label=[0, 1], prediction=[0, 1])
    line = ("evaluate", path, "--calibration", calibration)
    assert "holds predictions, which a calibration cannot adjust again" in refusal(capfd, *line)


@pytest.mark.parametrize(
    ("label", "prediction", "fault"),
    [
        ([0, 9], [0, 1], "row 1 has label 9, expected 0..4"),
        ([0, 1], [0, -1], "row 1 is -1, expected a class"),
        ([0, 1], [0, 0.5], "row 1 is 0.5"),
        (
            [0, None],
            [0, 1],
            "row 1 is empty, expected a whole class number 0..4; if such rows have no label, say "
            "--ignore-label ''",
        ),
        ([0, 1], [None, 1], "(null) in row 0"),
    ],
)
def test_bad_predictions(
    folder: Path,
    capfd: pytest.CaptureFixture[str],
    label: list[Any],
    prediction: list[Any],
    fault: str,
) -> None:
    path = predictions_file(folder / "p.parquet", label=label, prediction=prediction)
    line = ("evaluate", path, "--counts", folder / "counts.csv")
    assert fault in refusal(capfd, *line)


def test_text_shows_the_worst_classes_first(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert lacal("evaluate", folder / "test.npz", "--counts", folder / "counts.csv") == 0
    out = capfd.readouterr().out
    assert out.startswith("balanced error 71.7 % (63.4 to 78.7) on 60 rows of 5 classes of ")
    worst = out.split("worst classes")[1]
    assert worst.index("gnu") < worst.index("cat")


@pytest.mark.parametrize(
    "option", [("--scores", "probs"), ("--logits-key", "x"), ("--id-key", "id")]
)
def test_options_of_logits_are_refused_beside_predictions(
    folder: Path, capfd: pytest.CaptureFixture[str], option: tuple[str, str]
) -> None:
    path = predictions_file(folder / "p.parquet", label=[0, 1], prediction=[0, 1])
    message = refusal(capfd, "evaluate", path, *option)
    assert f"there are no logits to read; leave {option[0]} out" in message


def test_a_zero_rule_misspelt_is_refused_without_counts(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = predictions_file(folder / "p.parquet", label=[0, 1], prediction=[0, 1])
    assert "--zero-count: got 'x'" in refusal(capfd, "evaluate", path, "--zero-count", "x")


# The text


def lines_of(capfd: pytest.CaptureFixture[str], *arguments: object) -> list[str]:
    capfd.readouterr()
    assert lacal(*arguments) == 0
    return [line.strip() for line in capfd.readouterr().out.splitlines()]


def row(lines: list[str], title: str) -> str:
    """What stands behind a title, with single blanks."""
    (line,) = [line for line in lines if line.startswith(title)]
    return " ".join(line.removeprefix(title).split())


def test_the_text_is_a_screenful_with_an_interval_beside_every_number(
    folder: Path, calibration: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = lines_of(capfd, "evaluate", folder / "test.npz", "--calibration", calibration)
    assert len(lines) <= 48
    assert all(len(line) <= 100 for line in lines[3:] if "  " in line)  # sentences stay whole
    assert lines[1].startswith("balanced error 71.7 % -> 40.0 %: gain +31.7 points, 95 % interval ")
    between = r"[\d.]+ \([\d.]+ to [\d.]+\)"
    for title in ("balanced error  ", "few (< 20 training)", "micro error", "macro F1, %", "log loss, nats",
                  "recall of the worst class, %", "Brier score"):  # fmt: skip
        assert re.fullmatch(rf"{between} {between} ([15] )?\d\d", row(lines, title)), title
    for title in ("top label, every class alike", "rows as they come", "rows labelled few",
                  "class-wise, rows as they come"):  # fmt: skip
        assert re.fullmatch(rf"{between} {between} \d\d", row(lines, title)), title


def test_predictions_alone_say_what_is_missing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = predictions_file(tmp_path / "p.parquet", label=[0, 0, 1, 3], prediction=[0, 1, 1, 2])
    lines = lines_of(capfd, "evaluate", path)
    assert (
        "log loss, Brier score and calibration need every probability, which this file lacks: write them with "
        "lacal adjust --write-scores probs, or evaluate the logits"
    ) in lines
    assert not any(line.startswith(("log loss, nats", "top label")) for line in lines)


def test_the_error_under_a_target_prior_stands_beside_the_balanced_one(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    line = ("evaluate", folder / "test.npz", "--counts", folder / "counts.csv", "--target-prior")
    found = json_of(capfd, *line, "train")
    shares = np.array(COUNTS) / sum(COUNTS)
    errors = np.array([one["error"] for one in found["classes"]])
    assert found["measures"]["target_error"]["value"] == pytest.approx(float(shares @ errors))
    assert found["target_prior"] == {"name": "train", "shares": pytest.approx(shares.tolist())}
    lines = lines_of(capfd, *line, "train")
    assert row(lines, "error in class shares of training").startswith(
        f"{100 * float(shares @ errors):.1f} ("
    )
    even = json_of(capfd, *line, "uniform")["measures"]
    assert even["target_error"] == even["balanced_error"]


@pytest.mark.parametrize(
    ("text", "shares"),
    [
        ("class,count\ngnu,1\ncat,0\ndog,0\nemu,3\nfox,0\n", None),
        ("class,count\ncat,0.5\ndog,0\nemu,0.25\nfox,0\ngnu,0.25\n", [0.5, 0, 0.25, 0, 0.25]),
        ("class,count\n4,6\n0,2\n1,0\n2,0\n3,0\n", [0.25, 0, 0, 0, 0.75]),
    ],
)
def test_a_target_prior_from_a_file(
    folder: Path, capfd: pytest.CaptureFixture[str], text: str, shares: list[float] | None
) -> None:
    (folder / "target.csv").write_text(text)
    line = ("evaluate", folder / "test.npz", "--counts", folder / "counts.csv")
    if shares is None:  # names in another order than the training counts'
        message = refusal(capfd, *line, "--target-prior", folder / "target.csv")
        assert "classes are in another order" in message or "class 0 is 'gnu'" in message
        return
    found = json_of(capfd, *line, "--target-prior", folder / "target.csv")
    assert found["target_prior"]["shares"] == shares


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("class,count\ncat,1\ndog,-1\nemu,1\nfox,1\ngnu,1\n", "class 1 has the share -1"),
        ("class,count\ncat,1\ndog,nan\nemu,1\nfox,1\ngnu,1\n", "class 1 has the share nan"),
        ("class,count\ncat,0\ndog,0\nemu,0\nfox,0\ngnu,0\n", "every share is 0"),
        ("class,count\ncat,1\ndog,1\n", "has 2 counts"),
    ],
)
def test_faulty_target_priors(
    folder: Path, capfd: pytest.CaptureFixture[str], text: str, fault: str
) -> None:
    (folder / "target.csv").write_text(text)
    line = ("evaluate", folder / "test.npz", "--counts", folder / "counts.csv")
    assert fault in refusal(capfd, *line, "--target-prior", folder / "target.csv")


def test_the_training_prior_needs_counts(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    message = refusal(capfd, "evaluate", folder / "test.npz", "--target-prior", "train")
    assert "the training counts are not known; give --counts FILE" in message


def test_classes_of_the_target_prior_without_a_row_are_told(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rows = TEST.labels < 4
    np.savez(folder / "four.npz", logits=TEST.logits[rows], labels=TEST.labels[rows])
    (folder / "target.csv").write_text("class,count\n0,1\n1,1\n2,1\n3,1\n4,6\n")
    line = ("evaluate", folder / "four.npz", "--target-prior", folder / "target.csv")
    found = json_of(capfd, *line)
    (warning,) = found["warnings"]
    assert "1 class without a row carries 60.0% of the target prior" in warning
    assert warning.endswith("is left out of what is measured under it: 4")
    assert found["measures"]["target_error"]["value"] == pytest.approx(
        found["balanced_error"]["value"]
    )


# Probabilities


def test_adjusted_logits_as_probabilities_of_the_shares_asked_for(
    folder: Path, calibration: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    line = ("evaluate", folder / "test.npz", "--calibration", calibration)
    shares = np.array(COUNTS) / sum(COUNTS)
    tau = json_of(capfd, *line)["tau"]
    for more, target, log_target in (
        ((), None, 0.0),
        (("--target-prior", "train"), shares, np.log(shares)),
    ):
        found = json_of(capfd, *line, *more)
        scores = TEST.logits - tau * LOG_PRIOR + log_target
        losses = np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(60), TEST.labels]
        assert found["measures"]["log_loss"]["value"] == pytest.approx(losses.mean(), rel=1e-5)
        assert found["probabilities"]["temperature"] == 1
        told = found["probabilities"]["class_shares"]
        assert told == (None if target is None else pytest.approx(target.tolist()))
    plain = np.log(np.exp(TEST.logits).sum(axis=1)) - TEST.logits[np.arange(60), TEST.labels]
    before = found["unadjusted_measures"]["log_loss"]["value"]
    assert before == pytest.approx(plain.mean(), rel=1e-5)


def test_a_fitted_temperature_lowers_the_log_loss_and_moves_no_error(
    folder: Path, calibration: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    line = ("evaluate", folder / "test.npz", "--calibration", calibration)
    plain = json_of(capfd, *line)
    fitted = json_of(capfd, *line, "--fit-temperature", folder / "val.npz")
    assert fitted["classes"] == plain["classes"]
    assert fitted["temperature"]["value"] == fitted["probabilities"]["temperature"] != 1
    seen = ("evaluate", folder / "val.npz", "--calibration", calibration, "--allow-tuned-rows")
    losses = [
        json_of(capfd, *seen, *more)["measures"]["balanced_log_loss"]["value"]
        for more in (("--fit-temperature", folder / "val.npz"), ())
    ]
    assert losses[0] < losses[1]
    told = json_of(capfd, *seen, "--fit-temperature", folder / "val.npz")["warnings"]
    assert any(
        "the temperature was fitted on rows that are scored here (about 100%" in one for one in told
    )
    message = refusal(capfd, *line, "--fit-temperature", folder / "test.npz")
    assert "rows that the temperature was fitted on are among these rows" in message
    lines = lines_of(capfd, *line, "--fit-temperature", folder / "val.npz")
    assert any(line.startswith("temperature ") for line in lines)
    bare = refusal(capfd, "evaluate", folder / "test.npz", "--fit-temperature", folder / "val.npz")
    assert "without --calibration nothing is adjusted; leave --fit-temperature out" in bare


def test_the_number_of_bins(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    found = json_of(capfd, "evaluate", folder / "test.npz", "--bins", 7)
    assert found["calibration"]["scheme"] == "7 equal-width bins"
    diagram = found["calibration"]["top_label"]["diagram"]
    assert [len(diagram[name]) for name in ("edges", "confidence", "low", "n")] == [8, 7, 7, 7]
    assert sum(diagram["n"]) == 60
    empty = [n == 0 for n in diagram["n"]]
    assert [one is None for one in diagram["accuracy"]] == empty


# Gates


@pytest.mark.parametrize(
    ("gate", "code"),
    [
        ("balanced_error > 0.9", 0),
        ("balanced_error > 35%", 1),
        ("few.error > many.error", 1),
        ('class."gnu".error >= 0.99', 1),
        ("worst_class.recall < 0.1", 1),
        ("target_error > 0", 1),  # it cannot be judged
        ("gain < 0", 1),
    ],
)
def test_gates_look_at_every_measure(
    folder: Path, capfd: pytest.CaptureFixture[str], gate: str, code: int
) -> None:
    line = ("evaluate", folder / "test.npz", "--counts", folder / "counts.csv")
    assert lacal(*line, "--fail-if", gate) == code
    out = capfd.readouterr().out
    assert f"gate {'FAILED' if code else 'passed'}: {gate}" in out
    if gate.startswith("target"):
        assert "say --target-prior" in out
