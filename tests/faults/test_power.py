"""Power is lost, and of what was not synced any part with it: what is there is whole, and runs go on to the same bytes."""

import time

import pytest

from tests.soak import power

pytest.importorskip("onnxruntime")
pytest.importorskip("safetensors")


def test_power_is_lost_at_any_call() -> None:
    jobs = ("infer", "infer a folder", "train an epoch", "adjust")
    found = power.over(jobs, 80, 0, time.monotonic() + 100)
    assert not found.faults
    assert found.rounds == 80
    assert int(found.figures["with finished parts"]) > 15
