"""From batches to working parts: rows gather in one buffer while a thread writes the one before."""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from lacal.batch import NO_LABEL, Batch, Ids, Labels, Logits
from lacal.errors import Interruption, RunError
from lacal.pipeline.parts_store import PartsStore
from lacal.rows.source import Restartable

# A part closes at the first of these; the final file does not depend on where parts end.
PART_BYTES = 64 << 20
PART_ROWS = 1 << 20
PART_SECONDS = 30.0


def collect(source: Restartable, store: PartsStore) -> None:
    """Run the rows that are missing and keep them in parts; a run that is asked to stop keeps what it has.

    Raises:
        RunError: The disk has no room for all, a part could not be written, or the source failed; parts before it
            are kept.
    """
    if store.parts:
        source.batch_size = store.parts[-1].batch_size
    if store.ended:
        return
    begun = store.rows
    block: _Block | None = None
    writing: Future[None] | None = None
    with ThreadPoolExecutor(1, "parts") as thread:
        try:
            for batch in source.batches(store.rows):
                if writing is not None and writing.done():
                    writing.result()  # a full disk ends the run now, not a part later
                    writing = None
                if block is not None and not block.takes(batch):
                    if writing is not None:
                        writing.result()
                    writing = thread.submit(block.keep_in, store, last=False)
                    block = None
                if block is None:
                    if batch.start == begun and source.rows is not None:
                        store.check_room(source.rows, batch.logits[0].nbytes)
                    block = _Block.begun_with(batch, source.labelled)
                block.add(batch, source.batch_size)
        except (KeyboardInterrupt, Interruption):
            thread.shutdown()
            if block is not None and block.rows and block.start == store.rows:
                block.keep_in(store, last=False)
            raise
        if writing is not None:
            writing.result()
    if block is not None:
        block.keep_in(store, last=True)


@dataclass(slots=True)
class _Block:
    """Rows on their way into a part: buffers filled from the front."""

    start: int
    logits: Logits  # (capacity, k)
    labels: Labels | None  # (capacity,)
    ids: list[Ids] = field(default_factory=list)
    id_bytes: int = 0
    rows: int = 0
    batch_size: int = 0
    since: float = field(default_factory=time.monotonic)

    @classmethod
    def begun_with(cls, batch: Batch, labelled: bool) -> "_Block":
        rows, classes = batch.logits.shape
        fitting = min(PART_ROWS, PART_BYTES // (batch.logits.itemsize * classes))
        capacity = max(rows, fitting)
        labels = np.empty(capacity, np.int64) if labelled else None
        return cls(batch.start, np.empty((capacity, classes), batch.logits.dtype), labels)

    def takes(self, batch: Batch) -> bool:
        return (
            self.rows + batch.logits.shape[0] <= self.logits.shape[0]
            and self.id_bytes < PART_BYTES
            and time.monotonic() - self.since < PART_SECONDS
        )

    def add(self, batch: Batch, batch_size: int) -> None:
        """Copy a batch; `batch_size` is that of the next, where a resumed run would start."""
        if batch.logits.dtype != self.logits.dtype:
            raise RunError(
                f"scores of row {batch.start:,} and on are {batch.logits.dtype}, those before it {self.logits.dtype}; "
                "expected one type throughout; save the model so that it gives one"
            )
        rows = slice(self.rows, self.rows + batch.logits.shape[0])
        self.logits[rows] = batch.logits
        if self.labels is not None:
            self.labels[rows] = NO_LABEL if batch.labels is None else batch.labels
        if batch.ids is not None:
            self.ids.append(batch.ids.copy())
            self.id_bytes += batch.ids.nbytes
        self.batch_size = batch_size
        self.rows = rows.stop  # last: a batch that a stop cut short does not count

    def keep_in(self, store: PartsStore, *, last: bool) -> None:
        """Make an Arrow table of the rows and keep it as a part."""
        import pyarrow as pa

        from lacal.formats.parquet_groups import fixed_lists, numbers

        columns, labelled = {}, 0
        if self.ids:
            ids = np.concatenate(self.ids)[: self.rows]  # a stop in `add` may leave more
            columns["id"] = (
                pa.array(ids.tolist(), pa.string()) if ids.dtype.kind == "U" else numbers(ids)
            )
        if self.labels is not None:
            known = self.labels[: self.rows]
            columns["label"], labelled = numbers(known), int((known != NO_LABEL).sum())
        columns["logits"] = fixed_lists(self.logits[: self.rows])
        store.keep(pa.table(columns), self.start, labelled, self.batch_size, last=last)
