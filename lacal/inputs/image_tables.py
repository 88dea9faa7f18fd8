"""Images by their paths: a class folder, a flat folder, or a list of `path label` lines, as a table.

Labels are the words that the user wrote, never numbers made from the order of folders: which class a
name is, is for the counts or the model to say.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from lacal.errors import DataError, UsageError
from lacal.formats.fields import chosen
from lacal.formats.parts import natural_key
from lacal.formats.shown import place, printable, reason
from lacal.formats.sniff import IMAGE_SUFFIXES, first_bytes, is_pattern
from lacal.formats.table import Field

LINE_LIMIT = 8192
OTHER_TEXTS = (".csv", ".tsv")  # tables with a header, read elsewhere
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class ImagesTable:
    """Paths of images: fields `image`, `label` where there are labels, and `id`.

    Attributes:
        path: The folder or list, as the user named it.
        fields: `image` of kind "image", `label` and `id` of kind "text".
        class_names: None; the names of folders say no order.
        base: What the images' paths start from.
        ids: Path of each image below `base`, with slashes.
        labels: Word of each image, or None.
    """

    path: Path
    fields: dict[str, Field]
    class_names: tuple[str, ...] | None
    base: Path
    ids: tuple[str, ...]
    labels: tuple[str, ...] | None

    def paths(self) -> Iterator[Path]:
        """The file of every image, in order."""
        return (self.base / one for one in self.ids)

    def read(self, name: str) -> NDArray[Any]:
        """The whole field; images as an object array of `Path`."""
        chosen(self.path, self.fields, [name])
        return self._column(name, slice(None))

    def blocks(self, names: Sequence[str], rows: int) -> Iterator[tuple[NDArray[Any], ...]]:
        """Aligned blocks in order."""
        chosen(self.path, self.fields, names)
        for start in range(0, len(self.ids), rows):
            yield tuple(self._column(name, slice(start, start + rows)) for name in names)

    def _column(self, name: str, rows: slice) -> NDArray[Any]:
        if name == "image":
            return np.fromiter((self.base / one for one in self.ids[rows]), dtype=object)
        words = self.ids if name == "id" else self.labels or ()
        return np.array(words[rows], np.str_)


def open_images(path: Path, root: Path | None) -> ImagesTable | None:
    """The images of a folder or of a list file; None where the path is neither.

    Args:
        path: A folder of one folder a class, a flat folder of images, or a text file whose lines are
            `path label` or `path`.
        root: Folder that the paths of a list start from; None for the list's own.

    Raises:
        DataError: A class without images, an image that is missing or no regular file, a malformed line.
        UsageError: `root` goes with a list.
    """
    if not path.is_dir():
        listed = is_pattern(path) or path.suffix.lower() in OTHER_TEXTS
        return None if listed else _list_file(path, root)
    found = _image_folder(path)
    if found is not None and root is not None:
        raise UsageError(
            f"{place(path)}: is a folder of images, where --root has no meaning; leave it out, or name a "
            "text file of `path label` lines"
        )
    return found


def _table(path: Path, base: Path, ids: Sequence[str], labels: Sequence[str] | None) -> ImagesTable:
    rows = (len(ids),)
    fields = {"image": Field("image", "image", rows, "image file")}
    if labels is not None:
        # Words, also where all are digits: a class may be called "3". `lacal.rows.labels` knows the names.
        fields["label"] = Field("label", "text", rows, "text")
    fields["id"] = Field("id", "text", rows, "path")
    return ImagesTable(
        path, fields, None, base, tuple(ids), None if labels is None else tuple(labels)
    )


def _image_folder(path: Path) -> ImagesTable | None:
    images, folders = _entries(path, "")
    below = {name: _walk(path / name, f"{name}/", ()) for name in folders}
    inside = [one for several in below.values() for one in several]
    if images and inside:
        raise DataError(
            f"{place(path)}: holds images ('{printable(images[0])}') beside folders of images; move them "
            "into the folder of their class"
        )
    if not inside:
        return _table(path, path, sorted(images, key=_order), None) if images else None
    for name, several in below.items():
        if not several:
            raise DataError(
                f"{place(path / name)}: holds no images; expected those of one class; put them there, or "
                "move the folder away"
            )
    ids = sorted(inside, key=_order)
    return _table(path, path, ids, [one.partition("/")[0] for one in ids])


def _walk(folder: Path, prefix: str, above: tuple[tuple[int, int], ...]) -> list[str]:
    """All images in a folder, however deep; `above` are the folders it lies in."""
    status = folder.stat()
    here = (status.st_dev, status.st_ino)
    if here in above:
        raise DataError(f"{place(folder)}: is a link to a folder that it lies in; remove it")
    images, folders = _entries(folder, prefix)
    for name in folders:
        images += _walk(folder / name, f"{prefix}{name}/", (*above, here))
    return images


def _entries(folder: Path, prefix: str) -> tuple[list[str], list[str]]:
    """Images, the prefix before their names, and folders; what is hidden or no image is passed over."""
    images, folders = [], []
    try:
        with os.scandir(folder) as every:
            for entry in every:
                if entry.name.startswith("."):
                    continue
                if entry.name.lower().endswith(IMAGE_SUFFIXES):
                    _check_name(entry.name, folder)
                    if not entry.is_file():
                        _refuse(folder / entry.name, "")
                    images.append(prefix + entry.name)
                elif entry.is_dir():
                    _check_name(entry.name, folder)
                    folders.append(entry.name)
    except OSError as error:
        raise DataError(f"{place(folder)}: cannot be read: {reason(error)}") from error
    return images, folders


def _check_name(name: str, folder: Path) -> None:
    if not _is_text(name):
        raise DataError(
            f"{place(folder)}: holds '{printable(name)}', whose name is not UTF-8; rename it, as names "
            "become ids and labels"
        )


def _list_file(path: Path, root: Path | None) -> ImagesTable | None:
    head = first_bytes(path)
    if b"\0" in head or not _begins_with_image(head):
        return None
    base = path.parent if root is None else root
    if not base.is_dir():
        raise DataError(f"{place(base)}: is no folder; --root is where the list's paths start from")
    lines = list(_lines(path))
    labelled = lines[0][2] is not None
    for number, image, label in lines:
        if (label is not None) != labelled:
            raise DataError(
                f"{place(path)}: line {number:,} has {'a' if label is not None else 'no'} label, unlike "
                "the first; expected `path label` in every line, or `path` alone"
            )
        _check_listed(base, image, f"{place(path)}: line {number:,}: ")
    labels = [label or "" for _, _, label in lines] if labelled else None
    return _table(path, base, [image for _, image, _ in lines], labels)


def _begins_with_image(head: bytes) -> bool:
    first = head.removeprefix(BOM).lstrip().partition(b"\n")[0].decode(errors="replace").rstrip()
    path, label = _split(first)
    return path.lower().endswith(IMAGE_SUFFIXES) and (label is None or len(label) < len(first))


def _split(line: str) -> tuple[str, str | None]:
    """Path and label; a line that ends as an image does is a path alone, spaces or not."""
    if "\t" in line:
        path, _, label = line.rpartition("\t")
        return path.rstrip(), label.strip()
    if line.lower().endswith(IMAGE_SUFFIXES) or len(words := line.rsplit(None, 1)) < 2:
        return line, None
    return words[0], words[1]


def _lines(path: Path) -> Iterator[tuple[int, str, str | None]]:
    number = blank = 0
    with path.open("rb") as file:
        while line := file.readline(LINE_LIMIT + 1):
            number += 1
            where = f"{place(path)}: line {number:,}"
            if len(line) > LINE_LIMIT:
                raise DataError(
                    f"{where} is longer than {LINE_LIMIT:,} bytes; expected `path label`"
                )
            try:
                text = (line.removeprefix(BOM) if number == 1 else line).decode().strip()
            except UnicodeDecodeError as error:
                raise DataError(f"{where} is not UTF-8 text; save the file as UTF-8") from error
            if not text:
                blank = blank or number
            elif blank:
                raise DataError(f"{place(path)}: line {blank:,} is empty; remove or fill it")
            else:
                yield (number, *_split(text))


def _check_listed(base: Path, image: str, where: str) -> None:
    lowest = os.path.abspath(base)  # noqa: PTH100 - links are not to be followed
    full = os.path.normpath(os.path.join(lowest, image))  # noqa: PTH118
    if os.path.commonpath([lowest, full]) != lowest:
        raise DataError(
            f"{where}'{printable(image)}' lies outside {place(base)}; name the folder that all images lie "
            "in with --root"
        )
    try:
        regular = stat.S_ISREG(os.stat(full).st_mode)  # noqa: PTH116
    except (OSError, ValueError):
        regular = False
    if not regular:
        _refuse(base / image, where)


def _refuse(image: Path, where: str) -> NoReturn:
    """Raise for what is no regular file."""
    if image.is_dir():
        raise DataError(f"{where}{place(image)}: is a folder, not an image; rename or remove it")
    if image.exists():
        raise DataError(f"{where}{place(image)}: is not a regular file; expected an image")
    if image.is_symlink():
        raise DataError(f"{where}{place(image)}: is a link to a file that is not there; mend it")
    raise DataError(f"{where}{place(image)}: there is no such file; check the path and --root")


def _order(image: str) -> Any:
    return natural_key(Path(image))


def _is_text(name: str) -> bool:
    return not any("\ud800" <= c <= "\udfff" for c in name)
