"""What two runs are called in tables and legends: as much of their paths as tells them apart."""

import itertools
from pathlib import PurePath

from lacal.formats.shown import printable

SIDES = ("first", "second")
LETTERS = 20  # of a name; two of them fit above a chart


def sides_of(places: tuple[str, str]) -> tuple[str, str]:
    """Short names of two sources, safe to show; `SIDES` where their paths do not tell them apart.

    Args:
        places: As the user named them.

    Example:
        >>> sides_of(("out/tau_1.parquet", "out/best.parquet"))
        ('tau_1.parquet', 'best.parquet')
        >>> sides_of(("runs/a/test_logits.parquet", "runs/b/test_logits.parquet"))
        ('a', 'b')
    """
    first, second = _told_apart(*(PurePath(one).parts for one in places))
    names = _cut(printable(first, 4096), printable(second, 4096))
    return names if names[0] != names[1] and all(one.strip() for one in names) else SIDES


def without_suffix(sides: tuple[str, str]) -> tuple[str, str]:
    """The names without the end that both have, where that leaves two.

    Example:
        >>> without_suffix(("tau_1.parquet", "best.parquet"))
        ('tau_1', 'best')
        >>> without_suffix(("tau_1.parquet", "best.npz"))
        ('tau_1.parquet', 'best.npz')
    """
    first, second = (PurePath(one) for one in sides)
    if first.suffix != second.suffix or first.stem == second.stem:
        return sides
    return first.stem, second.stem


def _told_apart(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, str]:
    """The base names, or the last parts of the paths that differ; one more part where the shorter path has no more."""
    for one, other in zip(reversed(first), reversed(second), strict=False):
        if one != other:
            return one, other
    parts = min(len(first), len(second)) + 1
    return "/".join(first[-parts:]), "/".join(second[-parts:])


def _cut(first: str, second: str) -> tuple[str, str]:
    """Both at `LETTERS` at most, without the beginning that they share where that makes them longer."""
    if max(len(first), len(second)) > LETTERS:
        pairs = zip(first, second, strict=False)
        alike = len(list(itertools.takewhile(lambda one: one[0] == one[1], pairs)))
        if alike > 3:  # a sign stands for them
            first, second = f"…{first[alike - 2 :]}", f"…{second[alike - 2 :]}"
    return _end_cut(first), _end_cut(second)


def _end_cut(name: str) -> str:
    return name if len(name) <= LETTERS else f"{name[: LETTERS - 1]}…"
