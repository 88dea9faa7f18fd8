"""What is done to inputs, in words for the user and in JSON for the record."""

from typing import Any

from lacal.inputs.pixels import shape_text
from lacal.inputs.settled import Settled, size_text


def described(settled: Settled) -> list[str]:
    """A line each; see `Settled.described`."""
    if settled.images:
        every = [*_picture(settled), *_arithmetic(settled), _taken(settled)]
        return [f"images: {', '.join(every)}", "images: a rotation noted in EXIF is not applied"]
    stored, sides = settled.stored, settled.data_sides
    data = "values" if stored is None else str(stored)
    steps = []
    if sides is not None:
        data += f" {shape_text(sides)}"
        how = settled.turn(sides)
        if how != "as it is":
            steps.append(f"turned {how}" if how.startswith("to") else how)
    steps += _arithmetic(settled)
    if stored is None or settled.target(stored) != stored:
        wanted = settled.dtype if stored is None else settled.target(stored)
        steps.append("floats cast to float32" if wanted is None else f"cast to {wanted}")
    return [f"arrays: {data}, {', '.join(steps) or 'as they are'}"]


def recorded(settled: Settled) -> dict[str, Any]:
    """JSON values only; see `Settled.record`."""
    common: dict[str, Any] = {
        "input": settled.name,
        "kind": "images" if settled.images else "arrays",
        "dtype": None if settled.dtype is None else str(settled.dtype),
        "layout": settled.layout,
        "scale": settled.scale,
        "mean": _plain(settled.mean),
        "std": _plain(settled.std),
    }
    if not settled.images:
        return common | {"stored": None if settled.stored is None else str(settled.stored)}
    from lacal.inputs.images import FILTER, pillow_version

    return common | {
        "channels": settled.channels,
        "resize": _plain(settled.resize),
        "crop": _plain(settled.crop),
        "filter": FILTER,
        "exif_rotation": False,
        "pillow": pillow_version(),
    }


def _picture(settled: Settled) -> list[str]:
    steps = []
    if isinstance(settled.resize, int):
        steps.append(f"shorter side to {settled.resize} (bilinear)")
    elif settled.resize is not None:
        steps.append(f"resized to {size_text(settled.resize)} (bilinear)")
    if settled.crop is not None:
        steps.append(f"centre crop {size_text(settled.crop)}")
    channels = "grey (L)" if settled.channels == "L" else str(settled.channels)
    return [channels, *(steps or ["in their own size"])]


def _arithmetic(settled: Settled) -> list[str]:
    steps = []
    if settled.scale is not None:
        steps.append(f"x {_number(settled.scale)}")
    elif settled.images:
        steps.append("raw values")
    order = " (in the order B, G, R)" if settled.channels == "BGR" else ""
    if settled.mean is not None:
        steps.append(f"mean {_numbers(settled.mean)}{order}")
    if settled.std is not None:
        steps.append(f"std {_numbers(settled.std)}{order}")
    return steps


def _taken(settled: Settled) -> str:
    return f"{settled.dtype} {settled.layout or '(n, height, width)'}"


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _numbers(values: tuple[float, ...]) -> str:
    some = " ".join(_number(value) for value in values[:8])
    return some if len(values) <= 8 else f"{some} and {len(values) - 8:,} more"


def _number(value: float) -> str:
    whole = round(1 / value) if 1e-9 < value < 0.1 else 0
    return f"1/{whole}" if whole and value == 1 / whole else f"{value:.10g}"
