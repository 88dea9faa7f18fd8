"""A killed command leaves old outputs or new ones, never a broken one; and goes on to the same bytes."""

import math
import os

import pytest

from tests.soak.kills import soak

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

KILLS = int(os.environ.get("LACAL_KILLS", "100"))  # of each command


@pytest.mark.soak
def test_kills_in_the_write_phase_of_every_command() -> None:
    found = soak(KILLS, 0, math.inf)
    assert not found.faults, "\n".join(found.faults)
    assert found.rounds == KILLS
    assert int(found.figures["least inside, %"]) >= 80, found.figures  # or the test tests nothing
