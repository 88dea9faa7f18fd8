"""How good are the rules that pick tau, and how sure is the gain they promise?

    python benchmarks/tau_selection.py [--data FOLDER] [--severity S] [--draws N] [--seed N]
    python benchmarks/tau_selection.py --coverage [--severity S] [--problems N] [--seed N]

The first table: excess balanced error of each pick over the best tau of the test distribution, in
points, where the rule saw 3 to 100 validation rows a class. The second: how often the bootstrap's 95 %
interval holds the true gain of the picked tau.

A simulated problem is a large pool of rows; validation rows are drawn from it with replacement, so the
pool IS the population, and its balanced error and gain are known exactly. Real logits (FOLDER holds .npz
files with logits_val, labels_val, logits_test, labels_test, train_counts) are split anew in each draw:
at most half of each class for validation, the rest for the test. The same seed gives the same tables.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lacal.methods import METHODS, Family
from lacal.tau.intervals import intervals
from lacal.tau.path import TauPath
from lacal.tau.resampling import Sample, bootstrap
from lacal.tau.selection import RULES, Lattice

KINDS = ("calibrated", "over-confident", "under-confident", "head-biased", "noisy", "estimated")
CLASSES = (10, 30, 100, 200)
IMBALANCE = (10, 100, 1000)
ROWS_A_CLASS = (3, 5, 10, 30, 100)
REAL = ("langid_lt.npz", "cifar10_lt100_cnn4_ce.npz")
REAL_DRAWS = 10
BOOTSTRAP_DRAWS = 300
METHOD = METHODS["logit-adjustment"]
LOW, HIGH = METHOD.grid[:2]
LATTICE = Lattice.over(LOW, HIGH, METHOD)

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Problem:
    """Rows with the taus that get them right.

    Attributes:
        kind: What the model is like.
        labels: (n,) sorted by class.
        low: (n,) lower ends of the intervals.
        high: (n,) upper ends.
        unadjusted: (n,) whether the plain argmax is right.
        classes: k.
    """

    kind: str
    labels: NDArray[np.int64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    unadjusted: NDArray[np.bool_]
    classes: int

    @classmethod
    def of(cls, kind: str, logits: NDArray[np.float32], labels: Rows, counts: Rows) -> "Problem":
        """The exact intervals of these rows, put in the order of the classes."""
        order = np.argsort(labels, kind="stable")
        logits, labels = logits[order], labels[order]
        low, high = intervals(logits, labels, Family(np.log(counts / counts.sum())))
        right = logits.argmax(axis=1) == labels
        return cls(kind, labels, low, high, right, counts.size)

    def path(self, rows: Rows | None = None) -> TauPath:
        """The path of some rows, or of all."""
        rows = np.arange(self.labels.size) if rows is None else rows
        low, high = self.low[rows], self.high[rows]
        owner = np.flatnonzero(low <= high)
        return TauPath(self.labels[rows], owner, low[owner], high[owner], self.classes)

    def sample(self, rows: Rows) -> Sample:
        """The validation rows as the rules see them."""
        return Sample.on(self.path(rows), self.unadjusted[rows], LATTICE)

    def draw(self, sizes: Rows, generator: np.random.Generator) -> Rows:
        """sizes[y] rows of each class y, with replacement."""
        support = np.bincount(self.labels, minlength=self.classes)
        first = np.repeat(np.cumsum(support) - support, sizes)
        return first + generator.integers(np.repeat(support, sizes))


def simulate(
    kind: str, classes: int, imbalance: int, severity: float, generator: np.random.Generator
) -> Problem:
    """Gaussian classes of unit variance under a long-tailed prior, and what a model says of them.

    `severity` is how far the best tau may lie from 1 where a kind moves it: up to 1 + severity, down
    to 1 / (1 + severity).
    """
    counts = np.round(5.0 * imbalance ** np.linspace(1, 0, classes)).astype(np.int64)
    counts = generator.permutation(counts)
    log_prior = np.log(counts / counts.sum())
    dimensions = int(generator.choice([10, 20]))
    # Classes stand further apart where there are more, so that errors stay between a tenth and a half.
    apart = generator.uniform(1.2, 2.5) * np.sqrt(np.log(classes) / np.log(10) / dimensions)
    means = 1.2 * apart * generator.standard_normal((classes, dimensions))
    labels = np.repeat(np.arange(classes), max(200, 20_000 // classes))
    features = means[labels] + generator.standard_normal((labels.size, dimensions))
    if kind == "estimated":  # means as the training rows would give them: poor for rare classes
        means = means + generator.standard_normal(means.shape) / np.sqrt(counts)[:, None]
    logits = features @ means.T - 0.5 * (means**2).sum(axis=1) + log_prior
    if kind == "over-confident":
        logits *= 1 + severity * generator.uniform(0.2, 1.0)
    if kind == "under-confident":
        logits /= 1 + severity * generator.uniform(0.2, 1.0)
    if kind == "head-biased":
        logits += severity * generator.uniform(0.2, 1.0) * log_prior
    if kind == "noisy":
        logits += generator.uniform(0.5, 2.0) * generator.standard_normal(logits.shape)
        logits += 0.7 * generator.standard_normal(classes)
    return Problem.of(kind, logits.astype(np.float32), labels, counts)


def simulations(count: int, severity: float, generator: np.random.Generator) -> Iterator[Problem]:
    """`count` problems, the kinds in turn, sizes and imbalance at random."""
    for number in range(count):
        classes, imbalance = int(generator.choice(CLASSES)), int(generator.choice(IMBALANCE))
        kind = KINDS[number % len(KINDS)]
        yield simulate(kind, classes, imbalance, severity, generator)


def real(folder: Path) -> Iterator[Problem]:
    """The long-tailed logits of the folder, validation and test rows together."""
    for name in REAL:
        with np.load(folder / name) as arrays:
            logits = np.concatenate([arrays["logits_val"], arrays["logits_test"]])
            labels = np.concatenate([arrays["labels_val"], arrays["labels_test"]])
            counts = arrays["train_counts"].astype(np.int64)
        yield Problem.of(name.removesuffix(".npz"), logits, labels.astype(np.int64), counts)


def split(problem: Problem, rows_a_class: int, generator: np.random.Generator) -> tuple[Rows, Rows]:
    """Validation and test rows: `rows_a_class` rows of each class, at most half of it; and the rest."""
    chosen = np.zeros(problem.labels.size, np.bool_)
    for label in np.unique(problem.labels):
        members = generator.permutation(np.flatnonzero(problem.labels == label))
        chosen[members[: min(rows_a_class, members.size // 2)]] = True
    return np.flatnonzero(chosen), np.flatnonzero(~chosen)


def pick(sample: Sample) -> dict[str, float]:
    """What each contestant picks."""
    taus = {}
    for step in (0.1, 0.05):
        grid = np.arange(LOW, HIGH + step / 2, step)
        taus[f"grid, step {step:g}"] = float(grid[sample.path.balanced_error(grid).argmin()])
    best = sample.path.optimum(LOW, HIGH, METHOD.reference)
    taus["min (exact)"] = (max(best.low, LOW) + min(best.high, HIGH)) / 2
    for rule in ("smoothed", "shrunk"):
        node = sample.picker(rule).pick(sample.curve()[None])[0]
        taus[rule] = float(LATTICE.taus[node])
    return {**taus, "tau = 1": 1.0, "tau = 0": 0.0}


def selection(given: argparse.Namespace) -> None:
    """Print the table of excess errors."""
    generator = np.random.default_rng(given.seed)
    excess: dict[str, list[tuple[str, int, float]]] = defaultdict(list)

    def score(problem: Problem, size: int, sample: Sample, test: TauPath) -> None:
        best = test.optimum(LOW, HIGH, METHOD.reference).balanced_error
        taus = pick(sample)
        errors = test.balanced_error(np.array(list(taus.values())))
        for name, error in zip(taus, errors, strict=True):
            excess[name].append((problem.kind, size, 100 * (float(error) - best)))

    for problem in simulations(given.problems or 120, given.severity, generator):
        population = problem.path()
        for size in ROWS_A_CLASS:
            for _ in range(given.draws):
                rows = problem.draw(np.full(problem.classes, size), generator)
                score(problem, size, problem.sample(rows), population)
    for problem in [] if given.data is None else real(given.data):
        # A size that most classes cannot give would be the size before it once more.
        enough = np.median(np.bincount(problem.labels)) // 2
        for size in (size for size in ROWS_A_CLASS if size <= enough):
            for _ in range(REAL_DRAWS):
                validation, test = split(problem, size, generator)
                score(problem, size, problem.sample(validation), problem.path(test))
    report(excess)


def report(excess: dict[str, list[tuple[str, int, float]]]) -> None:
    """Means by rows a class and by kind, overall mean and worst, and the ratio to grid search."""
    first = next(iter(excess.values()))
    kinds = list(dict.fromkeys(kind for kind, _, _ in first))
    print("Excess balanced error over the best tau of the test distribution, points")
    for title, columns, field in (("rows a class", ROWS_A_CLASS, 1), ("kind", kinds, 0)):
        print(f"\n{title:16}" + "".join(f"{str(one)[:15]:>16}" for one in columns))
        for name, cells in excess.items():
            means = [np.mean([c[2] for c in cells if c[field] == one]) for one in columns]
            print(f"{name:16}" + "".join(f"{mean:16.3f}" for mean in means))
    grid = np.mean([cell[2] for cell in first])
    print(f"\n{'all':16}{'mean':>16}{'worst':>16}{'mean / grid 0.1':>16}")
    for name, cells in excess.items():
        values = np.array([cell[2] for cell in cells])
        print(f"{name:16}{values.mean():16.3f}{values.max():16.2f}{values.mean() / grid:16.3f}")


def coverage(given: argparse.Namespace) -> None:
    """Print how often the interval of the gain holds the population's gain at the picked tau."""
    problems = given.problems or 400
    generator = np.random.default_rng(given.seed)
    held: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for number, problem in enumerate(simulations(problems, given.severity, generator)):
        for column in (*ROWS_A_CLASS, "uneven"):
            if isinstance(column, int):
                sizes = np.full(problem.classes, column)
            else:  # 0 to 30 rows, many classes with one or none
                sizes = np.floor(30 ** generator.random(problem.classes) - 0.2).astype(np.int64)
            sample = problem.sample(problem.draw(sizes, generator))
            population = problem.path(np.flatnonzero(sizes[problem.labels] > 0))
            plain = float(problem.unadjusted[sizes[problem.labels] > 0].mean())
            for rule in RULES:
                picker = sample.picker(rule)
                tau = float(LATTICE.taus[picker.pick(sample.curve()[None])[0]])
                gain = bootstrap(sample, picker, tau, draws=BOOTSTRAP_DRAWS, seed=number).gain
                truth = float(population.right_at(tau).mean()) - plain
                held[rule, str(column)].append(gain.low - 1e-12 <= truth <= gain.high + 1e-12)
    columns = [str(column) for column in (*ROWS_A_CLASS, "uneven")]
    print(f"Coverage of the 95 % interval of the gain, %, {problems} problems a cell")
    print(f"\n{'rows a class':16}" + "".join(f"{one:>9}" for one in columns) + f"{'all':>9}")
    for rule in RULES:
        cells = [held[rule, column] for column in columns]
        cells.append([one for cell in cells for one in cell])
        print(f"{rule:16}" + "".join(f"{100 * np.mean(cell):9.1f}" for cell in cells))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, help="folder of real long-tailed logits")
    parser.add_argument("--problems", type=int, help="simulated problems (120; coverage: 400)")
    parser.add_argument("--draws", type=int, default=3, help="validation samples of each")
    parser.add_argument("--severity", type=float, default=0.5, help="how wrong the models may be")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--coverage", action="store_true", help="the second table")
    given = parser.parse_args()
    (coverage if given.coverage else selection)(given)


if __name__ == "__main__":
    main()
