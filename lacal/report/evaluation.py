"""Results of `evaluate` for a person: one screenful, with n and an interval beside every number."""

from dataclasses import dataclass, replace

import numpy as np

from lacal.classes.groups import Groups
from lacal.classes.prior import LabelPrior
from lacal.classes.target import TargetPrior
from lacal.formats.shown import printable
from lacal.measure import Measure
from lacal.measures import measures
from lacal.pipeline.doubts import at_chance
from lacal.pipeline.evaluate import Evaluation
from lacal.pipeline.temperature import Temperature
from lacal.report.class_mix import (
    ALIKE,
    OF_GROUPS,
    ROWS,
    mixes,
    other_shares,
    raised_error,
    target_warnings,
)
from lacal.report.document import Block
from lacal.report.temperature import (
    shares_of,
    temperature_line,
    temperature_verdict,
    temperature_warnings,
)
from lacal.report.text import (
    WORST_CLASSES,
    error_table,
    gain_line,
    table,
    tuned_rows,
    with_interval,
)
from lacal.report.warnings import absent, of_gain, of_other_logits, of_training

Measures = dict[str, Measure]
NAME_LENGTH = 40  # of a class in a table


@dataclass(frozen=True, slots=True)
class Evaluated:
    """An evaluation, and what its numbers are called.

    Attributes:
        found: What was measured.
        place: The source, as the user named it.
        prior: Training counts, where known.
        class_names: In class order, where known.
        groups: Of the classes, where there are some.
        target: Class shares of deployment, where they were given.
        temperature: Of the probabilities, where one was fitted.
        measures: Every number by name.
        before: Those of the unadjusted model; None where nothing was adjusted.
        fitted_share: Share of the rows that the temperature was fitted on that were seen again.
        taken: The class shares that the probabilities are for; None where nobody knows.
    """

    found: Evaluation
    place: str
    prior: LabelPrior | None
    class_names: tuple[str, ...] | None
    groups: Groups | None
    target: TargetPrior | None
    temperature: Temperature | None
    measures: Measures
    before: Measures | None
    fitted_share: float
    taken: TargetPrior | None

    @classmethod
    def of(
        cls,
        found: Evaluation,
        place: str,
        prior: LabelPrior | None,
        *,
        class_names: tuple[str, ...] | None,
        groups: Groups | None,
        target: TargetPrior | None,
        temperature: Temperature | None = None,
        fitted_share: float = 0.0,
        taken: TargetPrior | None = None,
    ) -> "Evaluated":
        """With every measure worked out; adjusted logits are taken for probabilities in the target shares."""
        if found.calibration is not None:
            taken = target or TargetPrior.uniform(found.tally.support.size)
        after = measures(found, groups, class_names, target)
        before = None
        if found.before is not None:
            plain = replace(found, measured=found.before, before=None, paired=None)
            before = measures(plain, groups, class_names, target)
        return cls(
            found,
            place,
            prior,
            class_names,
            groups,
            target,
            temperature,
            after,
            before,
            fitted_share,
            taken,
        )

    def name(self, index: int) -> str:
        """A class for a person."""
        names = self.class_names
        return str(index) if names is None else printable(names[index], NAME_LENGTH)


def evaluation_warnings(one: Evaluated) -> list[str]:
    """What should be known before the numbers are used."""
    found = one.found
    return [
        *of_training(found.calibration, found.inference),
        *of_other_logits(found.calibration, found.inference),
        *of_gain(found.gain),
        *at_chance(found.tally, one.class_names),
        *target_warnings(found.tally, one.target, one.class_names),
        *raised_error(found.unadjusted, found.tally, found.paired, one.target),
        *(other_shares(one.target, one.taken, one.place) if found.measured.top else ()),
        *_of_temperature(one),
    ]


def _of_temperature(one: Evaluated) -> list[str]:
    """About a temperature that tells little or helps little where it was fitted."""
    calibration = one.found.calibration
    if one.temperature is None or calibration is None:
        return []
    told = temperature_warnings(one.temperature, calibration, one.place, None)
    if one.fitted_share > 0:
        told.append(
            "the temperature was fitted on rows that are scored here (about "
            f"{one.fitted_share:.0%} of them came back), so their log loss and calibration error flatter it"
        )
    return told


def evaluation_text(one: Evaluated) -> list[Block]:
    """The answer, then errors, other measures, calibration and the worst classes."""
    found = one.found
    balanced = found.tally.balanced()
    lines: list[Block] = []
    if found.tuned_share > 0:
        lines.append(tuned_rows(found.tuned_share))
    weighed = " (weighted)" if found.weighted else ""
    by = "" if found.calibration is None else f", by {found.calibration.described}"
    lines.append(
        f"balanced error {with_interval(balanced, '%')} on {balanced.n:,} rows{weighed} of "
        f"{balanced.classes:,} classes of {printable(one.place)}{by}"
    )
    if found.unadjusted is not None and found.gain is not None:
        lines.append(gain_line(found.unadjusted, found.tally, found.gain))
    lines.append(error_table(found.unadjusted, found.tally, one.groups, target=one.target))
    lines += absent(found.tally, one.class_names)
    if one.temperature is not None:
        lines.append(temperature_line(one.temperature, one.target))
        lines.append(temperature_verdict(one.temperature, one.place, None))
    lines += [measure_table(one), *_unmeasured(one), *_calibration_table(one), _worst(one)]
    return lines


