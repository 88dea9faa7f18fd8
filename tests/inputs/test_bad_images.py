"""Every image that cannot be taken as it is meant is refused, by its name."""

import os
import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacal.errors import DataError, MissingExtra
from lacal.inputs import images
from lacal.inputs.images import decode
from lacal.inputs.preprocessing import PRESETS
from tests.inputs.image_files import (
    COLOURS,
    GREYS,
    RNG,
    SMOOTH,
    Image,
    encoded,
    png,
    settled,
)


def transparent(mode: str) -> Any:
    image = SMOOTH.convert("L" if mode == "LA" else "RGB")
    alpha = np.full(GREYS.shape, 255, np.uint8)
    alpha[5, 5] = 254
    image.putalpha(Image.fromarray(alpha))
    return image


FRAMES: dict[str, Any] = {
    "save_all": True,
    "append_images": [Image.fromarray(COLOURS[::-1].copy())],
}
DEEP = bytes(7) * 2  # a row of one pixel, 16 bits a channel
BAD_MODES: dict[str, tuple[bytes, str]] = {
    "CMYK JPEG": (encoded(SMOOTH.convert("CMYK"), "JPEG"), "mode CMYK"),
    "CMYK TIFF": (encoded(SMOOTH.convert("CMYK"), "TIFF"), "mode CMYK"),
    "Lab": (encoded(SMOOTH.convert("LAB"), "TIFF"), "mode LAB"),
    "YCbCr": (encoded(SMOOTH.convert("YCbCr"), "TIFF"), "mode YCbCr"),
    "16-bit grey PNG": (encoded(GREYS.astype(np.uint16)), "mode 16 bits a channel"),
    "16-bit grey TIFF": (encoded(GREYS.astype(np.uint16), "TIFF"), "mode 16 bits a channel"),
    "16-bit RGB PNG": (png(1, 2, 16, 2, DEEP), "mode 16 bits a channel"),
    "16-bit RGBA PNG": (png(1, 1, 16, 6, bytes(9)), "mode 16 bits a channel"),
    "16-bit grey and alpha PNG": (png(1, 1, 16, 4, bytes(5)), "mode 16 bits a channel"),
    "16-bit PGM": (b"P5 1 1 65535\n\0\0", r"mode I \(32-bit\)"),
    "16-bit PPM": (b"P6 1 1 65535\n" + bytes(6), "mode 16 bits a channel"),
    "16-bit plain PPM": (b"P3 1 1 65535\n1 2 3\n", "mode 16 bits a channel"),
    "32-bit TIFF": (encoded(GREYS.astype(np.int32), "TIFF"), r"mode I \(32-bit\)"),
    "float TIFF": (encoded(GREYS.astype(np.float32), "TIFF"), r"mode F \(floats\)"),
    "RGBA": (encoded(transparent("RGBA")), "partly transparent"),
    "RGBA WebP": (encoded(transparent("RGBA"), "WEBP", lossless=True), "partly transparent"),
    "LA": (encoded(transparent("LA")), "partly transparent"),
    "palette with alpha": (
        encoded(SMOOTH.quantize(16), transparency=b"\x80" * 16),
        "partly transparent",
    ),
    "palette with a colour left out": (
        encoded(SMOOTH.quantize(16), "GIF", transparency=0),
        "partly transparent",
    ),
    "RGB with a colour left out": (
        encoded(SMOOTH, transparency=tuple(int(one) for one in COLOURS[3, 3])),
        "partly transparent",
    ),
    "grey with a tone left out": (
        encoded(Image.fromarray(GREYS), transparency=int(GREYS[3, 3])),
        "partly transparent",
    ),
    "animated GIF": (encoded(SMOOTH, "GIF", **FRAMES), "several frames or pages"),
    "animated PNG": (encoded(SMOOTH, **FRAMES), "several frames or pages"),
    "animated WebP": (encoded(SMOOTH, "WEBP", **FRAMES), "several frames or pages"),
    "pages": (encoded(SMOOTH, "TIFF", **FRAMES), "several frames or pages"),
}


@pytest.mark.parametrize("what", BAD_MODES)
def test_strange_modes_are_refused(what: str) -> None:
    data, words = BAD_MODES[what]
    with pytest.raises(DataError, match=rf"^cat/1: .*{words}.*; .*(first|save the one)"):
        decode(data, "cat/1", "RGB")


