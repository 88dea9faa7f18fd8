"""`render`: a Page as one HTML file that opens offline, on a phone, in the dark and on paper.

Style, script and data stand in the file; a Content-Security-Policy forbids everything else, the network and any
script but ours. Text is escaped by the template engine, and made visible first where it holds control or
bidirectional characters: titles, paths and class names come from files.
"""

import base64
import hashlib
import re
from importlib import resources
from typing import Any

from markupsafe import Markup, escape

from lacal import __version__
from lacal.formats.shown import printable
from lacal.report.charts.style import DARK, LIGHT
from lacal.report.document import Table
from lacal.report.page.class_table import ClassTable
from lacal.report.page.content import Chart, Page, Section
from lacal.report.page.shown import class_table_shown, slider_shown, spread, written
from lacal.report.page.slider import Slider
from lacal.report.page.table_shown import table_shown, with_minus

# In the order in which they are joined: each uses, or outdoes, what stands above it.
STYLES = ("page.css", "tables.css", "slider.css")
SCRIPTS = ("numbers.js", "slider.js", "charts.js", "classes.js")
_OPTION = re.compile(r"(?<!\S)--?[\w-]+")
# Characters of a sentence: a path or a command line may be long, but not without end
TEXT_LIMIT = 4000


def render(page: Page) -> str:
    """The page as HTML: the same bytes for the same page.

    Raises:
        MissingExtra: It has charts, and matplotlib is not installed.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("lacal.report.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(text=_text, sentence=_sentence, command=_command)
    environment.globals.update(written=written, spread=spread)
    script = "(() => {\n" + "\n".join(_asset(name) for name in SCRIPTS) + "})();\n"
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("page.html").render(
        page=page,
        sections=[_section(one) for one in page.sections],
        version=__version__,
        style=Markup(_palette() + "\n".join(_asset(name) for name in STYLES)),
        script=Markup(script),
        policy=f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
    )


def _section(section: Section) -> dict[str, Any]:
    items = [_item(one) for one in section.items]
    moves = any(one["kind"] == "slider" for one in items)
    short = section.short or section.title
    return {"title": section.title, "short": short, "items": items, "moves": moves}


def _item(item: "str | Table | Chart | Slider | ClassTable") -> dict[str, Any]:
    """What the template is told of an item, `kind` first."""
    if isinstance(item, str):
        # A page speaks of lacal in one way alone: by what to type.
        return {"kind": "command" if item.startswith("lacal ") else "sentence", "text": item}
    if isinstance(item, Table):
        return {"kind": "table", **table_shown(item)}
    if isinstance(item, Chart):
        return {"kind": "chart", "chart": item, **_drawn(item)}
    if isinstance(item, Slider):
        return {"kind": "slider", **slider_shown(item)}
    return {"kind": "classes", **class_table_shown(item)}


def _drawn(chart: Chart) -> dict[str, Any]:
    from lacal.report.charts.svg import inline

    svg = inline(chart)
    names = ("left", "top", "width", "height", "x_low", "x_high", "y_low", "y_high", "x_log")
    axes = [{name: getattr(one, name) for name in names} for one in svg.axes]
    return {"markup": Markup(svg.markup), "axes": axes}


def _palette() -> str:
    """The charts' colours as CSS variables; paper is always white."""
    light, dark = (
        "".join(f"--{role}:{value};" for role, value in one.items()) for one in (LIGHT, DARK)
    )
    return f":root{{{light}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"


def _asset(name: str) -> str:
    return resources.files("lacal.report.page").joinpath("assets", name).read_text("utf-8")


def _text(value: str) -> str:
    """Text safe to show; a number stays with its percent sign."""
    return printable(value, TEXT_LIMIT).replace(" %", "\u00a0%")


def _sentence(value: str) -> str:
    """Text safe to show, whose numbers below 0 have a true minus."""
    return with_minus(_text(value))


def _command(value: str) -> Markup:
    """A command line whose options are not broken at their dashes."""
    shown = str(escape(printable(value, TEXT_LIMIT)))
    return Markup(_OPTION.sub(lambda found: f'<span class="option">{found[0]}</span>', shown))
