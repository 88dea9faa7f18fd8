"""Doctests are collected from the package itself; what is about torch waits for torch."""

from importlib.util import find_spec

collect_ignore_glob = (
    []
    if find_spec("torch")
    else [
        "lacal/losses/*.py",
        "lacal/training/*.py",
        "lacal/tau/on_device.py",
        "lacal/tau/torch_rows.py",
        "tests/contracts/*.py",
        "tests/minimising.py",
    ]
)
