"""The loop against a bare one, what every epoch draws and reports, and what ends in numbers that are none."""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from torch import nn
from torch.nn import functional

from lacal.errors import RunError, UsageError
from lacal.training import loop
from lacal.training.data import TrainingData
from lacal.training.device import WEIGHTS, chosen_device, faults, seeded
from lacal.training.device_rows import DeviceRows
from lacal.training.networks import make_network
from lacal.training.options import TrainOptions
from lacal.training.progress import Progress
from lacal.training.run_folder import run_folder
from lacal.training.sampling import epoch_rows
from lacal.training.schedule import rate
from lacal.training.train import Trained, train
from lacal.training.validation import head_rank_correlation, validate
from tests.training.training_world import Heard, tiny_data, tiny_options

DATA = tiny_data()


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Threads cost these networks more than they bring."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def trained(
    folder: Path, data: TrainingData, progress: Progress | None = None, **given: Any
) -> Trained:
    with run_folder(folder, resume=False, force=True) as opened:
        return train(data, tiny_options(**given), opened, progress or Heard())


def bare(data: TrainingData, options: TrainOptions, optimiser: Callable[..., Any]) -> Any:
    """The loop anyone would write, with torch's own optimiser and cross-entropy."""
    x, y = torch.from_numpy(data.train.inputs), torch.from_numpy(data.train.labels)
    counts = torch.from_numpy(data.class_counts)
    seeded(options.seed, WEIGHTS)
    network = make_network(options, x.shape[1:], len(counts), data.normalisation)
    moving = optimiser(network.parameters())
    for epoch in range(options.epochs):
        generator = torch.Generator().manual_seed(seeded(options.seed, epoch + 1))
        moving.param_groups[0]["lr"] = rate(options, epoch)
        rows = epoch_rows(y, counts, options.sampler, epoch, options.epochs, generator)
        network.train()
        for start in range(0, len(rows), options.batch_size):
            some = rows[start : start + options.batch_size]
            moving.zero_grad()
            functional.cross_entropy(network(x[some].float()), y[some]).backward()
            if options.clip is not None:
                nn.utils.clip_grad_norm_(network.parameters(), options.clip)
            moving.step()
    return network.state_dict()


def sgd(**more: Any) -> Callable[..., Any]:
    return lambda weights: torch.optim.SGD(weights, 0.1, weight_decay=5e-4, **more)


@pytest.mark.parametrize(
    ("optimiser", "given"),
    [
        (sgd(momentum=0.9), {}),
        (sgd(), {"momentum": 0.0, "clip": 0.3}),
        (sgd(momentum=0.9, nesterov=True), {"nesterov": True, "sampler": "square-root"}),
        (sgd(momentum=0.9), {"network": "mlp:6", "warmup": 2, "schedule": "step:2:0.1"}),
        (
            lambda weights: torch.optim.AdamW(weights, 0.01, weight_decay=5e-4),
            {"optimiser": "adamw", "lr": 0.01, "network": "mlp:6", "seed": 7},
        ),
    ],
)
def test_the_loop_is_the_bare_loop(
    tmp_path: Path, optimiser: Callable[..., Any], given: dict[str, Any]
) -> None:
    done = trained(tmp_path / "run", DATA, keep="last", **given)
    expected = bare(DATA, tiny_options(**given), optimiser)
    for name, tensor in done.network.state_dict().items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-5, atol=1e-6)


