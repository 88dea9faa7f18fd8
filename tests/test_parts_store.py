"""What a broken run left is gone on with where it can be trusted, and never trusted by its name."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lacal.errors import RunError, UsageError
from lacal.pipeline.infer import check_output, infer
from lacal.pipeline.parts_store import is_published, parts_store, rows_kept
from lacal.pipeline.working_folder import working_folder
from tests.infer_source import ArraySource, content, names, sample, small_limits


@pytest.fixture(autouse=True)
def _small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    small_limits(monkeypatch.setattr, 20)
    monkeypatch.setattr(os, "fsync", lambda file: None)  # no power is lost here


class Dies(BaseException):
    """The process is gone: unlike Ctrl-C, with all that it had not written."""


def broken(target: Path, at: int = 70, **settings: Any) -> Path:
    """The working folder of a run that broke in the batch of row `at`; parts have 14 rows."""

    def fail(row: int) -> None:
        if row >= at:
            raise Dies

    source = sample(before=fail)
    source.settings |= settings
    with pytest.raises(Dies):
        infer(source, target)
    return working_folder(target)


def resumed(target: Path) -> int:
    """The row that a run goes on from; it must end like one that was left alone."""
    source = sample()
    infer(source, target, resume=True)
    with tempfile.TemporaryDirectory() as folder:
        alone = Path(folder) / target.name
        infer(sample(), alone)
        assert content(target) == content(alone)
    assert not working_folder(target).exists()
    return source.started[0][0]


def test_a_broken_run_is_found_before_a_new_one_starts(tmp_path: Path) -> None:
    target = tmp_path / "out.npz"
    broken(target)
    assert rows_kept(target) == 56
    for refuse in (
        lambda: check_output(target, force=False),
        lambda: infer(sample(), target),
    ):
        with pytest.raises(
            UsageError, match=r"left 56 finished rows; go on with --resume, or .* --force"
        ):
            refuse()
    check_output(target, force=False, resume=True)
    check_output(target, force=True)
    source = sample()
    infer(source, target, force=True)
    assert source.started == [(0, 7)]
    assert names(tmp_path) == ["out.npz"]


def test_a_run_goes_on_where_it_broke(tmp_path: Path) -> None:
    broken(tmp_path / "out.npz")
    assert resumed(tmp_path / "out.npz") == 56


def test_runs_of_other_outputs_do_not_meet(tmp_path: Path) -> None:
    long = "x" * 60
    names = [f"{long}.npz", f"{long}.npy", f"{long}y.npz", "out", "out.npz"]
    assert len({working_folder(tmp_path / name) for name in names}) == len(names)
    broken(tmp_path / names[0])
    infer(sample(), tmp_path / names[1])
    assert resumed(tmp_path / names[0]) == 56


def test_a_link_leads_to_the_same_run(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "here.npz").symlink_to(tmp_path / "there" / "out.npz")
    broken(tmp_path / "here.npz")
    assert resumed(tmp_path / "there" / "out.npz") == 56


@pytest.mark.parametrize(
    ("spoil", "start"),
    [
        (lambda content: content[:-1], 42),  # the last line is torn
        (lambda content: content + b'{"type":"part","num', 56),
        (lambda content: content.replace(b'"number":2', b'"number":7'), 28),
        (lambda content: content.replace(b'"start":28', b'"start":-1'), 28),
        (lambda content: content.replace(b'"rows":14', b'"rows":"x"', 1), 0),
        (lambda content: b"\0" * 400, 0),
        (lambda content: b"\xff\xfe\n", 0),
        (lambda content: b'{"type":"p\xff"}\n', 0),
        (lambda content: b'{"type":' + b"[" * 100_000 + b"\n", 0),
        (lambda content: b'{"x":' + b"[" * 100_000 + b"\n", 0),
        (lambda content: b"", 0),
    ],
)
def test_a_journal_counts_up_to_its_first_bad_line(
    tmp_path: Path, spoil: Callable[[bytes], bytes], start: int
) -> None:
    journal = broken(tmp_path / "out.npz") / "journal"
    journal.write_bytes(spoil(journal.read_bytes()))
    assert resumed(tmp_path / "out.npz") == start


def test_a_torn_line_does_not_spoil_the_next(tmp_path: Path) -> None:
    target = tmp_path / "out.npz"
    folder = broken(target, 40)
    with (folder / "journal").open("ab") as journal:
        journal.write(b'{"type":"part","num')

    def fail(row: int) -> None:
        if row >= 70:
            raise Dies

    with pytest.raises(Dies):
        infer(sample(before=fail), target, resume=True)
    assert resumed(target) == 56


@pytest.mark.parametrize("part", [0, 2, 3])
@pytest.mark.parametrize("how", ["missing", "changed", "cut", "longer", "another"])
def test_a_damaged_part_and_those_after_it_are_done_again(
    tmp_path: Path, part: int, how: str
) -> None:
    file = broken(tmp_path / "out.npz") / f"part-{part:05}.arrow"
    whole = file.read_bytes()
    middle = len(whole) // 2
    if how == "missing":
        file.unlink()
    else:
        spoiled = {
            "changed": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
            "cut": whole[:-1],
            "longer": whole + b"x",
            "another": (file.parent / f"part-{(part + 1) % 4:05}.arrow").read_bytes(),
        }
        file.write_bytes(spoiled[how])
    assert resumed(tmp_path / "out.npz") == 14 * part


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_no_damage_reaches_the_result(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "out.parquet"
        parts = broken(target)
        files = sorted(one for one in parts.iterdir() if one.name not in ("lock", "plan.json"))
        for file in data.draw(st.lists(st.sampled_from(files), min_size=1, max_size=3)):
            whole = bytearray(file.read_bytes())
            at = data.draw(st.integers(0, len(whole)))
            if data.draw(st.booleans()) or at == len(whole):
                del whole[at:]
            else:
                whole[at] ^= data.draw(st.integers(1, 255))
            file.write_bytes(bytes(whole))
        assert resumed(target) % 14 == 0


def test_another_plan_is_not_gone_on_with(tmp_path: Path) -> None:
    target = tmp_path / "out.npz"
    broken(target, options={"resize": 256, "crop": [224, 224]}, note="long\x1b " * 30, device="cpu")
    source = sample()
    source.settings |= {
        "model": "other.onnx",
        "options": {"resize": 256, "crop": [224, 200]},
        "device": "cpu",
    }
    with pytest.raises(UsageError) as caught:
        infer(source, target, resume=True)
    said = str(caught.value)
    assert (
        'model was "m.onnx", is "other.onnx"; options.crop[1] was 224, is 200; note was "' in said
    )
    assert said.isprintable()
    assert len(said) < 500
    assert said.endswith("run it as it was to go on with it, or start anew with --force")
    assert rows_kept(target) == 56  # still there
    source.settings = {f"option {i}": i for i in range(9)}
    with pytest.raises(UsageError, match=r"; and 1[0-9] more;"):
        infer(source, target, resume=True)
    infer(source, target, force=True)
    assert names(tmp_path) == ["out.npz"]


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b"\xff"])
def test_a_plan_that_cannot_be_read(tmp_path: Path, text: bytes) -> None:
    target = tmp_path / "out.npz"
    (broken(target) / "plan.json").write_bytes(text)
    with pytest.raises(UsageError, match="--force"):
        infer(sample(), target, resume=True)


HOLDER = """
import sys, time
from pathlib import Path
from lacal.pipeline.parts_store import parts_store
with parts_store(Path(sys.argv[1]), {}, resume=False, force=False):
    print("READY", flush=True)
    time.sleep(60)
