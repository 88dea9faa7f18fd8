"""Charts in any surroundings: settings of notebooks and folders, a large tau, no matplotlib."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacal.calibration import LARGEST_TAU
from lacal.errors import MissingExtra
from lacal.report.charts import library
from lacal.report.page.ticks import MOST_STEPS, ticks


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


# A large tau

TAUS = st.floats(-LARGEST_TAU, LARGEST_TAU) | st.floats(-5, 5)


@given(TAUS, TAUS)
def test_a_slider_has_even_steps_and_not_too_many(one: float, other: float) -> None:
    low, high = min(one, other, 0.0), max(one, other, 4.0)
    found = ticks(low, high, (one,))
    assert found.size <= MOST_STEPS + 4
    assert {0.0, 1.0, one} <= set(found.tolist())
    steps = np.diff(found)
    widest = steps.max()
    assert widest <= max(0.001, 2.5 * (high - low) / MOST_STEPS) * 1.001
    assert found[0] - low < widest * 1.001
    assert high - found[-1] < widest * 1.001


# Surroundings of matplotlib


CHART = """
from lacal.report.charts.style import axes, canvas
from lacal.report.charts.svg import inline
from lacal.report.page.content import Chart

def draw():
    figure = canvas(100)
    axes(figure, 40, 10, 300, 60).plot([0, 1])
    return figure

print(inline(Chart("curve", "what it is", "what it shows", draw)).markup)
"""


def chart(here: Path, **environment: str) -> str:
    """A chart that a process of its own draws in that folder, without a word on stderr."""
    done = subprocess.run(
        [sys.executable, "-c", CHART],
        env={**os.environ, **environment}, capture_output=True, text=True, check=False, cwd=here, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_charts_are_the_same_whatever_a_notebook_or_folder_says(here: Path) -> None:
    pytest.importorskip("matplotlib", exc_type=ImportError)
    plain = chart(here)
    (here / "matplotlibrc").write_bytes(b"nonsense\nfont.size: 30\nlines.linewidth: \xff\n")
    backend = "module://matplotlib_inline.backend_inline"
    assert chart(here, MPLBACKEND=backend, MATPLOTLIBRC=str(here / "matplotlibrc")) == plain
    assert "<svg" in plain


def test_importing_leaves_folder_and_environment_as_they_were(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MPLBACKEND", "nonsense")
    monkeypatch.delenv("MATPLOTLIBRC", raising=False)
    with library._in_its_folder(), library._environment(library.UNHEARD):
        assert not Path("matplotlibrc").exists()
        assert Path("mpl-data").is_dir()
        assert os.environ["MPLBACKEND"] == "agg"
    assert Path.cwd() == here
    assert os.environ["MPLBACKEND"] == "nonsense"
    assert "MATPLOTLIBRC" not in os.environ


def test_charts_without_matplotlib_say_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "matplotlib", raising=False)
    monkeypatch.setattr(library, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"lacal\[plots\]"):
        library.library()
