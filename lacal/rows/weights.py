"""Row weights from a field of a file: finite, never negative, not all zero."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.batch import PerRow
from lacal.classes.names import shown
from lacal.errors import DataError
from lacal.formats import Table
from lacal.formats.fields import refuse_unusable
from lacal.rows.fields import field_named

LEAST = 1e-100  # the square of a weight, summed over rows, must neither vanish nor overflow


@dataclass(frozen=True, slots=True)
class WeightField:
    """The field that weighs the rows.

    Attributes:
        name: As the file spells it.
        place: File and field, for messages.
    """

    name: str
    place: str

    @classmethod
    def of(cls, table: Table, key: str) -> "WeightField":
        """The field of that name, one number a row."""
        field_named(table, key, (), "--weight-key")
        one = table.fields[key]
        refuse_unusable(table.path, one)
        place = f"{table.path}: {shown(key)}"
        if len(one.shape) != 1 or one.kind not in ("int", "float"):
            raise DataError(
                f"{place} holds {one.stored} of {len(one.shape)} dimensions, expected one number a row as its "
                "weight; name another field with --weight-key"
            )
        return cls(key, place)

    def refuse_parts(self, parts: Mapping[str | None, str]) -> None:
        """Refuse the field where it plays another part already.

        Args:
            parts: What fields of the file hold, by their names; None stands for a part that no field plays.

        Raises:
            DataError: It is one of them.
        """
        if self.name in parts:
            raise DataError(
                f"{self.place} holds the {parts[self.name]}, expected the weights of the rows; name another field with "
                "--weight-key, or leave it out where every row counts alike"
            )

    def checked(self, raw: NDArray[Any], start: int) -> PerRow:
        """(n,) the weights of the rows from `start` on."""
        weights = raw.astype(np.float64)
        wrong = ~((weights >= 0) & (weights < np.inf))
        if wrong.any():
            row = int(wrong.argmax())
            raise DataError(
                f"{self.place}: row {start + row} weighs {raw[row]}, expected a finite number from 0; mend the "
                "weight or drop the row"
            )
        extreme = (weights > 1 / LEAST) | ((weights > 0) & (weights < LEAST))
        if extreme.any():
            row = int(extreme.argmax())
            raise DataError(
                f"{self.place}: row {start + row} weighs {raw[row]}, expected 0 or a number from {LEAST:g} to "
                f"{1 / LEAST:g}; scale the weights, only their ratios matter"
            )
        return weights
