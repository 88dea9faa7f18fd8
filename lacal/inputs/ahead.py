"""Items drawn by a thread of their own, a bounded number ahead of whoever takes them."""

import threading
from collections import deque
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Generic, TypeVar

T = TypeVar("T")

MOST_ITEMS = 4
MOST_BYTES = 64 << 20
PATIENCE = 1.0  # seconds a stopped thread is waited for; it may be inside one long read


def ahead(
    items: Generator[T, None, None],
    size_of: Callable[[T], int],
    *,
    most_items: int = MOST_ITEMS,
    most_bytes: int = MOST_BYTES,
) -> Generator[T, None, None]:
    """The same items in order, drawn ahead; what the drawing raises is raised here as it is.

    The thread starts with the first item asked for and ends with this iterator: closing it, or an
    exception where its items are used, stops the drawing and closes `items` in its own thread.

    Args:
        items: What to draw from.
        size_of: Bytes an item holds.
        most_items: Items held at most.
        most_bytes: Bytes held at most, taking the next item to be as large as the last; one item is
            held whatever its size.
    """
    shelf = _Shelf[T](most_items, most_bytes)
    # A daemon: a read that hangs, on a lost network disk say, must not keep the process alive.
    thread = threading.Thread(None, shelf.fill, "lacal-read", (items, size_of), daemon=True)
    try:
        thread.start()
        while (taken := shelf.take()) is not None:
            yield taken[0]
            del taken
    finally:
        shelf.stop()
        if thread.is_alive():
            thread.join(PATIENCE)


class _Shelf(Generic[T]):
    """Where one thread puts items and another takes them."""

    def __init__(self, most_items: int, most_bytes: int) -> None:
        self._most_items, self._most_bytes = most_items, most_bytes
        self._changed = threading.Condition()
        self._held: deque[tuple[T, int]] = deque()
        self._bytes = self._last = 0
        self._stopped = self._ended = False
        self._error: BaseException | None = None

    def fill(self, items: Generator[T, None, None], size_of: Callable[[T], int]) -> None:
        """Draw until the items end, the drawing fails, or somebody says stop."""
        try:
            with closing(items):
                while self._wait_for_room() and self._draw(items, size_of):
                    pass
        except BaseException as error:
            self._error = error
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def take(self) -> tuple[T, int] | None:
        """The next item and its size; None after the last."""
        with self._changed:
            self._changed.wait_for(lambda: self._held or self._ended)
            if self._held:
                taken = self._held.popleft()
                self._bytes -= taken[1]
                self._changed.notify_all()
                return taken
        if self._error is not None:
            raise self._error
        return None

    def stop(self) -> None:
        """Draw no more; what is held is let go."""
        with self._changed:
            self._stopped = True
            self._held.clear()
            self._changed.notify_all()

    def _wait_for_room(self) -> bool:
        with self._changed:
            self._changed.wait_for(self._has_room)
            return not self._stopped

    def _has_room(self) -> bool:
        if self._stopped or not self._held:
            return True
        return len(self._held) < self._most_items and self._bytes + self._last <= self._most_bytes

    def _draw(self, items: Generator[T, None, None], size_of: Callable[[T], int]) -> bool:
        for item in items:
            size = size_of(item)
            with self._changed:
                self._held.append((item, size))
                self._bytes += size
                self._last = size
                self._changed.notify_all()
            return True
        return False
