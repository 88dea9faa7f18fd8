"""matplotlib as it comes: nothing that a notebook, the environment or a folder says of it reaches a chart.

As it is imported it reads the file `matplotlibrc` of the folder that the process is in, else the one that
MATPLOTLIBRC names, and the name of a backend from MPLBACKEND, which a Jupyter cell sets for the programs that it
starts. Any of them may be damaged, or of another environment; none has a say in how our charts look.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from lacal.errors import MissingExtra

UNHEARD = {"MATPLOTLIBRC": os.devnull, "MPLBACKEND": "agg"}  # no settings, and no screen


def library() -> ModuleType:
    """The module `matplotlib`; one that the process has imported already stays as it is.

    Raises:
        MissingExtra: It is not installed.
    """
    if "matplotlib" not in sys.modules:
        with _in_its_folder(), _environment(UNHEARD):
            import matplotlib  # noqa: F401
    return sys.modules["matplotlib"]


@contextlib.contextmanager
def _in_its_folder() -> Iterator[None]:
    """Within the block the process is in the folder of the package, which holds no `matplotlibrc`."""
    found = find_spec("matplotlib")
    if found is None or found.origin is None:
        raise MissingExtra("matplotlib", "plots", "drawing charts")
    # Not by its name: a folder may be gone, or lie below one that may not be entered.
    here = os.open(".", getattr(os, "O_PATH", os.O_RDONLY))
    try:
        os.chdir(Path(found.origin).parent)
        yield
    finally:
        os.fchdir(here)
        os.close(here)


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Other values of some environment variables within the block."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
