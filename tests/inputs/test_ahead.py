"""Drawing ahead keeps the order, the bounds and the errors, and leaves no thread behind."""

import threading
from collections.abc import Generator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lacal.inputs import ahead as module
from lacal.inputs.ahead import ahead


class Source:
    """Sizes drawn one by one; how far the drawing has come, and where it was closed."""

    def __init__(self, sizes: list[int]) -> None:
        self.sizes = sizes
        self.drawn = 0
        self.moved = threading.Condition()
        self.closed_in: str | None = None

    def items(self) -> Generator[int, None, None]:
        try:
            for size in self.sizes:
                with self.moved:
                    self.drawn += 1
                    self.moved.notify_all()
                yield size
        finally:
            self.closed_in = threading.current_thread().name

    def wait_until(self, drawn: int) -> None:
        with self.moved:
            assert self.moved.wait_for(lambda: self.drawn >= drawn, 10)


@settings(max_examples=50)
@given(
    sizes=st.lists(st.integers(0, 20), max_size=20),
    most_items=st.integers(1, 5),
    most_bytes=st.integers(1, 30),
)
def test_same_items_in_order(sizes: list[int], most_items: int, most_bytes: int) -> None:
    source = Source(sizes)
    before, taken = threading.active_count(), 0
    for size in ahead(source.items(), int, most_items=most_items, most_bytes=most_bytes):
        assert size == sizes[taken]
        taken += 1
        assert source.drawn <= taken + most_items
    assert taken == len(sizes)
    assert threading.active_count() == before
    assert source.closed_in not in (None, threading.current_thread().name) or not sizes


@pytest.mark.parametrize(
    ("size", "most_items", "most_bytes", "held"),
    [(1, 4, 100, 4), (1, 1, 100, 1), (10, 9, 25, 2), (100, 9, 25, 1)],
)
def test_bounds(size: int, most_items: int, most_bytes: int, held: int) -> None:
    source = Source([size] * 20)
    drawing = ahead(source.items(), int, most_items=most_items, most_bytes=most_bytes)
    for taken in range(1, 8):
        next(drawing)
        source.wait_until(taken + held)
        assert source.drawn == taken + held
    drawing.close()
    assert source.drawn <= 8 + held
    assert source.closed_in is not None


@pytest.mark.parametrize("at", [0, 1, 5])
def test_an_error_comes_as_it_is_after_what_came_before(at: int) -> None:
    error = KeyError("own")

    def items() -> Generator[int, None, None]:
        yield from range(at)
        raise error

    taken: list[int] = []
    with pytest.raises(KeyError) as raised:
        taken.extend(ahead(items(), int))
    assert raised.value is error
    drawing = ahead(items(), int)
    assert [next(drawing) for _ in range(at)] == list(range(at))
    with pytest.raises(KeyError):
        next(drawing)


def test_nothing_starts_before_the_first_item() -> None:
    source, before = Source([1]), threading.active_count()
    drawing = ahead(source.items(), int)
    assert threading.active_count() == before
    drawing.close()
    assert source.drawn == 0


def test_a_read_that_hangs_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    going_on = threading.Event()
    before = threading.active_count()

    def items() -> Generator[int, None, None]:
        yield 1
        going_on.wait(60)
        yield 2

    drawing = ahead(items(), int)
    assert next(drawing) == 1
    drawing.close()
    (left,) = [one for one in threading.enumerate() if one.name == "lacal-read"]
    assert left.is_alive()
    going_on.set()
    left.join(10)
    assert threading.active_count() == before
