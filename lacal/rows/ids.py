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

    Numbers are kept as they are, text as 64-bit hashes: among a million rows, two different ids
    hash alike in 3 of 100 million files.

    Attributes:
        place: The source, for messages.
        first: Number of the first row that it will see.
    """

    place: str
    first: int = 0
    _rows: int = 0
    _keys: list[NDArray[np.int64]] = field(default_factory=list)

    def update(self, ids: Ids) -> None:
        """Add the ids of a batch.

        Raises:
            DataError: A row has none.
        """
        refuse_missing(ids, self.place, self.first + self._rows)
        self._rows += ids.size
        if ids.dtype.kind in "iu":
            self._keys.append(ids.astype(np.int64))
        elif ids.dtype.kind == "f":
            # Their bits, as Python hashes -1.0 like -2.0; adding 0 makes 0.0 of -0.0, which equals it.
            self._keys.append((ids.astype(np.float64) + 0.0).view(np.int64))
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
            row, earlier = self.first + order[at + 1], self.first + order[at]
            raise DataError(
                f"{self.place}: row {row} has the same id as row {earlier} "
                f"({again.size:,} rows repeat an id); every row needs its own, or name another field "
                "with --id-key"
            )


def refuse_missing(ids: Ids, place: str, start: int = 0) -> None:
    """Refuse a row without an id: rows without one would take each other's labels.

    Args:
        ids: (n,) as the file spells them; NaN and empty text stand for none.
        place: The source, for messages.
        start: Number of the first of these rows.

    Raises:
        DataError: A row has none.
    """
    kind = ids.dtype.kind
    if kind not in "fU":
        return
    missing = np.isnan(ids) if kind == "f" else ids == ""
    if missing.any():
        got, more = "nan" if kind == "f" else "empty", int(missing.sum()) - 1
        others = f" (and of at least {more:,} more)" if more else ""
        raise DataError(
            f"{place}: the id of row {start + int(missing.argmax())}{others} is {got}, expected a number or text that no "
            "other row has; fill it, drop the row, or name another field with --id-key"
        )


def plain_ids(ids: Ids) -> Ids:
    """Ids as 64-bit whole numbers where these hold all of them, else as text.

    A whole number is spelt alike whatever stands beside it, in the same batch or file: 3.0 beside 199.5 is "3". Text
    are other floats, and whole numbers from 2^63, or, where they are floats, from 2^53.
    """
    if ids.dtype.kind == "f":
        wide = ids.astype(np.float64)  # half precision does not reach 2^53
        whole = (np.abs(wide) < 2**53) & (wide == np.floor(wide))
        numbers = np.where(whole, wide, 0).astype(np.int64)
        if whole.all():
            return numbers
        return np.where(whole, numbers.astype(np.str_), ids.astype(np.str_))
    if ids.dtype.kind == "u" and ids.size and ids.max() > np.iinfo(np.int64).max:
        return ids.astype(np.str_)  # int64 would wrap to another row's number
    return ids if ids.dtype.kind == "U" else ids.astype(np.int64)
