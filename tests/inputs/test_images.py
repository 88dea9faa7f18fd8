"""Images decoded, resized and scaled as Pillow, torchvision and the plain formula do it."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lacal.errors import DataError
from lacal.inputs.described import described, recorded
from lacal.inputs.images import decode
from lacal.inputs.preprocessing import PRESETS, Preprocessing
from tests.inputs.image_files import (
    COLOURS,
    GREYS,
    RNG,
    SMOOTH,
    Image,
    encoded,
    settled,
)


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "PPM", "WEBP", "JPEG", "GIF"])
def test_every_format_as_pillow_has_it(form: str) -> None:
    options = {"lossless": True} if form == "WEBP" else {}
    data = encoded(COLOURS, form, **options)
    expected = np.asarray(Image.open(BytesIO(data)).convert("RGB"))
    got = decode(data, "a", "RGB")
    assert got.dtype == np.uint8
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(decode(data, "a", "BGR"), expected[..., ::-1])
    if form not in ("JPEG", "GIF"):
        np.testing.assert_array_equal(got, COLOURS)


def test_grey_is_luma_and_colour_of_grey_is_grey() -> None:
    luma = COLOURS @ np.array([0.299, 0.587, 0.114])
    assert np.abs(decode(encoded(COLOURS), "a", "L")[..., 0] - luma).max() <= 0.51
    grey = encoded(GREYS)
    np.testing.assert_array_equal(decode(grey, "a", "L"), GREYS[..., None])
    np.testing.assert_array_equal(decode(grey, "a", "RGB"), GREYS[..., None].repeat(3, 2))


def opaque(mode: str) -> Any:
    image = SMOOTH.convert("L" if mode == "LA" else "RGB")
    image.putalpha(255)
    return image


@pytest.mark.parametrize(
    ("image", "options"),
    [
        (SMOOTH.quantize(16), {}),
        (SMOOTH.convert("1"), {}),
        (opaque("LA"), {}),
        (opaque("RGBA"), {}),
        (SMOOTH.quantize(16), {"transparency": b"\xff" * 16}),
        (Image.fromarray(GREYS // 2), {"transparency": 255}),
        (SMOOTH.point(lambda value: value // 2), {"transparency": (255, 0, 0)}),
    ],
)
def test_conversions_that_keep_the_meaning(image: Any, options: dict[str, Any]) -> None:
    expected = image.convert("RGB")
    data = encoded(image, **options)
    np.testing.assert_array_equal(decode(data, "a", "RGB"), np.asarray(expected))
    np.testing.assert_array_equal(decode(data, "a", "L")[..., 0], np.asarray(expected.convert("L")))


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 40), st.data())
@example(300, 401, 256, None)
def test_resized_and_cropped_as_torchvision_does(
    height: int, width: int, shorter: int, draw: Any
) -> None:
    image = Image.fromarray(RNG.integers(0, 256, (height, width, 3), np.uint8))
    if width < height:
        size = (shorter, shorter * height // width)
    else:
        size = (shorter * width // height, shorter)
    whole = np.asarray(image.resize(size, Image.Resampling.BILINEAR))
    data = encoded(image)
    np.testing.assert_array_equal(decode(data, "a", "RGB", shorter), whole)
    crop = draw.draw(st.integers(1, shorter)) if draw else 224
    got = decode(data, "a", "RGB", shorter, crop)
    top, left = (round((side - crop) / 2.0) for side in whole.shape[:2])
    np.testing.assert_array_equal(got, whole[top : top + crop, left : left + crop])


def test_sizes_of_both_sides() -> None:
    image = Image.fromarray(COLOURS)
    got = decode(encoded(image), "a", "L", (5, 9), (3, 4))
    resized = image.convert("L").resize((9, 5), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(got[..., 0], np.asarray(resized)[1:4, 2:6])


def test_a_rotation_noted_beside_the_pixels_is_not_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for form in ("PNG", "JPEG", "WEBP"):
        assert decode(encoded(COLOURS, form, exif=exif), "a", "RGB").shape == COLOURS.shape


def test_the_picture_of_a_jpeg_with_previews_is_its_first() -> None:
    preview = Image.fromarray(GREYS)
    data = encoded(COLOURS, "MPO", save_all=True, append_images=[preview])
    assert Image.open(BytesIO(data)).n_frames == 2
    assert decode(data, "a", "RGB").shape == COLOURS.shape


@pytest.mark.parametrize("channels", ["RGB", "BGR", "L"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_images_agree_with_the_plain_formula(channels: Any, layout: Any, dtype: str) -> None:
    count = 1 if channels == "L" else 3
    mean, std = PRESETS["imagenet"].mean, PRESETS["imagenet"].std
    assert mean is not None
    assert std is not None
    said = Preprocessing(8, 6, 1 / 255, mean[:count], std[:count], channels=channels)
    sides = (count, 6, 6) if layout == "NCHW" else (6, 6, count)
    one = settled(said, *sides, dtype=dtype)
    data = encoded(COLOURS)
    raw = decode(data, "a", channels, 8, 6).astype(np.float64)
    expected = (raw * (1 / 255) - np.array(mean[:count])) / np.array(std[:count])
    if layout == "NCHW":
        expected = expected.transpose(2, 0, 1)
    got = one.image(data, "a")
    assert got.dtype == dtype
    assert got.shape == sides
    assert got.flags.c_contiguous
    np.testing.assert_allclose(got, expected, rtol=0, atol=2e-3 if dtype == "float16" else 2e-6)


def test_raw_pixels_and_images_without_a_channel_axis() -> None:
    got = settled(Preprocessing(), 12, 17, 3, dtype="uint8").image(encoded(COLOURS), "a")
    np.testing.assert_array_equal(got, COLOURS)
    assert got.dtype == np.uint8
    grey = settled(Preprocessing(scale=1), 12, 17).image(encoded(GREYS), "a")
    np.testing.assert_array_equal(grey, GREYS)
    untyped = settled(Preprocessing(scale=1), 3, None, None, dtype=None).image(encoded(GREYS), "a")
    assert untyped.dtype == np.float32
    assert untyped.shape == (3, 12, 17)


def test_many_threads_decode_what_one_does() -> None:
    one = settled(Preprocessing.parse(preset="imagenet", resize="20", crop="16"), 3, 16, 16)
    data = [encoded(RNG.integers(0, 256, (24, 30, 3), np.uint8), "JPEG") for _ in range(40)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda some: one.image(some, "a"), data))
    np.testing.assert_array_equal(together, [one.image(some, "a") for some in data])


def test_what_is_done_to_images_is_said() -> None:
    one = settled(PRESETS["imagenet"], 3, 224, 224)
    assert described(one) == [
        "images: RGB, shorter side to 256 (bilinear), centre crop 224x224, x 1/255, "
        "mean 0.485 0.456 0.406, std 0.229 0.224 0.225, float32 NCHW",
        "images: a rotation noted in EXIF is not applied",
    ]
    said = recorded(one)
    assert json.loads(json.dumps(said)) == said
    assert said["pillow"] == sys.modules["PIL"].__version__
    assert (said["filter"], said["resize"], said["crop"]) == ("bilinear", 256, 224)
    bgr = Preprocessing.parse(preset="cifar10", channels="BGR", resize="8x9")
    assert described(settled(bgr, None, None, 3))[0] == (
        "images: BGR, resized to 8x9 (bilinear), x 1/255, mean 0.4465 0.4822 0.4914 (in the order B, "
        "G, R), std 0.2616 0.2435 0.247 (in the order B, G, R), float32 NHWC"
    )
    raw = settled(Preprocessing(), 28, 28, dtype="uint8")
    assert described(raw)[0] == (
        "images: grey (L), in their own size, raw values, uint8 (n, height, width)"
    )


def test_an_image_of_another_size_is_named() -> None:
    one = settled(Preprocessing(scale=1), 3, 17, 12)
    with pytest.raises(
        DataError, match=r"^cat/1\.png: comes out as 12x17 .* takes 17x12; say --resize"
    ):
        one.image(encoded(COLOURS), "cat/1.png")
    partly = settled(Preprocessing(scale=1, resize=8), 3, None, 8)
    with pytest.raises(DataError, match=r"comes out as 8x11 .* takes \?x8"):
        partly.image(encoded(COLOURS), "a")
