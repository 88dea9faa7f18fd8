"""What a fitted temperature is and leaves behind, for a person, for scripts and as warnings."""

from lacal.calibration import Calibration
from lacal.classes.names import some_classes
from lacal.classes.target import TargetPrior
from lacal.formats.shown import printable
from lacal.json_text import Json
from lacal.metrics import CalibrationError, Score
from lacal.pipeline.quality import Quality
from lacal.pipeline.temperature import Temperature
from lacal.report.document import Table
from lacal.report.measured import calibration_error_json
from lacal.report.numbers import score_json
from lacal.report.text import table
from lacal.report.warnings import of_other_logits

EQUAL = "in equal class shares"
Both = tuple[Quality, Quality]  # at temperature 1, and at the fitted one


def shares_of(target: TargetPrior | None) -> str:
    """The class shares that probabilities are for, in words."""
    return EQUAL if target is None else target.in_words()


def temperature_line(found: Temperature, target: TargetPrior | None) -> str:
    """T, how sure it is, and where it comes from."""
    sure = (
        "no interval" if found.low is None else f"95 % interval {found.low:.3g} to {found.high:.3g}"
    )
    absent = found.absent.size
    classes = f", {absent} class{'es' * (absent > 1)} without a row" if absent else ""
    return (
        f"temperature {found.value:.4g} ({sure}), by log loss {shares_of(target)} on {found.rows:,} rows of "
        f"{printable(found.place, 200)}{classes}"
    )


def temperature_table(
    found: Temperature, target: TargetPrior | None, place: str, both: Both | None
) -> Table:
    """Log loss and calibration error at T = 1 and at the temperature.

    Args:
        found: The temperature, with what it does to the rows it was fitted on.
        target: The class shares that every number is for.
        place: Other rows, where it is used.
        both: The same two of them, where they are labelled.
    """
    rows = []
    for where, (before, after) in _sides(found, place, both):
        rows += [
            [printable(where, 40), "", "", f"{after.log_loss.n:,}"],
            ["  log loss, nats", nats(before.log_loss), nats(after.log_loss), ""],
            ["  calibration error, %", plain(before.calibration), plain(after.calibration), ""],
            ["  debiased, rms %", debiased(before.calibration), debiased(after.calibration), ""],
        ]
    title = f"probabilities {shares_of(target)}, 95 % intervals, {found.after.calibration.scheme}"
    return table(["", "T = 1", f"T = {found.value:.4g}", "n"], rows, title)


def temperature_verdict(found: Temperature, place: str, both: Both | None) -> str:
    """Whether to use the temperature: log loss decides, on rows that did not fit it where there are some.

    Args:
        found: The temperature, with what it does to the rows it was fitted on.
        place: Other rows, where it is used.
        both: Quality of those at T = 1 and at the temperature, where they are labelled.
    """
    where, (before, after) = _sides(found, place, both)[-1]
    was, now = before.log_loss.value, after.log_loss.value
    on = f"on {printable(where, 200)}"
    if was is None or now is None:
        return f"whether this temperature serves is not known: log loss is undefined {on}"
    verdict = "use this temperature" if now < was else "leave this temperature out"
    if f"{was:.4g}" == f"{now:.4g}":
        verdict = "this temperature hardly matters"
    elif found.low is None or found.high is None or found.low <= 1 <= found.high:
        verdict = "this temperature may not be needed"
    decided = f"{verdict}: log loss, which decides, goes from {was:.4g} to {now:.4g} nats {on}"
    return decided + _moved(before.calibration, after.calibration)


def _moved(before: CalibrationError, after: CalibrationError) -> str:
    """How the calibration error goes with it, and whether its interval tells that from chance."""
    was, now, low, high = before.value, after.value, before.low, before.high
    assert was is not None  # as the log loss of the same rows
    assert now is not None
    assert low is not None
    assert high is not None
    within = "within" if low <= now <= high else "beyond"
    change = f"from {100 * was:.1f} to {100 * now:.1f} %"
    return f"; the calibration error goes {change} there, {within} its interval at T = 1"


