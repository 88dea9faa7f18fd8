"""Slow, obvious loops in exact arithmetic, for the oracle: one row, one class, one number at a time.

Floats are taken for the fractions that they are. Where a method needs logarithms of logits, they are taken to 40
digits. Nothing here calls lacal's arithmetic.

Rounding. lacal finds where a row starts and stops being right as `lead / gap`, two differences and a quotient of
float64, so it may be off by a few units in the last place; of logarithms by what their own rounding makes of the
difference. `End` carries that bound, rival by rival. A question whose answer lies within the bound is undecided:
None, never a guess.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Context, Decimal
from fractions import Fraction

ULP = Fraction(1, 2**53)  # largest relative error of one rounded operation
LEAST = Fraction(1, 2**1074)
DIGITS = Context(prec=40)

NEVER = -math.inf  # slope or offset of a class that is never predicted
Slopes = Sequence[float]


@dataclass(slots=True)
class End:
    """Where a row starts, or stops, being right.

    Attributes:
        at: Exactly.
        least: The smallest value that rounding may make of it.
        most: The largest.
        closed: Whether the row is right at the end itself.
    """

    at: Fraction
    least: Fraction
    most: Fraction
    closed: bool
    surely_below: float = field(init=False)  # floats beside the range, which are compared sooner
    surely_above: float = field(init=False)

    def __post_init__(self) -> None:
        self.surely_below = math.nextafter(float(self.least), -math.inf)
        self.surely_above = math.nextafter(float(self.most), math.inf)

    @property
    def sure(self) -> bool:
        """Whether no rounding can move it: it stands at 0."""
        return self.least == self.most

    def allows(self, found: float, inwards: int) -> bool:
        """Whether lacal may say `found` for it: an open end is one float further in."""
        if not self.least - _step(found) <= Fraction(found) <= self.most + _step(found):
            return False
        return not self.sure or (found == self.at if self.closed else inwards * found > 0)


@dataclass(frozen=True, slots=True)
class Right:
    """The taus at which one row is right: none if `never`, else between two ends; None has no end there."""

    low: End | None = None
    high: End | None = None
    never: bool = False

    def at(self, tau: float) -> bool | None:
        """Whether the row is right at tau; None where rounding may decide."""
        if self.never:
            return False
        unsure = False
        for end, outside in ((self.low, -1), (self.high, 1)):
            side = None if end is None else _side(tau, end)
            if end is None or side == -outside:
                continue
            if side == outside or (side == 0 and not end.closed):
                return False
            unsure |= side is None
        return None if unsure else True

    @property
    def nowhere(self) -> bool:
        """Whether, nothing being rounded, no tau is right."""
        if self.never or self.low is None or self.high is None:
            return self.never
        closed = self.low.closed and self.high.closed
        return self.low.at > self.high.at or (self.low.at == self.high.at and not closed)

    @property
    def surely_somewhere(self) -> bool:
        """Whether some tau is right, however the ends are rounded."""
        if self.never:
            return False
        return self.low is None or self.high is None or self.low.most < self.high.least


def _step(value: float) -> Fraction:
    return abs(Fraction(value)) * 2 * ULP + LEAST


def _side(tau: float, end: End) -> int | None:
    """-1 where tau is below an end, 1 above, 0 at it; None where rounding may decide."""
    if tau < end.surely_below:
        return -1
    if tau > end.surely_above:
        return 1
    if end.least <= tau <= end.most:
        return 0 if end.sure else None
    return 1 if tau > end.most else -1


def right_linear(scores: Sequence[float], label: int, slopes: Slopes) -> Right:
    """Where `scores_j - tau * slopes_j` is largest for the label, the lowest index winning ties."""
    exact = [Fraction(one) for one in scores]
    return _against_rivals(exact, [Fraction(0)] * len(exact), label, slopes)


def right_power(
    scores: Sequence[float], shift: Sequence[float], label: int, slopes: Slopes
) -> Right:
    """Where `(scores_j - shift_j) * exp(-tau * slopes_j)` is largest for the label."""
    if slopes[label] == NEVER:
        return Right(never=True)
    # Rounded as by every float64 difference: two scores that it makes equal are a tie.
    shifted = [Fraction(a - b) for a, b in zip(scores, shift, strict=True)]
    possible = [j for j, slope in enumerate(slopes) if slope != NEVER]
    own = shifted[label]
    if own > 0:
        # Rivals of 0 or less never win against it.
        kept = [slope if shifted[j] > 0 else NEVER for j, slope in enumerate(slopes)]
        return _against_rivals(*_logs(shifted, 1), label, kept)
    if any(shifted[j] > own for j in possible if own == 0 or shifted[j] >= 0):
        return Right(never=True)
    if own == 0:  # zeros tie at every tau
        first = min(j for j in possible if shifted[j] == 0)
        return Right(never=first != label)
    return _against_rivals(
        *_logs(shifted, -1), label, [-one if one != NEVER else one for one in slopes]
    )


def _logs(values: Sequence[Fraction], sign: int) -> tuple[list[Fraction], list[Fraction]]:
    """sign * log(sign * value), and what float64 may be off by."""
    logs, slack = [], []
    for value in values:
        if sign * value <= 0:
            logs.append(Fraction(0))  # of a rival that is not looked at
            slack.append(Fraction(0))
            continue
        ratio = DIGITS.divide(Decimal(abs(value).numerator), Decimal(value.denominator))
        log = Fraction(DIGITS.ln(ratio))
        logs.append(sign * log)
        slack.append(2 * ULP * (1 + abs(log)))
    return logs, slack


def _against_rivals(
    scores: Sequence[Fraction], slack: Sequence[Fraction], label: int, slopes: Slopes
) -> Right:
    if slopes[label] == NEVER:
        return Right(never=True)
    lows: list[End] = []
    highs: list[End] = []
    own = Fraction(slopes[label])
    for j, (score, slope) in enumerate(zip(scores, slopes, strict=True)):
        if j == label or slope == NEVER:
            continue
        lead, gap = scores[label] - score, own - Fraction(slope)
        wins_ties = label < j
        if gap == 0:
            if lead < 0 or (lead == 0 and not wins_ties):
                return Right(never=True)
            continue
        at = lead / gap
        # Equal logits have equal logs: a tie at tau = 0 is one whatever is rounded.
        off = abs(at) * 5 * ULP + (0 if lead == 0 else (slack[label] + slack[j]) / abs(gap))
        (highs if gap > 0 else lows).append(End(at, at - off, at + off, wins_ties))
    return Right(_tightest(lows, max), _tightest(highs, min))


def _tightest(ends: list[End], choose: Callable[[Iterable[Fraction]], Fraction]) -> End | None:
    if not ends:
        return None
    at = choose(one.at for one in ends)
    return End(
        at,
        choose(one.least for one in ends),
        choose(one.most for one in ends),
        all(one.closed for one in ends if one.at == at),
    )


def predicted(scale: Sequence[float], offset: Sequence[float], logits: Sequence[float]) -> int:
    """The class of the largest `scale * logit + offset` as IEEE 754 has it: each operation rounded once."""
    scores = [
        NEVER if o == NEVER else float(Fraction(float(Fraction(s) * Fraction(f))) + Fraction(o))
        for s, o, f in zip(scale, offset, logits, strict=True)
    ]
    return scores.index(max(scores))


def surely_predicted(
    scale: Sequence[float], offset: Sequence[float], logits: Sequence[float]
) -> int | None:
    """The class of the largest score in real arithmetic; None where float64 may see another."""
    best: list[tuple[Fraction, int]] = []
    largest = Fraction(0)
    for j, (s, o, f) in enumerate(zip(scale, offset, logits, strict=True)):
        if o == NEVER:
            continue
        product = Fraction(s) * Fraction(f)
        largest = max(largest, abs(product) + abs(Fraction(o)))
        best.append((product + Fraction(o), -j))
    best.sort(reverse=True)
    if len(best) > 1 and best[0][0] - best[1][0] <= 4 * ULP * largest:
        return None
    return -best[0][1]


@dataclass(slots=True)
class Rows:
    """Labelled rows with the taus at which each is right, and what each weighs in the balanced error.

    Attributes:
        labels: Of each row.
        right: Of each row.
        weights: 1 / (classes present * rows of the row's class).
    """

    labels: Sequence[int]
    right: Sequence[Right]
    weights: Sequence[Fraction] = field(init=False)

    def __post_init__(self) -> None:
        support = Counter(self.labels)
        self.weights = [Fraction(1, len(support) * support[one]) for one in self.labels]

    def balanced_error(self, tau: float) -> Fraction | None:
        """At tau; None where a row is undecided there."""
        answers = [one.at(tau) for one in self.right]
        if None in answers:
            return None
        wrong = Counter(y for y, right in zip(self.labels, answers, strict=True) if not right)
        support = Counter(self.labels)
        return sum((Fraction(wrong[y], support[y]) for y in wrong), Fraction(0)) / len(support)
