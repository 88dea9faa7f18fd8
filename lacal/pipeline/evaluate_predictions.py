"""`evaluate_predictions`: the same measures of a file of decisions, and of whatever scores it keeps beside them.

A file without scores is measured by its predictions alone.
"""

from lacal.metrics import FlowTally, Measurement, PairedTally
from lacal.pipeline.evaluate import Evaluation, refuse_uncounted
from lacal.pipeline.keeping import Keep
from lacal.pipeline.scoring import ERRORS_AND_MEASURES
from lacal.rows.decisions import decisions_of
from lacal.rows.predicted_scores import PredictionsFile


def evaluate_predictions(file: PredictionsFile, *, keep: Keep = ERRORS_AND_MEASURES) -> Evaluation:
    """Measure a file that holds a label and a prediction a row.

    Args:
        file: Open one with `open_predictions`.
        keep: What to gather beside the errors; a path it has none.

    Raises:
        DataError: No row counts, or a field does not hold what its name says.
    """
    k, both, seen = file.classes, file.beside.unadjusted is not None, 0
    measured, before = Measurement(k, keep.bins), Measurement(k, keep.bins)
    paired = PairedTally.empty(k)
    flows = FlowTally.of(keep.groups.masks) if both and keep.groups is not None else None
    for one in file.scored_rows():
        labels, weights = one.labels, one.weights
        seen += labels.size
        measured.update(
            labels,
            one.predictions,
            one.probabilities if keep.measures else None,
            confidence=one.confidence if keep.measures else None,
            weights=weights,
            log_true=one.log_true if keep.measures else None,
        )
        if one.unadjusted is not None:
            before.update(labels, one.unadjusted, weights=weights)
            paired.update(labels, one.unadjusted, one.predictions, weights)
            if flows is not None:
                flows.update(one.unadjusted, one.predictions, labels)
    weighted = file.beside.weights is not None
    refuse_uncounted(measured.tally, weighted, file.place)
    decisions = None
    if keep.decisions:
        path, names = file.rows.table.path, file.class_names
        decisions = decisions_of(path, file.options, class_names=names)
    return Evaluation(
        seen,
        measured,
        before if both else None,
        paired if both else None,
        flows,
        decisions=decisions,
        weighted=weighted,
        probabilities=file.beside.meaning,
    )
