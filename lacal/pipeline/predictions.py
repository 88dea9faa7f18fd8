"""The predictions file: Parquet, one row an example, written in row groups that do not depend on batches."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lacal.atomic import writing
from lacal.classes.target import TargetPrior
from lacal.errors import DataError
from lacal.pipeline.scoring import PLAIN, ScoredBatch
from lacal.probabilities import Probabilities
from lacal.rows.source import Source

if TYPE_CHECKING:
    from lacal.formats.parquet_groups import RowGroups

GROUP_ROWS = 1 << 16
GROUP_BYTES = 1 << 25


@dataclass(frozen=True, slots=True)
class PredictionColumns:
    """Optional columns.

    Attributes:
        top_k: Number of best classes to list, by adjusted logit; 0 for none.
        scores: "logits" or "probs" to write every adjusted logit, or its probability, as float32; None for none.
    """

    top_k: int = 0
    scores: str | None = None


@dataclass(frozen=True, slots=True)
class Meaning:
    """What the confidences and probabilities of the file are; its metadata say so.

    Attributes:
        probabilities: Of the adjusted logits.
        target: The class shares that are in them; None for equal shares.
    """

    probabilities: Probabilities = PLAIN
    target: TargetPrior | None = None

    def metadata(self) -> dict[str, str]:
        """For the file; nothing where the probabilities are the plain softmax."""
        if self.target is None and self.probabilities.temperature == 1:
            return {}
        known: dict[str, Any] = {"temperature": self.probabilities.temperature}
        if self.target is not None:
            known["target_prior"] = self.target.name
            known["target_shares"] = self.target.prior.tolist()
        return {"probabilities": json.dumps(known)}


@contextlib.contextmanager
def predictions_writer(
    path: Path,
    columns: PredictionColumns,
    source: Source,
    class_names: tuple[str, ...] | None,
    *,
    meaning: Meaning = Meaning(),
    force: bool = True,
) -> "Iterator[PredictionsWriter]":
    """A writer whose file appears when the block ends well."""
    import pyarrow as pa

    from lacal.formats.parquet_groups import row_groups

    layout = _Layout(columns, source.classes, class_names, meaning)
    names = {}
    if class_names is not None:
        names["prediction_name"] = pa.array(class_names, pa.string())
    with (
        writing(path, replace=force) as file,
        row_groups(file, layout.group_rows, metadata=layout.metadata(), spelt=names) as groups,
    ):
        yield PredictionsWriter(layout, groups)


@dataclass(frozen=True, slots=True)
class PredictionsWriter:
    """Writes scored batches, in row groups that do not depend on where a batch ends.

    Attributes:
        layout: Which columns.
        groups: Where they go.
    """

    layout: "_Layout"
    groups: "RowGroups"

    def write(self, scored: ScoredBatch) -> None:
        """Add a batch."""
        self.groups.write(self.layout.table(scored))


@dataclass(frozen=True, slots=True)
class _Layout:
    """Turns a scored batch into the columns of the file."""

    columns: PredictionColumns
    classes: int
    class_names: tuple[str, ...] | None
    meaning: Meaning

    @property
    def group_rows(self) -> int:
        """Rows of a row group: fixed by the options, so that bytes do not depend on batches."""
        width = 4 * self.classes if self.columns.scores else 64 + 16 * self.columns.top_k
        return max(256, min(GROUP_ROWS, GROUP_BYTES // width))

    def table(self, scored: ScoredBatch) -> Any:
        import pyarrow as pa

        from lacal.formats.parquet_groups import fixed_lists

        batch, predictions = scored.batch, scored.predictions
        rows = predictions.size
        probabilities = scored.probabilities
        if probabilities is None:
            probabilities = self.meaning.probabilities.of(scored.adjusted)
        ids: Any = np.arange(batch.start, batch.start + rows) if batch.ids is None else batch.ids
        arrays: dict[str, Any] = {"id": pa.array(ids)}
        if batch.labels is not None:
            arrays["label"] = pa.array(batch.labels)  # NO_LABEL, -1, where a row has none
        arrays["prediction"] = pa.array(predictions)
        if self.class_names is not None:
            arrays["prediction_name"] = pa.array(predictions, pa.int32())  # spelt out when written
        arrays["confidence"] = pa.array(probabilities[np.arange(rows), predictions])
        arrays["unadjusted_prediction"] = pa.array(scored.unadjusted)
        arrays["changed"] = pa.array(predictions != scored.unadjusted)
        if self.columns.top_k:
            best = _best(scored.adjusted, self.columns.top_k)
            arrays["top_predictions"] = fixed_lists(best)
            arrays["top_confidences"] = fixed_lists(np.take_along_axis(probabilities, best, 1))
        if self.columns.scores:
            every = scored.adjusted if self.columns.scores == "logits" else probabilities
            arrays[f"adjusted_{self.columns.scores}"] = fixed_lists(_as_float32(every, batch.start))
        return pa.table(arrays)

    def metadata(self) -> dict[str, str]:
        """Of the file."""
        metadata = {"classes": str(self.classes), **self.meaning.metadata()}
        if self.class_names is not None:
            metadata["class_names"] = json.dumps(self.class_names)
        return metadata


def _as_float32(scores: NDArray[Any], start: int) -> NDArray[np.float32]:
    """The scores (n, k) as they are stored; infinite is none of them but what was."""
    with np.errstate(over="ignore"):
        stored = scores.astype(np.float32)
    lost = np.isinf(stored) != np.isinf(scores)
    if lost.any():
        row = int(lost.any(axis=1).argmax())
        raise DataError(
            f"row {start + row} has an adjusted logit beyond float32, as which they are stored; leave "
            "--write-scores logits out, or say --write-scores probs"
        )
    return stored


def _best(adjusted: NDArray[Any], top_k: int) -> NDArray[np.int64]:
    """(n, top_k) classes by falling score; ties by rising index, as argmax."""
    best: NDArray[np.int64] = np.argsort(-adjusted, axis=1, kind="stable")[:, :top_k]
    return best
