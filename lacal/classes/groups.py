"""`Groups`: which classes are looked at together, and the rules that say so.

By thresholds of the training counts (many, medium, few), by quantiles of them, or as a file lists the
classes (`lacal.classes.group_file`). The papers draw the thresholds differently (n >= 100 or > 100, n <= 20 or
< 20); lacal follows Kang et al. 2020, Hong et al. 2021 and Ren et al. 2020, and prints the rule beside
the numbers.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lacal.classes.group_file import MOST_GROUPS, group_of_each, read_groups
from lacal.errors import UsageError

MANY_ABOVE = 100
FEW_BELOW = 20

Mask = NDArray[np.bool_]  # (k,)


@dataclass(frozen=True, slots=True)
class Groups:
    """Masks (k,) of the classes; together they cover every class once.

    Attributes:
        masks: Group -> (k,) bool.
        rule: Group -> what it is, in words: the boundary of its training counts, or the file.
        by_counts: Whether the rules are boundaries of training counts.
    """

    masks: dict[str, Mask]
    rule: dict[str, str]
    by_counts: bool = True

    def title(self, name: str) -> str:
        """The group with its training counts, such as "few (< 20 training)"; by its name alone where a file lists it."""
        return f"{name} ({self.rule[name]} training)" if self.by_counts else name


class Classes(Protocol):
    """Whatever knows its classes: a source, a predictions file."""

    @property
    def classes(self) -> int:
        """Number of classes, k."""

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Names of the classes, where known."""


class Counted(Protocol):
    """Whatever knows the training counts of its classes: a label prior."""

    @property
    def class_counts(self) -> NDArray[np.int64]:
        """(k,) training examples."""

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Names of the classes, where known."""


@dataclass(frozen=True, slots=True)
class GroupRule:
    """How classes are put into groups; the thresholds unless a number of quantiles or a file is given.

    Attributes:
        many_above: Many-shot classes have more training examples than this.
        few_below: Few-shot classes have fewer training examples than this.
        quantiles: Groups of about as many classes each, by falling training count; None for none.
        listed: Class (by name or number) -> group, as a file says; None for none.
        place: The file, for messages.
    """

    many_above: float = MANY_ABOVE
    few_below: float = FEW_BELOW
    quantiles: int | None = None
    listed: dict[str, str] | None = None
    place: str = "--groups"

    def __post_init__(self) -> None:
        if min(self.few_below, self.many_above) < 0:
            raise UsageError(
                f"--groups: got {self.many_above:g},{self.few_below:g}, expected training counts, which go from 0"
            )
        if not self.few_below <= self.many_above:
            raise UsageError(
                f"--groups: few below {self.few_below:g} and many above {self.many_above:g} overlap; "
                "expected FEW <= MANY"
            )

    @classmethod
    def parse(cls, text: str) -> "GroupRule":
        """Read `MANY,FEW`, `quantiles:N`, or the path of a file of class,group.

        Raises:
            UsageError: It is none of them.
            DataError: The file does not put every class it names into one group.
        """
        thresholds = _numbers(text)
        if thresholds is not None:
            return cls(*thresholds)
        kind, _, parts = text.partition(":")
        if kind != "quantiles":
            from lacal.formats.shown import place

            # An empty path would stand for the folder lacal runs in.
            if not text or not Path(text).exists():
                named = place(Path(text)) if text else ""
                raise UsageError(
                    f"--groups: got '{named}', which is no file; expected MANY,FEW (such as 100,20), "
                    "quantiles:N, or a FILE of class,group"
                )
            return cls(listed=read_groups(Path(text)), place=text)
        if not (parts.isascii() and parts.isdigit() and 2 <= int(parts[:9]) <= MOST_GROUPS):
            raise UsageError(
                f"--groups: got {text!r}, expected quantiles:N with N from 2 to {MOST_GROUPS}"
            )
        return cls(quantiles=int(parts))

    def groups(self, prior: Counted | None, source: Classes | None = None) -> Groups | None:
        """The groups of a problem's classes; None where they need training counts that are not known.

        Args:
            prior: The training counts, where known.
            source: Says the classes, or their names, where the counts do not.
        """
        if prior is None:
            known = source if self.listed is not None else None
            return None if known is None else self.by_name(known.classes, known.class_names)
        if self.listed is None:
            return self.by_counts(prior.class_counts)
        names = prior.class_names or (None if source is None else source.class_names)
        return self.by_name(prior.class_counts.size, names)

    def by_counts(self, class_counts: NDArray[np.int64]) -> Groups:
        """The groups of classes with these training counts (k,)."""
        if self.quantiles is not None:
            return _by_quantiles(class_counts, self.quantiles)
        many, few = class_counts > self.many_above, class_counts < self.few_below
        above, below = f"{self.many_above:g}", f"{self.few_below:g}"
        return Groups(
            {"many": many, "medium": ~many & ~few, "few": few},
            {"many": f"> {above}", "medium": f"{below}..{above}", "few": f"< {below}"},
        )

    def by_name(self, classes: int, class_names: tuple[str, ...] | None) -> Groups:
        """The groups as the file lists the classes.

        Raises:
            DataError: It leaves a class out, or names one that is not there.
        """
        group_of = group_of_each(self.listed or {}, classes, class_names, self.place)
        names = list(dict.fromkeys((self.listed or {}).values()))
        masks = {name: np.array([one == name for one in group_of]) for name in names}
        return Groups(masks, dict.fromkeys(names, f"as in {self.place}"), by_counts=False)


def _by_quantiles(class_counts: NDArray[np.int64], parts: int) -> Groups:
    """Groups of about as many classes each; classes of one count stay together, whatever that costs."""
    _, place, sizes = np.unique(-class_counts, return_inverse=True, return_counts=True)
    # The middle of each run of equal counts, in numbers of classes with more examples.
    middles = np.cumsum(sizes) - sizes / 2
    number = np.floor(parts * middles / class_counts.size).astype(np.int64)[place]
    masks = {f"q{part + 1}": number == part for part in range(parts)}
    rule = {name: _range(class_counts[mask]) for name, mask in masks.items()}
    return Groups(masks, rule)


def _range(class_counts: NDArray[np.int64]) -> str:
    return f"{class_counts.min()}..{class_counts.max()}" if class_counts.size else "no class"


def _numbers(text: str) -> tuple[float, float] | None:
    """The two thresholds, or None where the text is something else."""
    parts = text.split(",")
    try:
        many, few = (float(part) for part in parts)
    except ValueError:
        return None
    return many, few
