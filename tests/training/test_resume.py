"""A run that broke, in whatever way, goes on to the same weights, metrics and files as one that was left alone."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from safetensors.torch import load_file

from lacal.errors import DataError, RunError, UsageError
from lacal.training.checkpoint import newest
from lacal.training.data import TrainingData
from lacal.training.options import TrainOptions
from lacal.training.progress import Progress
from lacal.training.run_folder import run_folder
from lacal.training.train import Trained, train
from tests.training.training_world import Heard, Stop, StopsAt, tiny_data, tiny_options

FEATURES, IMAGES = tiny_data(), tiny_data(shape=(1, 8, 8))
STEPS = 6  # of an epoch: 42 rows in 8, the last of 2

RUNS: dict[str, dict[str, Any]] = {
    "plain": {},
    "momentum's state": {"network": "mlp:8", "nesterov": True, "clip": 0.5, "warmup": 2},
    "moments and steps": {"network": "mlp:8", "optimiser": "adamw", "lr": 0.01, "keep": "last"},
    "sampled classes": {"sampler": "progressive", "schedule": "step:1,2:0.1"},
    "weights that come late": {"loss": "ldam", "loss_options": {"drw": 2.0}},
    "a head with an average": {"head": "causal-norm"},
    "scaled gradients": {"network": "mlp:8", "precision": "float16"},
    "half precision": {"network": "mlp:8", "precision": "bfloat16"},
    "augmentation": {"network": "small-cnn:2", "augment": "crop:1,flip"},
}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Any:
    """Threads cost these networks more than they bring."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def trained(
    path: Path,
    options: TrainOptions,
    progress: Progress | None = None,
    data: TrainingData | None = None,
    *,
    resume: bool = True,
) -> Trained:
    """A run, gone on with where there is one."""
    given = data or (IMAGES if options.network == "small-cnn:2" else FEATURES)
    with run_folder(path, resume=resume, force=False) as folder:
        return train(given, options, folder, progress or Heard())


def content(path: Path) -> dict[str, Any]:
    """Every file that has no clock in it."""
    names = ("config.json", "counts.csv", "best.safetensors", "last.safetensors")
    found: dict[str, Any] = {name: (path / name).read_bytes() for name in names}
    lines = (path / "metrics.jsonl").read_text().splitlines()
    found["metrics"] = [{**json.loads(line), "seconds": None} for line in lines]
    return found


