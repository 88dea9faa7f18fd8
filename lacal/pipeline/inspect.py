"""`inspect`: what a source holds and what looks wrong with it, before anything is done with it."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lacal.batch import NO_LABEL
from lacal.classes.names import some_classes
from lacal.classes.prior import LabelPrior
from lacal.metrics import ClassTally
from lacal.pipeline.doubts import UNRELATED, at_chance, far_apart
from lacal.ranks import rank_correlation
from lacal.rows.scores import are_log_probs
from lacal.rows.source import Source

# A class order mix-up shows as a prior that runs against what the model predicts.
CONTRARY = -0.2
# Columns, one a class, from which on opening and reading them costs more than their numbers.
MANY_COLUMNS = 10_000


@dataclass(frozen=True, slots=True)
class Inspection:
    """What one pass saw.

    Attributes:
        rows: Number of rows.
        tally: Support and errors of the plain argmax, empty where rows carry no label.
        predicted: (k,) rows whose plain argmax is the class.
        low: Smallest logit.
        high: Largest logit.
        constant_rows: Rows whose logits are all equal.
        tied_rows: Rows whose largest logit occurs more than once.
        unlabelled: Rows without a label.
        findings: What looks wrong, a sentence each.
        log_probs: Whether every row is of log-probabilities.
    """

    rows: int
    tally: ClassTally
    predicted: NDArray[np.int64]
    low: float
    high: float
    constant_rows: int
    tied_rows: int
    unlabelled: int
    findings: list[str] = field(default_factory=list)
    log_probs: bool = False


def inspect(source: Source, prior: LabelPrior | None) -> Inspection:
    """Look through a source once.

    Args:
        source: Logits, with labels or without.
        prior: Training counts in the source's class order, to compare with.
    """
    tally = ClassTally.empty(source.classes)
    predicted = np.zeros(source.classes, np.int64)
    rows = constant = tied = unlabelled = 0
    low, high, log_probs = np.inf, -np.inf, True
    for batch in source.batches():
        largest, smallest = batch.logits.max(axis=1), batch.logits.min(axis=1)
        predictions = batch.logits.argmax(axis=1)
        rows += predictions.size
        low, high = min(low, float(smallest.min())), max(high, float(largest.max()))
        constant += int(np.count_nonzero(largest == smallest))
        log_probs = log_probs and are_log_probs(batch.logits[:1]) and are_log_probs(batch.logits)
        tied += int(np.count_nonzero((batch.logits == largest[:, None]).sum(axis=1) > 1))
        predicted += np.bincount(predictions, minlength=source.classes)
        tally.update(batch.labels, predictions)
        if batch.labels is not None:
            unlabelled += int(np.count_nonzero(batch.labels == NO_LABEL))
    seen = Inspection(
        rows, tally, predicted, low, high, constant, tied, unlabelled, log_probs=log_probs
    )
    seen.findings.extend(_findings(seen, source, prior))
    return seen


def _findings(seen: Inspection, source: Source, prior: LabelPrior | None) -> list[str]:
    found = []
    # Of a file: a model's logits are no columns
    columns = len(getattr(source, "logits_fields", ()))
    if columns > MANY_COLUMNS:
        found.append(
            f"the logits are {columns:,} columns, one a class, which are slow to open and to read; write them as "
            "one column of lists, `logits`"
        )
    if seen.constant_rows:
        found.append(f"{seen.constant_rows:,} rows are constant: every class has the same logit")
    if seen.tied_rows > max(seen.constant_rows, seen.rows // 100):
        found.append(
            f"{seen.tied_rows:,} rows tie for the largest logit; coarse numbers? ties go to the lowest class"
        )
    if source.labelled:
        names = source.class_names if prior is None else prior.class_names
        found += _label_findings(seen, names)
    if prior is not None:
        found += _prior_findings(seen, prior)
    return found


def _label_findings(seen: Inspection, names: tuple[str, ...] | None) -> list[str]:
    found = []
    k = seen.tally.support.size
    if seen.tally.absent.size:
        some = some_classes(seen.tally.absent.tolist(), names)
        found.append(f"{seen.tally.absent.size} of {k} classes have no labelled row: {some}")
    return found + at_chance(seen.tally, names)


def _prior_findings(seen: Inspection, prior: LabelPrior) -> list[str]:
    if seen.predicted.sum() < seen.predicted.size or prior.imbalance_ratio == 1:
        return []
    correlation = rank_correlation(prior.class_counts, seen.predicted)
    told = f"(rank correlation {correlation:.2f}); are counts and logits in one class order"
    if correlation <= CONTRARY:
        return [f"classes with more training examples are predicted less often {told}?"]
    present = prior.class_counts[prior.class_counts > 0]
    if far_apart(present) and correlation <= UNRELATED:
        corrected = "or is the model corrected already (balanced loss or sampler)?"
        return [
            f"classes with more training examples are not predicted more often {told}, {corrected}"
        ]
    return []
