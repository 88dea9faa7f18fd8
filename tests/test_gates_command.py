"""Gates on the command line: a table of expressions, data and exit codes, and what every format says of them."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.small_world import NAMES, json_of, lacal, refusal, world


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small world, its predictions before and after tuning, and what was measured of them."""
    from tests.small_world import write_world

    folder = write_world(tmp_path_factory.mktemp("made"))
    here = str(folder)
    counts, tuned = f"{here}/counts.csv", f"{here}/c.json"
    test = world(seed=1)
    rows = test.labels != 4
    np.savez(folder / "without_gnu.npz", logits=test.logits[rows], labels=test.labels[rows])
    for line in (
        ("tune-tau", f"{here}/val.npz", "--counts", counts, "--draws", 10, "-o", tuned),
        ("adjust", f"{here}/test.npz", "--calibration", tuned, "-o", f"{here}/after.parquet"),
        (
            "adjust",
            f"{here}/test.npz",
            "--counts",
            counts,
            "--tau",
            0,
            "-o",
            f"{here}/before.parquet",
        ),
        (
            "evaluate",
            f"{here}/before.parquet",
            "--counts",
            counts,
            "--report",
            f"{here}/before.json",
        ),
        ("evaluate", f"{here}/after.parquet", "--counts", counts, "--report", f"{here}/after.json"),
    ):
        assert lacal(*line) == 0, line
    table = pq.read_table(folder / "before.parquet")
    slightly = table["prediction"].to_numpy().copy()
    label = table["label"].to_numpy()
    slightly[np.flatnonzero(slightly == label)[:2]] = 4
    slightly[np.flatnonzero(slightly != label)[10:11]] = label[
        np.flatnonzero(slightly != label)[10:11]
    ]
    at = table.column_names.index("prediction")
    keep = [name for name in table.column_names if name in ("id", "label", "prediction")]
    changed = table.set_column(at, table.field(at), pa.array(slightly, table.field(at).type))
    pq.write_table(changed.select(keep), folder / "slightly.parquet")
    return folder


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


LOGITS = ("test.npz", "--counts", "counts.csv")
ADJUSTED = ("test.npz", "--calibration", "c.json")
PREDICTIONS = ("after.parquet", "--counts", "counts.csv")
UNGROUPED = ("after.parquet",)
ABSENT = ("without_gnu.npz", "--counts", "counts.csv")


@pytest.mark.parametrize(
    ("data", "gates", "code", "fragment"),
    [
        (LOGITS, ["balanced_error > 99%"], 0, "gate passed: balanced_error > 99%"),
        (LOGITS, ["balanced_error > 1%"], 1, "gate FAILED: balanced_error > 1%"),
        (LOGITS, ["balanced_error > 99%", "few.error >= 0", "log_loss > 90"], 1, "gate FAILED: few.error >= 0"),
        (ADJUSTED, ["gain < 0"], 0, "gate passed: gain < 0"),
        (ADJUSTED, ["gain.low < 0 and gain > 99%"], 0, "gate passed"),
        (ADJUSTED, ["calibration.top_label > 0.99 or few.calibration > 0.999"], 0, "gate passed"),
        (PREDICTIONS, ["micro_error > 0", "macro_f1 < 100%"], 1, "gate FAILED: macro_f1 < 100%"),
        (PREDICTIONS, ["class.gnu.error >= 100%"], 0, "gate passed: class.gnu.error >= 100%"),
        (PREDICTIONS, ['class."gnu".error >= 0'], 1, "gate FAILED"),
        (PREDICTIONS, ["few.error.n < 100"], 1, "12 is below 100"),
        (PREDICTIONS, ["worst_class.recall < 0.1%"], 0, "gate passed"),
        (LOGITS, ["gain > 0"], 1, "cannot be judged, so it fails: 'gain' is undefined (nothing was adjusted; give --calibration"),
        (LOGITS, ["target_error > 0"], 1, "no target prior is given; say --target-prior"),
        ((*LOGITS, "--target-prior", "train"), ["target_error > 99%"], 0, "gate passed"),
        (ABSENT, ["few.error > 99%"], 1, "'few.error' is undefined (no labelled row)"),
        (ABSENT, ["class.gnu.error > 99%"], 1, "undefined"),
        (ABSENT, ["balanced_error > 99%", "many.error > 99%"], 0, "gate passed: many.error"),
    ],
)  # fmt: skip
def test_expressions_data_and_exit_codes(
    here: Path,
    capfd: pytest.CaptureFixture[str],
    data: tuple[str, ...],
    gates: list[str],
    code: int,
    fragment: str,
) -> None:
    options = [word for gate in gates for word in ("--fail-if", gate)]
    assert lacal("evaluate", *data, *options) == code
    out = capfd.readouterr().out
    assert fragment in out
    assert out.count("\ngate passed") + out.count("\ngate FAILED") == len(gates)
    first, second = out.splitlines()[:2]
    assert first.endswith("failed, see the end" if code else "passed, see the end")
    assert second.startswith("balanced error")
    assert lacal("evaluate", *data, *options, "--exit-zero") == 0
    assert capfd.readouterr().out == out


