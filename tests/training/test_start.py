"""A finished run read back: the same network, or a sentence that says what is wrong with its folder."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from safetensors.torch import load_file, save_file

from lacal.errors import DataError, LacalError, UsageError
from lacal.training.data import TrainingData
from lacal.training.finish import weights_sha256
from lacal.training.options import TrainOptions
from lacal.training.run_folder import run_folder
from lacal.training.second_stage import second_stage
from lacal.training.start import network_of
from lacal.training.train import Trained, train
from tests.training.training_world import Heard, tiny_data, tiny_options

ARRAYS, IMAGES = tiny_data(), tiny_data(shape=(2, 6, 5), named=False)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Threads cost these networks more than they bring."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def run(path: Path, data: TrainingData, options: TrainOptions) -> Trained:
    """A finished run, without the files that other commands read."""
    with run_folder(path, resume=False, force=False) as folder:
        done = train(data, options, folder, Heard())
        folder.finish({"command": "train", "record": {"weights": weights_sha256(done.network)}})
    return done


def same_network(one: Any, other: Any, data: TrainingData) -> None:
    x = torch.from_numpy(data.test.inputs if data.test else data.val.inputs).float()
    with torch.no_grad():
        assert torch.equal(one(x), other(x))
    assert weights_sha256(one) == weights_sha256(other)


@pytest.mark.parametrize("keep", ["best", "last"])
@pytest.mark.parametrize(
    ("network", "head"),
    [("linear", "linear"), ("mlp:5,6", "causal-norm"), ("small-cnn:2", "cosine")],
)
def test_the_network_is_the_one_that_was_kept(
    tmp_path: Path, network: str, head: str, keep: str
) -> None:
    data = IMAGES if network == "small-cnn:2" else ARRAYS
    options = tiny_options(
        network=network, head=head, keep=keep, lr=0.5, seed=7, loss_options={"drw": 1.0}
    )
    done = run(tmp_path / "run", data, options)
    found, again = network_of(tmp_path / "run")
    assert found == options
    assert not again.training
    assert again.input_shape == tuple(data.train.inputs.shape[1:])
    assert again.classes == len(data.class_counts)
    same_network(again, done.network, data)


def test_the_epoch_is_the_kept_one_and_not_the_other(tmp_path: Path) -> None:
    """Or the test above could not tell them apart."""
    hashes = set()
    for keep in ("best", "last"):
        done = run(tmp_path / keep, ARRAYS, tiny_options(keep=keep, lr=5.0, epochs=6))
        assert (done.kept_epoch == done.best_epoch) == (keep == "best")
        same_network(network_of(tmp_path / keep)[1], done.network, ARRAYS)
        hashes.add(weights_sha256(done.network))
    assert len(hashes) == 2


def test_a_second_stage_starts_from_it(tmp_path: Path) -> None:
    done = run(tmp_path / "run", IMAGES, tiny_options(network="small-cnn:2"))
    _, network = network_of(tmp_path / "run")
    aligned = second_stage(
        "lws", {"epochs": 2.0}, network, IMAGES, seed=0, device="cpu", progress=Heard()
    )
    before, after = done.network.state_dict(), aligned.state_dict()
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"head.weight", "head.bias"}


NETS = """
from torch import nn

def build(shape):
    return nn.Sequential(nn.Flatten(), nn.Linear(shape[0], {width}), nn.BatchNorm1d({width}), nn.ReLU())
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A finished run of the user's own network, beside the module that builds it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    module = tmp_path / "nets_of_mine.py"
    module.write_text(NETS.format(width=6))
    run(tmp_path / "run", ARRAYS, tiny_options(model="nets_of_mine:build"))
    sys.modules.pop("nets_of_mine")
    yield module
    sys.modules.pop("nets_of_mine", None)


def test_a_network_of_the_users_own_is_built_again(own: Path) -> None:
    options, network = network_of(Path("run"), "nets_of_mine:build")
    assert options.model == "nets_of_mine:build"
    assert network.head.features == 6


def test_no_code_runs_because_a_file_names_it(own: Path) -> None:
    with pytest.raises(UsageError, match=r"say --model nets_of_mine:build"):
        network_of(Path("run"))
    assert "nets_of_mine" not in sys.modules


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (Path.unlink, r"^run: its network cannot be built again: --model: module 'nets_of_mine'"),
        (lambda one: one.write_text("def built(shape): ..."), r"has no 'build'"),
        (
            lambda one: one.write_text(NETS.format(width=7)),
            r"best\.safetensors: holds the weights of another network; bring --model nets_of_mine:build back",
        ),
    ],
)
def test_a_factory_that_is_gone_or_another_is_said(
    own: Path, change: Callable[[Path], None], said: str
) -> None:
    change(own)
    with pytest.raises(LacalError, match=said):
        network_of(Path("run"), "nets_of_mine:build")


