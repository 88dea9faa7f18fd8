"""Any file, any path: whatever is wrong with it is one sentence, exit 2, or 3 where it changed under the run."""

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lacal.errors import DataError
from lacal.formats import open_table
from tests.faults.spoiling import (
    MAKERS,
    WORLD,
    csv_bytes,
    device,
    fixed,
    npy_bytes,
    npy_claiming,
    parquet_bytes,
    pipe,
    table_of,
    unix_socket,
    written,
)
from tests.small_world import lacal, refusal, write_world

Capture = pytest.CaptureFixture[str]
NOBODY = 65_534
SUFFIXES = (*MAKERS, ".csv", ".tsv", ".txt", ".pth", ".feather", ".json", "")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_empty_file(tmp_path: Path, capfd: Capture, suffix: str) -> None:
    path = written(tmp_path, f"a{suffix}", b"")
    assert f"{path}: is empty (0 bytes)" in refusal(capfd, "inspect", path)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".parquet", ".arrow", ".pt", ".csv"])
@pytest.mark.parametrize(
    ("data", "fragment"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "run `git lfs pull`"),
        (b"\n<!DOCTYPE html><html><body>404</body></html>", "is an HTML or XML page, not data"),
        (b"\x80\x04}.", "lacal never unpickles"),
        (b"PARE0000PARE", "is an encrypted Parquet file"),
    ],
)
def test_content_decides_and_no_suffix(
    tmp_path: Path, capfd: Capture, suffix: str, data: bytes, fragment: str
) -> None:
    path = written(tmp_path, f"a{suffix}", data)
    if data[:1] == b"\x80" and suffix == ".csv":
        fragment = "lacal never unpickles"
    assert fragment in refusal(capfd, "inspect", path)


def missing(folder: Path) -> Path:
    return folder / "nothing.npz"


def inside_a_file(folder: Path) -> Path:
    return written(folder, "a.npz", b"x") / "b.npz"


def too_long_a_name(folder: Path) -> Path:
    return folder / ("x" * 300)


def link_to_itself(folder: Path) -> Path:
    (folder / "a.npz").symlink_to(folder / "a.npz")
    return folder / "a.npz"


def link_to_nothing(folder: Path) -> Path:
    (folder / "a.npz").symlink_to(folder / "b.npz")
    return folder / "a.npz"


def empty_folder(folder: Path) -> Path:
    (folder / "a.npz").mkdir()
    return folder / "a.npz"


def standard_input(folder: Path) -> Path:
    return Path("/dev/stdin")


PLACES: list[tuple[Callable[[Path], Path], str]] = [
    (missing, "there is no such file; check the path"),
    (inside_a_file, "there is no such file"),
    (too_long_a_name, "File name too long"),
    (link_to_itself, "there is no such file"),
    (link_to_nothing, "there is no such file"),
    (empty_folder, "holds no parts"),
    (pipe, "is a pipe, not a regular file"),
    (unix_socket, "is a socket, not a regular file"),
    (device, "is a device, not a regular file"),
    (standard_input, "not a regular file"),
]


@pytest.mark.parametrize(("make", "fragment"), PLACES, ids=lambda value: getattr(value, "__name__", ""))  # fmt: skip
@pytest.mark.parametrize("role", ["source", "counts", "labels"])
def test_places_that_are_no_file(
    folder: Path, capfd: Capture, make: Callable[[Path], Path], fragment: str, role: str
) -> None:
    path, counts, val = make(folder), folder / "counts.csv", folder / "val.npz"
    command: dict[str, list[object]] = {
        "source": ["tune-tau", path, "--counts", counts],
        "counts": ["tune-tau", val, "--counts", path],
        "labels": ["tune-tau", val, "--counts", counts, "--labels", path],
    }
    words = refusal(capfd, *command[role])
    assert str(path) in words
    # A name that is too long is told by the first to look, a folder of counts by the reader of counts.
    others = {"File name too long": "there is no such file", "holds no parts": "counts"}
    assert fragment in words or others.get(fragment, fragment) in words


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Root may read everything: so be somebody who may not."""
    mine = os.geteuid()
    if mine == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(mine)


@pytest.fixture
def public() -> Iterator[Path]:
    """A small world's folder that everybody may enter."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    write_world(folder)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("closed", ["the file", "its folder", "the folder of parts"])
def test_no_permission(public: Path, capfd: Capture, closed: str) -> None:
    inner = public / "inner"
    inner.mkdir()
    path = written(inner, "val.parquet", parquet_bytes(table_of()))
    assert lacal("inspect", path) == 0  # and everything is imported before one is nobody
    assert lacal("inspect", inner) == 0
    barred = path if closed == "the file" else inner
    barred.chmod(0)
    with as_nobody():
        words = refusal(capfd, "inspect", inner if closed == "the folder of parts" else path)
        pattern = refusal(capfd, "inspect", inner / "*.parquet") if barred == inner else ""
    barred.chmod(stat.S_IRWXU)
    assert str(barred) in words
    assert "ermission" in words
    assert "ermission" in pattern or barred == path


@pytest.mark.parametrize("suffix", MAKERS)
def test_every_cut_is_noticed(tmp_path: Path, suffix: str) -> None:
    data, path = MAKERS[suffix](), tmp_path / f"a{suffix}"
    for length in np.unique(np.linspace(1, len(data) - 1, 60).astype(int)).tolist():
        path.write_bytes(data[:length])
        with pytest.raises(DataError):
            read_all(path)


