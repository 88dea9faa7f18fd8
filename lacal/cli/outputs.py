"""How results leave: --format on stdout, --report into files, --plots into a folder, gates into the exit code.

A command calls `check_reports(given, inputs)` (in `targets`) before its work and `deliver(result, given)` as its last line.
`deliver` says the result's warnings on stderr, so the command does not.
"""

import contextlib
import functools
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lacal.cli.completing import words_or_file
from lacal.cli.options import OneOf
from lacal.cli.param_types import LINE, NamedPath
from lacal.cli.sections import section
from lacal.cli.targets import FORMATS, reports_of, wants_page
from lacal.errors import LacalError, RunError, UsageError

if TYPE_CHECKING:
    from lacal.calibration import Calibration
    from lacal.report.result import Result

F = TypeVar("F", bound=Callable[..., Any])


def report_options(command: F) -> F:
    """--format, --json, --report and --plots; the command brings its own --force."""
    options = [
        click.option("--format", type=OneOf(*FORMATS), default="text", show_default=True,
                     help="How the result is printed."),
        click.option("--json", is_flag=True, help="Short for --format json."),
        click.option("--report", type=LINE, multiple=True, metavar="[KIND=]FILE", shell_complete=words_or_file(),
                     help="Also write it to FILE: html, json, md, junit, github or text, by suffix or "
                          "KIND; may be given again."),
        click.option("--plots", type=NamedPath(), metavar="DIR",
                     help="Write every chart there as SVG and PNG."),
    ]  # fmt: skip
    return section("Reports", *options)(command)


def deliver(
    result: "Result", given: dict[str, Any], calibration: "Calibration | None" = None
) -> None:
    """Say the warnings, write reports and charts, print the result, and end with 1 where a gate failed.

    Files come before stdout: a reader that has seen enough of the one does not cost the others.

    Args:
        result: What a command found.
        given: The command's parameters.
        calibration: To be written as `out`, the last of all files: a run that was killed before that left none.

    Raises:
        RunError: A file could not be written; the others are, and the result is printed.
    """
    from lacal.cli.show import warn
    from lacal.memory import give_back

    # The work is done: its arrays make room for the records of what may be a hundred thousand classes.
    give_back()
    warn(result.warnings)
    if result.page is None and wants_page(given):
        raise UsageError(
            f"lacal {result.command} has no charts for what it was given; leave --plots and "
            "--report html out"
        )
    lost = _write_all(result, given)
    if calibration is not None and given["out"] is not None:
        with _noted(f"{given['out']}:", lost):
            _write_calibration(calibration, given)
    failed = any(not one.passed for one in result.verdicts) and not given.get("exit_zero")
    _print(result, "json" if given["json"] else given["format"])
    if lost:
        raise RunError(
            f"{'; '.join(lost)}; the result above is whole, and so is every file said to be written"
        )
    if failed:
        click.get_current_context().exit(1)


def _write_all(result: "Result", given: dict[str, Any]) -> list[str]:
    """Write every report and chart; what could not be written, and why: one that is lost costs no other."""
    from lacal.cli.show import say

    force = bool(given.get("force"))
    lost: list[str] = []
    page = functools.cache(lambda: _page_of(result))
    for kind, path in reports_of(given):
        with _noted(f"{path}:", lost):
            text = _html(page()) if kind == "html" else rendered_text(result, kind)
            _write(path, text, force=force)
            say(f"wrote {path}")
    if given["plots"] is not None:
        from lacal.report.charts.svg import write_plots

        with _noted(f"{given['plots']}: some charts", lost):
            written = write_plots(page().charts(), given["plots"], force=force)
            say(f"wrote {len(written)} files in {given['plots']}")
    return lost


def _write_calibration(calibration: "Calibration", given: dict[str, Any]) -> None:
    from lacal import calibration_file
    from lacal.cli.show import say

    calibration_file.write(calibration, given["out"], force=given["force"])
    say(f"wrote {given['out']}")


@contextlib.contextmanager
def _noted(what: str, lost: list[str]) -> Iterator[None]:
    """Note why a file could not be written, in place of raising it."""
    try:
        yield
    except LacalError as error:
        lost.append(str(error).partition("; nothing was changed")[0])  # what follows is said of all
    except OSError as error:
        lost.append(f"{what} could not be written ({error.strerror or error})")


def command_line() -> str:
    """What was typed, ready to be pasted: a report says how to make it again."""
    settings = click.get_current_context().find_root().obj or {}
    return shlex.join(("lacal", *settings.get("arguments", ())))


def _page_of(result: "Result") -> Any:
    """The report with charts, its gates first."""
    from lacal.report.deliver import page_with_verdicts

    assert result.page is not None
    return page_with_verdicts(result.page(), result.verdicts)


def rendered_text(result: "Result", kind: str) -> str:
    """The result as text of one kind, other than html."""
    from lacal.report.deliver import rendered

    return rendered(result, kind, _as_text)


def _html(page: Any) -> str:
    from lacal.report.page.render import render

    return render(page)


def _as_text(blocks: "list[Any]") -> str:
    """What a terminal without colour would show, without the blanks that tables end their lines with."""
    import io

    from lacal.cli.show import show_text

    stream = io.StringIO()
    show_text(blocks, stream)
    return "".join(f"{line.rstrip()}\n" for line in stream.getvalue().splitlines())


def _write(path: Path, text: str, *, force: bool) -> None:
    from lacal.atomic import writing

    with writing(path, replace=force) as file:
        file.write(text.encode(errors="backslashreplace"))


def _print(result: "Result", kind: str) -> None:
    """The result on stdout; a reader that has seen enough and went away changes no exit code."""
    from lacal.cli.show import show_text
    from lacal.report.deliver import blocks_of

    try:
        if kind == "text":
            show_text(blocks_of(result))
        else:
            click.echo(rendered_text(result, kind), nl=False)
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit):  # the second is what rich makes of the first
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
