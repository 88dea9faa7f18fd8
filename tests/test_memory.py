"""Memory is given back where the C library can be told to, and nothing is said where it cannot."""

import ctypes
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lacal.memory import give_back


def test_arrays_outlive_it() -> None:
    kept = np.arange(1 << 20)
    give_back()
    assert kept.sum() == (1 << 20) * ((1 << 20) - 1) // 2


def test_a_system_that_cannot_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def library(name: Any) -> Any:
        asked.append(name)
        if len(asked) == 1:
            raise OSError("no such library")
        return SimpleNamespace()

    monkeypatch.setattr(ctypes, "CDLL", library)
    give_back()
    give_back()
    assert asked == [None, None]


def test_what_it_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[int] = []
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace(malloc_trim=left.append))
    give_back()
    assert left == [0]
