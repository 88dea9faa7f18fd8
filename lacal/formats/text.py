"""Small text files (JSON, list files) read whole, after the same look at their first bytes."""

import codecs
import csv
import io
import json
from pathlib import Path
from typing import Any, NoReturn

from lacal.errors import DataError
from lacal.formats.delimiters import delimiter_of
from lacal.formats.shown import place
from lacal.formats.sniff import first_bytes, refuse_foreign

MOST_BYTES = 1 << 28  # a list file of 5 million training images
MOST_JSON = 1 << 27  # characters: a calibration of a million classes
MOST_NESTED = 1_000_000  # lists and objects, which take thirty times the memory of their brackets
TOP = 1 << 20  # characters within which header and first row stand
Line = tuple[int, list[str]]  # its number, its cells


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
        mend = "" if b"\0" in content else "; save the file as UTF-8"
        raise DataError(
            f"{place(path)}: is no UTF-8 text (byte {error.start}); expected JSON or lines of text{mend}"
        ) from error
    if "\0" in text:
        raise DataError(f"{place(path)}: holds NUL characters, expected text")
    return text


def csv_lines(path: Path) -> list[Line]:
    """Every line of a small CSV or TSV file that is not blank.

    Raises:
        DataError: It is no text, or a quote does not close on its line: two stray ones would join all lines between.
    """
    text = read_text(path)
    top = [line for line in text[:TOP].splitlines() if line.strip()][:2]
    mark = delimiter_of(path, *(top + [""] * 2)[:2])
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True)
    lines: list[Line] = []
    number = 1
    try:
        for cells in reader:
            if reader.line_num != number:
                raise csv.Error
            if any(map(str.strip, cells)):
                lines.append((number, cells))
            number += 1
    except csv.Error as error:
        raise DataError(
            f"{place(path)}: line {number} has a stray quote or an overlong cell; a cell may not span lines"
        ) from error
    return lines


def strict_json(text: str) -> Any:
    """What the JSON says, refusing what JSON does not allow and Python would let pass.

    Raises:
        ValueError: It cannot be read, is too long, nests too deep, repeats a key, or holds NaN or Infinity.
    """
    if len(text) > MOST_JSON or text.count("[") + text.count("{") > MOST_NESTED:
        raise ValueError("it is too long, or holds too many lists and objects")
    try:
        return json.loads(text, object_pairs_hook=_without_twins, parse_constant=_no_constant)
    except RecursionError as error:
        raise ValueError("it nests too deep") from error


def refuse_unwritable(value: Any) -> None:
    """Refuse JSON values that a file said but no file can be made to say again: they are to travel on.

    Raises:
        ValueError: A text holds half a character, a number has become infinite, or all nests too deep.
    """
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        raise ValueError("half a character, too large a number, or nested too deep") from error


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = dict(pairs)
    if len(keys) != len(pairs):
        raise ValueError("a key occurs twice")
    return keys


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")
