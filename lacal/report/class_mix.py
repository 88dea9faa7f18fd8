"""What class shares mean for the numbers of an evaluation: what probabilities are for, and what they should not be read as."""

from lacal.classes.names import some_classes
from lacal.classes.target import TargetPrior
from lacal.formats.shown import printable
from lacal.metrics import ClassTally, PairedTally

ROWS = "rows as they come"
ALIKE = "every class alike"
# The rows of such a group are chosen by the answer: their confidences are no shares of what is right among them.
OF_GROUPS = (
    "a group's rows are picked by their label, so even perfect probabilities are off there: hold groups against each "
    "other, and after against before, not against 0"
)


def mixes(target: TargetPrior | None, taken: TargetPrior | None) -> list[tuple[str, str]]:
    """The class mixes of a calibration error of all rows, (in words, measure), that of the probabilities first.

    Args:
        target: Class shares of deployment, where they are asked for.
        taken: The class shares that the probabilities are for; None where nobody knows.
    """
    named = [(ROWS, "calibration.top_label"), (ALIKE, "balanced_calibration")]
    of_target = None
    if target is not None and not target.is_uniform:
        of_target = (target.in_short(), "target_calibration")
        named.append(of_target)
    if taken is not None:
        first = named[1] if taken.is_uniform or of_target is None else of_target
        named = [first, *(one for one in named if one is not first)]
    return named


def target_warnings(
    tally: ClassTally, target: TargetPrior | None, class_names: tuple[str, ...] | None
) -> list[str]:
    """About a target prior some of whose classes no row speaks for."""
    if target is None or not tally.support.any():
        return []
    untold = tally.absent[target.prior[tally.absent] > 0]
    share = float(target.prior[untold].sum())
    if not untold.size:
        return []
    classes, are = ("class", "is") if untold.size == 1 else ("classes", "are")
    carry = "carries" if untold.size == 1 else "carry"
    return [
        f"{untold.size} {classes} without a row {carry} {share:.1%} of the target prior {printable(target.name)} "
        f"and {are} left out of what is measured under it: {some_classes(untold.tolist(), class_names)}"
    ]


def raised_error(
    before: ClassTally | None,
    after: ClassTally,
    paired: PairedTally | None,
    target: TargetPrior | None,
) -> list[str]:
    """About predictions that cost errors where the model will be used: they are for the balanced error."""
    if before is None or paired is None or target is None or target.is_uniform:
        return []
    gain, was, now = (
        paired.under(target.prior),
        before.under(target.prior),
        after.under(target.prior),
    )
    if gain is None or gain.high >= 0 or was.value is None or now.value is None:
        return []
    return [
        f"{target.in_words()} the adjustment raises the error from {100 * was.value:.1f} to {100 * now.value:.1f} % "
        f"(by {-100 * gain.value:.1f} points, paired 95 % interval {-100 * gain.high:.1f} to {-100 * gain.low:.1f}): "
        "predictions are for the balanced error; for the fewest errors in these shares take the class of the largest "
        "probability (lacal adjust --write-scores probs with this --target-prior), or keep a smaller tau"
    ]


def other_shares(target: TargetPrior | None, taken: TargetPrior | None, place: str) -> list[str]:
    """About probabilities that are for other class shares than those asked for."""
    if target is None or taken is None or target.is_like(taken):
        return []
    return [
        f"the probabilities of {printable(place, 200)} are {taken.in_words()}, not {target.in_words()}: log loss, Brier "
        "score and calibration error there are of probabilities made for another class mix; write them with lacal "
        f"adjust --target-prior {printable(target.name)}"
    ]