def test_nothing_hidden_is_taken_for_16_bits() -> None:
    assert decode(b"P6 1 1 15\n\x0f\0\x01", "a", "RGB").tolist() == [[[255, 0, 17]]]
    header = struct.pack("<2sIHHI", b"BM", 58, 0, 0, 54)
    info = struct.pack("<IiiHHIIiiII", 40, 1, 1, 1, 16, 0, 4, 0, 0, 0, 0)
    assert decode(header + info + b"\xff\x7f\0\0", "a", "RGB").tolist() == [[[255, 255, 255]]]


@pytest.mark.parametrize(("width", "height"), [(7072, 7072), (10_000, 10_000), (60_000, 60_000)])
def test_bombs_are_refused_by_their_header(width: int, height: int) -> None:
    bomb = png(width, height, 8, 2, bytes(10_000))
    with pytest.raises(DataError, match=r"^cat/1: has .* pixels, at most 50,000,000"):
        decode(bomb, "cat/1", "RGB")


def test_resizing_makes_no_bomb() -> None:
    thin = encoded(np.zeros((20_000, 1, 3), np.uint8))
    with pytest.raises(DataError, match=r"resized has .* pixels, at most 50,000,000"):
        decode(thin, "a", "RGB", 256)


def test_a_crop_larger_than_the_image() -> None:
    with pytest.raises(DataError, match=r"^cat/1: is 12x17 .* smaller than the crop 13x13"):
        decode(encoded(COLOURS), "cat/1", "RGB", None, 13)


LARGE = Image.fromarray(RNG.integers(0, 256, (90, 90, 3), np.uint8))
FORMS = ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("left", [0.01, 0.5, 0.9])
def test_truncated_images_are_named(form: str, left: float) -> None:
    data = encoded(LARGE, form)
    with pytest.raises(DataError, match=r"^cat/1: is (no image|a damaged image)") as caught:
        decode(data[: int(len(data) * left)], "cat/1", "RGB")
    assert len(str(caught.value)) < 300


SMALL = {form: encoded(COLOURS, form) for form in FORMS}


@given(
    st.sampled_from(FORMS),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_spoiled_images_are_decoded_or_named(form: str, changes: list[tuple[int, int]]) -> None:
    data = bytearray(SMALL[form])
    for at, byte in changes:
        data[at % len(data)] = byte
    with suppress(DataError):
        assert decode(bytes(data), "cat/1", "RGB").shape[2] == 3


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (b"no image at all", "is no image that lacal reads"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n", "is no image that"),
        (encoded(COLOURS, "ICO"), "is no image that lacal reads"),
    ],
)
def test_what_is_no_image(data: bytes, words: str) -> None:
    with pytest.raises(DataError, match=f"^row 3: {words}"):
        decode(data, "row 3", "RGB")


def test_files_that_are_no_images(tmp_path: Path) -> None:
    def spoilt(name: str, content: bytes | None) -> Path:
        if content is not None:
            (tmp_path / name).write_bytes(content)
        return tmp_path / name

    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    for path, words in (
        (spoilt("lfs.jpg", b"version https://git-lfs.github.com/spec/v1\n"), "Git LFS pointer"),
        (spoilt("page.jpg", b"<!DOCTYPE html><title>404</title>"), "is an HTML or XML page"),
        (spoilt("empty.jpg", b""), "is empty"),
        (spoilt("missing.jpg", None), "there is no such file"),
        (spoilt("pipe.jpg", None), "is a pipe"),
        (spoilt("folder.jpg", None), "is a folder"),
    ):
        with pytest.raises(DataError, match=words):
            decode(path, path.name, "RGB")


def test_a_file_too_large_for_an_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "BYTES_LIMIT", 100)
    (tmp_path / "a.png").write_bytes(encoded(COLOURS))
    with pytest.raises(DataError, match=r"^a\.png: is larger than"):
        decode(tmp_path / "a.png", "a.png", "RGB")


def test_names_are_shown_safely() -> None:
    with pytest.raises(DataError) as caught:
        decode(b"x", "cat\x1b[31m/1\n", "RGB")
    assert str(caught.value).isprintable()


def test_without_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    images._pillow.cache_clear()
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingExtra, match=r"reading images needs Pillow.*lacal\[images\]"):
        settled(PRESETS["imagenet"], 3, 224, 224)
