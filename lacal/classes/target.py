"""`TargetPrior`: how often each class occurs where the model will be used."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lacal.batch import PerClass
from lacal.classes.counts import read_counts
from lacal.classes.prior import LabelPrior
from lacal.errors import UsageError

UNIFORM = "uniform"
TRAIN = "train"


@dataclass(frozen=True, slots=True)
class TargetPrior:
    """Class shares under which an error, or a probability, is asked for.

    Attributes:
        name: "uniform", "train", or the file they come from.
        prior: (k,) >= 0, sums to 1.
    """

    name: str
    prior: PerClass

    @property
    def log_prior(self) -> PerClass:
        """(k,) its log; -inf for a class that does not occur."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self.prior), np.float64)


def target_prior(
    text: str,
    prior: LabelPrior | None,
    *,
    classes: int,
    class_names: tuple[str, ...] | None,
    place: str,
) -> TargetPrior:
    """The prior that `uniform`, `train` or a file stands for.

    Args:
        text: What the user gave. A file holds counts or shares, as any file of training counts.
        prior: The training counts, for "train".
        classes: k.
        class_names: Names of the classes, where known, to hold the file against.
        place: Where the classes come from, for messages.

    Raises:
        UsageError: "train" without training counts.
        DataError: The file is of other classes, or holds no shares.
    """
    if text == UNIFORM:
        return TargetPrior(UNIFORM, np.full(classes, 1 / classes))
    if text == TRAIN:
        if prior is None:
            raise UsageError(
                "--target-prior train: the training counts are not known; give --counts FILE"
            )
        return TargetPrior(TRAIN, np.exp(prior.log_prior))
    counts = read_counts(Path(text))
    names = class_names if prior is None else prior.class_names
    return TargetPrior(text, counts.shares(classes=classes, class_names=names, logits_place=place))
