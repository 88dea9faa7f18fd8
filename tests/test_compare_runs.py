"""Two runs row by row: against loops, scikit-learn and the binomial distribution, and what is said of them."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binom
from sklearn.metrics import balanced_accuracy_score

from lacal.batch import NO_LABEL
from lacal.classes.groups import GroupRule
from lacal.json_text import json_text
from lacal.pipeline.compare_runs import RunComparison, compare_runs
from lacal.report.runs import (
    p_value,
    run_measures,
    runs_answer,
    runs_json,
    runs_text,
    runs_warnings,
)
from lacal.rows.decisions import Decisions
from lacal.rows.joining import join
from tests.small_world import NAMES, json_of, lacal
from tests.test_decisions import training_run

COUNTS = np.array([500, 300, 60, 40, 5, 2])
GROUPS = GroupRule().by_counts(COUNTS)
K = COUNTS.size


def decisions(place: str, labels: Any, predictions: Any, ids: Any = None, **more: Any) -> Decisions:
    labels = np.asarray(labels, np.int64)
    ids = np.arange(labels.size) if ids is None else np.asarray(ids)
    return Decisions(place, ids, labels, np.asarray(predictions, np.int64), None, K, **more)


def two_runs(rows: int = 400, seed: int = 0, better: float = 0.2) -> tuple[Decisions, Decisions]:
    """A run that errs more in rare classes, and one that errs less there."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, K, rows)
    error = np.linspace(0.1, 0.8, K)
    wrong = generator.random(rows) < error[labels]
    first = np.where(wrong, (labels + generator.integers(1, K, rows)) % K, labels)
    mended = generator.random(rows) < better * (labels > 2)
    broken = generator.random(rows) < 0.05
    second = np.where(mended, labels, np.where(broken, (first + 1) % K, first))
    return decisions("a.parquet", labels, first), decisions("b.parquet", labels, second)


def compared(first: Decisions, second: Decisions) -> RunComparison:
    return compare_runs(join(first, second), GROUPS)


# The numbers


def test_the_gain_is_the_difference_of_scikit_learns_balanced_accuracies() -> None:
    first, second = two_runs()
    found = compared(first, second)
    right = [balanced_accuracy_score(one.labels, one.predictions) for one in (first, second)]
    assert found.gain.value == pytest.approx(right[1] - right[0], abs=1e-12)
    assert found.before.balanced().value == pytest.approx(1 - right[0], abs=1e-12)
    micro = [np.mean(one.labels == one.predictions) for one in (first, second)]
    assert found.micro_gain.value == pytest.approx(float(micro[1] - micro[0]), abs=1e-12)
    few = [recall(one, np.isin(one.labels, [4, 5])) for one in (first, second)]
    assert found.gains["few"].value == pytest.approx(few[1] - few[0], abs=1e-12)
    assert set(found.gains) == {"all", "many", "medium", "few"}


def recall(one: Decisions, rows: NDArray[np.bool_]) -> float:
    """Mean recall of the classes that these rows are of."""
    labels, hit = one.labels[rows], (one.labels == one.predictions)[rows]
    return float(np.mean([hit[labels == j].mean() for j in np.unique(labels)]))


def test_mcnemar_is_the_mid_p_of_the_binomial_distribution() -> None:
    found = compared(*two_runs(better=0.05))
    first, second = two_runs(better=0.05)
    was, now = first.predictions == first.labels, second.predictions == second.labels
    mended, broken = int((now & ~was).sum()), int((was & ~now).sum())
    assert (found.mended, found.broken) == (mended, broken)
    n, fewer = mended + broken, min(mended, broken)
    mid_p = 2 * binom.cdf(fewer, n, 0.5) - binom.pmf(fewer, n, 0.5)
    assert found.mcnemar == pytest.approx(min(1.0, mid_p), rel=1e-9)
    assert found.changed == int((first.predictions != second.predictions).sum())


def test_the_other_way_round_every_gain_is_a_loss() -> None:
    first, second = two_runs()
    there, back = compared(first, second), compared(second, first)
    for name, gain in there.gains.items():
        assert back.gains[name].value == pytest.approx(-gain.value, abs=1e-12)
    assert (back.mended, back.broken) == (there.broken, there.mended)
    assert back.mcnemar == there.mcnemar
    assert {one.index for one in back.lost(K)} == {one.index for one in there.gained(K)}


