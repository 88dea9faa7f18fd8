"""Sections that the pages of several commands share: recall by class, moves between groups, reliability, the table."""

import platform
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal import __version__
from lacal.classes.groups import Groups
from lacal.formats.shown import printable
from lacal.metrics import CalibrationError, ClassTally, PairedTally
from lacal.metrics.flows import FlowTally
from lacal.metrics.measurement import Measurement
from lacal.report.charts import figures
from lacal.report.charts.bands import bands_of
from lacal.report.charts.data import ClassRecalls, Flows, Reliability, ReliabilityPanel
from lacal.report.charts.style import colour, group_colours
from lacal.report.document import Table
from lacal.report.page.class_table import classes_of
from lacal.report.page.content import Chart, Section

Counts = NDArray[np.int64]
Facts = tuple[tuple[str, str], ...]

MOST_MOVES = 20  # rows of the table of moves
MOST_PANELS = 8  # groups with a diagram of their own


def recall_section(
    after: ClassTally,
    before: ClassTally | None,
    *,
    class_counts: Counts | None,
    class_names: Sequence[str] | None,
    groups: Groups | None,
) -> Section:
    """Recall of every class against its training count, before and after."""
    shown = ClassRecalls(
        class_counts,
        after.support,
        after.recalls(),
        None if before is None else before.recalls(),
        None if class_names is None else tuple(class_names),
        () if class_counts is None or groups is None else bands_of(class_counts, groups.masks),
    )
    against = "" if class_counts is None else " against its number of training examples"
    said = [_mean_recall("all classes", before, after, None)]
    for name, mask in groups.masks.items() if groups else ():
        said.append(_mean_recall(printable(name), before, after, mask))
    return Section(
        "Recall of each class",
        (
            Chart(
                "recall",
                f"Recall of each class{against}. {_absent(after)}".strip(),
                f"Mean recall in percent of {', '.join(said)}.",
                lambda: figures.recall(shown),
            ),
        ),
    )


def _absent(tally: ClassTally) -> str:
    absent = tally.absent.size
    return f"{absent:,} classes without a row are not shown." if absent else ""


def _mean_recall(
    name: str, before: ClassTally | None, after: ClassTally, mask: NDArray[np.bool_] | None
) -> str:
    errors = [one.balanced(mask).value for one in (before, after) if one is not None]
    recalls = ["n/a" if error is None else f"{100 * (1 - error):.1f}" for error in errors]
    return f"{name} {' to '.join(recalls)}"


def flows_section(flows: FlowTally | None) -> Section | None:
    """Predictions that changed, from group to group; None where none did, or nothing was adjusted."""
    if flows is None or not flows.moved.any():
        return None
    labelled = bool(flows.mended.any() or flows.broken.any())
    mended, broken = (flows.mended, flows.broken) if labelled else (None, None)
    moved = int(flows.moved.sum())
    shown = Flows(tuple(flows.groups), flows.moved, mended, broken, flows.rows)
    sentence = f"The adjustment changes {moved:,} of {flows.rows:,} predictions ({100 * moved / flows.rows:.1f} %)"
    if labelled:
        sentence += f": {flows.mended.sum():,} become right and {flows.broken.sum():,} wrong"
    return Section(
        "Where predictions moved",
        (
            Chart(
                "flows",
                f"{sentence}.",
                f"{sentence}. The numbers stand in the table below.",
                lambda: figures.flows(shown),
            ),
            _moves(flows, labelled),
        ),
    )


def _moves(flows: FlowTally, labelled: bool) -> Table:
    """The largest moves, in rows."""
    size = len(flows.groups)
    order = np.argsort(-flows.moved.ravel(), kind="stable")[:MOST_MOVES]
    rows = []
    for i, j in zip(*np.divmod(order, size), strict=True):
        if not flows.moved[i, j]:
            continue
        counts = [flows.moved[i, j]]
        if labelled:
            counts += [flows.mended[i, j], flows.broken[i, j]]
        names = [printable(flows.groups[at]) for at in (i, j)]
        move = f"within {names[0]}" if i == j else f"{names[0]} → {names[1]}"
        rows.append((move, *(f"{count:,}" for count in counts)))
    more = ("mended", "broken") if labelled else ()
    return Table(("predictions that moved", "rows", *more), tuple(rows))