@pytest.mark.parametrize("suffix", MAKERS)
@pytest.mark.parametrize("more", [b"\n", b"\0" * 64, b"itself"])
def test_whatever_is_appended_is_noticed(
    tmp_path: Path, capfd: Capture, suffix: str, more: bytes
) -> None:
    data = MAKERS[suffix]()
    if more == b"itself":
        # Of two Parquet files joined the last footer counts; what it lists is where the first file is.
        more = data if suffix != ".parquet" else data[:-1]
    path = written(tmp_path, f"a{suffix}", data + more)
    assert str(path) in refusal(capfd, "inspect", path)


def read_all(path: Path) -> dict[str, Any]:
    """Every field, in blocks as commands read it."""
    table = open_table(path)
    every = {}
    for name in table.fields:
        every[name] = np.concatenate([block.copy() for (block,) in table.blocks([name], 7)])
    return every


def flipped(data: bytes, bit: int) -> bytes:
    spoiled = bytearray(data)
    spoiled[bit // 8] ^= 1 << bit % 8
    return bytes(spoiled)


def same_or_refused(path: Path, expected: dict[str, Any]) -> bool:
    """Whether reading gives these numbers; False where it is refused."""
    try:
        found = read_all(path)
    except DataError:
        return False
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)
    return True


def _chunks(path: Path) -> Iterator[tuple[int, int]]:
    """Where the pages of every longer column lie."""
    group = pq.ParquetFile(path).metadata.row_group(0)
    for j in range(group.num_columns):
        chunk = group.column(j)
        if chunk.total_compressed_size > 200:
            yield (
                chunk.dictionary_page_offset or chunk.data_page_offset,
                chunk.total_compressed_size,
            )


@pytest.mark.parametrize("what", ["predictions", "npz", "packed npz"])
def test_a_flipped_bit_in_the_data_is_noticed(
    folder: Path, calibration: Path, capfd: Capture, what: str
) -> None:
    path = folder / "predictions.parquet"
    if what == "predictions":
        command = ("adjust", folder / "test.npz", "--calibration", calibration, "-o", path)
        assert lacal(*command, "--write-scores", "logits") == 0
        spans = list(_chunks(path))
    else:
        path = written(folder, "a.npz", MAKERS["_packed.npz" if "packed" in what else ".npz"]())
        spans = [(200, 800 if "packed" in what else 1200)]
    data, expected = path.read_bytes(), read_all(path)
    refused = tried = 0
    generator = np.random.default_rng(0)
    for start, length in spans:
        for bit in generator.integers(8 * start, 8 * (start + length), 30).tolist():
            path.write_bytes(flipped(data, bit))
            refused += not same_or_refused(path, expected)
            tried += 1
    assert tried >= 30
    # The header of a page has no checksum, and parts of it mean nothing
    assert refused > 0.8 * tried


def test_sizes_that_no_table_has(tmp_path: Path, capfd: Capture) -> None:
    logits = WORLD.logits
    cases = [
        (npy_bytes(logits[:0]), "holds no rows; expected at least one"),
        (npy_bytes(logits[:, :0]), "has 0 class, expected at least 2"),
        (npy_bytes(logits[:, :1]), "has 1 class, expected at least 2"),
        (npy_claiming(f"(0, {2**40})"), "holds no rows"),
        (npy_claiming(f"({2**40}, 0)"), "has 0 class"),
        (npy_claiming("(1000000000000,)", "'<U0'"), "values of no bytes"),
        (parquet_bytes(table_of().slice(0, 0)), "holds no rows"),
        (parquet_bytes(pa.table({"logits": fixed(logits[:, :1])})), "has 1 class"),
    ]
    for data, fragment in cases:
        path = written(tmp_path, "a", data)
        words = refusal(capfd, "inspect", path)
        assert f"{path}: " in words
        assert fragment in words


def test_no_rows_where_the_footer_does_not_say(tmp_path: Path, capfd: Capture) -> None:
    path = written(tmp_path, "a.csv", csv_bytes().partition(b"\n")[0] + b"\n")
    assert "no rows" in refusal(capfd, "inspect", path)


def test_text_of_the_file_is_escaped(tmp_path: Path, capfd: Capture) -> None:
    hostile = "\x1b[31m\u202eevil\nname"
    path = written(tmp_path, "a.parquet", parquet_bytes(pa.table({hostile: ["x"], "b": ["y"]})))
    words = refusal(capfd, "inspect", path)
    assert r"\x1b[31m\u202eevil\nname" in words
    assert words.isprintable()


@pytest.mark.parametrize("number", [5, 121])  # EIO, EREMOTEIO: the disk's or the network's
def test_a_disk_that_fails(
    tmp_path: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    path = written(tmp_path, "a.npy", npy_bytes(WORLD.logits))
    other = written(tmp_path, "b.npy", npy_bytes(WORLD.logits))
    look = Path.stat

    def failing(self: Path, **options: Any) -> os.stat_result:
        if self == path:
            raise OSError(number, os.strerror(number), str(self))
        return look(self, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "stat", failing)
        words = refusal(capfd, "inspect", other, "--labels", path, code=3)
    assert f"{path}: could not be looked at: {os.strerror(number)}" in words
    begin = Path.open

    def opening(self: Path, *mode: Any, **options: Any) -> Any:
        if self == path:
            raise OSError(number, os.strerror(number), str(self))
        return begin(self, *mode, **options)

    monkeypatch.setattr(Path, "open", opening)
    words = refusal(capfd, "inspect", path, code=3)
    assert f"{path}: could not be read: {os.strerror(number)}" in words
