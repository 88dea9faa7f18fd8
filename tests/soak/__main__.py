"""`python -m tests.soak`: every soak, or those named; a row of a Markdown table each, faults on stderr.

Exit code 1 where a fault was found, or a soak did fewer rounds than it was asked for.
"""

import argparse
import datetime
import importlib
import math
import subprocess
import sys
import time

from tests.soak.findings import Findings, Soak

# Name -> rounds of `make soak`. Each is a module here with a function `soak`.
SOAKS = {
    "mutants": 1_000_000,
    "kills": 1_000,  # of each command that writes
    "stops": 100,  # of each signal
    "io_faults": 8,  # of each call of each command: every error, once and for ever
    "limits": 50,
    "power": 1_000,
    "writers": 200,
    "oracle": 10_000,
    "hostile": 200,
    "evil": 124,  # files
    "large": 1,
}


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(SOAKS)}; all if none is named"
    )
    parser.add_argument("--rounds", type=int, help="in place of the soak's own number")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=math.inf, help="of each soak, at most")
    given = parser.parse_args()
    if unknown := set(given.names) - set(SOAKS):
        parser.error(f"no soak is called {', '.join(sorted(unknown))}")
    print(
        f"{datetime.datetime.now(tz=datetime.UTC):%Y-%m-%d}, seed {given.seed}, commit {_commit()}\n"
    )
    print("| soak | rounds | minutes | figures | faults |\n| --- | --- | --- | --- | --- |")
    fell_short = False
    for name in given.names or SOAKS:
        rounds, began = given.rounds or SOAKS[name], time.monotonic()
        soak: Soak = importlib.import_module(f"tests.soak.{name}").soak
        found = soak(rounds, given.seed, began + 60 * given.minutes)
        print(_row(name, found, (time.monotonic() - began) / 60), flush=True)
        for fault in found.faults:
            print(f"{name}: {fault}", file=sys.stderr)
        fell_short |= bool(found.faults) or found.rounds < rounds
    return int(fell_short)


def _row(name: str, found: Findings, minutes: float) -> str:
    figures = ", ".join(f"{key} {_shown(value)}" for key, value in found.figures.items())
    return f"| {name} | {found.rounds:,} | {minutes:.1f} | {figures} | {len(found.faults)} |"


def _shown(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3g}"


def _commit() -> str:
    done = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)  # fmt: skip
    return done.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
