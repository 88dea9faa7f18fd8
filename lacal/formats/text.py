"""Small text files (JSON, list files) read whole, after the same look at their first bytes."""

import codecs
from pathlib import Path

from lacal.errors import DataError
from lacal.formats.shown import place
from lacal.formats.sniff import first_bytes, refuse_foreign

MOST_BYTES = 1 << 28  # a list file of 5 million training images


def read_text(path: Path) -> str:
    """The whole file as UTF-8 text without its byte order mark.

    Raises:
        DataError: It is missing, empty, too large, or no UTF-8 text.
    """
    head = first_bytes(path)
    refuse_foreign(path, head)
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise DataError(
            f"{place(path)}: has {size:,} bytes, expected at most {MOST_BYTES:,} of text"
        )
    content = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{place(path)}: is no UTF-8 text (byte {error.start}); expected JSON or lines of text"
        ) from error
    if "\0" in text:
        raise DataError(f"{place(path)}: holds NUL characters, expected text")
    return text
