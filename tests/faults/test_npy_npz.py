"""npy and npz: headers are held against the file before anything is reserved, and what cannot be logits is named."""

import io
import pickle
import resource
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lacal.formats import open_table
from tests.faults.spoiling import (
    WORLD,
    npy_bytes,
    npy_claiming,
    npz_bytes,
    written,
    zip_bytes,
)
from tests.small_world import json_of, refusal

Capture = pytest.CaptureFixture[str]
LOGITS = WORLD.logits

CLAIMS = [
    (npy_claiming("(1000000, 100000)"), "claims 400,000,000,128"),
    (npy_claiming("(20000000, 100)"), "claims 8,000,000,128"),
    (npy_claiming(f"({2**62}, 4)"), "it was cut off"),
    (npy_claiming(f"({2**200}, 4)"), "it was cut off"),
    (npy_claiming("(-1, 4)"), "claims shape (-1, 4)"),
    (npy_claiming("(True, 4)"), "claims shape (True, 4)"),
    (npy_claiming("(4.0, 4)"), "header cannot be read"),
    (npy_claiming("[3, 4]"), "header cannot be read"),
    (
        npy_claiming("(3, 4)", "'|O'"),
        "holds Python objects; lacal never unpickles. Save a numeric array",
    ),
    (npy_claiming("__import__('os').mkdir('marker')"), "header cannot be read"),
    (npy_bytes(LOGITS) + b"\0", "something was appended"),
    (npy_bytes(LOGITS)[:-1], "it was cut off"),
    (b"\x93NUMPY\x03\x00" + struct.pack("<I", 200 << 20), "its header claims 209,715,200 bytes"),
    (pickle.dumps([1]), "lacal never unpickles"),
]


