"""What two plans of a run differ in, in words: a plan is JSON of whatever decides the bytes of a result."""

import itertools
import json
import time
from collections.abc import Iterator
from typing import Any

from lacal.formats.shown import printable

_MISSING = "nothing"
_FILES = "files"  # [name, bytes, modification time in ns] of every input


def plan_differences(old: Any, new: Any) -> list[str]:
    """A clause for every value that differs, changed inputs first.

    Args:
        old: As it was read back from a disk: any JSON.
        new: Of this run.
    """
    files = []
    if isinstance(old, dict) and isinstance(new, dict) and {_FILES} <= old.keys() & new.keys():
        files = _changed_files(old[_FILES], new[_FILES])
    if files:
        old, new = ({**one, _FILES: None} for one in (old, new))
    before, now = dict(_entries(old)), dict(_entries(new))
    names = [name for name in before | now if before.get(name) != now.get(name)]
    return files + [
        f"{printable(name)} was {before.get(name, _MISSING)}, is {now.get(name, _MISSING)}"
        for name in names
    ]


def _changed_files(old: Any, new: list[Any]) -> list[str]:
    """About inputs whose size or time is another; none where the difference is of another kind."""
    named = [one[:1] for one in new]
    if not isinstance(old, list) or [isinstance(one, list) and one[:1] for one in old] != named:
        return []
    told = []
    for was, (name, size, modified) in zip(old, new, strict=True):
        if len(was) != 3 or not all(isinstance(one, int) for one in was[1:]):
            return []
        shown = printable(name, 200)
        if was[1] != size:
            told.append(f"the input {shown} had {was[1]:,} bytes, has {size:,}")
        elif was[2] != modified:
            at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(modified // 10**9))
            seconds, rest = divmod(was[2], 10**9)
            told.append(
                f"the input {shown} was changed or copied at {at}; if its content is still the same, give it its time "
                f"back (touch -d @{seconds}.{rest:09} {shown})"
            )
    return told


def _entries(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Every single value within, by its dotted name, as short text."""
    pairs: Any = ()
    if isinstance(value, dict):
        pairs = ((f"{name}.{key}" if name else key, one) for key, one in value.items())
    elif isinstance(value, list):
        pairs = ((f"{name}[{i}]", one) for i, one in enumerate(value))
    first = next(iter(pairs), None) if value else None
    if first is None:
        yield name, printable(json.dumps(value), 40)
        return
    for key, one in itertools.chain([first], pairs):
        yield from _entries(one, key)
