"""The folder of a training run: who may write there, what of it is lacal's, and where its files are.

config.json is written first and marks the folder as a run's; summary.json is written last and marks the run as
finished. Whatever else lies there is the user's, and is never removed. No torch here.
"""

import contextlib
import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
from numpy.typing import NDArray

from lacal.atomic import make_folder, writing
from lacal.errors import UsageError
from lacal.formats.shown import place
from lacal.json_text import json_text
from lacal.pipeline.working_folder import (
    check_plan,
    locked,
    remove,
    unwritable,
    working_folder,
    write_plan,
)
from lacal.training.pointer import (
    CHECKPOINT,
    POINTER,
    Pointer,
    read_pointer,
    temporary,
    write_pointer,
)
from lacal.training.progress import Epoch
from lacal.training.run_place import (
    CONFIG,
    FORMAT,
    STATE,
    check_apart,
    check_place,
    is_run,
)

VERSION = 1
SURROGATE = re.compile("[\ud800-\udfff]")  # a byte of a path that is not UTF-8
COUNTS, METRICS, SUMMARY, PLAN = "counts.csv", "metrics.jsonl", "summary.json", "plan.json"
BEST, LAST = "best.safetensors", "last.safetensors"
LOGITS = ("val_logits.parquet", "test_logits.parquet")
MODELS = ("model.onnx", "model.pt2")
FILES = (CONFIG, SUMMARY, METRICS, BEST, LAST, COUNTS, *LOGITS, *MODELS)

# Patterns of names. In this order they go when a run is replaced: it is no longer finished from the first on, and holds no
# checkpoint once the pointer is gone. config.json stays until the next run's takes its place, so that a kill
# in between leaves a folder that is still known for a run's.
_IN_STATE = rf"last\.json|plan\.json|{CHECKPOINT}"
OURS = (
    re.escape(SUMMARY),
    re.escape(f"{STATE}/{POINTER}"),
    re.escape(f"{STATE}/{PLAN}"),
    f"{STATE}/{CHECKPOINT}",
    *(re.escape(name) for name in (METRICS, BEST, LAST, COUNTS, *LOGITS, *MODELS)),
    temporary("|".join(map(re.escape, FILES))),
    f"{STATE}/{temporary(_IN_STATE)}",
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
            UsageError: The run that broke had another plan, or lost what tells of it.
            RunError: The disk is full.
        """
        try:
            if self.resume and self._has_begun():
                check_plan(self.state, plan, self.path)
                if not (self.state / POINTER).exists():
                    raise UsageError(
                        f"{place(self.state / POINTER)}: is gone, so no checkpoint can be trusted; start anew "
                        "with --force"
                    )
                (self.path / SUMMARY).unlink(missing_ok=True)
                # As the metrics: the plan holds for these data, whatever was made of the file meanwhile.
                self._write_counts(class_counts, class_names)
                return
            clear(self.path)
        except OSError as error:
            raise unwritable(self.path, error) from error
        marked = {"format": FORMAT, "version": VERSION, **plan, **config}
        self.write_json(CONFIG, marked)
        self._write_counts(class_counts, class_names)
        # Empty, so that its absence is a loss ever after. The plan comes last: with it the run has begun.
        write_pointer(self.state, Pointer(()))
        write_plan(self.state, plan)

    def write_json(self, name: str, value: Mapping[str, Any]) -> None:
        """Write a file of the folder, whole or not at all."""
        text = json_text(value, indent=1, ensure_ascii=False)
        # Bytes of a path that are not UTF-8, as messages show them: strict readers take no surrogates.
        text = SURROGATE.sub(lambda one: rf"\\u{ord(one[0]):04x}", text)
        with writing(self.path / name) as file:
            file.write(f"{text}\n".encode())

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

    def _write_counts(self, class_counts: NDArray[Any], class_names: Sequence[str] | None) -> None:
        with writing(self.path / COUNTS) as file:
            file.write(_counts_text(class_counts, class_names).encode())

    def _has_begun(self) -> bool:
        """Whether there is a run to go on with, or what only one that had begun can have left."""
        metrics = self.path / METRICS  # empty until an epoch is finished
        return (
            (self.state / PLAN).exists()
            or (self.path / SUMMARY).exists()
            or (metrics.exists() and metrics.stat().st_size > 0)
            or any(re.fullmatch(CHECKPOINT, one.name) for one in self.state.iterdir())
        )


@contextlib.contextmanager
def run_folder(
    path: Path, *, resume: bool, force: bool, inputs: Sequence[Path] = (), start: Path | None = None
) -> Iterator[RunFolder]:
    """The folder of a run, made if need be, and kept from other processes until the block ends.

    Nothing that is there is touched before `RunFolder.begin`; where no epoch is finished, what was made goes.

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
    _check_files(path)
    check_apart(path, inputs, start)
    made, had = not path.exists(), is_run(path)
    try:
        make_folder(path)
    except OSError as error:
        raise unwritable(path, error) from error
    with locked(path / STATE, path):
        try:
            if not resume and not force:
                _check_free(path)
            yield RunFolder(path, resume)
        except BaseException:
            if not had and (not is_run(path) or _kept_nothing(path)):
                with contextlib.suppress(OSError):
                    clear(path)
                    (path / CONFIG).unlink(missing_ok=True)
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
    names = [one.name for one in path.iterdir()]
    names += [f"{STATE}/{one.name}" for one in (path / STATE).iterdir()]
    for pattern in OURS:
        for name in names:
            if re.fullmatch(pattern, name) and not (path / name).is_dir():
                (path / name).unlink(missing_ok=True)
    for name in LOGITS:  # what `infer` keeps beside a file that it has not finished
        remove(working_folder(path / name))


def _line(one: Epoch) -> bytes:
    return json.dumps(asdict(one), allow_nan=False).encode() + b"\n"


def _counts_text(class_counts: NDArray[Any], class_names: Sequence[str] | None) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    counts = class_counts.tolist()
    if class_names is None:
        writer.writerow(("class", "count"))
        writer.writerows(enumerate(counts))
    else:  # numbered as well, since a name may itself be a number, and another class's
        writer.writerow(("class", "name", "count"))
        writer.writerows(zip(range(len(counts)), class_names, counts, strict=True))
    return text.getvalue()


def _check_files(path: Path) -> None:
    """Refuse a folder where a file of the run will be: found now, it costs no training and removes nothing."""
    for name in (*FILES, f"{STATE}/{POINTER}", f"{STATE}/{PLAN}"):
        if (path / name).is_dir():
            raise UsageError(
                f"{place(path / name)}: is a folder, and a run writes a file of that name; move it, or name "
                "another folder for the run"
            )


def _kept_nothing(path: Path) -> bool:
    """Whether a run ended before its first epoch did, so that nothing is lost with it."""
    metrics = path / METRICS
    if epochs_kept(path) or (metrics.exists() and metrics.stat().st_size > 0):
        return False
    left = (SUMMARY, BEST, LAST, *LOGITS, *MODELS)
    state = [one.name for one in (path / STATE).iterdir()]
    return not any((path / name).exists() for name in left) and not any(
        re.fullmatch(CHECKPOINT, name) for name in state
    )


def _check_free(path: Path) -> None:
    if not is_run(path) or _kept_nothing(path):
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
