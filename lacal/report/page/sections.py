"""Sections that the pages of several commands share: recall by class, moves between groups, the table, facts."""

import hashlib
import platform
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal import __version__
from lacal.classes.groups import Groups
from lacal.classes.target import TargetPrior
from lacal.formats.shown import printable
from lacal.metrics import ClassTally, PairedTally
from lacal.metrics.flows import FlowTally
from lacal.report.charts import figures
from lacal.report.charts.bands import bands_of
from lacal.report.charts.data import ClassRecalls, Flows
from lacal.report.document import Table
from lacal.report.page.class_table import classes_of
from lacal.report.page.content import Chart, Section

Counts = NDArray[np.int64]
Facts = tuple[tuple[str, str], ...]

MOST_MOVES = 20  # rows of the table of moves


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
        "Recall",
    )


def _absent(tally: ClassTally) -> str:
    absent = tally.absent.size
    if absent == 1:
        return "One class without a row is not shown."
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
        "Moves",
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
    return Section("Every class", (words, table), "Classes")


def facts_of(command_line: str, facts: Iterable[tuple[str, str]]) -> Facts:
    """How to make the page again: what was typed, then what it rests on, then versions."""
    versions = f"lacal {__version__}, Python {platform.python_version()}, NumPy {np.__version__}"
    return (("command", command_line), *facts, ("versions", versions))


def counts_fact(class_counts: Counts) -> tuple[str, str]:
    """The training counts in a line."""
    return (
        "class counts",
        f"{class_counts.size:,} classes, {class_counts.max():,} to {class_counts.min():,} training examples, "
        f"{class_counts.sum():,} in all, {_fingerprint(*class_counts.tolist())}",
    )


def groups_fact(groups: Groups) -> tuple[str, str]:
    """The rule of every group, or the file that lists them with a fingerprint of what it says."""
    if groups.by_counts:
        rules = [f"{name} {groups.rule[name]}" for name in groups.masks]
        return "groups", f"{', '.join(rules)} training examples"
    place = np.argmax(np.stack(list(groups.masks.values())), axis=0)
    names = list(groups.masks)
    told = _fingerprint(*(names[at] for at in place))
    sizes = [f"{name} {int(mask.sum()):,}" for name, mask in groups.masks.items()]
    listed = " and ".join(dict.fromkeys(groups.rule.values()))
    return "groups", f"{listed}: {', '.join(sizes)} classes, {told}"


def target_fact(target: TargetPrior) -> tuple[str, str]:
    """Where the class shares of deployment come from, with a fingerprint of what it says."""
    shares = target.prior
    return (
        "target prior",
        f"{target.name}: shares of {shares.size:,} classes, {100 * shares.max():.3g} to {100 * shares.min():.3g} %, "
        f"{_fingerprint(*shares.tolist())}",
    )


def _fingerprint(*values: object) -> str:
    """Of one value a class, in class order: another file, or the same one changed, is told apart."""
    listed = "\n".join(map(repr, values))
    return f"fingerprint {hashlib.sha256(listed.encode(errors='surrogatepass')).hexdigest()[:16]}"


def inference_facts(inference: dict[str, Any] | None) -> list[tuple[str, str]]:
    """The model that made the logits, where lacal ran or trained it."""
    if not inference:
        return []
    facts = []
    if "model" in inference:
        digest = inference.get("model_sha256")
        facts.append(("model", f"{inference['model']}" + (f", sha256 {digest}" if digest else "")))
    return facts
