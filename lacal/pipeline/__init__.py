"""The library's verbs, one a file: `inspect`, `infer`, `tune_tau`, `adjust`, `evaluate`, `export`.

A verb takes a source and what was decided about the classes, makes one pass, and returns a frozen
result. It prints nothing and parses nothing.
"""

from lacal.pipeline.adjust import adjust
from lacal.pipeline.evaluate import evaluate, evaluate_predictions
from lacal.pipeline.inspect import inspect
from lacal.pipeline.tune_tau import tune_tau

__all__ = ["adjust", "evaluate", "evaluate_predictions", "inspect", "tune_tau"]
