"""A second stage against a loop in NumPy, what it must leave alone, and what it must reach."""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score

torch = pytest.importorskip("torch")

from lacal.errors import RunError, UsageError
from lacal.training.aligned_heads import generalised_weights
from lacal.training.data import Examples, TrainingData
from lacal.training.device import WEIGHTS, seeded
from lacal.training.frozen_features import feature_rows
from lacal.training.head_table import HEADS
from lacal.training.heads import make_head
from lacal.training.networks import Network, make_network
from lacal.training.progress import Progress
from lacal.training.sampling import epoch_rows
from lacal.training.second_stage import second_stage
from lacal.training.second_stage_table import SECOND_STAGES
from tests.training.training_world import Heard, tiny_data, tiny_options

Array = NDArray[np.float64]

SHORT: dict[str, dict[str, Any]] = {
    "crt": {"epochs": 3, "batch_size": 10, "lr": 0.2, "weight_decay": 0.01},
    "lws": {"epochs": 3, "batch_size": 10, "lr": 0.2, "weight_decay": 0.01},
    "disalign": {"epochs": 3, "batch_size": 10, "lr": 0.2, "weight_decay": 0.01, "rho": 0.7},
    "ncm": {},
}
IMAGES = tiny_data(shape=(1, 4, 4))
ARRAYS = tiny_data()


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Threads cost these networks more than they bring."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def network_for(data: TrainingData, head: str = "linear", seed: int = 1) -> Network:
    """A network that has seen some rows, so that its statistics are none of the first."""
    torch.manual_seed(seed)
    options = tiny_options(network="small-cnn:2" if data.images else "mlp:6", head=head)
    shape = tuple(data.train.inputs.shape[1:])
    network = make_network(options, shape, len(data.class_counts), data.normalisation)
    network.train()(torch.from_numpy(data.val.inputs).float())
    return network


def staged(
    name: str,
    network: Network,
    data: TrainingData,
    seed: int = 0,
    progress: Progress | None = None,
    **options: Any,
) -> Network:
    return second_stage(
        name,
        {**SHORT[name], **options},
        network,
        data,
        seed=seed,
        device="cpu",
        progress=progress or Heard(),
    )


def state(network: Any) -> dict[str, Any]:
    return {name: one.clone() for name, one in network.state_dict().items()}


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def logits(network: Network, examples: Examples) -> Array:
    with torch.no_grad():
        values: Array = network(torch.from_numpy(examples.inputs).float()).double().numpy()
    return values


@pytest.mark.parametrize("head", list(HEADS))
@pytest.mark.parametrize("name", list(SECOND_STAGES))
def test_all_but_the_head_is_bit_equal_afterwards(name: str, head: str) -> None:
    network = network_for(IMAGES, head)
    before, old = state(network), network.head
    found = staged(name, network, IMAGES)
    assert not any(one.training for one in found.modules())
    after = state(found)
    kept = [one for one in before if not one.startswith("head.")]
    assert any(one.endswith("running_var") for one in kept)
    assert kept == [one for one in after if not one.startswith("head.")]
    for one in kept:
        assert torch.equal(before[one], after[one]), one
    assert found.head is not old
    assert found.head.classes == len(IMAGES.class_counts)
    # An old head that the new one stands on is as frozen as the backbone.
    if name in ("lws", "disalign") and hasattr(found.head, "head"):
        for one in old.state_dict():
            assert torch.equal(before[f"head.{one}"], after[f"head.head.{one}"]), one


@pytest.mark.parametrize("name", list(SECOND_STAGES))
def test_the_seed_decides(name: str) -> None:
    network = network_for(IMAGES)
    torch.manual_seed(5)  # the state it finds must not matter
    one = staged(name, copy.deepcopy(network), IMAGES, seed=3)
    torch.manual_seed(6)
    again = staged(name, copy.deepcopy(network), IMAGES, seed=3)
    other = staged(name, copy.deepcopy(network), IMAGES, seed=4)
    assert same(state(one), state(again))
    assert same(state(one), state(other)) == (name == "ncm")


def test_features_are_those_of_eval_mode_without_augmentation() -> None:
    network = network_for(IMAGES)
    rows = feature_rows(network, IMAGES.train, "cpu")
    with torch.no_grad():
        whole = network.eval().features(torch.from_numpy(IMAGES.train.inputs).float())
    torch.testing.assert_close(rows.inputs, whole)
    assert rows.labels.tolist() == IMAGES.train.labels.tolist()
    assert rows.inputs.dtype == torch.float32
    assert not rows.inputs.requires_grad


