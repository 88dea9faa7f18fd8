"""`ProbabilityTally`: how good probabilities are, as `adjust` tells it: log loss and calibration, in any class shares."""

from dataclasses import dataclass

import numpy as np

from lacal.batch import Labels, Logits, PerClass, PerRow
from lacal.metrics import BINS, CalibrationError, Score, ScoreTally, TopLabelBins


@dataclass(frozen=True, slots=True)
class Quality:
    """How good the probabilities of some rows are.

    Attributes:
        log_loss: In nats.
        calibration: Of the confidence in the prediction.
    """

    log_loss: Score
    calibration: CalibrationError


@dataclass(slots=True)
class ProbabilityTally:
    """What is said of the probabilities of some rows: log loss, and calibration of the predicted class.

    Attributes:
        scores: Log loss, by class.
        top: Confidence in the prediction against its being right.
    """

    scores: ScoreTally
    top: TopLabelBins

    @classmethod
    def empty(cls, classes: int, bins: int = BINS) -> "ProbabilityTally":
        """No rows yet."""
        return cls(ScoreTally.empty(classes), TopLabelBins.empty(classes, bins))

    def update(
        self,
        probabilities: Logits,
        predictions: Labels,
        labels: Labels,
        weights: PerRow | None = None,
    ) -> None:
        """Add rows (n, k); those without a label do not count."""
        self.scores.update(probabilities, labels, weights)
        confidence = probabilities[np.arange(labels.size), predictions].astype(
            np.float64, copy=False
        )
        self.top.update(confidence, predictions == labels, labels, weights)

    def under(self, prior: PerClass | None) -> Quality:
        """In the class shares of a prior (k,); None for equal shares."""
        shares = np.ones(self.scores.support.size) if prior is None else prior
        return Quality(self.scores.log_loss(shares), self.top.error(class_weights=shares))
