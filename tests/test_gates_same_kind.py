"""A baseline of the same model and rows under other options: refused where its numbers are others, else no change."""

from pathlib import Path

import pytest

from tests.small_world import lacal, refusal, write_world

ADJUSTED = ("test.npz", "--calibration", "c.json")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(write_world(tmp_path))
    assert (
        lacal("tune-tau", "val.npz", "--counts", "counts.csv", "--draws", 10, "-o", "c.json") == 0
    )
    return tmp_path


@pytest.mark.parametrize(
    ("there", "here_", "limit", "fragment"),
    [
        (("--target-prior", "train"), (), "log_loss=0", "was a target prior there and is equal class shares here"),
        ((), ("--target-prior", "train"), "few.calibration=0", "was equal class shares there and is a target prior here"),
        (("--fit-temperature", "val.npz"), (), "brier=0", "was fitted there and is 1 here"),
        ((), ("--groups", "60,30"), "few.error=0", "'few' was '< 20' there and is '< 30' here"),
        ((), ("--groups", "same.csv"), "few.error=0", ""),
        ((), ("--target-prior", "uniform"), "log_loss=0", ""),
        (("--target-prior", "train"), (), "few.error=0", ""),
    ],
)  # fmt: skip
def test_the_same_model_under_other_options_is_no_worse_and_no_better(
    folder: Path,
    capfd: pytest.CaptureFixture[str],
    there: tuple[str, ...],
    here_: tuple[str, ...],
    limit: str,
    fragment: str,
) -> None:
    (folder / "same.csv").write_text(
        "class,group\ncat,many\ndog,many\nemu,medium\nfox,medium\ngnu,few\n"
    )
    assert lacal("evaluate", *ADJUSTED, *there, "--report", "m.json") == 0
    line = ("evaluate", *ADJUSTED, *here_, "--baseline", "m.json", "--max-increase", limit)
    if fragment:
        assert fragment in refusal(capfd, *line)
    else:
        assert lacal(*line) == 0
        assert "did not change" in capfd.readouterr().out
