"""What the mutants found, each made anew from its cause: seeds change their meaning when mutators do."""

import io
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pytest

from lacal.errors import DataError
from lacal.formats import Field
from lacal.rows.fields import refuse_too_wide
from tests.small_world import lacal, refusal
from tests.soak.mutants import samples
from tests.soak.mutants.arrow_files import LIST, STRUCT, thrift_bytes, thrift_fields


def with_longer_histograms(data: bytes) -> bytes:
    """A Parquet file whose footer tells of more levels than there are: pyarrow's own accessor aborts on it."""
    size = struct.unpack_from("<I", data, len(data) - 8)[0]
    start = len(data) - 8 - size
    fields, _ = thrift_fields(data, start)

    def lengthen(inside: list[Any]) -> int:
        found = 0
        for number, kind, value in inside:
            if kind == STRUCT and number == 16:  # of a column: its size statistics
                lists = [one[2][1] for one in value if one[1] == LIST]
                found += len(lists)
                for one in lists:
                    one.append(1)
            elif kind == STRUCT:
                found += lengthen(value)
            elif kind == LIST and value[0] == STRUCT:
                found += sum(map(lengthen, value[1]))
        return found

    assert lengthen(fields)
    footer = thrift_bytes(fields)
    return data[:start] + footer + struct.pack("<I", len(footer)) + b"PAR1"


@pytest.mark.parametrize("command", ["inspect", "evaluate"])
def test_a_footer_that_aborts_pyarrow(
    folder: Path, capfd: pytest.CaptureFixture[str], command: str
) -> None:
    path = folder / "a.parquet"
    path.write_bytes(with_longer_histograms(samples.parquet(samples.TABLE)))
    assert "level histogram size mismatch" in refusal(capfd, command, path)


def lists(rows: list[list[float] | None]) -> Any:
    return pa.table(
        {"logits": pa.array(rows, pa.list_(pa.float32())), "label": list(range(len(rows)))}
    )


def test_a_first_row_that_is_null(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = folder / "a.parquet"
    path.write_bytes(samples.parquet(lists([None, [1, 2, 3]])))
    assert "'logits' is empty (null) in row 0" in refusal(capfd, "inspect", path)


@pytest.mark.parametrize("streamed", [False, True])
def test_lists_without_a_row(
    folder: Path, capfd: pytest.CaptureFixture[str], streamed: bool
) -> None:
    path = folder / "a.arrow"
    path.write_bytes(samples.ipc(lists([]).schema.empty_table(), streamed))
    assert "'logits' holds no rows" in refusal(capfd, "inspect", path)


def test_a_footer_that_claims_rows_of_no_row_group(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = folder / "a.parquet"
    data = samples.parquet(lists([[1, 2, 3], [3, 2, 1]]))
    size = struct.unpack_from("<I", data, len(data) - 8)[0]
    start = len(data) - 8 - size
    fields, _ = thrift_fields(data, start)
    next(value for number, _, value in fields if number == 4)[1].clear()  # the row groups
    footer = thrift_bytes(fields)
    path.write_bytes(data[:start] + footer + struct.pack("<I", len(footer)) + b"PAR1")
    assert "holds 0 rows; its footer claims 2" in refusal(capfd, "inspect", path)


def test_a_type_whose_name_is_an_escape(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    kind = pa.list_(pa.field("\x1b[31m\0", pa.float32()), 3)
    column = pa.FixedSizeListArray.from_arrays(pa.array(samples.LOGITS.ravel()), type=kind)
    path = folder / "a.arrow"
    path.write_bytes(samples.ipc(pa.table({"logits": column}), streamed=False))
    assert lacal("inspect", path) == 0
    assert r"fixed_size_list<\x1b[31m\x00: float>[3]" in capfd.readouterr().out


def test_a_dtype_that_is_an_escape(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    header = b'{"logits":{"dtype":"\\u001b[31m\\u202e","shape":[2,3],"data_offsets":[0,24]}}'
    path = folder / "a.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(24))
    assert r"\x1b[31m\u202e" in refusal(capfd, "inspect", path)


def test_a_pt_under_the_name_of_another_format(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    torch: Any = pytest.importorskip("torch")
    stream = io.BytesIO()
    torch.save({"logits": torch.from_numpy(samples.LOGITS)}, stream)
    path = folder / "a.safetensors"
    path.write_bytes(stream.getvalue())
    assert lacal("inspect", path) == 0, capfd.readouterr().err


def test_a_length_that_no_file_has(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path, inputs = folder / "m.onnx", folder / "x.npy"
    path.write_bytes(b"\x08\x0a\x3a" + b"\xff" * 9 + b"\x7f" + b"\0" * 20)
    np.save(inputs, np.zeros((2, 4), "f4"))
    assert "is no model that lacal runs" in refusal(capfd, "inspect", path, "--inputs", inputs)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"command": "evaluate", "command": "evaluate"}', "a key occurs twice"),
        ('{"command": "evaluate", "measures": NaN}', "NaN is no number of JSON"),
    ],
)
def test_a_baseline_that_python_reads_and_json_does_not(
    folder: Path, capfd: pytest.CaptureFixture[str], text: str, why: str
) -> None:
    path = folder / "metrics.json"
    path.write_text(text)
    options = ("--baseline", path, "--max-increase", "balanced_error=1%")
    assert f"is not JSON ({why})" in refusal(capfd, "evaluate", folder / "val.npz", *options)


FOUND = Path(__file__).parent / "found"


def test_a_page_that_claims_two_gigabytes() -> None:
    """Through a buffer pyarrow touches them all, and then finds 243 bytes."""
    line = [sys.executable, "-m", "lacal", "evaluate", str(FOUND / "page.parquet")]
    code = (
        "import resource, subprocess, sys\n"
        "done = subprocess.run(sys.argv[1:], capture_output=True, text=True)\n"
        "print(done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, done.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *line], capture_output=True, text=True, check=True
    )
    ended, kilobytes, said = done.stdout.split(maxsplit=2)
    assert ended == "2"
    assert int(kilobytes) < 1 << 20
    assert (
        "page.parquet: cannot be read (Unexpected end of stream: Page was smaller (243) than"
        in said
    )


def test_a_pickle_that_ends_within_a_number(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    said = refusal(capfd, "inspect", FOUND / "unpack.pt")
    assert "unpack.pt: cannot be read as tensors (unpack requires a buffer of 4 bytes)" in said


def test_more_classes_than_there_can_be(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    shutil.copy(FOUND / "wide.arrow", folder / "a.arrow")
    for command in ("inspect", "evaluate"):
        said = refusal(capfd, command, folder / "a.arrow")
        assert (
            "field 'logits' has 1,310,930,983 classes, expected at most 10,000,000; it is no field"
            in said
        )


@pytest.mark.parametrize("name", ["logits", "adjusted_probs"])
def test_as_many_classes_as_there_can_be(name: str) -> None:
    table = SimpleNamespace(path=Path("a"))
    for classes in (None, 2, 10_000_000):
        refuse_too_wide(cast(Any, table), Field(name, "float", (3, classes), "float32"))
    with pytest.raises(
        DataError, match=f"a: field '{name}' has 10,000,001 classes, expected at most"
    ):
        refuse_too_wide(cast(Any, table), Field(name, "float", (3, 10_000_001), "float32"))


def test_logits_that_lie_further_apart_than_a_number_is_large(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime")
    assert lacal("inspect", FOUND / "apart.onnx", "--inputs", FOUND / "apart.npz") == 0
    assert "Warning" not in capfd.readouterr().err
