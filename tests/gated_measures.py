"""Measures by name, defined and not, and what becomes of a gate on them."""

from lacal.gates.grammar import parse_gate
from lacal.gates.judge import judge
from lacal.gates.verdict import Verdict
from lacal.measure import Measure


def measure(name: str, value: float | None, unit: str = "share") -> Measure:
    if value is None:
        return Measure(name, None, None, None, None, 0, unit=unit, undefined="no rows")
    return Measure(name, value, value - 0.05, value + 0.05, 0.025, 120, unit=unit)


MEASURES = {
    one.name: one
    for one in (
        measure("balanced_error", 0.2),
        measure("few.error", 0.6),
        measure("many.error", 0.1),
        measure("medium.error", None),
        measure("log_loss", 0.8, "nats"),
        Measure("macro_f1", 0.7, None, None, None, 500, better="higher"),
        measure("class.T-shirt/top.error", 0.3),
        measure('class.a "b".c.error', 0.25),
        measure("two wheels.error", 0.3),
        Measure("gain", 0.04, -0.01, 0.09, 0.025, 120, better="higher"),
    )
}


def verdict(text: str) -> Verdict:
    return judge([parse_gate(text)], MEASURES)[0]
