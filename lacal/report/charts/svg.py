"""Charts as SVG inside a page, whose colours follow the page, and as SVG and PNG files of their own."""

import contextlib
import html
import io
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lacal.atomic import at_fault, check_target, make_folder, writing
from lacal.errors import UsageError
from lacal.report.charts.style import LIGHT, applied
from lacal.report.page.content import Chart

DOTS_PER_UNIT = 3.0  # of a PNG
MARGIN = 8.0  # units of paper around a chart in a file
_ROLES = {value: role for role, value in LIGHT.items()}
_COLOUR = re.compile("|".join(_ROLES))
# What of matplotlib's SVG a page has no use for: a style sheet that would reach the whole page, ids nobody
# refers to, fonts, digits below a hundredth of a unit.
_STYLE = re.compile(r"<defs>\s*<style.*?</style>\s*</defs>", re.DOTALL)
_TAG = re.compile(r"<[^>]*>")  # matplotlib escapes > within
_ID = re.compile(r' id="([^"]*)"')
_FONT = re.compile(r"font-family: [^;\"]*;? ?")
_DIGITS = re.compile(r"(?<=[\d]\.\d\d)\d+")
# Parts that a page moves have one name in several places, which it knows as classes; an id must be unique.
_PART = "part-"
_PART_ID = re.compile(rb' id="part-[^"]*"')


@dataclass(frozen=True, slots=True)
class AxesBox:
    """Where data are in a chart: the corners of one pair of axes in the viewBox, and the values there.

    Attributes:
        left: Of the axes, from the left, in units of the viewBox.
        top: From the top.
        width: To the right.
        height: Downwards.
        x_low: Value at the left.
        x_high: Value at the right.
        y_low: Value at the bottom.
        y_high: Value at the top.
        x_log: Whether x is a logarithmic axis.
    """

    left: float
    top: float
    width: float
    height: float
    x_low: float
    x_high: float
    y_low: float
    y_high: float
    x_log: bool


@dataclass(frozen=True, slots=True)
class Svg:
    """A chart for a page.

    Attributes:
        markup: One `<svg>` element, safe to be put into HTML as it is.
        axes: In the order they were drawn.
        width: Of the viewBox.
        height: Of the viewBox.
    """

    markup: str
    axes: tuple[AxesBox, ...]
    width: float
    height: float


def inline(chart: Chart) -> Svg:
    """The chart as one `<svg>` element: colours are CSS variables, the font is the page's, ids are its own."""
    with applied(salt=chart.name):
        figure = chart.draw()
        drawn = _saved(figure, "svg", transparent=True).decode()
    across, down = (float(size) * 72 for size in figure.get_size_inches())
    body = drawn[drawn.index(">", drawn.index("<svg")) + 1 :]
    head = (
        f'<svg class="chart" xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="0 0 {across:g} {down:g}" role="img" aria-label="{html.escape(chart.alt)}" '
        'style="stroke-linejoin: round">'
    )
    return Svg(head + _for_a_page(body), tuple(map(_box, figure.axes)), across, down)


def write_plots(charts: Iterable[Chart], folder: Path, *, force: bool) -> list[Path]:
    """Write every chart as NAME.svg and NAME.png into a folder, which is made; the paths, in order.

    The same chart gives the same bytes. On white paper, without a title: a caption says what it is.

    Raises:
        UsageError: A file of that name exists and `force` is off, or the folder cannot be had.
        RunError: The disk is full or fails.
    """
    new = not folder.exists()
    _made(folder)
    try:
        return _write_into(folder, list(charts), force=force)
    except BaseException:
        if new:
            with contextlib.suppress(OSError):  # it stays for the charts that are written
                folder.rmdir()
        raise


def _write_into(folder: Path, charts: list[Chart], *, force: bool) -> list[Path]:
    paths = [folder / f"{one.name}.{kind}" for one in charts for kind in ("svg", "png")]
    for path in paths:
        check_target(path, force=force)
    for number, chart in enumerate(charts):
        with applied(salt=chart.name):
            figure = chart.draw()
            for path in paths[2 * number : 2 * number + 2]:
                content = _saved(figure, path.suffix[1:], transparent=False)
                with writing(path, replace=force) as file:
                    file.write(content)
    return paths


def _made(folder: Path) -> None:
    try:
        make_folder(folder)
    except FileExistsError:
        raise UsageError(f"{folder}: is not a folder; name one for the charts") from None
    except OSError as error:
        raise at_fault(error)(
            f"{folder}: cannot be made ({error.strerror}); choose another"
        ) from error


def _saved(figure: Any, kind: str, *, transparent: bool) -> bytes:
    """The figure's bytes, the same for the same figure: no date, no version."""
    from matplotlib.transforms import Bbox

    unsaid = ("Date", "Creator", "Format", "Type") if kind == "svg" else ("Software",)
    edge, (across, down) = 0.0 if transparent else MARGIN / 72, figure.get_size_inches()
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # A class name in a script that no installed font has: boxes in the PNG, the name itself in the SVG.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(
            buffer,
            format=kind,
            dpi=72 * DOTS_PER_UNIT if kind == "png" else 72,
            facecolor="none" if transparent else LIGHT["paper"],
            metadata=dict.fromkeys(unsaid),
            bbox_inches=Bbox([[-edge, -edge], [across + edge, down + edge]]),
        )
    content = buffer.getvalue()
    return content if transparent else _PART_ID.sub(b"", content)


def _for_a_page(body: str) -> str:
    """The SVG of matplotlib with the page's colours and font, and no more than a browser needs."""
    body = _STYLE.sub("", body)
    used = set(re.findall(r"(?:xlink:href=\"#|url\(#)([^\")]+)", body))
    # Within tags alone: a class may be called 0.12345, or by the name of a colour.
    body = _TAG.sub(lambda found: _tag(found[0], used), body)
    return re.sub(r"\n\s*", "\n", body).strip()


def _tag(tag: str, used: set[str]) -> str:
    tag = _ID.sub(lambda found: _id_or_class(found[1], used), tag)
    tag = _FONT.sub("", tag)
    tag = _COLOUR.sub(lambda found: f"var(--{_ROLES[found[0]]})", tag)
    return _DIGITS.sub("", tag)


def _id_or_class(name: str, used: set[str]) -> str:
    if name in used:
        return f' id="{name}"'
    return f' class="{name}"' if name.startswith(_PART) else ""


def _box(axes: Any) -> AxesBox:
    across, down = axes.figure.get_size_inches() * 72
    place = axes.get_position()
    (x_low, x_high), (y_low, y_high) = axes.get_xlim(), axes.get_ylim()
    return AxesBox(
        left=float(place.x0 * across),
        top=float((1 - place.y1) * down),
        width=float(place.width * across),
        height=float(place.height * down),
        x_low=float(x_low),
        x_high=float(x_high),
        y_low=float(y_low),
        y_high=float(y_high),
        x_log=axes.get_xscale() == "log",
    )
