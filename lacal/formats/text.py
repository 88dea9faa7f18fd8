"""Small text files (JSON, list files) read whole, after the same look at their first bytes."""

import codecs
import json
from pathlib import Path
from typing import Any, NoReturn

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


def strict_json(text: str) -> Any:
    """What the JSON says, refusing what JSON does not allow and Python would let pass.

    Raises:
        ValueError: It cannot be read, nests too deep, repeats a key, or holds NaN or Infinity.
    """
    try:
        return json.loads(text, object_pairs_hook=_without_twins, parse_constant=_no_constant)
    except RecursionError as error:
        raise ValueError("it nests too deep") from error


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = dict(pairs)
    if len(keys) != len(pairs):
        raise ValueError("a key occurs twice")
    return keys


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")
