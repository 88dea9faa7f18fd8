"""What several charts draw alike: axis names, ticks in percent and in counts, intervals, labels that stay apart."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.formats.shown import printable
from lacal.report.charts.style import SMALL, TEXT, colour

LETTER = 0.57  # width of a letter of DejaVu Sans, in type sizes; other fonts are narrower
COUNT_STEPS = ((1, 2, 5), (1, 3), (1,))  # within a power of ten


def percent(value: float) -> str:
    """`13.4 %`."""
    return f"{100 * value:.1f} %"


def cut(name: str, letters: int) -> str:
    """A name from a file, safe to show and no longer than this, though escapes are longer than what they stand for."""
    shown = printable(name, letters)
    return shown if len(shown) <= letters else f"{shown[: letters - 1]}…"


def above(axes: Any, text: str, *, left: float = 0.0, up: float = 8.0) -> None:
    """What the y axis shows, level above its upper end: nobody turns their head.

    Args:
        axes: Whose.
        text: In words, with the unit.
        left: Where it begins, in units from the axes' left side; negative is further left.
        up: How far above the axes.
    """
    axes.annotate(
        text, (0, 1), (left, up), "axes fraction", "offset points", color=colour("muted"),
        ha="left", va="bottom", annotation_clip=False,
    )  # fmt: skip


def sides_key(axes: Any, sides: tuple[str, str], *, right: float = 0.0, up: float = 8.0) -> None:
    """What the two kinds of dots are, in their colours, at the right above the plot.

    Args:
        axes: Whose.
        sides: What before and after are called.
        right: Where the words end, in units from the axes' right side.
        up: How far above the axes.
    """
    for text, role in ((f"● {sides[1]}", "after"), (f"● {sides[0]}", "before")):
        axes.annotate(
            text, (1, 1), (right, up), "axes fraction", "offset points", ha="right", va="bottom",
            color=colour(role), annotation_clip=False,
        )  # fmt: skip
        right -= text_width(text, TEXT) + 8


def below(axes: Any, text: str) -> None:
    """What the x axis shows, at its right end."""
    axes.set_xlabel(text, loc="right", labelpad=3)


def number_ticks(axis: Any, low: float, high: float, most: int) -> None:
    """Ticks at round numbers within low and high."""
    from matplotlib.ticker import FixedLocator, FuncFormatter

    axis.set_major_locator(FixedLocator(round_ticks(low, high, most)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: signed(value)))


def signed(value: float, digits: int = 6) -> str:
    """A number in few digits, with a minus that is as wide as a plus.

    Example:
        >>> signed(-0.7)
        '−0.7'
    """
    return f"{value:.{digits}g}".replace("-", "\N{MINUS SIGN}")


def round_ticks(low: float, high: float, most: int) -> list[float]:
    """At most so many round numbers within low and high, 0 among them where it lies there."""
    span = max(high - low, 1e-9)
    power = 10.0 ** np.floor(np.log10(span / most))
    step = next(one * power for one in (1, 2, 2.5, 5, 10, 20) if span / (one * power) <= most)
    first, last = np.ceil(low / step - 1e-6), np.floor(high / step + 1e-6)
    return [round(float(at * step), 10) + 0.0 for at in np.arange(first, last + 1)]


def count_ticks(axis: Any, low: float, high: float, most: int = 8) -> None:
    """Ticks of a logarithmic axis of counts: 1, 2, 5, 10 and so on, or fewer a power of ten."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    ticks: list[int] = []
    for steps in COUNT_STEPS:
        ticks = [step * 10**power for power in range(10) for step in steps]
        ticks = [one for one in ticks if low <= one <= high]
        if len(ticks) <= most:
            break
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def room(
    values: Iterable[float], *, share: float = 0.06, least: float = 1.0
) -> tuple[float, float]:
    """Lowest and highest of the numbers with some air around, and never a span of nothing."""
    known = np.array([one for one in values if np.isfinite(one)], np.float64)
    if not known.size:
        return 0.0, 100.0
    low, high = float(known.min()), float(known.max())
    air = max((high - low) * share, (least - (high - low)) / 2, 0.0)
    return low - air, high + air


def whisker(
    axes: Any, low: float, high: float, y: float, shade: str, *, width: float = 2.2
) -> None:
    """A horizontal interval."""
    axes.plot([low, high], [y, y], color=shade, linewidth=width, alpha=0.45, solid_capstyle="butt")


def apart(wanted: Sequence[float], gap: float, low: float, high: float) -> NDArray[np.float64]:
    """Places as near to the wanted ones as leaves each `gap` from the next, within low and high where they fit.

    Least squares: with i gaps taken off the i-th, the places need only ascend (pool adjacent violators).

    Example:
        >>> apart([1.0, 1.2, 9.0], 1.0, 0.0, 10.0).tolist()
        [0.6, 1.6, 9.0]
    """
    order = np.argsort(wanted, kind="stable")
    steps = gap * np.arange(order.size)
    blocks: list[tuple[float, int]] = []  # sum and size of those that touch
    for value in np.array(wanted, np.float64)[order] - steps:
        total, size = float(value), 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / size:
            before = blocks.pop()
            total, size = total + before[0], size + before[1]
        blocks.append((total, size))
    means = np.repeat([total / size for total, size in blocks], [size for _, size in blocks])
    room_left = max(high - float(steps[-1]), low)
    result = np.empty(order.size)
    result[order] = np.clip(means, low, room_left) + steps
    return result.round(9)


def text_width(text: str, size: float = SMALL) -> float:
    """About how wide it is, in units."""
    return LETTER * size * len(text)