"""


def test_a_second_run_is_kept_out_until_the_first_is_dead(tmp_path: Path) -> None:
    target = tmp_path / "out.npz"
    command = [sys.executable, "-c", HOLDER, str(target)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "READY\n"
        for options in ({}, {"resume": True}, {"force": True}):
            source = sample()
            with pytest.raises(
                RunError, match=rf"process {holder.pid} on .* is writing it already"
            ):
                infer(source, target, **options)
            assert source.started == []
        holder.kill()
    infer(sample(), target)
    assert names(tmp_path) == ["out.npz"]


def test_a_run_in_the_same_process_is_kept_out(tmp_path: Path) -> None:
    target = tmp_path / "out.npz"
    with (
        parts_store(target, {}, resume=False, force=False),
        pytest.raises(RunError, match=f"process {os.getpid()} on"),
    ):
        infer(sample(), target)


def test_a_loop_of_links(tmp_path: Path) -> None:
    target = tmp_path / "out.npz"
    target.symlink_to(target)
    with pytest.raises(UsageError, match="is not a usable path"):
        infer(sample(), target, resume=True)


def test_only_what_lacal_left_is_removed(tmp_path: Path) -> None:
    target = tmp_path / "out.npz"
    folder = working_folder(target)
    folder.mkdir()
    (folder / "thesis.tex").write_text("years of work")
    infer(sample(), target)
    assert names(folder) == ["thesis.tex"]


def test_a_file_where_the_working_folder_belongs(tmp_path: Path) -> None:
    target = tmp_path / "out.npz"
    working_folder(target).write_text("a file")
    with pytest.raises(RunError, match=r"out.npz: could not be written \(File exists\)"):
        infer(sample(), target)


@pytest.mark.parametrize("name", ["out.npz", "out"])
@pytest.mark.parametrize("tidied", [False, True])
def test_killed_right_after_the_rename(
    tmp_path: Path, name: str, tidied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The result is there and so is the working folder: going on means tidying up, without --force."""

    def kill(folder: Path) -> None:
        if tidied:  # up to the journal
            for file in folder.glob("*.arrow"):
                file.unlink()

    monkeypatch.setattr("lacal.pipeline.parts_store.remove", kill)
    target = tmp_path / name
    infer(sample(), target)
    monkeypatch.undo()
    small_limits(monkeypatch.setattr, 20)
    before = content(target)
    assert is_published(target)
    check_output(target, force=False, resume=True)
    other = sample()
    other.settings = {"model": "other.onnx"}
    with pytest.raises(UsageError, match="was another one"):
        infer(other, target, resume=True)
    again = sample()
    done = infer(again, target, resume=True)
    assert (done.rows, done.resumed_rows, again.started) == (100, 100, [])
    assert done.parts == (4 if name == "out" else 1)
    assert content(target) == before
    assert names(tmp_path) == [name]


def test_a_file_that_came_in_between_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "out.npz"

    def appear(row: int) -> None:
        if row == 70:
            target.write_text("somebody's")

    with pytest.raises(UsageError, match=r"exists already.*; 100 finished rows are kept"):
        infer(sample(before=appear), target)
    assert target.read_text() == "somebody's"
    with pytest.raises(UsageError, match="exists already"):
        check_output(target, force=False, resume=True)
    source: ArraySource = sample()
    infer(source, target, resume=True, force=True)
    assert source.started == []


def test_the_plan_survives_as_json(tmp_path: Path) -> None:
    folder = broken(tmp_path / "out.npz")
    plan = json.loads((folder / "plan.json").read_text())
    assert plan == {"layout": 1, **json.loads(json.dumps(sample().plan()))}
