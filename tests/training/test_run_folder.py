"""The run's folder: what is refused, what is removed, what is left alone, and one process at a time."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from lacal.classes.class_counts import Counts
from lacal.classes.counts import read_counts
from lacal.errors import LacalError, RunError, UsageError
from lacal.training.pointer import Kept, Pointer, write_pointer
from lacal.training.progress import Epoch
from lacal.training.run_folder import RunFolder, epochs_kept, run_folder
from lacal.training.run_place import is_run

PLAN = {"options": {"lr": 0.1, "epochs": 3}, "torch": "2"}
NAMES = ("cat", 'a "b", c', "größe")


def begin(folder: RunFolder, **plan: object) -> None:
    config = {"data": {"files": ["x.npz"]}}
    folder.begin({**PLAN, **plan}, config, np.array([5, 3, 1]), NAMES)


def broken_run(path: Path, epochs: int = 2) -> None:
    """A run that was killed after some epochs."""
    with run_folder(path, resume=False, force=False) as folder:
        begin(folder)
        if epochs:
            write_pointer(folder.state, Pointer((Kept(epochs, "", 1, ""),)))


def finished_run(path: Path) -> None:
    broken_run(path)
    (path / "summary.json").write_text("{}")
    (path / "model.onnx").write_text("model")
    (path / "val_logits.parquet").write_text("logits")


def names(path: Path) -> list[str]:
    return sorted(str(one.relative_to(path)) for one in path.rglob("*") if one.is_file())


def refused(path: Path, *, resume: bool = False, force: bool = False, **more: object) -> LacalError:
    """The error of opening the folder; nothing changes."""
    before = names(path.parent)
    with (
        pytest.raises(LacalError) as error,
        run_folder(path, resume=resume, force=force, **more),  # type: ignore[arg-type]
    ):
        pass
    assert names(path.parent) == before
    return error.value


def test_a_run_begins_with_its_settings_and_counts(tmp_path: Path) -> None:
    path = tmp_path / "run"
    with run_folder(path, resume=False, force=False) as folder:
        begin(folder)
        assert epochs_kept(path) == 0
    config = json.loads((path / "config.json").read_bytes())
    assert config["format"] == "lacal run"
    assert config["options"] == {"lr": 0.1, "epochs": 3}
    assert config["data"] == {"files": ["x.npz"]}
    counts: Counts = read_counts(path / "counts.csv")
    assert counts.names == NAMES
    assert counts.values.tolist() == [5, 3, 1]
    assert is_run(path)


def test_classes_without_names_are_numbered(tmp_path: Path) -> None:
    with run_folder(tmp_path / "run", resume=False, force=False) as folder:
        folder.begin(PLAN, {}, np.array([7, 2]), None)
    assert (tmp_path / "run/counts.csv").read_text() == "class,count\n0,7\n1,2\n"


def test_what_is_no_place_for_a_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/notes.txt").write_text("mine")
    (tmp_path / "full/config.json").write_text('{"format": "of someone else"}')
    for name, said in (
        ("file", "is a file; name a folder"),
        ("none/run", "does not exist; create it first"),
        ("full", "holds files that are of no run (config.json, notes.txt)"),
        ("a\0b", "is not a usable path"),
        ("x" * 300, "is not a usable path"),
    ):
        for flags in ({}, {"force": True}, {"resume": True}):
            error = refused(tmp_path / name, **flags) if name != "none/run" else None
            if error is None:
                with (
                    pytest.raises(UsageError) as caught,
                    run_folder(tmp_path / name, resume=False, force=False),
                ):
                    pass
                error = caught.value
            assert isinstance(error, UsageError)
            assert said in str(error)


def test_resume_and_force_contradict_each_other(tmp_path: Path) -> None:
    assert "leave one out" in str(refused(tmp_path / "run", resume=True, force=True))


def test_an_empty_folder_and_what_an_early_kill_leaves_are_free(tmp_path: Path) -> None:
    path = tmp_path / "run"
    (path / "state").mkdir(parents=True)
    (path / "state/lock").write_text("process 1 on a machine")
    (path / ".config.json.0-1-00.lacal-tmp").write_text("half")
    with run_folder(path, resume=False, force=False) as folder:
        begin(folder)
    assert is_run(path)


def test_a_run_that_is_there_needs_a_word(tmp_path: Path) -> None:
    broken_run(tmp_path / "broken", epochs=2)
    finished_run(tmp_path / "finished")
    said = str(refused(tmp_path / "broken"))
    assert "a broken run left finished epochs (2); go on with --resume, or start anew" in said
    assert epochs_kept(tmp_path / "broken") == 2
    said = str(refused(tmp_path / "finished"))
    assert "holds a finished run" in said
    assert epochs_kept(tmp_path / "finished") == 0
    assert epochs_kept(tmp_path / "none") == 0


def test_force_removes_what_lacal_wrote_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "run"
    finished_run(path)
    mine = ["notes.txt", "calibration.json", "state/notes.txt", "sub/best.safetensors"]
    for name in mine:
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_text("mine")
    (path / ".val_logits.parquet.parts").mkdir()
    (path / ".val_logits.parquet.parts/journal").write_text("")
    (path / "state/epoch-00002.safetensors").write_text("weights")
    with run_folder(path, resume=False, force=True) as folder:
        assert (path / "model.onnx").exists()  # nothing goes before the new run begins
        begin(folder, torch="3")
    ours = ["config.json", "counts.csv", "state/last.json", "state/lock", "state/plan.json"]
    assert names(path) == sorted([*ours, *mine])
    assert not (path / ".val_logits.parquet.parts").exists()
    assert json.loads((path / "config.json").read_bytes())["torch"] == "3"


def test_a_failure_before_the_beginning_leaves_no_trace(tmp_path: Path) -> None:
    def failing(path: Path, force: bool) -> None:
        with run_folder(path, resume=False, force=force):
            raise RunError("the data are at fault")

    with pytest.raises(RunError, match="the data"):
        failing(tmp_path / "run", False)
    assert not (tmp_path / "run").exists()
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match="the data"):
        failing(tmp_path / "empty", False)
    assert list((tmp_path / "empty").iterdir()) == []
    finished_run(tmp_path / "finished")
    before = names(tmp_path / "finished")
    with pytest.raises(RunError, match="the data"):
        failing(tmp_path / "finished", True)
    assert names(tmp_path / "finished") == before


def test_going_on_under_another_plan_is_refused_and_named(tmp_path: Path) -> None:
    path = tmp_path / "run"
    broken_run(path)
    before = names(path)
    with run_folder(path, resume=True, force=False) as folder:
        with pytest.raises(UsageError) as error:
            begin(folder, options={"lr": 0.2, "epochs": 3}, torch="3")
        assert 'options.lr was 0.1, is 0.2; torch was "2", is "3"' in str(error.value)
        begin(folder)
    assert names(path) == before


def test_going_on_with_a_finished_run_finishes_it_again(tmp_path: Path) -> None:
    path = tmp_path / "run"
    finished_run(path)
    with run_folder(path, resume=True, force=False) as folder:
        begin(folder)
        assert not (path / "summary.json").exists()
        assert (path / "model.onnx").exists()
        folder.finish({"done": True})
    assert json.loads((path / "summary.json").read_bytes()) == {"done": True}


def test_resume_starts_where_nothing_is(tmp_path: Path) -> None:
    with run_folder(tmp_path / "run", resume=True, force=False) as folder:
        begin(folder)
    assert is_run(tmp_path / "run")
    (tmp_path / "run/state/plan.json").unlink()  # killed between its first files
    with run_folder(tmp_path / "run", resume=True, force=False) as folder:
        begin(folder, torch="3")
    assert (tmp_path / "run/state/plan.json").exists()


def test_one_process_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "run"
    with run_folder(path, resume=False, force=False) as folder:
        error = refused(path)
        assert isinstance(error, RunError)
        assert f"process {os.getpid()}" in str(error)
        assert "is writing it already" in str(error)
        begin(folder)
        for flags in ({}, {"resume": True}, {"force": True}):
            assert "is writing it already" in str(refused(path, **flags))


def test_a_run_does_not_lie_together_with_what_is_read(tmp_path: Path) -> None:
    broken_run(tmp_path / "run")
    (tmp_path / "images/cat").mkdir(parents=True)
    (tmp_path / "run/data.npz").write_text("x")
    inside = refused(tmp_path / "run", force=True, inputs=[tmp_path / "run/data.npz"])
    assert "lies together with" in str(inside)
    part = refused(tmp_path / "images/run", inputs=[tmp_path / "images"])
    assert "lies together with" in str(part)
    itself = refused(tmp_path / "run", force=True, start=tmp_path / "run")
    assert "lies together with" in str(itself)
    with run_folder(
        tmp_path / "run/stage",
        resume=False,
        force=False,
        inputs=[tmp_path / "x.npz"],
        start=tmp_path / "run",
    ) as folder:
        begin(folder)
    assert is_run(tmp_path / "run/stage")


def test_metrics_are_a_line_an_epoch(tmp_path: Path) -> None:
    def epoch(number: int) -> Epoch:
        return Epoch(number, 0.1, 1 / 3, 0.5, 0.25, 0.3, 0.01, None)

    with run_folder(tmp_path / "run", resume=False, force=False) as folder:
        for number in range(3):
            folder.add_metrics(epoch(number))
        lines = (tmp_path / "run/metrics.jsonl").read_text().splitlines()
        assert [json.loads(line)["epoch"] for line in lines] == [0, 1, 2]
        assert json.loads(lines[0])["train_loss"] == 1 / 3
        assert json.loads(lines[0])["head_rank_correlation"] is None
        folder.rewrite_metrics([epoch(0)])
        assert (tmp_path / "run/metrics.jsonl").read_text().splitlines() == lines[:1]
        begin(folder)


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    assert "cannot be written to" in str(refused(tmp_path / "run"))


@pytest.mark.parametrize("names", [("1", "0", "2"), tuple(sorted(map(str, range(1, 13))))])
def test_names_that_are_numbers_come_back_as_they_were(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    class_counts = np.arange(len(names), 0, -1)
    with run_folder(tmp_path / "run", resume=False, force=False) as folder:
        folder.begin(PLAN, {}, class_counts, names)
    counts = read_counts(tmp_path / "run/counts.csv")
    assert counts.names == names
    assert counts.prior(class_names=names).class_counts.tolist() == class_counts.tolist()
