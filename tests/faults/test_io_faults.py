"""Whatever call to the disk fails, old outputs or new ones are there whole, and the end is said; and so with memory."""

import math

import pytest

from tests.soak import io_faults, limits

pytest.importorskip("onnxruntime")
pytest.importorskip("safetensors")

# Whether there are outputs to replace: a call that fails once where there are, fails for ever where there are none.
BOTH = [
    (name, forced)
    for name in ("tune-tau", "adjust", "evaluate", "export")
    for forced in (False, True)
]
PARTS = [("infer", False), ("infer a folder", True)]


def test_every_call_to_the_disk_fails_once_and_for_ever() -> None:
    found = io_faults.over([*BOTH, *PARTS], 1, 0, math.inf, followed=6)
    assert not found.faults
    assert found.rounds == 1
    assert int(found.figures["faults"]) > 300
    for name, _ in BOTH:  # the faults were met, and not too early
        assert int(found.figures[f"{name} ended with 3"]) > 10
    assert int(found.figures["infer ended with 3"]) > 100
    assert int(found.figures["runs after it"]) > 50


def test_every_call_of_a_training_run_fails() -> None:
    found = io_faults.over([("train an epoch", False)], 1, 0, math.inf, followed=16)
    assert not found.faults
    assert int(found.figures["train ended with 3"]) > 100


@pytest.mark.soak
def test_memory_and_files_that_may_not_grow() -> None:
    found = limits.soak(5, 0, math.inf)
    assert not found.faults
    assert found.rounds == 5
    for name in ("memory: ended with 0", "memory: ended with 3", "size: ended with 3"):
        assert int(found.figures[name]) > 1
