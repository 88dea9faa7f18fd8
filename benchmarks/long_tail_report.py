"""The table and the figure of long_tail_table.py, from its results."""

import csv
import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
from long_tail_rows import ROWS, TableRow
from long_tail_sets import LongTailSet

COLUMNS = ("many", "medium", "few", "all")
# Menon's order, from the worst on; the last two may tie.
ORDER = ("ERM", "weight normalisation, tau*", "post-hoc LA, tau*", "logit-adjusted loss")
UNTUNED = ("ERM", "weight normalisation, tau 1", "post-hoc LA, tau 1", "logit-adjusted loss")

Result = dict[str, Any]


def markdown(one: LongTailSet, results: list[Result], data: Path, *, short: bool) -> str:
    """The table, then whether Menon's order holds, and what the norms of the head follow."""
    published = figures(data, one.published)
    seeds = len({result["seed"] for result in results})
    lines = [f"### {one.title}", "", caption(one, results, seeds, short), ""]
    beside = ["published"] if published else []
    lines.append("| " + " | ".join(["method", *COLUMNS, "tau", *beside]) + " |")
    lines.append("|" + " --- |" * (len(COLUMNS) + 2 + len(beside)))
    for row, its in grouped(results):
        cells = [row.title, *(cell(its, name) for name in COLUMNS), taus(row, its)]
        if published:
            figure = published.get(row.published or "")
            oracle = " (oracle)" if figure is not None and row.tau is None else ""
            cells.append("" if figure is None else f"{figure:.2f}{oracle}")
        lines.append("| " + " | ".join(cells) + " |")
    for told in (order(results), norms(results), leaks(results)):
        if len(told) > 1:  # more than its heading
            lines += ["", *told]
    return "\n".join([*lines, ""])


def caption(one: LongTailSet, results: list[Result], seeds: int, short: bool) -> str:
    first = results[0]
    rows = first["rows"]
    spread = "deviation over seeds / root of seeds" if seeds > 1 else "of the test rows alone"
    return (
        f"Balanced error, %, mean of {seeds} seeds with its standard error ({spread}). {first['classes']} classes "
        f"of {first['largest']:,} to {first['smallest']:,} training rows, {rows['train']:,} in all; "
        f"{rows['val']:,} to validate, {rows['test']:,} to test. {first['epochs']} epochs"
        f"{' (shortened)' if short else ''} on {first['device']}. {one.note}."
    )


def grouped(results: list[Result]) -> list[tuple[TableRow, list[Result]]]:
    """Rows that have results, in the table's order."""
    pairs = [(row, [one for one in results if one["row"] == row.title]) for row in ROWS]
    return [(row, its) for row, its in pairs if its]


def mean_and_error(its: list[Result], column: str) -> tuple[float, float] | None:
    """Over seeds; of one seed with the standard error of its test rows, which is known of "all" alone."""
    values = [one[column] for one in its if one[column] is not None]
    if not values:
        return None
    if len(values) > 1:
        return float(np.mean(values)), float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return values[0], its[0]["within"] if column == "all" else math.nan


def cell(its: list[Result], column: str) -> str:
    found = mean_and_error(its, column)
    if found is None:
        return "n/a"
    mean, error = found
    return f"{mean:.2f}" if math.isnan(error) else f"{mean:.2f} ± {error:.2f}"


def taus(row: TableRow, its: list[Result]) -> str:
    """Those that were tuned, by seed."""
    if row.method is None:
        return ""
    return (
        ", ".join(f"{tau:.2f}" for tau in (one["tau"] for one in its)) if row.tau is None else "1"
    )


def order(results: list[Result]) -> list[str]:
    """Whether each step of Menon's order falls, by differences within seeds."""
    lines = ["Menon's order, ERM > weight normalisation > post-hoc LA >= LA loss, step by step:"]
    by_row = {row.title: {one["seed"]: one["all"] for one in its} for row, its in grouped(results)}
    for chain in (UNTUNED, ORDER):
        steps = []
        for worse, better in itertools.pairwise(chain):
            if worse not in by_row or better not in by_row:
                continue
            seeds = by_row[worse].keys() & by_row[better].keys()
            falls = [by_row[worse][seed] - by_row[better][seed] for seed in seeds]
            error = np.std(falls, ddof=1) / math.sqrt(len(falls)) if len(falls) > 1 else math.nan
            steps.append(f"{worse} to {better} {0.0 - np.mean(falls):+z.2f} ± {error:.2f}")
        if steps:
            lines.append(f"- {'; '.join(steps)}")
    return lines


def norms(results: list[Result]) -> list[str]:
    """Spearman's of the norms of the head's rows with the training counts."""
    lines = ["Rank correlation of the head's row norms with the training counts:"]
    for row, its in grouped(results):
        found = [one["norm_rank"] for one in its if "norm_rank" in one]
        if found:
            lines.append(f"- {row.title}: {', '.join(f'{one:+.2f}' for one in found)}")
    return lines


def leaks(results: list[Result]) -> list[str]:
    """What the best tau on the test split would have claimed."""
    lines = ["With tau chosen on the test split, which no row above does:"]
    for row, its in grouped(results):
        if row.method is not None and row.tau is None:
            lines.append(f"- {row.title}: {cell(its, 'best_on_test')}")
    return lines


def figures(data: Path, published: str | None) -> dict[str, float]:
    """Menon's balanced errors by method; the slides' table first, then the paper's."""
    found: dict[str, float] = {}
    if published is None:
        return found
    for name in ("paper_results.csv", "paper_results_extra.csv"):
        with (data / name).open(newline="") as file:
            for line in csv.DictReader(file):
                ours = line["paper"].startswith("Menon2021_LA") and line["dataset"] == published
                if ours and line["metric"] == "balanced_error":
                    found.setdefault(line["method"], float(line["all_value"]))
    return found


def plot(one: LongTailSet, results: list[Result], data: Path, path: Path) -> None:
    """A dot a row with its standard error, the seeds behind it, and the published figure where there is one."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    pairs, published = grouped(results), figures(data, one.published)
    figure, axes = pyplot.subplots(figsize=(7.2, 1.2 + 0.3 * len(pairs)), layout="constrained")
    for place, (row, its) in enumerate(reversed(pairs)):
        found = mean_and_error(its, "all")
        if found is None:
            continue
        mean, error = found
        axes.plot([one["all"] for one in its], [place] * len(its), ".", color="#a9c0d8")
        axes.errorbar(mean, place, xerr=error, fmt="o", color="#33608c", capsize=3, markersize=5)
        if row.published in published:
            axes.plot(published[row.published], place, "D", color="#c0392b", markerfacecolor="none")
    axes.set_yticks(range(len(pairs)), [row.title for row, _ in reversed(pairs)])
    axes.set_xlabel(
        "balanced error, %\ndot and bar: mean and standard error; pale: seeds"
        + ("; diamond: published" if published else "")
    )
    axes.set_title(one.title, fontsize=10)
    axes.grid(axis="x", color="#e5e5e5")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)
