"""What a pass keeps beside its sums agrees with them: the path at its tau, the moves, the decisions."""

from pathlib import Path

import numpy as np
import pytest

from lacal import calibration_file
from lacal.calibration import Calibration, calibration_of
from lacal.classes.groups import GroupRule
from lacal.classes.prior import LabelPrior
from lacal.formats import open_table
from lacal.methods import ClassStatistics
from lacal.pipeline import evaluate, evaluate_predictions
from lacal.pipeline.keeping import Keep
from lacal.rows.logits_source import SourceOptions, open_source
from lacal.rows.predicted_scores import open_predictions
from tests.small_world import COUNTS, NAMES, lacal, world

TEST = world(seed=1)
PRIOR = LabelPrior(np.array(COUNTS), NAMES)
GROUPS = PRIOR.groups(GroupRule())


def of_norms(bias_rule: str) -> Calibration:
    statistics = ClassStatistics(PRIOR.log_prior, np.arange(1.0, 6), np.ones(5), bias_rule)
    return calibration_of("weight-norm", 0.5, PRIOR, statistics, select="given", scores="logits", tuned_on=None)  # fmt: skip


def test_the_path_passes_through_both_errors(folder: Path, calibration: Path) -> None:
    loaded = calibration_file.read(calibration)
    found = evaluate(
        open_source(folder / "test.npz", SourceOptions()), loaded, keep=Keep(path=True)
    )
    assert found.path is not None
    assert found.unadjusted is not None
    at = found.path.balanced_error(np.array([0.0, loaded.tau]))
    ends = [found.unadjusted.balanced().value, found.tally.balanced().value]
    assert at.tolist() == pytest.approx(ends, abs=1e-12)


@pytest.mark.parametrize(("rule", "exact"), [("drop", True), ("scale", True), ("keep", False)])
def test_a_method_without_an_exact_path_has_none(folder: Path, rule: str, exact: bool) -> None:
    rows = open_source(folder / "test.npz", SourceOptions())
    assert (evaluate(rows, of_norms(rule), keep=Keep(path=True)).path is not None) == exact
    assert evaluate(rows, of_norms(rule)).path is None
    assert evaluate(rows, None, keep=Keep(path=True)).path is None


def test_moves_are_the_changed_rows_and_mended_ones_the_paired(
    folder: Path, calibration: Path
) -> None:
    loaded = calibration_file.read(calibration)
    rows = open_source(folder / "test.npz", SourceOptions())
    found = evaluate(rows, loaded, keep=Keep(groups=GROUPS))
    before, after = TEST.logits.argmax(axis=1), loaded.adjustment.predict(TEST.logits)
    assert found.flows is not None
    assert found.paired is not None
    assert found.flows.moved.sum() == np.count_nonzero(before != after)
    assert found.flows.mended.sum() == found.paired.mended.sum()
    assert found.flows.broken.sum() == found.paired.broken.sum()
    assert evaluate(rows, None, keep=Keep(groups=GROUPS)).flows is None


def test_decisions_are_kept_where_they_are_asked_for(
    folder: Path, calibration: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    loaded = calibration_file.read(calibration)
    rows = open_source(folder / "test.npz", SourceOptions())
    kept = evaluate(rows, loaded, keep=Keep(decisions=True)).decisions
    assert kept is not None
    assert kept.ids is not None
    assert kept.ids.tolist() == [f"test-{i}" for i in range(60)]
    assert kept.labels.tolist() == TEST.labels.tolist()
    assert kept.predictions.tolist() == loaded.adjustment.predict(TEST.logits).tolist()
    assert evaluate(rows, loaded).decisions is None

    path = folder / "p.parquet"
    assert lacal("adjust", folder / "test.npz", "--calibration", calibration, "-o", path) == 0
    file = open_predictions(open_table(path), PRIOR)
    of_file = evaluate_predictions(file, keep=Keep(decisions=True, groups=GROUPS))
    assert of_file.decisions is not None
    assert of_file.decisions.predictions.tolist() == kept.predictions.tolist()
    assert of_file.flows is not None
    assert of_file.flows.moved.sum() == np.count_nonzero(
        TEST.logits.argmax(axis=1) != kept.predictions
    )
