"""The features that a network gives the examples of a split, computed once."""

import torch

from lacal.errors import RunError
from lacal.training.data import Examples
from lacal.training.device_rows import DeviceRows
from lacal.training.networks import Network

ROWS = 256  # of a batch: nothing is kept for a gradient


def feature_rows(network: Network, examples: Examples, device: str) -> DeviceRows:
    """A split with features (n, d) float32 in place of its inputs.

    Args:
        network: On the device. It is left in eval mode: in train mode batch normalisation would not be frozen.
        examples: The split; inputs are taken as they are, without augmentation.
        device: As torch names it.

    Raises:
        RunError: A feature is not finite, or its square is not; the row is named.
    """
    rows = DeviceRows.of(examples, device)
    features = torch.empty(len(rows), network.head.features, device=device)
    network.eval()
    at = 0
    with torch.no_grad():
        for inputs, labels in rows.in_order(ROWS):
            features[at : at + len(labels)] = network.features(inputs.float())
            at += len(labels)
    # Lengths are taken of them: what is finite and has none in float32 is as useless.
    bad = ~features.square().sum(1).isfinite()
    if bool(bad.any()):
        row = int(bad.to(torch.uint8).argmax())
        raise RunError(
            f"{examples.place}: the network's features of row {row:,} (from 0) are not finite, or beyond 1e19; look at that row's "
            "input, or start from another run"
        )
    return DeviceRows(features, rows.labels)
