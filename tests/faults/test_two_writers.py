"""Two and eight writers of one output: one of them has it, whole at every moment, and the others say why they do not."""

import time

import pytest

from tests.soak import writers

pytest.importorskip("onnxruntime")


@pytest.mark.soak
def test_writers_of_one_output() -> None:
    found = writers.soak(16, 0, time.monotonic() + 100)
    assert not found.faults
    assert found.rounds == 16
    assert found.figures["torn reads"] == 0
    assert int(found.figures["reads"]) > 500
    for code in (0, 2, 3):  # wrote it, came too late, met another at work
        assert int(found.figures[f"ended with {code}"]) > 3
