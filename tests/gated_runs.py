"""Two runs on the same rows, their measures, and the metrics file of the first, for tests of gates."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from lacal.classes.groups import GroupRule
from lacal.classes.target import TargetPrior
from lacal.gates.candidate import Candidate
from lacal.gates.gates import Gates, limits_of
from lacal.gates.verdict import Verdict
from lacal.measure import Measure
from lacal.metrics import ClassTally
from lacal.probabilities import Probabilities
from lacal.rows.decisions import Decisions

K = 4
COUNTS = np.array([500, 100, 30, 5])
SUPPORT = (160, 120, 80, 40)
GROUPS = GroupRule().by_counts(COUNTS)
NAMES = ("cat", "dog", "emu", 'a "b".c')


def number(name: str, value: float | None, better: str = "lower") -> Measure:
    return Measure(
        name, value, None, None, None, 400, better, undefined="no rows" if value is None else None
    )


def rows(seed: int, wrong: float) -> Decisions:
    """The same rows for every seed, about a share of them wrong."""
    labels = np.random.default_rng(9).permutation(np.repeat(np.arange(K), SUPPORT))
    generator = np.random.default_rng(seed)
    predictions = np.where(generator.random(400) < wrong, (labels + 1) % K, labels)
    return Decisions("p.parquet", np.arange(1000, 1400), labels, predictions, NAMES, K)


def measured(decisions: Decisions) -> dict[str, Measure]:
    tally = ClassTally.empty(K)
    tally.update(decisions.labels, decisions.predictions)
    rates = {"balanced_error": tally.balanced(), "micro_error": tally.micro()}
    rates |= {f"{name}.error": one for name, one in tally.by_group(GROUPS).items()}
    rates |= {f"class.{name}.error": tally.of_class(j) for j, name in enumerate(NAMES)}
    numbers = {name: Measure(name, one.value, one.low, one.high, one.standard_error, one.n)
               for name, one in rates.items()}  # fmt: skip
    numbers["log_loss"] = number("log_loss", 0.5)
    return numbers


def content(decisions: Decisions) -> dict[str, Any]:
    """As `lacal evaluate --json` prints it, as far as a baseline is read."""
    numbers = measured(decisions)
    fields = {
        name: {"value": one.value, "interval": None if one.low is None else [one.low, one.high],
               "standard_error": one.standard_error, "n": one.n, "better": one.better, "unit": one.unit,
               "undefined": one.undefined}
        for name, one in numbers.items()
    }  # fmt: skip
    classes = [
        {"class": j, "name": name, "error": numbers[f"class.{name}.error"].value, "interval": None,
         "standard_error": None, "n": SUPPORT[j],
         "group": next(group for group, mask in GROUPS.masks.items() if mask[j])}
        for j, name in enumerate(NAMES)
    ]  # fmt: skip
    return {
        "schema_version": 1, "command": "evaluate", "weighted": False, "classes": classes,
        "measures": {name: one for name, one in fields.items() if not name.startswith("class.")},
        "groups": {name: {"rule": rule} for name, rule in GROUPS.rule.items()},
        "target_prior": {"name": "uniform", "shares": [0.25] * K},
        "calibration": {"scheme": "15 equal-width bins"},
        "probabilities": {"temperature": 1.0, "class_shares": None},
    }  # fmt: skip


def write(folder: Path, value: Any) -> Path:
    path = folder / "metrics.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def candidate(decisions: Decisions, **other: Any) -> Candidate:
    support = np.bincount(decisions.labels, minlength=K)
    given: dict[str, Any] = {
        "class_names": NAMES, "groups": GROUPS, "decisions": decisions,
        "target": TargetPrior("uniform", np.full(K, 0.25)), "scheme": "15 equal-width bins",
        "probabilities": Probabilities(),
    }  # fmt: skip
    return Candidate(measured(decisions), support, **(given | other))


def judged(
    folder: Path, before: Decisions, run: Candidate, *increases: str, significant: bool = False
) -> tuple[list[Verdict], list[str]]:
    limits, baseline = limits_of(write(folder, content(before)), increases, ())
    verdicts, warnings = Gates((), limits, baseline, before if significant else None).judge(run)
    return list(verdicts), warnings
