"""Where a run's folder may be: what is refused before anything is made or read. No torch here."""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

from lacal.errors import UsageError
from lacal.formats.shown import listed, place, reason

FORMAT = "lacal run"
CONFIG = "config.json"
STATE, LOCK = "state", "lock"


def is_run(path: Path) -> bool:
    """Whether the folder holds a run of lacal, as only its config.json can say."""
    try:
        config = json.loads((path / CONFIG).read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(config, dict) and config.get("format") == FORMAT


def check_place(path: Path) -> None:
    """Refuse what is no folder, cannot be written, or holds something that is no run."""
    try:
        target = path.resolve()
        if target.exists() and not target.is_dir():
            raise UsageError(f"{place(path)}: is a file; name a folder")
        if not target.parent.is_dir():
            raise UsageError(
                f"{place(path)}: folder {place(path.parent)} does not exist; create it first"
            )
        if not os.access(target if target.exists() else target.parent, os.W_OK | os.X_OK):
            raise UsageError(f"{place(path)}: cannot be written to; name another folder")
        if target.exists() and not is_run(target) and (others := _foreign(target)):
            raise UsageError(
                f"{place(path)}: holds files that are of no run ({listed(others)}); name a new or an empty folder"
            )
    except (OSError, RuntimeError, ValueError) as error:  # too long, a loop of links, a NUL
        raise UsageError(f"{place(path)}: is not a usable path ({reason(error)})") from error


def _foreign(folder: Path) -> list[str]:
    """What a run that was killed before its first file would not have left."""
    names = sorted(one.name for one in folder.iterdir())
    state = folder / STATE
    if STATE in names and state.is_dir():
        names.remove(STATE)
        names += sorted(f"{STATE}/{one.name}" for one in state.iterdir() if one.name != LOCK)
    return [name for name in names if not re.fullmatch(r"(state/)?\..*\.lacal-tmp", name)]


def check_apart(path: Path, inputs: Sequence[Path], start: Path | None) -> None:
    """Refuse a folder that an input lies in, or that would be read as a part of one."""
    target = path.resolve()
    for given in [*inputs, *([] if start is None else [start])]:
        one = given.resolve()
        inside = one.is_dir() and one in target.parents and given is not start
        if target == one or target in one.parents or inside:
            raise UsageError(
                f"{place(path)}: lies together with {place(given)}, which is read; name a folder elsewhere"
            )
