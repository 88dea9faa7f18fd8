"""Measures, calibration errors and target priors as plain JSON values, alike in every command that has them."""

from lacal.classes.target import TargetPrior
from lacal.json_text import Json
from lacal.measure import Measure
from lacal.metrics import CalibrationError, Diagram


def measures_json(every: dict[str, Measure]) -> Json:
    """All but those of single classes, which stand in `classes`."""
    return {name: measure_json(one) for name, one in every.items() if not name.startswith("class.")}


def measure_json(one: Measure) -> Json:
    """A number with what it rests on; `undefined` says why there is none."""
    return {
        "value": one.value,
        "interval": None if one.low is None or one.high is None else [one.low, one.high],
        "standard_error": one.standard_error,
        "n": one.n,
        "better": one.better,
        "unit": one.unit,
        "undefined": one.undefined,
    }


def target_json(target: TargetPrior | None) -> Json | None:
    """Class shares of deployment."""
    return None if target is None else {"name": target.name, "shares": target.prior.tolist()}


def calibration_error_json(one: CalibrationError) -> Json:
    """Plain and debiased errors; the binning scheme stands beside it."""
    return {
        "plain": one.value,
        "interval": None if one.low is None else [one.low, one.high],
        "mean_square": one.squared,
        "mean_square_debiased": one.squared_debiased,
        "rms": one.rms,
        "rms_debiased": one.rms_debiased,
        "rms_interval": None if one.rms_low is None else [one.rms_low, one.rms_high],
        "n": one.n,
        "used_bins": one.used_bins,
    }


def diagram_json(one: Diagram) -> Json:
    """A list of bins; null where one is empty."""
    filled = (one.n > 0).tolist()
    columns = {
        "confidence": one.confidence,
        "accuracy": one.accuracy,
        "low": one.low,
        "high": one.high,
    }
    shown = {
        name: [
            value if there else None for value, there in zip(values.tolist(), filled, strict=True)
        ]
        for name, values in columns.items()
    }
    return {"edges": one.edges.tolist(), **shown, "n": one.n.tolist()}
