"""Where --report and --plots write to: which files those are, and whether they may be written."""

import os
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lacal.errors import MissingExtra, UsageError

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
    for _, path in reports_of(given):
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


def wants_page(given: dict[str, Any]) -> bool:
    """Whether charts are asked for, so that the work should gather what they show."""
    return given["plots"] is not None or any(kind == "html" for kind, _ in reports_of(given))


def reports_of(given: dict[str, Any]) -> Iterator[tuple[str, Path]]:
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


def _unknown_kind(word: str, path: str) -> UsageError:
    from lacal.classes.names import near_miss, shown

    return UsageError(
        f"--report: {shown(word)} is no kind of report; expected one of {', '.join(KINDS)} "
        f"(a file of this name is {shown(path)}).{near_miss(word, KINDS)}"
    )


def targets_of(given: dict[str, Any]) -> list[Path]:
    """Files that the command writes, or may replace."""
    targets = [] if given.get("out") is None else [Path(given["out"])]
    if "report" in given:
        targets += (path for _, path in reports_of(given))
    return targets if given.get("plots") is None else targets + _charts_in(given["plots"])


def _charts_in(folder: Path) -> list[Path]:
    """What may be replaced there by a chart of its name."""
    every = folder.iterdir() if folder.is_dir() else ()
    return [one for one in every if one.suffix in _CHARTS]


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
