"""`Probabilities`: adjusted logits as class probabilities, at a temperature and under a target prior.

Adjusted logits estimate log p(x | class), up to a constant a row: their softmax is the posterior under
equal class shares. Another prior q enters as `+ log q`. tau and temperature are one knob: the classes
that `logits - tau * log_prior` ranks are those of `logits / T - log_prior` at T = tau (Menon et al.,
2021, section 4), so a tau that was tuned leaves a temperature to be fitted.
"""

from dataclasses import dataclass

import numpy as np

from lacal.batch import Labels, Logits, PerClass, PerRow

# Its exp, over a sum of up to a thousand ones, is a normal number of float32 still
LOWEST_FLOAT32 = -80.0

LOWEST_LOG = -1e50  # its square, times that of the largest weight, still is a number


@dataclass(frozen=True, slots=True)
class Probabilities:
    """`softmax(adjusted / temperature + log_target)`, row by row.

    Attributes:
        temperature: Finite, > 0; 1 leaves the adjusted logits as they are.
        log_target: (k,) log of the class shares where the probabilities are used, -inf for a class that
            never occurs there; None for equal shares, which add nothing.

    Example:
        >>> Probabilities(temperature=2.0).of(np.array([[0.0, 2 * np.log(3.0)]])).round(6)
        array([[0.25, 0.75]])
    """

    temperature: float = 1.0
    log_target: PerClass | None = None

    def of(self, adjusted: Logits) -> Logits:
        """(n, k) probabilities of adjusted logits (n, k), a new array; every row needs a class that is possible.

        A class whose adjusted logit is -inf, which is never predicted, has probability 0. float32 stays
        float32, which is faster, unless a probability would vanish in it.
        """
        # The largest is taken off before anything is scaled, so that at worst a distance is infinite: in both steps.
        with np.errstate(over="ignore"):
            scores: Logits = adjusted - adjusted.max(axis=1, keepdims=True)
        if scores.dtype == np.float32 and not self._holds(scores):
            scores = scores.astype(np.float64)
        if self.temperature != 1:
            with np.errstate(over="ignore"):
                scores /= self.temperature
        if self.log_target is not None:
            scores += self.log_target
            scores -= scores.max(axis=1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=1, keepdims=True)
        return scores

    def log_of_own(
        self, adjusted: Logits, probabilities: Logits, labels: Labels, predictions: Labels
    ) -> PerRow:
        """(n,) log of the probability of each row's label, finite where the probability itself has vanished.

        By the label's distance from the prediction, whose probability never vanishes but where the target
        prior rules it out. -inf below `LOWEST_LOG`. Without meaning where a row has no label.

        Args:
            adjusted: (n, k) adjusted logits.
            probabilities: (n, k) `of` them.
            labels: (n,).
            predictions: (n,).
        """
        rows = np.arange(labels.size)
        own, likely = (probabilities[rows, one].astype(np.float64) for one in (labels, predictions))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            apart = adjusted[rows, labels].astype(np.float64) - adjusted[rows, predictions]
            apart /= self.temperature
            if self.log_target is not None:
                apart += self.log_target[labels] - self.log_target[predictions]
            log_own = np.where(likely > 0, np.log(likely) + apart, np.log(own))
        return np.where(log_own < LOWEST_LOG, -np.inf, log_own)

    def _holds(self, scores: Logits) -> bool:
        """Whether float32 holds every probability of these scores (n, k), whose largest a row is 0."""
        lowest = float(scores.min()) / self.temperature
        if self.log_target is not None:
            lowest += float(self.log_target.min()) - float(self.log_target.max())
        return lowest > LOWEST_FLOAT32
