"""state/last.json: which checkpoints of a run are whole. No torch here."""

from pathlib import Path

import msgspec

from lacal.atomic import writing

POINTER = "last.json"
# As a pattern: a user's epoch-mine.safetensors is none
CHECKPOINT = r"epoch-[0-9]{5,}\.safetensors"


def temporary(name: str) -> str:
    """The pattern of what `writing` leaves when it is killed at work on a file, of whose name a pattern is given."""
    return rf"\.(?:{name})\.[0-9a-f]+-[0-9]+-[0-9a-f]+\.lacal-tmp"


class Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A checkpoint to be trusted, as the pointer tells of it.

    Attributes:
        epochs: How many were finished; also in the name of its file.
        sha256: Of its file.
        best: The checkpoint of the best epoch so far, by its number of finished epochs.
        best_sha256: Of that file.
    """

    epochs: int
    sha256: str
    best: int
    best_sha256: str


class Pointer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """state/last.json: the checkpoints that are whole, the newest first."""

    kept: tuple[Kept, ...]


def read_pointer(state: Path) -> Pointer | None:
    """The checkpoints that are whole; None before the first.

    Raises:
        OSError: The file cannot be read.
        msgspec.MsgspecError: It is damaged.
    """
    try:
        return msgspec.json.decode((state / POINTER).read_bytes(), type=Pointer)
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:  # which msgspec lets through
        raise msgspec.DecodeError(str(error)) from error


def write_pointer(state: Path, pointer: Pointer) -> None:
    """Replace the file."""
    with writing(state / POINTER) as file:
        file.write(msgspec.json.encode(pointer))
