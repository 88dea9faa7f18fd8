"""JSON as text, in which lists of many records are made as they are written."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Records(Sequence[Json]):
    """A record for each of many classes, made when it is asked for: those of 100,000 classes take 60 MB.

    Attributes:
        make: The record of a class.
        size: Number of classes.
    """

    make: Callable[[int], Json]
    size: int

    def __getitem__(self, at: Any) -> Any:
        """One record, or those of a slice."""
        found = range(self.size)[at]
        return self.make(found) if isinstance(found, int) else [self.make(one) for one in found]

    def __len__(self) -> int:
        """Number of records."""
        return self.size


def json_text(value: Any, *, indent: int | None = None, ensure_ascii: bool = True) -> str:
    """The value as one line, or as lines; NaN cannot occur.

    Raises:
        ValueError: It holds NaN or an infinity.
    """
    return json.dumps(
        value, allow_nan=False, indent=indent, ensure_ascii=ensure_ascii, default=_listed
    )


def _listed(value: object) -> list[Json]:
    if isinstance(value, Records):
        return list(value)
    raise TypeError(f"{type(value).__name__} is no JSON")