def test_a_seed_is_all_that_a_run_draws_from(tmp_path: Path) -> None:
    options: dict[str, Any] = {"network": "mlp:6", "keep": "last"}
    weights = []
    for number, seed in enumerate((0, 0, 1)):
        torch.manual_seed(number)
        np.random.seed(number)
        torch.rand(number)
        done = trained(tmp_path / str(number), DATA, seed=seed, **options)
        weights.append(done.network.head.weight)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_an_epoch_reports_what_scikit_learn_and_torch_say(tmp_path: Path) -> None:
    heard = Heard()
    done = trained(tmp_path / "run", DATA, heard, keep="last", network="mlp:6")
    last = done.epochs[-1]
    assert heard.epochs == done.epochs
    with torch.no_grad():
        logits = done.network(torch.from_numpy(DATA.val.inputs))
    labels, guesses = DATA.val.labels, logits.argmax(1).numpy()
    assert last.val_balanced_error == pytest.approx(1 - balanced_accuracy_score(labels, guesses))
    assert last.val_micro_error == pytest.approx(1 - accuracy_score(labels, guesses))
    loss = functional.cross_entropy(logits, torch.from_numpy(labels))
    assert last.val_loss == pytest.approx(float(loss), rel=1e-5)
    assert last.lr == rate(tiny_options(), 2)
    assert last.seconds > 0
    lines = (tmp_path / "run/metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["val_loss"] for line in lines] == [one.val_loss for one in done.epochs]


def test_the_training_loss_is_a_mean_over_rows(tmp_path: Path) -> None:
    heard = Heard()
    done = trained(tmp_path / "run", DATA, heard, batch_size=16, epochs=2)  # steps of 16, 16, 10
    assert len(heard.losses) == 6
    for number, one in enumerate(done.epochs):
        losses = [loss for loss in heard.losses[3 * number : 3 * number + 3] if loss is not None]
        assert one.train_loss == pytest.approx(np.average(losses, weights=[16, 16, 10]))


@pytest.mark.parametrize(("batch_size", "steps"), [(41, 1), (42, 1), (20, 3), (10**20, 1)])
def test_a_row_left_alone_is_no_step(tmp_path: Path, batch_size: int, steps: int) -> None:
    heard = Heard()
    trained(tmp_path / "run", DATA, heard, batch_size=batch_size, epochs=1)
    assert heard.starts == [(steps, 0)]
    assert len(heard.losses) == steps


def test_every_epoch_trains_in_train_mode(tmp_path: Path) -> None:
    done = trained(tmp_path / "run", tiny_data(shape=(1, 8, 8)), network="small-cnn:2", keep="last")
    state = done.network.state_dict()
    seen = [int(one) for name, one in state.items() if name.endswith("num_batches_tracked")]
    assert seen == [18] * len(seen)
    assert seen


def test_weights_of_classes_come_into_force_when_they_are_due(tmp_path: Path) -> None:
    never, late = (
        trained(tmp_path / f"drw {epoch}", DATA, loss_options={"drw": epoch, "drw_beta": 0.99})
        for epoch in (0.0, 2.0)
    )
    losses = [[one.train_loss for one in run.epochs] for run in (never, late)]
    assert losses[0][:2] == losses[1][:2]
    assert losses[0][2] != losses[1][2]
    with pytest.raises(UsageError, match="drw 3 puts the deferred weights off"):
        trained(tmp_path / "refused", DATA, loss_options={"drw": 3.0})
    assert not (tmp_path / "refused").exists()


def test_validation_is_in_eval_mode_and_of_any_batch() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(), nn.Linear(6, 3))
    rows = DeviceRows.of(DATA.val, "cpu")
    network.train()
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    found = [validate(network, rows, 3, size) for size in (1, 3, 100)]
    assert not network.training
    assert all(torch.equal(state[name], tensor) for name, tensor in network.state_dict().items())
    assert found[0].balanced_error == found[1].balanced_error == found[2].balanced_error
    assert found[0].loss == pytest.approx(found[2].loss, rel=1e-6)


def test_norms_of_the_head_are_ranked_against_the_counts() -> None:
    head = nn.Linear(2, 3)
    with torch.no_grad():
        head.weight[:] = torch.tensor([[0.0, 5.0], [1.0, 0.0], [0.0, -3.0]])
    assert head_rank_correlation(head, np.array([50, 1, 20])) == 1.0
    assert head_rank_correlation(head, np.array([1, 50, 20])) == -1.0
    assert head_rank_correlation(head, np.array([5, 5, 5])) == 0.0
    assert head_rank_correlation(nn.Flatten(), np.array([1, 2, 3])) is None
    assert head_rank_correlation(head, np.array([1, 2])) is None


