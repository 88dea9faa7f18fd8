"""`infer`: the logits of a model over inputs, stored; a run that broke goes on where it stopped."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lacal.atomic import check_target
from lacal.errors import DataError, LacalError, RunError, UsageError
from lacal.formats.shown import place
from lacal.pipeline.collect import collect
from lacal.pipeline.logits_file import Description, check_folder, output_kind, write_logits
from lacal.pipeline.parts_store import (
    PartsStore,
    check_leftovers,
    is_published,
    parts_store,
    rows_kept,
)
from lacal.rows.ids import IdCheck
from lacal.rows.source import Restartable, training_of


@dataclass(frozen=True, slots=True)
class Inferred:
    """What `infer` did.

    Attributes:
        path: The file or folder it wrote.
        rows: How many are in it.
        labelled: How many of them carry a label.
        resumed_rows: How many of them an earlier, broken run had finished.
        parts: Files of the result: 1, or the parts of a folder.
    """

    path: Path
    rows: int
    labelled: int
    resumed_rows: int
    parts: int


def check_output(
    path: Path, *, force: bool, resume: bool = False, inputs: Sequence[Path] = ()
) -> None:
    """Refuse an output that cannot or must not be written, before any long work.

    Args:
        path: The file, or folder, to write.
        force: Replace what is there, and what a broken run left.
        resume: Go on with what a broken run left.
        inputs: Files that are read.

    Raises:
        UsageError: It stands for no format, is there already, is an input, cannot be written, or a
            broken run left parts and neither `force` nor `resume` says what becomes of them.
        RunError: Another process is writing it.
    """
    if not (resume and is_published(path)):
        _check_place(path, inputs, force=force)
    check_leftovers(path, resume=resume, force=force)


def _check_place(path: Path, inputs: Sequence[Path], *, force: bool) -> None:
    folder = output_kind(path) == "folder"
    if folder:
        _check_apart(path, inputs)
    if folder and path.exists():
        check_folder(path, force=force)
    else:
        check_target(path, force=force, inputs=tuple(inputs))


def infer(
    source: Restartable, path: Path, *, resume: bool = False, force: bool = False
) -> Inferred:
    """Store the logits of every row, with labels, ids, class names and the record, whole or not at all.

    Finished parts are kept beside the target until it is whole, so memory does not grow with the rows, and
    a run that was killed and resumed ends with the same bytes as one that was left alone.

    Args:
        source: A model over inputs.
        path: .parquet, .npz, .npy, or a folder of Parquet parts (no suffix).
        resume: Go on with what a broken run left, where it did.
        force: Replace what is there; without `resume`, also what a broken run left.

    Raises:
        UsageError: As `check_output`, or the broken run was another one.
        DataError: There are no rows, or the inputs are at fault.
        RunError: The disk is full, or the model failed; finished parts are kept.
    """
    check_output(path, force=force, resume=resume)
    kind = output_kind(path)
    if kind == "npy":
        _refuse_untold(source, path)
    with parts_store(path, source.plan(), resume=resume, force=force) as store:
        if not (resume or force):
            # Another run may have written it before this one had the lock
            _check_place(path, (), force=False)
        resumed = store.rows
        with _told_to_resume(path):
            if not store.is_published():
                collect(source, store)
                _check(source, store, resumed)
                description = Description(source.class_names, source.inference)
                write_logits(store, kind, description, force=force)
        labelled = sum(part.labelled for part in store.parts)
        files = len(list(path.glob("part-*.parquet"))) if kind == "folder" else 1
        return Inferred(path, store.rows, labelled, resumed, files)


def _refuse_untold(source: Restartable, path: Path) -> None:
    """Refuse to store corrected logits in a file that has no room to say so."""
    training = training_of(source)
    trained_so = training is not None and training.carries == "prior"
    if trained_so or source.inference.get("adjusted"):
        raise UsageError(
            f"{place(path)}: an .npy file cannot say that its logits are "
            f"{'corrected by training' if trained_so else 'adjusted'} already; name a .npz or .parquet file"
        )


@contextmanager
def _told_to_resume(path: Path) -> Iterator[None]:
    """Say of a failure that is not the data's how the run goes on."""
    try:
        yield
    except (RunError, UsageError) as error:
        rows = rows_kept(path)
        if not rows:
            raise
        kind: type[LacalError] = RunError if isinstance(error, RunError) else UsageError
        raise kind(f"{error}; {rows:,} finished rows are kept, go on with --resume") from error


def _check(source: Restartable, store: PartsStore, resumed: int) -> None:
    """Hold the rows against what the source said before, and its ids against those of broken runs."""
    if not store.rows:
        raise DataError(f"{source.place}: holds no rows; expected at least one")
    if source.rows not in (None, store.rows):
        raise RunError(
            f"{source.place}: gave {store.rows:,} rows; expected {source.rows:,}; do not change the inputs "
            "while they are read"
        )
    if resumed and "id" in store.schema().names:
        distinct = IdCheck(source.place)
        for batch in store.batches(["id"]):
            distinct.update(np.asarray(batch.column("id").to_pylist()))
        distinct.finish()


def _check_apart(path: Path, inputs: Sequence[Path]) -> None:
    """Refuse to replace a folder that an input lies in, or that lies among the parts of one."""
    target = path.resolve()
    for given in (one.resolve() for one in inputs):
        inside = given.is_dir() and given in target.parents
        if given == target or target in given.parents or given == target.parent or inside:
            raise UsageError(
                f"{place(path)}: lies together with the input {place(given)}; name a folder elsewhere"
            )
