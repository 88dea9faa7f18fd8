"""What a finished training leaves for the rest of lacal: logits of the validation and test rows, and models.

The logits are stored as `lacal infer` stores them, by the same code, so every command reads them.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from lacal import __version__
from lacal.batch import Batch, Logits
from lacal.errors import RunError
from lacal.models.batching import automatic_rows
from lacal.pipeline.infer import infer
from lacal.rows.logits_source import SourceOptions, open_source
from lacal.rows.scores import ScoreDoor
from lacal.trained import KEY, TrainingRecord
from lacal.training.data import Examples, TrainingData
from lacal.training.deliver_models import Delivered, deliver_models
from lacal.training.networks import Network

CHECKED_ROWS = 256  # that models are compared on


@dataclass(frozen=True, slots=True)
class Finished:
    """What was delivered.

    Attributes:
        files: "val_logits", "test_logits" where there is a test split, "onnx" and "pt2" where they can be had.
        notes: What the user should know, a sentence each.
        record: How the network was trained, as its files say it.
    """

    files: dict[str, Path]
    notes: list[str]
    record: TrainingRecord


def finish(network: Network, data: TrainingData, folder: Path, record: TrainingRecord) -> Finished:
    """Store the logits of the splits and the models of a network; each file whole or not at all.

    Args:
        network: Of the kept epoch, on the CPU.
        data: What it was trained on.
        folder: The run's; files of an earlier attempt are replaced.
        record: How it was trained.

    Raises:
        RunError: Logits are not finite, a model file gives other logits, or the disk is full.
    """
    network.eval()
    record = msgspec.structs.replace(record, weights=weights_sha256(network))
    files = {}
    splits = {"val": data.val, "test": data.test}
    for split, examples in splits.items():
        if examples is not None:
            path = folder / f"{split}_logits.parquet"
            infer(NetworkSource(network, examples, data, record, split), path, force=True)
            files[f"{split}_logits"] = path
    rows = np.unique(np.linspace(0, len(data.val.labels) - 1, CHECKED_ROWS).round().astype(int))
    stored = _stored(files["val_logits"])[rows]
    told = Delivered(data.class_names, record, data.val.inputs[rows], stored)
    models, notes = deliver_models(network, folder, told)
    return Finished({**files, **models}, notes, record)


class NetworkSource:
    """A network over examples in memory, as a source that can start at any row.

    Attributes:
        batch_size: Rows of a batch.
        labelled: Always.
        stored: What the scores come from.
    """

    labelled = True
    stored = "run by torch in float32"

    def __init__(
        self,
        network: Network,
        examples: Examples,
        data: TrainingData,
        record: TrainingRecord,
        split: str,
    ) -> None:
        """Take a network in eval mode, and a split of its data ("val", "test")."""
        self._network, self._examples, self._record = network, examples, record
        self._fingerprint, self._split = data.fingerprint, split
        self.classes = int(data.class_counts.size)
        self.class_names = data.class_names
        self.batch_size = automatic_rows(4 * int(np.prod(examples.inputs.shape[1:])), "cpu")

    @property
    def place(self) -> str:
        """The network and the file that the rows come from."""
        return f"the trained network on {self._examples.place}"

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self._examples.labels)

    @property
    def inference(self) -> dict[str, Any]:
        """How the logits are made; nothing of the machine, so the same network leaves the same file."""
        return {
            "lacal": __version__,
            "model": self._record.network,
            "adjusted": False,
            "device": "cpu",
            "provider": "torch",
            "precision": "float32",
            "batch_size": self.batch_size,
            "split": self._split,
            "data_sha256": self._fingerprint,
            "versions": {"torch": str(torch.__version__)},
            KEY: self._record.json(),
        }

    def plan(self) -> dict[str, Any]:
        """Everything that decides the logits."""
        return {**self.inference, "rows": self.rows}

    def batches(self, start: int = 0) -> Iterator[Batch]:
        """All rows from `start` on, in order.

        Raises:
            RunError: A logit is NaN or infinite; the row is named.
        """
        door = ScoreDoor(self.place, "logits", self.stored, shift_blind=False, fault=RunError)
        one = self._examples
        for at in range(start, self.rows, self.batch_size):
            rows = slice(at, at + self.batch_size)
            logits = door.check(logits_of(self._network, one.inputs[rows]), at)
            yield Batch(logits, one.labels[rows], None if one.ids is None else one.ids[rows], at)


def _stored(path: Path) -> Logits:
    """(n, k) the logits in a file, as every other command will read them."""
    source = open_source(path, SourceOptions(scores="logits"))
    return np.concatenate([batch.logits.copy() for batch in source.batches()])


def logits_of(network: Network, inputs: NDArray[Any]) -> Logits:
    """(n, k) float32 logits of raw inputs (n, ...), on the CPU."""
    with torch.inference_mode():
        logits: Logits = network(torch.from_numpy(inputs.astype(np.float32))).float().numpy()
    return logits


def weights_sha256(network: Network) -> str:
    """Hash of the names, types, shapes and bytes of all that the network holds."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
