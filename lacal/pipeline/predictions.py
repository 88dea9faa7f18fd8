"""The predictions file: Parquet, one row an example, written in row groups that do not depend on batches."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.atomic import writing
from lacal.errors import RunError
from lacal.pipeline.scoring import ScoredBatch
from lacal.source import Source

GROUP_ROWS = 1 << 16
GROUP_BYTES = 1 << 25


@dataclass(frozen=True, slots=True)
class PredictionColumns:
    """Optional columns.

    Attributes:
        top_k: Number of best classes to list; 0 for none.
        scores: "logits" or "probs" to write every adjusted score as float32; None for none.
    """

    top_k: int = 0
    scores: str | None = None


@contextlib.contextmanager
def predictions_writer(
    path: Path,
    columns: PredictionColumns,
    source: Source,
    class_names: tuple[str, ...] | None,
    *,
    force: bool = True,
) -> "Iterator[PredictionsWriter]":
    """A writer whose file appears when the block ends well."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with writing(path, replace=force) as file:
        layout = _Layout(columns, source.classes, class_names)
        writer = PredictionsWriter(layout, None, file, pq, pa)
        try:
            yield writer
            writer.close()
        except BaseException:
            writer.abandon()
            raise


@dataclass(slots=True)
class PredictionsWriter:
    """Collects rows into row groups of a fixed number of rows and writes them.

    Attributes:
        layout: Which columns.
        parquet: Opened with the first rows, whose ids decide the type of the id column.
        file: Where bytes go.
    """

    layout: "_Layout"
    parquet: Any
    file: Any
    pq: Any
    pa: Any
    _waiting: list[Any] = field(default_factory=list)
    _rows: int = 0

    def write(self, scored: ScoredBatch) -> None:
        """Add a batch."""
        table = self.layout.table(scored, self.pa)
        self._waiting.append(table)
        self._rows += table.num_rows
        while self._rows >= self.layout.group_rows:
            self._flush(self.layout.group_rows)

    def close(self) -> None:
        """Write what waits and the footer."""
        if self._rows:
            self._flush(self._rows)
        if self.parquet is not None:
            self.parquet.close()

    def abandon(self) -> None:
        """Let go of a file that will not be; pyarrow would complain when it is collected."""
        if self.parquet is not None:
            with contextlib.suppress(OSError, ValueError, self.pa.ArrowException):
                self.parquet.close()
            self.parquet.is_open = False

    def _flush(self, rows: int) -> None:
        waiting = self.pa.concat_tables(self._waiting)
        if self.parquet is None:
            self.parquet = self.pq.ParquetWriter(
                self.file, waiting.schema, compression="zstd", write_page_checksum=True
            )
        try:
            self.parquet.write_table(waiting.slice(0, rows), row_group_size=rows)
        except self.pa.ArrowException as error:
            raise RunError(f"predictions could not be written ({str(error)[:120]})") from error
        self._waiting = [waiting.slice(rows)]
        self._rows -= rows


@dataclass(frozen=True, slots=True)
class _Layout:
    """Turns a scored batch into the columns of the file."""

    columns: PredictionColumns
    classes: int
    class_names: tuple[str, ...] | None

    @property
    def group_rows(self) -> int:
        """Rows of a row group: fixed by the options, so that bytes do not depend on batches."""
        width = 4 * self.classes if self.columns.scores else 64 + 16 * self.columns.top_k
        return max(256, min(GROUP_ROWS, GROUP_BYTES // width))

    def table(self, scored: ScoredBatch, pa: Any) -> Any:
        batch, predictions = scored.batch, scored.predictions
        rows = predictions.size
        probabilities = _softmax(scored.adjusted)
        ids: Any = np.arange(batch.start, batch.start + rows) if batch.ids is None else batch.ids
        arrays: dict[str, Any] = {"id": pa.array(ids)}
        if batch.labels is not None:
            arrays["label"] = pa.array(batch.labels)  # NO_LABEL, -1, where a row has none
        arrays["prediction"] = pa.array(predictions)
        if self.class_names is not None:
            arrays["prediction_name"] = pa.DictionaryArray.from_arrays(
                pa.array(predictions, pa.int32()), pa.array(self.class_names, pa.string())
            )
        arrays["confidence"] = pa.array(probabilities[np.arange(rows), predictions])
        arrays["unadjusted_prediction"] = pa.array(scored.unadjusted)
        arrays["changed"] = pa.array(predictions != scored.unadjusted)
        if self.columns.top_k:
            best = _best(scored.adjusted, self.columns.top_k)
            arrays["top_predictions"] = _lists(best, pa)
            arrays["top_confidences"] = _lists(np.take_along_axis(probabilities, best, 1), pa)
        if self.columns.scores:
            every = scored.adjusted if self.columns.scores == "logits" else probabilities
            arrays[f"adjusted_{self.columns.scores}"] = _lists(every.astype(np.float32), pa)
        metadata = {"classes": str(self.classes)}
        if self.class_names is not None:
            metadata["class_names"] = json.dumps(self.class_names)
        return pa.table(arrays).replace_schema_metadata(metadata)


def _lists(values: NDArray[Any], pa: Any) -> Any:
    flat = pa.array(np.ascontiguousarray(values).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])


def _best(adjusted: NDArray[np.float64], top_k: int) -> NDArray[np.int64]:
    """(n, top_k) classes by falling score; ties by rising index, as argmax."""
    best: NDArray[np.int64] = np.argsort(-adjusted, axis=1, kind="stable")[:, :top_k]
    return best


def _softmax(adjusted: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = np.asarray(np.exp(adjusted - adjusted.max(axis=1, keepdims=True)), np.float64)
    shifted /= shifted.sum(axis=1, keepdims=True)
    return shifted
