"""How often the 95 % intervals of lacal.metrics hold the truth, in simulated problems whose truth is known.

    python benchmarks/interval_coverage.py [--draws 1000] [--seed 0]

For every number: the kinds of problem, the mean of their coverages, the lowest, and the kind it is of; before
that one the mean and the lowest of value +- 1.96 standard errors, where there is a standard error. A kind is a
number of classes, rows of each, and how wrong the classifier is. Each is drawn `--draws` times, kinds that
cost much 3 to 5 times fewer. The lowest of many noisy coverages looks lower than it is, so the kind that
came out lowest is drawn anew, four times as often, and that is shown. A draw without an interval, such as a
temperature where none fits, does not count.
"""

import argparse
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import chain

import interval_coverage_errors as errors
import interval_coverage_probabilities as probabilities
import numpy as np
from interval_coverage_errors import Found, World

from lacal.metrics import NORMAL_95


@dataclass
class Hits:
    """Of one number in one kind of problem: whether the intervals of each draw hold the truth.

    Attributes:
        ours: The interval that lacal shows.
        plain: Value +- 1.96 standard errors.
    """

    ours: list[bool] = field(default_factory=list)
    plain: list[bool] = field(default_factory=list)

    def add(self, one: Found) -> None:
        """Another draw."""
        if one.value is None or one.low is None or one.high is None:
            return
        self.ours.append(one.low <= one.truth <= one.high)
        if one.error is not None:
            self.plain.append(abs(one.value - one.truth) <= NORMAL_95 * one.error)


def hits(world: World, draws: int, *seed: int) -> dict[str, Hits]:
    """Of every number that the world gives."""
    generator, by_number = np.random.default_rng(seed), defaultdict[str, Hits](Hits)
    for _ in range(max(draws // world.cost, 10)):
        for number, one in world.draw(generator):
            by_number[number].add(one)
    return by_number


def percent(held: list[bool]) -> float:
    return 100 * float(np.mean(held))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    kinds = list(chain(errors.worlds(), probabilities.worlds()))
    table = defaultdict[str, dict[int, Hits]](dict)
    for at, world in enumerate(kinds):
        for number, one in hits(world, asked.draws, asked.seed, at).items():
            if one.ours:
                table[number][at] = one
    anew: dict[int, dict[str, Hits]] = {}
    print("| number | kinds | covered, % | lowest | ± 1.96 SE | lowest | the lowest is |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for number, row in table.items():
        worst = min(row, key=lambda at: percent(row[at].ours))
        if worst not in anew:
            anew[worst] = hits(kinds[worst], 4 * asked.draws, asked.seed, worst, 1)
        mean = np.mean([percent(one.ours) for one in row.values()])
        lowest = percent(anew[worst][number].ours)
        plain = [percent(one.plain) for one in row.values() if one.plain]
        bare = f"{np.mean(plain):.0f} | {min(plain):.0f}" if plain else "|"
        print(
            f"| {number} | {len(row)} | {mean:.1f} | {lowest:.1f} | {bare} | {kinds[worst].name} |"
        )


if __name__ == "__main__":
    main()
