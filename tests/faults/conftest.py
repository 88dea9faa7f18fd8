"""One guarded process for all tests of faults: it takes seconds to load the libraries."""

from collections.abc import Iterator

import pytest

from tests.faults.evil.guard import Guard


@pytest.fixture(scope="session")
def guard() -> Iterator[Guard]:
    """Runs command lines under an audit hook, in a process of their own each."""
    with Guard() as made:
        yield made
