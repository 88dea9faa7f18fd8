"""`infer`: the stored logits are the source's, the same bytes however the run went, and readable by lacal."""

import errno
import json
import os
import subprocess
import sys
import tempfile
import threading
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lacal.batch import NO_LABEL
from lacal.errors import DataError, LacalError, RunError, UsageError
from lacal.pipeline.infer import Inferred, check_output, infer
from lacal.rows.logits_source import LogitsSource, SourceOptions, open_source
from tests.infer_source import ArraySource, content, names, sample, small_limits

OUTPUTS = ("out.parquet", "out.npz", "out.npy", "out")


@pytest.fixture(autouse=True)
def _small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    small_limits(monkeypatch.setattr, 20)
    monkeypatch.setattr(os, "fsync", lambda file: None)  # no power is lost here; saves a minute


def read_back(path: Path, **given: Any) -> tuple[LogitsSource, list[Any]]:
    """The source that lacal opens without a flag, and all its logits, labels and ids."""
    source = open_source(path, SourceOptions(), **given)
    columns: list[list[Any]] = [[], [], []]
    for batch in source.batches():
        for column, part in zip(columns, (batch.logits, batch.labels, batch.ids), strict=True):
            column += [] if part is None else [part.copy()]
    return source, [np.concatenate(column) if column else None for column in columns]


def undisturbed(source: ArraySource, name: str) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        infer(source, Path(folder) / name)
        assert names(Path(folder)) == [name]
        return content(Path(folder) / name)


@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("ids", ["text", "numbers", None])
@pytest.mark.parametrize("labelled", [True, False])
def test_what_is_stored_is_what_came(
    tmp_path: Path, name: str, dtype: type, ids: str | None, labelled: bool
) -> None:
    source = sample(dtype=dtype, rows_known=False)
    source.ids = {"text": source.ids, "numbers": np.arange(100) * 7 % 101, None: None}[ids]
    source.labels = source.labels if labelled else None
    done = infer(source, tmp_path / name)
    opened, (logits, labels, found) = read_back(tmp_path / name)
    assert logits.dtype == dtype
    np.testing.assert_array_equal(logits, source.logits)
    parts = 1 if name != "out" else 4 if dtype is np.float32 else 7  # of 32 rows, or 16
    assert done == Inferred(tmp_path / name, 100, 100 * labelled, 0, parts)
    if name == "out.npy":
        assert (opened.class_names, labels, found) == (None, None, None)
        return
    assert opened.class_names == source.class_names
    np.testing.assert_array_equal(found, np.arange(100) if source.ids is None else source.ids)
    if labelled:
        np.testing.assert_array_equal(labels, source.labels)
    else:
        assert labels is None


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(OUTPUTS),
    part=st.integers(1, 60),
    batch=st.integers(1, 40),
    breaks=st.lists(st.integers(0, 99), max_size=4),
    stop=st.sampled_from([RunError("device lost"), KeyboardInterrupt()]),
)
def test_neither_parts_nor_batches_nor_breaks_change_a_byte(
    name: str, part: int, batch: int, breaks: list[int], stop: BaseException
) -> None:
    wanted = undisturbed(sample(), name)
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr("lacal.pipeline.collect.PART_ROWS", part)
        target = Path(folder) / name
        for at in sorted(breaks):

            def before(row: int, at: int = at) -> None:
                if row + batch > at:
                    raise stop

            source = sample(batch_size=batch, before=before)
            source.record = lambda: sample().record()  # type: ignore[method-assign]
            with pytest.raises(type(stop)):
                infer(source, target, resume=True)
            assert not target.exists()
        source = sample(batch_size=batch)
        source.record = lambda: sample().record()  # type: ignore[method-assign]
        done = infer(source, target, resume=True)
        assert content(target) == wanted
        assert names(Path(folder)) == [name]
        assert source.started == [(done.resumed_rows, batch)]


@pytest.mark.parametrize("name", OUTPUTS)
def test_no_finished_row_is_run_again(tmp_path: Path, name: str) -> None:
    def shrink(row: int) -> None:
        if row == 21:
            source.batch_size = 5  # as after running out of memory
        if row >= 66:
            raise RunError("device lost")

    source = sample(before=shrink)
    with pytest.raises(RunError, match=r"device lost; 51 finished rows are kept, .*--resume"):
        infer(source, tmp_path / name)
    again = sample()
    assert infer(again, tmp_path / name, resume=True).resumed_rows == 51
    assert again.started == [(51, 5)]


@pytest.mark.parametrize("name", ["out.parquet", "out.npz", "out"])
def test_rows_without_a_label(tmp_path: Path, name: str) -> None:
    source = sample()
    assert source.labels is not None
    source.labels[[0, 50]] = NO_LABEL
    assert infer(source, tmp_path / name).labelled == 98
    opened = open_source(tmp_path / name, SourceOptions(ignore_label=-1))
    labels = np.concatenate(
        [batch.labels for batch in opened.batches() if batch.labels is not None]
    )
    np.testing.assert_array_equal(labels, source.labels)