# The loop in NumPy: parameters by name, their gradients by hand.
Weights = dict[str, Array]
Forward = Callable[[Weights, Array], Array]
Backward = Callable[[Weights, Array, Array], Weights]


@dataclass
class Oracle:
    """A head's arithmetic in float64: logits of features, and gradients from those of the logits."""

    start: Weights
    forward: Forward
    backward: Backward
    class_weights: Array


def oracle_of(name: str, network: Network, data: TrainingData, seed: int) -> Oracle:
    counts, k, d = data.class_counts, len(data.class_counts), network.head.features
    ones = np.ones(k)
    seeded(seed, WEIGHTS)
    if name == "crt":
        new = make_head("linear", d, k)
        return Oracle(
            {"weight": float64(new.weight), "bias": float64(new.bias)},
            lambda w, x: x @ w["weight"].T + w["bias"],
            lambda w, x, g: {"weight": g.T @ x, "bias": g.sum(0)},
            ones,
        )
    weight, bias = float64(network.head.weight), float64(network.head.bias)

    def z(x: Array) -> Array:
        return x @ weight.T + bias

    if name == "lws":
        return Oracle(
            {"factors": ones},
            lambda w, x: w["factors"] * z(x),
            lambda w, x, g: {"factors": (g * z(x)).sum(0)},
            ones,
        )
    drawn = torch.nn.Linear(d, 1)  # for its bias
    begun = {"a": ones, "m": np.zeros(k), "u": np.full(d, 0.1), "v": float64(drawn.bias)}

    def confidences(w: Weights, x: Array) -> Array:
        return np.asarray(1 / (1 + np.exp(-(x @ w["u"] + w["v"]))))[:, None]

    def forward(w: Weights, x: Array) -> Array:
        c = confidences(w, x)
        return np.asarray((1 + c * w["a"]) * z(x) + c * w["m"])

    def backward(w: Weights, x: Array, g: Array) -> Weights:
        c = confidences(w, x)
        inner = (g * (w["a"] * z(x) + w["m"])).sum(1, keepdims=True) * c * (1 - c)
        return {
            "a": (g * c * z(x)).sum(0),
            "m": (g * c).sum(0),
            "u": (inner * x).sum(0),
            "v": inner.sum(0),
        }

    weights = counts.astype(np.float64) ** -SHORT[name]["rho"]
    return Oracle(begun, forward, backward, weights)


def float64(tensor: Any) -> Array:
    values: Array = tensor.detach().double().numpy()
    return values


def walked(oracle: Oracle, name: str, x: Array, data: TrainingData, seed: int) -> Weights:
    """Where SGD with momentum ends."""
    said, sampler = SHORT[name], SECOND_STAGES[name].sampler
    weights = {one: value.copy() for one, value in oracle.start.items()}
    speed = {one: np.zeros_like(value) for one, value in weights.items()}
    labels = torch.from_numpy(data.train.labels)
    counts = torch.from_numpy(data.class_counts)
    for epoch in range(said["epochs"]):
        lr = said["lr"] * (1 + math.cos(math.pi * epoch / said["epochs"])) / 2
        generator = torch.Generator().manual_seed(seeded(seed, epoch + 1))
        drawn = epoch_rows(labels, counts, sampler, epoch, said["epochs"], generator).numpy()
        for start in range(0, len(drawn), said["batch_size"]):
            rows = drawn[start : start + said["batch_size"]]
            y = data.train.labels[rows]
            f = oracle.forward(weights, x[rows])
            p = np.exp(f - f.max(1, keepdims=True))
            p /= p.sum(1, keepdims=True)
            share = oracle.class_weights[y] / oracle.class_weights[y].sum()
            gradient = share[:, None] * (p - np.eye(f.shape[1])[y])
            for one, slope in oracle.backward(weights, x[rows], gradient).items():
                slope = slope + said["weight_decay"] * weights[one]
                speed[one] = 0.9 * speed[one] + slope
                weights[one] = weights[one] - lr * speed[one]
    return weights


