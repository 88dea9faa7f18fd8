"""How a run ends that met what no code expects: one sentence and a code, or with --debug the trace."""

import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import click
import pytest

from lacal.cli import commands
from tests.small_world import lacal, refusal

Raises = Callable[[BaseException | str], None]


@pytest.fixture
def raises(monkeypatch: pytest.MonkeyPatch) -> Raises:
    """Makes every command raise an error; or run code that does."""

    def make(error: BaseException | str) -> None:
        @click.command(context_settings={"ignore_unknown_options": True})
        @click.argument("rest", nargs=-1)
        def command(rest: Any) -> None:
            if isinstance(error, str):
                exec(error, {"__name__": "model"})
            else:
                raise error

        monkeypatch.setattr(commands, "command_named", lambda name: command)

    return make


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (MemoryError(), 3, "out of memory; close other programs"),
        (ImportError("libfoo.so: failed to map"), 3, "could not be loaded (libfoo.so: failed"),
        (OSError(5, "Input/output error", "x.npy"), 3, "x.npy: Input/output error; the run could"),
        (OSError(5, "Input/output error"), 3, "Error: Input/output error; the run could not go on"),
        (OSError("odd"), 3, "Error: odd; the run could not go on"),
        (OSError(36, "File name too long", "aaa"), 2, "aaa: File name too long; name another"),
        (RuntimeError("can't start new thread"), 3, "no thread could be started"),
        (RuntimeError("odd"), 3, "a fault of its own (RuntimeError: odd, test_ends.py line "),
        ("import sys; sys.exit(7)", 3, "code that it ran called exit (7)"),
    ],
)
def test_one_sentence(
    raises: Raises, capfd: pytest.CaptureFixture[str], error: Any, code: int, said: str
) -> None:
    raises(error)
    assert said in refusal(capfd, "inspect", "x", code=code)


@pytest.mark.parametrize("error", [KeyError("odd"), OSError(5, "odd"), ImportError("odd")])
def test_debug_lets_errors_through(raises: Raises, error: Exception) -> None:
    from lacal.cli.main import run

    raises(error)
    with pytest.raises(type(error)):
        run(["inspect", "x"], debug=True)


DEBUGGED = """
import sys
from lacal.cli import commands, main
def fails(name): raise KeyError("odd")
commands.command_named = fails
main.main(["--debug", "inspect"])
"""


def test_debug_shows_the_trace_of_a_fault() -> None:
    done = subprocess.run(
        [sys.executable, "-c", DEBUGGED], capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert "Traceback" in done.stderr
    assert done.stderr.endswith("KeyError: 'odd'\n")


def test_what_is_no_error_goes_through(raises: Raises) -> None:
    class Asked(BaseException):
        pass

    raises(Asked())
    with pytest.raises(Asked):
        lacal("inspect", "x")


def test_a_thread_of_another_program_may_run_it(folder: Any) -> None:
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(lacal("inspect", folder / "val.npz")))
    thread.start()
    thread.join()
    assert codes == [0]


def test_a_signal_that_a_library_takes_for_its_own_error(
    raises: Raises, capfd: pytest.CaptureFixture[str]
) -> None:
    raises(
        "import os, signal\n"
        "try:\n    os.kill(os.getpid(), signal.SIGTERM)\n    import time; time.sleep(5)\n"
        "except BaseException as error:\n    raise ImportError('initialization failed')"
    )
    assert lacal("inspect", "x") == 143
    assert capfd.readouterr().err == "Stopped by SIGTERM; outputs are whole or absent.\n"
