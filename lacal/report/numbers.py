"""Results of the verbs as plain JSON values: full precision, None where a number is undefined.

This is the contract of `--format json`; every object carries `schema_version`.
"""

import math

from lacal.classes.groups import Groups
from lacal.classes.prior import LabelPrior
from lacal.json_text import Json, Records
from lacal.metrics import ClassTally, Gain, Rate, Score
from lacal.pipeline.inspect import Inspection
from lacal.pipeline.tune_tau import Tuning
from lacal.report.warnings import of_tuning
from lacal.rows.source import Source, training_of
from lacal.tau.resampling import Estimate

SCHEMA_VERSION = 1


def rate(one: Rate) -> Json:
    """An error with its standard error, its 95 % interval and what it rests on."""
    return {
        "value": one.value,
        "standard_error": one.standard_error,
        "interval": rate_interval(one),
        "n": one.n,
        "classes": one.classes,
    }


def errors(tally: ClassTally, groups: Groups | None, names: tuple[str, ...] | None) -> Json:
    """Balanced, micro, per group and per class."""
    group_of = _group_of(groups, tally.support.size)

    def record(j: int) -> Json:
        name = None if names is None else names[j]
        return {"class": j, "name": name, "group": group_of[j], **class_rate(tally, j)}

    return {
        "balanced_error": rate(tally.balanced()),
        "micro_error": rate(tally.micro()),
        "groups": None
        if groups is None
        else {
            name: {**rate(one), **group_rule(groups, name)}
            for name, one in tally.by_group(groups).items()
        },
        "classes": Records(record, tally.support.size),
        "absent_classes": tally.absent.tolist(),
    }


def _group_of(groups: Groups | None, classes: int) -> list[str | None]:
    """The group of each class; None without groups."""
    found: list[str | None] = [None] * classes
    for name, mask in ({} if groups is None else groups.masks).items():
        for j in mask.nonzero()[0].tolist():
            found[j] = name
    return found


def group_rule(groups: Groups, name: str) -> Json:
    """What a group is: its training counts, where it was made by them."""
    rule = groups.rule[name]
    return {"training_count": rule if groups.by_counts else None, "rule": rule}


def class_rate(tally: ClassTally, index: int) -> Json:
    """Error of one class."""
    one = tally.of_class(index)
    return {
        "error": one.value,
        "standard_error": one.standard_error,
        "interval": rate_interval(one),
        "n": one.n,
    }


def rate_interval(one: Rate) -> list[float] | None:
    """Its two ends, where there are two."""
    return None if one.low is None or one.high is None else [one.low, one.high]


def inspection(
    seen: Inspection, source: Source, prior: LabelPrior | None, groups: Groups | None
) -> Json:
    """What `inspect` found."""
    names = source.class_names if prior is None else prior.class_names
    trained = training_of(source)
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "inspect",
        "source": source.place,
        "rows": seen.rows,
        "classes": source.classes,
        "dtype": source.stored,
        "class_names": None if names is None else list(names),
        "logits": {"min": seen.low, "max": seen.high},
        "labelled_rows": int(seen.tally.support.sum()),
        "unlabelled_rows": seen.unlabelled,
        "support": seen.tally.support.tolist(),
        "absent_classes": seen.tally.absent.tolist(),
        "trained_with": None if trained is None else trained.json(),
        "training": None
        if prior is None or groups is None
        else {
            "total": int(prior.class_counts.sum()),
            "smallest": int(prior.class_counts.min()),
            "largest": int(prior.class_counts.max()),
            "imbalance_ratio": prior.imbalance_ratio,
            "groups": _sizes(groups),
        },
        "groups": None if groups is None else _sizes(groups),
        "findings": list(seen.findings),
    }


def _sizes(groups: Groups) -> Json:
    return {
        name: {"classes": int(mask.sum()), **group_rule(groups, name)}
        for name, mask in groups.masks.items()
    }


def tuning(found: Tuning, source: Source, groups: Groups) -> Json:
    """What `tune-tau` found."""
    names = found.calibration.class_names
    listed = None if names is None else tuple(names)
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "tune-tau",
        "source": source.place,
        "warnings": of_tuning(found),
        "rows": found.rows,
        "classes": source.classes,
        "method": found.search.method,
        "bias": found.calibration.bias_rule,
        "select": found.search.rule,
        "tau": found.tau,
        "tau_interval": interval(found.bootstrap.tau),
        "at_edge": found.at_edge,
        "exact": found.exact,
        "gain": found.bootstrap.gain.value,
        "gain_interval": interval(found.bootstrap.gain),
        "gain_cross_fitted": found.cross_fit.gain,
        "gain_cross_fitted_standard_error": found.cross_fit.standard_error,
        "draws": found.bootstrap.draws,
        "seed": found.search.seed,
        "optimum": {
            "low": _finite(found.optimum.low),
            "high": _finite(found.optimum.high),
            "balanced_error": found.optimum.balanced_error,
        },
        "picks": {
            name: {"tau": tau, "balanced_error": found.pick_errors[name]}
            for name, tau in found.picks.items()
        },
        "grid": {"tau": found.search.grid.tolist(), "balanced_error": found.curve.tolist()},
        "unadjusted": errors(found.unadjusted, groups, listed),
        "adjusted": errors(found.adjusted, groups, listed),
    }


def gain_of(one: Gain | None) -> Json | None:
    """A gain with its standard error and 95 % interval; None where there is none."""
    if one is None:
        return None
    return {
        "value": one.value,
        "standard_error": one.standard_error,
        "interval": [one.low, one.high],
    }


def score_json(one: Score) -> Json:
    """A mean loss."""
    return {
        "value": one.value,
        "standard_error": one.standard_error,
        "interval": None if one.low is None or one.high is None else [one.low, one.high],
        "n": one.n,
        "classes": one.classes,
        "infinite_rows": one.infinite,
    }


def interval(one: Estimate) -> list[float]:
    """Its two ends."""
    return [one.low, one.high]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
