"""Pages of problems that are seldom: nothing changes, nothing helps, few labels, many groups, old calibrations."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.small_world import json_of, lacal, world, write_world
from tests.test_pages_of_commands import page_of

pytest.importorskip("matplotlib", exc_type=ImportError)

COUNTED = ("--counts", "counts.csv")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(write_world(tmp_path))
    assert lacal("tune-tau", "val.npz", *COUNTED, "--draws", 10, "-o", "c.json") == 0
    return tmp_path


def rows(name: str, logits: Any, labels: Any) -> str:
    np.savez(name, logits=logits, labels=labels, ids=np.array([f"{name}-{i}" for i in range(len(labels))]))  # fmt: skip
    return name


def test_an_adjustment_that_changes_nothing(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sure = world(seed=3)
    path = rows("sure.npz", 1000 * sure.logits, sure.labels)
    page = page_of(capfd, folder, "evaluate", path, "--calibration", "c.json")
    assert "mends and breaks no row on 60 rows" in page.answer


def test_an_adjustment_that_does_harm(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    common = world(seed=3)
    path = rows("common.npz", common.logits, common.logits.argmax(axis=1))
    page = page_of(capfd, folder, "evaluate", path, "--calibration", "c.json")
    assert "does not lower the balanced error on 60 rows" in page.answer


def test_rows_of_one_group_have_no_best_and_worst(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    split = world(seed=3)
    one = split.labels == 0
    path = rows("one.npz", split.logits[one], split.labels[one])
    page = page_of(capfd, folder, "evaluate", path, *COUNTED)
    assert "lowest in the group" not in page.answer
    assert "12 rows of 1 classes" in page.answer


def test_a_calibration_that_does_not_know_its_rows(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    content = json.loads(Path("c.json").read_text())
    content["tuned_on"] = None
    Path("old.json").write_text(json.dumps(content))
    page = page_of(capfd, folder, "evaluate", "test.npz", "--calibration", "old.json")
    assert "These rows did not choose tau" in page.text
    assert "whose 95 % interval on the validation rows" not in page.text
    assert "tuned on" not in page.text


def test_tuned_rows_flatter_their_tau(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    given = ("evaluate", "val.npz", "--calibration", "c.json", "--allow-tuned-rows")
    assert "its error here flatters it" in page_of(capfd, folder, *given).text


def test_a_temperature_stands_on_the_page(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    given = ("evaluate", "test.npz", "--calibration", "c.json", "--fit-temperature", "val.npz")
    assert "log loss, which decides" in page_of(capfd, folder, *given).text


def test_a_temperature_for_rows_without_labels(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    np.savez("plain.npz", logits=world(seed=4).logits)
    given = ("adjust", "plain.npz", "--calibration", "c.json", "--fit-temperature", "val.npz", "-o", "p.parquet")  # fmt: skip
    page = page_of(capfd, folder, *given)
    assert "What the temperature does" in page.text
    assert "temperature" not in page.charts


def test_a_temperature_that_is_one_hardly_matters(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Logits divided by their own temperature have 1 left."""
    at = ("--fit-temperature", "val.npz", "-o", "p.parquet")
    fitted = json_of(capfd, "adjust", "test.npz", *COUNTED, "--tau", 1, *at)["temperature"]["value"]
    for name, seed in (("val", 0), ("test", 1)):
        split = world(seed=seed)
        rows(f"even-{name}.npz", split.logits / fitted, split.labels)
    given = ("adjust", "even-test.npz", *COUNTED, "--tau", 1 / fitted, "-o", "even.parquet", "--fit-temperature", "even-val.npz")  # fmt: skip
    assert "This temperature hardly matters" in page_of(capfd, folder, *given).text


