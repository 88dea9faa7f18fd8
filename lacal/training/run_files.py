"""The folder of a training run as the input of a command: which of its files are meant."""

from dataclasses import dataclass
from pathlib import Path

from lacal.errors import UsageError
from lacal.formats.shown import place
from lacal.training.run_folder import COUNTS, LOGITS, SUMMARY
from lacal.training.run_place import is_run


@dataclass(frozen=True, slots=True)
class RunFiles:
    """What a finished run left for the rest of lacal.

    Attributes:
        folder: As the user named it.
        split: Whose logits they are: "test", or "validation" where the run has no test split.
        logits: The file.
        counts: Training counts per class.
    """

    folder: Path
    split: str
    logits: Path
    counts: Path


def run_files(folder: Path) -> RunFiles | None:
    """The test logits of a finished run, or its validation logits where there are none; None for anything else.

    Raises:
        UsageError: The run is not finished, or its logits are gone.
    """
    if not folder.is_dir() or not is_run(folder):
        return None
    if not (folder / SUMMARY).is_file():
        raise UsageError(
            f"{place(folder)}: the run is not finished; go on with it first, with lacal train --resume"
        )
    validation, test = (folder / name for name in LOGITS)
    for split, logits in (("test", test), ("validation", validation)):
        if logits.is_file():
            return RunFiles(folder, split, logits, folder / COUNTS)
    raise UsageError(
        f"{place(folder)}: neither {test.name} nor {validation.name} is there; expected what lacal train wrote; "
        "train again, or name a logits file"
    )
