"""Menon's experiment with two Gaussians: which correction reaches the lowest balanced error there is.

Usage: python benchmarks/two_gaussians.py [--trials 100] [--seed 0] [--plot FILE.png] [--json]

Menon et al., ICLR 2021, section 6.1 and figure 2: two classes in the plane, N(-(1, 1), I) and N((1, 1), I), of which
the second has 5 % of the rows; 10,000 rows to train an affine scorer on, 10,000 to test it. The variance is not
stated there; 1 gives the figure's axis. Everything about this world is known: the lowest balanced error is
Phi(-sqrt 2) = 7.865 %, and a separator's own error needs no test rows. So three numbers stand beside each other:

- population: what the loss attains on endless data, from its minimum over quadrature nodes in place of a sample, in
  double precision; it must agree with the reference figures of the project's notes to their last digit;
- test: mean over the trials of the balanced error on the test rows, with its standard error; "ok" where the
  population value lies within three of them. The 500 rows of the rare class alone give each trial a deviation of 0.6;
- exact: mean over the trials of the fitted separators' own balanced error, without that noise. It sits above the
  population value where that is the minimum, by what 10,000 rows cannot tell.

The exit code is 1 where a row is not ok. Losses and adjustments are lacal's own; torch is needed.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from two_gaussians_world import (
    LOGIT_ADJUSTMENT,
    LOWEST,
    Floats,
    Rows,
    exact_error,
    fit,
    logits,
    nodes,
    posthoc,
    sample,
)

from lacal.adjustment import Adjustment
from lacal.batch import Batch
from lacal.methods import ClassStatistics
from lacal.metrics import ClassTally
from lacal.tau.path import TauPathAccumulator


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table.

    Attributes:
        title: For the table and the figure.
        loss: Row of lacal's loss table.
        options: Of that loss.
        tau: Of the post-hoc adjustment on top; 0 for none.
        reference: Population balanced error in the project's notes, in percent.
    """

    title: str
    loss: str
    options: dict[str, Any]
    tau: float
    reference: float


TABLE = (
    Row("ERM", "softmax", {}, 0, 18.08),
    Row("adaptive", "adaptive", {}, 0, 16.21),
    Row("equalised", "equalised", {}, 0, 8.71),
    Row("logit-adjusted", "logit-adjusted", {}, 0, 7.865),
    Row("balanced", "balanced", {}, 0, 7.865),
    Row("LA + adaptive", "logit-adjusted-adaptive", {}, 0, 8.42),
    Row("logit-adjusted, tau 0.5", "logit-adjusted", {"tau": 0.5}, 0, 10.61),
    Row("logit-adjusted, tau 2", "logit-adjusted", {"tau": 2.0}, 0, 18.08),
    Row("consistent, tau 0.5", "logit-adjusted-consistent", {"tau": 0.5}, 0, 7.865),
    Row("consistent, tau 2", "logit-adjusted-consistent", {"tau": 2.0}, 0, 7.865),
    Row("post-hoc, tau 0.5", "softmax", {}, 0.5, 10.61),
    Row("post-hoc, tau 0.75", "softmax", {}, 0.75, 8.56),
    Row("post-hoc, tau 1", "softmax", {}, 1, 7.865),
    Row("post-hoc, tau 1.25", "softmax", {}, 1.25, 8.56),
    Row("post-hoc, tau 1.5", "softmax", {}, 1.5, 10.61),
    Row("post-hoc, tau 2", "softmax", {}, 2, 18.08),
    Row("logit-adjusted, post-hoc again", "logit-adjusted", {}, 1, 18.08),
)


def test_error(scorer: Floats, adjustment: Adjustment, test: Rows) -> float:
    """Balanced error on the test rows."""
    tally = ClassTally.empty(2)
    tally.update(test.labels, adjustment.predict(logits(scorer, test.inputs)))
    return tally.balanced().value or 0.0


def leaked_error(scorer: Floats, train: Rows, test: Rows) -> float:
    """The lowest test error of any tau from 0 to 4: what choosing tau on the test rows would claim."""
    prior = train.class_counts / train.class_counts.sum()
    path = TauPathAccumulator(
        LOGIT_ADJUSTMENT, ClassStatistics(np.log(prior)), np.linspace(0, 4, 2)
    )
    path.update(Batch(logits(scorer, test.inputs), test.labels, None, 0))
    return path.result().optimum(0.0, 4.0, 1.0).balanced_error


def scorers(rows: Rows) -> dict[str, Floats]:
    """The fitted scorer of every loss in the table, by loss and options."""
    return {
        key(row): fit(row.loss, row.options, rows) for row in {key(r): r for r in TABLE}.values()
    }


def key(row: Row) -> str:
    """Rows of one key share their fit."""
    return f"{row.loss} {row.options}"


def population() -> Floats:
    """(rows,) balanced error on endless data, in percent."""
    whole = nodes()
    fitted = scorers(whole)
    return np.array([100 * exact_error(fitted[key(row)], posthoc(whole, row.tau)) for row in TABLE])


@dataclass(frozen=True, slots=True)
class Trials:
    """Balanced errors in percent.

    Attributes:
        test: (trials, rows) on each trial's test rows.
        exact: (trials, rows) of the separators themselves.
        leaked: (trials,) of ERM with tau chosen on the test rows.
    """

    test: Floats
    exact: Floats
    leaked: Floats


