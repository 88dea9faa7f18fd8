"""`compare` of methods: what `tune-tau` and `evaluate` say of each, in one table."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lacal import calibration_file
from lacal.cli.compare import KEEPABLE
from lacal.pipeline import candidate_rows
from lacal.pipeline.candidates import NAMES, UNADJUSTED
from lacal.pipeline.compare import EVERY_CLASS
from tests.small_world import COUNTS, json_of, lacal, refusal, world, write_world

Found = dict[str, Any]
QUICK = ("--draws", 20)
LOG_PRIOR = np.log(np.array(COUNTS) / sum(COUNTS))


def compare(capfd: pytest.CaptureFixture[str], folder: Path, *more: object) -> Found:
    splits = folder / "val.npz", folder / "test.npz"
    return json_of(capfd, "compare", *splits, "--counts", folder / "counts.csv", *QUICK, *more)


def by_name(found: Found) -> dict[str, Found]:
    return {one["name"]: one for one in found["methods"]}


def test_every_method_is_there_best_first(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    found = compare(capfd, folder, "--head", folder / "head.npz")
    methods = found["methods"]
    names = [one["name"] for one in methods]
    assert sorted(names) == sorted(set(NAMES) - {"weight-norm"})
    assert found["left_out"] == []
    errors = [one["balanced_error"]["value"] for one in methods]
    assert errors == sorted(errors)
    assert found["best"] == names[0]
    assert found["compared"] == "methods"
    assert found["val"]["labelled_rows"] == found["test"]["rows"] == 60
    assert set(found["groups"]) == {"many", "medium", "few"}


def test_gains_are_differences_to_the_unadjusted_model(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    methods = by_name(compare(capfd, folder, "--head", folder / "head.npz"))
    plain, best = (
        methods.pop(UNADJUSTED),
        min(methods.values(), key=lambda one: one["balanced_error"]["value"]),
    )
    test = world(seed=1)
    wrong = test.logits.argmax(axis=1) != test.labels
    expected = np.mean([wrong[test.labels == j].mean() for j in range(5)])
    assert plain["balanced_error"]["value"] == pytest.approx(expected)
    assert plain["gain"] is None
    assert plain["tau"] is None
    assert (plain["mended"], plain["broken"]) == (0, 0)
    for name, one in methods.items():
        error = one["balanced_error"]["value"]
        gain = one["gain"]
        assert gain["value"] == pytest.approx(plain["balanced_error"]["value"] - error), name
        assert gain["interval"][0] <= gain["value"] <= gain["interval"][1]
        for group, rate in one["groups"].items():
            fall = plain["groups"][group]["value"] - rate["value"]
            assert one["group_gains"][group]["value"] == pytest.approx(fall)
        if one["behind"] is not None:
            behind = error - best["balanced_error"]["value"]
            assert one["behind"]["value"] == pytest.approx(behind)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("logit-adjustment", ()),
        ("prior-division", ("--method", "prior-division")),
        ("weight-norm:drop", ("--method", "weight-norm", "--head", "head.npz")),
        ("weight-norm:scale", ("--method", "weight-norm", "--head", "head.npz", "--bias", "scale")),
        ("weight-norm:keep", ("--method", "weight-norm", "--head", "head.npz", "--bias", "keep")),
    ],
)
def test_a_kept_method_is_the_file_of_tune_tau(
    folder: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    options: tuple[str, ...],
) -> None:
    monkeypatch.chdir(folder)
    line = ("tune-tau", "val.npz", "--counts", "counts.csv", *QUICK, *options, "-o", "tuned.json")
    assert lacal(*line) == 0
    found = compare(capfd, folder, "--head", "head.npz", "--keep", name, "-o", "kept.json")
    assert (folder / "kept.json").read_bytes() == (folder / "tuned.json").read_bytes()
    assert found["kept"] == {"name": name, "file": "kept.json"}


@pytest.mark.parametrize("name", ["logit-adjustment:1", "temperature", "class-offsets", "vector-scaling"])  # fmt: skip
def test_a_kept_method_scores_as_in_the_table(
    folder: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    path = folder / "kept.json"
    row = by_name(compare(capfd, folder, "--keep", name, "-o", path))[name]
    loaded = calibration_file.read(path)
    calibration_file.write(loaded, folder / "again.json")
    assert (folder / "again.json").read_bytes() == path.read_bytes()
    alone = json_of(capfd, "evaluate", folder / "test.npz", "--calibration", path)
    for measure in ("balanced_error", "micro_error"):
        assert alone[measure]["value"] == row[measure]["value"]
    log_loss = alone["measures"]["balanced_log_loss"]["value"]
    assert log_loss == pytest.approx(row["balanced_log_loss"]["value"])
    assert row["tau"] == loaded.tau
    predictions = folder / "p.parquet"
    line = ("adjust", folder / "test.npz", "--calibration", path, "-o", predictions)
    assert json_of(capfd, *line)["adjusted"]["classes"] == alone["classes"]
    if name != "logit-adjustment:1":
        seen = ("evaluate", folder / "val.npz", "--calibration", path)
        assert "rows that tau was tuned on are among these" in refusal(capfd, *seen)


def test_the_fits_know_the_rows_that_they_saw(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = folder / "kept.json"
    compare(capfd, folder, "--keep", "vector-scaling", "-o", path)
    seen = calibration_file.read(path).fitted_on
    assert seen is not None
    assert (seen.rows, seen.labelled, seen.classes_present) == (60, 60, 5)
    val = world()
    wrong = val.logits.argmax(axis=1) != val.labels
    assert seen.unadjusted_error == pytest.approx(wrong.mean())
    again = json_of(
        capfd, "evaluate", folder / "val.npz", "--calibration", path, "--allow-tuned-rows"
    )
    assert seen.balanced_error == pytest.approx(again["balanced_error"]["value"])
    assert seen.log_loss == pytest.approx(again["measures"]["balanced_log_loss"]["value"])
    assert seen.log_loss <= seen.log_loss_before


def test_the_same_files_and_seed_give_the_same_table(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert compare(capfd, folder) == compare(capfd, folder)


# What cannot be tried


def test_without_a_head_weight_normalisation_is_left_out(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    found = compare(capfd, folder)
    assert [one["name"] for one in found["left_out"]] == ["weight-norm"]
    assert "--head FILE" in found["left_out"][0]["reason"]
    line = ("compare", folder / "val.npz", folder / "test.npz", "--counts", folder / "counts.csv")
    kept = (*line, *QUICK, "--keep", "weight-norm:drop", "-o", folder / "c.json")
    assert "--keep weight-norm:drop: is not in the table; this table has" in refusal(capfd, *kept)
    whole = (*line, *QUICK, "--keep", "weight-norm", "-o", folder / "c.json")
    assert "is not in the table; it needs the classifier's head" in refusal(capfd, *whole)
    assert not (folder / "c.json").exists()


def test_a_head_without_a_bias_has_one_weight_norm(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    np.savez(folder / "norms.npz", norms=np.array([3.0, 2.5, 2.0, 1.5, 1.0]))
    methods = by_name(compare(capfd, folder, "--head", folder / "norms.npz"))
    assert [name for name in methods if name.startswith("weight-norm")] == ["weight-norm"]


@pytest.mark.parametrize("said", [True, False])
def test_log_probabilities_are_not_divided(
    folder: Path, capfd: pytest.CaptureFixture[str], said: bool
) -> None:
    for name, seed in (("val", 0), ("test", 1)):
        split = world(seed=seed)
        logits = split.logits.astype(np.float64)
        log_probs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        np.savez(folder / f"{name}-log.npz", logits=log_probs, labels=split.labels)
    paths, counts = (folder / "val-log.npz", folder / "test-log.npz"), folder / "counts.csv"
    more = ("--scores", "log-probs") if said else ()
    line = ("compare", *paths, "--counts", counts, "--head", folder / "head.npz", *QUICK)
    found = json_of(capfd, *line, *more)
    left_out = {one["name"]: one["reason"] for one in found["left_out"]}
    assert list(left_out) == ["weight-norm", "prior-division", "vector-scaling"]
    assert all(reason.startswith("needs raw logits") for reason in left_out.values())
    # A constant a row is all that was taken away, so what is left agrees.
    whole, part = by_name(compare(capfd, folder)), by_name(found)
    for name in ("logit-adjustment", "temperature"):
        assert part[name]["balanced_error"]["value"] == whole[name]["balanced_error"]["value"]
    mixed = ("compare", folder / "val-log.npz", folder / "test.npz", "--counts", counts, *QUICK)
    assert "rows look like logits, those of" in refusal(capfd, *mixed)


def test_too_many_scores_to_hold_leave_the_fits_out(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidate_rows, "MOST_HELD", 60 * 5)
    assert len(compare(capfd, folder)["left_out"]) == 1
    monkeypatch.setattr(candidate_rows, "MOST_HELD", 60 * 5 - 1)
    left_out = {one["name"]: one["reason"] for one in compare(capfd, folder)["left_out"]}
    assert set(left_out) == {"weight-norm", "temperature", "class-offsets", "vector-scaling"}
    assert "give fewer rows" in left_out["temperature"]


# Rows, labels, classes


def test_rows_that_chose_the_settings_are_not_scored(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    line = ("compare", folder / "val.npz", folder / "val.npz", "--counts", folder / "counts.csv")
    message = refusal(capfd, *line, *QUICK)
    assert f"all rows of {folder / 'val.npz'} are among these" in message
    assert "--allow-tuned-rows" in message
    found = json_of(capfd, *line, *QUICK, "--allow-tuned-rows")
    assert found["tuned_share"] == 1
    assert "so these errors are lower than those of new rows" in found["warnings"][0]


def of_two_models(folder: Path, **more: Any) -> tuple[str, Path, Path]:
    """The test split, and another model's logits of its rows."""
    old, new = folder / "old.npz", folder / "new.npz"
    labels = np.random.default_rng(3).integers(0, 5, 60)
    for path, seed in ((old, 1), (new, 2)):
        np.savez(path, **{"logits": world(seed=seed).logits, "labels": labels, **more})
    return "compare", old, new


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"ids": [f"img_{at}" for at in range(60)]}, "holds all labelled rows of that file, by id"),
        ({}, "has the labels of that file row by row"),
        ({"ids": np.arange(60)}, "has the labels of that file row by row"),
    ],
)
def test_the_rows_of_one_split_under_two_models_are_no_two_splits(
    folder: Path, capfd: pytest.CaptureFixture[str], more: dict[str, Any], told: str
) -> None:
    line = of_two_models(folder, **more)
    counts = ("--counts", folder / "counts.csv")
    message = refusal(capfd, *line, *counts, *QUICK)
    assert told in message
    assert "to compare two runs say --runs" in message
    assert json_of(capfd, *line, *counts, "--runs")["rows"] == 60
    found = json_of(capfd, *line, *counts, *QUICK, "--allow-tuned-rows")
    assert found["tuned_share"] == 0
    assert any(f"{line[2]} " in one or f"{line[2]} too" in one for one in found["warnings"])


