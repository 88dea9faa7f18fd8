"""Start-up: fresh processes of `lacal --help` and `lacal tune-tau` against bare imports.

Usage: python benchmarks/startup.py [--rounds 15]
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

SAMPLE = Path(__file__).parent.parent / "sample_data" / "langid"
LACAL = [sys.executable, "-m", "lacal"]
TUNE = ["tune-tau", str(SAMPLE / "val.npz"), "--counts", str(SAMPLE / "counts.csv")]
PAIRS = {
    "lacal --help": ([*LACAL, "--help"], "import click"),
    "lacal tune-tau on the sample": ([*LACAL, *TUNE], "import click, numpy"),
}


def seconds(command: list[str]) -> float:
    """Wall time of a fresh process."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    """Alternate each command with its floor and print the median of the pairwise ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    for name, (command, floor) in PAIRS.items():
        bare = [sys.executable, "-c", floor]
        seconds(command)
        pairs = [(seconds(command), seconds(bare)) for _ in range(rounds)]
        ratio = statistics.median(ours / theirs for ours, theirs in pairs)
        ours = statistics.median(one for one, _ in pairs)
        theirs = statistics.median(one for _, one in pairs)
        print(f"{name}: {ours:.3f} s, `{floor}` {theirs:.3f} s, ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
