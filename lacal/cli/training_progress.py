"""How a training run is followed: a bar on a terminal, a line now and then elsewhere; always on stderr."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

from lacal.cli.show import say

if TYPE_CHECKING:
    from lacal.training.progress import Epoch

LINES = 10  # a run, off a terminal
WIDE = 110  # columns, below which the bar's words are cut short
REFRESH = 0.1  # seconds between two looks at the bar: steps of small networks take less


class TrainingProgress:
    """Loss, validation balanced error, learning rate and remaining time, as the run goes on.

    A context: the bar goes when the block ends, however it ends.
    """

    def __init__(self) -> None:
        """Nothing is shown before the first stage starts."""
        self._bar: Any = None
        self._task: Any = None
        self._steps = self._done = self._first = 0
        self._began = self._looked = 0.0
        self._said = 0
        self._loss = ""
        self._last: Epoch | None = None

    def __enter__(self) -> "TrainingProgress":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def started(self, steps: int, done: int) -> None:
        """A stage of so many steps begins, some of which an earlier run has done."""
        self._close()
        self._steps, self._done, self._first = steps, done, done
        self._began = self._looked = time.monotonic()
        self._said = LINES * done // max(steps, 1)
        self._loss, self._last = "", None
        if sys.stderr is not None and sys.stderr.isatty():
            self._open()

    def step(self, loss: float | None) -> None:
        """A step is done; its loss, where it is known."""
        self._done += 1
        if loss is not None:
            self._loss = f"loss {loss:.3g}"
        now = time.monotonic()
        if self._bar is not None and now - self._looked >= REFRESH:
            self._looked = now
            self._show()

    def epoch(self, one: "Epoch") -> None:
        """An epoch is done; what it came to."""
        self._last, self._loss = one, f"loss {one.train_loss:.3g}"
        if self._bar is not None:
            self._show()
            return
        share = LINES * self._done // max(self._steps, 1)
        if share > self._said or self._said == 0:
            self._said = max(share, 1)
            say(f"{self._told()}; {self._remaining()}")

    def _told(self) -> str:
        if self._last is None:
            return self._loss
        one, error = self._last, "validation balanced error"
        if self._bar is not None and self._bar.console.width < WIDE:
            error = "val"
        return (
            f"epoch {one.epoch + 1}: {self._loss}, {error} {100 * one.val_balanced_error:.1f} %, rate "
            f"{one.lr:.3g}"
        )

    def _remaining(self) -> str:
        taken, left = self._done - self._first, self._steps - self._done
        if left <= 0 or taken <= 0:
            return "done"
        return f"{_clock((time.monotonic() - self._began) / taken * left)} to go"

    def _open(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            TextColumn("training"),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[told]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("", total=self._steps, completed=self._done, told="")
        self._bar.start()

    def _show(self) -> None:
        self._bar.update(self._task, completed=self._done, told=self._told())

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _clock(seconds: float) -> str:
    """Hours and minutes, or minutes and seconds, or seconds.

    Example:
        >>> _clock(4000), _clock(75), _clock(3.2)
        ('1 h 06 min', '1 min 15 s', '3 s')
    """
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // 60} min {whole % 60:02} s" if whole >= 60 else f"{whole} s"
