"""`adjust`: adjusted predictions, row by row, into one Parquet file."""

from dataclasses import dataclass
from pathlib import Path

from lacal.calibration import Calibration
from lacal.pipeline.predictions import PredictionColumns, predictions_writer
from lacal.pipeline.scoring import Scored, Scorer
from lacal.source import Source


@dataclass(frozen=True, slots=True)
class Adjusted:
    """What `adjust` did.

    Attributes:
        path: The file it wrote.
        calibration: What it applied.
        scored: Counts, and errors where rows carried labels.
    """

    path: Path
    calibration: Calibration
    scored: Scored


def adjust(
    source: Source,
    calibration: Calibration,
    path: Path,
    columns: PredictionColumns,
    *,
    allow_tuned_rows: bool = False,
    force: bool = True,
) -> Adjusted:
    """Apply a calibration to every row and write the predictions, whole or not at all.

    Args:
        source: Logits, with labels or without.
        calibration: What to apply.
        path: The Parquet file to write.
        columns: Which optional columns to write.
        allow_tuned_rows: Score the rows that tau was tuned on all the same.
        force: Replace a file that is there.

    Raises:
        DataError: A row cannot be scored; nothing is written.
        RunError: The file cannot be written.
    """
    scorer = Scorer(source, calibration, allow_tuned_rows)
    names = calibration.class_names or source.class_names
    known = tuple(names) if names else None
    with predictions_writer(path, columns, source, known, force=force) as writer:
        for scored in scorer.batches():
            writer.write(scored)
    return Adjusted(path, calibration, scorer.totals)