def test_a_broken_run_of_no_part_leaves_nothing(tmp_path: Path) -> None:
    def fail(row: int) -> None:
        raise DataError("row 3 is NaN")

    with pytest.raises(DataError, match="row 3 is NaN"):
        infer(sample(before=fail), tmp_path / "out.npz")
    assert names(tmp_path) == []
    with pytest.raises(DataError, match="holds no rows"):
        infer(sample(rows=0), tmp_path / "out.npz")
    assert names(tmp_path) == []


def test_resume_without_a_broken_run_just_runs(tmp_path: Path) -> None:
    assert infer(sample(), tmp_path / "out.npz", resume=True).resumed_rows == 0


def test_a_source_that_ends_early_is_no_whole_run(tmp_path: Path) -> None:
    class Short(ArraySource):
        rows = 100

    short = Short(sample().logits[:90])
    with pytest.raises(RunError, match="gave 90 rows; expected 100"):
        infer(short, tmp_path / "out.npz")
    assert not (tmp_path / "out.npz").exists()


def test_ids_are_told_apart_across_a_break(tmp_path: Path) -> None:
    def fail(row: int) -> None:
        if row >= 70:
            raise RunError("device lost")

    source = sample(before=fail)
    assert source.ids is not None
    source.ids[90] = source.ids[3]
    with pytest.raises(RunError):
        infer(source, tmp_path / "out.npz")
    source.before = lambda row: None
    with pytest.raises(DataError, match="row 90 has the same id as row 3"):
        infer(source, tmp_path / "out.npz", resume=True)


def test_the_parquet_file_says_how_it_was_made(tmp_path: Path) -> None:
    infer(sample(), tmp_path / "out.parquet")
    file = pq.ParquetFile(tmp_path / "out.parquet", page_checksum_verification=True)
    assert file.schema_arrow.names == ["id", "label", "logits"]
    assert file.schema_arrow.field("logits").type == pa.list_(pa.float32(), 5)
    metadata = file.schema_arrow.metadata
    assert json.loads(metadata[b"lacal.inference"]) == sample().record()
    assert json.loads(metadata[b"class_names"]) == list(sample().class_names or ())
    rows = [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]
    assert rows == [16] * 6 + [4]
    assert file.metadata.row_group(0).column(2).compression == "ZSTD"


