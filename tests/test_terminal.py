"""What a terminal gets: bars while a run goes on, and no escape that a path may hold."""

import io
import shutil
from pathlib import Path

import numpy as np
import pytest

from lacal.cli.show import WithProgress
from tests.infer_source import sample
from tests.small_world import lacal, refusal

RED = "\x1b[31mred\u202e.npz"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """In place of stderr from now on; pytest would put its own there after a fixture."""
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    return screen


def test_a_bar_counts_rows(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch)
    line = ("evaluate", folder / "test.npz", "--counts", folder / "counts.csv")
    assert lacal(*line) == 0
    assert "reading" in screen.getvalue()
    assert "60 rows" in screen.getvalue()


def test_a_bar_follows_a_model(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from tests.models.onnx_small import model

    onnx.save(model(), folder / "model.onnx")
    inputs = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    np.save(folder / "x.npy", inputs)
    screen = terminal(monkeypatch)
    assert lacal("infer", folder / "model.onnx", folder / "x.npy", "-o", folder / "out.npz") == 0
    assert "running" in screen.getvalue()
    assert "30 rows" in screen.getvalue()


def test_a_bar_hands_the_batch_size_on() -> None:
    source = sample()
    bar = WithProgress(source)
    bar.batch_size = 3  # as a broken run had it
    assert (source.batch_size, bar.batch_size) == (3, 3)


def test_names_of_files_are_escaped_in_errors(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for one in (RED, f"{RED}/none", f"{RED}\nnone"):
        said = refusal(capfd, "inspect", folder / one)
        assert "\\x1b[31mred\\u202e.npz" in said
        assert said.isprintable()
    assert lacal("inspect", folder / "val.npz", f"--{RED}") == 2  # refused by click
    said = capfd.readouterr().err
    assert "\\x1b[31mred\\u202e.npz" in said
    assert said.replace("\n", "").isprintable()


def test_names_of_files_are_escaped_in_results(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(folder / "val.npz", folder / RED)
    counts = ("--counts", folder / "counts.csv")
    lines = (
        ("inspect", folder / RED),
        ("tune-tau", folder / RED, *counts, "--draws", 10, "-o", folder / f"{RED}.json"),
        ("adjust", folder / RED, *counts, "--tau", 1, "-o", folder / f"{RED}.parquet"),
        ("evaluate", folder / RED, *counts),
        ("compare", folder / RED, folder / "test.npz", *counts, "--draws", 10),
        ("compare", folder / RED, folder / "test.npz"),
    )
    for line in lines:
        lacal(*line)
        for said in capfd.readouterr():
            assert said.replace("\n", "").isprintable(), line
