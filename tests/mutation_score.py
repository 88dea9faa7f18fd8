"""How many mutants the tests kill, by groups of modules; it ends with 1 where a group is below 90 %.

`make mutation` lets mutmut make the mutants and run the tests near them, and then this. A mutant without a
test has survived; one that never ends is noticed, so it is killed.
"""

import json
import sys
from pathlib import Path

LEAST = 0.90
MUTANTS = Path("mutants")
GROUPS = {
    "readers": ("lacal/formats/*.py",),
    "prior": ("lacal/classes/prior.py",),
    "tau path": ("lacal/tau/*.py",),
    "writer": ("lacal/atomic.py",),
}
# What mutmut keeps for a mutant is the exit status of its tests, or one of these.
SURVIVED, NO_TEST, NOT_RUN = (0,), (5, 33), (None, 2, 255)  # 255: pytest itself failed
TIME_OUTS = (36, 24, -24, 152)


def statuses_of(patterns: tuple[str, ...]) -> list[int | None]:
    """What became of every mutant of the modules."""
    kept = [one for pattern in patterns for one in sorted(MUTANTS.glob(f"{pattern}.meta"))]
    found = (json.loads(one.read_text())["exit_code_by_key"] for one in kept)
    return [status for of_module in found for status in of_module.values()]


def main() -> int:
    """Print a line a group."""
    print(
        f"{'':10}{'mutants':>9}{'killed':>8}{'time-outs':>11}{'survived':>10}{'no test':>9}{'share':>9}"
    )
    short = []
    for group, patterns in GROUPS.items():
        statuses = statuses_of(patterns)
        survived, untested, unknown = (
            sum(one in kind for one in statuses) for kind in (SURVIVED, NO_TEST, NOT_RUN)
        )
        killed = len(statuses) - survived - untested - unknown
        late = sum(one in TIME_OUTS for one in statuses)
        share = killed / max(1, len(statuses))
        print(
            f"{group:10}{len(statuses):9,}{killed:8,}{late:11,}{survived:10,}{untested:9,}{share:9.1%}"
        )
        if unknown:
            print(
                f"{'':10}{unknown:,} not run: `mutmut run` goes on, `mutmut run NAME` runs one again"
            )
        if share < LEAST:
            short.append(group)
    if short:
        print(f"below {LEAST:.0%}: {', '.join(short)}")
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
