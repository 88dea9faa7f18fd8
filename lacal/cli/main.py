"""The command line's door: the group of commands, and the one seam that turns errors into exit codes.

Exit codes: 0 done, 1 a gate failed, 2 bad usage or bad input, 3 the run failed, 130 interrupted
(143 by SIGTERM, 129 by SIGHUP). A command is one file that parses, calls one verb of `lacal.pipeline`,
and renders; it is imported when it is named. Nothing here imports NumPy, so `lacal --help` is quick.
"""

import contextlib
import errno
import io
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from lacal import __version__
from lacal.cli.commands import WITHOUT_SETTINGS, Commands
from lacal.cli.config import defaults
from lacal.cli.show import remark, say
from lacal.cli.supervised import ChildStopped, in_child, say_ended
from lacal.errors import Interruption, LacalError

BAD_INPUT = 2
RUN_FAILED = 3

# What the system says of a path that cannot be one; the path is the user's to mend.
BAD_PATH = (errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL, errno.ENOTDIR)


class Stopped(Interruption):
    """A signal asked the process to end."""

    def __init__(self, number: int) -> None:
        """Keep the signal's number: the exit code is 128 + number."""
        super().__init__(number)
        self.number = number


@click.group(
    cls=Commands,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "auto_envvar_prefix": "LACAL",
        "max_content_width": 100,
    },
)
@click.version_option(__version__, message="lacal %(version)s")
@click.option(
    "--config",
    type=click.Path(dir_okay=False),
    help="TOML file of option values: a table per command, such as [tune-tau] select = 'min'. "
    "[tool.lacal] of ./pyproject.toml is read where there is none.",
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def lacal(ctx: click.Context, config: str | None, debug: bool) -> None:
    """Make classifiers trained on long-tailed data fair to their rare classes, after training or while they train.

    \b
    lacal train train.parquet --loss logit-adjusted -o run
    lacal tune-tau val.npz --counts counts.csv -o calibration.json
    lacal adjust test.npz --calibration calibration.json -o predictions.parquet
    """
    try:
        ctx.default_map = defaults(config)
    except LacalError:
        if ctx.invoked_subcommand not in WITHOUT_SETTINGS:
            raise


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code."""
    _prepare_streams()
    # The only matrices are small: BLAS threads would spin against the threads that read the logits.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    given = list(sys.argv[1:] if arguments is None else arguments)
    asked = os.environ.get("LACAL_DEBUG", "").strip().lower()
    debug = "--debug" in given or asked not in ("", "0", "false", "f", "no", "n", "off")
    try:
        code = _run_showing_traces(given, debug)
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
    finally:
        say_ended()
    if in_child():
        os._exit(code)  # a native runtime that was stopped midway may abort in its own clean-up
    raise SystemExit(code)


def _run_showing_traces(arguments: list[str], debug: bool) -> int:
    """The exit code; Python's own for an exception, 1, would say that a gate failed."""
    try:
        return run(arguments, debug, supervise=hasattr(os, "fork"))
    except LacalError as error:
        traceback.print_exc()
        return error.exit_code
    except Exception:
        traceback.print_exc()
        return RUN_FAILED


def run(arguments: list[str], debug: bool = False, *, supervise: bool = False) -> int:
    """The exit code of a command line; errors become one line on stderr.

    Args:
        arguments: Without the program's name.
        debug: Let errors through, with their tracebacks.
        supervise: Run models in a child process; forks, so only for a process without threads.
    """
    try:
        with _signals_as_exceptions():
            if "_LACAL_COMPLETE" in os.environ:
                from lacal.cli.shells import register

                register()
            settings = {"supervise": supervise, "arguments": tuple(arguments)}
            code = lacal.main(arguments, prog_name="lacal", standalone_mode=False, obj=settings)
            sys.stdout.flush()
    except click.ClickException as error:
        with remark():
            error.show()
        return error.exit_code
    except LacalError as error:
        if debug:
            raise
        say(f"Error: {error}")
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        say("Interrupted; outputs are whole or absent.")
        return 128 + signal.SIGINT
    except ChildStopped:
        return 128 + signal.SIGINT  # whatever the signal was, the parent ends with its number
    except Stopped as stop:
        say(f"Stopped by {signal.Signals(stop.number).name}; outputs are whole or absent.")
        return 128 + stop.number
    except (BrokenPipeError, SystemExit) as error:
        # The reader of our output has seen enough, which click and rich turn into SystemExit; point
        # stdout away so that exit does not trip over it.
        if isinstance(error, SystemExit) and _raised_in(error) not in ("click", "rich"):
            say(
                f"Error: the run ended before it was done; code that it ran called exit ({error.code})."
            )
            return RUN_FAILED
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError:
        say("Error: out of memory; close other programs or use a machine with more.")
        return RUN_FAILED
    except ImportError as error:
        if debug:
            raise
        say(
            f"Error: a library could not be loaded ({str(error)[:120]}); memory may be short, or the "
            "installation broken."
        )
        return RUN_FAILED
    except OSError as error:
        if debug:
            raise
        place = f"{error.filename}: " if error.filename else ""
        if place and error.errno in BAD_PATH:
            say(f"Error: {place}{error.strerror or error}; name another path.")
            return BAD_INPUT
        say(f"Error: {place}{error.strerror or error}; the run could not go on.")
        return RUN_FAILED
    except Exception as error:
        if debug:
            raise
        # Python would end with 1, which says that a gate failed.
        say(f"Error: {_own_fault(error)}")
        return RUN_FAILED
    return code or 0  # a command's own, from `ctx.exit`


def _own_fault(error: Exception) -> str:
    """A fault that no code expected, in a sentence that a bug report can quote."""
    from lacal.formats.shown import reason

    last = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"lacal met a fault of its own ({type(error).__name__}: {reason(error)}, {Path(last.filename).name} line "
        f"{last.lineno}); --debug shows the trace, please report it with the output of lacal env"
    )


def _raised_in(error: BaseException) -> str:
    """The package whose code raised it."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return str(frames[-1].f_globals.get("__name__", "")).partition(".")[0]


def _prepare_streams() -> None:
    """Output that can always be written: no character that the locale lacks stops a run."""
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - for good
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    if sys.stdout is None:
        say("Error: stdout is closed, so there is no place for the result; send it to a file.")
        raise SystemExit(RUN_FAILED)


@contextlib.contextmanager
def _signals_as_exceptions() -> Iterator[None]:
    """SIGTERM and SIGHUP unwind like Ctrl-C does, so that temporaries are removed."""

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        raise Stopped(number)

    numbers = (signal.SIGTERM, signal.SIGHUP)
    try:
        before = {number: signal.signal(number, stop) for number in numbers}
    except ValueError:  # not the main thread: the embedding program keeps its handlers
        yield
        return
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
