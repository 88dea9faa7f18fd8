"""A training run named where a file of logits is expected: what is read of it is said on stderr."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lacal.training.run_files import RunFiles


def is_run(path: Path) -> bool:
    """Whether the path is the folder of a training run; one that is not finished is refused."""
    return _files_of(path) is not None


def logits_of_run(path: Path, given: dict[str, Any] | None = None) -> Path:
    """The test logits (else the validation logits) of the run that the folder holds; any other path as it is.

    Args:
        path: What the user named.
        given: The command's parameters; where neither --counts nor --calibration says the training counts, they
            become the run's.
    """
    run = _files_of(path)
    if run is None:
        return path
    from lacal.cli.show import say
    from lacal.formats.shown import place

    read = f"its {run.split} logits ({run.logits.name})"
    if given is not None and not given["counts"] and not given.get("calibration"):
        given["counts"] = run.counts
        read += f" and training counts ({run.counts.name})"
    note = "" if run.split == "test" else "; its validation rows chose its epoch"
    say(f"{place(path)}: is a training run; reading {read}{note}")
    return run.logits


def _files_of(path: Path) -> "RunFiles | None":
    if not path.is_dir():  # without a look at what training needs
        return None
    from lacal.training.run_files import run_files

    return run_files(path)
