"""Command lines run in this process, with both streams caught at their descriptors: native code's words too."""

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from lacal.cli import supervised
from lacal.cli.main import run


@dataclass(frozen=True, slots=True)
class Said:
    """How a command line ended.

    Attributes:
        code: Its exit code; -1 where an exception came out.
        out: What it wrote to stdout.
        err: To stderr.
        raised: The exception.
    """

    code: int
    out: str
    err: str
    raised: BaseException | None = None


class Captured:
    """Two files in memory that streams 1 and 2 go to while a command runs."""

    def __init__(self) -> None:
        """Make them."""
        self._files = [os.memfd_create(name) for name in ("stdout", "stderr")]

    def close(self) -> None:
        """Give the memory back."""
        for file in self._files:
            os.close(file)

    def run(self, arguments: list[str], *, in_child: bool = False) -> Said:
        """Run a command line; `in_child` lets lacal fork for a model, as it does for a user."""
        raised, code = None, -1
        with self._listening():
            try:
                code = run(arguments, supervise=in_child)
            except BaseException as error:
                raised = error
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            if supervised.in_child():
                supervised.say_ended()
                os._exit(code)
        return Said(code, self._read(0), self._read(1), raised)

    @contextlib.contextmanager
    def _listening(self) -> Iterator[None]:
        kept, streams = [os.dup(1), os.dup(2)], (sys.stdout, sys.stderr)
        for number, file in enumerate(self._files, 1):
            os.ftruncate(file, 0)
            os.lseek(file, 0, os.SEEK_SET)
            os.dup2(file, number)
        # A test's own streams do not go through the descriptors.
        sys.stdout, sys.stderr = (
            os.fdopen(number, "w", encoding="utf-8", errors="replace", closefd=False) for number in (1, 2)
        )  # fmt: skip
        try:
            yield
        finally:
            sys.stdout, sys.stderr = streams
            for number, one in enumerate(kept, 1):
                os.dup2(one, number)
                os.close(one)

    def _read(self, number: int) -> str:
        size = os.lseek(self._files[number], 0, os.SEEK_END)
        return os.pread(self._files[number], size, 0).decode(errors="backslashreplace")
