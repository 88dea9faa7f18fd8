"""Every post-hoc method that applies to a model, tuned on one validation split: one pass, then arithmetic."""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lacal.adjustment import Adjustment
from lacal.batch import Batch, Labels, PerClass
from lacal.calibration import FITTED, calibration_of
from lacal.classes.prior import LabelPrior
from lacal.methods import BIAS_RULES, METHODS, ClassStatistics
from lacal.pipeline.candidate_fits import fitted_candidates
from lacal.pipeline.candidate_rows import Settings, TunedMethod, ValidationRows
from lacal.pipeline.tune_tau import Search, refuse_one_class, tuning_of
from lacal.rows.fingerprint import RowSketch
from lacal.rows.same_rows import RowMarks
from lacal.rows.scores import are_log_probs
from lacal.rows.source import Source, require_labels
from lacal.tau.grid import parse_grid
from lacal.tau.path import TauPathAccumulator

UNADJUSTED = "none"
# Everything that `--keep` may name, in the order of the methods. A head without a bias has one weight-norm.
NAMES = (
    UNADJUSTED,
    "logit-adjustment:1",
    "logit-adjustment",
    "weight-norm",
    *(f"weight-norm:{rule}" for rule in BIAS_RULES),
    "prior-division",
    *FITTED,
)
NEEDS_LOGITS = (
    "needs raw logits: a constant added to a row, as in log-probabilities, changes its answer"
)
NEEDS_HEAD = "needs the classifier's head; give --head FILE"

Head = tuple[PerClass, PerClass | None]  # weight norms (k,) and bias (k,)


@dataclass(frozen=True, slots=True)
class Tuned:
    """What the validation split gave.

    Attributes:
        candidates: In the order of the methods, the unadjusted model first.
        left_out: Name and reason of each method that could not be tried.
        sketch: Fingerprint of the rows.
        marks: What they say of themselves, by ids and labels.
        labels: (n,) of the labelled rows, in order.
        raw: Whether the rows are logits, not (log-)probabilities.
    """

    candidates: tuple[TunedMethod, ...]
    left_out: tuple[tuple[str, str], ...]
    sketch: RowSketch
    marks: RowMarks
    labels: Labels
    raw: bool


def tuned_candidates(
    val: Source, prior: LabelPrior, head: Head | None, settings: Settings
) -> Tuned:
    """Tune every method that applies, in one pass over the validation rows.

    Args:
        val: Logits with labels.
        prior: Training class counts, in the source's class order.
        head: Of the classifier's last layer, where known.
        settings: Draws, seed, kind of scores.

    Raises:
        UsageError: No labels.
        DataError: Rows of a single class, or none with a label.
    """
    require_labels(val)
    raw = are_raw(val, settings.scores)
    searches, left_out = _searches(prior, head, raw)
    rows = ValidationRows({name: one.path(val.place) for name, one in searches.items()})
    rows.read(val)
    refuse_one_class(rows.path("logit-adjustment", val.place), val.place, prior)
    at_one = calibration_of(
        "logit-adjustment",
        1.0,
        prior,
        ClassStatistics(prior.log_prior),
        select="given",
        scores=settings.scores or "logits",
        tuned_on=None,
        inference=val.inference,
    )
    fitted, without = fitted_candidates(
        rows, prior, settings, raw=raw, inference=val.inference, needs_logits=NEEDS_LOGITS
    )
    candidates = (
        TunedMethod(UNADJUSTED, "", Adjustment.identity(val.classes), None),
        TunedMethod("logit-adjustment:1", "tau = 1", at_one.adjustment, at_one),
        *(_searched(name, one, rows, prior, settings, val) for name, one in searches.items()),
        *fitted,
    )
    ranks = {name: at for at, name in enumerate(NAMES)}
    left_out = sorted([*left_out, *without], key=lambda one: ranks[one[0]])
    return Tuned(candidates, tuple(left_out), rows.sketch, rows.marks, rows.labels(), raw)


def are_raw(source: Source, said: str | None) -> bool:
    """Whether scores are logits: as the user says, else by the looks of the first rows."""
    if said is not None:
        return said == "logits"
    return not any(are_log_probs(batch.logits) for batch in _first(source))


def _first(source: Source) -> list[Batch]:
    return list(itertools.islice(source.batches(), 1))


@dataclass(frozen=True, slots=True)
class _Search:
    """A method that searches tau, and what it knows of the classes."""

    method: str
    statistics: ClassStatistics

    @property
    def grid(self) -> NDArray[np.float64]:
        return parse_grid(None, METHODS[self.method])

    def path(self, place: str) -> TauPathAccumulator:
        return TauPathAccumulator(METHODS[self.method], self.statistics, self.grid, place)


def _searches(
    prior: LabelPrior, head: Head | None, raw: bool
) -> tuple[dict[str, _Search], list[tuple[str, str]]]:
    """The methods that search tau by name, and name and reason of those that cannot be tried."""
    plain = ClassStatistics(prior.log_prior)
    searches, left_out = {"logit-adjustment": _Search("logit-adjustment", plain)}, []
    if head is None or not raw:
        left_out.append(("weight-norm", NEEDS_HEAD if raw else NEEDS_LOGITS))
    elif head[1] is None or not head[1].any():
        known = ClassStatistics(prior.log_prior, *head)
        searches["weight-norm"] = _Search("weight-norm", known)
    else:
        for rule in BIAS_RULES:
            known = ClassStatistics(prior.log_prior, *head, rule)
            searches[f"weight-norm:{rule}"] = _Search("weight-norm", known)
    if raw:
        searches["prior-division"] = _Search("prior-division", plain)
    else:
        left_out.append(("prior-division", NEEDS_LOGITS))
    return searches, left_out


def _searched(
    name: str,
    one: _Search,
    rows: ValidationRows,
    prior: LabelPrior,
    settings: Settings,
    val: Source,
) -> TunedMethod:
    """A method at the tau that `lacal tune-tau` picks on these rows."""
    search = Search(
        one.method,
        one.grid,
        draws=settings.draws,
        seed=settings.seed,
        reference=settings.reference,
    )
    found = tuning_of(
        rows.path(name, val.place),
        rows.unadjusted_right(),
        rows.sketch,
        prior,
        one.statistics,
        search,
        scores=settings.scores or "logits",
        inference=val.inference,
    )
    notes = []
    if found.at_edge:
        low, high = one.grid[[0, -1]]
        notes.append(f"the best tau may lie outside the range {low:g}..{high:g} that was searched")
    if not found.exact:
        notes.append(
            f"tau was searched on a grid of {one.grid.size} values; with the bias kept, the errors between them are not "
            "known, as they are for the other methods"
        )
    detail, calibration = f"tau = {found.tau:.4g}", found.calibration
    return TunedMethod(name, detail, calibration.adjustment, calibration, "; ".join(notes) or None)
