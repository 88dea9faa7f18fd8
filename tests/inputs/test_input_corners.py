"""What is rare among a model's inputs: files that go, folders that cannot be read, memory that ends."""

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lacal.errors import DataError, RunError
from lacal.formats import open_table
from lacal.inputs import files, images
from lacal.inputs.described import described
from lacal.inputs.files import identity_of
from lacal.inputs.image_tables import open_images
from lacal.inputs.preprocessing import Preprocessing
from lacal.inputs.settling import settle
from lacal.models.model import Port
from tests.inputs.image_files import COLOURS, encoded, filled
from tests.inputs.test_inputs import FEATURES, opened, parquet


def test_parts_by_a_pattern_are_files_of_their_own(tmp_path: Path) -> None:
    for name in ("p1.parquet", "p2.parquet"):
        shutil.copy(parquet(tmp_path), tmp_path / name)
    found = identity_of(open_table(tmp_path / "p?.parquet"), ())
    assert [Path(name).name for name, _, _ in found] == ["p1.parquet", "p2.parquet"]


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    table = open_images(filled(tmp_path / "photos", "a/1.png", "b/2.png"), None)
    assert table is not None
    (tmp_path / "photos" / "a" / "1.png").unlink()
    with pytest.raises(DataError, match=r"1\.png: cannot be reached: No such file"):
        files.identity_of(table, ("image",))


def test_a_folder_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Any) -> Any:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match="cannot be read: Permission denied"):
        open_images(tmp_path, None)


@pytest.mark.parametrize(
    ("fault", "words"),
    [(OSError(5, "Input/output error"), "could not be read"), (MemoryError(), "no memory left to decode")],
)  # fmt: skip
def test_an_image_that_cannot_be_had(
    fault: Exception, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").write_bytes(encoded(COLOURS))

    def fail(*_: Any, **__: Any) -> Any:
        raise fault

    if isinstance(fault, MemoryError):
        monkeypatch.setattr(images, "_is_deep", fail)
    else:
        monkeypatch.setattr(images, "first_bytes", lambda path: b"")
        monkeypatch.setattr(Path, "open", fail)
    with pytest.raises(RunError, match=words):
        images.decode(tmp_path / "a.png", "a.png", "RGB")


@pytest.mark.parametrize(("sides", "axis"), [((3, 4, 5), 1), ((4, 5, 3), -1)])
def test_means_go_along_the_only_axis_of_their_number(sides: tuple[int, ...], axis: int) -> None:
    mean = (1.0, 2.0, 3.0)
    data = np.random.default_rng(0).normal(size=(2, *sides)).astype(np.float32)
    said = Preprocessing(mean=mean)
    takes = Port("x", "float32", (None, *sides))
    one = settle(said, takes, stored="float32", shape=data.shape, images=False, place="a.npy")
    shape = [1, 1, 1, 1]
    shape[axis] = 3
    expected = data - np.array(mean, np.float32).reshape(shape)
    np.testing.assert_allclose(one.tensor(data), expected, rtol=1e-6)


def test_data_of_no_known_sides_are_described() -> None:
    takes = Port("x", "float32", None)
    one = settle(
        Preprocessing(), takes, stored="float32", shape=None, images=False, place="a.parquet"
    )
    assert described(one) == ["arrays: float32, as they are"]


def test_what_an_array_and_a_model_without_shapes_are_called(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((4, 3), np.float32))
    other = Port("y", None, None)
    with pytest.raises(
        DataError, match=r"it has one array of float32 and shape \(4, 3\); .*of shape any"
    ):
        opened(tmp_path / "x.npy", FEATURES, other)
