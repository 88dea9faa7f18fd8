"""--significant: a rise fails only where the rows of both runs, paired, show that it is no chance."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lacal.errors import DataError, UsageError
from lacal.gates.candidate import Candidate
from lacal.gates.gates import Gates, limits_of
from lacal.rows.decisions import Decisions
from tests.gated_runs import GROUPS, NAMES, K, candidate, content, judged, number, rows, write
from tests.small_world import lacal


def test_a_rise_that_may_be_chance_passes_and_a_sure_one_fails(tmp_path: Path) -> None:
    before = rows(0, 0.20)
    right, wrong = (np.flatnonzero((before.predictions == before.labels) == is_right)
                    for is_right in (True, False))  # fmt: skip
    predictions = before.predictions.copy()
    predictions[right[:6]] = (before.labels[right[:6]] + 1) % K
    predictions[wrong[:4]] = before.labels[wrong[:4]]
    slightly = Decisions("q", before.ids, before.labels, predictions, NAMES, K)
    for after, sure in ((slightly, False), (rows(1, 0.4), True)):
        names = ("balanced_error", "micro_error", "many.error", 'class."a \\"b\\".c".error')
        gates = [f"{name}=0.001" for name in names]
        plain, _ = judged(tmp_path, before, candidate(after), *gates)
        paired, warnings = judged(tmp_path, before, candidate(after), *gates, significant=True)
        assert not warnings
        assert [one.passed for one in plain[:2]] == [False, False]
        assert paired[0].passed is not sure
        assert ("so it is sure" in paired[0].reason) is sure
        assert "paired change on 400 rows of both is" in paired[0].reason
        assert all(strict or not loose for strict, loose in zip(
            [one.passed for one in paired], [one.passed for one in plain], strict=True))  # fmt: skip


def test_a_sure_rise_within_the_limit_passes(tmp_path: Path) -> None:
    run = candidate(rows(1, 0.4))
    (verdict,), _ = judged(tmp_path, rows(0, 0.2), run, "balanced_error=0.5", significant=True)
    assert verdict.passed
    assert "within the 50.00 points allowed" in verdict.reason


def test_the_paired_change_is_the_measured_one(tmp_path: Path) -> None:
    before, after = rows(0, 0.1), rows(1, 0.5)
    names = ["balanced_error", "micro_error", "few.error", "class.dog.error"]
    verdicts, _ = judged(
        tmp_path, before, candidate(after), *(f"{one}=0" for one in names), significant=True
    )
    for one in verdicts:
        rose = re.search(r"rose by ([\d.]+) points", one.reason)
        paired = re.search(
            r"of both is ([\d.]+) points, 95 % interval ([\d.]+) to ([\d.]+) points", one.reason
        )
        assert rose is not None
        assert paired is not None
        assert rose[1] == paired[1]
        assert float(paired[2]) < float(paired[1]) < float(paired[3])


def test_rows_are_paired_by_id_and_not_by_place(tmp_path: Path) -> None:
    before = rows(0, 0.3)
    order = np.random.default_rng(5).permutation(400)
    assert before.ids is not None
    shuffled = Decisions(
        "q", before.ids[order], before.labels[order], before.predictions[order], NAMES, K
    )
    run = candidate(shuffled)
    run = Candidate(
        {**run.measures, "micro_error": number("micro_error", 0.9)},
        run.support,
        NAMES,
        GROUPS,
        shuffled,
    )
    (verdict,), _ = judged(tmp_path, before, run, "micro_error=0.01", significant=True)
    assert "of both is 0.00 points, 95 % interval -" in verdict.reason
    assert verdict.passed


def test_rows_of_one_side_are_warned_of(tmp_path: Path) -> None:
    before, after = rows(0, 0.1), rows(1, 0.5)
    assert after.ids is not None
    part = Decisions("q", after.ids[8:], after.labels[8:], after.predictions[8:], NAMES, K)
    (verdict,), warnings = judged(
        tmp_path, before, candidate(part), "balanced_error=0", significant=True
    )
    assert "paired change on 392 rows of both" in verdict.reason
    assert (
        "8 rows of the baseline's predictions are not in this run and 0 of this run not in them"
        in warnings[1]
    )


def test_predictions_of_another_model_than_the_baselines_are_refused(tmp_path: Path) -> None:
    limits, baseline = limits_of(write(tmp_path, content(rows(0, 0.2))), ["balanced_error=0"], ())
    gates = Gates((), limits, baseline, rows(3, 0.25))
    with pytest.raises(DataError, match="give the predictions that the baseline was measured on"):
        gates.judge(candidate(rows(1, 0.5)))


def test_weighted_rows_are_not_paired(tmp_path: Path) -> None:
    before = rows(0, 0.2)
    value = content(before) | {"weighted": True}
    limits, baseline = limits_of(write(tmp_path, value), ["balanced_error=0"], ())
    with pytest.raises(UsageError, match="pairs rows without weights"):
        Gates((), limits, baseline, before).judge(candidate(before, weighted=True))


def test_a_class_that_shares_no_row_is_refused(tmp_path: Path) -> None:
    """A mean over no row would be a change of nothing."""
    before = rows(0, 0.2)
    elsewhere = np.where(before.labels == 1, 10_000, 1000) + np.arange(before.labels.size)
    after = Decisions("q", elsewhere, before.labels, 0 * before.predictions, NAMES, K)
    with pytest.raises(DataError, match=r"shares no row of 'class\.dog\.error' with this run"):
        judged(tmp_path, before, candidate(after), "class.dog.error=0", significant=True)


def test_a_run_whose_rows_were_not_kept_is_refused(tmp_path: Path) -> None:
    run = replace(candidate(rows(0, 0.2)), decisions=None)
    with pytest.raises(UsageError, match="this run's rows were not kept"):
        judged(tmp_path, rows(0, 0.2), run, "balanced_error=0", significant=True)


def test_the_baselines_predictions_are_read_as_the_runs_own(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a row without a label carries, and which columns are no class, hold for both files."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "counts.csv").write_text("class,count\ncat,900\ndog,5\n")
    for name, second in (("old", 2.0), ("new", 3.0)):
        rows = [
            f"{i},{('cat', 'dog', '')[i % 3]},7,1.0,{second if i % 3 else 0.5}" for i in range(30)
        ]
        (tmp_path / f"{name}.csv").write_text("id,label,weight,cat,dog\n" + "\n".join(rows) + "\n")
    line = ("--counts", "counts.csv", "--ignore-label", "", "--skip-key", "weight")
    assert lacal("evaluate", "old.csv", *line, "--report", "old.json") == 0, capfd.readouterr().err
    gates = ("--baseline", "old.json", "--max-increase", "balanced_error=0", "--significant")
    code = lacal("evaluate", "new.csv", *line, *gates, "--baseline-predictions", "old.csv")
    out, err = capfd.readouterr()
    assert code == 0, err
    assert "1 gate passed" in out