@pytest.mark.parametrize("name", ["crt", "lws", "disalign"])
def test_the_head_is_where_a_plain_loop_ends(name: str) -> None:
    network = network_for(ARRAYS)
    x = float64(feature_rows(network, ARRAYS.train, "cpu").inputs)
    new = float64(feature_rows(network, ARRAYS.val, "cpu").inputs)
    oracle = oracle_of(name, network, ARRAYS, seed=2)
    start = oracle.forward(oracle.start, new)
    end = oracle.forward(walked(oracle, name, x, ARRAYS, seed=2), new)
    assert np.abs(end - start).max() > 0.1
    found = staged(name, network, ARRAYS, seed=2)
    np.testing.assert_allclose(logits(found, ARRAYS.val), end, rtol=1e-4, atol=1e-4)


def test_a_linear_head_stays_one_under_learned_scales() -> None:
    network = network_for(ARRAYS)
    weight, bias = float64(network.head.weight), float64(network.head.bias)
    head = staged("lws", network, ARRAYS).head
    assert head.kind == "linear"
    factors = float64(head.weight) / weight
    np.testing.assert_allclose(factors, factors[:, :1].repeat(weight.shape[1], 1), rtol=1e-5)
    np.testing.assert_allclose(float64(head.bias) / bias, factors[:, 0], rtol=1e-5)
    assert np.ptp(factors[:, 0]) > 0.01
    assert all(one.requires_grad for one in head.parameters())


@pytest.mark.parametrize(("head", "rho"), [("linear", 1.2), ("cosine", 1.5), ("causal-norm", 1.2)])
def test_rho_is_that_of_the_head(head: str, rho: float) -> None:
    network = network_for(ARRAYS, head)
    plain, said, other = (
        state(staged("disalign", copy.deepcopy(network), ARRAYS, lr=0.02, rho=one))
        for one in (0.0, rho, 1.0)
    )
    assert same(plain, said)
    assert not same(plain, other)


@pytest.mark.parametrize("name", list(SECOND_STAGES))
def test_steps_and_epochs_are_told(name: str) -> None:
    heard = Heard()
    found = staged(name, network_for(ARRAYS), ARRAYS, progress=heard)
    epochs = SHORT[name].get("epochs", 1)
    # 42 rows: four batches of ten, one of two.
    steps = 5 * epochs if name != "ncm" else 1
    assert heard.starts == [(steps, 0)]
    assert len(heard.losses) == steps
    assert [one.epoch for one in heard.epochs] == list(range(epochs))
    last, seen = heard.epochs[-1], logits(found, ARRAYS.val)
    right = balanced_accuracy_score(ARRAYS.val.labels, seen.argmax(1))
    assert last.val_balanced_error == pytest.approx(1 - right)
    assert last.val_micro_error == pytest.approx((seen.argmax(1) != ARRAYS.val.labels).mean())
    assert all(math.isfinite(one.val_loss + one.train_loss) for one in heard.epochs)
    linear = name in ("crt", "lws")
    assert (last.head_rank_correlation is not None) == linear
    if name != "ncm":
        told = [one for one in heard.losses[-5:] if one is not None]
        mean = np.average(told, weights=[10, 10, 10, 10, 2])
        assert last.train_loss == pytest.approx(mean)
        lr = SHORT[name]["lr"]
        np.testing.assert_allclose([one.lr for one in heard.epochs], [lr, 0.75 * lr, 0.25 * lr])


def test_a_last_batch_of_one_row_is_left_out() -> None:
    heard = Heard()
    staged("crt", network_for(ARRAYS), ARRAYS, progress=heard, batch_size=41)
    assert heard.starts == [(3, 0)]
    assert len(heard.losses) == 3


# Classes of which the best scores are known: means of unit Gaussians, counts of a long tail.
MEANS = 1.5 * np.random.default_rng(0).normal(size=(5, 8))
TAIL = (1500, 500, 160, 50, 16)


def gaussians() -> TrainingData:
    random = np.random.default_rng(7)

    def split(counts: tuple[int, ...], place: str) -> Examples:
        labels = np.repeat(np.arange(len(counts)), counts).astype(np.int64)
        values = MEANS[labels] + random.normal(size=(labels.size, MEANS.shape[1]))
        return Examples(values.astype(np.float32), labels, None, place)

    tiny = tiny_data(counts=TAIL, shape=(8,))
    train, val = split(TAIL, "train"), split((400,) * len(TAIL), "val")
    return replace(tiny, train=train, val=val, test=None)


def balanced_error(scores: Array, examples: Examples) -> float:
    return float(1 - balanced_accuracy_score(examples.labels, scores.argmax(1)))


