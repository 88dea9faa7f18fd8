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
from lacal.cli.commands import COMMANDS, WITHOUT_SETTINGS, Commands
from lacal.cli.config import defaults, unread_variables
from lacal.cli.origin import name_origin
from lacal.cli.show import harmless, remark, say, warn
from lacal.cli.supervised import PASSED_ON, ChildStopped, in_child, say_ended
from lacal.errors import Interruption, LacalError

BAD_INPUT = 2
RUN_FAILED = 3

NO_THREAD = "can't start new thread"  # what Python says of it, as a RuntimeError

PRINTERS = ("click", "rich")  # packages that write to stdout; what stderr refuses is passed over

# What the system says of a path that cannot be one; the path is the user's to mend.
BAD_PATH = (errno.EACCES, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL, errno.ENOTDIR)


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
    if ctx.invoked_subcommand in COMMANDS and ctx.invoked_subcommand not in WITHOUT_SETTINGS:
        warn(unread_variables(ctx.invoked_subcommand))


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code."""
    _prepare_streams()
    # The only matrices are small: BLAS threads would spin against the threads that read the logits.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Arrow's own allocator takes a gigabyte of addresses, and crashes where it cannot have them; it is no quicker here.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    given = list(sys.argv[1:] if arguments is None else arguments)
    asked = os.environ.get("LACAL_DEBUG", "").strip().lower()
    debug = "--debug" in given or asked not in ("", "0", "false", "f", "no", "n", "off")
    try:
        code = _run_showing_traces(given, debug)
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
    finally:
        say_ended()
    _exit(code)


def _exit(code: int) -> NoReturn:
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
        with _signals_as_exceptions(), _one_word_of_short_memory():
            if "_LACAL_COMPLETE" in os.environ:
                from lacal.cli.shells import register

                register()
            settings = {"supervise": supervise, "arguments": tuple(arguments)}
            code = lacal.main(arguments, prog_name="lacal", standalone_mode=False, obj=settings)
            sys.stdout.flush()
    except BaseException as error:
        return _ended_by(error, debug)
    return code or 0  # a command's own, from `ctx.exit`


def _ended_by(error: BaseException, debug: bool) -> int:
    """The exit code of what ended a run, after a word on it; where traces are wanted, errors go on."""
    match error:
        case click.ClickException():
            name_origin(error)
            setattr(error, "message", harmless(error.message))  # noqa: B010 - click calls it final
            with remark():
                error.show()
            return error.exit_code
        case click.Abort() | KeyboardInterrupt():
            say("Interrupted; outputs are whole or absent.")
            return 128 + signal.SIGINT
        case ChildStopped():
            return 128 + signal.SIGINT  # whatever the signal was, the parent ends with its number
        case Stopped():
            say(f"Stopped by {signal.Signals(error.number).name}; outputs are whole or absent.")
            return 128 + error.number
        case SystemExit() if _raised_in(error) not in PRINTERS:
            say(
                f"Error: the run ended before it was done; code that it ran called exit ({error.code})."
            )
            return RUN_FAILED
        case SystemExit() | BrokenPipeError():
            # The reader of our output has seen enough, which click and rich turn into SystemExit; point
            # stdout away so that exit does not trip over it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        case Exception() if not debug:
            code, told = _sentence(error)
            say(f"Error: {told}")
            return code
    raise error


def _sentence(error: Exception) -> tuple[int, str]:
    """Exit code and words of an error."""
    match error:
        case LacalError():
            return error.exit_code, str(error)
        case MemoryError():
            return RUN_FAILED, "out of memory; close other programs or use a machine with more."
        case ImportError():
            return RUN_FAILED, (
                f"a library could not be loaded ({str(error)[:120]}); memory may be short, or the installation broken."
            )
        case OSError():
            if not error.filename and _raised_in(error) in PRINTERS:
                return (
                    RUN_FAILED,
                    f"stdout: {error.strerror or error}; send the result to another place.",
                )
            place = f"{error.filename}: " if error.filename else ""
            told = f"{place}{error.strerror or error}; "
            if place and error.errno in BAD_PATH:
                return BAD_INPUT, f"{told}name another path."
            return RUN_FAILED, f"{told}the run could not go on."
        case RuntimeError() if str(error) == NO_THREAD:
            return RUN_FAILED, (
                "no thread could be started; memory, or the number of processes, is limited too tightly."
            )
    # Python would end with 1, which says that a gate failed.
    return RUN_FAILED, _own_fault(error)


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
def _one_word_of_short_memory() -> Iterator[None]:
    """Python tells of every error that it cannot raise in a library's callback, with a trace; the run's end tells of this."""
    before = sys.unraisablehook

    def pass_by(found: "sys.UnraisableHookArgs") -> None:
        if not isinstance(found.exc_value, MemoryError):
            before(found)

    sys.unraisablehook = pass_by
    try:
        yield
    finally:
        sys.unraisablehook = before


@contextlib.contextmanager
def _signals_as_exceptions() -> Iterator[None]:
    """SIGTERM and SIGHUP unwind like Ctrl-C does, so that temporaries are removed.

    The first one counts: who asks twice must not break the unwinding. What the caller has us ignore, as nohup
    does, stays ignored.
    """
    heard: list[BaseException] = []

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        for one in before:
            signal.signal(one, signal.SIG_IGN)
        heard.append(KeyboardInterrupt() if number == signal.SIGINT else Stopped(number))
        raise heard[0]

    found = ((number, signal.getsignal(number)) for number in PASSED_ON)
    before = {number: to for number, to in found if to not in (signal.SIG_IGN, None)}
    try:
        for number in before:
            signal.signal(number, stop)
    except ValueError:  # not the main thread: the embedding program keeps its handlers
        yield
        return
    try:
        yield
    except Exception as error:
        if heard:  # a library made an error of its own of it, as it was imported
            raise heard[0] from error
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