def test_read_only_arrays_are_read(tmp_path: Path) -> None:
    inputs = DATA.train.inputs.copy()
    inputs.flags.writeable = False
    data = replace(DATA, train=replace(DATA.train, inputs=inputs))
    done, same = trained(tmp_path / "a", data), trained(tmp_path / "b", DATA)
    assert torch.equal(done.network.head.weight, same.network.head.weight)


def test_a_network_learns(tmp_path: Path) -> None:
    data = tiny_data((60, 30, 20), shape=(8,))
    done = trained(tmp_path / "run", data, epochs=15, network="mlp:16")
    assert done.epochs[done.best_epoch].val_balanced_error < 0.25
    assert done.epochs[-1].train_loss < done.epochs[0].train_loss
    assert done.device.startswith("cpu")
    assert done.seconds == pytest.approx(sum(one.seconds for one in done.epochs))


def test_a_rate_that_is_too_high_is_named_with_the_step(tmp_path: Path) -> None:
    with pytest.raises(RunError) as error:
        trained(tmp_path / "run", DATA, lr=1e30, epochs=5)
    said = str(error.value)
    assert "epoch 1, step " in said
    assert "is not finite; it was " in said
    assert "a learning rate of 1e+30 that is too high is the likely cause; try --lr 1e+29" in said
    assert "--resume" not in said  # it would end the same way
    assert not (tmp_path / "run").exists()  # nothing stands in the way of the next run


def test_a_loss_that_breaks_later_keeps_the_epochs_before(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"epoch 3, (step \d+: the loss|the validation loss)"):
        trained(tmp_path / "run", DATA, lr=0.1, schedule="step:2:1e35", epochs=5)
    assert len((tmp_path / "run/metrics.jsonl").read_text().splitlines()) == 2
    assert len(list((tmp_path / "run/state").glob("epoch-*"))) == 2


def test_weights_that_break_in_the_last_step_are_found_by_validation(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="epoch 1: the validation loss is not finite"):
        trained(tmp_path / "run", DATA, lr=1e38, batch_size=42, epochs=1)
    assert list((tmp_path / "run/state").glob("epoch-*")) == []


def test_pixels_are_never_the_cause(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"a learning rate of 1e\+30 that is too high"):
        trained(tmp_path / "run", tiny_data(shape=(1, 4, 4)), lr=1e30)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_an_input_that_is_no_number_is_named_by_its_row(tmp_path: Path, value: float) -> None:
    inputs = DATA.train.inputs.copy()
    inputs[33, 2] = value
    data = replace(DATA, train=replace(DATA.train, inputs=inputs))
    with pytest.raises(RunError, match=r"training row 33 \(from 0\) holds a value that is not fin"):
        trained(tmp_path / "run", data)


def test_half_precision_and_odd_losses_are_likely_causes_too(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="float16 ends at 65,504"):
        trained(tmp_path / "a", DATA, lr=1e30, precision="float16")
    inputs = np.sign(DATA.train.inputs) * np.float32(3e38)
    data = replace(DATA, train=replace(DATA.train, inputs=inputs))
    with pytest.raises(RunError, match=r"the loss softmax with drw=.*inputs of a very large scale"):
        trained(tmp_path / "b", data)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_learns_about_the_same(tmp_path: Path, precision: str) -> None:
    data = tiny_data((60, 30, 20), shape=(8,))
    whole = trained(tmp_path / "whole", data, epochs=6, network="mlp:6")
    half = trained(tmp_path / "half", data, epochs=6, network="mlp:6", precision=precision)
    assert half.epochs[-1].train_loss == pytest.approx(whole.epochs[-1].train_loss, abs=0.05)
    assert half.network.head.weight.dtype == torch.float32
    assert not torch.equal(half.network.head.weight, whole.network.head.weight)


