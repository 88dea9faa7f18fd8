"""Names of measures as they can be typed into a gate, and what a name that lacks its quotes looks like."""

import re

from lacal.formats.shown import printable
from lacal.measure import GROUP_METRICS

_METRIC = "|".join(sorted((*GROUP_METRICS, "gain"), key=len, reverse=True))
_PLAIN = re.compile(r"[^\W\d]\w*(?:\.\w+)*")
_PARTS = re.compile(rf"((?:class|first)\.)?(.*)\.({_METRIC})", re.DOTALL)
# What may be meant as one name: of a class up to its error, whatever signs stand in it; of a group in words.
_LOOSE = re.compile(
    rf"""(?<![\w."])(?:class\.(?P<one>[^"<>=]+?)\.error\b|(?P<group>[^\W\d][^"<>=()*+,]*?)\.(?P<end>{_METRIC})\b)""",
    re.VERBOSE,
)


def typed(name: str) -> str:
    r"""The name as a gate would have to spell it, with quotes where it needs them.

    Example:
        >>> typed("few.error"), typed("class.fire engine.error"), typed('two "wheels".gain')
        ('few.error', 'class."fire engine".error', '"two \\"wheels\\"".gain')
    """
    parts = _PARTS.fullmatch(name)
    if _PLAIN.fullmatch(name) or parts is None:
        return name
    escaped = parts[2].replace("\\", "\\\\").replace('"', '\\"')
    return f'{parts[1] or ""}"{escaped}".{parts[3]}'


def quoted(name: str) -> str:
    """The same between quotes of a message: `'class."fire engine".error'`."""
    return f"'{printable(typed(name), 80)}'"


def quotes_missing(text: str, at: int, *, spaces: bool = True) -> str:
    """How to quote the name around this place of a gate; "" where nothing there looks like one.

    Args:
        text: The gate.
        at: A place in it, from 0.
        spaces: Whether a space may belong to the name; not where a minus between spaces has been read as one.

    Example:
        >>> quotes_missing("class.fire engine.error > 5%", 11)
        'put the name in quotes: class."fire engine".error'
    """
    for found in _LOOSE.finditer(text):
        inside = found.start() <= at < found.end()
        one = found["one"] or found["group"]
        if not inside or not re.search(r"[^\w.]", one) or (re.search(r"\s", one) and not spaces):
            continue
        if found["group"] and re.search(r"\.|\b(?:and|or|not)\b", one, re.IGNORECASE):
            continue
        one = re.sub(r"^'(.*)'$", r"\1", one)
        name = f"class.{one}.error" if found["one"] else f"{one}.{found['end']}"
        return f"put the name in quotes: {printable(typed(name), 80)}"
    return ""
