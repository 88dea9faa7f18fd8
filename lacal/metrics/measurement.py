"""`Measurement`: everything that is measured of one set of predictions, in one pass."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lacal.batch import Labels, PerRow
from lacal.metrics.class_wise import ClassWiseBins
from lacal.metrics.moments import counted
from lacal.metrics.reliability import BINS, TopLabelBins
from lacal.metrics.scores import ScoreTally
from lacal.metrics.tallies import ClassTally


@dataclass(slots=True)
class Measurement:
    """What one evaluation accumulates; merges part by part.

    Attributes:
        classes: k.
        bins: Number of bins of the calibration errors.
        tally: Errors per class.
        scores: Log loss and Brier score; None until probabilities come.
        top: Calibration of the predicted class; None until confidences or probabilities come.
        class_wise: Calibration of every class; None until probabilities come.
    """

    classes: int
    bins: int = BINS
    tally: ClassTally = field(init=False)
    scores: ScoreTally | None = None
    top: TopLabelBins | None = None
    class_wise: ClassWiseBins | None = None

    def __post_init__(self) -> None:
        self.tally = ClassTally.empty(self.classes)

    def update(
        self,
        labels: Labels | None,
        predictions: Labels,
        probabilities: NDArray[np.floating] | None = None,
        confidence: PerRow | None = None,
        weights: PerRow | None = None,
        *,
        log_true: PerRow | None = None,
    ) -> None:
        """Add rows; those without a label or of weight 0 do not count.

        Args:
            labels: (n,), or None where no row has one.
            predictions: (n,).
            probabilities: (n, k).
            confidence: (n,) probability of the prediction; taken from `probabilities` where there are any.
            weights: (n,) >= 0.
            log_true: (n,) as in `ScoreTally.update`.
        """
        if labels is None:
            return
        rows = counted(labels, weights)
        if rows is not None:
            labels, predictions = labels[rows], predictions[rows]
            probabilities = None if probabilities is None else probabilities[rows]
            confidence = None if confidence is None else confidence[rows]
            weights = None if weights is None else weights[rows]
            log_true = None if log_true is None else log_true[rows]
        self.tally.update(labels, predictions, weights)
        if probabilities is not None:
            confidence = probabilities[np.arange(labels.size), predictions].astype(np.float64)
            self.scores = self.scores or ScoreTally.empty(self.classes)
            self.scores.update(probabilities, labels, weights, log_true=log_true)
            self.class_wise = self.class_wise or ClassWiseBins.empty(self.classes, self.bins)
            self.class_wise.update(probabilities, labels, weights)
        if confidence is not None:
            self.top = self.top or TopLabelBins.empty(self.classes, self.bins)
            self.top.update(confidence, predictions == labels, labels, weights)

    def merge(self, other: "Measurement") -> None:
        """Add another part's rows."""
        self.tally.merge(other.tally)
        if other.scores is not None:
            self.scores = self.scores or ScoreTally.empty(self.classes)
            self.scores.merge(other.scores)
        if other.top is not None:
            self.top = self.top or TopLabelBins.empty(self.classes, self.bins)
            self.top.merge(other.top)
        if other.class_wise is not None:
            self.class_wise = self.class_wise or ClassWiseBins.empty(self.classes, self.bins)
            self.class_wise.merge(other.class_wise)
