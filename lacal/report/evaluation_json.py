"""Results of `evaluate` for scripts: plain JSON values, full precision, None where a number is undefined."""

import numpy as np

from lacal.gates.verdict import Verdict
from lacal.json_text import Json
from lacal.pipeline.evaluate import Evaluation
from lacal.report.evaluation import Evaluated
from lacal.report.measured import (
    calibration_error_json,
    diagram_json,
    measures_json,
    target_json,
)
from lacal.report.numbers import SCHEMA_VERSION, errors, gain_of
from lacal.report.temperature import temperature_json


def evaluation_json(one: Evaluated, warnings: list[str], verdicts: tuple[Verdict, ...]) -> Json:
    """What `evaluate` measured, at full precision."""
    found, calibration = one.found, one.found.calibration
    before = found.unadjusted
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "evaluate",
        "source": one.place,
        "warnings": warnings,
        "rows": found.rows,
        "weighted": found.weighted,
        "method": None if calibration is None else calibration.method,
        "tau": None if calibration is None else calibration.tau,
        "tuned_share": found.tuned_share,
        "gain": gain_of(found.gain),
        **errors(found.tally, one.groups, one.class_names),
        "unadjusted": None if before is None else errors(before, one.groups, one.class_names),
        "target_prior": target_json(one.target),
        "probabilities": _probabilities_json(found),
        "temperature": None if one.temperature is None else temperature_json(one.temperature, None),
        "measures": measures_json(one.measures),
        "unadjusted_measures": None if one.before is None else measures_json(one.before),
        "calibration": _calibration_json(one),
        "verdicts": [verdict.json() for verdict in verdicts],
    }


def _probabilities_json(found: Evaluation) -> Json | None:
    """What the adjusted logits were taken for; None where no probability is known."""
    if found.measured.top is None:
        return None
    log_target = found.probabilities.log_target
    return {
        "temperature": found.probabilities.temperature,
        "class_shares": None if log_target is None else np.exp(log_target).tolist(),
    }


def _calibration_json(one: Evaluated) -> Json | None:
    top, class_wise = one.found.measured.top, one.found.measured.class_wise
    if top is None:
        return None
    masks = {} if one.groups is None else one.groups.masks
    return {
        "bins": top.bins,
        "scheme": top.error().scheme,
        "top_label": {
            **calibration_error_json(top.error()),
            "diagram": diagram_json(top.diagram()),
        },
        "groups": {
            name: {
                **calibration_error_json(top.error(mask)),
                "diagram": diagram_json(top.diagram(mask)),
            }
            for name, mask in masks.items()
        },
        "class_wise": None if class_wise is None else calibration_error_json(class_wise.error()),
    }
