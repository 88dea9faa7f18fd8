"""Examples where the network is: copied to the device once, and drawn from there by row numbers."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray

from lacal.training.examples import Examples

Tensor = Any  # torch.Tensor

# Of the free memory of a GPU; the rest is for the network, its gradients and activations.
SHARE = 0.5


@dataclass(frozen=True, slots=True)
class DeviceRows:
    """Inputs and labels of a split.

    Attributes:
        inputs: (n, *shape), of the type they were read in; on the host where the device has no room.
        labels: (n,) int64 on the device.
    """

    inputs: Tensor
    labels: Tensor

    @classmethod
    def of(cls, examples: Examples, device: str) -> "DeviceRows":
        """A split's rows on a device, as far as they fit."""
        inputs, labels = _tensor(examples.inputs), _tensor(examples.labels)
        if device != "cpu" and _has_room(device, inputs.nbytes):
            inputs = inputs.to(device)  # pragma: no cover - needs a GPU
        return cls(inputs, labels.to(device))

    def __len__(self) -> int:
        """Rows."""
        return len(self.labels)

    def drawn(self, rows: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of the rows with these numbers, in this order; a last one of a single row is left out.

        Batch normalisation has no variance of a single row.
        """
        labels = self.labels[rows]
        at = rows.to(self.inputs.device)
        size = min(size, len(rows))  # torch takes 64 bits at most
        for chosen, wanted in zip(at.split(size), labels.split(size), strict=True):
            if len(wanted) > 1:
                yield self._moved(self.inputs.index_select(0, chosen)), wanted

    def in_order(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of all rows as they lie."""
        size = min(size, len(self))
        for inputs, labels in zip(self.inputs.split(size), self.labels.split(size), strict=True):
            yield self._moved(inputs), labels

    def _moved(self, inputs: Tensor) -> Tensor:
        if inputs.device == self.labels.device:
            return inputs
        pinned = inputs.pin_memory()  # pragma: no cover - needs a GPU
        return pinned.to(self.labels.device, non_blocking=True)  # pragma: no cover - needs a GPU


def _has_room(device: str, size: int) -> bool:  # pragma: no cover - needs a GPU
    return size < SHARE * float(torch.cuda.mem_get_info(device)[0])


def _tensor(array: NDArray[Any]) -> Tensor:
    """The same memory: nothing here writes to it, so an array that is read-only may be."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)
