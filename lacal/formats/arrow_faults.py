"""The one seam where pyarrow's exceptions become lacal's: they have no common parent."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from lacal.errors import DataError, RunError
from lacal.formats.shown import place, reason


@contextmanager
def arrow_errors(path: Path) -> Iterator[None]:
    """Turn what pyarrow raises into a sentence: damage is the file's, errno the machine's."""
    try:
        yield
    except MemoryError:  # ArrowMemoryError too: sizes were held against the file before
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


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(
        f"{place(path)}: cannot be read ({reason(error)}); its writer was probably interrupted or the "
        "file was changed, write or copy it again"
    )
