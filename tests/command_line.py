"""Command lines run in this process: their code, stdout and stderr."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from lacal.cli.main import run

Run = Callable[..., tuple[int, str, str]]


def caller(capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs a command line; its code, stdout and stderr."""

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(list(arguments))
        out, err = capfd.readouterr()
        return code, out, err

    return call


def result(lacal: Run, *arguments: str) -> Any:
    """The JSON of a command that must succeed."""
    code, out, err = lacal(*arguments, "--json")
    assert code == 0, err
    return json.loads(out)
