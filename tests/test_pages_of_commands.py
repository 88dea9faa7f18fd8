"""The pages of evaluate, adjust, compare and train: what they say is what the command prints."""

import html
import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lacal.report.page.of_evaluation import curve_of
from tests.small_world import COUNTS, NAMES, json_of, lacal, world, write_world

pytest.importorskip("matplotlib", exc_type=ImportError)

HOSTILE = ("<script>alert(1)</script>", "\x1b[31mred", "=cmd()", "\u202eevil", "$x^2$")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_world(tmp_path)
    calibration = tmp_path / "calibration.json"
    assert lacal("tune-tau", tmp_path / "val.npz", "--counts", tmp_path / "counts.csv", "-o", calibration) == 0  # fmt: skip
    return tmp_path


class Said:
    """A page: its answer, its text, its captions by chart, its facts."""

    def __init__(self, path: Path) -> None:
        self.markup = path.read_text("utf-8")
        heading = re.search(r"<h1[^>]*>(.*?)</h1>", self.markup, re.DOTALL)
        assert heading is not None
        self.answer = self._text(heading[1]).strip()
        body = re.sub(r"<(script|style|svg)\b.*?</\1>", " ", self.markup, flags=re.DOTALL)
        self.text = " ".join(self._text(body).split())
        self.charts = re.findall(r'<figure[^>]* data-chart="([^"]+)"', self.markup)
        labels = re.findall(r'aria-label="([^"]*)"', self.markup)
        self.alts = [self._text(one) for one in labels]

    @staticmethod
    def _text(markup: str) -> str:
        plain = html.unescape(re.sub(r"<[^>]+>", " ", markup))
        return plain.replace("\N{NO-BREAK SPACE}", " ")


def page_of(capfd: pytest.CaptureFixture[str], folder: Path, *arguments: object) -> Said:
    path = folder / "report.html"
    capfd.readouterr()
    assert lacal(*arguments, "--report", path) == 0, capfd.readouterr().err
    return Said(path)


def percent(value: float) -> str:
    return f"{100 * value:.1f}"


# evaluate