def test_numpy_reads_the_npz_alone(tmp_path: Path) -> None:
    source = sample()
    infer(source, tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz") as found:  # no pickles
        assert set(found) == {"logits", "labels", "ids", "class_names", "inference"}
        assert json.loads(str(found["inference"])) == source.record()
        np.testing.assert_array_equal(found["ids"], source.ids)
    with zipfile.ZipFile(tmp_path / "out.npz") as archive:
        assert archive.testzip() is None
        assert {one.date_time[0] for one in archive.infolist()} == {1980}
        assert {one.compress_type for one in archive.infolist()} == {zipfile.ZIP_STORED}


def test_the_manifest_vouches_for_the_parts(tmp_path: Path) -> None:
    from hashlib import sha256

    infer(sample(), tmp_path / "out")
    files = content(tmp_path / "out")
    manifest = json.loads(files.pop("_manifest.json"))
    assert [part["rows"] for part in manifest["parts"]] == [32, 32, 32, 4]
    assert {part["name"]: part["sha256"] for part in manifest["parts"]} == {
        name: sha256(file).hexdigest() for name, file in files.items()
    }
    assert (manifest["rows"], manifest["inference"]) == (100, sample().record())


@pytest.mark.parametrize("name", ["out.parquet", "out.npz", "out"])
def test_logits_of_an_adjusted_model_are_known_as_such(tmp_path: Path, name: str) -> None:
    source = sample(adjusted=True)
    infer(source, tmp_path / name)
    with pytest.raises(DataError, match="adjusted already"):
        open_source(tmp_path / name, SourceOptions())
    opened, (logits, labels, _) = read_back(tmp_path / name, allow_adjusted=True)
    np.testing.assert_array_equal(logits, source.logits)
    np.testing.assert_array_equal(labels, source.labels)
    assert opened.class_names == source.class_names


def test_npy_cannot_say_that_logits_are_adjusted(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"adjusted already.*\.npz or \.parquet"):
        infer(sample(adjusted=True), tmp_path / "out.npy")
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", OUTPUTS)
def test_memory_is_that_of_parts_not_of_rows(tmp_path: Path, name: str) -> None:
    command = [sys.executable, "-m", "tests.infer_memory", str(tmp_path / name)]
    few, many = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    assert few > 400_000  # a part's logits, or nothing is measured
    assert many < 1.5 * few


# Outputs that are refused, and disks that are full.


@pytest.mark.parametrize("name", ["out.csv", "out.pt", "out.parquet.gz"])
def test_a_suffix_that_is_not_written(tmp_path: Path, name: str) -> None:
    for refuse in (
        lambda: check_output(tmp_path / name, force=False, resume=False, inputs=()),
        lambda: infer(sample(), tmp_path / name),
    ):
        with pytest.raises(UsageError, match=r"\.parquet, \.npz, \.npy, or a folder"):
            refuse()


@pytest.mark.parametrize("name", OUTPUTS)
def test_what_exists_is_replaced_under_force_alone(tmp_path: Path, name: str) -> None:
    target = tmp_path / name
    infer(sample(), target)
    with pytest.raises(UsageError, match="add --force to replace"):
        check_output(target, force=False)
    with pytest.raises(UsageError, match="add --force to replace"):
        infer(sample(seed=1), target)
    assert content(target) == undisturbed(sample(), name)
    check_output(target, force=True)
    infer(sample(seed=1), target, force=True, resume=True)
    assert content(target) == undisturbed(sample(seed=1), name)
    assert names(tmp_path) == [name]


def test_a_folder_of_other_things_is_never_replaced(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    check_output(target, force=False)  # an empty one may be filled
    (target / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match=r"holds 'thesis.tex', which lacal infer did not write"):
        check_output(target, force=True)
    with pytest.raises(UsageError, match=r"thesis.tex"):
        infer(sample(), target, force=True)
    assert (target / "thesis.tex").read_text() == "years of work"
    (target / "thesis.tex").rename(target / "part-00000.parquet")
    with pytest.raises(UsageError, match="parts without a manifest"):
        check_output(target, force=True)


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "out.parquet").mkdir()  # as Spark names folders
    infer(sample(), tmp_path / "out.parquet")
    np.testing.assert_array_equal(read_back(tmp_path / "out.parquet")[1][0], sample().logits)


def test_a_file_where_a_folder_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(UsageError, match="is a file, and a name without suffix is a folder"):
        check_output(tmp_path / "out", force=True)


def test_outputs_among_the_inputs(tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_text("x")
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "_manifest.json").write_text("{}")
    (tmp_path / "parts" / "part-00000.parquet").write_text("x")
    for output, source in (
        ("x.npy", "x.npy"),
        ("parts", "parts"),
        ("parts", "parts/part-00000.parquet"),
        ("parts", "."),
        ("new", "."),
        ("new.npz", "."),
    ):
        with pytest.raises(UsageError, match="input"):
            check_output(tmp_path / output, force=True, inputs=[tmp_path / source])
    check_output(tmp_path / "parts", force=True, inputs=[tmp_path / "x.npy"])


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    for name in OUTPUTS:
        with pytest.raises(UsageError, match="does not exist; create it first"):
            check_output(tmp_path / "missing" / name, force=False)


@pytest.mark.parametrize("name", OUTPUTS)
def test_every_fsync_may_fail_once(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The n-th call fails, for n from 1 on until none does: each time the run goes on to the same bytes."""
    wanted = undisturbed(sample(), name)
    monkeypatch.setattr("lacal.pipeline.collect.PART_ROWS", 50)
    calls, failing = 0, 0
    lock = threading.Lock()

    def fsync(file: int) -> None:
        nonlocal calls
        with lock:
            calls += 1
        if calls == failing:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)
    for failing in range(1, 40):
        calls, target = 0, tmp_path / str(failing) / name
        target.parent.mkdir()
        failure: LacalError | None = None
        try:
            infer(sample(), target)
        except LacalError as error:
            failure = error
        if failure is None:
            break
        assert isinstance(failure, RunError)
        assert "(No space left on device)" in str(failure)
        assert not target.exists() or content(target) == wanted
        assert any(target.parent.glob(".*.parts/part-*")) == ("--resume" in str(failure))
        if not target.exists():
            infer(sample(), target, resume=True)
        assert content(target) == wanted
    assert failing > 8


FULL = """
import resource, sys
from pathlib import Path
from lacal.errors import RunError
from lacal.pipeline.infer import infer
from tests.infer_source import content, names, sample, small_limits
small_limits(setattr, 20)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
for name in ("out.parquet", "out.npz", "out.npy", "out"):
    try:
        infer(sample(), Path(sys.argv[1]) / name)
    except RunError as error:
        print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)  # coverage is written at the end
"""


def test_a_disk_that_is_full_keeps_the_parts(tmp_path: Path) -> None:
    """Parts fit, and a file of all their rows does not."""
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path), "1900"],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) == len(OUTPUTS), done.stdout
    for name, line in zip(OUTPUTS, lines, strict=True):
        assert "could not be written (File too large)" in line
        assert line.endswith("100 finished rows are kept, go on with --resume")
        assert not (tmp_path / name).exists()
        again = sample()
        assert infer(again, tmp_path / name, resume=True).resumed_rows == 100
        assert again.started == []
        assert content(tmp_path / name) == undisturbed(sample(), name)
    assert names(tmp_path) == sorted(OUTPUTS)
