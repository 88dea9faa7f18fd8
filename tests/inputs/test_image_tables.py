"""Class folders, flat folders and lists of images as tables, and what is wrong with some."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lacal.errors import DataError, UsageError
from lacal.inputs.image_tables import ImagesTable, open_images
from tests.inputs.image_files import (
    filled,
)


def opened(path: Path, root: Path | None = None) -> ImagesTable:
    table = open_images(path, root)
    assert table is not None
    return table


def test_a_class_folder(tmp_path: Path) -> None:
    filled(tmp_path, "dog/2.PNG", "dog/10.jpg", "cat/deep/er/1.jpeg", "cat/1.webp", "emu/a b.tif")
    filled(tmp_path, ".hidden/1.png", "cat/.1.png", "dog/README.txt", "cat/Thumbs.db", "labels.csv")
    table = opened(tmp_path)
    ids = ["cat/1.webp", "cat/deep/er/1.jpeg", "dog/2.PNG", "dog/10.jpg", "emu/a b.tif"]
    assert table.read("id").tolist() == ids
    assert table.read("label").tolist() == ["cat", "cat", "dog", "dog", "emu"]
    assert table.read("image").tolist() == [tmp_path / one for one in ids]
    assert {name: (one.kind, one.shape) for name, one in table.fields.items()} == {
        "image": ("image", (5,)),
        "label": ("text", (5,)),
        "id": ("text", (5,)),
    }
    assert table.class_names is None


def test_blocks_hold_every_row_once(tmp_path: Path) -> None:
    table = opened(filled(tmp_path, *(f"{name}/{i}.png" for name in "ab" for i in range(5))))
    for rows in (1, 3, 10, 99):
        pieces = list(table.blocks(["id", "image", "label"], rows))
        assert [len(piece[0]) for piece in pieces[:-1]] == [rows] * (len(pieces) - 1)
        for at, name in enumerate(("id", "image", "label")):
            whole = np.concatenate([piece[at] for piece in pieces])
            np.testing.assert_array_equal(whole, table.read(name))
    with pytest.raises(DataError, match="has no field 'logits'"):
        table.read("logits")


def test_classes_called_by_numbers_stay_words(tmp_path: Path) -> None:
    table = opened(filled(tmp_path / "a", "0/1.png", "2/1.png", "10/1.png"))
    assert table.fields["label"].kind == "text"
    assert table.read("label").tolist() == ["0", "2", "10"]
    words = opened(filled(tmp_path / "b", "00/1.png", "02/1.png"))
    assert words.read("label").tolist() == ["00", "02"]


def test_a_flat_folder_has_no_labels(tmp_path: Path) -> None:
    table = opened(filled(tmp_path, "10.png", "9.png", "notes.txt"))
    assert table.read("id").tolist() == ["9.png", "10.png"]
    assert list(table.fields) == ["image", "id"]


def test_links_are_followed_and_loops_found(tmp_path: Path) -> None:
    filled(tmp_path, "store/1.png", "store/2.png", "photos/cat/0.png")
    photos = tmp_path / "photos"
    (photos / "cat" / "9.png").symlink_to(tmp_path / "store" / "1.png")
    (photos / "dog").symlink_to(tmp_path / "store")
    ids = ["cat/0.png", "cat/9.png", "dog/1.png", "dog/2.png"]
    assert opened(photos).read("id").tolist() == ids
    (photos / "cat" / "loop").symlink_to(photos / "cat")
    with pytest.raises(DataError, match="is a link to a folder that it lies in"):
        open_images(photos, None)


def test_folders_without_images_are_not_for_this_reader(tmp_path: Path) -> None:
    assert open_images(filled(tmp_path, "part-0.parquet", "more/part-1.parquet"), None) is None
    assert open_images(Path(str(tmp_path / "*.parquet")), None) is None


def make_pipe(folder: Path) -> None:
    os.mkfifo(folder / "cat" / "2.jpg")


def make_folder(folder: Path) -> None:
    (folder / "cat" / "2.jpg").mkdir()


def make_dangling(folder: Path) -> None:
    (folder / "cat" / "2.jpg").symlink_to(folder / "gone.jpg")


def make_mixed(folder: Path) -> None:
    filled(folder, "3.png")


def make_empty(folder: Path) -> None:
    (folder / "dog" / "deep").mkdir(parents=True)


def make_undecodable(folder: Path) -> None:
    with open(os.fsencode(folder / "cat") + b"/\xff.png", "wb") as file:  # noqa: PTH123
        file.write(b"x")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (make_pipe, r"cat/2\.jpg: is not a regular file"),
        (make_folder, r"cat/2\.jpg: is a folder, not an image"),
        (make_dangling, r"cat/2\.jpg: is a link to a file that is not there"),
        (make_mixed, r"holds images \('3\.png'\) beside folders of images"),
        (make_empty, "dog: holds no images; expected those of one class"),
        (make_undecodable, r"cat: holds '\\udcff\.png', whose name is not UTF-8"),
    ],
)
def test_spoilt_class_folders(tmp_path: Path, spoil: Callable[[Path], None], words: str) -> None:
    filled(tmp_path, "cat/1.png")
    spoil(tmp_path)
    with pytest.raises(DataError, match=words):
        open_images(tmp_path, None)


def listed(folder: Path, text: str | bytes, name: str = "list.txt") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("name", ["list.txt", "list.lst", "list"])
def test_a_list_with_labels(tmp_path: Path, name: str) -> None:
    filled(tmp_path / "photos", "b/my cat.png", "a.JPG")
    path = listed(
        tmp_path / "photos", "\ufeffb/my cat.png 3\r\na.JPG\t-1\nb/../a.JPG  0\n\n\n", name
    )
    table = opened(path)
    assert table.read("id").tolist() == ["b/my cat.png", "a.JPG", "b/../a.JPG"]
    assert table.read("label").tolist() == ["3", "-1", "0"]
    assert [one.samefile(tmp_path / "photos" / "a.JPG") for one in table.read("image")] == [
        False,
        True,
        True,
    ]
    away = listed(tmp_path, "my cat.png tabby\n")
    rooted = opened(away, tmp_path / "photos" / "b")
    assert rooted.read("label").tolist() == ["tabby"]
    assert rooted.read("image")[0] == tmp_path / "photos" / "b" / "my cat.png"


def test_a_list_without_labels(tmp_path: Path) -> None:
    filled(tmp_path, "my cat.png", "2.png")
    table = opened(listed(tmp_path, f"my cat.png\n{tmp_path}/2.png\n"))
    assert list(table.fields) == ["image", "id"]
    assert table.read("image").tolist() == [tmp_path / "my cat.png", tmp_path / "2.png"]


@pytest.mark.parametrize(
    "text", ["3\n1\n", "path,label\na.png,3\n", "cat 3\n", "\x93NUMPY\0 a.png", "PAR1\0", "\n\n"]
)
def test_other_files_are_not_for_this_reader(tmp_path: Path, text: str) -> None:
    assert open_images(listed(tmp_path, text.encode("latin-1")), None) is None
    assert open_images(listed(tmp_path, "a.png 3\n", "list.csv"), tmp_path) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a.png 0\n\na.png 1\n", "line 2 is empty"),
        ("a.png 0\na.png\n", "line 2 has no label, unlike the first"),
        ("a.png\na.png 0\n", "line 2 has a label, unlike the first"),
        ("a.png 0\ngone.png 1\n", r"line 2: .*gone\.png: there is no such file"),
        ("a.png 0\n../list.txt 1\n", r"line 2: '\.\./list\.txt' lies outside"),
        ("b/../../x.png 0\n", r"line 1: 'b/\.\./\.\./x\.png' lies outside"),
        ("a.png 0\n/etc/passwd 1\n", r"line 2: '/etc/passwd' lies outside .*--root"),
        ("a.png 0\nb.png 1\n", r"line 2: .*b\.png: is a folder"),
        ("a.png 0\nc.png 1\n", r"line 2: .*c\.png: is not a regular file"),
        ("a.png 0\nx\0.png 1\n", r"line 2: .*there is no such file"),
        ("a.png 0\n" + "x" * 9000 + " 1\n", "line 2 is longer than 8,192 bytes"),
        (b"a.png 0\n\xff.png 1\n", "line 2 is not UTF-8"),
    ],
)
def test_spoilt_lists(tmp_path: Path, text: str | bytes, words: str) -> None:
    filled(tmp_path, "a.png")
    (tmp_path / "b.png").mkdir()
    os.mkfifo(tmp_path / "c.png")
    if isinstance(text, str) and "\0" in text:  # beyond the first bytes, which tell text from data
        text = "a.png 0\n" * 200 + text.partition("\n")[2]
        words = words.replace("line 2", "line 201")
    with pytest.raises(DataError, match=words):
        open_images(listed(tmp_path, text), None)


def test_root_goes_with_a_list(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--root has no meaning"):
        open_images(filled(tmp_path / "photos", "1.png"), tmp_path)
    with pytest.raises(DataError, match="gone: is no folder; --root is"):
        open_images(listed(tmp_path, "a.png 0\n"), tmp_path / "gone")
    with pytest.raises(DataError, match="there is no such file"):
        open_images(tmp_path / "gone.txt", None)


def test_a_tab_parts_a_label_with_spaces(tmp_path: Path) -> None:
    filled(tmp_path, "my boot/1.png", "2.png")
    table = opened(listed(tmp_path, "my boot/1.png\tAnkle boot\n2.png\tT-shirt/top\n"))
    assert table.read("label").tolist() == ["Ankle boot", "T-shirt/top"]
    assert table.read("id").tolist() == ["my boot/1.png", "2.png"]