def edited(path: Path, **changes: Any) -> None:
    """A JSON file with some values changed, or taken out where they are None."""
    values = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: one for key, one in values.items() if one is not None}))


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def with_another_name(path: Path) -> None:
    weights = load_file(path)
    save_file({name.replace("head", "tail"): one for name, one in weights.items()}, path)


def emptied(folder: Path) -> None:
    for one in folder.rglob("*"):
        if one.is_file():
            one.unlink()


FAULTS: dict[str, tuple[Callable[[Path], Any], type[LacalError], str]] = {
    "nothing there": (
        lambda run: run.rename(run.with_name("gone")),
        UsageError,
        "run: is no folder; expected the folder of a finished run",
    ),
    "an empty folder": (emptied, UsageError, "run: holds no run"),
    "a config of something else": (
        lambda run: (run / "config.json").write_text("[1]"),
        UsageError,
        "run: holds no run",
    ),
    "not finished": (
        lambda run: (run / "summary.json").unlink(),
        UsageError,
        "the run is not finished; .*--resume",
    ),
    "another layout": (
        lambda run: edited(run / "config.json", version=99),
        UsageError,
        "is a run of layout '99', this lacal reads layout 1",
    ),
    "a second stage": (
        lambda run: edited(run / "config.json", second_stage="crt", start="first/\x1b[31m"),
        UsageError,
        r"is a second stage itself \(crt\); start from the run that it started from, first/\\x1b",
    ),
    "a shape of nothing": (
        lambda run: edited(run / "config.json", input_shape=[0]),
        DataError,
        r"config\.json: is not as lacal train wrote it",
    ),
    "no shape": (
        lambda run: edited(run / "config.json", input_shape=None),
        DataError,
        r"config\.json: is not as lacal train wrote it",
    ),
    "an option of another kind": (
        lambda run: edited(run / "config.json", options={"epochs": "many"}),
        DataError,
        r"config\.json: is not as lacal train wrote it .*epochs",
    ),
    "a network that is none": (
        lambda run: edited(run / "config.json", options={"network": "resnet33"}),
        UsageError,
        "its network cannot be built again: --network: there is no network 'resnet33'",
    ),
    "another network": (
        lambda run: edited(run / "config.json", options={"network": "mlp:3"}),
        DataError,
        r"best\.safetensors: holds the weights of another network; start from another run",
    ),
    "other classes": (
        lambda run: edited(run / "config.json", classes=["a", "b"]),
        DataError,
        "holds the weights of another network",
    ),
    "no weights": (
        lambda run: (run / "best.safetensors").unlink(),
        DataError,
        r"best\.safetensors: cannot be read",
    ),
    "half the weights": (
        lambda run: (run / "best.safetensors").write_bytes(
            (run / "best.safetensors").read_bytes()[:-20]
        ),
        DataError,
        r"best\.safetensors: is not as lacal train wrote it",
    ),
    "a bit of the weights": (
        lambda run: flipped(run / "best.safetensors"),
        DataError,
        r"best\.safetensors: holds other weights than the run ended with",
    ),
    "other names": (
        lambda run: with_another_name(run / "best.safetensors"),
        DataError,
        "holds the weights of another network",
    ),
    "a torn summary": (
        lambda run: (run / "summary.json").write_text('{"record": '),
        DataError,
        r"summary\.json: is not as lacal train wrote it",
    ),
    "a summary that is a list": (
        lambda run: (run / "summary.json").write_text("[]"),
        DataError,
        r"summary\.json: is not as lacal train wrote it \(it is no object\)",
    ),
    "a summary of nothing": (
        lambda run: (run / "summary.json").write_text("{}"),
        DataError,
        r"summary\.json: is not as lacal train wrote it .*record",
    ),
}


@pytest.mark.parametrize(("break_it", "kind", "said"), FAULTS.values(), ids=FAULTS)
def test_a_fault_of_the_folder_is_a_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    break_it: Callable[[Path], Any],
    kind: type[LacalError],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    run(Path("run"), ARRAYS, tiny_options(epochs=1))
    network_of(Path("run"))
    break_it(Path("run"))
    with pytest.raises(kind, match=said) as raised:
        network_of(Path("run"))
    assert str(raised.value).isprintable()
