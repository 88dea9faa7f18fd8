"""Logits in several files must be one model's: two models' would be adjusted and measured as if they were."""

from lacal.errors import DataError
from lacal.formats import Table
from lacal.formats.shown import place
from lacal.formats.table import Noted, Parted
from lacal.trained import inference_from_note, made_otherwise

MEND = "expected parts of one model; put those of each into a folder of their own"


def check_one_model(table: Table) -> None:
    """Hold the notes of all parts against the first one's; parts without rows say nothing.

    Raises:
        DataError: One tells of another model, training, adjustment or output, or only some tell anything.
    """
    parts = table.parts if isinstance(table, Parted) else ()
    filled = [
        one for one in parts if next((field.shape[0] for field in one.fields.values()), 0) != 0
    ]
    for other in filled[1:]:
        _check(filled[0], other)


def _check(first: Table, other: Table) -> None:
    notes = [one.inference if isinstance(one, Noted) else None for one in (first, other)]
    if notes[0] == notes[1]:
        return
    ours = inference_from_note(notes[0], str(first.path))
    theirs = inference_from_note(notes[1], str(other.path))
    if (ours is None) != (theirs is None):
        lacking, told = (first, other) if ours is None else (other, first)
        raise DataError(
            f"{place(lacking.path)}: does not say how its logits were made ('lacal.inference' in its metadata), as "
            f"{place(told.path)} does; {MEND}"
        )
    what = made_otherwise(ours or {}, theirs or {})
    if what is not None:
        raise DataError(
            f"{place(other.path)}: its logits come from {what} than those of {place(first.path)} ('lacal.inference' in "
            f"their metadata); {MEND}"
        )
