"""Encoded images to pixels, as torchvision's loader, Resize and CenterCrop do it.

Conversions that keep the picture's meaning are made (palette, black and white, grey, alpha that hides
nothing); those that would lose or invent something are refused. A rotation noted in EXIF is not applied,
as torchvision applies none; Pillow itself turns TIFF files.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.errors import DataError, LacalError, MissingExtra, RunError
from lacal.formats.shown import PATH_LIMIT, printable, reason
from lacal.formats.sniff import first_bytes, refuse_foreign
from lacal.inputs.pixels import Channels

PIXEL_LIMIT = 50_000_000
BYTES_LIMIT = 256 << 20
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")  # never EPS, which runs a program
FILTER = "bilinear"

PLAIN_MODES = {"1", "L", "P", "RGB", "LA", "PA", "RGBA"}
REMEDY = "convert it to plain 8-bit RGB or grey first"
MODES = {"CMYK": "CMYK (colours for print)", "F": "F (floats)", "I": "I (32-bit)"}

Size = int | tuple[int, int]


def pillow_version() -> str:
    """Pillow's version.

    Raises:
        MissingExtra: It is not installed.
    """
    _pillow()
    import PIL

    return str(PIL.__version__)


def decode(
    encoded: bytes | Path,
    name: str,
    channels: Channels,
    resize: Size | None = None,
    crop: Size | None = None,
) -> NDArray[np.uint8]:
    """The pixels of one image.

    Args:
        encoded: The file, or its bytes.
        name: What messages call it.
        channels: "L" turns colours to grey by luma; "BGR" is RGB reversed.
        resize: The shorter side, or (height, width); bilinear, antialiased.
        crop: The side, or (height, width), cut from the centre.

    Returns:
        (height, width, channels) uint8.

    Raises:
        DataError: It is no image, damaged, of a mode that cannot be taken, animated, larger than 50
            million pixels, or smaller than the crop.
    """
    where = printable(name, PATH_LIMIT)
    image = _plain(_loaded(_content(encoded, where), encoded, where), channels, where)
    if resize is not None:
        image = _resized(image, resize, where)
    if crop is not None:
        image = _cropped(image, crop, where)
    pixels: NDArray[np.uint8] = np.asarray(image, np.uint8)
    if channels == "L":
        return pixels[..., None]
    return pixels[..., ::-1] if channels == "BGR" else pixels


@cache
def _pillow() -> Any:
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise MissingExtra("Pillow", "images", "reading images") from error
    import warnings

    # What Pillow logs comes back as an error here; without a handler it would be printed as well.
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    # Above some 89 million pixels Pillow only warns; about odd metadata, which nothing here reads, it
    # warns too. The filters are set once: a context manager around each call is not safe in threads.
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.\w+ImagePlugin")
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    Image.init()  # loads the plugins now, not in several threads at once
    return Image


def _content(encoded: bytes | Path, where: str) -> bytes:
    if not isinstance(encoded, Path):
        if not encoded:
            raise DataError(f"{where}: is empty (0 bytes); expected an encoded image")
        return bytes(encoded)
    first_bytes(encoded)  # raises for what is missing, empty, a pipe, or may not be read
    try:
        with encoded.open("rb") as file:
            data = file.read(BYTES_LIMIT + 1)
    except OSError as error:
        raise RunError(f"{where}: could not be read: {reason(error)}") from error
    if len(data) > BYTES_LIMIT:
        raise DataError(f"{where}: is larger than {BYTES_LIMIT >> 20} MiB; expected an image")
    return data


@contextmanager
def _pillow_errors(where: str) -> Iterator[None]:
    image_module = _pillow()
    try:
        yield
    except LacalError:
        raise
    except MemoryError as error:
        raise RunError(f"{where}: there is no memory left to decode it") from error
    except (image_module.DecompressionBombError, image_module.DecompressionBombWarning) as error:
        raise DataError(f"{where}: {_too_many('far more')}") from error
    except Exception as error:
        # Pillow's plugins raise OSError, SyntaxError, ValueError, struct.error, IndexError, KeyError,
        # TypeError, zlib.error and others, which have no other parent.
        raise DataError(
            f"{where}: is a damaged image ({reason(error)}); it was cut off or changed, copy it again"
        ) from error


def _loaded(data: bytes, encoded: bytes | Path, where: str) -> Any:
    with _pillow_errors(where):
        try:
            image = _pillow().open(BytesIO(data), formats=FORMATS)
        except _unidentified() as error:
            if isinstance(encoded, Path):
                refuse_foreign(encoded, data[:1024])
            raise DataError(
                f"{where}: is no image that lacal reads, or is cut off in its first bytes; expected "
                "PNG, JPEG, WebP, BMP, GIF, TIFF or PPM"
            ) from error
        pixels = image.width * image.height
        if pixels > PIXEL_LIMIT:
            raise DataError(f"{where}: {_too_many(f'{pixels:,}')}")
        # A JPEG may carry previews or depth behind its picture; other formats' frames are an animation
        # or pages, of which none is the picture.
        if getattr(image, "is_animated", False) and image.format != "MPO":
            raise DataError(f"{where}: holds several frames or pages; save the one that is meant")
        deep = _is_deep(image)
        image.load()
    if deep or image.mode not in PLAIN_MODES:
        mode = "16 bits a channel" if deep else MODES.get(image.mode, printable(image.mode))
        raise DataError(
            f"{where}: is of mode {mode}, whose conversion would change its values; {REMEDY}"
        )
    return image


def _unidentified() -> type[Exception]:
    from PIL import UnidentifiedImageError

    return UnidentifiedImageError  # type: ignore[no-any-return]


def _too_many(pixels: str) -> str:
    return f"has {pixels} pixels, at most {PIXEL_LIMIT:,} are decoded; scale it down first"


def _is_deep(image: Any) -> bool:
    """Whether colours of 16 bits are about to be cut to 8, which Pillow does without a word."""
    stored = [tile[3] for tile in image.tile]
    if image.format == "PPM":
        return any(isinstance(said, tuple) and said[-1] > 255 for said in stored)
    raw = [said[0] if isinstance(said, tuple) else said for said in stored]
    return image.format in ("PNG", "TIFF") and any(re.search(r";16", str(mode)) for mode in raw)


def _plain(image: Any, channels: Channels, where: str) -> Any:
    """The image in RGB or L."""
    if "A" in image.mode or "transparency" in image.info:
        with _pillow_errors(where):
            image = image.convert("RGBA")
        if image.getchannel("A").getextrema()[0] < 255:
            raise DataError(
                f"{where}: is partly transparent, and what shows through is not known; put it on a "
                "background first"
            )
        image = image.convert("RGB")
    return image.convert("L" if channels == "L" else "RGB")


def _resized(image: Any, resize: Size, where: str) -> Any:
    width, height = image.size
    if isinstance(resize, int):
        # The longer side is cut to a whole number, not rounded: so does torchvision.
        short, long = sorted(image.size)
        longer = int(resize * long / short)
        wanted = (resize, longer) if width <= height else (longer, resize)
    else:
        wanted = (resize[1], resize[0])
    if wanted[0] * wanted[1] > PIXEL_LIMIT:
        raise DataError(
            f"{where}: is {height}x{width} (height x width), which resized {_too_many(f'{wanted[0] * wanted[1]:,}')}"
        )
    if wanted == image.size:
        return image
    return image.resize(wanted, _pillow().Resampling.BILINEAR)


def _cropped(image: Any, crop: Size, where: str) -> Any:
    height, width = (crop, crop) if isinstance(crop, int) else crop
    if image.width < width or image.height < height:
        raise DataError(
            f"{where}: is {image.height}x{image.width} (height x width), smaller than the crop "
            f"{height}x{width}; resize it first (--resize; torchvision would pad it with black)"
        )
    # round() takes halves to the even side: so does torchvision.
    top, left = round((image.height - height) / 2), round((image.width - width) / 2)
    return image.crop((left, top, left + width, top + height))