def test_float16_clips_gradients_as_they_are_and_not_as_they_are_scaled(tmp_path: Path) -> None:
    given: dict[str, Any] = {"network": "mlp:6", "epochs": 2, "keep": "last"}
    free = trained(tmp_path / "free", DATA, precision="float16", **given).network.head.weight
    wide, tight = (
        trained(tmp_path / f"{clip}", DATA, precision="float16", clip=clip, **given)
        for clip in (100.0, 0.01)
    )
    whole = trained(tmp_path / "whole", DATA, clip=0.01, **given)
    assert torch.equal(wide.network.head.weight, free)
    torch.testing.assert_close(
        tight.network.head.weight, whole.network.head.weight, rtol=0, atol=1e-3
    )
    assert not torch.allclose(tight.network.head.weight, free, rtol=0, atol=1e-2)


def test_losses_that_are_looked_at_now_and_then_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    every, some = Heard(), Heard()
    first = trained(tmp_path / "every", DATA, every)
    monkeypatch.setitem(loop.LOOK_EVERY, "cpu", 4)  # as on a GPU, where a look costs time
    second = trained(tmp_path / "some", DATA, some)
    assert [one.train_loss for one in first.epochs] == [one.train_loss for one in second.epochs]
    seen = [loss if step % 6 == 3 else None for step, loss in enumerate(every.losses)]
    assert some.losses == seen
    with pytest.raises(RunError, match=r"epoch 1, step 2: the loss is not finite"):
        trained(tmp_path / "late", DATA, lr=1e38)


def test_what_torch_raises_is_said_in_words() -> None:
    def said(error: Exception, device: str = "cpu", model: str | None = None) -> str:
        with pytest.raises(RunError) as raised, faults(tiny_options(model=model), device):
            raise error
        return str(raised.value)

    memory = RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")
    for one in (memory, torch.OutOfMemoryError("CUDA out of memory."), MemoryError()):
        assert "a step of 8 rows does not fit into the memory of cpu" in said(one)
    assert "--model a.b:c: failed while it trained: IndexError: 3" in said(
        IndexError(3), model="a.b:c"
    )
    assert "cuda:0 failed: CUDA error: launch" in said(RuntimeError("CUDA error: launch"), "cuda:0")
    assert said(RunError("a sentence"), model="a.b:c") == "a sentence"
    with pytest.raises(ZeroDivisionError), faults(tiny_options(), "cuda:0"):
        raise ZeroDivisionError  # a fault of lacal's own keeps its trace


def test_a_state_that_is_no_tensor_cannot_be_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "odd_backbone.py").write_text(
        "import torch\n"
        "class Odd(torch.nn.Flatten):\n"
        "    def get_extra_state(self): return {'seen': 3}\n"
        "    def set_extra_state(self, state): pass\n"
        "def make(shape): return Odd()\n"
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"keeps backbone\._extra_state in its state, which is no"):
        trained(tmp_path / "run", DATA, model="odd_backbone:make")


def test_augmentation_is_for_images(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--augment: is for images"):
        trained(tmp_path / "run", DATA, augment="flip")
    assert not (tmp_path / "run").exists()


def test_augmentation_reaches_the_network(tmp_path: Path) -> None:
    images = tiny_data(shape=(1, 8, 8))
    plain, flipped = (
        trained(tmp_path / f"run {augment}", images, augment=augment) for augment in ("", "flip")
    )
    assert not torch.equal(plain.network.head.weight, flipped.network.head.weight)


def test_a_device_that_is_not_there(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("it is there")
    with pytest.raises(RunError, match="--device cuda: there is no CUDA device here"):
        trained(tmp_path / "run", DATA, device="cuda")
    assert chosen_device("auto", None) == "cpu"
