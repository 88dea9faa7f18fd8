"""The networks by name, and what `small-cnn:64` says. No torch here: `lacal.training.networks` builds them."""

from dataclasses import dataclass

from lacal.classes.names import near_miss, shown
from lacal.errors import UsageError

WIDEST = 65536
AUTO = "auto"


@dataclass(frozen=True, slots=True)
class NetworkRow:
    """One row of the table.

    Attributes:
        widths: Default widths; none for a network that has no choice of them.
        several: Whether there may be any number of widths, a layer each.
        images: Whether it takes images (channels, height, width) alone.
        smallest: Shortest side of images it can take.
    """

    widths: tuple[int, ...] = ()
    several: bool = False
    images: bool = False
    smallest: int = 1


NETWORKS: dict[str, NetworkRow] = {
    "linear": NetworkRow(),
    "mlp": NetworkRow(widths=(256,), several=True),
    "small-cnn": NetworkRow(widths=(32,), images=True, smallest=4),
    "resnet32": NetworkRow(images=True),
}


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """A network as the user named it.

    Attributes:
        name: Row of `NETWORKS`.
        widths: As said, or the row's own.
    """

    name: str
    widths: tuple[int, ...]


def network_for(text: str, *, images: bool) -> str:
    """The network that "auto" stands for; any other as it is."""
    if text != AUTO:
        return text
    return "small-cnn" if images else "mlp"


def parse_network(text: str) -> NetworkSpec:
    """The network that the text names, with its widths.

    Raises:
        UsageError: There is no such network (the nearest is named), or its widths are none.

    Example:
        >>> parse_network("mlp:128,64")
        NetworkSpec(name='mlp', widths=(128, 64))
    """
    name, colon, rest = text.partition(":")
    if name not in NETWORKS:
        raise UsageError(
            f"--network: there is no network {shown(name)}; expected one of: {', '.join(NETWORKS)}; "
            f"--model takes one of your own.{near_miss(name, tuple(NETWORKS))}"
        )
    row = NETWORKS[name]
    if not colon:
        return NetworkSpec(name, row.widths)
    if not row.widths:
        raise UsageError(
            f"--network: got {shown(text)}, but {name} has no width to choose; write {name}"
        )
    widths = tuple(
        int(one) if one.isascii() and one.isdigit() and len(one) < 9 else 0
        for one in rest.split(",")
    )
    if not all(1 <= one <= WIDEST for one in widths) or (len(widths) > 1 and not row.several):
        what = "widths" if row.several else "one width"
        example = f"{name}:256,128" if row.several else f"{name}:32"
        raise UsageError(
            f"--network: got {shown(text)}, expected {what} from 1 to {WIDEST}, such as {example}"
        )
    return NetworkSpec(name, widths)