def measure_table(one: Evaluated) -> Block:
    """Recalls, F1 and scores, unadjusted beside adjusted; scores that nobody knows are left out."""
    tenth = one.found.tally.worst_recall().classes
    rows = [("recall of the worst class, %", "worst_class.recall")]
    if tenth > 1:
        rows.append((f"recall of the worst {tenth:,} classes, %", "worst_tenth.recall"))
    rows.append(("macro F1, %", "macro_f1"))
    if one.found.measured.scores is not None:
        rows += [("log loss, nats", "log_loss"), (f"  {ALIKE}", "balanced_log_loss")]
        told = one.target is not None and not one.target.is_uniform
        under = f"  {one.target.in_short()}" if one.target is not None else ""
        rows += [(under, "target_log_loss")] * told
        rows += [("Brier score", "brier"), (f"  {ALIKE}", "balanced_brier")]
        rows += [(under, "target_brier")] * told
    headings = ["value (95 % interval)"] if one.before is None else ["unadjusted", "adjusted"]
    cells = [
        [title, *([] if one.before is None else [shown_measure(one.before[name])]),
         shown_measure(one.measures[name]), f"{one.measures[name].n:,}"]
        for title, name in rows
    ]  # fmt: skip
    return table(["measure", *headings, "n"], cells)


def _calibration_table(one: Evaluated) -> list[Block]:
    """Plain and debiased calibration errors, each under a class mix that is named."""
    top = one.found.measured.top
    if top is None:
        return []
    first, *others = mixes(one.target, one.taken)
    named = [(f"top label, {first[0]}", first[1])]
    named += [(f"  {words}", name) for words, name in others]
    if one.groups is not None:
        named += [
            (f"  rows labelled {printable(name)}", f"{name}.calibration")
            for name in one.groups.masks
        ]
    if one.found.measured.class_wise is not None:
        named.append((f"class-wise, {ROWS}", "calibration.class_wise"))
    rows = [
        [title, shown_measure(one.measures[name]), shown_measure(one.measures[f"{name}_debiased"]),
         f"{one.measures[name].n:,}"]
        for title, name in named
    ]  # fmt: skip
    heading = f"calibration error, % ({top.error().scheme})"
    shown = table([heading, "plain", "debiased, rms", "n"], rows, probabilities_line(one))
    return [shown] if one.groups is None else [shown, OF_GROUPS]


def probabilities_line(one: Evaluated) -> str | None:
    """What the probabilities are, and for which class shares; None where nobody knows."""
    if one.taken is None:
        return None
    temperature = one.found.probabilities.temperature
    at = "" if temperature == 1 else f", T = {temperature:.4g}"
    if one.found.calibration is None:
        return f"probabilities {shares_of(one.taken)}{at}, as lacal adjust wrote them"
    return f"adjusted logits taken for probabilities {shares_of(one.taken)}{at}"


def _unmeasured(one: Evaluated) -> list[Block]:
    """What is not here because nobody knows the probabilities, and how to get them."""
    measured = one.found.measured
    if measured.scores is not None:
        return []
    lacking = "log loss, Brier score and class-wise calibration"
    if measured.top is None:
        lacking = "log loss, Brier score and calibration"
    return [
        f"{lacking} need every probability, which this file lacks: write them with lacal adjust --write-scores probs, "
        "or evaluate the logits"
    ]


def _worst(one: Evaluated) -> Block:
    tally, prior = one.found.tally, one.prior
    class_errors = tally.class_errors()
    order = np.lexsort((np.arange(class_errors.size), -np.nan_to_num(class_errors, nan=-1.0)))
    rows = []
    for j in order[:WORST_CLASSES].tolist():
        if tally.support[j]:
            row = [one.name(j), with_interval(tally.of_class(j)), f"{tally.support[j]:,}"]
            rows.append(row if prior is None else [*row, f"{prior.class_counts[j]:,}"])
    columns = ["worst classes", "error %", "n"]
    return table(columns if prior is None else [*columns, "training"], rows)


def shown_measure(one: Measure) -> str:
    """`18.7 (17.3 to 20.2)`, in percent where it is a share; n/a where it is undefined.

    Example:
        >>> shown_measure(Measure("brier", 0.25, 0.2, 0.3, None, 9, unit=""))
        '0.250 (0.200 to 0.300)'
    """
    if one.value is None:
        return "infinite" if "infinite" in (one.undefined or "") else "n/a"
    factor, digits = (100, 1) if one.unit == "share" else (1, 3)
    if one.unit == "share" and 0 < one.value < 0.01:  # of a thousand classes each is hardly off
        digits = 2 if one.value >= 0.001 else 3
    value = f"{factor * one.value:.{digits}f}"
    if one.low is None or one.high is None:
        return value
    return f"{value} ({factor * one.low:.{digits}f} to {factor * one.high:.{digits}f})"