@pytest.mark.parametrize(("data", "fragment"), CLAIMS)
@pytest.mark.parametrize("inside", ["npy", "npz"])
def test_what_a_header_claims(
    tmp_path: Path,
    capfd: Capture,
    monkeypatch: pytest.MonkeyPatch,
    data: bytes,
    fragment: str,
    inside: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    if inside == "npz":
        data = zip_bytes({"logits.npy": data})
        fragment = fragment if "unpickles" not in fragment else ""
    path = written(tmp_path, "a", data)
    words = refusal(capfd, "inspect", path)
    assert fragment in words
    assert str(path) in words
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("claim", ["(20000000, 100)", f"({2**40}, 100)", f"(100, {2**40})"])
def test_a_claim_reserves_nothing(tmp_path: Path, capfd: Capture, claim: str) -> None:
    path = written(tmp_path, "a.npy", npy_claiming(claim))
    refusal(capfd, "inspect", path)  # imports are done
    tracemalloc.start()
    try:
        refusal(capfd, "inspect", path)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_a_header_of_200_megabytes_is_not_read(tmp_path: Path, capfd: Capture) -> None:
    path = tmp_path / "a.npy"
    with path.open("wb") as file:
        file.write(b"\x93NUMPY\x02\x00" + struct.pack("<I", 200 << 20) + b"{" * 64)
        file.truncate(200 << 20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "expected at most 65,536" in refusal(capfd, "inspect", path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 << 10


@pytest.mark.parametrize("dtype", [">f4", "<f4", "f2", ">f2", "f8", ">f8", "i1", "u2", ">i4", "i8"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("packed", ["npy", "npz", "packed npz"])
def test_types_that_are_numbers(
    tmp_path: Path, capfd: Capture, dtype: str, order: Any, packed: str
) -> None:
    logits = np.asarray((LOGITS * 8).astype(dtype), order=order)
    stream = io.BytesIO()
    if packed == "npy":
        np.save(stream, logits)
    else:
        (np.savez if packed == "npz" else np.savez_compressed)(stream, logits=logits)
    path = written(tmp_path, "a", stream.getvalue())
    found = json_of(capfd, "inspect", path)["logits"]
    assert found == {"min": float(logits.min()), "max": float(logits.max())}
    ((block,),) = open_table(path).blocks(["" if packed == "npy" else "logits"], 60)
    assert block.dtype.isnative
    assert block.flags.c_contiguous
    np.testing.assert_array_equal(block, logits)


@pytest.mark.parametrize(
    ("array", "fragment"),
    [
        (np.zeros((3, 3), np.longdouble), "expected numbers"),
        (np.zeros((3, 3), complex), "complex128"),
        (np.zeros((3, 3), "M8[s]"), "datetime64[s]"),
        (np.zeros((3, 3), "m8[s]"), "timedelta64[s]"),
        (np.full((3, 3), "1.5"), "<U3"),
        (np.full((3, 3), b"1.5"), "|S3"),
        (np.zeros(3, "f4,f4"), "which lacal cannot use"),
        (np.zeros((3, 3), bool), "bool"),
        (np.float32(1), "has shape ()"),
        (LOGITS[0], "one array of shape (5)"),
        (LOGITS.reshape(12, 5, 5), "has shape (12, 5, 5)"),
        (LOGITS.reshape(60, 5, 1, 1), "has shape (60, 5, 1, 1)"),
    ],
)
def test_arrays_that_are_no_logits(
    tmp_path: Path, capfd: Capture, array: NDArray[Any], fragment: str
) -> None:
    assert fragment in refusal(capfd, "inspect", written(tmp_path, "a", npy_bytes(array)))


def test_members_that_could_be_meant(tmp_path: Path, capfd: Capture) -> None:
    one = npy_bytes(LOGITS)
    none = written(tmp_path, "none.npz", zip_bytes({}))
    assert "holds no .npy arrays; got nothing" in refusal(capfd, "inspect", none)
    two = written(tmp_path, "two.npz", zip_bytes({"a.npy": one, "b.npy": one}))
    words = refusal(capfd, "inspect", two)
    assert "choose one with --logits-key; it has 'a' (60, 5) float32, 'b' (60, 5) float32" in words
    assert json_of(capfd, "inspect", two, "--logits-key", "b")["rows"] == 60
    bytes_ = written(tmp_path, "bytes.npz", zip_bytes({"logits.npy": b"no array"}))
    assert "logits.npy: does not start as an .npy file does" in refusal(capfd, "inspect", bytes_)
    others = written(tmp_path, "others.npz", zip_bytes({"logits.npy": one, "notes.txt": b"x"}))
    assert json_of(capfd, "inspect", others)["rows"] == 60


def test_of_many_members_some_are_listed(tmp_path: Path, capfd: Capture) -> None:
    path = written(tmp_path, "a", zip_bytes({f"{i}.txt": b"" for i in range(10)}))
    words = refusal(capfd, "inspect", path)
    assert "holds 0.txt, 1.txt, 2.txt, 3.txt, 4.txt, 5.txt, 6.txt, 7.txt, and 2 more" in words


def test_class_names_that_are_none(tmp_path: Path, capfd: Capture) -> None:
    members = {"logits.npy": npy_bytes(LOGITS), "class_names.npy": npy_bytes(np.arange(5))}
    path = written(tmp_path, "a.npz", zip_bytes(members))
    assert json_of(capfd, "inspect", path)["class_names"] is None
    members["class_names.npy"] = npy_bytes(np.array([["a"] * 5]))
    written(tmp_path, "a.npz", zip_bytes(members))
    assert json_of(capfd, "inspect", path)["class_names"] is None
    members["class_names.npy"] = npy_bytes(np.array([*"abcd", None]), allow_pickle=True)
    written(tmp_path, "a.npz", zip_bytes(members))
    assert "'class_names' holds Python objects" in refusal(capfd, "inspect", path)


@pytest.mark.parametrize("labels", ["S", "BF16", "U"])
def test_labels_without_rows(tmp_path: Path, capfd: Capture, labels: str) -> None:
    logits = written(tmp_path, "a.npy", npy_bytes(LOGITS))
    header = b'{"x":{"dtype":"BF16","shape":[0],"data_offsets":[0,0]}}'
    empty = struct.pack("<Q", len(header)) + header
    data = empty if labels == "BF16" else npy_bytes(np.empty(0, f"{labels}3"))
    path = written(tmp_path, "labels", data)
    words = refusal(capfd, "inspect", logits, "--labels", path)
    assert "holds no labels" in words


def test_a_member_named_twice(tmp_path: Path, capfd: Capture) -> None:
    stream = io.BytesIO(zip_bytes({"logits.npy": npy_bytes(LOGITS)}))
    with zipfile.ZipFile(stream, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("logits.npy", npy_bytes(LOGITS + 1))
    path = written(tmp_path, "a.npz", stream.getvalue())
    assert "member 'logits.npy' is there twice" in refusal(capfd, "inspect", path)


def test_a_member_whose_name_is_a_path(tmp_path: Path, capfd: Capture) -> None:
    (tmp_path / "in").mkdir()
    members = {"../../logits.npy": npy_bytes(LOGITS), "/etc/x\x1b[31m.npy": npy_bytes(LOGITS[0])}
    path = written(tmp_path / "in", "a.npz", zip_bytes(members))
    assert json_of(capfd, "inspect", path)["rows"] == 60
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "in", path]
    words = refusal(capfd, "inspect", path, "--logits-key", "no")
    assert r"'/etc/x\x1b[31m'" in words


def test_two_archives_in_one_file(tmp_path: Path, capfd: Capture) -> None:
    one = npz_bytes()
    for data in (one + one, b"MZ" + one, one + b"\r\n", b"\x93NUMPY" + one):
        path = written(tmp_path, "a.npz", data)
        if data.startswith(b"PK"):
            assert "more than one zip file" in refusal(capfd, "inspect", path)
        else:
            refusal(capfd, "inspect", path)


def test_an_archive_with_a_comment_is_whole(tmp_path: Path, capfd: Capture) -> None:
    stream = io.BytesIO(npz_bytes())
    with zipfile.ZipFile(stream, "a") as archive:
        archive.comment = b"by hand"
    assert json_of(capfd, "inspect", written(tmp_path, "a.npz", stream.getvalue()))["rows"] == 60


def test_stored_members_of_another_length(tmp_path: Path, capfd: Capture) -> None:
    data = bytearray(zip_bytes({"logits.npy": npy_bytes(LOGITS)}))
    at = data.index(b"PK\x01\x02") + 24  # the unpacked size in the directory
    data[at : at + 4] = struct.pack("<I", 99)
    words = refusal(capfd, "inspect", written(tmp_path, "a.npz", bytes(data)))
    assert "claims 99 bytes and holds 1,328" in words


def test_members_that_reach_beyond_the_file(tmp_path: Path, capfd: Capture) -> None:
    data = bytearray(zip_bytes({"logits.npy": npy_bytes(LOGITS)}))
    at = data.index(b"PK\x01\x02") + 20  # packed and unpacked size in the directory
    data[at : at + 8] = struct.pack("<II", 1 << 30, 1 << 30)
    words = refusal(capfd, "inspect", written(tmp_path, "a.npz", bytes(data)))
    assert "its members claim 1,073,741,824 bytes; the file has 1,446" in words


def test_members_that_begin_behind_the_file(tmp_path: Path, capfd: Capture) -> None:
    data = bytearray(zip_bytes({"labels.npy": b"", "logits.npy": npy_bytes(LOGITS)}))
    at = data.rindex(b"PK\x01\x02") + 42  # where the directory says that the member begins
    data[at : at + 4] = struct.pack("<I", len(data) - 1)
    words = refusal(capfd, "inspect", written(tmp_path, "a.npz", bytes(data)))
    assert "member 'logits.npy' claims 1,328 bytes; the file has" in words


def test_a_packed_member_is_streamed(tmp_path: Path) -> None:
    # 16 MB of numbers, one block at a time.
    path = tmp_path / "a.npz"
    np.savez_compressed(path, logits=np.arange(1 << 18, dtype="f4").repeat(16).reshape(-1, 64))
    tracemalloc.start()
    try:
        rows = sum(len(block) for (block,) in open_table(path).blocks(["logits"], 1024))
        assert tracemalloc.get_traced_memory()[1] < 2 << 20
    finally:
        tracemalloc.stop()
    assert rows == 1 << 16
