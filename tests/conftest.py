"""Hypothesis is derandomised, so that CI sees the same examples every time."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.small_world import write_world

settings.register_profile(
    "fixed", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("fixed")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that holds the small world's files."""
    return write_world(tmp_path)


@pytest.fixture
def calibration(folder: Path, capfd: pytest.CaptureFixture[str]) -> Path:
    """A calibration file tuned on the small world's validation split."""
    from tests.small_world import lacal

    path = folder / "calibration.json"
    arguments = (folder / "val.npz", "--counts", folder / "counts.csv", "--draws", 20, "-o", path)
    assert lacal("tune-tau", *arguments) == 0
    capfd.readouterr()
    return path
