"""Which fields of a predictions file stand beside label and prediction, and what its scores mean.

What `lacal adjust` writes is known by its field names: `confidence` (of the prediction), `adjusted_probs`
or `adjusted_logits` (of every class), `unadjusted_prediction`.
"""

from dataclasses import dataclass

import numpy as np

from lacal.batch import PerClass
from lacal.classes.names import shown
from lacal.classes.target import TargetPrior
from lacal.errors import DataError
from lacal.formats import Table
from lacal.formats.shown import place, printable
from lacal.formats.table import Scored
from lacal.formats.text import refuse_unwritable, strict_json
from lacal.probabilities import Probabilities
from lacal.rows.fields import refuse_too_wide
from lacal.rows.weights import WeightField

CONFIDENCE = "confidence"
UNADJUSTED = "unadjusted_prediction"
PROBABILITIES = "adjusted_probs"
LOGITS = "adjusted_logits"
SHARE_TOLERANCE = 1e-6
# Far below any that is fitted: scores divided by less overflow.
LEAST_TEMPERATURE = 1e-6


@dataclass(frozen=True, slots=True)
class FieldsBeside:
    """Names of those fields; None where there is none.

    Attributes:
        confidence: Probability of the prediction.
        scores: Probability, or adjusted logit, of every class.
        of_logits: Whether the scores are adjusted logits.
        unadjusted: Prediction of the model as it was.
        weights: Row weights.
        meaning: What the file says its confidences and probabilities are of the adjusted logits.
        target: The class shares that they are for; None where nobody knows.
    """

    confidence: str | None
    scores: str | None
    of_logits: bool
    unadjusted: str | None
    weights: WeightField | None
    meaning: Probabilities
    target: TargetPrior | None

    @classmethod
    def of(cls, table: Table, weight_key: str | None) -> "FieldsBeside":
        """Those that this file has, in whatever case it spells them.

        Raises:
            DataError: One of them holds something else than its name says.
        """
        confidence = _numbers(table, CONFIDENCE, 1, "the probability of the prediction")
        probabilities = _numbers(table, PROBABILITIES, 2, "a probability for every class")
        logits = _numbers(table, LOGITS, 2, "a logit for every class")
        if probabilities is not None and logits is not None:
            raise _two_of(table, probabilities, logits)
        return cls(
            confidence,
            logits if probabilities is None else probabilities,
            probabilities is None and logits is not None,
            _spelt(table, UNADJUSTED),
            None if weight_key is None else WeightField.of(table, weight_key),
            *_meaning(table),
        )


def _spelt(table: Table, name: str) -> str | None:
    """The field of this name as the file spells it."""
    found = [one for one in table.fields if one.lower() == name]
    if len(found) > 1:
        raise _two_of(table, found[0], found[1])
    return found[0] if found else None


def _two_of(table: Table, one: str, other: str) -> DataError:
    return DataError(
        f"{place(table.path)}: both {shown(one)} and {shown(other)} could be meant; rename or drop one"
    )


def _numbers(table: Table, name: str, sides: int, what: str) -> str | None:
    """The same, of a field that holds numbers of so many dimensions."""
    spelt = _spelt(table, name)
    if spelt is None:
        return None
    one = table.fields[spelt]
    if one.kind not in ("float", "int") or len(one.shape) != sides:
        listed = "" if len(one.shape) == 1 else f" of {len(one.shape)} dimensions"
        raise DataError(
            f"{place(table.path)}: {shown(spelt)} holds {printable(one.stored)}{listed}, expected numbers, {what}; "
            "mend the column, or rename it if it is something else"
        )
    if sides == 2:
        refuse_too_wide(table, one)
    return spelt


def _meaning(table: Table) -> tuple[Probabilities, TargetPrior | None]:
    """Temperature and target prior, where `lacal adjust` noted them in the file."""
    note = table.probabilities if isinstance(table, Scored) else None
    if note is None:
        return Probabilities(), None
    try:
        known = strict_json(note)
        refuse_unwritable(known)
        temperature = float(known["temperature"])
        shares = known.get("target_shares")
        target = None if shares is None else np.array(shares, np.float64)
        name = str(known.get("target_prior", "the file"))
    except (ArithmeticError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise DataError(
            f"{table.path}: 'probabilities' in its metadata cannot be read; expected a temperature and class shares, as "
            "lacal adjust writes them; write the file anew"
        ) from error
    if not LEAST_TEMPERATURE <= temperature < np.inf:
        raise DataError(
            f"{table.path}: 'probabilities' in its metadata: the temperature is {temperature:g}, expected one from "
            f"{LEAST_TEMPERATURE:g} on; write the file anew"
        )
    if target is not None and not _are_shares(target):
        raise DataError(
            f"{table.path}: 'probabilities' in its metadata: the target shares are not one share from 0 to 1 a class, "
            "which sum to 1; write the file anew"
        )
    if target is None:
        return Probabilities(temperature), None
    told = TargetPrior(name, target)
    return Probabilities(temperature, told.log_prior), told


def _are_shares(target: PerClass) -> bool:
    # None above 1 first, so that no sum overflows.
    within = bool(((target >= 0) & (target <= 1 + SHARE_TOLERANCE)).all())
    return target.ndim == 1 and within and abs(target.sum() - 1) < SHARE_TOLERANCE
