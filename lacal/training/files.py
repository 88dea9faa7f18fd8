"""The file of one split, opened: which field holds the inputs, of which shape and type, and its labels as spelled.

What training takes is settled by the data: images are (channels, height, width), pixels stay the bytes 0..255
that they are, everything else becomes float32.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lacal.classes.names import shown
from lacal.errors import DataError, UsageError
from lacal.formats import Field, Table, open_table
from lacal.formats.shown import listed, place
from lacal.inputs import InputOptions, Inputs, open_inputs
from lacal.inputs.image_tables import open_images
from lacal.inputs.pixels import IMAGE_CHANNELS, Sides, shape_text
from lacal.inputs.ports import chosen_fields
from lacal.inputs.preprocessing import Preprocessing
from lacal.inputs.settling import stored_dtype
from lacal.models.model import Port
from lacal.rows.fields import ID_NAMES, LABEL_NAMES, field_named
from lacal.training.classes import RawLabels

INPUT = "input"  # the name that the only input of a network in training has


@dataclass(frozen=True, slots=True)
class SplitFile:
    """An opened file of labelled examples.

    Attributes:
        inputs: Ready to be read.
        labels: All of them.
        shape: Of one example, (channels, height, width) or features.
        dtype: uint8 of images that are stored so, else float32.
        images: Whether an example is an image.
        columns: Names of the features where each is a column of its own, else none.
    """

    inputs: Inputs
    labels: RawLabels
    shape: tuple[int, ...]
    dtype: np.dtype[np.uint8] | np.dtype[np.float32]
    images: bool
    columns: tuple[str, ...]

    @property
    def place(self) -> str:
        """The file as the user named it."""
        return self.inputs.place

    @property
    def rows(self) -> int:
        """Number of examples."""
        return self.labels.numbers.size

    @property
    def row_bytes(self) -> int:
        """Memory that an example takes."""
        return int(np.prod(self.shape)) * self.dtype.itemsize


def open_split(path: Path, split: str, said: InputOptions) -> SplitFile:
    """Open the examples of a split.

    Args:
        path: Anything that `open_inputs` takes.
        split: "train", "val" or "test": fields `x_train` and `y_train` are taken unless others are said.
        said: The field of the inputs under the name "input"; of the preprocessing, what changes sizes and
            channels happens now, what changes values is the network's.

    Raises:
        DataError: It is damaged or empty, has no labels, or does not hold examples.
        UsageError: Something must be said, or what was said does not fit.
    """
    images = open_images(path, said.root)
    table = open_table(path) if images is None else images
    pair = split_fields(table, split)
    if pair is not None and not said.fields and said.label_key is None:
        said = replace(said, fields={INPUT: pair[0]}, label_key=pair[1])
    key = field_named(table, said.label_key, LABEL_NAMES, "--label-key")
    if key is None:
        raise DataError(f"{place(path)}: has no labels; {_where_labels_are(table)}")
    ids = field_named(table, said.id_key, ID_NAMES, "--id-key")
    taken = {key} if ids is None else {key, ids}
    asked = {"": said.fields[INPUT]} if INPUT in said.fields else {}
    fields = chosen_fields(table, (Port("", None, None),), asked, taken)[0]
    port, reading = _port(fields, said.preprocessing, place(path))
    named = {INPUT: fields[0].name} if len(fields) == 1 else {}
    options = replace(said, fields=named, label_key=key, preprocessing=reading)
    inputs = open_inputs(path, (port,), options)
    return SplitFile(
        inputs=inputs,
        labels=RawLabels.of(table, key),
        shape=_row_shape(inputs, port),
        dtype=np.dtype(np.uint8) if port.dtype == "uint8" else np.dtype(np.float32),
        images=port.shape is not None and len(port.shape) == 4,
        columns=tuple(one.name for one in fields) if len(fields) > 1 else (),
    )


def split_fields(table: Table, split: str) -> tuple[str, str] | None:
    """The fields `x_train` and `y_train`, in either case, where a file holds splits side by side."""
    names = {name.lower(): name for name in table.fields}
    x, y = names.get(f"x_{split}"), names.get(f"y_{split}")
    return None if x is None or y is None else (x, y)


def check_alike(one: SplitFile, train: SplitFile) -> None:
    """Refuse examples of another kind than the training examples.

    Raises:
        DataError: Columns, shape or type differ.
    """
    if one.columns != train.columns:
        odd = [name for name in train.columns if name not in one.columns] or [
            name for name in one.columns if name not in train.columns
        ]
        differ = f"only one of them has {', '.join(map(shown, odd[:3]))}"
        if not odd:
            differ = "they stand in another order"
        elif not (one.columns and train.columns):
            differ = "one has a column for each feature, the other one field for all"
        raise DataError(
            f"{one.place}: its features are other columns than those of {train.place}: {differ}; bring both "
            "into one form"
        )
    if one.shape != train.shape:
        hint = "; say --resize or --crop" if one.images and one.inputs.table.path.is_dir() else ""
        raise DataError(
            f"{one.place}: examples are {shape_text(one.shape)}, those of {train.place} "
            f"{shape_text(train.shape)}; all must have one shape{hint}"
        )
    if one.dtype != train.dtype:
        raise DataError(
            f"{one.place}: holds {one.dtype}, {train.place} {train.dtype}; pixels of 0..255 and other values do "
            "not go together, save both as one type"
        )


def _port(fields: tuple[Field, ...], said: Preprocessing, where: str) -> tuple[Port, Preprocessing]:
    """What training takes of these fields, and what brings them there."""
    first, sides = fields[0], fields[0].shape[1:]
    reading = Preprocessing(resize=said.resize, crop=said.crop, channels=said.channels)
    if first.kind == "image":
        colours = 1 if said.channels == "L" else 3
        return Port(INPUT, "uint8", (None, colours, None, None)), replace(reading, layout="NCHW")
    bytes_each = stored_dtype(first.stored) == np.uint8
    if len(fields) == 1 and len(sides) == 2 and bytes_each:
        return Port(INPUT, "uint8", (None, 1, *sides)), reading
    if len(fields) == 1 and len(sides) == 3:
        dtype = "uint8" if bytes_each else "float32"
        if _channels_last(sides, said, where):
            height, width, channels = sides
            return Port(INPUT, dtype, (None, channels, height, width)), replace(
                reading, layout="NCHW"
            )
        return Port(INPUT, dtype, (None, *sides)), reading
    return Port(INPUT, "float32", (None, *(sides or (len(fields),)))), reading


def _channels_last(sides: Sides, said: Preprocessing, where: str) -> bool:
    """Whether image arrays are (n, height, width, channels): as said, else 1 or 3 channels tell."""
    if said.layout is not None:
        return said.layout == "NHWC"
    first, last = (side in IMAGE_CHANNELS for side in (sides[0], sides[2]))
    if not first and not last and None not in sides:
        raise UsageError(
            f"{where}: where do the channels of {shape_text(sides)} stand? 1 or 3 channels are found in neither "
            "place; say --layout NCHW or --layout NHWC, as the data are"
        )
    return last and not first


def _row_shape(inputs: Inputs, port: Port) -> tuple[int, ...]:
    """Of the first example, read where the fields do not tell."""
    sides = (None,) if port.shape is None else port.shape[1:]
    if None not in sides:
        return tuple(side for side in sides if side is not None)
    blocks = inputs.blocks(1)
    try:
        return next(blocks).arrays[0].shape[1:]
    finally:
        blocks.close()


def _where_labels_are(table: Table) -> str:
    if table.path.is_dir():
        return "expected a folder of images for each class"
    if "image" in table.fields and table.fields["image"].stored == "image file":
        return "expected `path label` in every line"
    return f"expected a field 'label' or 'labels' among {listed(table.fields)}; name it with --label-key"
