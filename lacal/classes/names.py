"""Class names: shown safely, told apart from numbers, and held in one order.

Names travel with logits, counts, heads and calibration files. Where two of them disagree in number,
spelling or order, the run stops: a prior given to the wrong classes is a loss nobody would notice.
"""

import difflib
import shlex
from collections.abc import Sequence
from unicodedata import normalize

from lacal.errors import DataError


def shown(text: str) -> str:
    """Text from a file in quotes, safe for a terminal: shortened, control and bidi characters escaped."""
    from lacal.formats.shown import printable  # formats brings NumPy, which help pages do without

    return f"'{printable(text, 60)}'"


def some_classes(indices: Sequence[int], names: Sequence[str] | None, most: int = 5) -> str:
    """The first few classes by name, or by number where there are no names.

    Example:
        >>> some_classes([0, 2], ["cat", "dog", "emu"])
        'cat, emu'
    """
    from lacal.formats.shown import printable

    some = [str(j) if names is None else printable(names[j], 40) for j in indices[:most]]
    return ", ".join(some + ["..."] * (len(indices) > most))


def class_numbers(names: list[str]) -> list[int] | None:
    """The names as numbers if they are exactly 0..k-1 in some order, else None.

    Example:
        >>> class_numbers(["0", "10", "2"]) is None   # not 0..2: these are names
        True
        >>> class_numbers(["0", "2", "1"])
        [0, 2, 1]
    """
    if not all(name.isascii() and name.isdigit() and len(name) <= 9 for name in names):
        return None
    numbers = [int(name) for name in names]
    return numbers if sorted(numbers) == list(range(len(numbers))) else None


def check_distinct(names: tuple[str, ...], place: str) -> None:
    """Refuse a name that stands for two classes, or that no file could hold."""
    for name in names:
        if any("\ud800" <= c <= "\udfff" for c in name):
            raise DataError(
                f"{place}: class name {shown(name)} is not valid UTF-8 text; spell it anew"
            )
        if "\0" in name:
            raise DataError(
                f"{place}: class name {shown(name)} holds a NUL character; spell it anew"
            )
    if len(set(names)) != len(names):
        seen: set[str] = set()
        twice = next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise DataError(
            f"{place}: class name {shown(twice)} occurs twice; every class needs its own"
        )


def agree(
    first: tuple[str, ...] | None,
    first_place: str,
    second: tuple[str, ...] | None,
    second_place: str,
) -> tuple[str, ...] | None:
    """The names both sides agree on; either side may have none.

    Raises:
        DataError: They differ in number, in names, or in order.
    """
    if first is None or second is None:
        return first if second is None else second
    if first == second:
        return first
    if len(first) != len(second):
        raise DataError(
            f"{second_place}: has {len(second)} classes, {first_place} has {len(first)}; they must be "
            "of the same model"
        )
    at = next(j for j, (one, other) in enumerate(zip(first, second, strict=True)) if one != other)
    if set(first) == set(second):
        raise DataError(
            f"{second_place}: classes are in another order than in {first_place}; class {at} is "
            f"{shown(second[at])} here and {shown(first[at])} there; put both in one order"
        )
    here, there = second[at], first[at]
    hint = "they must name the same classes"
    if normalize("NFC", here) == normalize("NFC", there):
        # Composed or not, an accent looks the same: it is shown by its code points.
        hint += f", spelt the same: {here[:60]!a} and {there[:60]!a} only look alike"
    raise DataError(
        f"{second_place}: class {at} is {shown(here)}, but {shown(there)} in {first_place}; {hint}"
    )


def other_classes(known: Sequence[str] | None, seen: Sequence[str] | None, most: int = 3) -> str:
    """Which classes only one side knows, where their numbers disagree, and how a column is left out.

    Args:
        known: The classes as counts or a calibration name them; None where they do not.
        seen: As the columns of a file, or its metadata, name them.
        most: How many are named.

    Example:
        >>> other_classes(["cat", "dog"], ["weight", "cat", "dog"])
        "only one of them knows 'weight'; add what is missing, or leave out a column that is no class with --skip-key weight"
    """
    odd = sorted(set(known) ^ set(seen)) if known is not None and seen is not None else []
    listed = ", ".join(map(shown, odd[:most])) + ", ..." * (len(odd) > most)
    hint = f"only one of them knows {listed}" if odd else "they must be of the same model"
    if seen is None or not set(odd) <= set(seen) or len(odd) > most:
        return hint
    keys = [shlex.quote(name) if name.isprintable() else "NAME" for name in odd] or ["NAME"]
    skips = " ".join(f"--skip-key {key}" for key in keys)
    return f"{hint}; add what is missing, or leave out a column that is no class with {skips}"


def near_miss(word: str, known: tuple[str, ...]) -> str:
    """' Did you mean ...?' where a known word is close, else ''."""
    close = difflib.get_close_matches(word, known, n=1)
    return f" Did you mean {shown(close[0])}?" if close else ""
