"""Augmentation of images where they are, a whole batch at once: random crops of padded images, and mirroring.

The two of the CIFAR recipes (He et al. 2016). Padding is with raw zeros, which is black, as in torchvision's
RandomCrop before normalisation.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from lacal.classes.names import near_miss, shown
from lacal.errors import UsageError

Tensor = Any  # torch.Tensor

KNOWN = ("crop", "flip")


def augmenter(augment: str, input_shape: tuple[int, ...]) -> Callable[[Tensor, Any], Tensor]:
    """A function of images (n, c, h, w) of any type and a generator on their device, to images like them.

    Args:
        augment: "crop:4", "flip", or both with a comma between; "" leaves images as they are.
        input_shape: (c, h, w).

    Raises:
        UsageError: The text is none of these, or the examples are no images.
    """
    pad, mirror = _parsed(augment)
    if augment and len(input_shape) != 3:
        raise UsageError(
            "--augment: is for images, and these are arrays; leave it out, or turn a recipe's off with --augment ''"
        )
    if pad and pad >= min(input_shape[1:]):
        height, width = input_shape[1:]
        raise UsageError(
            f"--augment: got crop:{pad} for images of {height}x{width}, which could lose the whole picture; expected "
            f"less than {min(height, width)}"
        )

    def augmented(images: Tensor, generator: Any) -> Tensor:
        if pad:
            sides = (2, len(images))
            top, left = torch.randint(2 * pad + 1, sides, generator=generator, device=images.device)
            images = cropped(images, pad, top, left)
        if mirror:
            draws = torch.randint(2, (len(images),), generator=generator, device=images.device)
            images = mirrored(images, draws.bool())
        return images

    return augmented


def cropped(images: Tensor, pad: int, top: Tensor, left: Tensor) -> Tensor:
    """Each image cut at its own place out of itself with `pad` zeros around it.

    Args:
        images: (n, c, h, w).
        pad: Zeros at each side.
        top: (n,) first row to keep of the padded image, 0..2 pad.
        left: (n,) first column.
    """
    height, width = images.shape[2:]
    padded = functional.pad(images, (pad, pad, pad, pad))
    # Every window of the image's size is a view; picking one an image copies whole rows of pixels.
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)
    at = torch.arange(len(images), device=images.device)
    return windows[at, :, top, left]


def mirrored(images: Tensor, which: Tensor) -> Tensor:
    """Images (n, c, h, w), those in `which` (n,) with left and right exchanged."""
    return torch.where(which[:, None, None, None], images.flip(3), images)


def _parsed(augment: str) -> tuple[int, bool]:
    pad, mirror = 0, False
    for text in augment.split(",") if augment else []:
        name, colon, number = text.strip().partition(":")
        whole = number.isascii() and number.isdigit() and 0 < int(number) < 10**6
        if name == "crop" and whole and not pad:
            pad = int(number)
        elif name == "flip" and not colon and not mirror:
            mirror = True
        else:
            hint = "" if name in KNOWN else near_miss(name, KNOWN)
            raise UsageError(
                f"--augment: got {shown(augment)}, expected crop:PIXELS and flip, each at most once, with a comma "
                f"between, such as crop:4,flip.{hint}"
            )
    return pad, mirror
