"""The page of `lacal train`: what the network reaches, what tau adds, and how training went."""

from typing import TYPE_CHECKING

import numpy as np

from lacal.formats.shown import printable
from lacal.metrics import ClassTally, Rate
from lacal.report.charts import figures
from lacal.report.charts.comparison_data import Epochs
from lacal.report.charts.marks import percent
from lacal.report.page.content import Chart, Page, Section
from lacal.report.page.error_section import error_section
from lacal.report.page.of_tuning import curve_of_tuning
from lacal.report.page.reliability_section import reliability_section
from lacal.report.page.sections import (
    classes_section,
    counts_fact,
    facts_of,
    recall_section,
)
from lacal.report.page.tau_sections import tau_sections
from lacal.report.text import points
from lacal.report.training import next_commands, training_warnings

if TYPE_CHECKING:
    from lacal.training.run import TrainingReport


def page_of_training(report: "TrainingReport", command_line: str) -> Page:
    """A finished run.

    Args:
        report: What it came to.
        command_line: What was typed.
    """
    return Page(
        f"lacal train {printable(str(report.folder), 200)}",
        _answer(report),
        tuple(training_warnings(report)),
        tuple(_sections(report)),
        facts_of(command_line, _facts(report)),
    )


def _corrected(report: "TrainingReport") -> bool:
    """Whether the logits are the answer as they are: adjusting them would correct twice."""
    return report.record.carries == "prior"


def _tallies(report: "TrainingReport") -> tuple[str, ClassTally, ClassTally | None]:
    """The split that chose nothing where there is one, its errors, and those before tau where tau is of use."""
    tuned, test = report.tuning, report.test
    split, plain, adjusted = "validation", tuned.unadjusted, tuned.adjusted
    if test is not None and test.unadjusted is not None:
        split, plain, adjusted = "test", test.unadjusted, test.tally
    return (split, plain, None) if _corrected(report) else (split, adjusted, plain)


def _answer(report: "TrainingReport") -> str:
    split, after, before = _tallies(report)
    plain = (after if before is None else before).balanced()
    reaches = (
        f"The network, trained with {report.record.described()}, has a balanced error of {_with_interval(plain)} on "
        f"{plain.n:,} {split} rows of {plain.classes:,} classes"
    )
    if before is None:
        return f"{reaches}; its logits carry the whole correction already."
    tau, now = report.tuning.tau, after.balanced()
    gain = report.test.gain if split == "test" and report.test is not None else None
    if gain is None:
        crossed = report.tuning.cross_fit
        sure = f"a cross-fitted gain of {points(crossed.gain)} points (standard error {100 * crossed.standard_error:.1f})"
    else:
        sure = f"a gain of {points(gain.value)} points, 95 % interval {points(gain.low)} to {points(gain.high)}"
    return (
        f"{reaches}; tau = {tau:.4g}, tuned on validation, makes it {_with_interval(now)}: {sure}."
    )


def _with_interval(one: Rate) -> str:
    """Of rows that are labelled, as those of a run are."""
    assert one.value is not None
    assert one.low is not None
    assert one.high is not None
    return f"{percent(one.value)} ({100 * one.low:.1f} to {100 * one.high:.1f})"


def _sections(report: "TrainingReport") -> list[Section]:
    groups, counts = report.prior.groups(), report.prior.class_counts
    names, test, tuned = report.data.class_names, report.test, report.tuning
    split, after, before = _tallies(report)
    title = f"Errors on the {split} rows"
    sections = [error_section(after, before, groups, title=title, short=split.capitalize())]
    if split == "test":
        seen, was = (
            (tuned.unadjusted, None) if before is None else (tuned.adjusted, tuned.unadjusted)
        )
        title = "Errors on the validation rows"
        sections.append(
            error_section(
                seen,
                was,
                groups,
                title=title,
                name="errors_validation",
                caption="These rows chose the epoch and tau.",
                short="Validation",
            )
        )
    sections += _epochs(report)
    if before is not None:
        words = "On the validation rows, which chose the epoch and tau."
        sections += tau_sections(curve_of_tuning(tuned, groups), words)
    sections.append(
        recall_section(after, before, class_counts=counts, class_names=names, groups=groups)
    )
    if split == "test" and test is not None:
        measured, plain = (test.measured, test.before)
        if before is None:  # confidence of what is predicted with: the logits as they are
            measured, plain = test.before or test.measured, None
        confidence = reliability_section(measured, groups, plain)
        sections += [] if confidence is None else [confidence]
    paired = test.paired if before is not None and split == "test" and test is not None else None
    sections.append(
        classes_section(
            after, before, paired, class_counts=counts, class_names=names, groups=groups
        )
    )
    return [*sections, Section("What to do next", tuple(next_commands(report)), "Next")]


def _epochs(report: "TrainingReport") -> list[Section]:
    """The course of training; one epoch, or none, has no course."""
    epochs = report.trained.epochs
    if len(epochs) < 2:
        return []
    values = np.array(
        [
            (one.train_loss, one.val_loss, one.val_balanced_error, one.val_micro_error)
            for one in epochs
        ]
    )
    kept, best = report.trained.kept_epoch, report.trained.best_epoch
    shown = Epochs(values[:, 0], values[:, 1], values[:, 2], values[:, 3], kept, best)
    told = (
        f"{len(epochs):,} epochs; the validation balanced error goes from {percent(values[0, 2])} to "
        f"{percent(values[-1, 2])}, {percent(values[kept, 2])} in the kept epoch {kept + 1:,}."
    )
    caption = (
        "Loss and validation errors by epoch. The training loss holds the class weights and margins of its loss, so the "
        "two losses need not be near each other."
    )
    chart = Chart("epochs", caption, told, lambda: figures.epochs(shown))
    return [Section("How training went", (chart,), "Training")]


def _facts(report: "TrainingReport") -> list[tuple[str, str]]:
    data, trained = report.data, report.trained
    splits = [
        ("training rows", data.train),
        ("validation rows", data.val),
        ("test rows", data.test),
    ]
    facts = [
        (name, f"{one.place}: {len(one.labels):,} rows") for name, one in splits if one is not None
    ]
    return [
        *facts,
        ("fingerprint of the data", f"sha256 {data.fingerprint}"),
        counts_fact(data.class_counts),
        ("trained with", f"{report.record.described()}, network {report.record.network}"),
        ("ran on", f"{trained.device}, {trained.seconds:,.0f} s"),
        *((name, str(path)) for name, path in report.finished.files.items()),
        *(("note", note) for note in (*trained.notes, *report.finished.notes)),
    ]
