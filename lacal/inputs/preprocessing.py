"""What the user says becomes of pixels and values.

Nothing about pixels is guessed: a silent difference between this and the preprocessing a model was
trained with costs accuracy that nobody finds again.
"""

import math
import re
from dataclasses import dataclass, replace
from typing import Any, get_args

from lacal.classes.names import near_miss, shown
from lacal.errors import UsageError
from lacal.inputs.pixels import Channels, Layout
from lacal.inputs.settled import Size

SIDE_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """The options as given; None where nothing was said.

    Attributes:
        resize: The shorter side in pixels, or (height, width).
        crop: The side, or (height, width), cut from the centre.
        scale: Multiplies the raw values, which are 0..255 for pixels.
        mean: Subtracted after `scale`; one value, or one a channel in the order of `channels`.
        std: Divides the rest; likewise.
        layout: Order of the axes that the model takes.
        channels: Order of the channels that the model takes.
    """

    resize: Size | None = None
    crop: Size | None = None
    scale: float | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    layout: Layout | None = None
    channels: Channels | None = None

    @classmethod
    def parse(
        cls,
        *,
        preset: str | None = None,
        resize: str | None = None,
        crop: str | None = None,
        mean: str | None = None,
        std: str | None = None,
        scale: str | None = None,
        layout: str | None = None,
        channels: str | None = None,
    ) -> "Preprocessing":
        """The options from their texts: "256", "224x224" (height x width), "0.485,0.456,0.406", "1/255".

        Every option given goes before the preset's.

        Raises:
            UsageError: A text cannot be read; the option is named.
        """
        base = _preset(preset)
        order = _word(channels, "--channels", get_args(Channels))
        if order == "BGR":  # a preset's numbers are in the order R, G, B
            base = replace(
                base, mean=base.mean and base.mean[::-1], std=base.std and base.std[::-1]
            )
        said: dict[str, Any] = {
            "resize": _size(resize, "--resize"),
            "crop": _size(crop, "--crop"),
            "scale": _scale(scale),
            "mean": _values(mean, "--mean"),
            "std": _divisors(std),
            "layout": _word(layout, "--layout", get_args(Layout)),
            "channels": order,
        }
        merged = replace(base, **{name: one for name, one in said.items() if one is not None})
        merged._check_together()
        return merged

    def _check_together(self) -> None:
        if self.mean and self.std and len(self.mean) != len(self.std):
            pair = sorted((len(self.mean), len(self.std)))
            if pair[0] != 1:
                raise UsageError(
                    f"--mean has {len(self.mean)} values and --std {len(self.std)}; give one a channel, "
                    "or one for all"
                )
        if self.resize is None or self.crop is None:
            return
        crop = (self.crop, self.crop) if isinstance(self.crop, int) else self.crop
        if isinstance(self.resize, int):
            too_large = min(crop) > self.resize
        else:
            too_large = crop[0] > self.resize[0] or crop[1] > self.resize[1]
        if too_large:
            raise UsageError(
                f"--crop: is larger than what --resize leaves; got {self.crop} of {self.resize}; "
                "resize to more, or crop to less"
            )


PRESETS = {
    "imagenet": Preprocessing(
        resize=256,
        crop=224,
        scale=1 / 255,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        channels="RGB",
    ),
    "cifar10": Preprocessing(
        scale=1 / 255, mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616)
    ),
}


def _preset(name: str | None) -> Preprocessing:
    if name is None:
        return Preprocessing()
    if name not in PRESETS:
        known = tuple(PRESETS)
        raise UsageError(
            f"--preset: there is no {shown(name)}; expected one of {', '.join(known)}."
            f"{near_miss(name, known)}"
        )
    return PRESETS[name]


def _word(text: str | None, option: str, words: tuple[str, ...]) -> str | None:
    if text is None:
        return None
    if text.upper() not in words:
        raise UsageError(f"{option}: got {shown(text)}, expected one of {', '.join(words)}")
    return text.upper()


def _size(text: str | None, option: str) -> Size | None:
    if text is None:
        return None
    found = re.fullmatch(r"\s*([0-9]{1,9})(?:\s*[xX]\s*([0-9]{1,9}))?\s*", text)
    sides = [int(one) for one in found.groups() if one is not None] if found else []
    if not sides or not all(1 <= side <= SIDE_LIMIT for side in sides):
        raise UsageError(
            f"{option}: got {shown(text)}, expected pixels from 1 to {SIDE_LIMIT:,}, such as 224, or "
            "height x width, such as 224x224"
        )
    return sides[0] if len(sides) == 1 else (sides[0], sides[1])


def _scale(text: str | None) -> float | None:
    if text is None:
        return None
    above, _, below = text.partition("/")
    try:
        value = float(above) / float(below) if below else float(above)
    except (ValueError, ZeroDivisionError):
        value = math.nan
    if not (math.isfinite(value) and value > 0) or text.endswith("/"):
        raise UsageError(f"--scale: got {shown(text)}, expected a factor above 0, such as 1/255")
    return value


def _values(text: str | None, option: str) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        values = tuple(float(one) for one in text.split(","))
    except ValueError:
        values = ()
    if not values or not all(map(math.isfinite, values)):
        raise UsageError(
            f"{option}: got {shown(text)}, expected numbers with commas between, such as "
            "0.485,0.456,0.406"
        )
    return values


def _divisors(text: str | None) -> tuple[float, ...] | None:
    values = _values(text, "--std")
    if values is not None and min(values) <= 0:
        raise UsageError(f"--std: got {shown(text or '')}, expected numbers above 0, to divide by")
    return values
