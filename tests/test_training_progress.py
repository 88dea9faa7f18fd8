"""How a training run is followed on stderr."""

import io
import re

import pytest

from lacal.cli.training_progress import TrainingProgress
from lacal.training.progress import Epoch


def epoch(number: int) -> Epoch:
    return Epoch(number, 0.05, 0.5 / (number + 1), 0.6, 0.25, 0.2, 1.0, None)


def follow(epochs: int, steps: int = 4, done: int = 0) -> None:
    with TrainingProgress() as progress:
        progress.started(epochs * steps, done * steps)
        for number in range(done, epochs):
            for _ in range(steps):
                progress.step(0.5)
            progress.epoch(epoch(number))


def test_off_a_terminal_there_are_about_ten_lines(capfd: pytest.CaptureFixture[str]) -> None:
    follow(200)
    out, err = capfd.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert 10 <= len(lines) <= 12
    assert re.fullmatch(
        r"epoch 1: loss 0.5, validation balanced error 25.0 %, rate 0.05; \d+ s to go", lines[0]
    )
    assert lines[-1].startswith("epoch 200: ")
    assert lines[-1].endswith("; done")
    follow(3)
    assert len(capfd.readouterr().err.splitlines()) == 3
    follow(100, done=95)
    assert capfd.readouterr().err.splitlines()[-1].startswith("epoch 100: ")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_narrow_bar_is_brief_and_follows_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setattr("lacal.cli.training_progress.REFRESH", 0.0)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    with TrainingProgress() as progress:
        progress.started(8, 0)
        progress.step(0.25)
        progress._bar.refresh()
        assert "loss 0.25" in screen.getvalue()
        progress.epoch(epoch(0))
        progress._bar.refresh()
    assert "epoch 1: loss 0.5, val 25.0 %, rate 0.05" in screen.getvalue()
    assert "balanced" not in screen.getvalue()


def test_on_a_terminal_there_is_a_bar_that_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    progress = TrainingProgress()

    def broken() -> None:
        with progress:
            progress.started(8, 0)
            progress.step(None)
            progress.step(0.25)
            progress.epoch(epoch(0))
            progress._bar.refresh()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken()
    shown = screen.getvalue()
    assert "epoch 1: loss 0.5, validation balanced error 25.0 %, rate 0.05" in shown
    assert "\x1b[?25h" in shown  # the cursor is back
    assert progress._bar is None
