"""For each example, the one closed interval of tau on which it is classified correctly.

Derivation. Under post-hoc logit adjustment example i with label y is right at tau iff for every
rival j: f_y - tau v_y >= f_j - tau v_j, with v the log prior. Write

    lead_j = f_y - f_j        (how far y is ahead at tau = 0)
    gap_j  = v_y - v_j        (how fast y loses that lead as tau grows)

then the condition is tau * gap_j <= lead_j: each rival gives one half-line, so the good taus are one
closed interval [low_i, high_i]. It costs one pass over the logits, about one point of a grid search.

Prior art: Och 2003 (MERT) searches a line through log-linear scores exactly in the same way, and
Galley & Quirk 2011 build on it. This is MERT's idea applied to tau.

Where y is ahead of everybody at 0, the nearest crossings are 1 / max(gap / lead) above 0 and
1 / min(gap / lead) below: one division, one argmax, one argmin, no masks. The few rivals that are
ahead of y at 0 are taken out of that and their half-lines cut in one by one.

Power family (weight normalisation, division by the prior), f_j / nu_j^tau: a positive f_y beats every
non-positive rival, and positive ones compare as log f_j - tau log nu_j; a non-positive f_y loses to
any positive rival; if all are negative they compare as -log|f_j| + tau log nu_j. So one interval again.

Ties go to the lowest index, as in argmax. So an end is open where the rival that sets it has a lower
index: it is moved one float inwards, and `low <= tau <= high` says what argmax says, also at tau = 0,
where coarse logits (float16, int8) often tie.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from lacal.batch import Labels, Logits, PerClass, PerRow
from lacal.cores import usable_cores
from lacal.methods import Family
from lacal.tau.screen import Screen, inwards

Intervals = tuple[PerRow, PerRow]  # low (n,), high (n,); low > high: never right

# Elements of one tile: small enough for its work arrays to stay in cache, large enough to hide NumPy's calls.
TILE = 1 << 20
DOUBLE_TILE = 1 << 18  # in double precision there are more of these, and all twice as wide


def intervals(logits: Logits, labels: Labels, family: Family) -> Intervals:
    """The taus at which each example is right under the family's scores.

    Args:
        logits: (n, k) finite.
        labels: (n,) in 0..k-1.
        family: How the scores move with tau; slopes of -inf mark classes never predicted.

    Returns:
        low (n,) and high (n,), closed, infinite where nothing bounds them; low > high for an
        example that no tau gets right.

    Example:
        >>> rare_is_behind = np.array([[2.0, 1.0]])
        >>> log_prior = Family(np.log([0.75, 0.25]))
        >>> low, high = intervals(rare_is_behind, np.array([1]), log_prior)
        >>> float(low[0].round(3)), float(high[0])   # right from 1 / log 3 on
        (0.91, inf)
    """
    n, k = logits.shape
    low, high = np.empty(n), np.empty(n)
    screen = _screen(logits, family)
    rows = max(1, (DOUBLE_TILE if screen is None else TILE) // k)
    tile = partial(_fill_tile, logits, labels, family, screen, low, high, rows)
    starts = range(0, n, rows)
    if len(starts) == 1:
        tile(0)
    else:
        list(_pool().map(tile, starts))
    return low, high


@cache
def _pool() -> ThreadPoolExecutor:
    """NumPy lets go of the interpreter inside a tile, so threads use every core."""
    return ThreadPoolExecutor(usable_cores(), thread_name_prefix="tau")


def _fill_tile(
    logits: Logits,
    labels: Labels,
    family: Family,
    screen: Screen | None,
    low: PerRow,
    high: PerRow,
    rows: int,
    start: int,
) -> None:
    part = slice(start, start + rows)
    low[part], high[part] = _tile(logits[part], labels[part], family, screen)


def _screen(logits: Logits, family: Family) -> Screen | None:
    """Single precision serves linear families of float32 logits."""
    if family.shift is not None or logits.dtype != np.float32 or np.isneginf(family.slopes).any():
        return None
    return Screen.of(family.slopes)


def _tile(logits: Logits, labels: Labels, family: Family, screen: Screen | None) -> Intervals:
    slopes = family.slopes
    masked = np.isneginf(slopes)
    if masked.any():
        return _without(masked, logits, labels, family)
    if screen is not None:
        return _screened(logits, labels, screen)
    if family.shift is None:
        return _linear(logits, labels, slopes)
    return _power(np.subtract(logits, family.shift, dtype=np.float64), labels, slopes)


def _without(
    masked: NDArray[np.bool_], logits: Logits, labels: Labels, family: Family
) -> Intervals:
    """Masked classes are nobody's rival, and nobody of theirs is ever right."""
    low, high = np.full(labels.size, np.inf), np.full(labels.size, -np.inf)
    possible = ~masked[labels]
    if possible.any():
        renumbered = np.cumsum(~masked) - 1
        shift = None if family.shift is None else family.shift[~masked]
        low[possible], high[possible] = _tile(
            logits[np.ix_(possible, ~masked)],
            renumbered[labels[possible]],
            Family(family.slopes[~masked], shift),
            None,
        )
    return low, high


