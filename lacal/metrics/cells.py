"""Sums per cell of classes x bins, kept for those cells alone that have rows: with many classes most never have."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

# Cells of parts that may wait to be added in: with as many as there are known, every cell is sorted a few times in all.
WAITING = 1 << 14
# Times as many cells as rows: counting every cell would cost more than sorting the rows
SPARSE = 16

Cell = NDArray[np.int64]


@dataclass(slots=True)
class CellSums:
    """Several sums per cell; merges by addition.

    Attributes:
        size: Number of cells there may be.
        count: Number of sums, s.
    """

    size: int
    count: int
    _cells: Cell = field(init=False)
    _sums: NDArray[np.float64] = field(init=False)
    _later: list[tuple[Cell, NDArray[np.float64]]] = field(default_factory=list)
    _waiting: int = 0

    def __post_init__(self) -> None:
        self._cells = np.empty(0, np.int64)
        self._sums = np.empty((self.count, 0))

    def add(self, cell: Cell, *values: NDArray[np.float64] | float) -> None:
        """Add rows: the cell of each, and s times values (n,), or one number for all rows."""
        at, cells = cell, None
        if self.size > SPARSE * cell.size:
            cells, at = np.unique(cell, return_inverse=True)
        rows = np.bincount(at)
        kept = np.flatnonzero(rows)
        sums: dict[int, NDArray[np.float64]] = {}  # without weights several sums are one
        for one in values:
            if id(one) not in sums:
                whole = one * rows if isinstance(one, float) else np.bincount(at, one)
                sums[id(one)] = np.asarray(whole[kept], np.float64)
        each = np.stack([sums[id(one)] for one in values])
        self._append(kept if cells is None else cells, each)

    def merge(self, other: "CellSums") -> None:
        """Add another part's rows."""
        self._append(*other.result())

    def result(self) -> tuple[Cell, NDArray[np.float64]]:
        """The cells that have rows (m,), ascending, and their sums (s, m)."""
        if self._later:
            cells = np.concatenate([self._cells, *(one for one, _ in self._later)])
            sums = np.concatenate([self._sums, *(one for _, one in self._later)], axis=1)
            self._later, self._waiting = [], 0
            self._cells, at = np.unique(cells, return_inverse=True)
            self._sums = np.array([np.bincount(at, one, self._cells.size) for one in sums])
        return self._cells, self._sums

    def dense(self) -> NDArray[np.float64]:
        """(s, size) sums of all cells, 0 where there are no rows."""
        cells, sums = self.result()
        whole = np.zeros((self.count, self.size))
        whole[:, cells] = sums
        return whole

    def _append(self, cells: Cell, sums: NDArray[np.float64]) -> None:
        self._later.append((cells, sums))
        self._waiting += cells.size
        if self._waiting > max(min(WAITING, self.size), self._cells.size):
            self.result()
