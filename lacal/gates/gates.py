"""`Gates`: every gate of a command line, read before the work and judged after it."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lacal.errors import UsageError
from lacal.gates.candidate import Candidate
from lacal.gates.expression import Gate
from lacal.gates.grammar import parse_gate
from lacal.gates.judge import judge
from lacal.gates.verdict import Verdict

if TYPE_CHECKING:
    from lacal.gates.baseline import Baseline
    from lacal.gates.limits import Limit
    from lacal.rows.decisions import Decisions
    from lacal.rows.logits_source import SourceOptions


@dataclass(frozen=True, slots=True)
class Gates:
    """Conditions and limits.

    Attributes:
        conditions: Of --fail-if.
        limits: Of --max-increase and --max-decrease.
        baseline: The earlier run that limits are about.
        earlier: Its decisions, where limits fail for a sure change alone.
    """

    conditions: tuple[Gate, ...] = ()
    limits: "tuple[Limit, ...]" = ()
    baseline: "Baseline | None" = None
    earlier: "Decisions | None" = None

    @property
    def needs_decisions(self) -> bool:
        """Whether the run has to keep what it decided for every row."""
        return self.earlier is not None

    def judge(self, candidate: Candidate) -> tuple[tuple[Verdict, ...], list[str]]:
        """What becomes of every gate, and what should be known before that is believed.

        Raises:
            UsageError: A gate names what is no measure of this run.
            DataError: The baseline's numbers are of another kind, or its decisions do not belong to it or to these rows.
        """
        verdicts = judge(self.conditions, candidate.measures)
        if self.baseline is None:
            return tuple(verdicts), []
        from lacal.gates.limits import judge_limits

        self.baseline.check_fits(candidate, [one.name for one in self.limits])
        warnings = self.baseline.differences(candidate.support)
        paired = None
        if self.earlier is not None:
            from lacal.gates.significance import Pairs

            pairs = Pairs.of(self.earlier, self.baseline, candidate)
            paired, warnings = pairs.change, [*warnings, *pairs.warnings()]
        verdicts += judge_limits(self.limits, self.baseline, candidate.measures, paired)
        return tuple(verdicts), warnings


def conditions_of(texts: Iterable[str]) -> tuple[Gate, ...]:
    """Gates read from --fail-if.

    Raises:
        UsageError: One is malformed.
    """
    return tuple(map(parse_gate, texts))


def limits_of(
    path: Path | None,
    max_increase: Iterable[str],
    max_decrease: Iterable[str],
) -> "tuple[tuple[Limit, ...], Baseline | None]":
    """Limits and the baseline they are about.

    Raises:
        UsageError: One without the other, or a malformed limit.
        DataError: The baseline is no JSON of `lacal evaluate`.
    """
    from lacal.gates.baseline_file import read_baseline
    from lacal.gates.limits import check_limits, parse_limit

    rises = [parse_limit(one, "increase") for one in max_increase]
    limits = (*rises, *(parse_limit(one, "decrease") for one in max_decrease))
    if path is None:
        if limits:
            raise UsageError(f"{limits[0].option}: needs the earlier run; give --baseline METRICS")
        return (), None
    if not limits:
        raise UsageError(
            "--baseline: nothing is asked of it; give --max-increase NAME=LIMIT, such as balanced_error=0.01"
        )
    baseline = read_baseline(path)
    check_limits(limits, baseline.measures, baseline.place)
    return limits, baseline


def earlier_of(
    significant: bool,
    predictions: Path | None,
    limits: "tuple[Limit, ...]",
    baseline: "Baseline | None",
    options: "SourceOptions",
) -> "Decisions | None":
    """The baseline's decisions, where --significant asks for them, read with `options`."""
    if not significant:
        if predictions is not None:
            raise UsageError("--baseline-predictions: is for --significant; give both or neither")
        return None
    if baseline is None:
        raise UsageError(
            "--significant: makes --max-increase stricter; give --baseline METRICS and a limit"
        )
    if predictions is None:
        raise UsageError(
            "--significant: pairs rows with the baseline's; give them with --baseline-predictions FILE"
        )
    from lacal.gates.significance import check_can_pair
    from lacal.rows.decisions import decisions_of

    check_can_pair(limits)
    return decisions_of(predictions, options, class_names=baseline.class_names)
