"""`TargetPrior`: how often each class occurs where the model will be used."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lacal.batch import PerClass
from lacal.classes.counts import read_shares
from lacal.classes.prior import LabelPrior
from lacal.errors import UsageError
from lacal.formats.shown import place as place_of
from lacal.formats.shown import printable

UNIFORM = "uniform"
TRAIN = "train"
SAME_SHARE = 1e-6


@dataclass(frozen=True, slots=True)
class TargetPrior:
    """Class shares under which an error, or a probability, is asked for.

    Attributes:
        name: "uniform", "train", or the file they come from.
        prior: (k,) >= 0, sums to 1.
    """

    name: str
    prior: PerClass

    @classmethod
    def uniform(cls, classes: int) -> "TargetPrior":
        """Every class alike."""
        return cls(UNIFORM, np.full(classes, 1 / classes))

    @property
    def is_uniform(self) -> bool:
        """Whether every class has the same share."""
        return bool(np.ptp(self.prior) < SAME_SHARE)

    def is_like(self, other: "TargetPrior") -> bool:
        """Whether both give every class the same share."""
        return bool(np.abs(self.prior - other.prior).max() < SAME_SHARE)

    def in_words(self) -> str:
        """Where the shares hold, for a sentence.

        Example:
            >>> TargetPrior("train", np.array([0.9, 0.1])).in_words()
            'in the class shares of training'
        """
        if self.name in (UNIFORM, TRAIN):
            return self.in_short().replace("in class", "in the class")
        return f"in the class shares of {printable(self.name, 200)}"

    def in_short(self) -> str:
        """The same for a table: a file without its folder."""
        if self.name == UNIFORM:
            return "in equal class shares"
        named = "training" if self.name == TRAIN else printable(Path(self.name).name, 24)
        return f"in class shares of {named}"

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
        text: What the user gave. A file holds shares or counts, as any file of training counts.
        prior: The training counts, for "train".
        classes: k.
        class_names: Names of the classes, where known, to hold the file against.
        place: Where the classes come from, for messages.

    Raises:
        UsageError: "train" without training counts.
        DataError: The file is of other classes, or holds no shares.
    """
    if text == UNIFORM:
        return TargetPrior.uniform(classes)
    if text == TRAIN:
        if prior is None:
            raise UsageError(
                "--target-prior train: the training counts are not known; give --counts FILE"
            )
        return TargetPrior(TRAIN, np.exp(prior.log_prior))
    # An empty path would stand for the folder lacal runs in.
    if not text or not Path(text).exists():
        named = place_of(Path(text)) if text else ""
        raise UsageError(
            f"--target-prior: got '{named}', which is no file; expected uniform, train, or a FILE of class,share"
        )
    counts = read_shares(Path(text))
    names = class_names if prior is None else prior.class_names
    return TargetPrior(text, counts.shares(classes=classes, class_names=names, logits_place=place))
