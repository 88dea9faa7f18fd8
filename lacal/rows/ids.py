"""Row ids: of one type whatever a file stores them as, and every one its own.

A join on an id that occurs twice multiplies rows.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lacal.batch import Ids
from lacal.errors import DataError


@dataclass(slots=True)
class IdCheck:
    """Collects the ids of a pass, in 8 bytes a row, and refuses one that occurs twice.

    Whole numbers are kept as they are, text as 64-bit hashes: among a million rows, two different ids
    hash alike in 3 of 100 million files.

    Attributes:
        place: The source, for messages.
    """

    place: str
    _keys: list[NDArray[np.int64]] = field(default_factory=list)

    def update(self, ids: Ids) -> None:
        """Add the ids of a batch."""
        if ids.dtype.kind in "iu":
            self._keys.append(ids.astype(np.int64))
        else:
            self._keys.append(np.fromiter(map(hash, ids.tolist()), np.int64, ids.size))

    def finish(self) -> None:
        """Refuse the first row whose id was there before."""
        if not self._keys:
            return
        keys = np.concatenate(self._keys)
        order = np.argsort(keys, kind="stable")
        again = np.flatnonzero(keys[order[1:]] == keys[order[:-1]])
        if again.size:
            at = again[order[again + 1].argmin()]
            raise DataError(
                f"{self.place}: row {order[at + 1]} has the same id as row {order[at]} "
                f"({again.size:,} rows repeat an id); every row needs its own, or name another field "
                "with --id-key"
            )


def plain_ids(ids: Ids) -> Ids:
    """Ids as 64-bit whole numbers where these hold them, else as text: other floats, and whole numbers from 2^63."""
    if ids.dtype.kind == "f":
        whole = np.isfinite(ids) & (np.abs(ids) < 2**53)
        if whole.all() and (ids == np.floor(ids)).all():
            return ids.astype(np.int64)
        return ids.astype(np.str_)
    if ids.dtype.kind == "u" and ids.size and ids.max() > np.iinfo(np.int64).max:
        return ids.astype(np.str_)  # int64 would wrap to another row's number
    return ids if ids.dtype.kind == "U" else ids.astype(np.int64)
