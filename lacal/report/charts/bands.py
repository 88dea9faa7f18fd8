"""Which training counts each group covers, for charts with counts on an axis."""

import itertools

import numpy as np
from numpy.typing import NDArray

from lacal.report.charts.data import CountBand
from lacal.report.charts.style import group_colours


def bands_of(
    class_counts: NDArray[np.int64], masks: dict[str, NDArray[np.bool_]]
) -> tuple[CountBand, ...]:
    """The groups by ascending count; none where their counts overlap, as groups from a file may."""
    shades = group_colours(len(masks))
    bands = [
        CountBand(
            name, max(float(class_counts[mask].min()), 0.5), float(class_counts[mask].max()), shade
        )
        for (name, mask), shade in zip(masks.items(), shades, strict=True)
        if mask.any()
    ]
    bands.sort(key=lambda one: one.low)
    overlap = any(one.high >= other.low for one, other in itertools.pairwise(bands))
    return () if overlap else tuple(bands)
