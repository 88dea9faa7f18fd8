"""lacal equals exact arithmetic on 200 random problems; and the exact arithmetic can tell when it does not."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lacal.adjustment import Adjustment
from lacal.batch import Logits
from lacal.metrics import ClassTally
from lacal.tau.path import Plateau, TauPath
from tests.soak.findings import Findings
from tests.soak.oracle import faults_of, soak
from tests.soak.oracle.problems import problem_of

ROUNDS = 200


def test_200_random_problems() -> None:
    found = soak(ROUNDS, 0, math.inf)
    assert not found.faults
    assert found.rounds == ROUNDS
    assert int(found.figures["tuned"]) > ROUNDS / 2
    assert int(found.figures["picks"]) > 2 * ROUNDS


def test_a_problem_comes_back_from_its_number() -> None:
    one, again = problem_of(3, 14), problem_of(3, 14)
    np.testing.assert_array_equal(one.logits, again.logits)
    assert (one.method, one.grid) == (again.method, again.grid)


def closed(ends: NDArray[Any], inside: float, open_end: NDArray[Any]) -> NDArray[Any]:
    """Ends that a tie does not belong to, left as they are."""
    return ends


def first(picker: Any, good: NDArray[Any]) -> NDArray[Any]:
    """The first good node, wherever the reference is."""
    return np.asarray(good.argmax(axis=1))


def elsewhere(
    path: TauPath, low: float, high: float, near: float, whole: Any = TauPath.optimum
) -> Plateau:
    """The plateau nearest to another tau."""
    found: Plateau = whole(path, low, high, near + 2)
    return found


def rounded(adjustment: Adjustment, logits: Logits, whole: Any = Adjustment.apply) -> Logits:
    """Adjusted logits in half the digits."""
    return np.asarray(whole(adjustment, logits), np.float32)


@pytest.mark.parametrize(
    ("places", "broken"),
    [
        (["lacal.tau.screen.inwards", "lacal.tau.intervals.inwards"], closed),
        (["lacal.tau.selection.Picker._nearest"], first),
        (["lacal.tau.path.TauPath.optimum"], elsewhere),
        (["lacal.adjustment.Adjustment.apply"], rounded),
        (["lacal.metrics.ClassTally.balanced"], ClassTally.micro),
    ],
)
def test_it_would_see(
    places: list[str], broken: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is broken on purpose is found within a few problems."""
    for place in places:
        monkeypatch.setattr(place, broken)
    problems = (problem_of(0, number) for number in range(60))
    assert any(next(faults_of(one, tmp_path, Findings()), None) for one in problems)
