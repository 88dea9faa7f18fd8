"""Torch on one thread, and a convex risk brought to its minimum."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
import torch


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """For the tests of a module that imports it: tiny batches on two busy cores wait mostly for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def minimised(parameters: Iterable[Any], risk: Callable[[], Any]) -> None:
    """Parameters moved in place, by L-BFGS, until the gradient is nothing."""
    descent = torch.optim.LBFGS(
        list(parameters),
        max_iter=1000,
        tolerance_grad=1e-11,
        tolerance_change=1e-15,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Any:
        descent.zero_grad()
        value = risk()
        value.backward()
        return value

    descent.step(closure)