def test_a_run_is_no_better_than_itself() -> None:
    first, _ = two_runs()
    found = compared(first, first)
    assert found.gain.value == 0
    assert found.gain.low <= 0 <= found.gain.high
    assert found.mcnemar == 1
    assert found.changes == ()
    assert found.changed == 0
    assert runs_answer(found).startswith("both have the same balanced error, ")
    assert len([one for one in runs_text(found) if not isinstance(one, str)]) == 1


@given(seed=st.integers(0, 2**32 - 1))
def test_the_order_of_the_rows_is_of_no_matter(seed: int) -> None:
    first, second = two_runs(60)
    generator = np.random.default_rng(seed)
    orders = generator.permutation(60), generator.permutation(60)
    mixed = [
        decisions(one.place, one.labels[order], one.predictions[order], ids=order)
        for one, order in zip((first, second), orders, strict=True)
    ]
    assert json_text(runs_json(compared(*mixed))) == json_text(runs_json(compared(first, second)))


def test_rows_of_one_side_alone_and_rows_without_label_count_for_nothing() -> None:
    first, second = two_runs()
    kept = np.arange(400) % 7 != 0
    labels = np.where(np.arange(400) % 5 == 0, NO_LABEL, first.labels)
    less = decisions("a.parquet", labels[kept], first.predictions[kept], ids=np.flatnonzero(kept))
    more = decisions("b.parquet", labels, second.predictions)
    found = compared(less, more)
    rows = kept & (labels != NO_LABEL)
    plain = compared(
        *(decisions(one.place, labels[rows], one.predictions[rows]) for one in (first, second))
    )
    assert found.gains == plain.gains
    assert found.unlabelled == int((kept & (labels == NO_LABEL)).sum())
    assert runs_warnings(found) == [
        "58 rows are in b.parquet alone and do not count: ids 0, 7, 14, ...",
        f"{found.unlabelled} shared rows have no label and do not count",
    ]


def test_one_row_is_no_rows() -> None:
    labels = [0, 0, 1, NO_LABEL]
    found = compared(
        decisions("a", labels, [0, 0, 1, 1], ids=[0, 1, 2, 3]),
        decisions("b", [*labels, 2, 3, 4], [0] * 7, ids=[0, 1, 2, 3, 4, 5, 6]),
    )
    assert runs_warnings(found)[:2] == [
        "3 rows are in b alone and do not count: ids 4, 5, 6",
        "1 shared row has no label and does not count",
    ]
    labels = [0, 1, 2, 3, 4]
    found = compared(
        decisions("a", labels, labels), decisions("b", [*labels, 5], [0] * 6, ids=range(6))
    )
    assert runs_warnings(found) == [
        "1 row is in b alone and does not count: id 5",
        "1 of 6 classes has no row and does not count: 5",
    ]


def test_a_group_without_rows_has_no_gain() -> None:
    labels, predictions = [0, 0, 2, 2], [0, 1, 2, 3]
    found = compared(decisions("a", labels, predictions), decisions("b", labels, labels))
    assert "few" not in found.gains
    value = runs_json(found)
    assert value["group_gains"]["few"] is None
    assert value["group_gains"]["many"]["value"] == 0.5
    measured = run_measures(found)
    assert measured["few.gain"].value is None
    assert measured["few.gain"].undefined == "no labelled row"
    assert measured["few.error"].value is None
    assert any("4 of 6 classes have no row" in one for one in runs_warnings(found))


# Classes that changed


def one_class(support: int, mended: int, broken: int) -> tuple[list[int], list[int]]:
    """Whether the first and the second run are right on each of a class's rows."""
    first = [0] * mended + [1] * (support - mended)
    second = [1] * mended + [0] * broken + [1] * (support - mended - broken)
    return first, second


def with_classes(*classes: tuple[int, int, int]) -> RunComparison:
    labels: list[int] = []
    right: tuple[list[int], list[int]] = ([], [])
    for j, one in enumerate(classes):
        for side, hits in zip(right, one_class(*one), strict=True):
            side.extend(hits)
        labels += [j] * one[0]
    predictions = [np.where(side, labels, (np.array(labels) + 1) % K) for side in right]
    return compare_runs(
        join(decisions("a", labels, predictions[0]), decisions("b", labels, predictions[1]))
    )


def test_a_single_row_does_not_stand_before_many() -> None:
    found = with_classes((1, 1, 0), (10, 6, 0), (100, 20, 5), (8, 0, 3), (50, 5, 5), (2, 0, 2))
    assert [one.index for one in found.gained(9)] == [1, 0, 2]
    assert [one.index for one in found.lost(9)] == [5, 3]
    assert found.lost(1)[0].index == 5
    one = found.gained(1)[0]
    assert (one.support, one.mended, one.broken, one.gain) == (10, 6, 0, 0.6)
    assert (one.before, one.after) == (0.6, 0.0)
    # Changed both ways, and neither gained nor lost
    assert 4 in [one.index for one in found.changes]


