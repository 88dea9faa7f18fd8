"""A run's parts, put together: network, loss, optimiser and rows on one device, and the plan that they follow."""

import hashlib
from typing import Any

import numpy as np
import torch

from lacal import __version__
from lacal.errors import UsageError
from lacal.formats.shown import printable
from lacal.losses import make_loss
from lacal.training.augment import augmenter
from lacal.training.data import Normalisation, TrainingData
from lacal.training.device import WEIGHTS, described, seeded
from lacal.training.device_rows import DeviceRows
from lacal.training.loop import Loop
from lacal.training.networks import Network, make_network
from lacal.training.options import TrainOptions
from lacal.training.sampling import counts_for_loss


def build_loop(data: TrainingData, options: TrainOptions, device: str) -> Loop:
    """Everything that an epoch needs, with fresh weights.

    Args:
        data: Its training split.
        options: How.
        device: As torch names it.

    Raises:
        UsageError: Options contradict each other or the data, or the user's network cannot be stored.
    """
    rows = DeviceRows.of(data.train, device)
    shape = tuple(data.train.inputs.shape[1:])
    augment = augmenter(options.augment, shape) if options.augment else None
    seeded(options.seed, WEIGHTS)
    classes = len(data.class_counts)
    network = make_network(options, shape, classes, data.normalisation)
    odd = [name for name, one in network.state_dict().items() if not torch.is_tensor(one)]
    if odd:
        raise UsageError(
            f"--model {printable(options.model or '')}: keeps {printable(odd[0])} in its state, which is no tensor, so it "
            "cannot be stored; keep tensors alone in buffers"
        )
    network.to(device)
    counts = counts_for_loss(data.class_counts, options.sampler, options.loss, options.loss_options)
    loss = make_loss(options.loss, counts, options.loss_options, scale=network.head.scale)
    loss.begin_epoch(0, options.epochs)  # it refuses weights that would come after the last epoch
    return Loop(
        network=network,
        loss=loss.to(device),
        optimiser=_optimiser(network, options),
        scaler=torch.amp.GradScaler(rows.labels.device.type)
        if options.precision == "float16"
        else None,
        rows=rows,
        class_counts=torch.as_tensor(data.class_counts, device=device),
        augment=augment,
        options=options,
    )


def _optimiser(network: Network, options: TrainOptions) -> Any:
    """Weight decay is on all parameters, as in the papers' code."""
    weights = [one for one in network.parameters() if one.requires_grad]
    decay = options.weight_decay
    # One kernel moves all weights. But where a gradient scaler skips the first step, torch 2.13's fused SGD goes
    # on with a momentum that nothing was ever written to.
    fused = options.precision != "float16"
    if options.optimiser == "adamw":
        return torch.optim.AdamW(weights, lr=options.lr, weight_decay=decay, fused=fused)
    return torch.optim.SGD(
        weights,
        lr=options.lr,
        momentum=options.momentum,
        nesterov=options.nesterov,
        weight_decay=decay,
        fused=fused,
    )


def plan_of(data: TrainingData, options: TrainOptions, device: str) -> dict[str, Any]:
    """What decides the weights of a run, as JSON values; a run goes on under the same plan alone."""
    record = options.record()
    for name in ("device", "threads"):  # as they were resolved, not as they were asked for
        record.pop(name)
    names = data.class_names
    return {
        "options": record,
        "data_sha256": data.fingerprint,
        "input_shape": list(data.train.inputs.shape[1:]),
        "classes": len(data.class_counts) if names is None else list(names),
        "normalisation": _digest(data.normalisation),
        "device": described(device),
        "threads": torch.get_num_threads(),
        "lacal": __version__,
        "torch": str(torch.__version__),
    }


def _digest(normalisation: Normalisation) -> str:
    """A hash of the numbers, of which feature arrays may have thousands."""
    numbers = [np.float64(normalisation.scale), normalisation.mean, normalisation.std]
    return hashlib.sha256(b"".join(np.asarray(one).tobytes() for one in numbers)).hexdigest()[:16]
