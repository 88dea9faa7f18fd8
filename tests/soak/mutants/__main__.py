"""`python -m tests.soak.mutants --seed 0 --round 123`: one round again, its files left in a folder."""

import argparse
import shlex
import shutil
import sys
from pathlib import Path

from tests.soak.mutants.rounds import round_of
from tests.soak.mutants.worker import Share, work


def main() -> int:
    """Play one round where it can be looked at, or a worker's share."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.mutants", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--round", type=int, help="the round to play")
    parser.add_argument("--folder", type=Path, help="where to; mutant-SEED-ROUND if not given")
    parser.add_argument("--work", nargs=6, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        seed, first, rounds, step, again = map(int, given.work[:5])
        folder = Path(given.work[5])
        try:
            work(Share(seed, first, rounds, step, again), folder)
        except BrokenPipeError:  # whoever watched is gone
            shutil.rmtree(folder, ignore_errors=True)
        return 0
    if given.round is None:
        parser.error("say which --round")
    return _again(
        given.seed, given.round, given.folder or Path(f"mutant-{given.seed}-{given.round}")
    )


def _again(seed: int, number: int, folder: Path) -> int:
    from tests.soak.mutants.promises import Stage

    folder.mkdir()
    stage = Stage(folder, keep=True)
    one = round_of(seed, number)
    print(f"cd {shlex.quote(str(folder))} && lacal {shlex.join(one.arguments)}", flush=True)
    code, broken = stage.play(one, in_child=True)
    print(f"exit code {code}", *broken, sep="\n")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