def reliability_section(
    measured: Measurement, groups: Groups | None, before: Measurement | None = None
) -> Section | None:
    """Confidence against accuracy, for all rows and each group; None where no probability is known."""
    top = measured.top
    if top is None or not top.rows.any():
        return None
    named: list[tuple[str, NDArray[np.bool_] | None, str]] = [("all rows", None, colour("ink"))]
    if groups is not None and len(groups.masks) <= MOST_PANELS:
        shades = group_colours(len(groups.masks))
        named += [
            (name, mask, shade)
            for (name, mask), shade in zip(groups.masks.items(), shades, strict=True)
        ]
    panels, rows = [], []
    for name, mask, shade in named:
        error, diagram = top.error(mask), top.diagram(mask)
        was = None if before is None or before.top is None else before.top.error(mask)
        title = printable(name)
        rows.append((title, *_calibration_cells(was, error), f"{error.n:,}"))
        if error.n:
            panels.append(
                ReliabilityPanel(
                    title,
                    diagram.edges,
                    diagram.confidence,
                    diagram.accuracy,
                    diagram.low,
                    diagram.high,
                    diagram.n,
                    shade,
                    f"calibration error {_percent(error.value)} %",
                )
            )
    both = before is not None and before.top is not None
    columns = ("unadjusted", "debiased", "adjusted", "debiased") if both else ("plain", "debiased")
    said = "; ".join(f"{panel.title} {panel.error}" for panel in panels)
    return Section(
        "Calibration of the confidence",
        (
            Chart(
                "reliability",
                "Accuracy of the rows in each bin of confidence, with 95 % intervals. On the dashed line "
                "confidence is right; below it, it promises too much. A group holds the rows whose label is of it.",
                f"Reliability diagrams: {said}.",
                lambda: figures.reliability(Reliability(tuple(panels))),
            ),
            Table(
                ("calibration error, %", *columns, "n"),
                tuple(rows),
                f"Of the predicted class, in {top.error().scheme}: plain with its 95 % interval, and the root mean "
                "square with the noise taken out",
            ),
        ),
    )


def _calibration_cells(was: CalibrationError | None, now: CalibrationError) -> list[str]:
    cells = []
    for one in (was, now):
        if one is not None:
            spread = ""
            if one.low is not None and one.high is not None:
                spread = f" ({_percent(one.low)} to {_percent(one.high)})"
            cells += [_percent(one.value) + spread, _percent(one.rms_debiased)]
    return cells


def classes_section(
    after: ClassTally,
    before: ClassTally | None = None,
    paired: PairedTally | None = None,
    *,
    class_counts: Counts | None,
    class_names: Sequence[str] | None,
    groups: Groups | None,
    live: bool = False,
) -> Section:
    """The table of all classes; `live` where the page has a slider."""
    table = classes_of(
        after,
        before,
        paired,
        class_counts=class_counts,
        class_names=class_names,
        groups=groups,
        live=live,
    )
    words = "Recall in percent with its 95 % interval"
    words += "." if paired is None else ", and the rows that the adjustment mended and broke."
    words += " A heading sorts."
    return Section("Every class", (words, table))


def facts_of(command_line: str, facts: Iterable[tuple[str, str]]) -> Facts:
    """How to make the page again: what was typed, then what it rests on, then versions."""
    versions = f"lacal {__version__}, Python {platform.python_version()}, NumPy {np.__version__}"
    return (("command", command_line), *facts, ("versions", versions))


def counts_fact(class_counts: Counts) -> tuple[str, str]:
    """The training counts in a line."""
    return (
        "class counts",
        f"{class_counts.size:,} classes, {class_counts.max():,} to {class_counts.min():,} training examples, "
        f"{class_counts.sum():,} in all",
    )


def inference_facts(inference: dict[str, Any] | None) -> list[tuple[str, str]]:
    """The model that made the logits, where lacal ran or trained it."""
    if not inference:
        return []
    facts = []
    if "model" in inference:
        digest = inference.get("model_sha256")
        facts.append(("model", f"{inference['model']}" + (f", sha256 {digest}" if digest else "")))
    return facts


def _percent(value: float | None) -> str:
    return "n/a" if value is None else f"{100 * value:.1f}"