@pytest.mark.parametrize(
    ("data", "options", "fragment"),
    [
        (LOGITS, ["--fail-if", "balanced_eror > 0.3"], "Did you mean 'balanced_error'?"),
        (LOGITS, ["--fail-if", "fw.error > 0.3"], "'fw.error' is no measure of this run. Did you mean 'few.error'?"),
        (UNGROUPED, ["--fail-if", "few.error > 0.3"], "'few.error' is no measure of this run; groups of classes need "
         "the training counts: give --counts (or --calibration)"),
        (LOGITS, ["--fail-if", "few.gain > 0"], "for others there is lacal compare BEFORE AFTER"),
        (LOGITS, ["--fail-if", "class.gnu.recall < 0.3"], "Did you mean 'class.gnu.error'?"),
        (LOGITS, ["--fail-if", "class.fire engine.error > 5%"], 'put the name in quotes: class."fire engine".error'),
        (LOGITS, ["--baseline", "before.json", "--max-increase", "few.error=5"], "got 5, expected 5% (of the"),
        (LOGITS, ["--baseline", "after.parquet", "--max-increase", "few.error=5%"],
         "expected JSON or lines of text; a baseline is the JSON of an earlier run: lacal evaluate ... --report METRICS"),
        (LOGITS, ["--fail-if", "class.gun.error > 0.3"], "Did you mean 'class.gnu.error'?"),
        (LOGITS, ["--fail-if", "balanced_error > 30"], "expected 30% or 0.3"),
        (LOGITS, ["--fail-if", "balanced_error"], "nothing is compared"),
        (LOGITS, ["--max-increase", "balanced_error=0.01"], "give --baseline METRICS"),
        (LOGITS, ["--baseline", "before.json"], "give --max-increase NAME=LIMIT"),
        (LOGITS, ["--baseline", "before.json", "--max-increase", "balanced_error"], "expected NAME=LIMIT"),
        (LOGITS, ["--baseline", "before.json", "--max-increase", "macro_f1=1%"], "give --max-decrease"),
        (LOGITS, ["--baseline", "c.json", "--max-increase", "balanced_error=1%"], "is no result of lacal evaluate"),
        (LOGITS, ["--baseline", "before.json", "--max-increase", "few.eror=1%"], "Did you mean 'few.error'?"),
        ((*LOGITS, "--groups", "100,30"), ["--baseline", "before.json", "--max-increase", "few.error=0"],
         "'few' was '< 20' there and is '< 30' here"),
        ((*PREDICTIONS, "--bins", "5"), ["--baseline", "before.json", "--max-increase", "few.calibration=0.9"],
         "was in 15 equal-width bins there and is in 5 equal-width bins here"),
        (LOGITS, ["--baseline", "before.json", "--max-increase", "balanced_error=0", "--report",
                  "json=before.json", "--force"], "is also an input"),
    ],
)  # fmt: skip
def test_gates_that_make_no_sense_are_bad_usage(
    here: Path,
    capfd: pytest.CaptureFixture[str],
    data: tuple[str, ...],
    options: list[str],
    fragment: str,
) -> None:
    assert fragment in refusal(capfd, "evaluate", *data, *options)


