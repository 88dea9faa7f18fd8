"""An epoch of lacal's training loop against a bare PyTorch loop; ratios within one run.

    python benchmarks/training_speed.py                       every network on the CPU
    python benchmarks/training_speed.py --network mlp --rows 100000
    python benchmarks/training_speed.py --device cuda         and a DataLoader loop with eager steps

The bare loop has the same network, batch, optimiser and data in memory, torch's own cross-entropy, and nothing
else: it never looks at the loss. lacal's looks at every loss on the CPU. Validation, metrics and checkpoints are
in neither. Each figure is the best of interleaved rounds; throughput is the bare loop's time over lacal's, so 1 is
as fast and below 1 slower. "Loss" is the time of a logit-adjusted epoch over that of a plain one, both lacal's.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from lacal.loss_table import options_of
from lacal.training.build import build_loop
from lacal.training.data import Examples, Normalisation, TrainingData
from lacal.training.device import chosen_device, described
from lacal.training.networks import make_network
from lacal.training.options import TrainOptions
from lacal.training.progress import Silence

CLASSES = 10
# Shape of an example, and rows of an epoch: short ones, so that some of them meet a quiet moment.
NETWORKS = {
    "linear": ((64,), 25_600),
    "mlp": ((784,), 12_800),
    "small-cnn:16": ((1, 28, 28), 1_280),
    "resnet32": ((3, 32, 32), 256),
}
GPU_ROWS = 50_000


def random_data(shape: tuple[int, ...], rows: int) -> TrainingData:
    """Pixels for images, floats for features; labels of every class."""
    random = np.random.default_rng(0)
    images = len(shape) == 3
    inputs = (
        random.integers(0, 256, (rows, *shape), np.uint8)
        if images
        else random.standard_normal((rows, *shape), np.float32)
    )
    split = Examples(inputs, np.arange(rows) % CLASSES, None, "random")
    width = shape[0] if images else 1
    mean, std = np.full(width, 0.5 * images, np.float32), np.full(width, 1.0, np.float32)
    return TrainingData(
        train=split,
        val=split,
        test=None,
        class_names=None,
        class_counts=np.bincount(split.labels),
        images=images,
        normalisation=Normalisation(1 / 255 if images else 1.0, mean, std, "fixed"),
        described=[],
        record={},
        fingerprint="",
    )


def options_for(network: str, loss: str, device: str, batch: int) -> TrainOptions:
    """An SGD run of one loss, with momentum and weight decay."""
    values = {name: one.default for name, one in options_of(loss).items()}
    return TrainOptions(
        network=network,
        loss=loss,
        loss_options=values,
        batch_size=batch,
        device=device,
        lr=0.01,
        schedule="constant",
        epochs=10**6,
    )


def lacals(data: TrainingData, options: TrainOptions, device: str) -> Callable[[], None]:
    """An epoch of lacal's loop."""
    loop = build_loop(data, options, device)
    numbers = iter(range(options.epochs))

    def epoch() -> None:
        loop.run(next(numbers), Silence())
        finish(device)

    return epoch


def bare(
    data: TrainingData, options: TrainOptions, device: str, *, loader: bool
) -> Callable[[], None]:
    """The loop anyone would write: on tensors that lie on the device, or through a DataLoader."""
    shape = data.train.inputs.shape[1:]
    network = make_network(options, shape, CLASSES, data.normalisation).to(device)
    moving = torch.optim.SGD(
        network.parameters(),
        options.lr,
        momentum=options.momentum,
        weight_decay=options.weight_decay,
    )
    inputs, labels = torch.from_numpy(data.train.inputs), torch.from_numpy(data.train.labels)
    if not loader:
        inputs, labels = inputs.to(device), labels.to(device)
    batches = DataLoader(
        TensorDataset(inputs, labels),
        options.batch_size,
        shuffle=True,
        drop_last=False,
        pin_memory=device != "cpu",
    )

    def drawn() -> object:
        if loader:
            return ((x.to(device), y.to(device)) for x, y in batches)
        order = torch.randperm(len(labels), device=device).split(options.batch_size)
        return ((inputs[rows], labels[rows]) for rows in order)

    def epoch() -> None:
        network.train()
        for x, y in drawn():  # type: ignore[attr-defined]
            moving.zero_grad()
            functional.cross_entropy(network(x.float()), y).backward()
            moving.step()
        finish(device)

    return epoch


def finish(device: str) -> None:
    """Wait until a GPU has done all that was asked of it."""
    if device != "cpu":
        torch.cuda.synchronize()


def best(rounds: int, *runs: Callable[[], None]) -> list[float]:
    """Shortest time of each; rounds interleaved, and turned about, so that a slow moment hits all alike."""
    for run in runs:
        run()  # the first epoch allocates
    times: list[list[float]] = [[] for _ in runs]
    for number in range(rounds):
        for at in range(len(runs)):
            which = (at + number) % len(runs)
            began = time.perf_counter()
            runs[which]()
            times[which].append(time.perf_counter() - began)
    return [min(seen) for seen in times]


def compare(network: str, device: str, rows: int | None, batch: int, rounds: int) -> None:
    """A line for one network."""
    shape, few = NETWORKS[network]
    data = random_data(shape, rows or (few if device == "cpu" else GPU_ROWS))
    plain, adjusted = (
        options_for(network, loss, device, batch) for loss in ("softmax", "logit-adjusted")
    )
    runs = [
        bare(data, plain, device, loader=False),
        lacals(data, plain, device),
        lacals(data, adjusted, device),
    ]
    if device != "cpu":
        runs.append(bare(data, plain, device, loader=True))
    theirs, ours, with_prior, *loaded = best(rounds, *runs)
    through = f", {loaded[0] / ours:.2f} x a DataLoader loop" if loaded else ""
    print(
        f"{network:13} {len(data.train.labels):>8,} rows: bare {theirs:6.2f} s, throughput {theirs / ours:.3f}, "
        f"loss {with_prior / ours:.3f}{through}",
        flush=True,
    )


def main() -> None:
    """Print a line for each network."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--network", choices=list(NETWORKS), action="append")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--rows", type=int)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=15)
    asked = parser.parse_args()
    device = chosen_device(asked.device, None)
    print(f"{described(device)}, {torch.get_num_threads()} threads, batch {asked.batch_size}")
    for network in asked.network or NETWORKS:
        compare(network, device, asked.rows, asked.batch_size, asked.rounds)


if __name__ == "__main__":
    main()
