"""The best plateau of an exact error curve: cell after cell, in fractions. Beside `tests.soak.oracle.exact`."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from tests.soak.oracle.exact import Rows

CLOSE = Fraction(1, 10**9)  # errors nearer than this may be taken for equal


@dataclass(frozen=True, slots=True)
class Edge:
    """A tau at which some row starts or stops being right.

    Attributes:
        at: Exactly.
        slack: What rounding may move it by.
        closed: Whether every row that starts or stops here is right here.
    """

    at: Fraction
    slack: Fraction
    closed: bool


# Between two edges; None is infinite.
Cell = tuple[Edge | None, Edge | None]
Span = tuple[Fraction | None, Fraction | None]


@dataclass(frozen=True, slots=True)
class Best:
    """The plateaus that may be named as the best: more than one where several are equally near.

    Attributes:
        error: The lowest balanced error.
        plateaus: Of that error, nearest to the reference.
        decided: Whether no rounding can make other cells the best, or of two plateaus one.
    """

    error: Fraction
    plateaus: Sequence[Cell]
    decided: bool


def optimum(rows: Rows, span: Span, near: Fraction, narrowest: float) -> Best:
    """The lowest error over cells that reach into the span by more than `narrowest`.

    Cells that share an edge at which every row is still right are one plateau.
    """
    limit = Fraction(narrowest)
    cells = _cells(rows)
    reach = [_width(cell, span) for cell, _ in cells]
    width = [_width(cell, (None, None)) for cell, _ in cells]
    eligible = [
        number
        for number in range(len(cells))
        if all(one is None or one > limit for one in (reach[number], width[number]))
    ]
    decided = all(one is None or not limit / 2 < one < 2 * limit for one in (*reach, *width))
    best = min((cells[number][1] for number in eligible), default=Fraction(1))
    decided &= all(cells[at][1] == best or cells[at][1] - best > CLOSE for at in eligible)
    runs: list[list[int]] = []
    for number in eligible:
        (left, _), error = cells[number]
        if error != best:
            continue
        if runs and runs[-1][-1] == number - 1 and left is not None and left.closed:
            runs[-1].append(number)
        else:
            runs.append([number])
        decided &= all(
            _apart(cells[at][0]) for at in range(max(number - 1, 0), number + 2) if at < len(cells)
        )
    distances = [min(_distance(cells[number][0], near) for number in run) for run in runs]
    nearest = [
        (cells[run[0]][0][0], cells[run[-1]][0][1])
        for run, distance in zip(runs, distances, strict=True)
        if distance - min(distances) <= Fraction(1, 10**12)
    ]
    return Best(best, nearest, decided and bool(runs))


def _cells(rows: Rows) -> list[tuple[Cell, Fraction]]:
    """Every cell between neighbouring edges, with the balanced error inside."""
    edges: dict[Fraction, Edge] = {}
    change: dict[Fraction, Fraction] = {}
    covered = Fraction(0)
    for right, weight in zip(rows.right, rows.weights, strict=True):
        low, high = right.low, right.high
        if right.nowhere:
            continue
        for end, step in ((low, weight), (high, -weight)):
            if end is not None:
                known = edges.get(end.at)
                slack = max(end.most - end.least, known.slack if known else Fraction(0))
                edges[end.at] = Edge(end.at, slack, end.closed and (known is None or known.closed))
                change[end.at] = change.get(end.at, Fraction(0)) + step
        covered += weight if low is None else 0
    ordered: list[Edge | None] = [edges[at] for at in sorted(edges)]
    cells: list[tuple[Cell, Fraction]] = []
    for left, right_edge in zip([None, *ordered], [*ordered, None], strict=True):
        covered += Fraction(0) if left is None else change[left.at]
        cells.append(((left, right_edge), 1 - covered))
    return cells


def _width(cell: Cell, span: Span) -> Fraction | None:
    """Of what lies in the span; None where that is infinite."""
    ends = [None if edge is None else edge.at for edge in cell]
    lefts = [one for one in (ends[0], span[0]) if one is not None]
    rights = [one for one in (ends[1], span[1]) if one is not None]
    return min(rights) - max(lefts) if lefts and rights else None


def _apart(cell: Cell) -> bool:
    """Whether rounding keeps the two edges in order, and two."""
    if cell[0] is None or cell[1] is None:
        return True
    return cell[1].at - cell[0].at > 2 * (cell[0].slack + cell[1].slack)


def _distance(cell: Cell, near: Fraction) -> Fraction:
    left = Fraction(0) if cell[0] is None else cell[0].at - near
    right = Fraction(0) if cell[1] is None else near - cell[1].at
    return max(left, right, Fraction(0))
