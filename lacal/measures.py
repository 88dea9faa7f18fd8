"""`measures`: every number of an evaluation under the name that gates, baselines and scripts call it by.

A name is there whether its number is defined or not; one that is not says why, and is never 0.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from lacal.classes.groups import Groups
from lacal.classes.target import TargetPrior
from lacal.measure import Measure
from lacal.metrics import CalibrationError, Gain, Rate, Score

if TYPE_CHECKING:
    from lacal.pipeline.evaluate import Evaluation

NO_ROWS = "no labelled row"
NO_TARGET = "no target prior is given; say --target-prior"
NO_PROBABILITIES = (
    "the probabilities of the classes are not known; write them with lacal adjust --write-scores probs, or evaluate "
    "the logits"
)
NO_CONFIDENCE = (
    "the probability of the prediction is not known; lacal adjust writes it as confidence"
)
NOT_ADJUSTED = "nothing was adjusted; give --calibration with the logits, or predictions with unadjusted_prediction"


def measures(
    found: "Evaluation",
    groups: Groups | None,
    class_names: tuple[str, ...] | None,
    target: TargetPrior | None,
) -> dict[str, Measure]:
    """Every measure by name, in the order they are shown: the whole, the groups, the classes.

    Args:
        found: What was measured.
        groups: Of the classes; None for none.
        class_names: In class order; classes without names go by their numbers.
        target: Class shares of deployment, for the measures that begin with `target_`.
    """
    every = [
        *_errors(found, groups, target),
        *_scores(found, target),
        *_calibration(found, groups, target),
        _of_gain(found.gain, int(found.tally.support.sum())),
        *_classes(found, class_names),
    ]
    return {one.name: one for one in every}


def _errors(
    found: "Evaluation", groups: Groups | None, target: TargetPrior | None
) -> Iterator[Measure]:
    tally = found.tally
    yield _of_rate("balanced_error", tally.balanced())
    yield _of_rate("micro_error", tally.micro())
    under = None if target is None else tally.under(target.prior)
    yield _of_rate("target_error", under, NO_TARGET)
    for name, one in ({} if groups is None else tally.by_group(groups)).items():
        yield _of_rate(f"{name}.error", one)
    worst = tally.worst_class()
    yield _of_rate("worst_class.recall", None if worst is None else worst[1], better="higher")
    yield _of_rate("worst_tenth.recall", tally.worst_recall(), better="higher")
    yield _of_rate("macro_f1", tally.macro_f1(), better="higher")


def _scores(found: "Evaluation", target: TargetPrior | None) -> Iterator[Measure]:
    tally = found.measured.scores
    for kind, unit in (("log_loss", "nats"), ("brier", "")):
        of = None if tally is None else getattr(tally, kind)
        yield _of_score(kind, of and of(), unit, NO_PROBABILITIES)
        yield _of_score(f"balanced_{kind}", of and of("balanced"), unit, NO_PROBABILITIES)
        why = NO_PROBABILITIES if tally is None else NO_TARGET
        under = of(target.prior) if of is not None and target is not None else None
        yield _of_score(f"target_{kind}", under, unit, why)


def _calibration(
    found: "Evaluation", groups: Groups | None, target: TargetPrior | None
) -> Iterator[Measure]:
    top, class_wise = found.measured.top, found.measured.class_wise
    whole = None if top is None else top.error()
    yield from _plain_and_debiased("calibration.top_label", whole, NO_CONFIDENCE)
    every = None if class_wise is None else class_wise.error()
    yield from _plain_and_debiased("calibration.class_wise", every, NO_PROBABILITIES)
    alike = None if top is None else top.error(class_weights=np.ones(found.tally.support.size))
    yield from _plain_and_debiased("balanced_calibration", alike, NO_CONFIDENCE)
    under = top.error(class_weights=target.prior) if top and target else None
    why = NO_CONFIDENCE if top is None else NO_TARGET
    yield from _plain_and_debiased("target_calibration", under, why)
    for name, mask in ({} if groups is None else groups.masks).items():
        inside = None if top is None else top.error(mask)
        yield from _plain_and_debiased(f"{name}.calibration", inside, NO_CONFIDENCE)


def _classes(found: "Evaluation", class_names: tuple[str, ...] | None) -> Iterator[Measure]:
    for index in range(found.tally.support.size):
        name = str(index) if class_names is None else class_names[index]
        yield _of_rate(f"class.{name}.error", found.tally.of_class(index))


def _of_rate(name: str, one: Rate | None, why: str = NO_ROWS, *, better: str = "lower") -> Measure:
    if one is None or one.value is None:
        return _undefined(name, why if one is None else NO_ROWS, better, "share")
    return Measure(name, one.value, one.low, one.high, one.standard_error, one.n, better)


def _of_score(name: str, one: Score | None, unit: str, why: str) -> Measure:
    if one is not None and one.infinite:
        why = f"infinite: {one.infinite:,} rows gave their own class the probability 0"
        return Measure(name, None, None, None, None, one.n, unit=unit, undefined=why)
    if one is None or one.value is None:
        return _undefined(name, why if one is None else NO_ROWS, "lower", unit)
    return Measure(name, one.value, one.low, one.high, one.standard_error, one.n, unit=unit)


def _plain_and_debiased(name: str, one: CalibrationError | None, why: str) -> Iterator[Measure]:
    """The plain error, and the root of the debiased mean square."""
    if one is None or one.value is None:
        why = why if one is None else NO_ROWS
        yield from (_undefined(each, why, "lower", "share") for each in (name, f"{name}_debiased"))
        return
    yield Measure(name, one.value, one.low, one.high, None, one.n)
    debiased = f"{name}_debiased"
    yield Measure(debiased, one.rms_debiased, one.rms_low, one.rms_high, None, one.n)


def _of_gain(one: Gain | None, n: int) -> Measure:
    if one is None:
        return _undefined("gain", NOT_ADJUSTED, "higher", "share")
    return Measure("gain", one.value, one.low, one.high, one.standard_error, n, "higher")


def _undefined(name: str, why: str, better: str, unit: str) -> Measure:
    return Measure(name, None, None, None, None, 0, better, unit, why)
