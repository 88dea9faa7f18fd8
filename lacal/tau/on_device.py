"""What tuning needs of each row, worked out by torch where the logits are: they do not leave the device.

The same definitions as `lacal.tau.intervals` and `lacal.rows.fingerprint`, in whole-array steps that never make
the host wait for the device. Of a batch only its `RowsSeen` comes back, as one small copy, and the host
looks at it when later batches are under way.

Scores that look wrong (NaN, infinity, probabilities) are flagged on the device; only the flagged batch is
fetched, and the source's own door says what is wrong with it.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lacal.batch import NO_LABEL, DeviceBatch, Labels, PerRow
from lacal.errors import RunError
from lacal.methods import Family
from lacal.models.torch.faults import last_line, out_of_memory
from lacal.rows.fingerprint import Hashes, hashed_columns
from lacal.rows.scores import SUM_TOLERANCE, ScoreDoor
from lacal.rows.source import DeviceSource
from lacal.tau.torch_rows import Tensor, first_best, hashes_of, linear, power

# Elements of one tile: about ten arrays of them, of 8 bytes each, are alive at once.
TILE = 1 << 21
# Batches whose results may be outstanding before the host waits for the oldest.
IN_FLIGHT = 2


@dataclass(frozen=True, slots=True)
class RowsSeen:
    """All that tuning keeps of a batch of n rows, m of them labelled.

    Attributes:
        hashes: (n,) as `lacal.rows.fingerprint.row_hashes`.
        labels: (m,) in 0..k-1.
        low: (m,) as `lacal.tau.intervals.intervals`.
        high: (m,) likewise; low > high where no tau is right.
        plain_right: (m,) whether the unadjusted argmax is right.
    """

    hashes: Hashes
    labels: Labels
    low: PerRow
    high: PerRow
    plain_right: NDArray[np.bool_]


def rows_of(source: DeviceSource, family: Family) -> Iterator[RowsSeen]:
    """What is seen of every batch of a source, in order.

    Raises:
        DataError: What `source.checked` says of a batch that looks wrong.
        RunError: The same, or the device failed.
    """
    lookout: Lookout | None = None
    waiting: deque[Look] = deque()
    for batch in source.device_batches():
        with _device_errors(source.place):
            if lookout is None:
                lookout = Lookout.on(batch.logits, family, source.door)
            waiting.append(lookout.look(batch))
            seen = waiting.popleft().seen(source) if len(waiting) > IN_FLIGHT else None
        if seen is not None:
            yield seen
    for look in waiting:
        with _device_errors(source.place):
            seen = look.seen(source)
        yield seen


def rows_seen(logits: Tensor, labels: Labels | None, family: Family) -> RowsSeen:
    """What is seen of one batch; waits for the device, and checks nothing.

    Args:
        logits: (n, k) torch.Tensor of any float type, finite; half precision counts as float32.
        labels: (n,) in 0..k-1 or `NO_LABEL`; None where no row has one.
        family: How the scores move with tau.
    """
    return Lookout.on(logits, family, None).look(DeviceBatch(logits, labels, 0)).seen(None)


@dataclass(frozen=True, slots=True)
class Look:
    """A batch whose results are on their way to the host.

    Attributes:
        batch: The batch, its logits a copy of its own.
        labels: (m,) of its labelled rows.
        masked: (m,) which of them carry the label of a class that is never predicted.
        packed: What `Lookout.look` packs, on the host once `arrived` has happened.
        arrived: A CUDA event, or None where the device is the host.
    """

    batch: DeviceBatch
    labels: Labels
    masked: NDArray[np.bool_]
    packed: Tensor
    arrived: Any

    def seen(self, source: DeviceSource | None) -> RowsSeen:
        """The results; where a flag is up, the source looks at the batch itself first."""
        if self.arrived is not None:
            self.arrived.synchronize()  # pragma: no cover - needs a GPU
        n, m = self.batch.logits.shape[0], self.labels.size
        packed = self.packed.numpy().copy()
        hashes, low, high, right, flag = np.split(packed, np.cumsum([n, m, m, m]))
        if source is not None and flag.any():
            source.checked(self.batch.logits.cpu().numpy(), self.batch.start)
        low, high = low.view(np.float64), high.view(np.float64)
        low[self.masked], high[self.masked] = np.inf, -np.inf
        return RowsSeen(hashes.view(np.uint64), self.labels, low, high, right.astype(np.bool_))


@dataclass(frozen=True, slots=True)
class Lookout:
    """Everything about classes and checks, prepared on the device once.

    Attributes:
        columns: (c,) classes that the hash looks at.
        multipliers: (c,) their multipliers, as int64 of the same bits.
        kept: (k',) classes that may be predicted; None for all.
        slopes: (k',) of the family.
        shift: (k',) of the power family; None for the linear one.
        renumbered: (k,) place of each class among those kept, on the host.
        masked: (k,) which are not, on the host.
        door: What to watch for; None for nothing.
    """

    columns: Tensor
    multipliers: Tensor
    kept: Tensor | None
    slopes: Tensor
    shift: Tensor | None
    renumbered: NDArray[np.int64]
    masked: NDArray[np.bool_]
    door: ScoreDoor | None

    @classmethod
    def on(cls, logits: Tensor, family: Family, door: ScoreDoor | None) -> "Lookout":
        """Prepared on the device of these logits (n, k)."""
        device, masked = logits.device, np.isneginf(family.slopes)
        columns, multipliers = hashed_columns(logits.shape[1])
        return cls(
            _sent(columns, device),
            _sent(multipliers.view(np.int64), device),
            _sent(np.flatnonzero(~masked), device) if masked.any() else None,
            _sent(family.slopes[~masked], device),
            None if family.shift is None else _sent(family.shift[~masked], device),
            np.where(masked, 0, np.cumsum(~masked) - 1),
            masked,
            door,
        )

    def look(self, batch: DeviceBatch) -> Look:
        """Start all work on a batch, and the copy of its results, without waiting for either."""
        with torch.inference_mode():
            logits = batch.logits
            # A model may write its next scores into the same tensor, and this one may yet be fetched.
            logits = logits.float() if logits.element_size() < 4 else logits.clone()
            labels = np.empty(0, np.int64)
            rows = None
            if batch.labels is not None:
                which = np.flatnonzero(batch.labels != NO_LABEL)
                labels = batch.labels[which]
                rows = which if which.size < batch.labels.size else None
            parts = [
                hashes_of(logits, self.columns, self.multipliers),
                *self._intervals(logits, labels, rows),
            ]
            packed = torch.cat([*parts, self._flag(logits)])
            held = DeviceBatch(logits, batch.labels, batch.start)
            return Look(held, labels, self.masked[labels], *_on_its_way(packed))

    def _intervals(
        self, logits: Tensor, labels: Labels, rows: NDArray[np.int64] | None
    ) -> list[Tensor]:
        """Low, high and plain_right of the labelled rows, (m,) int64 each, tile by tile."""
        if not labels.size:
            return []
        every = [labels, self.renumbered[labels], *([] if rows is None else [rows])]
        sent = _sent(np.stack(every), logits.device)
        step = max(1, TILE // logits.shape[1])
        parts: list[list[Tensor]] = [[], [], []]
        for at in range(0, labels.size, step):
            part = sent[:, at : at + step]
            own, kept = part[0], part[1]
            tile = logits[at : at + step] if rows is None else logits.index_select(0, part[2])
            parts[2].append(first_best(tile, own).long())
            scores = (tile if self.kept is None else tile.index_select(1, self.kept)).double()
            if self.shift is None:
                low, high = linear(scores, kept, self.slopes)
            else:
                low, high = power(scores - self.shift, kept, self.slopes)
            parts[0].append(low.view(torch.int64))
            parts[1].append(high.view(torch.int64))
        return [one for part in parts for one in part]

    def _flag(self, logits: Tensor) -> Tensor:
        """(1,) int64, not 0 where the door may have something to say; it alone judges."""
        flag = ~torch.isfinite(logits).all()
        if self.door is not None and self.door.scores is None and logits.shape[0]:
            smallest, largest = logits.aminmax()
            flag = flag | ((smallest >= 0) & (largest <= 1))
            percent = (logits[0].double().sum() - 100).abs() <= 200 * SUM_TOLERANCE
            flag = flag | ((smallest >= 0) & percent)
            if not self.door.shift_blind:
                off = logits.double().logsumexp(1).abs().max()
                flag = flag | ((largest <= 0) & (off <= 2 * SUM_TOLERANCE))
        return flag.long()[None]


def _sent(array: NDArray[Any], device: Any) -> Tensor:
    """An array on the device; from page-locked memory, as any other copy waits for the device."""
    tensor = torch.from_numpy(array.copy())
    return (
        tensor.pin_memory().to(device, non_blocking=True)
        if device.type == "cuda"
        else tensor.to(device)
    )


def _on_its_way(packed: Tensor) -> tuple[Tensor, Any]:
    """Where it will be on the host, and the event that says so."""
    if packed.device.type == "cuda":  # pragma: no cover - needs a GPU
        there = torch.empty(packed.shape, dtype=packed.dtype, pin_memory=True)
        there.copy_(packed, non_blocking=True)
        arrived = torch.cuda.Event()
        arrived.record(torch.cuda.current_stream(packed.device))
        return there, arrived
    return packed.cpu(), None


@contextmanager
def _device_errors(place: str) -> Iterator[None]:
    """The one seam for what torch raises here; a fault of the model's own work may show only now."""
    try:
        yield
    except RuntimeError as error:
        if out_of_memory(torch, error):
            why = "the device has no memory left to tune in; give a smaller --batch-size"
        else:
            why = f"the device failed: {last_line(error)}"
        raise RunError(f"{place}: {why}") from error