@pytest.mark.parametrize("options", RUNS.values(), ids=RUNS)
def test_a_stop_at_any_step_changes_nothing(tmp_path: Path, options: dict[str, Any]) -> None:
    said = tiny_options(**options)
    trained(tmp_path / "alone", said)
    for at in (0, STEPS, 2 * STEPS + 2):
        path = tmp_path / f"stopped at {at}"
        with pytest.raises(Stop):
            trained(path, said, StopsAt(at=at))
        heard = Heard()
        done = trained(path, said, heard)
        assert done.resumed_epochs == at // STEPS
        assert heard.starts == [(3 * STEPS, at // STEPS * STEPS)]
        assert len(heard.losses) == (3 - at // STEPS) * STEPS
        assert [one.epoch for one in heard.epochs] == list(range(at // STEPS, 3))
        assert content(path) == content(tmp_path / "alone")


def test_the_scale_of_gradients_goes_on(tmp_path: Path) -> None:
    # 65,536 times their gradients is beyond float16
    inputs = np.float32(30) * FEATURES.train.inputs
    data = replace(FEATURES, train=replace(FEATURES.train, inputs=inputs))
    said = tiny_options(network="mlp:8", precision="float16", lr=1e-4)
    trained(tmp_path / "alone", said, data=data)
    with pytest.raises(Stop):
        trained(tmp_path / "run", said, StopsAt(at=STEPS), data)
    first = newest(tmp_path / "run/state", tmp_path)[0]
    assert first is not None
    assert first.scaler["scale"] < 65536  # or the test tests nothing
    trained(tmp_path / "run", said, data=data)
    assert content(tmp_path / "run") == content(tmp_path / "alone")


@settings(max_examples=6)
@given(stops=st.lists(st.integers(0, 4 * STEPS), min_size=1, max_size=5))
def test_any_number_of_stops(tmp_path_factory: pytest.TempPathFactory, stops: list[int]) -> None:
    folder = tmp_path_factory.mktemp("stops")
    said = tiny_options(network="mlp:4", epochs=4)
    trained(folder / "alone", said)
    for at in stops:  # counted from where the run goes on, so many come after its end
        try:
            trained(folder / "run", said, StopsAt(at=at))
        except Stop:
            continue
    trained(folder / "run", said)
    assert content(folder / "run") == content(folder / "alone")


@pytest.mark.parametrize("how", ["torn", "gone"])
def test_a_damaged_checkpoint_costs_an_epoch_and_nothing_else(tmp_path: Path, how: str) -> None:
    said = tiny_options(epochs=5, lr=0.01, network="mlp:4")
    trained(tmp_path / "alone", said)
    with pytest.raises(Stop):
        trained(tmp_path / "run", said, StopsAt(at=3 * STEPS + 1))
    last = tmp_path / "run/state/epoch-00003.safetensors"
    whole = last.read_bytes()
    last.unlink() if how == "gone" else last.write_bytes(whole[:-9])
    shutil.copytree(tmp_path / "run", tmp_path / "copy")
    (note,) = trained(tmp_path / "copy", said).notes
    assert "the checkpoint after epoch 3 is damaged" in note
    with pytest.raises(Stop):
        trained(tmp_path / "run", said, StopsAt(at=1))
    lines = (tmp_path / "run/metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [0, 1]  # what is done again has no line
    done = trained(tmp_path / "run", said)
    assert done.resumed_epochs == 2
    assert content(tmp_path / "run") == content(tmp_path / "alone")


def test_no_whole_checkpoint_is_an_error(tmp_path: Path) -> None:
    said = tiny_options()
    with pytest.raises(Stop):
        trained(tmp_path / "run", said, StopsAt(at=2 * STEPS))
    for one in (tmp_path / "run/state").glob("epoch-*"):
        one.write_bytes(b"")
    with pytest.raises(DataError, match="start anew with --force"):
        trained(tmp_path / "run", said)


def test_a_finished_run_is_finished_again_without_a_step(tmp_path: Path) -> None:
    said = tiny_options()
    first = trained(tmp_path / "run", said)
    before = content(tmp_path / "run")
    heard = Heard()
    again = trained(tmp_path / "run", said, heard)
    assert heard.losses == []
    assert (again.epochs, again.kept_epoch, again.resumed_epochs) == (
        first.epochs,
        first.kept_epoch,
        3,
    )
    for name, tensor in again.network.state_dict().items():
        assert torch.equal(tensor, first.network.state_dict()[name])
    assert content(tmp_path / "run") == before


def changed_data() -> TrainingData:
    return tiny_data(seed=1)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"epochs": 4}, "options.epochs was 3, is 4"),
        ({"lr": 0.2}, "options.lr was 0.1, is 0.2"),
        ({"seed": 1}, "options.seed was 0, is 1"),
        ({"loss": "logit-adjusted"}, 'options.loss was "softmax", is "logit-adjusted"'),
        ({"keep": "last"}, 'options.keep was "best", is "last"'),
    ],
)
def test_another_run_is_not_gone_on_with(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    path = tmp_path / "run"
    with pytest.raises(Stop):
        trained(path, tiny_options(), StopsAt(at=STEPS))
    before = {
        one: one.read_bytes() for one in path.rglob("*") if one.name != "lock" and one.is_file()
    }
    with pytest.raises(UsageError) as error:
        trained(path, tiny_options(**change))
    assert said in str(error.value)
    assert "start anew with --force" in str(error.value)
    after = {
        one: one.read_bytes() for one in path.rglob("*") if one.name != "lock" and one.is_file()
    }
    assert after == before


def test_other_data_threads_and_torch_are_another_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run"
    with pytest.raises(Stop):
        trained(path, tiny_options(), StopsAt(at=STEPS))
    with pytest.raises(UsageError, match="data_sha256 was"):
        trained(path, tiny_options(), data=changed_data())
    with pytest.raises(UsageError, match=r"classes(\[0\])? was"):
        trained(path, tiny_options(), data=tiny_data(named=False))
    with pytest.raises(UsageError, match="threads was 1, is 2"):
        trained(path, tiny_options(threads=2))
    torch.set_num_threads(1)
    monkeypatch.setattr(torch, "__version__", "9.9")
    with pytest.raises(UsageError, match=r'torch was .*, is "9.9"'):
        trained(path, tiny_options())
    monkeypatch.undo()
    trained(path, tiny_options(device="auto", threads=1))  # which come to the same


def test_a_full_disk_says_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = tiny_options()
    trained(tmp_path / "alone", said)
    chmod, seen = Path.chmod, []

    def full(path: Path, mode: int) -> None:
        if path.name.startswith(".epoch-00002"):
            seen.append(path)
            raise OSError(28, "No space left on device")
        chmod(path, mode)

    monkeypatch.setattr(Path, "chmod", full)
    with pytest.raises(RunError) as error:
        trained(tmp_path / "run", said)
    assert seen
    assert "No space left on device" in str(error.value)
    assert "finished epochs are kept (1), go on with --resume" in str(error.value)
    monkeypatch.undo()
    assert trained(tmp_path / "run", said).resumed_epochs == 1
    assert content(tmp_path / "run") == content(tmp_path / "alone")


def test_the_kept_epoch_is_the_earliest_best_or_the_last(tmp_path: Path) -> None:
    errors: list[float] = []
    for keep in ("best", "last"):
        done = trained(tmp_path / keep, tiny_options(epochs=8, lr=0.5, keep=keep))
        errors = [one.val_balanced_error for one in done.epochs]
        assert done.best_epoch == errors.index(min(errors))
        assert done.kept_epoch == (done.best_epoch if keep == "best" else 7)
        stored = load_file(tmp_path / keep / f"{keep}.safetensors")
        state = done.network.state_dict()
        assert all(torch.equal(stored[name], state[name]) for name in state)
        assert not done.network.training
    assert errors.index(min(errors)) < 7  # or both keep the same
