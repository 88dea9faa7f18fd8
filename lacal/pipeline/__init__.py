"""The library's verbs, one a file: `inspect`, `infer`, `tune_tau`, `adjust`, `evaluate`, `compare_methods` and others.

A verb takes a source and what was decided about the classes, makes one pass, and returns a frozen
result. It prints nothing and parses nothing.
"""

from lacal.pipeline.adjust import adjust
from lacal.pipeline.compare import compare_methods
from lacal.pipeline.compare_runs import compare_runs
from lacal.pipeline.evaluate import evaluate
from lacal.pipeline.evaluate_predictions import evaluate_predictions
from lacal.pipeline.inspect import inspect
from lacal.pipeline.tune_tau import tune_tau

__all__ = [
    "adjust",
    "compare_methods",
    "compare_runs",
    "evaluate",
    "evaluate_predictions",
    "inspect",
    "tune_tau",
]
