"""`lacal train`: what a run leaves and prints, what is refused, and what a broken run keeps."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lacal.cli import train as train_command
from tests.small_world import json_of, lacal, refusal

torch = pytest.importorskip("torch")

COUNTS = (40, 20, 8)
ROOT = Path(__file__).parent.parent


def split(counts: tuple[int, ...], seed: int) -> dict[str, Any]:
    """Feature rows of classes that lie apart."""
    random = np.random.default_rng(seed)
    labels = random.permutation(np.repeat(np.arange(len(counts)), counts))
    x = random.normal(size=(labels.size, 4)) + 2 * np.eye(4)[labels]
    return {"x": x.astype(np.float32), "labels": labels}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with train.npz, val.npz and test.npz."""
    monkeypatch.chdir(tmp_path)
    np.savez("train.npz", **split(COUNTS, 0))
    np.savez("val.npz", **split((10, 10, 10), 1))
    np.savez("test.npz", **split((10, 10, 10), 2))
    return tmp_path


SPLITS = ("train.npz", "--val", "val.npz", "--test", "test.npz")
QUICK = ("--network", "linear", "--epochs", "3", "--device", "cpu", "--threads", "1")
TRAIN = ("train", *SPLITS, *QUICK)


# A run


def test_a_run_ends_in_what_the_rest_of_lacal_reads(
    data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    found = json_of(capfd, *TRAIN, "-o", "run")
    assert found["command"] == "train"
    assert found["class_counts"] == list(COUNTS)
    assert (found["epochs"], found["resumed_epochs"]) == (3, 0)
    assert found["carries"] == "nothing"
    for name in (
        "config.json",
        "counts.csv",
        "metrics.jsonl",
        "best.safetensors",
        "last.safetensors",
    ):
        assert (data / "run" / name).is_file()
    assert json.loads((data / "run" / "summary.json").read_text()) == found
    assert set(found["files"]) >= {"val_logits", "test_logits", "pt2"}
    for line in found["next"]:
        words = line.split()
        assert words[0] == "lacal"
        told = json_of(capfd, *words[1:])
        if words[1] == "evaluate":
            for which, kept in (("balanced_error", found["test"]["adjusted"]),
                                ("unadjusted", found["test"]["unadjusted"])):  # fmt: skip
                seen = told[which] if which == "balanced_error" else told[which]["balanced_error"]
                assert seen == kept["balanced_error"]
        if words[1] == "tune-tau":
            assert told["tau"] == found["validation"]["tau"]
            assert told["gain_interval"] == found["validation"]["gain_interval"]
    assert [line.split()[1] for line in found["next"]] == ["tune-tau", "evaluate", "export"]


def test_a_corrected_run_says_not_to_correct_it_again(
    data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert lacal(*TRAIN, "-o", "run", "--loss", "logit-adjusted") == 0
    out, _ = capfd.readouterr()
    answer, meaning = out.splitlines()[:2]
    assert answer.startswith("test: balanced error ")
    assert "tau" not in answer
    assert (
        "its logits carry the whole correction for the training counts; predict with them"
        in meaning
    )
    found = json.loads(Path("run/summary.json").read_text())
    assert found["carries"] == "prior"
    assert [line.split()[1] for line in found["next"]] == ["evaluate", "adjust"]
    assert (
        json_of(capfd, *found["next"][0].split()[1:])["balanced_error"]
        == (found["test"]["unadjusted"]["balanced_error"])
    )
    assert lacal(*found["next"][1].split()[1:]) == 0  # the raw predictions
    line = ("tune-tau", "run/val_logits.parquet", "--counts", "run/counts.csv")
    assert "over-corrects" in refusal(capfd, *line)


def test_stdout_carries_the_result_alone(data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    beside = ("--augment", "", "--warmup", "1", "--schedule", "cosine")
    line = (*TRAIN, "-o", "run", "--recipe", "menon2021-cifar", *beside)
    assert lacal(*line) == 0
    out, err = capfd.readouterr()
    assert out.startswith("test: balanced error ")
    assert "recipe menon2021-cifar" in err
    assert "validation balanced error" in err
    assert "\x1b" not in out + err
    for table in ("test: test.npz", "validation: val.npz", "few (< 20 training)", "micro error"):
        assert table in out


def test_a_validation_split_is_cut_where_none_is_given(
    data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    found = json_of(capfd, "train", "train.npz", *QUICK, "-o", "run", "--val-fraction", "0.25")
    assert found["test"] is None
    assert found["class_counts"] == [30, 15, 6]
    assert sum(one["n"] for one in found["validation"]["unadjusted"]["classes"]) == 17
    assert [line.split()[1] for line in found["next"]] == ["tune-tau", "export"]
    assert lacal("train", "train.npz", *QUICK, "-o", "text") == 0
    out = capfd.readouterr().out
    assert out.startswith("validation: balanced error ")
    assert re.search(r"cross-fitted gain \S+ points \(standard error \d+\.\d\): of taus", out)


def test_a_second_stage_starts_from_a_finished_run(
    data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    json_of(capfd, *TRAIN, "-o", "run")
    line = ("train", *SPLITS, "--start", "run", "--second-stage", "crt", "-o", "second")
    found = json_of(capfd, *line, "--stage-option", "epochs=2", "--stage-option", "batch_size=8")
    assert (found["record"]["second_stage"], found["carries"]) == ("crt", "prior")
    assert lacal(*line, "--force") == 0
    assert "second stage 'crt'" in capfd.readouterr().out


def test_paths_in_the_next_commands_are_quoted(
    data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    found = json_of(capfd, *TRAIN, "-o", "my run")
    assert found["next"][0].startswith("lacal tune-tau 'my run/val_logits.parquet'")


# What is refused


def spoiled(name: str, **changes: Any) -> None:
    with np.load(name) as whole:
        fields = {**whole, **changes}
    np.savez(name, **fields)


def infinite(data: Path) -> tuple[str, ...]:
    with np.load("train.npz") as whole:
        x = whole["x"].copy()
    x[5, 2] = np.inf
    spoiled("train.npz", x=x)
    return ()


def no_example(data: Path) -> tuple[str, ...]:
    (data / "counts.csv").write_text("class,count\n0,40\n1,20\n2,8\n3,0\n")
    return ("--counts", "counts.csv")


def other_counts(data: Path) -> tuple[str, ...]:
    (data / "counts.csv").write_text("class,count\n0,40\n1,21\n2,8\n")
    return ("--counts", "counts.csv")


def out_of_range(data: Path) -> tuple[str, ...]:
    spoiled("val.npz", labels=np.repeat([0, 1, 7], 10))
    return ()


def folder_in_use(data: Path) -> tuple[str, ...]:
    (data / "run").mkdir()
    (data / "run" / "thesis.tex").write_text("years of work")
    return ()


@pytest.mark.parametrize(
    ("spoil", "fragments"),
    [
        (infinite, ("train.npz", "row 5")),
        (no_example, ("class",)),
        (other_counts, ("counts.csv", "21")),
        (out_of_range, ("val.npz", "7")),
        (folder_in_use, ("run: holds files that are of no run", "thesis.tex")),
        (lambda data: ("--long-tail", "exq:10"), ("--long-tail", "exp:")),
        (lambda data: ("--augment", "flip"), ("--augment: is for images",)),
        (lambda data: ("--network", "small-cnn"), ("--network",)),
        (lambda data: ("--loss", "logit-adjusted", "--sampler", "class-balanced"), ("sampler",)),
    ],
)
def test_bad_input(
    data: Path, capfd: pytest.CaptureFixture[str], spoil: Any, fragments: tuple[str, ...]
) -> None:
    more = spoil(data)
    told = refusal(capfd, *TRAIN, "-o", "run", *more)
    assert all(fragment in told for fragment in fragments), told
    assert not list(data.glob("run/*.parquet"))


def test_a_loss_that_is_no_number_names_the_step_and_the_cause(
    data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    line = (*TRAIN, "--epochs", "50", "--batch-size", "8", "-o", "run", "--lr", "1e20")
    told = refusal(capfd, *line, code=3)
    assert re.search(r"epoch \d+, step \d+: the loss is not finite", told), told
    assert re.search(
        r"learning rate of [\d.e+]+ that is too high is the likely cause; try --lr", told
    )


def test_a_run_that_is_there_is_kept(data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    json_of(capfd, *TRAIN, "-o", "run")
    told = refusal(capfd, *TRAIN, "-o", "run")
    assert "holds a finished run; name another folder, or replace it with --force" in told
    json_of(capfd, *TRAIN, "-o", "run", "--force", "--seed", "1")
    told = refusal(capfd, *TRAIN, "-o", "run", "--resume")
    assert "seed was 1, is 0" in told


# A broken run

LONG = (*QUICK, "--epochs", "9000", "--schedule", "constant")


def epochs_in(run: Path) -> int:
    metrics = run / "metrics.jsonl"
    return metrics.read_bytes().count(b"\n") if metrics.exists() else 0


def stopped(folder: Path, number: int, epochs: int, *line: str) -> int:
    """Stop a run after so many epochs; how many it says are kept."""
    process = subprocess.Popen(
        [sys.executable, "-m", "lacal", "train", *SPLITS, *LONG, "-o", "run", *line],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 60
    try:
        while epochs_in(folder / "run") < epochs and process.poll() is None:
            assert time.monotonic() < until
            time.sleep(0.02)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, out) == (128 + number, ""), err
    told = next(line for line in err.splitlines() if "finished epochs are kept" in line)
    assert told.endswith("go on with --resume")
    return int(told.split()[0].replace(",", ""))


def test_a_stopped_run_says_what_is_kept_and_goes_on(data: Path) -> None:
    kept = stopped(data, signal.SIGINT, 3)
    assert kept >= 3
    more = stopped(data, signal.SIGTERM, kept + 3, "--resume")
    assert more >= kept + 3
    lines = (data / "run" / "metrics.jsonl").read_text().splitlines()[:more]
    # The last one's line may be missing: its checkpoint is written first, and --resume writes the lines anew.
    assert len(lines) >= more - 1
    assert [json.loads(line)["epoch"] for line in lines] == list(range(len(lines)))


@pytest.mark.parametrize(
    ("model", "process", "blamed"),
    [
        (None, "training: its process", "torch, a driver or a library may be at fault"),
        (
            "net.py:make",
            "training with --model net.py:make: its process",
            "code of --model net.py:make, or a library that it calls, may be at fault",
        ),
    ],
)
def test_a_crash_is_blamed_on_what_ran(model: str | None, process: str, blamed: str) -> None:
    assert train_command._words({"model": model}, "data.npz") == (process, "training", blamed)
