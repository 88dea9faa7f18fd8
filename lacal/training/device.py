"""Where training runs: the device, settings of the whole process, seeds, and what the hardware's failures mean."""

import contextlib
import random
from collections.abc import Iterator

import numpy as np
import torch

from lacal.errors import Interruption, LacalError, RunError
from lacal.formats.shown import printable
from lacal.models.model import Device, ModelOptions
from lacal.models.torch.device import device_for, set_up
from lacal.models.torch.faults import last_line, out_of_memory
from lacal.training.options import TrainOptions

WEIGHTS = 0  # the first of the streams that a seed gives; epoch e has stream e + 1


def chosen_device(wanted: str, threads: int | None) -> str:
    """Torch's name of the device asked for, with the process set up for it.

    On a GPU convolutions are deterministic and in full float32 (no TF32); bit for bit the same results are
    promised on the CPU alone.

    Args:
        wanted: "auto", "cpu" or "cuda".
        threads: Of torch on the CPU; None for its own default.

    Raises:
        RunError: CUDA was asked for and cannot be had.
    """
    choices: dict[str, Device] = {"auto": "auto", "cpu": "cpu", "cuda": "cuda"}
    device = device_for(torch, choices[wanted])
    set_up(torch, device, ModelOptions(threads=threads))
    if device != "cpu":  # pragma: no cover - needs a GPU
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False
    return device


def described(device: str) -> str:
    """The device with what decides its last bits: "cpu (AVX2)", "cuda:0 (NVIDIA H200)"."""
    if device == "cpu":
        return f"cpu ({torch.backends.cpu.get_cpu_capability()})"
    return f"{device} ({torch.cuda.get_device_name(device)})"  # pragma: no cover - needs a GPU


def seeded(seed: int, stream: int) -> int:
    """Seed torch (CPU and CUDA), NumPy and random from one stream of a seed; the number for a generator of one's own.

    A user's own network may draw from any of them.
    """
    numbers = np.random.SeedSequence((seed, stream)).generate_state(2, np.uint32).tolist()
    torch.manual_seed(numbers[0])
    np.random.seed(numbers[0])
    random.seed(numbers[0])
    return int(numbers[1])


@contextlib.contextmanager
def faults(options: TrainOptions, device: str) -> Iterator[None]:
    """Say what torch raises while it trains in lacal's words, where it is not lacal's own fault.

    Raises:
        RunError: There is too little memory, the GPU failed, or the user's own network did.
    """
    try:
        yield
    except (LacalError, KeyboardInterrupt, Interruption):
        raise
    except BaseException as error:
        if out_of_memory(torch, error):
            raise RunError(
                f"training: a step of {options.batch_size:,} rows does not fit into the memory of {device}; take a "
                "smaller --batch-size or network"
            ) from error
        if options.model is not None:
            why = "it ended the program: " if isinstance(error, SystemExit) else ""
            raise RunError(
                f"--model {printable(options.model)}: failed while it trained: {why}{type(error).__name__}: "
                f"{last_line(error)}"
            ) from error
        if device != "cpu" and isinstance(error, RuntimeError):
            raise RunError(f"training: {device} failed: {last_line(error)}") from error
        raise
