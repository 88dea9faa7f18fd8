"""`Examples`: a split in memory."""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from lacal.batch import Ids, Labels


@dataclass(frozen=True, slots=True)
class Examples:
    """A split.

    Attributes:
        inputs: (n, *shape), uint8 images (n, channels, height, width), or float32.
        labels: (n,) in 0..k-1.
        ids: (n,), row numbers of the file where a part of its rows was taken; None where it has none.
        place: The file as the user named it.
    """

    inputs: NDArray[Any]
    labels: Labels
    ids: Ids | None
    place: str
