"""The slider and the class table as the template and the script read them: plain values and packed numbers."""

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.formats.shown import printable
from lacal.report.charts.style import LIGHT, group_colours
from lacal.report.page.class_table import SHOWN, ClassTable, Column, Kind
from lacal.report.page.slider import ClassPaths, Slider

NAME_LIMIT = 120


def slider_shown(slider: Slider) -> dict[str, Any]:
    """The controls, the groups at the first tick, and `data` for the script."""
    at = slider.start
    colours = _colours(sum(one.place is not None for one in slider.groups))
    rows = [
        {
            "name": printable(one.name),
            "rule": printable(one.rule),
            "colour": None if one.place is None else colours[one.place],
            "classes": one.classes,
            "n": one.n,
            "before": one.before.tolist(),
            "error": one.error[at].tolist(),
            "gain": one.gain[at].tolist(),
            "mended": int(one.mended[at]),
            "broken": int(one.broken[at]),
        }
        for one in slider.groups
    ]
    last = slider.taus.size - 1
    marks = [
        {"name": name, "tick": tick, "tau": shown_tau(float(slider.taus[tick]))}
        for name, tick in slider.marks
    ]
    return {
        "rows": rows,
        "marks": marks,
        "start": at,
        "last": last,
        "tau": shown_tau(float(slider.taus[at])),
        "data": _slider_data(slider, colours),
    }


def shown_tau(tau: float) -> str:
    """At most four digits after the point, as the script writes it."""
    return f"{tau:.4f}".rstrip("0").rstrip(".").replace("-", "−")


def _slider_data(slider: Slider, colours: list[str]) -> dict[str, Any]:
    return {
        "taus": slider.taus.tolist(),
        "start": slider.start,
        "groups": [
            {
                "error": packed(one.error),
                "gain": packed(one.gain),
                "mended": one.mended.tolist(),
                "broken": one.broken.tolist(),
                "place": one.place,
            }
            for one in slider.groups
        ],
        "colours": colours,
        "place": slider.place.tolist(),
        "counts": slider.class_counts.tolist(),
        "classes": None if slider.classes is None else _classes_data(slider.classes),
    }


def _classes_data(classes: ClassPaths) -> dict[str, Any]:
    return {
        "support": classes.support.tolist(),
        "before": classes.before.tolist(),
        "always": classes.always.ravel().tolist(),
        "spans": classes.spans.ravel().tolist(),
        "first": packed(classes.first),
        "stop": packed(classes.stop),
    }


def class_table_shown(table: ClassTable) -> dict[str, Any]:
    """The heading, the first rows for paper, and `data` for the script, which makes all others."""
    names = [printable(name, NAME_LIMIT) or "(unnamed)" for name in table.names]
    groups = [printable(name) for name in table.groups]
    order = table.sorted()[:SHOWN]
    colours = _colours(len(groups))
    return {
        "columns": table.columns,
        "order": table.order,
        "descending": table.descending,
        "pair": table.pair,
        "classes": len(names),
        "legend": [
            {
                "name": name,
                "colour": colours[at],
                "classes": int(np.count_nonzero(table.place == at)),
            }
            for at, name in enumerate(groups)
        ],
        "names_groups": len(groups) > len(set(colours)),
        "rows": [
            {
                "name": names[j],
                "group": groups[table.place[j]] if table.place[j] >= 0 else "",
                "colour": colours[table.place[j]] if table.place[j] >= 0 else None,
                "pair": _pair(table, j),
                "cells": [_cell(column, j) for column in table.columns],
            }
            for j in order
        ],
        "data": {
            "names": names,
            "groups": groups,
            "namesGroups": len(groups) > len(set(colours)),
            "colours": colours,
            "place": table.place.tolist(),
            "shown": SHOWN,
            "order": table.order,
            "descending": table.descending,
            "pair": table.pair,
            "columns": [
                {
                    "kind": one.kind,
                    "live": one.live,
                    "values": packed(one.values),
                    "low": None if one.low is None else packed(one.low),
                    "high": None if one.high is None else packed(one.high),
                }
                for one in table.columns
            ],
        },
    }


def _cell(column: Column, j: int) -> dict[str, str]:
    """What one cell says, and its interval in small print."""
    low = np.nan if column.low is None else float(column.low[j])
    high = np.nan if column.high is None else float(column.high[j])
    value = float(column.values[j])
    return {"text": written(column.kind, value), "spread": spread(column.kind, low, high)}


def _pair(table: ClassTable, j: int) -> str:
    """Where a class stands before and after, as CSS variables."""
    if table.pair is None:
        return ""
    start, stop = (float(table.columns[at].values[j]) for at in table.pair)
    return "" if np.isnan(start) or np.isnan(stop) else f"--from:{start:.4f};--to:{stop:.4f}"


def written(kind: Kind, value: float) -> str:
    """A number of that kind; n/a where there is none."""
    if np.isnan(value):
        return "n/a"
    if kind == "count":
        return f"{value:,.0f}"
    if kind == "share":
        return f"{100 * value:.1f}"
    return f"{100 * value:+.1f}".replace("-", "−") if kind == "points" else f"{value:.3f}"


def spread(kind: Kind, low: float, high: float) -> str:
    """An interval of that kind; empty where there is none."""
    if np.isnan(low) or np.isnan(high):
        return ""
    between = " to\u00a0" if kind == "points" else "–"
    return f"{written(kind, low)}{between}{written(kind, high)}"


def _colours(groups: int) -> list[str]:
    """The CSS variable of each group's colour, without its dashes."""
    role_of = {value: role for role, value in LIGHT.items()}
    return [role_of[one] for one in group_colours(groups)]


def packed(values: NDArray[Any]) -> str:
    """Little-endian bytes in base 64: every digit, at 11 characters a float."""
    little = values.astype(values.dtype.newbyteorder("<"), copy=False)
    return base64.b64encode(np.ascontiguousarray(little).tobytes()).decode()
