"""What a soak met: rounds, figures for a table, and faults that can be brought back."""

from collections.abc import Callable
from dataclasses import dataclass, field

Figure = int | float | str


@dataclass(slots=True)
class Findings:
    """What a soak met.

    Attributes:
        rounds: How many were done: fewer than asked for where time ran out.
        figures: Name -> figure, for a table.
        faults: A sentence each, with what brings it back: a seed, a round, a command.
    """

    rounds: int = 0
    figures: dict[str, Figure] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def count(self, name: str, by: int = 1) -> None:
        """Add to a figure that counts something."""
        self.figures[name] = int(self.figures.get(name, 0)) + by


# rounds, seed, until (on the clock of time.monotonic) -> what was met
Soak = Callable[[int, int, float], Findings]