def test_every_trained_stage_takes_the_prior_out() -> None:
    data = gaussians()
    log_prior = np.log(np.array(TAIL) / sum(TAIL))
    network = make_network(tiny_options(), (8,), len(TAIL), data.normalisation)
    # The Bayes rule of the training distribution. Training leaves the sum of a head's rows where it was, near 0.
    bias = log_prior - (MEANS**2).sum(1) / 2
    with torch.no_grad():
        network.head.weight.copy_(torch.from_numpy(MEANS - MEANS.mean(0)))
        network.head.bias.copy_(torch.from_numpy(bias - bias.mean()))
    plain = logits(network, data.val)
    erm, best = balanced_error(plain, data.val), balanced_error(plain - log_prior, data.val)
    assert erm > best + 0.04
    for name in SECOND_STAGES:
        options: dict[str, Any] = {
            one: row.default for one, row in SECOND_STAGES[name].options.items()
        }
        found = staged(name, copy.deepcopy(network), data, **options)
        after = logits(found, data.val)
        reached = balanced_error(after, data.val)
        assert reached < best + 0.5 * (erm - best), name
        if name != "ncm":  # its logits are no log probabilities
            assert balanced_error(after - log_prior, data.val) > reached, name


def test_nothing_is_reweighted_where_counts_are_alike() -> None:
    even = tiny_data(counts=(14, 14, 14))
    assert (generalised_weights(even.class_counts, 1.2) == 1).all()
    network = network_for(even)
    one = staged("disalign", copy.deepcopy(network), even, rho=1.2)
    assert same(state(one), state(staged("disalign", network, even, rho=3.0)))


@pytest.mark.parametrize("name", ["crt", "lws", "disalign"])
def test_a_loss_that_is_no_number_stops_with_the_step_and_the_rate(name: str) -> None:
    with pytest.raises(RunError, match=rf"second stage {name}.*is not finite.*lr=1e\+36"):
        staged(name, network_for(ARRAYS), ARRAYS, lr=1e37)


def test_weights_that_break_in_the_last_step_are_found_by_validation() -> None:
    with pytest.raises(RunError, match="crt, epoch 1: the validation loss is not finite"):
        staged("crt", network_for(ARRAYS), ARRAYS, lr=1e38, epochs=1, batch_size=1e30)


def test_an_alignment_that_died_is_not_passed_off() -> None:
    network = network_for(ARRAYS)
    # The doubling that it starts from costs dear where logits are large and wrong
    with torch.no_grad():
        network.head.weight.mul_(-30)
    with pytest.raises(RunError, match=r"confidences fell to 0 .*--stage-option lr="):
        staged("disalign", network, ARRAYS, lr=5.0)


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e30])
def test_a_row_of_features_that_are_no_numbers_is_named(value: float) -> None:
    inputs = ARRAYS.train.inputs.copy()
    inputs[3, 0] = value
    data = replace(ARRAYS, train=replace(ARRAYS.train, inputs=inputs))
    with pytest.raises(RunError, match=r"train\.npz: the network's features of row 3 "):
        staged("crt", network_for(ARRAYS), data)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("ctr", {}, r"no stage 'ctr'; .* Did you mean 'crt'\?"),
        ("crt", {"epoch": 3}, r"--stage-option \(crt\): there is no option 'epoch'; .*epochs"),
        (
            "lws",
            {"epochs": 2.5},
            r"--stage-option \(lws\): epochs: got 2.5, expected a whole number",
        ),
        ("lws", {"batch_size": 1}, "batch_size: got '1', expected a number, at least 2"),
        ("crt", {"rho": 1.0}, "no option 'rho'"),
        ("disalign", {"rho": -1.0}, "rho: got '-1.0', expected a number, at least 0"),
        ("ncm", {"epochs": 1.0}, "no option 'epochs'; it has none"),
    ],
)
def test_wrong_options_are_refused_before_anything_moves(
    name: str, options: dict[str, Any], said: str
) -> None:
    network = network_for(ARRAYS)
    before, mode = state(network), network.training
    with pytest.raises(UsageError, match=said):
        second_stage(name, options, network, ARRAYS, seed=0, device="cpu", progress=Heard())
    assert same(before, state(network))
    assert network.training == mode


def test_every_stage_carries_the_prior_and_says_where_it_departs() -> None:
    assert list(SECOND_STAGES) == ["crt", "lws", "disalign", "ncm"]
    for row in SECOND_STAGES.values():
        assert row.carries == "prior"
        assert row.source
        assert row.departs