# What is said


def test_the_first_line_says_which_is_better_and_how_sure_that_is() -> None:
    first, second = two_runs(better=0.6)
    there, back = compared(first, second), compared(second, first)
    gain = there.gain
    assert gain.low > 0
    assert re.fullmatch(
        r"b.parquet is better than a.parquet: balanced error \d+\.\d % -> \d+\.\d %, gain \+\d+\.\d points, "
        r"95 % interval \+\d+\.\d to \+\d+\.\d",
        runs_answer(there),
    )
    assert runs_answer(back).startswith("b.parquet is better than a.parquet: ")
    unsure = compared(*two_runs(40, better=0.1))
    assert unsure.gain.low <= 0 <= unsure.gain.high
    assert runs_answer(unsure).startswith(
        "the difference between a.parquet and b.parquet may be chance: "
    )


def test_tables_call_the_two_by_their_names_where_that_fits() -> None:
    first, second = two_runs(better=0.6)
    tables = [one for one in runs_text(compared(first, second)) if not isinstance(one, str)]
    assert tables[0].columns[1:3] == ("a.parquet", "b.parquet")
    assert tables[1].columns[1:3] == ("a.parquet %", "b.parquet %")
    long = [
        dataclasses.replace(
            one, place=f"{name * 25}.parquet", class_names=tuple(f"{j}{'n' * 39}" for j in "abcdef")
        )
        for one, name in ((first, "a"), (second, "b"))
    ]
    middling = compared(first, dataclasses.replace(second, place="quite_long.parquet"))
    tables = [one for one in runs_text(middling) if not isinstance(one, str)]
    assert {one.columns[1:3] for one in tables} == {
        ("a", "quite_long"),
        ("a %", "quite_long %"),
    }
    found = compared(*long)
    tables = [one for one in runs_text(found) if not isinstance(one, str)]
    assert {one.columns[1:3] for one in tables} == {("first", "second"), ("first %", "second %")}
    assert f"{'b' * 19}… is better than {'a' * 19}…: " in runs_answer(found)
    same = compared(first, dataclasses.replace(second, place=first.place))
    assert runs_answer(same).startswith("the second is better than the first: ")


def test_the_interval_is_that_of_the_paired_counts() -> None:
    found = compared(*two_runs())
    for name, mask in {"all": None, **GROUPS.masks}.items():
        assert found.gains[name] == found.paired.gain(mask)


def test_json_is_whole_and_defined() -> None:
    found = compared(*two_runs())
    value = json.loads(json_text(runs_json(found)))
    assert value["command"] == "compare"
    assert value["compared"] == "runs"
    assert value["gain"]["value"] == found.gain.value
    assert value["mcnemar"]["p_value"] == found.mcnemar
    assert len(value["changed_classes"]) == len(found.changes)
    gains = sum(one["gain"] for one in value["changed_classes"]) / K
    assert gains == pytest.approx(found.gain.value, abs=1e-12)
    assert value["first_errors"]["balanced_error"]["value"] == found.before.balanced().value
    assert value["joined_by"] == "id"


def test_without_ids_that_is_said() -> None:
    labels = np.arange(12) % K
    sides = [Decisions(place, None, labels, labels, None, K) for place in "ab"]
    found = compare_runs(join(*sides))
    assert runs_json(found)["joined_by"] == "row"
    assert "rows were paired by their order" in runs_warnings(found)[0]
    assert "in the order of the files, which have no ids" in str(runs_text(found)[2])
    assert runs_json(found)["group_gains"] is None


def test_text_from_files_is_escaped() -> None:
    evil = ("\x1b[31m<b>", "=cmd()", "\u202etac", "d", "e", "x" * 10_000)
    labels = np.arange(60) % K
    names: dict[str, Any] = {"class_names": evil, "classes": K}
    first = Decisions(
        "\x1b[2Ja", np.array([f"\x1b{i}" for i in range(60)]), labels, labels, **names
    )
    second = Decisions("b", np.array([f"\x1b{i}" for i in range(1, 61)]), labels[np.r_[1:60, 0]],
                       np.zeros(60, np.int64), **names)  # fmt: skip
    found = compare_runs(join(first, second), GROUPS)
    shown = repr(runs_text(found)) + repr(runs_warnings(found))
    assert "\\x1b" not in shown.replace("\\\\x1b", "")
    assert "\u202e" not in shown
    assert len(shown) < 20_000


