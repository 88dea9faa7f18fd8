"""Post-hoc methods on real long-tailed logits: tau chosen on the validation split, errors on the test split.

Usage: python benchmarks/real_data.py FILE.npz [FILE.npz ...]

Each file holds logits_val, labels_val, logits_test, labels_test, train_counts, and the head W and b. Without
arguments the sample data is used. "best on test" is the lowest test error of any tau: what choosing on
the test set would have claimed, for comparison only.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

from lacal import pipeline
from lacal.class_counts import Counts
from lacal.counts import read_counts
from lacal.head import read_head
from lacal.logits_source import LogitsSource, SourceOptions, open_source
from lacal.methods import BIAS_RULES, METHODS, ClassStatistics
from lacal.metrics import Rate
from lacal.pipeline.tune_tau import Search
from lacal.tau.grid import parse_grid

SAMPLE = Path(__file__).parent.parent / "sample_data" / "langid"
DRAWS = 1000


def splits(path: Path, folder: Path) -> tuple[LogitsSource, LogitsSource, Counts, Path]:
    """Validation, test, counts and head of one file, as lacal reads them."""
    whole = np.load(path, allow_pickle=False)
    for split in ("val", "test"):
        np.savez(
            folder / f"{split}.npz",
            logits=whole[f"logits_{split}"],
            labels=whole[f"labels_{split}"],
        )
    np.savez(folder / "head.npz", weight=whole["W"], bias=whole["b"])
    sources = [open_source(folder / f"{s}.npz", SourceOptions()) for s in ("val", "test")]
    return sources[0], sources[1], Counts(path, whole["train_counts"]), folder / "head.npz"


def table(name: str, val: LogitsSource, test: LogitsSource, counts: Counts, head: Path) -> None:
    """Print one data set's rows as Markdown."""
    prior = counts.prior(classes=val.classes, class_names=val.class_names)
    norms = read_head(head, classes=val.classes)
    print(f"\n{name}: {val.rows:,} validation and {test.rows:,} test rows, {val.classes} classes\n")
    print(
        "| method | tau | test balanced error, % | gain, points (95 % interval) | best on test, % |"
    )
    print("| --- | --- | --- | --- | --- |")
    variants = [("logit-adjustment", "drop"), *(("weight-norm", rule) for rule in BIAS_RULES)]
    for method, bias in [*variants, ("prior-division", "drop")]:
        statistics = ClassStatistics(prior.log_prior, norms.weight_norms, norms.bias, bias)
        search = Search(method, parse_grid(None, METHODS[method]), draws=DRAWS)
        tuned = pipeline.tune_tau(val, prior, statistics, search)
        scored = pipeline.evaluate(test, tuned.calibration)
        on_test = pipeline.tune_tau(test, prior, statistics, search)
        best = on_test.pick_errors["min"]
        before, after, gain = scored.unadjusted, scored.tally, scored.gain
        assert before is not None
        assert gain is not None
        if method == "logit-adjustment":
            print(f"| unadjusted | | {percent(before.balanced())} | | |")
        label = f"{method}, bias {bias}" if method == "weight-norm" else method
        print(
            f"| {label} | {tuned.tau:g} | {percent(after.balanced())} | {100 * gain.value:+.1f} "
            f"({100 * gain.low:+.1f} to {100 * gain.high:+.1f}) | {100 * best:.1f} |"
        )


def percent(rate: Rate) -> str:
    """Value and standard error."""
    return f"{100 * (rate.value or 0):.1f} ± {100 * (rate.standard_error or 0):.1f}"


def main() -> None:
    """Every file named on the command line, or the sample."""
    for path in [Path(one) for one in sys.argv[1:]]:
        with tempfile.TemporaryDirectory() as folder:
            table(path.stem, *splits(path, Path(folder)))
    if len(sys.argv) == 1:
        val, test = (open_source(SAMPLE / f"{s}.npz", SourceOptions()) for s in ("val", "test"))
        counts = read_counts(SAMPLE / "counts.csv")
        table("langid (sample)", val, test, counts, SAMPLE / "head.npz")


if __name__ == "__main__":
    main()
