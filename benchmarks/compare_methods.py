"""Every post-hoc method on real long-tailed logits, and with how few validation rows it can be tuned.

    python benchmarks/compare_methods.py FILE... [--rows-a-class 3 10 30] [--draws N] [--seed N]

A FILE is an .npz with logits_val, labels_val, logits_test, labels_test, train_counts, and where weight
normalisation should be tried W (k, d) and b (k,) of the last layer. The first tables are what `lacal compare`
prints of its two splits. The last ones pool both splits and draw validation rows from them anew, the same
number of each class (at most half of it): mean balanced error on the rest over the draws, in percent.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.batch import Batch
from lacal.classes.prior import LabelPrior
from lacal.cli.show import show_text
from lacal.pipeline.candidate_rows import Settings
from lacal.pipeline.candidates import Head, tuned_candidates
from lacal.pipeline.compare import compare_methods
from lacal.report.comparison import comparison_text

ROWS = 4096  # of a batch
NEEDED = {"logits_val", "labels_val", "logits_test", "labels_test", "train_counts"}


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows in memory as a source."""

    place: str
    logits: NDArray[Any]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...] | None = None
    stored: str = "float32"
    labelled: bool = True
    inference: dict[str, Any] | None = None

    @property
    def classes(self) -> int:
        """Number of classes, k."""
        return int(self.logits.shape[1])

    @property
    def rows(self) -> int:
        """Number of rows, n."""
        return int(self.labels.size)

    def batches(self) -> Iterator[Batch]:
        """All rows in order."""
        for start in range(0, self.rows, ROWS):
            part = slice(start, start + ROWS)
            yield Batch(self.logits[part], self.labels[part], None, start)


@dataclass(frozen=True, slots=True)
class Problem:
    """A model's two splits, its training counts and its last layer."""

    name: str
    val: Rows
    test: Rows
    prior: LabelPrior
    head: Head | None

    @classmethod
    def read(cls, path: Path) -> "Problem":
        """The arrays of a file."""
        with np.load(path) as arrays:
            if lacking := NEEDED - set(arrays):
                sys.exit(
                    f"{path}: lacks {', '.join(sorted(lacking))}; --help says what a FILE holds"
                )
            val, test = (
                Rows(f"{part} of {path.name}", arrays[f"logits_{part}"], arrays[f"labels_{part}"])
                for part in ("val", "test")
            )
            head = None
            if "W" in arrays:
                norms = np.linalg.norm(arrays["W"].astype(np.float64), axis=1)
                head = norms, arrays["b"].astype(np.float64) if "b" in arrays else None
            prior = LabelPrior(arrays["train_counts"].astype(np.int64))
        return cls(path.stem, val, test, prior, head)

    def split(self, rows_a_class: int, generator: np.random.Generator) -> tuple[Rows, Rows]:
        """Rows of both splits, dealt anew."""
        logits = np.concatenate([self.val.logits, self.test.logits])
        labels = np.concatenate([self.val.labels, self.test.labels])
        chosen = np.zeros(labels.size, np.bool_)
        for label in np.unique(labels):
            members = generator.permutation(np.flatnonzero(labels == label))
            chosen[members[: min(rows_a_class, members.size // 2)]] = True
        return (
            Rows("validation", logits[chosen], labels[chosen]),
            Rows("test", logits[~chosen], labels[~chosen]),
        )


def few_rows(problem: Problem, given: argparse.Namespace) -> None:
    """Print the balanced error of each method by the number of validation rows a class."""
    errors: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    generator = np.random.default_rng(given.seed)
    for size in given.rows_a_class:
        for draw in range(given.draws):
            val, test = problem.split(size, generator)
            tuned = tuned_candidates(
                val, problem.prior, problem.head, Settings(draws=10, seed=draw)
            )
            support = np.bincount(test.labels, minlength=test.classes)
            for one in tuned.candidates:
                wrong = one.adjustment.predict(test.logits) != test.labels
                by_class = np.bincount(test.labels[wrong], minlength=test.classes)
                error = np.mean(by_class[support > 0] / support[support > 0])
                errors[one.name][size].append(100 * float(error))
    print(f"\n{problem.name}: mean balanced error, %, {given.draws} draws")
    print(f"{'rows a class':20}" + "".join(f"{size:>12}" for size in given.rows_a_class))
    for name, cells in errors.items():
        means = [np.mean(cells[size]) for size in given.rows_a_class]
        print(f"{name:20}" + "".join(f"{mean:12.2f}" for mean in means))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", type=Path, nargs="+", help=".npz files of long-tailed logits")
    parser.add_argument("--rows-a-class", type=int, nargs="*", default=[3, 10, 30])
    parser.add_argument("--draws", type=int, default=10, help="splits of each size")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    problems = [Problem.read(path) for path in given.files]
    for problem in problems:
        groups = problem.prior.groups()
        found = compare_methods(problem.val, problem.test, problem.prior, problem.head, groups)
        print(f"\n{problem.name}: {problem.prior.class_counts.size} classes, training counts "
              f"{problem.prior.class_counts.max()}..{problem.prior.class_counts.min()}")  # fmt: skip
        show_text(comparison_text(found))
    for problem in problems if given.rows_a_class else []:
        few_rows(problem, given)


if __name__ == "__main__":
    main()
