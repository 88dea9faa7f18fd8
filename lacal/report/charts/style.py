"""How charts look: colours by role, one width, one type size; no matplotlib until something is drawn.

A colour in a figure is always one of `LIGHT`. On a page the inline SVG names the role instead, as the CSS
variable `--many` and so on, which has another value in the dark: `DARK`. Many, medium and few are told apart
by people who see no red or green, and by lightness, and so are a fourth and a fifth group; before is grey and
after is not, so that what changed stands out, and no group has their colours. Everything is laid out `WIDTH`
units wide with text of `TEXT` units: on a phone of 360 pixels that is 9 pixels high, and on a desk, more than
half as wide again, as large as the text around it.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar

from lacal.report.charts.library import library

# Names of the CSS variables, and their values on white and on near-black paper.
LIGHT = {
    "ink": "#1d2229",
    "muted": "#5d6673",
    "grid": "#e3e6ea",
    "paper": "#ffffff",
    "many": "#0a5499",
    "medium": "#0e846d",
    "few": "#c44d0a",
    "fourth": "#4a2508",
    "fifth": "#00324d",
    "before": "#828b98",
    "after": "#5a3fc0",
    "accent": "#b8144e",
}
DARK = {
    "ink": "#e8ebef",
    "muted": "#a2abb8",
    "grid": "#333a44",
    "paper": "#14181e",
    "many": "#55a2ee",
    "medium": "#4fd6b6",
    "few": "#ff9350",
    "fourth": "#b08a6a",
    "fifth": "#66e0ff",
    "before": "#717a87",
    "after": "#ab98ff",
    "accent": "#ff86ad",
}

WIDTH = 400.0  # units of the viewBox, points on paper
TEXT = 11.0
SMALL = 10.0

P = ParamSpec("P")
T = TypeVar("T")


def colour(role: str) -> str:
    """The light value of a role, which a page replaces by the role's CSS variable."""
    return LIGHT[role]


def group_colours(groups: int) -> list[str]:
    """One colour a group, many to few; from six on some share one and are told apart by place."""
    roles = ("many", "medium", "few", "fourth", "fifth")
    return [LIGHT[roles[at % len(roles)]] for at in range(groups)]


@contextlib.contextmanager
def applied(salt: str = "lacal") -> Iterator[None]:
    """Settings of matplotlib for drawing and for writing; the user's own, and their styles, do not count.

    Args:
        salt: Makes the ids inside an SVG: charts on one page need different ones.
    """
    matplotlib = library()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_settings(salt))
        yield


def styled(draw: Callable[P, T]) -> Callable[P, T]:
    """Draw under these settings, whoever calls."""

    @functools.wraps(draw)
    def under_settings(*args: P.args, **kwargs: P.kwargs) -> T:
        with applied():
            return draw(*args, **kwargs)

    return under_settings


def canvas(height: float) -> Any:
    """An empty Figure of `WIDTH` by `height` units. Not pyplot: that keeps every figure, and picks a screen."""
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH / 72, height / 72), dpi=72)


def axes(figure: Any, left: float, top: float, width: float, height: float) -> Any:
    """Axes at a place in units from the top left corner, so that text never moves them."""
    across, down = figure.get_size_inches() * 72
    return figure.add_axes(
        (left / across, 1 - (top + height) / down, width / across, height / down)
    )


def _settings(salt: str) -> dict[str, Any]:
    return {
        "font.family": _fonts(),
        "font.size": TEXT,
        "text.color": LIGHT["ink"],
        "text.parse_math": False,  # a class may be called $x$
        "axes.labelcolor": LIGHT["muted"],
        "axes.labelsize": TEXT,
        "axes.edgecolor": LIGHT["muted"],
        "axes.facecolor": "none",
        "axes.linewidth": 0.8,
        "axes.axisbelow": True,
        "axes.grid": True,
        "axes.grid.axis": "y",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.spines.left": False,
        "axes.xmargin": 0.0,
        "axes.formatter.use_mathtext": False,
        "grid.color": LIGHT["grid"],
        "grid.linewidth": 0.8,
        "xtick.color": LIGHT["muted"],
        "ytick.color": LIGHT["muted"],
        "xtick.labelsize": TEXT,
        "ytick.labelsize": TEXT,
        "xtick.major.size": 3.0,
        "ytick.major.size": 0.0,
        "ytick.major.pad": 4.0,
        "xtick.minor.visible": False,
        "lines.linewidth": 1.6,
        "lines.solid_capstyle": "round",
        "lines.solid_joinstyle": "round",
        "figure.facecolor": "none",
        "savefig.facecolor": "none",
        "svg.fonttype": "none",  # text stays text: it can be searched, read aloud, and styled by the page
        "svg.hashsalt": salt,
        "path.simplify": False,  # steps are exact already
    }


@functools.cache
def _fonts() -> list[str]:
    """DejaVu Sans comes with matplotlib and sets the layout; others, where installed, have the signs it lacks."""
    from matplotlib import font_manager

    installed = set(font_manager.fontManager.get_font_names())
    wider = ("Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans Arabic", "Noto Sans Devanagari")
    return ["DejaVu Sans", *(name for name in wider if name in installed)]
