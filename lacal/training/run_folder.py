"""The folder of a training run: who may write there, what of it is lacal's, and where its files are.

config.json is written first and marks the folder as a run's; summary.json is written last and marks the run as
finished. Whatever else lies there is the user's, and is never removed. No torch here.
"""

import contextlib
import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
from numpy.typing import NDArray

from lacal.atomic import writing
from lacal.errors import UsageError
from lacal.formats.shown import place
from lacal.pipeline.working_folder import (
    check_plan,
    locked,
    remove,
    unwritable,
    working_folder,
    write_plan,
)
from lacal.training.pointer import POINTER, read_pointer
from lacal.training.progress import Epoch
from lacal.training.run_place import CONFIG, FORMAT, STATE, check_apart, check_place, is_run

VERSION = 1
COUNTS, METRICS, SUMMARY, PLAN = "counts.csv", "metrics.jsonl", "summary.json", "plan.json"
BEST, LAST = "best.safetensors", "last.safetensors"
LOGITS = ("val_logits.parquet", "test_logits.parquet")

# In this order they go when a run is replaced: it is no longer finished from the first on, and holds no
# checkpoint once the pointer is gone. config.json stays until the next run's takes its place, so that a kill
# in between leaves a folder that is still known for a run's.
OURS = (
    SUMMARY,
    f"{STATE}/{POINTER}",
    f"{STATE}/{PLAN}",
    f"{STATE}/epoch-*.safetensors",
    METRICS,
    BEST,
    LAST,
    COUNTS,
    *LOGITS,
    "model.onnx",
    "model.pt2",
    f"{STATE}/.*.lacal-tmp",
)


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A run's folder, locked for this process. Open one with `run_folder`.

    Attributes:
        path: As the user named it.
        resume: Whether to go on with a run that broke there.
    """

    path: Path
    resume: bool

    @property
    def state(self) -> Path:
        """Where checkpoints are kept."""
        return self.path / STATE

    def begin(
        self,
        plan: Mapping[str, Any],
        config: Mapping[str, Any],
        class_counts: NDArray[Any],
        class_names: Sequence[str] | None,
    ) -> None:
        """Take up the run that broke, or start one in place of what is there.

        Args:
            plan: What decides the weights, as JSON values: a run with another plan is not gone on with.
            config: What else is worth telling, as JSON values.
            class_counts: (k,) of the training split.
            class_names: Of the classes, where they have names.

        Raises:
            UsageError: The run that broke had another plan.
            RunError: The disk is full.
        """
        try:
            if self.resume and (self.state / PLAN).exists():
                check_plan(self.state, plan, self.path)
                (self.path / SUMMARY).unlink(missing_ok=True)
                return
            clear(self.path)
        except OSError as error:
            raise unwritable(self.path, error) from error
        marked = {"format": FORMAT, "version": VERSION, **plan, **config}
        self.write_json(CONFIG, marked)
        with writing(self.path / COUNTS) as file:
            file.write(_counts_text(class_counts, class_names).encode())
        write_plan(self.state, plan)

    def write_json(self, name: str, value: Mapping[str, Any]) -> None:
        """Write a file of the folder, whole or not at all."""
        with writing(self.path / name) as file:
            file.write(json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False).encode())
            file.write(b"\n")

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Write the last file."""
        self.write_json(SUMMARY, summary)

    def add_metrics(self, one: Epoch) -> None:
        """Append the line of an epoch. The checkpoints hold all of them, so a torn line is no loss."""
        try:
            with (self.path / METRICS).open("ab") as file:
                file.write(_line(one))
        except OSError as error:
            raise unwritable(self.path / METRICS, error) from error

    def rewrite_metrics(self, epochs: Sequence[Epoch]) -> None:
        """Replace all lines."""
        with writing(self.path / METRICS) as file:
            file.write(b"".join(map(_line, epochs)))


@contextlib.contextmanager
def run_folder(
    path: Path, *, resume: bool, force: bool, inputs: Sequence[Path] = (), start: Path | None = None
) -> Iterator[RunFolder]:
    """The folder of a run, made if need be, and kept from other processes until the block ends.

    Nothing that is there is touched before `RunFolder.begin`; where that is never reached, what was made goes.

    Args:
        path: The folder.
        resume: Go on with a run that broke there, where one did.
        force: Replace the run that it holds.
        inputs: Files and folders that are read as data.
        start: A run that this one starts from.

    Raises:
        UsageError: It cannot be written, holds something else, or a run and neither `resume` nor `force`
            says what becomes of it; or it lies together with an input.
        RunError: Another process is at work there.
    """
    if resume and force:
        raise UsageError("--resume goes on with a run, --force replaces it; leave one out")
    check_place(path)
    check_apart(path, inputs, start)
    made = not path.exists()
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error
    with locked(path / STATE, path):
        try:
            if not resume and not force:
                _check_free(path)
            yield RunFolder(path, resume)
        except BaseException:
            if not is_run(path):
                remove(path / STATE)
                if made:
                    with contextlib.suppress(OSError):
                        path.rmdir()
            raise


def epochs_kept(path: Path) -> int:
    """Finished epochs that a run which did not end left to go on with."""
    try:
        pointer = None if (path / SUMMARY).exists() else read_pointer(path / STATE)
    except (OSError, msgspec.MsgspecError):
        return 0
    return pointer.kept[0].epochs if pointer and pointer.kept else 0


def clear(path: Path) -> None:
    """Remove what a run left in a folder, but for config.json and the lock."""
    for pattern in OURS:
        for one in path.glob(pattern):
            if not one.is_dir():
                one.unlink(missing_ok=True)
    for name in LOGITS:  # what `infer` keeps beside a file that it has not finished
        remove(working_folder(path / name))


def _line(one: Epoch) -> bytes:
    return json.dumps(asdict(one), allow_nan=False).encode() + b"\n"


def _counts_text(class_counts: NDArray[Any], class_names: Sequence[str] | None) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("class", "count"))
    names = range(len(class_counts)) if class_names is None else class_names
    writer.writerows(zip(names, class_counts.tolist(), strict=True))
    return text.getvalue()


def _check_free(path: Path) -> None:
    if not is_run(path):
        return
    epochs = epochs_kept(path)
    if (path / SUMMARY).exists():
        raise UsageError(
            f"{place(path)}: holds a finished run; name another folder, or replace it with --force"
        )
    raise UsageError(
        f"{place(path)}: a broken run left finished epochs ({epochs:,}); go on with --resume, or start anew "
        "with --force"
    )