def test_a_temperature_where_a_class_can_never_be_right(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Rows of a class that is never predicted have an infinite log loss, whatever the temperature."""
    Path("masked.csv").write_text("class,count\ncat,500\ndog,120\nemu,60\nfox,25\ngnu,0\n")
    masked = ("--counts", "masked.csv", "--zero-count", "mask")
    common = world(seed=0)
    kept = common.labels < 4
    rows("common.npz", common.logits[kept], common.labels[kept])
    assert lacal("tune-tau", "common.npz", *masked, "--draws", 10, "-o", "m.json") == 0
    at = ("--fit-temperature", "common.npz", "-o", "p.parquet")
    given = ("adjust", "test.npz", "--calibration", "m.json", *at)
    page = page_of(capfd, folder, *given)
    assert "Whether this temperature serves is not known" in page.text
    assert "infinite" in page.text


def test_more_groups_than_can_be_told_apart(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Ten groups: their numbers stand in tables, without a chart of them all."""
    k = 10
    for name, seed in (("many-val.npz", 5), ("many-test.npz", 6)):
        chance = np.random.default_rng(seed)
        labels = np.arange(10 * k) % k
        logits = chance.normal(size=(labels.size, k)) + 2 * np.eye(k)[labels]
        rows(name, logits, labels)
    counts = "".join(f"{j},{2 ** (k - j)}\n" for j in range(k))
    Path("many.csv").write_text("class,count\n" + counts)
    Path("groups.csv").write_text("class,group\n" + "".join(f"{j},g{j}\n" for j in range(k)))
    more = ("--counts", "many.csv", "--groups", "groups.csv")
    page = page_of(capfd, folder, "compare", "many-val.npz", "many-test.npz", *more, "--draws", 10)
    assert "method_groups" not in page.charts
    assert "g9" in page.text
    page = page_of(capfd, folder, "evaluate", "many-test.npz", *more, "--force")
    assert "reliability" in page.charts
    assert "rows labelled g9" not in page.text


def test_many_classes_over_nine_powers_of_ten(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Means of neighbours without an adjustment; the commonest classes are too few for a mean of their own."""
    k = 60
    chance = np.random.default_rng(5)
    labels = np.arange(3 * k) % k
    rows("wide.npz", chance.normal(size=(labels.size, k)) + 3 * np.eye(k)[labels], labels)
    counts = [1 + j for j in range(k - 2)] + [10**9, 2 * 10**9]
    lines = "".join(f"{j},{count}\n" for j, count in enumerate(counts))
    Path("wide.csv").write_text("class,count\n" + lines)
    page = page_of(capfd, folder, "evaluate", "wide.npz", "--counts", "wide.csv")
    assert "recall" in page.charts
    assert "1,000,000,000" in page.markup


def test_a_record_of_inference_that_names_no_model(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    split = world(seed=1)
    table = pa.table({"logits": list(split.logits), "labels": split.labels})
    pq.write_table(
        table.replace_schema_metadata({"lacal.inference": '{"by": "hand"}'}), "own.parquet"
    )
    page = page_of(capfd, folder, "evaluate", "own.parquet", *COUNTED)
    assert "sha256" not in page.text


def test_inspect_of_rows_that_all_lack_a_label(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rows("none.npz", world(seed=4).logits, np.full(60, -1))
    assert lacal("inspect", "none.npz", *COUNTED, "--ignore-label", "-1") == 0
    out = capfd.readouterr().out
    assert "labelled rows" in out
    assert "rows per class" not in out


def test_a_curve_that_is_flat(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    sure = world(seed=3)
    path = rows("sure.npz", 1000 * sure.logits, sure.labels)
    assert lacal("tune-tau", path, *COUNTED, "--draws", 10) == 0
    assert "▁" * 20 in capfd.readouterr().out
    assert "curve" in page_of(capfd, folder, "tune-tau", path, *COUNTED, "--draws", 10).charts


def test_groups_without_a_row_have_no_gain(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    split = world(seed=1)
    common = split.labels < 2
    rows("common.npz", split.logits[common], split.labels[common])
    for name, tau in (("one", 0), ("two", 1)):
        adjusted = ("adjust", "common.npz", *COUNTED, "--tau", tau, "-o", f"{name}.parquet")
        assert lacal(*adjusted) == 0
    capfd.readouterr()
    assert lacal("compare", "one.parquet", "two.parquet", *COUNTED) == 0
    few = next(line for line in capfd.readouterr().out.splitlines() if line.startswith("   few"))
    assert few.split()[-5:] == ["n/a", "n/a", "n/a", "0", "0"]


def test_a_method_that_is_surely_ahead_has_nobody_close(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Columns on scales of their own, which one method alone can mend."""
    scales = np.array([0.2, 3.0, 1.0, 0.3, 5.0])
    for name, seed in (("large-val", 7), ("large-test", 8)):
        split = world(rows=4000, seed=seed, shift=0.0)
        rows(f"{name}.npz", split.logits * scales, split.labels)
    found = ("compare", "large-val.npz", "large-test.npz", *COUNTED, "--draws", 10)
    assert lacal(*found) == 0
    out = capfd.readouterr().out
    assert out.startswith("vector-scaling")
    assert "every other method is surely behind it" in out


def test_one_labelled_row_has_no_interval(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    split = world(seed=1)
    rows("single.npz", split.logits[:1], split.labels[:1])
    given = ("--fit-temperature", "val.npz", "-o", "p.parquet")
    page = page_of(capfd, folder, "adjust", "single.npz", "--calibration", "c.json", *given)
    assert "log loss, which decides, goes from" in page.text


def test_a_calibration_whose_record_of_inputs_is_no_record(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime")
    from tests.soak.mutants.samples import onnx_model

    Path("m.onnx").write_bytes(onnx_model())
    counted = ("--counts", "three.csv")
    Path("three.csv").write_text("class,count\n0,100\n1,20\n2,5\n")
    for name, seed in (("a", 0), ("b", 1)):
        inputs = np.random.default_rng(seed).normal(size=(30, 4)).astype("f4")
        np.savez(f"{name}.npz", x=inputs, labels=np.arange(30) % 3)
        assert lacal("infer", "m.onnx", f"{name}.npz", "-o", f"logits-{name}.npz") == 0
    assert lacal("tune-tau", "logits-a.npz", *counted, "--draws", 10, "-o", "three.json") == 0
    content = json.loads(Path("three.json").read_text())
    content["inference"]["inputs"] = "another tool's words"
    Path("three.json").write_text(json.dumps(content))
    capfd.readouterr()
    assert lacal("evaluate", "logits-b.npz", "--calibration", "three.json") == 0
    assert "preprocessed otherwise" not in capfd.readouterr().err


def test_a_temperature_that_may_not_be_needed(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    at = ("--fit-temperature", "val.npz", "-o", "p.parquet")
    fitted = json_of(capfd, "adjust", "test.npz", *COUNTED, "--tau", 1, *at)["temperature"]["value"]
    split = world(seed=0)
    rows("near.npz", 1.1 * split.logits / fitted, split.labels)
    given = ("--tau", 1.1 / fitted, "--fit-temperature", "near.npz", "-o", "near.parquet")
    page = page_of(capfd, folder, "adjust", "near.npz", *COUNTED, *given, "--allow-tuned-rows")
    assert "This temperature may not be needed" in page.text


def test_rows_of_a_class_that_the_target_prior_lacks(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    split = world(seed=1)
    rare = split.labels == 4
    rows("rare.npz", split.logits[rare], split.labels[rare])
    Path("shares.csv").write_text("class,share\ncat,0.5\ndog,0.3\nemu,0.1\nfox,0.1\ngnu,0\n")
    given = ("--target-prior", "shares.csv", "--fit-temperature", "val.npz", "-o", "p.parquet")
    page = page_of(capfd, folder, "adjust", "rare.npz", "--calibration", "c.json", *given)
    assert "is not known: log loss is undefined" in page.text


def test_runs_without_counts_have_no_groups(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, tau in (("one", 0), ("two", 1)):
        adjusted = ("adjust", "test.npz", *COUNTED, "--tau", tau, "-o", f"{name}.parquet")
        assert lacal(*adjusted) == 0
    capfd.readouterr()
    assert lacal("compare", "one.parquet", "two.parquet") == 0
    out = capfd.readouterr().out
    assert "balanced error" in out
    assert "few" not in out.partition("micro error")[0].partition("balanced error")[2]


def test_the_model_behind_the_logits_stands_among_the_facts(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime")
    from tests.soak.mutants.samples import onnx_model

    Path("m.onnx").write_bytes(onnx_model())
    inputs = np.random.default_rng(0).normal(size=(12, 4)).astype("f4")
    np.savez("inputs.npz", x=inputs, labels=np.arange(12) % 3)
    assert lacal("infer", "m.onnx", "inputs.npz", "-o", "logits.npz") == 0
    page = page_of(capfd, folder, "evaluate", "logits.npz")
    assert "m.onnx, sha256 " in page.text
