"""`Counts`: training counts as a file gave them, and the checks that turn them into a `LabelPrior`.

Keys 0..k-1 place their counts by number, in whatever order they stand; they are never sorted as text.
Other keys are class names in class order, and must agree with the names that come with the logits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.batch import PerClass
from lacal.classes.names import agree, check_distinct, class_numbers, other_classes
from lacal.classes.prior import LabelPrior, ZeroCount
from lacal.errors import DataError

LEAST_SHARE = 1e-100  # of the largest: the square of a share must not vanish


@dataclass(frozen=True, slots=True)
class Counts:
    """A counts file as read, before it is held against the logits.

    Attributes:
        path: The file.
        values: One number a class, unchecked.
        names: Class names in the same order, where the file has them.
        counted: Whether the values were counted from training labels.
        placed: Whether numbers 0..k-1 in the file placed the values, without names beside them.
    """

    path: Path
    values: NDArray[Any]
    names: tuple[str, ...] | None = None
    counted: bool = False
    placed: bool = False

    def prior(
        self,
        *,
        classes: int | None = None,
        class_names: tuple[str, ...] | None = None,
        logits_place: str = "the logits",
        zero_count: ZeroCount | None = None,
    ) -> LabelPrior:
        """The checked prior, in the order and number of the logits' classes.

        Args:
            classes: Number of logits a row; None where it is not known.
            class_names: Names that came with the logits, where they did.
            logits_place: The logits, for messages.
            zero_count: What to do with zeros; an error by default.
        """
        place = str(self.path)
        whole = checked_counts(self.values, place)
        whole, names = self._in_class_order(whole, classes, class_names, logits_place)
        try:
            return LabelPrior(whole, names, zero_count or ZeroCount())
        except DataError as error:
            raise DataError(f"{place}: {error}") from error

    def shares(
        self, *, classes: int, class_names: tuple[str, ...] | None, logits_place: str
    ) -> PerClass:
        """(k,) the counts as shares that sum to 1, in the order and number of the logits' classes.

        Fractions will do here, and a class of zero share: it is rare to the point of not occurring.
        """
        place = str(self.path)
        values = _checked_shares(self.values, place)
        values, _ = self._in_class_order(values, classes, class_names, logits_place)
        return np.asarray(values / values.sum(), np.float64)

    def _in_class_order(
        self,
        values: NDArray[Any],
        classes: int | None,
        class_names: tuple[str, ...] | None,
        logits_place: str,
    ) -> tuple[NDArray[Any], tuple[str, ...] | None]:
        """The values held against the classes of the logits, and the names both sides agree on."""
        place = str(self.path)
        if self.names is not None:
            _check_pairs(self.names, values, place)
            # Before the number of classes, which a twin makes wrong
            check_distinct(self.names, place)
        if self.counted and classes is not None:
            values = np.pad(values, (0, max(0, classes - values.size)))
        if classes is not None and values.size != classes:
            hint = other_classes(self.names, class_names if values.size < classes else None)
            if not self.counted and values.max() < classes < values.size:
                hint = "if these are training labels rather than counts, say --counts-from-labels"
            if self.names is not None and class_names is not None:
                hint = other_classes(self.names, class_names)
            raise DataError(
                f"{place}: has {values.size} counts, {logits_place} has {classes} classes; {hint}"
            )
        if self.placed:
            _refuse_numbered_names(class_names, place, logits_place)
        return values, agree(class_names, logits_place, self.names, place)


def checked_counts(counts: NDArray[Any], place: str, what: str = "count") -> NDArray[np.int64]:
    """Whole numbers >= 0, one a class (or labels, one a row); the first that is not one is named."""
    if counts.ndim != 1:
        raise DataError(f"{place}: {what}s have {counts.ndim} dimensions, expected one")
    if counts.dtype.kind not in "iuf":
        raise DataError(f"{place}: {what}s are {counts.dtype}, expected whole numbers")
    values = counts.astype(np.float64)
    finite = np.where(np.isfinite(values), values, 0.0)
    for wrong, why in (
        (~np.isfinite(values), "is not finite"),
        (values < 0, "is negative"),
        (finite != np.floor(finite), "is no whole number"),
        (values >= 2**53, "is too large"),
    ):
        if wrong.any():
            at = int(wrong.argmax())
            hint = ""
            if why == "is no whole number" and abs(values.sum() - 1) < 1e-6:
                hint = "; they sum to 1 as a prior does: give the numbers of training examples"
            raise DataError(
                f"{place}: {what} {at} {why}: got {counts[at]:g}, expected a whole number from 0{hint}"
            )
    if what == "count" and not values.size:
        raise DataError(f"{place}: holds no counts; expected training examples per class")
    if what == "count" and not values.any():
        raise DataError(f"{place}: every count is 0; expected training examples per class")
    return values.astype(np.int64)


def _checked_shares(values: NDArray[Any], place: str) -> PerClass:
    """Numbers from 0, one a class, of which some are above 0."""
    if values.ndim != 1 or values.dtype.kind not in "iuf":
        raise DataError(f"{place}: expected one number a class, its count or share")
    shares = values.astype(np.float64)
    wrong = ~((shares >= 0) & (shares < np.inf))
    if wrong.any():
        at = int(wrong.argmax())
        raise DataError(
            f"{place}: class {at} has the share {values[at]:g}, expected a number from 0"
        )
    if not shares.any():
        raise DataError(f"{place}: every share is 0; expected a class that occurs")
    largest = float(shares.max())
    small = (shares > 0) & (shares < largest * LEAST_SHARE)
    if small.any() or largest * shares.size > np.finfo(np.float64).max:
        least = float(shares[shares > 0].min())
        raise DataError(
            f"{place}: shares go from {least:g} to {largest:g}, too far for floating-point numbers; expected 0 or "
            f"numbers within a factor of {1 / LEAST_SHARE:g}, whose sum is finite; only their ratios matter"
        )
    return shares


def in_class_order(
    path: Path, values: NDArray[Any], keys: list[list[str]], names: tuple[str, ...] | None = None
) -> Counts:
    """Numbered keys place their counts, other keys name them; of several columns of numbers the first places."""
    for column in (*keys, *([] if names is None else [names])):
        _check_pairs(column, values, str(path))
    order: list[int] | None = None
    for column in keys:
        numbers = class_numbers(column)
        if order is None and numbers is not None:
            order = np.argsort(numbers).tolist()
        else:
            # Beside numbers that place the counts a column of digits holds names, in whatever order.
            if order is None:
                _refuse_text_order(column, str(path))
            names = tuple(column)
    if order is not None:
        values = values[order]
        names = None if names is None else tuple(names[j] for j in order)
    return Counts(path, values, names, placed=order is not None and names is None)


def _check_pairs(names: Sequence[str], values: NDArray[Any], place: str) -> None:
    if values.ndim == 1 and len(names) != values.size:
        hint = "; if these are training labels, say --counts-from-labels"
        raise DataError(
            f"{place}: has {len(names)} class names and {values.size} counts; they must pair up"
            + hint * (values.size > len(names))
        )


def _refuse_numbered_names(
    class_names: tuple[str, ...] | None, place: str, logits_place: str
) -> None:
    """Names that are the numbers 0..k-1 in another order: nobody can tell which of both a key means."""
    numbers = class_numbers(list(class_names or ()))
    if numbers and numbers != sorted(numbers):
        at = next(j for j, number in enumerate(numbers) if j != number)
        raise DataError(
            f"{place}: is '{at}' class {at}, or the class of that name? {logits_place} names class {at} "
            f"'{numbers[at]}'; write a table of class,name,count"
        )


def _refuse_text_order(keys: list[str], place: str) -> None:
    """Whole-number keys that are not 0..k-1 and stand in text order: nobody can tell the classes."""
    if len(keys) > 10 and all(map(_is_whole_number, keys)):
        numbers = [int(key) for key in keys]
        if keys == sorted(keys) and numbers != sorted(numbers):
            raise DataError(
                f"{place}: class keys are numbers sorted as text ({', '.join(keys[:4])}, ...), which "
                "gives priors to the wrong classes; write them in class order, or number them 0..k-1"
            )


def _is_whole_number(key: str) -> bool:
    return key.isascii() and key.isdigit() and len(key) <= 18