def test_a_misspelt_gate_is_refused_before_the_data_are_read(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for gate in ("log_los > 3", "balanced_error >"):
        assert "--fail-if" in refusal(capfd, "evaluate", "none.npz", "--fail-if", gate)


@pytest.mark.parametrize(
    ("run", "options", "code", "fragment"),
    [
        ("after.parquet", ["--max-increase", "balanced_error=0"], 0, "which is better"),
        ("before.parquet", ["--max-increase", "balanced_error=0"], 0, "did not change"),
        ("slightly.parquet", ["--max-increase", "balanced_error=0.01"], 1, "more than the 1.00 points allowed"),
        ("slightly.parquet", ["--max-increase", "balanced_error=0.02"], 0, "within the 2.00 points allowed"),
        ("slightly.parquet", ["--max-increase", "balanced_error=1%"], 1, "(1 % of the baseline's) allowed"),
        ("slightly.parquet", ["--max-increase", "balanced_error=10%"], 0, "(10 % of the baseline's) allowed"),
        ("slightly.parquet", ["--max-increase", "micro_error=0", "--significant",
                              "--baseline-predictions", "before.parquet"], 0, "which may be chance"),
        ("slightly.parquet", ["--max-increase", "log_loss=1"], 1, "the baseline's value is undefined"),
        ("worse.npz", ["--max-increase", "balanced_error=10%", "--significant",
                       "--baseline-predictions", "before.parquet"], 1, "points, so it is sure"),
        ("worse.npz", ["--max-decrease", "macro_f1=90%"], 1, "fell by"),
    ],
)  # fmt: skip
def test_a_baseline_and_exit_codes(
    here: Path,
    capfd: pytest.CaptureFixture[str],
    run: str,
    options: list[str],
    code: int,
    fragment: str,
) -> None:
    test = world(seed=1)
    logits = -np.eye(len(NAMES), dtype=np.float32)[test.labels]
    ids = np.array([f"test-{i}" for i in range(test.labels.size)])
    np.savez(here / "worse.npz", logits=logits, labels=test.labels, ids=ids)
    line = ("evaluate", run, "--counts", "counts.csv", "--baseline", "before.json", *options)
    assert lacal(*line) == code
    assert fragment in capfd.readouterr().out


def test_other_rows_than_the_baselines_are_warned_of_everywhere(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    line = ("evaluate", *ABSENT, "--baseline", "before.json", "--max-increase", "micro_error=0.9")
    assert lacal(*line, "--json") == 0
    out, err = capfd.readouterr()
    said = "the baseline before.json was measured on other rows (60 there, 48 here; 1 of 5 classes differ)"
    assert said in err
    assert any(said in one for one in json.loads(out)["warnings"])


def test_json_holds_the_verdicts_and_reads_back_as_a_baseline(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    line = (
        "evaluate",
        *ADJUSTED,
        "--fail-if",
        "balanced_error > 99%",
        "--fail-if",
        "few.error > 200%*0",
    )
    found = json_of(capfd, *line, "--exit-zero")
    assert [one["passed"] for one in found["verdicts"]] == [
        True,
        found["measures"]["few.error"]["value"] == 0,
    ]
    assert set(found["verdicts"][0]) == {"gate", "passed", "found", "reason"}
    (here / "metrics.json").write_text(json.dumps(found))
    names = [name for name, one in found["measures"].items() if one["value"] is not None]
    options = []
    for name in (*names, *(f"class.{name}.error" for name in NAMES)):
        better = found["measures"].get(name, {"better": "lower"})["better"]
        options += [f"--max-{'increase' if better == 'lower' else 'decrease'}", f"{name}=0"]
    again = json_of(capfd, "evaluate", *ADJUSTED, "--baseline", "metrics.json", *options)
    assert len(again["verdicts"]) == len(names) + len(NAMES)
    assert {one["reason"] for one in again["verdicts"]} == {"did not change"}


def test_every_report_of_one_run(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    reports = (
        "--report",
        "out.xml",
        "--report",
        "out.md",
        "--report",
        "m.json",
        "--report",
        "github=log",
    )
    gates = ("--fail-if", "balanced_error > 1%", "--fail-if", "micro_error > 99%")
    assert lacal("evaluate", *ADJUSTED, *gates, *reports) == 1
    err = capfd.readouterr().err
    assert err.splitlines()[-4:] == ["wrote out.xml", "wrote out.md", "wrote m.json", "wrote log"]
    suite = ElementTree.parse(here / "out.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert "**1 of 2 gates failed**" in (here / "out.md").read_text()
    assert [one["passed"] for one in json.loads((here / "m.json").read_text())["verdicts"]] == [
        False,
        True,
    ]
    log = (here / "log").read_text().splitlines()
    assert [line.partition(" ")[0] for line in log[:2]] == ["::error", "::notice"]


def test_gates_from_a_settings_file(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (here / "lacal.toml").write_text(
        "[evaluate]\nfail-if = ['balanced_error > 99%', 'micro_error > 0.1%']\nreport = ['out.xml']\n"
    )
    assert lacal("--config", "lacal.toml", "evaluate", *ADJUSTED) == 1
    assert capfd.readouterr().out.count("\ngate ") == 2
    assert (here / "out.xml").exists()


def test_gates_from_the_environment_stand_a_line_each(
    here: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Click splits a variable at blanks, of which an expression is full."""
    monkeypatch.setenv("LACAL_EVALUATE_FAIL_IF", "balanced_error > 99%\nfew.error >= 0\n")
    monkeypatch.setenv("LACAL_EVALUATE_REPORT", "a b.md")
    assert lacal("evaluate", *LOGITS) == 1
    assert "1 of 2 gates failed" in capfd.readouterr().out
    assert (here / "a b.md").exists()
    monkeypatch.setenv("LACAL_EVALUATE_FAIL_IF", "")
    monkeypatch.setenv("LACAL_EVALUATE_BASELINE", "before.json")
    monkeypatch.setenv("LACAL_EVALUATE_MAX_INCREASE", "balanced_error = 0.9\nmicro_error= 0.9")
    assert lacal("evaluate", *PREDICTIONS, "--force") == 0
    assert "2 gates passed" in capfd.readouterr().out


def test_scores_that_a_file_does_not_hold_say_how_to_have_them(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    gates = ("--fail-if", "log_loss > 3", "--fail-if", "gain < 0")
    assert lacal("evaluate", "slightly.parquet", "--counts", "counts.csv", *gates) == 1
    first, second = capfd.readouterr().out.splitlines()[-2:]
    assert (
        first.count("write them with lacal adjust --write-scores probs, or evaluate the logits")
        == 1
    )
    assert first.endswith("(log_loss n/a)")
    assert second.count("give --calibration") == 1


def test_two_runs_are_gated_on_what_changed(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pair = ("compare", "after.parquet", "before.parquet")
    for gate, code in (("gain > 99%", 0), ("gain < 99%", 1), ("mcnemar.p <= 0", 0)):
        assert lacal(*pair, "--fail-if", gate) == code
        assert f"gate {'FAILED' if code else 'passed'}: {gate}" in capfd.readouterr().out
    assert "is no measure of this run" in refusal(capfd, *pair, "--fail-if", "gane < 0")
    assert "give --counts" in refusal(capfd, *pair, "--fail-if", "few.gain < 0")


@pytest.mark.parametrize("output_format", ["text", "md"])
@pytest.mark.parametrize(("limit", "code"), [("1%", 1), ("99%", 0)])
def test_a_reader_that_goes_away_does_not_pass_a_failed_gate(
    here: Path, output_format: str, limit: str, code: int
) -> None:
    read, write = os.pipe()
    os.close(read)
    gate = f"balanced_error > {limit}"
    with contextlib.closing(os.fdopen(write, "w")) as pipe:
        done = subprocess.run(
            [sys.executable, "-m", "lacal", "evaluate", *PREDICTIONS, "--fail-if", gate, "--format", output_format],
            cwd=here, stdout=pipe, stderr=subprocess.PIPE, text=True, check=False, timeout=60,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (code, "")
