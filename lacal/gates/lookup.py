"""Which number of a run a name in a gate stands for."""

from collections.abc import Mapping

from lacal.measure import Measure

Measures = Mapping[str, Measure]
# Ends of a measure's name that ask for something else than its value.
ENDS = ("low", "high", "n")


def base_of(name: str) -> str:
    """`few.error` of `few.error.low`."""
    base, _, end = name.rpartition(".")
    return base if end in ENDS else name


def measure_of(name: str, measures: Measures) -> tuple[Measure, str]:
    """The measure a known name belongs to, and which of its numbers is meant."""
    if name in measures:
        return measures[name], "value"
    base, _, end = name.rpartition(".")
    return measures[base], end