def test_measures_hold_the_numbers_of_the_report() -> None:
    found = compared(*two_runs())
    measured = run_measures(found)
    assert measured["gain"].value == found.gain.value
    assert (measured["gain"].low, measured["gain"].better) == (found.gain.low, "higher")
    assert measured["balanced_error"].value == found.after.balanced().value
    assert measured["first.balanced_error"].value == found.before.balanced().value
    assert measured["few.error"].n == int(found.after.support[4:].sum())
    assert measured["mcnemar.p"].value == found.mcnemar
    assert all(name == one.name for name, one in measured.items())


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1.0, "= 1.00"), (0.05, "= 0.050"), (0.0314, "= 0.031"), (0.00012, "= 0.00012"), (0.0, "< 0.0001")],
)  # fmt: skip
def test_p_values_keep_two_digits(value: float, shown: str) -> None:
    assert p_value(value) == shown


# The command


@pytest.fixture
def predictions(folder: Path) -> tuple[Path, Path]:
    """The test split as it is, and adjusted: two predictions files."""
    paths = folder / "before.parquet", folder / "after.parquet"
    for tau, path in zip((0, 1), paths, strict=True):
        counts = ("--counts", folder / "counts.csv", "--tau", tau)
        assert lacal("adjust", folder / "test.npz", *counts, "-o", path) == 0
    return paths


def test_the_command_agrees_with_the_gain_of_the_adjustment(
    folder: Path, predictions: tuple[Path, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    found = json_of(capfd, "compare", *predictions, "--counts", folder / "counts.csv")
    again = json_of(
        capfd, "adjust", folder / "test.npz", "--counts", folder / "counts.csv", "--tau", 1,
        "-o", predictions[1], "--force",
    )  # fmt: skip
    assert found["gain"] == again["gain"]  # to the last digit
    assert found["changed_rows"] == again["changed"]
    assert set(found["group_gains"]) == {"many", "medium", "few"}
    assert found["class_names"] == list(NAMES)


def test_a_predictions_file_beside_the_logits_it_was_made_of(
    folder: Path, predictions: tuple[Path, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    found = json_of(capfd, "compare", folder / "test.npz", predictions[1])
    assert found["gain"] == json_of(capfd, "compare", *predictions)["gain"]
    assert found["group_gains"] is None


@pytest.mark.parametrize(
    ("gate", "code"),
    [("gain.high < 0", 0), ("first.balanced_error > 0.01", 1), ("mended < 0", 2)],
)
def test_gates_name_the_numbers_of_the_comparison(
    predictions: tuple[Path, Path], capfd: pytest.CaptureFixture[str], gate: str, code: int
) -> None:
    assert lacal("compare", *predictions, "--fail-if", gate) == code
    out, err = capfd.readouterr()
    assert (gate in out + err) == (code != 2)


def test_two_training_runs_bring_logits_and_counts(
    tmp_path: Path, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    runs = [training_run(tmp_path / name) for name in ("one", "two")]
    for run in runs:
        (run / "counts.csv").write_text((folder / "counts.csv").read_text())
    assert lacal("compare", *runs, "--json") == 0
    out, err = capfd.readouterr()
    found = json.loads(out)
    assert found["compared"] == "runs"
    assert found["first"] == str(runs[0] / "test_logits.parquet")
    assert found["joined_by"] == "row"
    assert found["gain"]["value"] == 0
    assert set(found["group_gains"]) == {"many", "medium", "few"}
    said = [line for line in err.splitlines() if "is a training run" in line]
    assert said == [
        f"{runs[0]}: is a training run; reading its test logits (test_logits.parquet) and training counts (counts.csv)",
        f"{runs[1]}: is a training run; reading its test logits (test_logits.parquet)",
    ]


def test_a_training_run_is_evaluated_on_its_test_logits(
    tmp_path: Path, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = training_run(tmp_path / "run")
    (run / "counts.csv").write_text((folder / "counts.csv").read_text())
    found = json_of(capfd, "evaluate", run)
    direct = json_of(capfd, "evaluate", folder / "test.npz", "--counts", folder / "counts.csv")
    assert found["balanced_error"] == direct["balanced_error"]
    assert found["groups"] == direct["groups"]
    assert found["source"] == str(run / "test_logits.parquet")
