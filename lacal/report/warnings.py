"""What a person or a CI job should know before using a result: sentences for stderr and for JSON."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lacal.calibration import Calibration
from lacal.classes.names import some_classes
from lacal.metrics import ClassTally, Gain
from lacal.pipeline.doubts import against_counts, at_chance, unrelated
from lacal.pipeline.tune_tau import Tuning
from lacal.ranks import rank_correlation
from lacal.trained import record_of_logits, same_model

# Rank correlation of head norms and class counts below which the norms say too little.
WEAK = 0.3
# What of the record of inputs changes a model's scores.
STEPS = ("resize", "crop", "scale", "mean", "std", "layout", "channels")


def of_tuning(found: Tuning) -> list[str]:
    """About what training did, what is in doubt, the gain, the range, absent classes, and the grid: causes first."""
    doubts = _doubts(found)
    return [
        *_carried(found.calibration.inference),
        *doubts,
        *_of_tuned_gain(found, doubtful=bool(doubts)),
        *([] if doubts else _of_range(found)),
        *_weak_norms(found.calibration),
        *absent(found.unadjusted, found.calibration.class_names, "validation row"),
        *([] if found.exact else ["with the bias kept the curve is known on the grid only"]),
    ]


def _doubts(found: Tuning) -> list[str]:
    """About rows, labels and counts in different orders.

    A model that predicts one class alone is no better than guesses, but tau mends it; what is still a guess, or
    no better for sure, under the best tau is not mended.
    """
    unmended = found.bootstrap.gain.low <= 0 or bool(at_chance(found.adjusted))
    chance = at_chance(found.unadjusted) if unmended else []
    return chance + against_counts(found.unadjusted, found.calibration.prior.class_counts)


def _of_tuned_gain(found: Tuning, *, doubtful: bool) -> list[str]:
    """About a gain that is none, or may be none; where rows or counts are in doubt there is nothing to advise."""
    gain, counts = found.bootstrap.gain, found.calibration.prior.class_counts
    if min(gain.value, gain.low) > 0:
        return []
    if gain.value > 0:
        unsure = "the interval of the gain includes 0"
        tells = f"{unsure}; more validation rows would tell{unrelated(found.unadjusted, counts)}"
        return [unsure if doubtful else tells]
    said = "this method does not lower the balanced error here"
    if found.optimum.high < 0:
        said += f": the optimum over all tau is negative, near {_near(found):.3g}"
        advice = (
            "; are the counts in another class order, or is the model corrected already (balanced loss or sampler)? "
            "then keep it as it is"
        )
        if found.calibration.method == "prior-division":
            advice = (
                "; are the logits negative (dividing those favours common classes: try --method logit-adjustment), or "
                "the counts in another class order?"
            )
    else:
        advice = "; keep the model as it is, or try another --method"
    return [said if doubtful else said + advice]


def _of_range(found: Tuning) -> list[str]:
    """About a better tau beyond the range; no range is meant to reach below 0, so that side is no matter of the grid."""
    low, high = found.search.grid[[0, -1]]
    if not found.at_edge or found.optimum.high < 0:
        return []
    return [
        f"the best tau may lie outside the range {low:g}..{high:g} that was searched (the optimum over "
        f"all tau is near {_near(found):.3g}); widen it with --grid"
    ]


def _weak_norms(calibration: Calibration) -> list[str]:
    """About norms that do not know which classes are common: weight normalisation rests on that."""
    if calibration.weight_norms is None:
        return []
    follow = rank_correlation(np.array(calibration.weight_norms), calibration.prior.class_counts)
    if follow >= WEAK:
        return []
    return [
        f"the head's norms hardly follow the class counts (rank correlation {follow:.2f}), as with heads "
        "trained by Adam or without weight decay; weight-norm has little to work with, try logit-adjustment"
    ]


def of_gain(gain: Gain | None) -> list[str]:
    """About an adjustment that makes matters worse."""
    if gain is None or gain.value >= 0:
        return []
    sure = "surely " if gain.high < 0 else ""
    return [f"this adjustment {sure}raises the balanced error of these rows"]


def of_training(calibration: Calibration | None, inference: dict[str, Any] | None) -> list[str]:
    """About an adjustment of logits into which training has put some of the correction already.

    Args:
        calibration: What is applied, if anything.
        inference: How the logits it is applied to were made, where that is known.
    """
    if calibration is None or calibration.adjustment.changes_nothing:
        return []
    return _carried(inference)


def _carried(inference: dict[str, Any] | None) -> list[str]:
    training = record_of_logits(inference, "the logits")
    return [] if training is None else training.cautions()


def of_other_logits(calibration: Calibration | None, inference: dict[str, Any] | None) -> list[str]:
    """About a calibration that was tuned on another model's logits, or on inputs preprocessed otherwise.

    Args:
        calibration: What is applied, if anything.
        inference: How the logits it is applied to were made, where that is known.
    """
    tuned = None if calibration is None else calibration.inference
    if tuned is None or inference is None:
        return []
    if not same_model(tuned, inference):
        return ["the calibration was tuned on the logits of another model file"]
    if "inputs" not in tuned or "inputs" not in inference:  # logits that lacal train stored
        return []
    steps = [_steps(one.get("inputs")) for one in (tuned, inference)]
    names = sorted(
        name
        for name in steps[0].keys() | steps[1].keys()
        if steps[0].get(name) != steps[1].get(name)
    )
    differences = [f"{name} was {steps[0].get(name)}, is {steps[1].get(name)}" for name in names]
    if not differences:
        return []
    return [
        f"the calibration was tuned on inputs preprocessed otherwise: {'; '.join(differences[:4])}"
    ]


def _steps(inputs: Any) -> dict[str, Any]:
    """What was done to every input of a model, by its name; not where it was read from."""
    if not isinstance(inputs, dict):
        return {}
    return {
        f"{name} {step}": value
        for name, steps in inputs.items()
        if isinstance(steps, dict)
        for step, value in steps.items()
        if step in STEPS
    }


def absent(tally: ClassTally, names: Sequence[str] | None, row: str = "row") -> list[str]:
    """About classes that no row speaks for."""
    if not tally.absent.size:
        return []
    have, do = ("has", "does") if tally.absent.size == 1 else ("have", "do")
    return [
        f"{tally.absent.size} of {tally.support.size} classes {have} no {row} and {do} not count: "
        f"{some_classes(tally.absent.tolist(), names)}"
    ]


def _near(found: Tuning) -> float:
    """The end of the optimal plateau that is nearest to the range."""
    ends = np.array([found.optimum.low, found.optimum.high])
    return float(ends[np.abs(np.nan_to_num(ends, posinf=1e9, neginf=-1e9) - found.tau).argmin()])