def test_evaluate_leads_with_what_changed_and_how_sure_that_is(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    given = ("evaluate", folder / "test.npz", "--calibration", folder / "calibration.json")
    found = json_of(capfd, *given)
    page = page_of(capfd, folder, *given)
    gain = found["gain"]
    for value in (found["unadjusted"]["balanced_error"]["value"], found["balanced_error"]["value"]):
        assert f"{percent(value)} %" in page.answer
    assert f"{100 * gain['interval'][0]:+.1f} to {100 * gain['interval'][1]:+.1f}" in page.answer
    assert set(page.charts) == {"errors", "curve", "group_curves", "recall", "flows", "reliability"}
    for name, one in found["groups"].items():
        was = found["unadjusted"]["groups"][name]["value"]
        told = f"{name} {percent(was)} % unadjusted, {percent(one['value'])} % adjusted"
        assert any(told in alt for alt in page.alts), told
    assert shlex.join(["lacal", *map(str, given)]) in page.text
    tuned = json.loads((folder / "calibration.json").read_text())["tuned_on"]
    assert tuned["digest"] in page.text


def test_evaluate_without_an_adjustment_shows_the_model_as_it_is(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    given = ("evaluate", folder / "test.npz", "--counts", folder / "counts.csv")
    found = json_of(capfd, *given)
    page = page_of(capfd, folder, *given)
    assert page.answer.startswith(
        f"The balanced error is {percent(found['balanced_error']['value'])} %"
    )
    groups = {name: one["value"] for name, one in found["groups"].items()}
    worst = max(groups, key=lambda name: groups[name])
    assert f"highest in {worst}, {percent(groups[worst])} %" in page.answer
    assert set(page.charts) == {"errors", "recall", "reliability"}
    assert "unadjusted" not in page.text


def test_the_rows_fingerprint_is_the_one_they_are_tuned_by(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tuned = json.loads((folder / "calibration.json").read_text())["tuned_on"]["digest"]
    page = page_of(capfd, folder, "evaluate", folder / "val.npz", "--counts", folder / "counts.csv")
    assert tuned in page.text


def test_evaluate_of_the_tuned_rows_says_that_tau_is_flattered(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    page = page_of(
        capfd, folder, "evaluate", folder / "val.npz", "--calibration", folder / "calibration.json",
        "--allow-tuned-rows",
    )  # fmt: skip
    assert "flatters" in page.text


def test_a_target_prior_has_its_own_row(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    given = (
        "evaluate",
        folder / "test.npz",
        "--counts",
        folder / "counts.csv",
        "--target-prior",
        "train",
    )
    found = json_of(capfd, *given)
    page = page_of(capfd, folder, *given)
    value = found["measures"]["target_error"]["value"]
    assert any(f"in target shares {percent(value)} %" in alt for alt in page.alts)


def test_predictions_without_probabilities_have_no_reliability(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    split = world()
    rows = "".join(f"{y},{p}\n" for y, p in zip(split.labels, split.logits.argmax(1), strict=True))
    (tmp_path / "predictions.csv").write_text("label,prediction\n" + rows)
    page = page_of(capfd, tmp_path, "evaluate", tmp_path / "predictions.csv")
    assert set(page.charts) == {"errors", "recall"}
    assert "n/a" not in page.answer


def test_weighted_rows_have_no_slider(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    split = world(seed=1)
    weights = np.linspace(0.5, 2, split.labels.size)
    np.savez(folder / "weighted.npz", logits=split.logits, labels=split.labels, weight=weights)
    page = page_of(
        capfd, folder, "evaluate", folder / "weighted.npz", "--calibration", folder / "calibration.json",
        "--weight-key", "weight",
    )  # fmt: skip
    assert "curve" not in page.charts
    assert "weighted" in page.text


def test_absent_classes_are_said_and_never_zero(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    split = world(seed=1)
    kept = split.labels < 4
    np.savez(folder / "some.npz", logits=split.logits[kept], labels=split.labels[kept])
    given = ("evaluate", folder / "some.npz", "--counts", folder / "counts.csv")
    page = page_of(capfd, folder, *given)
    assert json_of(capfd, *given)["groups"]["few"]["value"] is None
    assert any("few undefined" in alt for alt in page.alts)


def test_names_from_files_are_escaped_on_the_page_and_in_the_plots(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    split = world(rows=100)
    np.savez(tmp_path / "val.npz", logits=split.logits, labels=split.labels)
    rows = [{"class": name, "count": count} for name, count in zip(HOSTILE, COUNTS, strict=True)]
    (tmp_path / "counts.json").write_text(json.dumps({one["class"]: one["count"] for one in rows}))
    page = page_of(
        capfd, tmp_path, "evaluate", tmp_path / "val.npz", "--counts", tmp_path / "counts.json", "--plots",
        tmp_path / "plots",
    )  # fmt: skip
    assert "<script>alert" not in page.markup
    assert "\x1b" not in page.markup
    assert "\u202e" not in page.markup
    assert "&lt;script&gt;alert(1)" in page.markup
    names = {path.name for path in (tmp_path / "plots").iterdir()}
    assert names == {f"{one}.{kind}" for one in page.charts for kind in ("svg", "png")}
    drawn = (tmp_path / "plots" / "recall.svg").read_text("utf-8")
    assert "<script" not in drawn
    assert "$x^2$" in drawn


def test_the_curve_needs_a_method_that_leaves_tau_zero_alone(folder: Path) -> None:
    from lacal import calibration_file, pipeline
    from lacal.pipeline.keeping import Keep
    from lacal.rows.logits_source import SourceOptions, open_source

    source = open_source(folder / "test.npz", SourceOptions())
    loaded = calibration_file.read(folder / "calibration.json")
    groups = loaded.prior.groups()
    found = pipeline.evaluate(source, loaded, keep=Keep(path=True, groups=groups))
    curve = curve_of(found, groups)
    assert curve is not None
    assert curve.chosen.tau == loaded.tau
    assert curve.chosen.error == pytest.approx(found.tally.balanced().value)
    assert found.unadjusted is not None
    plain = 1 - float(curve.path.row_weights() @ curve.before)
    assert plain == pytest.approx(found.unadjusted.balanced().value)
    assert curve_of(found, None) is None
    given = ("tune-tau", folder / "val.npz", "--counts", folder / "counts.csv", "--method", "weight-norm",
             "--head", folder / "head.npz", "--bias", "drop", "-o", folder / "norm.json")  # fmt: skip
    assert lacal(*given) == 0
    dropped = calibration_file.read(folder / "norm.json")
    found = pipeline.evaluate(source, dropped, keep=Keep(path=True, groups=groups))
    assert found.path is not None
    assert curve_of(found, groups) is None


# adjust


def test_adjust_shows_what_evaluate_shows_and_what_the_temperature_does(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    given = ("adjust", folder / "test.npz", "--calibration", folder / "calibration.json", "-o",
             folder / "predictions.parquet", "--fit-temperature", folder / "val.npz", "--force")  # fmt: skip
    found = json_of(capfd, *given)
    page = page_of(capfd, folder, *given)
    assert f"{percent(found['adjusted']['balanced_error']['value'])} %" in page.answer
    assert {"errors", "recall", "reliability", "temperature"} <= set(page.charts)
    value = found["temperature"]["value"]
    assert f"T = {value:.4g}: calibration error" in " ".join(page.alts)
    left = found["temperature"]["source_after"]["calibration"]["plain"]
    assert any(f"calibration error {percent(left)} %" in alt for alt in page.alts)


def test_adjust_of_rows_without_labels_says_that_no_error_is_known(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    np.savez(folder / "bare.npz", logits=world(seed=1).logits)
    given = ("adjust", folder / "bare.npz", "--calibration", folder / "calibration.json", "-o",
             folder / "bare.parquet", "--force")  # fmt: skip
    found = json_of(capfd, *given)
    page = page_of(capfd, folder, *given)
    assert f"changes {found['changed']} of {found['rows']} predictions" in page.answer
    assert "no row carries a label" in page.answer
    assert page.charts == ["flows"]
    assert "mended" not in page.text


# compare


def test_methods_are_shown_with_the_numbers_of_the_table(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    given = ("compare", folder / "val.npz", folder / "test.npz", "--counts", folder / "counts.csv")
    found = json_of(capfd, *given)
    page = page_of(capfd, folder, *given)
    assert found["best"].lower() in page.answer.lower()
    assert {"methods", "method_groups", "recall"} <= set(page.charts)
    told = next(alt for alt in page.alts if alt.startswith("Balanced errors: "))
    for row in found["methods"]:
        assert f"{row['name']} {percent(row['balanced_error']['value'])} %" in told
    for split in ("val", "test"):
        assert found[split]["digest"] in page.text


def test_two_runs_are_shown_under_the_names_of_their_sides(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for tau, name in ((0, "a"), (1, "b")):
        given = ("adjust", folder / "test.npz", "--counts", folder / "counts.csv", "--tau", tau, "-o",
                 folder / f"{name}.parquet")  # fmt: skip
        assert lacal(*given) == 0
    runs = (
        "compare",
        folder / "a.parquet",
        folder / "b.parquet",
        "--counts",
        folder / "counts.csv",
    )
    found = json_of(capfd, *runs)
    page = page_of(capfd, folder, *runs)
    assert set(page.charts) == {"errors", "class_changes"}
    first, second = (
        found[f"{one}_errors"]["balanced_error"]["value"] for one in ("first", "second")
    )
    assert f"{percent(first)} % → {percent(second)} %" in page.answer
    told = f"{percent(first)} % a.parquet, {percent(second)} % b.parquet"
    assert any(told in alt for alt in page.alts)
    assert any("The error falls in " in alt for alt in page.alts)
    for text in ("a.parquet", "b.parquet"):
        assert text in page.answer
    assert f"{found['mcnemar']['mended']} mended" in page.text
    assert "unadjusted" not in page.text


def test_a_run_beside_itself_has_no_classes_that_changed(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    given = ("adjust", folder / "test.npz", "--counts", folder / "counts.csv", "--tau", 1, "-o",
             folder / "a.parquet")  # fmt: skip
    assert lacal(*given) == 0
    page = page_of(capfd, folder, "compare", folder / "a.parquet", folder / "a.parquet")
    assert page.charts == ["errors"]
    assert "same" in page.answer


# train


def training_files(folder: Path) -> Path:
    generator = np.random.default_rng(0)
    for name, counts in (("train", (60, 24, 12)), ("val", (9, 9, 9)), ("test", (12, 12, 12))):
        labels = np.repeat(np.arange(3), counts)
        inputs = generator.normal(size=(labels.size, 4)).astype(np.float32)
        inputs[np.arange(labels.size), labels] += 1.5
        np.savez(folder / f"{name}.npz", inputs=inputs, labels=labels)
    return folder


def trained(
    capfd: pytest.CaptureFixture[str], folder: Path, *more: object
) -> tuple[dict[str, Any], Said]:
    training_files(folder)
    given = ("train", folder / "train.npz", "--val", folder / "val.npz", "--network", "linear", "-o",
             folder / "run", "--epochs", 3, *more)  # fmt: skip
    found = json_of(capfd, *given, "--report", folder / "report.html")
    return found, Said(folder / "report.html")


def test_train_shows_the_test_errors_the_course_of_training_and_the_curve(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch", exc_type=ImportError)
    found, page = trained(capfd, tmp_path, "--test", tmp_path / "test.npz")
    test = found["test"]
    for value in (test["unadjusted"], test["adjusted"]):
        assert f"{percent(value['balanced_error']['value'])} %" in page.answer
    assert {"errors", "errors_validation", "epochs", "curve", "recall", "reliability"} <= set(
        page.charts
    )
    assert f"in the kept epoch {found['kept_epoch'] + 1}." in " ".join(page.alts)
    assert "sha256" in page.text
    for command in found["next"]:
        assert command in page.text


def test_logits_that_carry_the_correction_are_shown_as_they_are(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch", exc_type=ImportError)
    found, page = trained(capfd, tmp_path, "--loss", "logit-adjusted")
    assert found["carries"] == "prior"
    error = found["validation"]["unadjusted"]["balanced_error"]["value"]
    assert f"{percent(error)} %" in page.answer
    assert "carry the whole correction already" in page.answer
    assert "curve" not in page.charts
    assert "adjusted, %" not in page.text
    assert NAMES[0] not in page.text


def test_a_corrected_run_shows_the_confidence_of_its_test_rows(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch", exc_type=ImportError)
    _, page = trained(capfd, tmp_path, "--loss", "logit-adjusted", "--test", tmp_path / "test.npz")
    assert {"errors", "errors_validation", "reliability"} <= set(page.charts)
    assert "curve" not in page.charts
    # Logits that lacal trained name no model file of their own.
    stored = page_of(
        capfd, tmp_path, "evaluate", tmp_path / "run" / "test_logits.parquet", "--force"
    )
    assert "sha256" not in stored.text


def test_a_run_of_one_epoch_without_test_rows_has_no_course_and_a_cross_fitted_gain(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch", exc_type=ImportError)
    _, page = trained(capfd, tmp_path, "--epochs", 1)
    assert "a cross-fitted gain of" in page.answer
    assert "epochs" not in page.charts
    given = ("train", tmp_path / "train.npz", "--val", tmp_path / "val.npz", "--network", "linear")
    corrected = ("--loss", "logit-adjusted", "--epochs", 1, "-o", tmp_path / "corrected")
    assert lacal(*given, *corrected) == 0
    assert "validation: balanced error" in capfd.readouterr().out
