"""Checkpoints: what goes in comes out, the newest two and the best are kept, and damage is noticed."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from lacal.errors import DataError, RunError
from lacal.training import checkpoint as module
from lacal.training.checkpoint import Checkpoint, keep, newest, weights_after, write_weights
from lacal.training.progress import Epoch


def epoch(number: int) -> Epoch:
    return Epoch(number, 0.1 / (number + 1), 1 / 3, 2 / 7, 0.25, 0.3, 0.01, None)


def after(epochs: int, best: int = 0) -> Checkpoint:
    """A checkpoint whose tensors tell which it is."""
    return Checkpoint(
        epochs=tuple(epoch(number) for number in range(epochs)),
        best=best,
        network={"head.weight": torch.full((2, 3), float(epochs)), "seen": torch.tensor(epochs)},
        optimiser={0: {"momentum_buffer": torch.full((2, 3), -float(epochs)), "step": epochs}},
        scaler={"scale": 65536.0, "_growth_tracker": epochs},
    )


def files(state: Path) -> list[str]:
    return sorted(one.name for one in state.iterdir())


def spoil(file: Path, how: str) -> None:
    content = bytearray(file.read_bytes())
    if how == "torn":
        file.write_bytes(content[: len(content) // 2])
    elif how == "one bit":
        content[-5] ^= 1
        file.write_bytes(content)
    elif how == "empty":
        file.write_bytes(b"")
    else:
        file.unlink()


def same(one: Checkpoint, other: Checkpoint) -> bool:
    def parts(it: Checkpoint) -> tuple[Any, ...]:
        numbers = {name: value for name, value in it.optimiser[0].items() if name == "step"}
        kinds = [type(value) for value in it.scaler.values()]
        return it.epochs, it.best, it.scaler, kinds, numbers, set(it.network)

    tensors = [
        (one.network["head.weight"], other.network["head.weight"]),
        (one.network["seen"], other.network["seen"]),
        (one.optimiser[0]["momentum_buffer"], other.optimiser[0]["momentum_buffer"]),
    ]
    return parts(one) == parts(other) and all(torch.equal(*pair) for pair in tensors)


def test_a_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    assert newest(tmp_path, tmp_path) == (None, [])
    keep(tmp_path, after(1))
    found, notes = newest(tmp_path, tmp_path)
    assert found is not None
    assert same(found, after(1))
    assert notes == []


def test_the_newest_two_and_the_best_are_kept(tmp_path: Path) -> None:
    for epochs in range(1, 8):
        keep(tmp_path, after(epochs, best=min(epochs - 1, 1)))
    kept = [f"epoch-0000{n}.safetensors" for n in (2, 6, 7)]
    assert files(tmp_path) == [*kept, "last.json"]
    assert torch.equal(weights_after(tmp_path, 2)["seen"], torch.tensor(2))
    assert torch.equal(weights_after(tmp_path, 7)["seen"], torch.tensor(7))
    keep(tmp_path, after(8, best=7))
    keep(tmp_path, after(9, best=7))
    assert files(tmp_path) == ["epoch-00008.safetensors", "epoch-00009.safetensors", "last.json"]


@pytest.mark.parametrize("how", ["torn", "one bit", "empty", "gone"])
def test_a_damaged_newest_gives_way_to_the_one_before(tmp_path: Path, how: str) -> None:
    for epochs in (1, 2, 3):
        keep(tmp_path, after(epochs))
    spoil(tmp_path / "epoch-00003.safetensors", how)
    found, notes = newest(tmp_path, tmp_path / "run")
    assert found is not None
    assert same(found, after(2))
    assert len(notes) == 1
    assert "the checkpoint after epoch 3 is damaged" in notes[0]
    # What is damaged is forgotten, so the run goes on as if it had never been.
    keep(tmp_path, after(3))
    found, notes = newest(tmp_path, tmp_path)
    assert found is not None
    assert same(found, after(3))
    assert notes == []


def test_a_run_that_goes_on_drops_what_the_killed_one_had_no_time_to(tmp_path: Path) -> None:
    for epochs in (1, 2, 3, 4):
        keep(tmp_path, after(epochs, best=0))
    kept = files(tmp_path)
    stale = tmp_path / "epoch-00002.safetensors"
    stale.write_bytes(b"of the run before the pointer")
    (tmp_path / "epoch-mine.safetensors").touch()
    found, notes = newest(tmp_path, tmp_path)
    assert found is not None
    assert (len(found.epochs), notes) == (4, [])
    assert sorted(files(tmp_path)) == sorted([*kept, "epoch-mine.safetensors"])


def test_a_checkpoint_is_worth_nothing_without_its_best_epoch(tmp_path: Path) -> None:
    keep(tmp_path, after(1, best=0))
    keep(tmp_path, after(2, best=1))
    keep(tmp_path, after(3, best=1))
    spoil(tmp_path / "epoch-00002.safetensors", "one bit")
    with pytest.raises(DataError, match="every checkpoint is damaged or gone"):
        newest(tmp_path, tmp_path)


def test_no_checkpoint_left_whole_is_an_error_and_no_new_start(tmp_path: Path) -> None:
    for epochs in (1, 2):
        keep(tmp_path, after(epochs))
    for epochs in (1, 2):
        spoil(tmp_path / f"epoch-0000{epochs}.safetensors", "torn")
    with pytest.raises(DataError, match="start anew with --force"):
        newest(tmp_path, tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"kept": [{"epochs": 1}]}', b"\xff", b'{"\xff": 1}']
)
def test_a_pointer_that_cannot_be_read_is_an_error(tmp_path: Path, content: bytes) -> None:
    keep(tmp_path, after(1))
    (tmp_path / "last.json").write_bytes(content)
    with pytest.raises(DataError, match="no checkpoint can be trusted; start anew with --force"):
        newest(tmp_path, tmp_path)


def test_a_checkpoint_changed_while_the_run_goes_on(tmp_path: Path) -> None:
    keep(tmp_path, after(1))
    spoil(tmp_path / "epoch-00001.safetensors", "one bit")
    with pytest.raises(DataError, match="changed or removed while the run went on"):
        weights_after(tmp_path, 1)


@pytest.mark.parametrize("failing", range(1, 4))
def test_a_write_that_fails_leaves_the_checkpoint_before(
    tmp_path: Path, failing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(tmp_path, after(1))
    seen = []

    def fsync(number: int) -> None:
        seen.append(number)
        if len(seen) == failing:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(RunError, match="No space left on device"):
        keep(tmp_path, after(2))
    monkeypatch.undo()
    found, notes = newest(tmp_path, tmp_path)
    assert found is not None
    assert same(found, after(1))
    assert notes == []
    keep(tmp_path, after(2))
    assert files(tmp_path) == ["epoch-00001.safetensors", "epoch-00002.safetensors", "last.json"]


def test_what_the_dead_left_is_swept(tmp_path: Path) -> None:
    (tmp_path / ".epoch-00009.safetensors.0-1-00.lacal-tmp").write_bytes(b"half")
    (tmp_path / "epoch-00009.safetensors").write_bytes(b"never pointed to")
    (tmp_path / "notes.txt").write_text("mine")
    keep(tmp_path, after(1))
    assert files(tmp_path) == ["epoch-00001.safetensors", "last.json", "notes.txt"]


def test_tied_views_and_empty_tensors_are_stored_each_on_its_own(tmp_path: Path) -> None:
    whole = torch.arange(12.0).reshape(3, 4)
    tensors = {
        "whole": whole,
        "tied": whole,
        "column": whole[:, 1],
        "turned": whole.t(),
        "row": whole[2],
        "none": torch.empty(0, 3),
        "also none": torch.empty(0),
        "half": torch.tensor([1.5], dtype=torch.bfloat16),
        "single": torch.tensor(3),
    }
    keep(tmp_path, Checkpoint((epoch(0),), 0, tensors, {}, {}))
    found = weights_after(tmp_path, 1)
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert torch.equal(found[name], tensor), name
        assert found[name].dtype == tensor.dtype


def test_stored_weights_are_plain_safetensors_and_the_same_bytes(tmp_path: Path) -> None:
    from safetensors import safe_open

    network = {f"layer.{i}": torch.full((2,), float(i)) for i in range(9)}
    write_weights(tmp_path / "best.safetensors", network, 4)
    write_weights(tmp_path / "again.safetensors", dict(reversed(network.items())), 4)
    with safe_open(tmp_path / "best.safetensors", "pt") as file:
        assert set(file.keys()) == set(network)
        assert torch.equal(file.get_tensor("layer.3"), network["layer.3"])
        assert json.loads(file.metadata()[module.HEADER])["epoch"] == 4
    content = [(tmp_path / f"{name}.safetensors").read_bytes() for name in ("best", "again")]
    assert content[0] == content[1]