def _screened(logits: Logits, labels: Labels, screen: Screen) -> Intervals:
    """`_linear`, by way of single precision."""
    low, high, unsure = screen.intervals(logits, labels)
    again, step = np.flatnonzero(unsure), max(1, DOUBLE_TILE // logits.shape[1])
    for start in range(0, again.size, step):
        part = again[start : start + step]
        low[part], high[part] = _linear(logits[part], labels[part], screen.slopes)
    return low, high


def _linear(scores: Logits, labels: Labels, slopes: PerClass) -> Intervals:
    """Intervals of `scores_j - tau * slopes_j`; scores of -inf are rivals that never win."""
    rows = np.arange(labels.size)
    own = scores[rows, labels].astype(np.float64) + 0.0  # -0.0 would turn a tie's sign around
    with np.errstate(over="ignore"):  # of scores near float64's end, whose turn is then at 0
        lead = own[:, None] - scores
    gap = slopes[labels][:, None] - slopes
    lead[rows, labels] = np.inf  # nobody is one's own rival
    behind = np.flatnonzero(lead < 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        turn = gap / lead
    turn.ravel()[behind] = 0.0
    nearest = turn.argmax(axis=1)
    twins = np.isnan(turn[rows, nearest])  # 0 / 0: a rival of equal prior and equal score
    if twins.any():
        turn[np.isnan(turn)] = 0.0
        nearest = turn.argmax(axis=1)
    high = _crossing(lead, gap, turn, nearest, np.inf)
    high = inwards(high, -np.inf, nearest < labels)
    farthest = turn.argmin(axis=1)
    low = _crossing(lead, gap, turn, farthest, -np.inf)
    low = inwards(low, np.inf, farthest < labels)
    _cut_by_rivals_ahead(low, high, lead, gap, behind, labels)
    _close_beaten_twins(low, high, scores, labels, slopes, twins)
    return low, high


def _crossing(
    lead: NDArray[np.float64],
    gap: NDArray[np.float64],
    turn: NDArray[np.float64],
    rival: NDArray[np.intp],
    unbounded: float,
) -> PerRow:
    """The tau at which the nearest rival on one side draws level, straight from its definition."""
    rows = np.arange(rival.size)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        crossing = lead[rows, rival] / gap[rows, rival]
    bounded = turn[rows, rival] > 0 if unbounded > 0 else turn[rows, rival] < 0
    return np.where(bounded, crossing, unbounded)


def _cut_by_rivals_ahead(
    low: PerRow,
    high: PerRow,
    lead: NDArray[np.float64],
    gap: NDArray[np.float64],
    behind: NDArray[np.intp],
    labels: Labels,
) -> None:
    """Cut in the half-lines of the rivals that are ahead of the label at tau = 0."""
    row, rival = np.divmod(behind, lead.shape[1])
    wins_ties = rival < labels[row]
    lead_ahead, gap_ahead = lead.ravel()[behind], gap.ravel()[behind]
    commoner, rarer = gap_ahead < 0, gap_ahead > 0
    with np.errstate(divide="ignore", over="ignore"):
        crossing = lead_ahead / gap_ahead
    np.maximum.at(low, row[commoner], inwards(crossing[commoner], np.inf, wins_ties[commoner]))
    np.minimum.at(high, row[rarer], inwards(crossing[rarer], -np.inf, wins_ties[rarer]))
    never = row[gap_ahead == 0]
    low[never], high[never] = np.inf, -np.inf


def _close_beaten_twins(
    low: PerRow,
    high: PerRow,
    scores: Logits,
    labels: Labels,
    slopes: PerClass,
    twins: NDArray[np.bool_],
) -> None:
    """Equal prior and equal score: the lower index wins at every tau."""
    for i in np.flatnonzero(twins):
        y = labels[i]
        if ((scores[i, :y] == scores[i, y]) & (slopes[:y] == slopes[y])).any():
            low[i], high[i] = np.inf, -np.inf


def _power(scores: NDArray[np.float64], labels: Labels, slopes: PerClass) -> Intervals:
    """Intervals of `scores_j * exp(-tau * slopes_j)`, by the signs of the scores."""
    own = scores[np.arange(labels.size), labels]
    low, high = np.full(labels.size, np.inf), np.full(labels.size, -np.inf)
    positive = own > 0
    negative = (own < 0) & (scores.max(axis=1) < 0)
    neutral = (own == 0) & (scores.argmax(axis=1) == labels)
    low[neutral], high[neutral] = -np.inf, np.inf
    with np.errstate(divide="ignore", invalid="ignore"):
        if positive.any():
            logs = np.log(np.maximum(scores[positive], 0.0))
            low[positive], high[positive] = _linear(logs, labels[positive], slopes)
        if negative.any():
            logs = -np.log(-scores[negative])
            low[negative], high[negative] = _linear(logs, labels[negative], -slopes)
    return low, high