def run(trials: int, seed: int, tell: Callable[[int], None] = lambda done: None) -> Trials:
    """All rows of the table on the same trials, each of its own stream of random numbers."""
    test, exact, leaked = np.empty((trials, len(TABLE))), np.empty((trials, len(TABLE))), []
    for trial, stream in enumerate(np.random.SeedSequence(seed).spawn(trials)):
        generator = np.random.default_rng(stream)
        train, held_out = sample(generator), sample(generator)
        fitted = scorers(train)
        for column, row in enumerate(TABLE):
            scorer, adjustment = fitted[key(row)], posthoc(train, row.tau)
            test[trial, column] = test_error(scorer, adjustment, held_out)
            exact[trial, column] = exact_error(scorer, adjustment)
        leaked.append(leaked_error(fitted[key(TABLE[0])], train, held_out))
        tell(trial + 1)
    return Trials(100 * test, 100 * exact, 100 * np.array(leaked))


def standard_error(values: Floats) -> Floats:
    """Of the mean over trials."""
    return np.asarray(values.std(axis=0, ddof=1) / math.sqrt(len(values)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", type=Path, help="figure, .png or .svg")
    parser.add_argument("--json", action="store_true", help="every trial, as JSON")
    said = parser.parse_args()
    torch.set_num_threads(1)
    known = population()
    trials = run(said.trials, said.seed, progress(said.trials))
    mean, error = trials.test.mean(axis=0), standard_error(trials.test)
    apart = np.abs(mean - known) / error
    wrong = [
        row.title
        for row, one in zip(TABLE, known, strict=True)
        if abs(one - row.reference) > 0.0051
    ]
    if said.json:
        print(json.dumps({"population": known.tolist(), "trials": vars_of(trials)}))
    else:
        print_table(trials, known, mean, error, apart)
    if said.plot is not None:
        plot(trials, known, said.plot)
    outside = [row.title for row, one in zip(TABLE, apart, strict=True) if one > 3]
    for titles, what in (
        (wrong, "population value differs from the reference"),
        (outside, "more than three standard errors from the population value"),
    ):
        if titles:
            print(f"{what}: {', '.join(titles)}", file=sys.stderr)
    sys.exit(bool(wrong or outside))


def vars_of(trials: Trials) -> dict[str, Any]:
    """Every trial, by row."""
    titles = [row.title for row in TABLE]
    columns = {"test": trials.test, "exact": trials.exact}
    values = {
        name: dict(zip(titles, array.T.tolist(), strict=True)) for name, array in columns.items()
    }
    return {**values, "leaked": trials.leaked.tolist()}


def print_table(trials: Trials, known: Floats, mean: Floats, error: Floats, apart: Floats) -> None:
    """As Markdown."""
    own, own_error = trials.exact.mean(axis=0), standard_error(trials.exact)
    print(f"Balanced error, %, of {len(mean)} classifiers over {len(trials.test)} trials.\n")
    print("| method | reference | population | test rows | deviation | apart | | exact | excess |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for j, row in enumerate(TABLE):
        print(
            f"| {row.title} | {row.reference:g} | {known[j]:.3f} | {mean[j]:.2f} ± {error[j]:.2f} "
            f"| {trials.test[:, j].std(ddof=1):.2f} | {apart[j]:.1f} | {'ok' if apart[j] <= 3 else 'OUT'} "
            f"| {own[j]:.3f} ± {own_error[j]:.3f} | {own[j] - known[j]:+.3f} |"
        )
    leak = trials.leaked
    print(
        f"\nERM with tau chosen among all taus on the test rows claims {leak.mean():.2f} ± "
        f"{standard_error(leak):.2f} (7.71 with a search of its own in the reference), below the lowest there is, "
        f"{100 * LOWEST:.3f}: the size of that leak."
    )


def plot(trials: Trials, known: Floats, path: Path) -> None:
    """A box a row over the trials, its population value as a diamond, and the lowest error there is."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    losses = sum(row.tau == 0 for row in TABLE)
    figure, axes = pyplot.subplots(figsize=(7.2, 5.6), layout="constrained")
    places = [-j - (j >= losses) * 0.6 for j in range(len(TABLE))]
    axes.boxplot(
        trials.test,
        positions=places,
        orientation="horizontal",
        widths=0.62,
        manage_ticks=False,
        patch_artist=True,
        boxprops={"facecolor": "#dce6f1", "edgecolor": "#33608c"},
        whiskerprops={"color": "#33608c"},
        capprops={"color": "#33608c"},
        medianprops={"color": "#33608c"},
        flierprops={"marker": ".", "markersize": 4, "markeredgecolor": "#8aa5c2"},
    )
    axes.plot(known, places, "D", color="#c0392b", markersize=5, label="on endless data")
    lowest = 100 * LOWEST
    axes.axvline(
        lowest, color="#555555", linestyle="--", linewidth=1, label="lowest there is (7.87)"
    )
    axes.set_yticks(places, [row.title for row in TABLE])
    axes.set_xlabel(f"balanced error on 10,000 test rows, % ({len(trials.test)} trials)")
    axes.grid(axis="x", color="#e5e5e5")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def progress(trials: int) -> Callable[[int], None]:
    """A line on the terminal that counts trials; nothing elsewhere."""
    if not sys.stderr.isatty():
        return lambda done: None
    return lambda done: print(
        f"\rtrial {done} of {trials}", end="\n" if done == trials else "", file=sys.stderr
    )


if __name__ == "__main__":
    main()
