"""The one seam where pyarrow's exceptions become lacal's: they have no common parent."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from lacal.errors import DataError, RunError
from lacal.formats.arrow_claims import is_bomb
from lacal.formats.shown import place, reason
from lacal.formats.unchanged import state_of


@contextmanager
def arrow_errors(path: Path) -> Iterator[None]:
    """Turn what pyarrow raises into a sentence: damage is the file's, errno the machine's."""
    try:
        yield
    except MemoryError as error:  # ArrowMemoryError too
        if (claimed := _claimed(path, error)) is not None:
            raise _damaged(path, ValueError(f"it claims to hold {claimed:,} bytes")) from error
        raise
    except OSError as error:
        if error.errno is not None:
            raise RunError(f"{place(path)}: could not be read: {reason(error)}") from error
        raise _damaged(path, error) from error
    except (
        pa.ArrowException,
        ArithmeticError,
        AttributeError,
        LookupError,
        NotImplementedError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        raise _damaged(path, error) from error


def _claimed(path: Path, error: MemoryError) -> int | None:
    """The bytes that a damaged page asked for, which pyarrow believes; None where memory is short indeed."""
    asked, found = re.search(r"of size (\d+)", str(error)), state_of(path)
    if asked is None or found is None or not is_bomb(found[0], int(asked[1])):
        return None
    return int(asked[1])


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(
        f"{place(path)}: cannot be read ({reason(error)}); its writer was probably interrupted or the "
        "file was changed, write or copy it again"
    )
