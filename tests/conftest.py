"""The small world's files, and how the suite runs.

Hypothesis is derandomised, so that CI sees the same examples every time. Where LACAL_NO_SKIPS is set, as
in CI, a skipped test fails: a skip must not pass for a success.
"""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.small_world import lacal, write_world

settings.register_profile(
    "fixed", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
# A mutant is killed by the first counterexample, however long: `make mutation` does not wait for the shortest.
settings.register_profile(
    "first", settings.get_profile("fixed"), phases=(Phase.explicit, Phase.generate)
)
settings.load_profile("fixed")

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # for tests that import onnxruntime themselves

NO_SKIPS = bool(os.environ.get("LACAL_NO_SKIPS"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if NO_SKIPS and terminalreporter.stats.get("skipped"):
        terminalreporter.write_line("LACAL_NO_SKIPS is set and tests were skipped", red=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if NO_SKIPS and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that holds the small world's files."""
    return write_world(tmp_path)


@pytest.fixture
def calibration(folder: Path, capfd: pytest.CaptureFixture[str]) -> Path:
    """A calibration file tuned on the small world's validation split."""
    path = folder / "calibration.json"
    counts = folder / "counts.csv"
    assert lacal("tune-tau", folder / "val.npz", "--counts", counts, "--draws", 20, "-o", path) == 0
    capfd.readouterr()
    return path
