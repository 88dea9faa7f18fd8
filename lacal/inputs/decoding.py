"""Images decoded by several threads, ahead of the model and in order."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.cores import usable_cores
from lacal.errors import DataError
from lacal.inputs.settled import Settled

MOST_AT_ONCE = 16  # images of one task: few enough to share out, enough to pay for the handing over


@dataclass(frozen=True, slots=True)
class Decoded:
    """Images that may still be on their way.

    Attributes:
        images: (n, ...), filled by the tasks.
        tasks: What fills them, in the order of the rows.
    """

    images: NDArray[Any]
    tasks: tuple[Future[None], ...]

    def whole(self) -> NDArray[Any]:
        """The images once all are there; the first that cannot be decoded raises."""
        for task in self.tasks:
            task.result()
        return self.images


class Decoder:
    """Threads that decode; a context, at whose end no thread is left."""

    def __init__(self, workers: int | None) -> None:
        self._workers = workers or usable_cores()
        self._pool = ThreadPoolExecutor(self._workers, "lacal-decode")
        self._stopped = threading.Event()
        self._examples: dict[int, tuple[tuple[int, ...], np.dtype[Any]]] = {}

    def __enter__(self) -> "Decoder":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def begin(
        self, settled: Settled, encoded: NDArray[Any], names: Sequence[str], port: int
    ) -> Decoded:
        """Start to decode the images of one input, (n,) bytes or paths.

        Args:
            settled: What becomes of an image.
            encoded: The images.
            names: What to call each in an error.
            port: Number of the input; its images have one shape throughout.

        Raises:
            DataError: The very first image cannot be decoded.
        """
        if port not in self._examples:
            example = settled.image(encoded[0], names[0])
            self._examples[port] = example.shape, example.dtype
        shape, dtype = self._examples[port]
        images = np.empty((len(encoded), *shape), dtype)
        share = max(1, min(MOST_AT_ONCE, len(encoded) // (2 * self._workers)))
        tasks = []
        for start in range(0, len(encoded), share):
            part = slice(start, start + share)
            tasks.append(
                self._pool.submit(self._fill, settled, encoded[part], names[part], images[part])
            )
        return Decoded(images, tuple(tasks))

    def _fill(
        self, settled: Settled, encoded: NDArray[Any], names: Sequence[str], images: NDArray[Any]
    ) -> None:
        for one, name, target in zip(encoded, names, images, strict=True):
            if self._stopped.is_set():
                return
            image = settled.image(one, name)
            if image.shape != target.shape:
                raise DataError(
                    f"{name}: becomes {_sides(image)}, the images before it {_sides(target)}; all must have "
                    "one size; say --resize and --crop"
                )
            target[...] = image


def _sides(image: NDArray[Any]) -> str:
    return " x ".join(map(str, image.shape))