def _sides(found: Temperature, place: str, both: Both | None) -> list[tuple[str, Both]]:
    """The rows of the fit, and the others where they are labelled."""
    of_fit = (found.place, (found.before, found.after))
    return [of_fit] if both is None else [of_fit, (place, both)]


def nats(one: Score) -> str:
    """`1.234 (1.20 to 1.27)`, infinite, or n/a."""
    if one.infinite:
        return "infinite"
    return (
        "n/a" if one.value is None else f"{one.value:.4g}{_between(one.low, one.high, 1.0, '.3g')}"
    )


def plain(one: CalibrationError) -> str:
    """The plain error in percent, with its interval."""
    return (
        "n/a"
        if one.value is None
        else f"{100 * one.value:.1f}{_between(one.low, one.high, 100.0, '.1f')}"
    )


def debiased(one: CalibrationError) -> str:
    """The root of the debiased mean square in percent, with its interval."""
    if one.rms_debiased is None:
        return "n/a"
    return f"{100 * one.rms_debiased:.1f}{_between(one.rms_low, one.rms_high, 100.0, '.1f')}"


def _between(low: float | None, high: float | None, unit: float, form: str) -> str:
    if low is None or high is None:
        return ""
    return f" ({unit * low:{form}} to {unit * high:{form}})"


def temperature_json(found: Temperature, both: Both | None) -> Json:
    """The fit at full precision, and what it does to other rows, where they are labelled."""
    return {
        "value": found.value,
        "interval": None if found.low is None else [found.low, found.high],
        "fitted_on": found.place,
        "n": found.rows,
        "left_out_rows": found.left_out,
        "absent_classes": found.absent.tolist(),
        "before": quality_json(found.before),
        "after": quality_json(found.after),
        "source_before": None if both is None else quality_json(both[0]),
        "source_after": None if both is None else quality_json(both[1]),
    }


def quality_json(one: Quality) -> Json:
    """Log loss and calibration error."""
    calibration = one.calibration
    return {
        "log_loss": score_json(one.log_loss),
        "calibration": {
            **calibration_error_json(calibration),
            "bins": calibration.bins,
            "scheme": calibration.scheme,
        },
    }


def temperature_warnings(
    found: Temperature, recipe: Calibration, place: str, both: Both | None
) -> list[str]:
    """About a fit that tells little, helps little, or does harm; and about rows of another model."""
    val = printable(found.place, 200)
    warnings = [f"{val}: {one}" for one in of_other_logits(recipe, found.inference)]
    if found.low is None or found.high is None or found.low <= 1 <= found.high:
        warnings.append(
            f"the interval of the temperature includes 1: {val} does not tell that any is needed"
        )
    if found.left_out:
        warnings.append(
            f"{found.left_out:,} rows of {val} did not count for the temperature: their classes are never "
            "predicted, or have no share in the target prior"
        )
    if found.absent.size:
        k, names = recipe.prior.class_counts.size, recipe.prior.class_names
        have, do = ("has", "does") if found.absent.size == 1 else ("have", "do")
        warnings.append(
            f"{found.absent.size} of {k} classes {have} no row in {val} and {do} not count for the temperature: "
            f"{some_classes(found.absent.tolist(), names)}"
        )
    for where, (before, after) in _sides(found, place, both):
        warnings += _worse(printable(where, 200), before, after)
    return warnings


def _worse(place: str, before: Quality, after: Quality) -> list[str]:
    """About what the temperature raised, as far as it shows: log loss, or calibration error beyond its interval."""
    raised = []
    was, now = before.log_loss.value, after.log_loss.value
    if was is not None and now is not None and now > was and f"{now:.4g}" != f"{was:.4g}":
        raised.append(f"log loss from {was:.4g} to {now:.4g} nats")
    was, high, now = before.calibration.value, before.calibration.high, after.calibration.value
    if was is not None and high is not None and now is not None and now > high:
        raised.append(f"the calibration error from {100 * was:.1f} to {100 * now:.1f} %")
    return [f"the temperature raises {' and '.join(raised)} on {place}"] if raised else []