def test_splits_whose_labels_stand_in_turn_are_compared_with_a_word(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, seed in (("val", 0), ("test", 1)):
        split = world(seed=seed)
        np.savez(folder / f"{name}.npz", logits=split.logits, labels=split.labels)
    warnings = compare(capfd, folder)["warnings"]
    assert any("has the labels of" in one and "say --runs" in one for one in warnings)


def test_one_repeated_row_does_not_hide_that_the_others_are_the_same(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    line = of_two_models(folder, ids=[f"img_{at}" for at in range(60)])
    with np.load(line[1]) as old, np.load(line[2]) as new:
        logits = new["logits"].copy()
        logits[0] = old["logits"][0]
        np.savez(line[2], logits=logits, labels=new["labels"], ids=new["ids"])
    message = refusal(capfd, *line, "--counts", folder / "counts.csv", *QUICK)
    assert "two models' logits of the same rows" in message


def test_a_class_without_validation_rows_stays_as_temperature_has_it(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    split = world(rows=200, seed=0)
    kept = split.labels != 3
    np.savez(folder / "val.npz", logits=split.logits[kept], labels=split.labels[kept])
    path = folder / "kept.json"
    found = compare(capfd, folder, "--keep", "vector-scaling", "-o", path)
    assert found["val"]["absent_classes"] == [3]
    assert any(
        "1 of 5 classes has no validation row; the fits leave it" in one
        for one in found["warnings"]
    )
    assert any("'fox'" in one or "fox" in one for one in found["warnings"])
    kept_file = calibration_file.read(path)
    assert kept_file.scale[3] == pytest.approx(1 / kept_file.tau)
    assert kept_file.offset[3] == pytest.approx(-LOG_PRIOR[3])


def test_rows_without_a_label_do_not_count(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    plain = compare(capfd, folder)
    for name, seed in (("val", 0), ("test", 1)):
        split, more = world(seed=seed), world(seed=7)
        logits = np.concatenate([more.logits[:9], split.logits])
        labels = np.concatenate([np.full(9, 255), split.labels])
        np.savez(folder / f"{name}.npz", logits=logits, labels=labels)
    found = compare(capfd, folder, "--ignore-label", 255, "--allow-tuned-rows")
    assert found["test"] == {**found["test"], "rows": 69, "labelled_rows": 60}
    for name, one in by_name(plain).items():
        assert by_name(found)[name]["balanced_error"] == one["balanced_error"]
    np.savez(folder / "test.npz", logits=world(seed=1).logits, labels=np.full(60, 255))
    line = ("compare", folder / "val.npz", folder / "test.npz", "--counts", folder / "counts.csv")
    message = refusal(capfd, *line, *QUICK, "--ignore-label", 255)
    assert "test.npz: no row carries a label; there is nothing to score" in message
    np.savez(folder / "val.npz", logits=world(seed=0).logits, labels=np.full(60, 255))
    message = refusal(capfd, *line, *QUICK, "--ignore-label", 255)
    assert "val.npz: no row carries a label" in message


def test_a_class_never_trained_on_is_never_predicted(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "zero.csv").write_text("class,count\ncat,500\ndog,120\nemu,60\nfox,25\ngnu,0\n")
    splits = folder / "val.npz", folder / "test.npz"
    line = ("compare", *splits, "--counts", folder / "zero.csv", "--head", folder / "head.npz")
    assert "choose --zero-count mask" in refusal(capfd, *line, *QUICK)
    path = folder / "kept.json"
    masked = (*line, *QUICK, "--zero-count", "mask", "--keep", "vector-scaling", "-o", path)
    methods = by_name(json_of(capfd, *masked))
    kept = calibration_file.read(path)
    assert [value is None for value in kept.offset] == [False] * 4 + [True]
    for name, one in methods.items():
        if name != UNADJUSTED:
            assert one["groups"]["few"]["value"] == 1.0


def test_nothing_is_fitted_on_classes_that_are_never_predicted(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "zero.csv").write_text("class,count\ncat,500\ndog,120\nemu,60\nfox,0\ngnu,0\n")
    split = world(seed=0)
    rare = split.labels > 2
    np.savez(folder / "rare.npz", logits=split.logits[rare], labels=split.labels[rare])
    line = ("compare", folder / "rare.npz", folder / "test.npz", "--counts", folder / "zero.csv")
    found = json_of(capfd, *line, *QUICK, "--zero-count", "mask")
    left_out = {one["name"]: one["reason"] for one in found["left_out"]}
    for name in ("temperature", "class-offsets", "vector-scaling"):
        assert left_out[name] == "no validation row is of a class that may be predicted"


def test_predictions_are_those_of_the_arithmetic(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    test = world(seed=1)
    methods = by_name(compare(capfd, folder))
    for name, slope in (
        ("logit-adjustment:1", 1.0),
        ("temperature", methods["temperature"]["tau"]),
    ):
        wrong = (test.logits - slope * LOG_PRIOR).argmax(axis=1) != test.labels
        expected = np.mean([wrong[test.labels == j].mean() for j in range(5)])
        assert methods[name]["balanced_error"]["value"] == pytest.approx(expected)


# The command


def test_the_text_leads_with_the_answer_and_fits_a_terminal(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    line = ("compare", folder / "val.npz", folder / "test.npz", "--counts", folder / "counts.csv")
    assert lacal(*line, *QUICK, "--head", folder / "head.npz") == 0
    out = capfd.readouterr().out
    first, second = out.splitlines()[:2]
    assert "has the lowest balanced error of 9 methods: " in first
    assert "not surely behind it: " in second or "surely behind" in second
    tables = [line for line in out.splitlines() if line.startswith(" ")]
    assert max(map(len, tables)) <= 100
    for name in set(NAMES) - {"weight-norm"}:
        assert f" {name} " in out
    assert out.count("\n none ") == 1  # it gains nothing over itself
    assert "groups: many (> 100 training); medium (20..100 training); few (< 20 training)" in out
    assert lacal(*line, *QUICK) == 0
    assert (
        "left out: weight-norm: needs the classifier's head; give --head FILE"
        in capfd.readouterr().out
    )


def test_where_nothing_helps_the_answer_says_so(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, seed in (("val", 0), ("test", 1)):
        split = world(rows=200, seed=seed, shift=0.0)
        # Perfect rows: every adjustment can only break some.
        logits = 6.0 * (split.labels[:, None] == np.arange(5)) + np.abs(split.logits)
        np.savez(folder / f"{name}.npz", logits=logits, labels=split.labels)
    line = ("compare", folder / "val.npz", folder / "test.npz", "--counts", folder / "counts.csv")
    assert lacal(*line, *QUICK) == 0
    out, _ = capfd.readouterr()
    assert out.startswith("no method lowers the balanced error of the unadjusted model, 0.0 %")
    assert "temperature: the validation rows are nearly all right" in out


def test_many_groups_are_cut_to_the_first_and_last(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    line = ("compare", folder / "val.npz", folder / "test.npz", "--counts", folder / "counts.csv")
    assert lacal(*line, *QUICK, "--groups", "quantiles:5") == 0
    out = capfd.readouterr().out
    assert "1 other groups stand in --json" in out
    found = json_of(capfd, *line, *QUICK, "--groups", "quantiles:5")
    assert len(found["groups"]) == len(found["methods"][1]["group_gains"]) == 5


def test_the_choices_are_those_of_the_table() -> None:
    assert NAMES[1:] == KEEPABLE
    assert EVERY_CLASS == "all"


@pytest.mark.parametrize(
    ("more", "fragment"),
    [
        (("--keep", "vector-scaling"), "--keep and -o go together, a method and its file; give -o FILE too"),
        (("-o", "c.json"), "give --keep NAME too"),
        (("--keep", "vector-scalin", "-o", "c.json"), "Did you mean 'vector-scaling'?"),
        (("--keep", "none", "-o", "c.json"), "'none' is not one of"),
        (("--keep", "temperature", "-o", "val.npz", "--force"), "val.npz"),
        (("--keep", "temperature", "-o", "test.npz", "--force"), "test.npz"),
        (("--fail-if", "balanced_error > 0.3"), "gates judge runs, not methods; leave --fail-if out"),
        (("--labels", "val.npz"), "one file cannot label two splits; put the labels beside each one"),
        (("--groups", "1,2"), "expected FEW <= MANY"),
        (("--head", "counts.csv"), "counts.csv"),
    ],
)  # fmt: skip
def test_bad_usage(
    folder: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    more: tuple[str, ...],
    fragment: str,
) -> None:
    monkeypatch.chdir(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    line = ("compare", "val.npz", "test.npz", "--counts", "counts.csv", *QUICK, *more)
    assert fragment in refusal(capfd, *line)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_an_output_that_is_there_needs_force(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = folder / "c.json"
    path.write_text("mine")
    line = ("compare", folder / "val.npz", folder / "test.npz", "--counts", folder / "counts.csv")
    kept = (*line, *QUICK, "--keep", "temperature", "-o", path)
    assert "--force" in refusal(capfd, *kept)
    assert path.read_text() == "mine"
    assert lacal(*kept, "--force") == 0
    assert json.loads(path.read_text())["method"] == "temperature"


def test_splits_of_two_models_are_refused(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    split = world(seed=1)
    np.savez(folder / "test.npz", logits=split.logits[:, :4], labels=split.labels % 4)
    line = ("compare", folder / "val.npz", folder / "test.npz", "--counts", folder / "counts.csv")
    assert "4 classes" in refusal(capfd, *line, *QUICK)
    np.savez(folder / "test.npz", logits=split.logits)
    assert "test.npz: has no labels" in refusal(capfd, *line, *QUICK)
    one = split.labels == 2
    np.savez(folder / "val.npz", logits=split.logits[one], labels=split.labels[one])
    np.savez(folder / "test.npz", logits=split.logits, labels=split.labels)
    assert "every labelled row is of class emu" in refusal(capfd, *line, *QUICK)


# Methods or runs


def predictions_file(path: Path, seed: int) -> Path:
    split = world(seed=1)
    generator = np.random.default_rng(seed)
    moved = np.where(generator.random(60) < 0.3, generator.integers(0, 5, 60), split.labels)
    columns = {"id": np.arange(60), "label": split.labels, "prediction": moved}
    pq.write_table(pa.table(columns), path)
    return path


def test_predictions_are_compared_as_runs(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    paths = [predictions_file(folder / f"{seed}.parquet", seed) for seed in (1, 2)]
    found = json_of(capfd, "compare", *paths, "--counts", folder / "counts.csv")
    assert found["compared"] == "runs"
    assert found["joined_by"] == "id"
    assert set(found["group_gains"]) == {"many", "medium", "few"}
    message = refusal(capfd, "compare", *paths, "--labels", folder / "val.npz")
    assert "labels of predictions stand in the same file; leave --labels out" in message
    message = refusal(capfd, "compare", *paths, "--head", folder / "head.npz")
    assert "two runs are compared as they are; leave --head out" in message
    message = refusal(capfd, "compare", *paths, *QUICK)
    assert "two runs need no draws, their intervals are computed; leave --draws out" in message
    assert "leave --seed out" in refusal(capfd, "compare", *paths, "--seed", 0)


def test_logits_are_compared_as_runs_where_no_counts_are_given(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    test = folder / "test.npz"
    split = world(seed=1, shift=0.0)
    ids = np.array([f"test-{i}" for i in range(60)])
    np.savez(folder / "other.npz", logits=split.logits, labels=split.labels, ids=ids)
    found = json_of(capfd, "compare", test, folder / "other.npz")
    assert found["compared"] == "runs"
    assert found["group_gains"] is None
    counts = ("--counts", folder / "counts.csv")
    with_groups = json_of(capfd, "compare", test, folder / "other.npz", "--runs", *counts)
    assert with_groups["gain"]["value"] == found["gain"]["value"]
    assert set(with_groups["group_gains"]) == {"many", "medium", "few"}


def test_runs_bring_their_counts(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for run, shift in (("a", 1.0), ("b", 0.0)):
        (tmp_path / run).mkdir()
        (tmp_path / run / "config.json").write_text('{"format": "lacal run", "version": 1}')
        (tmp_path / run / "summary.json").write_text("{}")
        write_world(tmp_path / run)
        split = world(seed=1, shift=shift)
        columns = {"logits": pa.array(split.logits.tolist(), pa.list_(pa.float32(), 5))}
        columns |= {"label": pa.array(split.labels)}
        pq.write_table(pa.table(columns), tmp_path / run / "test_logits.parquet")
    found = json_of(capfd, "compare", tmp_path / "a", tmp_path / "b")
    assert found["compared"] == "runs"
    assert set(found["group_gains"]) == {"many", "medium", "few"}
    assert found["gain"]["value"] > 0


def test_splits_without_counts_are_told_what_is_missing(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    splits = folder / "val.npz", folder / "test.npz"
    message = refusal(capfd, "compare", *splits)
    assert "shares no row with" in message
    assert "give --counts FILE" in message
    few = world(seed=1)
    np.savez(folder / "few.npz", logits=few.logits[:, :4], labels=few.labels % 4)
    message = refusal(capfd, "compare", splits[0], folder / "few.npz")
    assert "they must be of the same classes" in message
    assert "--counts" not in message
    line = ("compare", *splits, "--keep", "temperature", "-o", folder / "c.json")
    assert "training counts are needed; give --counts FILE" in refusal(capfd, *line)


def test_gates_judge_runs(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    paths = [predictions_file(folder / f"{seed}.parquet", seed) for seed in (1, 2)]
    assert lacal("compare", *paths, "--fail-if", "balanced_error > 1%") == 1
    assert "gate" in capfd.readouterr().out
    assert lacal("compare", *paths, "--fail-if", "gain < -99%") == 0
    message = refusal(capfd, "compare", *paths, "--fail-if", "few.gain.high < 0")
    assert "groups of classes need the training counts: give --counts" in message
    assert lacal("compare", *paths, "--fail-if", "balanced_error > 1%", "--exit-zero") == 0


def test_a_model_is_told_what_to_do(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    onnx_models = pytest.importorskip("tests.models.onnx_models")
    model = folder / "m.onnx"
    model.write_bytes(onnx_models.matmul().model.SerializeToString())
    message = refusal(capfd, "compare", model, folder / "test.npz")
    assert "is a model; compare reads the logits it makes" in message
