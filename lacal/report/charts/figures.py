"""Every chart: chart data to a matplotlib Figure."""

from lacal.report.charts.curves import curve, group_curves
from lacal.report.charts.epochs import epochs
from lacal.report.charts.flows import flows
from lacal.report.charts.recall import recall
from lacal.report.charts.reliability import reliability
from lacal.report.charts.rows import class_changes, errors, method_groups, methods

__all__ = [
    "class_changes",
    "curve",
    "epochs",
    "errors",
    "flows",
    "group_curves",
    "method_groups",
    "methods",
    "recall",
    "reliability",
]
