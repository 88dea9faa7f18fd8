"""Whether the rows that everything was tuned on are among those that it is scored on."""

from dataclasses import dataclass

from lacal.batch import Batch, Labels
from lacal.errors import DataError
from lacal.rows.fingerprint import Overlap, RowSketch
from lacal.rows.same_rows import RowMarks, SameRows, SharedRows


@dataclass(slots=True)
class SplitOverlap:
    """Looks for the validation rows among the test rows: by their logits, and by what they say of themselves.

    Attributes:
        tuned: Fingerprint of the validation rows.
        scored: Fingerprint of the test rows so far.
        labels: (n,) of the labelled validation rows, in order.
    """

    tuned: RowSketch
    scored: RowSketch
    labels: Labels
    _logits: Overlap
    _said: SharedRows

    @classmethod
    def looking_for(cls, tuned: RowSketch, marks: RowMarks, labels: Labels) -> "SplitOverlap":
        """No test row has passed yet."""
        logits = Overlap.with_rows(tuned.smallest)
        return cls(tuned, RowSketch(), labels, logits, SharedRows.looking_for(marks))

    def update(self, batch: Batch) -> None:
        """Look through a batch of test rows."""
        self.scored.update(batch)
        self._logits.update(batch)
        self._said.update(batch)

    @property
    def share(self) -> float:
        """Of the validation rows, those whose logits were found."""
        return self._logits.share

    @property
    def whole(self) -> bool:
        """Whether that share is exact: of every row, not of a sample."""
        same = (self.tuned.rows, self.tuned.digest) == (self.scored.rows, self.scored.digest)
        return same or self.tuned.smallest.size == self.tuned.rows

    def said(self) -> SameRows | None:
        """What ids and labels say, where the logits are others."""
        if self._logits.is_same_split(self.tuned.repeats):
            return None
        return self._said.same(self.labels)

    def refuse(self, val: str, test: str) -> None:
        """Refuse rows that were tuned on, and the same rows under another model, of which tuning says nothing.

        Raises:
            DataError: They are the same, by their logits, or by their ids and labels.
        """
        if self._logits.is_same_split(self.tuned.repeats):
            share = found_again(self.share, whole=self.whole)
            raise DataError(
                f"{test}: {share} rows of {val} are among these, and a method makes fewer errors on rows that it was tuned "
                "on than on new ones; score other rows, or say --allow-tuned-rows"
            )
        said = self.said()
        if said is not None and said.sure:
            told = "has the labels of that file row by row"
            if said.by == "ids":
                share = found_again(said.share, whole=said.whole)
                told = f"holds {share} labelled rows of that file, by id and label"
            raise DataError(
                f"{test}: these look like two models' logits of the same rows as {val}: it {told}, with other logits; "
                "to compare two runs say --runs; to compare methods give two splits of one model, or say --allow-tuned-rows"
            )


def found_again(share: float, *, whole: bool) -> str:
    """How many of a split's rows were found, in words that go before "rows".

    Args:
        share: Found of those that were looked for.
        whole: Whether that is every row, not a sample.

    Example:
        >>> found_again(1.0, whole=True), found_again(1.0, whole=False), found_again(0.373, whole=False)
        ('all', 'all or nearly all', 'about 37 % of the')
    """
    if share == 1.0:
        return "all" if whole else "all or nearly all"
    return f"{'' if whole else 'about '}{100 * share:.0f} % of the"
