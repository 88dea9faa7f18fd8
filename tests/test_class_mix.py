"""Class shares: files of them, what probabilities are for, and errors that an adjustment costs under them."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lacal.adjustment import Adjustment
from lacal.classes.counts import read_shares
from lacal.classes.target import TargetPrior
from lacal.metrics import ClassTally, PairedTally
from lacal.pipeline.temperature import fit_temperature
from lacal.report.class_mix import ALIKE, ROWS, mixes, raised_error
from lacal.report.temperature import temperature_verdict
from lacal.rows.logits_source import SourceOptions, open_source
from tests.small_world import NAMES, json_of, lacal, refusal, world

SHARES = (0.4, 0.3, 0.15, 0.1, 0.05)
TRAIN = TargetPrior("train", np.array([0.9, 0.1]))


def table_of(header: str, *more: str) -> str:
    rows = (",".join((name, str(share), *more)) for name, share in zip(NAMES, SHARES, strict=True))
    return "\n".join([header, *rows]) + "\n"


@pytest.mark.parametrize(
    "text",
    [
        *(table_of(f"class,{name}") for name in
          ("share", "shares", "prior", "Probability", "frequency", "count", "in the wild")),
        table_of("class,share,note", "seen"),
        "class,count,share\n" + "".join(f"{one},7,{q}\n" for one, q in zip(NAMES, SHARES, strict=True)),
    ],
)  # fmt: skip
def test_files_of_shares(folder: Path, capfd: pytest.CaptureFixture[str], text: str) -> None:
    (folder / "t.csv").write_text(text)
    line = ("evaluate", folder / "test.npz", "--counts", folder / "counts.csv")
    found = json_of(capfd, *line, "--target-prior", folder / "t.csv")
    assert found["target_prior"]["shares"] == pytest.approx(SHARES)


def test_shares_in_other_formats(folder: Path) -> None:
    pq.write_table(
        pa.table({"class": NAMES, "weight": [0.0] * 5, "share": SHARES}), folder / "s.parquet"
    )
    pq.write_table(pa.table({"class": NAMES, "p": SHARES}), folder / "p.parquet")
    (folder / "s.json").write_text(str(dict(zip(NAMES, SHARES, strict=True))).replace("'", '"'))
    for name in ("s.parquet", "p.parquet", "s.json"):
        assert read_shares(folder / name).values.tolist() == list(SHARES)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("name,kind\ncat,a\n", "which field holds the shares? it has 'name', 'kind'; call the column of class "
         "shares `share`"),
        ("class,x,y\ncat,1,2\n", "which field holds the shares?"),
        ("class,share\ncat,a lot\n", "line 2: the share is 'a lot', expected a number from 0"),
        ("class,share\n", "holds no shares; expected a header `class,share`"),
        ("0.5,0.25\n1,1\n", "write `class,share` as its first line"),
    ],
)  # fmt: skip
def test_no_shares(folder: Path, capfd: pytest.CaptureFixture[str], text: str, fault: str) -> None:
    (folder / "t.csv").write_text(text)
    line = ("evaluate", folder / "test.npz", "--target-prior")
    assert fault in refusal(capfd, *line, folder / "t.csv")
    message = refusal(capfd, *line, "balanced")
    assert "got 'balanced', which is no file; expected uniform, train, or a FILE" in message


def tallies(before: Any, after: Any, labels: Any) -> tuple[ClassTally, ClassTally, PairedTally]:
    paired = PairedTally.empty(2)
    paired.update(labels, before, after)
    was, now = ClassTally.empty(2), ClassTally.empty(2)
    was.update(labels, before)
    now.update(labels, after)
    return was, now, paired


def test_errors_that_the_adjustment_costs_are_told_where_they_are_sure() -> None:
    labels = np.repeat([0, 1], 200)
    before = labels.copy()
    before[200:350] = 0  # the rare class is missed
    after = labels.copy()
    after[:40] = 1  # and then the common one
    was, now, paired = tallies(before, after, labels)
    (warning,) = raised_error(was, now, paired, TRAIN)
    told = "in the class shares of training the adjustment raises the error from 7.5 to 18.0 %"
    assert warning.startswith(told)
    assert "--write-scores probs" in warning
    assert raised_error(was, now, paired, TargetPrior.uniform(2)) == []
    assert raised_error(was, now, paired, None) == []
    after[:40] = 0
    after[:1] = 1
    assert raised_error(*tallies(labels, after, labels), TRAIN) == []  # one row proves nothing


def test_the_warning_reaches_the_user(
    folder: Path, calibration: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    big = world(rows=3000, seed=4)
    np.savez(folder / "big.npz", logits=big.logits, labels=big.labels)
    line = ("evaluate", folder / "big.npz", "--calibration", calibration, "--target-prior", "train")
    found = json_of(capfd, *line)
    (warning,) = (one for one in found["warnings"] if "raises the error" in one)
    after = found["measures"]["target_error"]["value"]
    assert f"to {100 * after:.1f} %" in warning
    shares = np.array(found["target_prior"]["shares"])
    scores = big.logits - found["tau"] * np.log(shares) + np.log(shares)
    wrong = scores.argmax(axis=1) != big.labels
    fewest = float(shares @ [wrong[big.labels == j].mean() for j in range(5)])
    assert fewest < after  # what the warning says to do


def test_the_mix_of_the_probabilities_stands_first() -> None:
    rows, alike = (ROWS, "calibration.top_label"), (ALIKE, "balanced_calibration")
    target = ("in class shares of training", "target_calibration")
    uniform = TargetPrior.uniform(2)
    assert mixes(None, None) == [rows, alike]
    assert mixes(None, uniform) == [alike, rows]
    assert mixes(TRAIN, TRAIN) == [target, rows, alike]
    assert mixes(TRAIN, uniform) == [alike, rows, target]
    assert mixes(uniform, uniform) == [alike, rows]
    assert mixes(TRAIN, None) == [rows, alike, target]


@pytest.fixture
def written(folder: Path, calibration: Path) -> Path:
    """Predictions whose probabilities are in the class shares of training, at a temperature."""
    path = folder / "p.parquet"
    line = ["adjust", folder / "test.npz", "--calibration", calibration, "-o", path]
    meant = ["--target-prior", "train", "--fit-temperature", folder / "val.npz"]
    assert lacal(*line, *meant, "--write-scores", "probs") == 0
    return path


def test_a_file_says_what_its_probabilities_are_for(
    folder: Path, calibration: Path, written: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    line = ("evaluate", written, "--counts", folder / "counts.csv")
    found = json_of(capfd, *line)
    direct = ("evaluate", folder / "test.npz", "--calibration", calibration, "--target-prior", "train",
              "--fit-temperature", folder / "val.npz")  # fmt: skip
    expected = json_of(capfd, *direct)
    assert found["target_prior"] == expected["target_prior"]
    for name in ("target_calibration", "target_log_loss", "target_error"):
        assert found["measures"][name]["value"] == pytest.approx(
            expected["measures"][name]["value"], rel=1e-5
        )
    assert lacal(*line) == 0
    text = capfd.readouterr().out
    assert re.search(
        r"probabilities in the class shares of training, T = [\d.]+, as lacal adjust wrote them",
        text,
    )
    assert "top label, in class shares of training" in text
    assert "rows are picked by their label" in text


@pytest.mark.parametrize(("asked", "warned"), [("uniform", True), ("train", False)])
def test_other_shares_than_the_file_s_are_warned_of(
    folder: Path, written: Path, capfd: pytest.CaptureFixture[str], asked: str, warned: bool
) -> None:
    line = ("evaluate", written, "--counts", folder / "counts.csv", "--target-prior", asked)
    warnings = json_of(capfd, *line)["warnings"]
    about = [one for one in warnings if "are in the class shares of training, not in" in one]
    assert bool(about) == warned


def test_confidences_of_equal_shares_are_known_by_the_file_of_adjust(
    folder: Path, calibration: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = folder / "p.parquet"
    assert (
        lacal("adjust", folder / "test.npz", "--calibration", calibration, "-o", path, "--force")
        == 0
    )
    line = ("evaluate", path, "--counts", folder / "counts.csv")
    warnings = json_of(capfd, *line, "--target-prior", "train")["warnings"]
    assert any(
        "are in equal class shares, not in the class shares of training" in one for one in warnings
    )
    assert lacal(*line) == 0
    text = " ".join(capfd.readouterr().out.split())
    assert "top label, every class alike" in text
    assert "log loss, Brier score and class-wise calibration need every probability" in text
    assert "lacal adjust --write-scores probs, or evaluate the logits" in text


def test_the_verdict_on_a_temperature(folder: Path) -> None:
    hot = world(rows=400, seed=7, shift=0.0)
    np.savez(folder / "hot.npz", logits=hot.logits * 3, labels=hot.labels)
    source = open_source(folder / "hot.npz", SourceOptions())
    none = Adjustment(np.ones(5), np.zeros(5))
    found = fit_temperature(source, none)
    told = temperature_verdict(found, "elsewhere", None)
    was, now = found.before.log_loss.value, found.after.log_loss.value
    assert was is not None
    assert now is not None
    assert told.startswith(
        f"use this temperature: log loss, which decides, goes from {was:.4g} to {now:.4g} nats on {source.place}"
    )
    assert told.endswith("beyond its interval at T = 1")
    other = temperature_verdict(found, "elsewhere", (found.after, found.before))
    assert other.startswith("leave this temperature out")
    assert " on elsewhere" in other
    same = temperature_verdict(found, "elsewhere", (found.after, found.after))
    assert same.startswith("this temperature hardly matters")
    assert "within its interval" in same


def test_a_tau_belongs_to_adjust(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    message = refusal(capfd, "evaluate", folder / "test.npz", "--tau", 1)
    assert (
        "lacal adjust --counts FILE --tau T writes the predictions that evaluate measures"
        in message
    )


def test_counts_are_no_calibration(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    line = ("evaluate", folder / "test.npz", "--calibration", folder / "counts.csv")
    message = refusal(capfd, *line)
    assert "is no calibration file: it holds no JSON" in message
    assert "training counts go to --counts" in message


def test_predictions_by_other_names(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "p.csv").write_text("id,y_true,y_pred\na,cat,cat\nb,dog,cat\n")
    message = refusal(capfd, "evaluate", tmp_path / "p.csv")
    assert (
        "a predictions file holds the columns `label` and `prediction`: rename them so" in message
    )
