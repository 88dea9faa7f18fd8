"""Augmentation of a whole batch is that of its images one by one, for every type, and comes from the generator."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

torch = pytest.importorskip("torch")

from lacal.errors import UsageError
from lacal.training.augment import augmenter, cropped, mirrored

TYPES = ["uint8", "float32", "bfloat16", "float16", "float64"]


def batch(n: int, c: int, h: int, w: int, dtype: str = "uint8") -> Any:
    pixels = np.random.default_rng(n).integers(1, 250, (n, c, h, w), np.uint8)
    return torch.from_numpy(pixels).to(getattr(torch, dtype))


def one_crop(image: Any, pad: int, top: int, left: int) -> Any:
    """Pixel by pixel, as the words say it."""
    out = torch.zeros_like(image)
    height, width = image.shape[1:]
    for row in range(height):
        for column in range(width):
            y, x = row + top - pad, column + left - pad
            if 0 <= y < height and 0 <= x < width:
                out[:, row, column] = image[:, y, x]
    return out


@settings(max_examples=60)
@given(
    st.integers(1, 5),
    st.sampled_from([1, 3]),
    st.integers(2, 6),
    st.integers(2, 6),
    st.sampled_from(TYPES),
    st.data(),
)
def test_crops_are_those_of_a_loop(
    n: int, c: int, h: int, w: int, dtype: str, data: st.DataObject
) -> None:
    images = batch(n, c, h, w, dtype)
    pad = data.draw(st.integers(1, 4))
    places = st.lists(st.integers(0, 2 * pad), min_size=n, max_size=n)
    top, left = data.draw(places), data.draw(places)
    ours = cropped(images, pad, torch.tensor(top), torch.tensor(left))
    expected = [one_crop(one, pad, t, x) for one, t, x in zip(images, top, left, strict=True)]
    assert ours.dtype == images.dtype
    assert ours.is_contiguous()
    assert torch.equal(ours, torch.stack(expected))


@pytest.mark.parametrize("dtype", TYPES)
def test_mirrors_are_those_of_a_loop(dtype: str) -> None:
    images = batch(6, 3, 4, 5, dtype)
    which = torch.tensor([True, False, True, True, False, False])
    ours = mirrored(images, which)
    expected = [one.flip(2) if flip else one for one, flip in zip(images, which, strict=True)]
    assert ours.dtype == images.dtype
    assert torch.equal(ours, torch.stack(expected))


@pytest.mark.parametrize("augment", ["crop:4", "flip", "crop:2,flip", "flip, crop:2"])
def test_the_generator_decides(augment: str) -> None:
    images = batch(64, 3, 8, 8)
    before = images.clone()
    one = augmenter(augment, (3, 8, 8))
    first, again = (one(images, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, again)
    assert first.shape == images.shape
    assert torch.equal(images, before)  # the data are not touched
    assert not torch.equal(first, one(images, torch.Generator().manual_seed(4)))
    torch.manual_seed(1)
    state = torch.get_rng_state()
    one(images, torch.Generator().manual_seed(3))
    assert torch.equal(state, torch.get_rng_state())


def test_every_place_and_side_is_as_likely() -> None:
    # One lit pixel off the middle tells where the image went.
    images = torch.zeros((9000, 1, 5, 7), dtype=torch.uint8)
    images[:, 0, 2, 2] = 1
    generator = torch.Generator().manual_seed(0)
    out = augmenter("crop:1,flip", (1, 5, 7))(images, generator).numpy()
    assert (out.sum(axis=(1, 2, 3)) == 1).all()
    _, _, rows, columns = np.nonzero(out)
    seen = np.array([(rows == y).sum() for y in (1, 2, 3)])
    assert stats.chisquare(seen).pvalue > 1e-3
    # Columns 1, 2, 3 as they are, 5, 4, 3 mirrored: 3 comes from both.
    seen = np.array([(columns == x).sum() for x in (1, 2, 3, 4, 5)])
    assert stats.chisquare(seen, 9000 * np.array([1, 1, 2, 1, 1]) / 6).pvalue > 1e-3


def test_crops_of_a_batch_are_drawn_apart() -> None:
    images = torch.zeros((400, 1, 5, 5))
    images[:, 0, 2, 2] = 1
    out = augmenter("crop:1", (1, 5, 5))(images, torch.Generator().manual_seed(0))
    assert len({tuple(one) for one in out.flatten(1).tolist()}) == 9


def test_nothing_asked_is_nothing_done() -> None:
    images = batch(3, 3, 4, 4)
    assert augmenter("", (3, 4, 4))(images, torch.Generator()) is images
    assert augmenter("", (17,))(torch.zeros(2, 17), torch.Generator()).shape == (2, 17)


@pytest.mark.parametrize(
    "text",
    [
        "crop",
        "crop:0",
        "crop:-1",
        "crop:x",
        "crop:4,crop:4",
        "flip:2",
        "flip,flip",
        "flip,",
        "crop:1.5",
        ",",
        "rotate",
    ],
)
def test_what_is_no_augmentation(text: str) -> None:
    with pytest.raises(UsageError, match=r"^--augment: got '.*', expected crop:PIXELS and flip"):
        augmenter(text, (3, 32, 32))


def test_the_nearest_is_named() -> None:
    with pytest.raises(UsageError, match="Did you mean 'flip'"):
        augmenter("flop", (3, 32, 32))


def test_what_cannot_be_augmented() -> None:
    with pytest.raises(UsageError, match="--augment: is for images, and these are arrays; leave"):
        augmenter("flip", (54,))
    with pytest.raises(UsageError, match=r"crop:8 for images of 8x9, .* expected less than 8"):
        augmenter("crop:8", (3, 8, 9))
