"""Commands that run models do so in a child process, so that nothing a model does takes lacal with it.

Native code that is busy hears no signal, and a hostile or damaged model can crash its runtime. So the command
goes on in a child, forked while the process is still small and single-threaded; the parent waits, passes on
what the user asks (Ctrl-C, SIGTERM, SIGHUP), ends a child that does not listen, and turns a crash into a
sentence. Everything durable is written by the child, whole or not at all, so ending it loses nothing.
"""

import contextlib
import functools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, NamedTuple, NoReturn, TypeVar, cast

import click

from lacal.errors import Interruption, RunError

# Seconds a child has to end by itself: of two that are promised, the other is for the kernel and for Python to take leave.
GRACE = 1.0
ASKED_TO_STOP = signal.SIGUSR2
PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

F = TypeVar("F", bound=Callable[..., Any])

_is_child = False
_end: int | None = None  # where a child says that it ended as it should


class ChildStopped(Interruption):
    """The parent asked this child to end; the parent speaks."""


class Words(NamedTuple):
    """How a command speaks of a child that is gone.

    Attributes:
        process: What was killed, or ended too soon.
        runtime: What crashed.
        blamed: What may have been at fault in a crash, and how to mend it.
    """

    process: str
    runtime: str
    blamed: str


def _words_of_model(given: dict[str, Any], place: str) -> Words:
    return Words(
        f"{place}: the process that runs the model",
        f"{place}: the model's runtime",
        "the model file may be damaged or made for another version of it; nothing was written under the final name",
    )


def in_child() -> bool:
    """Whether this is the process that runs the model."""
    return _is_child


def say_ended() -> None:
    """Tell the parent that this child comes to its regular end: code of the user's may call os._exit."""
    if _end is not None:
        with contextlib.suppress(OSError):
            os.write(_end, b".")


def supervised(
    when: Callable[[dict[str, Any]], bool],
    broken: Callable[[dict[str, Any]], None] = lambda given: None,
    words: Callable[[dict[str, Any], str], Words] = _words_of_model,
) -> Callable[[F], F]:
    """Run a command's callback in a child where `when(parameters)` says that it runs a model.

    Args:
        when: Whether the command's parameters ask for a model.
        broken: Called with them, in the parent, after a child that was stopped or crashed.
        words: How to speak of such a child, given them and what the command works on.
    """

    def decorate(callback: F) -> F:
        @functools.wraps(callback)
        def run(**given: Any) -> None:
            ctx = click.get_current_context()
            if not (when(given) and (ctx.find_root().obj or {}).get("supervise")):
                callback(**given)
                return
            go_on = functools.partial(_run_in_child, callback, given)
            tidy = functools.partial(_tidy, given, broken)
            said = functools.partial(words, given, _first_argument(given, ctx))
            wait = functools.partial(_watched, said, tidy)
            ctx.exit(_forked(go_on, wait))

        return cast(F, run)

    return decorate


def _first_argument(given: dict[str, Any], ctx: click.Context) -> str:
    """What the command works on, as the user named it."""
    arguments = (one.name for one in ctx.command.params if isinstance(one, click.Argument))
    return str(given[next(arguments) or ""])


def _forked(go_on: Callable[[], int], wait: Callable[[int, int], int]) -> int:
    """What either side comes to: the child goes on, the parent waits for it, given its id and where it says that it ended."""
    sys.stdout.flush()
    sys.stderr.flush()
    alive, ended = os.pipe(), os.pipe()
    # Signals wait until either side knows what to do with them.
    signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
    child = os.fork()
    return _in_parent(wait, child, alive, ended) if child else _in_child(go_on, alive, ended)


def _in_parent(
    wait: Callable[[int, int], int], child: int, alive: tuple[int, int], ended: tuple[int, int]
) -> int:
    os.close(alive[0])  # the other end stays open for as long as this process lives
    os.close(ended[1])
    return wait(child, ended[0])


def _in_child(go_on: Callable[[], int], alive: tuple[int, int], ended: tuple[int, int]) -> int:
    global _is_child, _end
    _is_child, _end = True, ended[1]
    os.close(alive[1])
    os.close(ended[0])
    # Ctrl-C reaches the whole process group: the child hears of it from its parent alone, and once.
    for number in PASSED_ON:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
    signal.signal(ASKED_TO_STOP, _stop)
    threading.Thread(target=_end_with_parent, args=(alive[0],), daemon=True).start()
    return go_on()


def _run_in_child(callback: Callable[..., Any], given: dict[str, Any]) -> int:
    try:
        callback(**given)
        return 0
    except Exception as error:
        if signal.getsignal(ASKED_TO_STOP) is signal.SIG_IGN:
            raise ChildStopped from error  # a library made an error of its own of it, as it was imported
        raise


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    signal.signal(ASKED_TO_STOP, signal.SIG_IGN)  # once
    raise ChildStopped


def _end_with_parent(alive: int) -> None:
    os.read(alive, 1)  # returns when the last holder of the other end is gone
    os._exit(RunError.exit_code)


def _watched(words: Callable[[], Words], tidy: Callable[[], None], child: int, ended: int) -> int:
    """Wait for the child; its exit code."""
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
        status = os.waitpid(child, 0)[1]
    except BaseException:  # what a signal raised in this process
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, ASKED_TO_STOP)
        if not _ends(child, GRACE):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        tidy()
        raise
    if os.WIFSIGNALED(status):
        tidy()
        raise RunError(_crash(signal.Signals(os.WTERMSIG(status)), words()))
    code = os.WEXITSTATUS(status)
    os.set_blocking(ended, False)  # a process that the child left behind may hold the other end
    with contextlib.suppress(BlockingIOError):
        if os.read(ended, 1):
            return code
    tidy()
    raise RunError(
        f"{words().process} ended before it was done (exit code {code}); code that it runs ended it, such as by os._exit"
    )


def _ends(child: int, seconds: float) -> bool:
    """Whether the child ends within so many seconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if os.waitpid(child, os.WNOHANG)[0]:
            return True
        time.sleep(0.01)
    return False


def _tidy(given: dict[str, Any], broken: Callable[[dict[str, Any]], None]) -> None:
    """Remove the temporary that a child had no time for, and say what the command has to say."""
    from lacal.atomic import sweep

    if given.get("out") is not None:
        sweep(given["out"])
    broken(given)


def _crash(number: signal.Signals, words: Words) -> str:
    if number == signal.SIGKILL:
        return f"{words.process} was killed, most likely because memory ran out; try a smaller --batch-size"
    return f"{words.runtime} crashed ({number.name}); {words.blamed}"
