"""Which rows tau was tuned on, remembered in a few kilobytes.

Each row is hashed by its logits alone (at most 32 evenly spaced classes, rounded to float32, so that
the file's format and order, float32 or float64, do not matter; other roundings make other rows; numbers beyond
float32 are told apart by the bits of their float64). The sketch
keeps the smallest 256 hashes: a random sample of the rows that is the same for the same rows. Looking for
them among other rows tells which share of the tuned rows comes back (bottom-k sketch, Broder 1997; Cohen &
Kaplan 2007). Coarse logits repeat by chance; how often they do among the tuned rows says how much of an
overlap means nothing.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lacal.batch import Batch, Logits

SKETCH = 256
_COLUMNS = 32
LARGEST_FLOAT32 = float(np.finfo(np.float32).max)
ODD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio, as in Fibonacci hashing

Hashes = NDArray[np.uint64]


def hashed_columns(classes: int) -> tuple[NDArray[np.int64], Hashes]:
    """The classes that a row's hash looks at, ascending, and the odd multiplier of each."""
    columns = np.unique(
        np.linspace(0, classes - 1, min(classes, _COLUMNS)).round().astype(np.int64)
    )
    return columns, ODD * (2 * np.arange(columns.size, dtype=np.uint64) + np.uint64(1))


def row_hashes(logits: Logits) -> Hashes:
    """(n,) one 64-bit hash per row; the same for the same values in float32 or float64."""
    columns, multipliers = hashed_columns(logits.shape[1])
    bits = _bits(logits[:, columns])
    # Each column gets its own odd multiplier; mixing before and after the sum keeps rows apart.
    mixed = (bits + np.uint64(1)) * multipliers
    mixed ^= mixed >> np.uint64(29)
    hashes: Hashes = (mixed * ODD).sum(axis=1, dtype=np.uint64) * ODD
    return hashes ^ (hashes >> np.uint64(32))


def _bits(logits: Logits) -> Hashes:
    """(n, c) the 32 bits that each of these logits (n, c) is known by."""
    try:
        # The processor notes an overflow by itself, so asking for it costs no pass over the logits.
        with np.errstate(over="raise"):
            return _single_bits(logits)
    except FloatingPointError:
        with np.errstate(over="ignore"):
            bits, beyond = _single_bits(logits), np.abs(logits) > LARGEST_FLOAT32
    # As infinities of float32 they would all be alike.
    double = logits[beyond].astype(np.float64).view(np.uint64)
    bits[beyond] = (double ^ (double >> np.uint64(32))) & np.uint64(0xFFFFFFFF)
    return bits


def _single_bits(logits: Logits) -> Hashes:
    """(n, c) the bits of each as float32."""
    values = logits.astype(np.float32) + np.float32(0)  # -0.0 becomes 0.0
    return np.ascontiguousarray(values).view(np.uint32).astype(np.uint64)


@dataclass(slots=True)
class RowSketch:
    """Fingerprint of a set of rows; merges, and does not depend on their order.

    Attributes:
        rows: Number of rows.
        digest: Sum of all row hashes modulo 2^64.
        smallest: At most 256 smallest distinct hashes, ascending.
        times: How often each of them occurred.
    """

    rows: int = 0
    digest: int = 0
    smallest: Hashes = field(default_factory=lambda: np.empty(0, np.uint64))
    times: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))

    @property
    def repeats(self) -> float:
        """Share of the rows that are like another row, estimated from the sketch."""
        rows = int(self.times.sum())
        return float(self.times[self.times > 1].sum() / rows) if rows else 0.0

    def update(self, batch: Batch) -> None:
        """Add the rows of a batch."""
        self.add(row_hashes(batch.logits))

    def add(self, hashes: Hashes) -> None:
        """Add rows (n,) by their `row_hashes`."""
        self.rows += hashes.size
        self.digest = (self.digest + int(hashes.sum(dtype=np.uint64))) % 2**64
        if self.smallest.size == SKETCH:
            hashes = hashes[hashes <= self.smallest[-1]]
        self._keep(hashes, np.ones(hashes.size, np.int64))

    def merge(self, other: "RowSketch") -> None:
        """Add another part's rows."""
        self.rows += other.rows
        self.digest = (self.digest + other.digest) % 2**64
        self._keep(other.smallest, other.times)

    def _keep(self, hashes: Hashes, times: NDArray[np.int64]) -> None:
        both = np.concatenate([self.smallest, hashes])
        distinct, place = np.unique(both, return_inverse=True)
        counts = np.bincount(place, np.concatenate([self.times, times])).astype(np.int64)
        self.smallest, self.times = distinct[:SKETCH], counts[:SKETCH]


# Share of the tuned rows found again from which on this is the same split and not a few duplicates.
SAME_ROWS = 0.1


@dataclass(slots=True)
class Overlap:
    """Counts how many rows of a sketch turn up in the rows that pass by.

    Attributes:
        tuned: Hashes to look for, ascending.
        found: (m,) whether each has been seen.
    """

    tuned: Hashes
    found: NDArray[np.bool_]

    @classmethod
    def with_rows(cls, tuned: Hashes) -> "Overlap":
        """Look for these hashes."""
        return cls(tuned, np.zeros(tuned.size, np.bool_))

    def update(self, batch: Batch) -> None:
        """Look through a batch."""
        self.add(row_hashes(batch.logits))

    def add(self, hashes: Hashes) -> None:
        """Look through rows by their hashes, of the kind that is looked for."""
        self.found |= np.isin(self.tuned, hashes)

    @property
    def share(self) -> float:
        """Estimated share of the tuned rows that passed by."""
        return float(self.found.mean()) if self.found.size else 0.0

    def is_same_split(self, repeats: float) -> bool:
        """Whether so many came back that the rows are those of the sketch, or hold them.

        Args:
            repeats: Share of the sketch's own rows that are like another of them.
        """
        enough = int(self.found.sum()) >= min(3, self.tuned.size)
        return bool(self.tuned.size) and enough and self.share >= SAME_ROWS + 3 * repeats
