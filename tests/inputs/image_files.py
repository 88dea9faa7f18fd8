"""Encoded images and folders of them, as the tests of images need them."""

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lacal.inputs.preprocessing import Preprocessing
from lacal.inputs.settled import Settled
from lacal.inputs.settling import settle
from lacal.models.model import Port

Image = pytest.importorskip("PIL.Image")

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (12, 17, 3), np.uint8)
GREYS = COLOURS[..., 0].copy()
SMOOTH = Image.fromarray(COLOURS)


def encoded(pixels: Any, form: str = "PNG", **options: Any) -> bytes:
    image = Image.fromarray(pixels) if isinstance(pixels, np.ndarray) else pixels
    file = BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def png(width: int, height: int, bits: int, colour: int, rows: bytes) -> bytes:
    """A PNG as no library would write it."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def settled(said: Preprocessing, *sides: int | None, dtype: str | None = "float32") -> Settled:
    takes = Port("x", dtype, (None, *sides))
    return settle(said, takes, stored="image file", shape=None, images=True, place="photos")


def filled(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(encoded(GREYS))
    return folder
