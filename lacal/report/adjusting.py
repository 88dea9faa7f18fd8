"""Results of `adjust`, for a person and for scripts: what was written, and how good it is where rows carry labels."""

from dataclasses import dataclass

from lacal.classes.groups import Groups
from lacal.formats.shown import printable
from lacal.json_text import Json
from lacal.pipeline.adjust import Adjusted
from lacal.pipeline.quality import ProbabilityTally, Quality
from lacal.report.document import Block
from lacal.report.evaluation import Evaluated, evaluation_warnings
from lacal.report.measured import measures_json, target_json
from lacal.report.numbers import SCHEMA_VERSION, errors, gain_of
from lacal.report.temperature import (
    nats,
    plain,
    quality_json,
    shares_of,
    temperature_json,
    temperature_line,
    temperature_table,
    temperature_verdict,
    temperature_warnings,
)
from lacal.report.text import error_table, gain_line, tuned_rows
from lacal.report.warnings import absent


@dataclass(frozen=True, slots=True)
class AdjustingReport:
    """What was written, and what its numbers are called.

    Attributes:
        done: What was written.
        measured: Every number of the rows that carry labels.
        cold: Of those rows at temperature 1; None where no other was fitted, or no row carries a label.
        quality: Of their probabilities as they were written; None where no row carries a label.
    """

    done: Adjusted
    measured: Evaluated
    cold: Quality | None
    quality: Quality | None

    @classmethod
    def of(cls, done: Adjusted, place: str, groups: Groups | None) -> "AdjustingReport":
        """With every number worked out."""
        found, target = done.found, done.wanted.target
        prior = done.calibration.prior
        measured = Evaluated.of(
            found,
            place,
            prior,
            class_names=prior.class_names,
            groups=groups,
            target=target,
        )
        shares, sums, quality = None if target is None else target.prior, found.measured, None
        if done.labelled and sums.scores is not None and sums.top is not None:
            quality = ProbabilityTally(sums.scores, sums.top).under(shares)
        cold = None if done.cold is None else done.cold.under(shares)
        return cls(done, measured, cold, quality)

    @property
    def both(self) -> tuple[Quality, Quality] | None:
        """Of the labelled rows, at temperature 1 and at the fitted one; None where either is not known."""
        return None if self.cold is None or self.quality is None else (self.cold, self.quality)


def adjusting_warnings(one: AdjustingReport) -> list[str]:
    """What should be known before the file is used."""
    warnings, temperature = evaluation_warnings(one.measured), one.done.wanted.temperature
    if temperature is not None:
        place = one.measured.place
        warnings += temperature_warnings(temperature, one.done.calibration, place, one.both)
    return warnings


def adjusting_text(one: AdjustingReport) -> list[Block]:
    """What was written; the errors and what the confidences are worth, where rows carry labels."""
    done, found = one.done, one.done.found
    temperature, target = done.wanted.temperature, done.wanted.target
    lines: list[Block] = []
    if found.tuned_share > 0:
        lines.append(tuned_rows(found.tuned_share))
    if done.fitted_share > 0:
        lines.append(
            "warning: the temperature was fitted on rows that are scored here (about "
            f"{done.fitted_share:.0%} of them came back), so their log loss and calibration error flatter it"
        )
    lines.append(
        f"wrote {printable(str(done.path))}: {found.rows:,} rows, {done.changed:,} predictions changed "
        f"({done.changed / found.rows:.1%}) by {done.calibration.described}"
    )
    if found.unadjusted is not None and found.gain is not None:
        lines.append(gain_line(found.unadjusted, found.tally, found.gain))
        lines.append(error_table(found.unadjusted, found.tally, one.measured.groups, target=target))
        lines += absent(found.tally, one.measured.class_names)
    if temperature is not None:
        lines.append(temperature_line(temperature, target))
        lines.append(temperature_table(temperature, target, one.measured.place, one.both))
        lines.append(temperature_verdict(temperature, one.measured.place, one.both))
    elif one.quality is not None:
        lines.append(
            f"confidences {shares_of(target)}: calibration error % {plain(one.quality.calibration)} in "
            f"{one.quality.calibration.scheme}, log loss {nats(one.quality.log_loss)} nats"
        )
    return lines


def adjusting_json(one: AdjustingReport) -> Json:
    """What `adjust` wrote, at full precision."""
    done, found = one.done, one.done.found
    names, groups = one.measured.class_names, one.measured.groups
    temperature, before = done.wanted.temperature, found.unadjusted
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "adjust",
        "source": one.measured.place,
        "output": str(done.path),
        "warnings": adjusting_warnings(one),
        "rows": found.rows,
        "changed": done.changed,
        "method": done.calibration.method,
        "tau": done.calibration.tau,
        "tuned_share": found.tuned_share,
        "fitted_share": done.fitted_share,
        "gain": gain_of(found.gain),
        "unadjusted": errors(before, groups, names) if done.labelled and before else None,
        "adjusted": errors(found.tally, groups, names) if done.labelled else None,
        "target_prior": target_json(done.wanted.target),
        "temperature": None if temperature is None else temperature_json(temperature, one.both),
        "confidences": None if one.quality is None else quality_json(one.quality),
        "measures": measures_json(one.measured.measures) if done.labelled else None,
    }
