"""How results leave: --format on stdout, --report into files, --plots into a folder, gates into the exit code.

A command calls `check_reports(given, inputs)` before its work and `deliver(result, given)` as its last line.
`deliver` says the result's warnings on stderr, so the command does not.
"""

import contextlib
import functools
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lacal.cli.completing import words_or_file
from lacal.cli.options import OneOf
from lacal.cli.param_types import LINE, NamedPath
from lacal.cli.sections import section
from lacal.errors import LacalError, MissingExtra, RunError, UsageError

if TYPE_CHECKING:
    from lacal.calibration import Calibration
    from lacal.report.result import Result

F = TypeVar("F", bound=Callable[..., Any])
FORMATS = ("text", "json", "md", "junit", "github")
KINDS = ("html", *FORMATS)

# What a file's suffix says of its kind; `github` is no kind of file that a suffix could name.
_SUFFIXES = {
    ".html": "html",
    ".htm": "html",
    ".json": "json",
    ".md": "md",
    ".markdown": "md",
    ".xml": "junit",
    ".txt": "text",
}
_CHARTS = (".svg", ".png")


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


def check_reports(given: dict[str, Any], inputs: tuple[Path, ...]) -> None:
    """Refuse reports that cannot be written, before any long work.

    Args:
        given: The command's parameters: `report`, `plots`, and where it has them `out` and `force`.
        inputs: Files it reads, none of which a report or chart may replace.

    Raises:
        UsageError: A target that cannot or must not be written, or whose kind is unknown.
        MissingExtra: The charts need matplotlib.
    """
    from lacal.atomic import check_target

    force = bool(given.get("force"))
    taken = {} if given.get("out") is None else {Path(given["out"]).resolve(): "-o"}
    for _, path in _reports(given):
        check_target(path, force=force, inputs=inputs)
        if path.resolve() in taken:
            other = taken[path.resolve()].replace("--report", "another --report")
            raise UsageError(f"--report {path}: {other} writes to the same file; name another")
        taken[path.resolve()] = "--report"
    if given["plots"] is not None:
        _check_folder(given["plots"], force)
        _check_inputs(given["plots"], inputs)
        _check_apart(given["plots"], taken)
    if wants_page(given) and find_spec("matplotlib") is None:
        option = "--report html" if given["plots"] is None else "--plots"
        raise MissingExtra("matplotlib", "plots", f"{option}: drawing charts")


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
    for kind, path in _reports(given):
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


def wants_page(given: dict[str, Any]) -> bool:
    """Whether charts are asked for, so that the work should gather what they show."""
    return given["plots"] is not None or any(kind == "html" for kind, _ in _reports(given))


def command_line() -> str:
    """What was typed, ready to be pasted: a report says how to make it again."""
    settings = click.get_current_context().find_root().obj or {}
    return shlex.join(("lacal", *settings.get("arguments", ())))


def _reports(given: dict[str, Any]) -> Iterator[tuple[str, Path]]:
    """Kind and file of every --report."""
    for text in given["report"]:
        start, equals, rest = text.partition("=")
        if equals and re.fullmatch(r"[A-Za-z]+", start):
            # A word and = is meant as a kind, also where it is misspelt.
            if start not in KINDS:
                raise _unknown_kind(start, f"./{text}")
            if not rest:
                raise UsageError(f"--report {start}=: names no file; give --report {start}=FILE")
            yield start, Path(rest)
            continue
        path = Path(text)
        kind = _SUFFIXES.get(path.suffix.lower())
        if kind is None:
            from lacal.classes.names import shown

            raise UsageError(
                f"--report: {shown(text)} does not say its kind; end it in {', '.join(_SUFFIXES)}, or write "
                f"KIND=FILE with one of {', '.join(KINDS)}"
            )
        yield kind, path


def targets_of(given: dict[str, Any]) -> list[Path]:
    """Files that the command writes, or may replace."""
    targets = [] if given.get("out") is None else [Path(given["out"])]
    if "report" in given:
        targets += (path for _, path in _reports(given))
    return targets if given.get("plots") is None else targets + _charts_in(given["plots"])


def _unknown_kind(word: str, path: str) -> UsageError:
    from lacal.classes.names import near_miss, shown

    return UsageError(
        f"--report: {shown(word)} is no kind of report; expected one of {', '.join(KINDS)} "
        f"(a file of this name is {shown(path)}).{near_miss(word, KINDS)}"
    )


def _check_folder(folder: Path, force: bool) -> None:
    """Refuse a folder of charts that cannot be made or that holds some already."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--plots {folder}: is not a folder; name one to write charts in")
    if not folder.exists() and not folder.parent.is_dir():
        raise UsageError(
            f"--plots {folder}: folder {folder.parent} does not exist; create it first"
        )
    if not os.access(folder if folder.exists() else folder.parent, os.W_OK):
        raise UsageError(f"--plots {folder}: cannot be written to; choose another folder")
    if folder.is_dir() and not force:
        charts = _charts_in(folder)
        if charts:
            raise UsageError(
                f"--plots {folder}: holds {charts[0].name} already; add --force to replace charts"
            )


def _charts_in(folder: Path) -> list[Path]:
    """What may be replaced there by a chart of its name."""
    every = folder.iterdir() if folder.is_dir() else ()
    return [one for one in every if one.suffix in _CHARTS]


def _check_inputs(folder: Path, inputs: tuple[Path, ...]) -> None:
    """Refuse a folder where a chart would replace an input, or be read as a part of one."""
    from lacal.atomic import identities, would_be_part

    for given in inputs:
        if any(would_be_part(folder / f"chart{kind}", given) for kind in _CHARTS):
            raise UsageError(
                f"--plots {folder}: charts would be read as parts of the input {given}; name another folder"
            )
    read = identities(inputs)
    for chart in _charts_in(folder):
        if identities([chart]) & read:
            raise UsageError(
                f"--plots {folder}: {chart.name} there is an input, which a chart could overwrite; name another folder"
            )


def _check_apart(folder: Path, taken: dict[Path, str]) -> None:
    """Refuse other outputs where charts would be written: as the folder itself, or as one of its charts."""
    for path, option in taken.items():
        if path == folder.resolve():
            raise UsageError(f"--plots {folder}: {option} writes to the same path; name another")
        if path.parent == folder.resolve() and path.suffix.lower() in _CHARTS:
            raise UsageError(
                f"--plots {folder}: {option} writes {path.name} there, where charts are written; name another folder"
            )


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
