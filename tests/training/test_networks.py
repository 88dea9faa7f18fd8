"""Networks: shapes, ResNet-32 as published, normalisation inside, and the files that they become."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn

from lacal.errors import DataError, UsageError
from lacal.training.head_table import HEADS
from lacal.training.network_table import NetworkSpec, parse_network
from lacal.training.networks import Network, make_network
from lacal.training.normalisation import Normalisation
from lacal.training.options import TrainOptions
from lacal.training.resnet import Block, ResNet32

GREY, COLOUR, ODD, FEATURES = (1, 28, 28), (3, 32, 32), (2, 13, 18), (20,)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Threads that wait for each other cost these small networks more than they bring."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def plain() -> Normalisation:
    return numbers(1.0, [0.0], [1.0])


def numbers(scale: float, mean: list[float], std: list[float]) -> Normalisation:
    return Normalisation(scale, np.array(mean, np.float32), np.array(std, np.float32), "as tested")


def network(
    name: str, shape: tuple[int, ...], head: str = "linear", *, classes: int = 5, seed: int = 0
) -> Network:
    torch.manual_seed(seed)
    pixels = numbers(1 / 255, [0.5], [0.25])
    return make_network(TrainOptions(network=name, head=head), shape, classes, pixels)


def pixels(rows: int, shape: tuple[int, ...], seed: int = 0) -> Any:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (rows, *shape), generator=generator).float()


def moved(one: Network) -> Network:
    """The network after some forward passes in training, so that no statistic is that of the start."""
    one.train()
    with torch.no_grad():
        for seed in range(3):
            one(pixels(16, one.input_shape, seed))
    one.eval()
    return one


@pytest.mark.parametrize(
    ("name", "shape", "width"),
    [
        ("linear", FEATURES, 20),
        ("linear", GREY, 784),
        ("mlp", FEATURES, 256),
        ("mlp:7,3", ODD, 3),
        ("small-cnn", GREY, 128),
        ("small-cnn:8", (1, 4, 4), 32),
        ("small-cnn:8", ODD, 32),
        ("resnet32", COLOUR, 64),
        ("resnet32", ODD, 64),
    ],
)
def test_every_network_gives_features_and_logits(
    name: str, shape: tuple[int, ...], width: int
) -> None:
    one = network(name, shape)
    logits = one(pixels(4, shape))
    assert logits.shape == (4, 5)
    assert one.features(pixels(4, shape)).shape == (4, width)
    assert (one.input_shape, one.classes, one.head.features) == (shape, 5, width)
    logits.square().sum().backward()
    silent = [name for name, weight in one.named_parameters() if not weight.grad.abs().sum() > 0]
    assert silent == []


def test_a_row_does_not_depend_on_its_batch_in_eval_mode() -> None:
    for name in ("small-cnn:8", "resnet32"):
        one, rows = moved(network(name, ODD)), pixels(5, ODD)
        alone = torch.cat([one(row[None]) for row in rows])
        torch.testing.assert_close(one(rows), alone, rtol=1e-4, atol=1e-4)


def test_resnet32_is_that_of_he_et_al() -> None:
    one = network("resnet32", COLOUR, classes=10)
    # 464,154: what the ResNet-32 of kaidic/LDAM-DRW has for 10 classes (He et al.: 0.46 million).
    assert sum(weight.numel() for weight in one.parameters()) == 464_154
    assert sum(isinstance(part, (nn.Conv2d, nn.Linear)) for part in one.modules()) == 32
    assert not any(part.bias is not None for part in one.modules() if isinstance(part, nn.Conv2d))
    shapes = []
    for stage in one.backbone.stages:
        stage.register_forward_hook(lambda _, given, out: shapes.append(tuple(out.shape[1:])))
    one(pixels(2, COLOUR))
    assert shapes == [(16, 32, 32), (32, 16, 16), (64, 8, 8)]


def test_shortcuts_take_every_second_pixel_and_pad_channels_with_zeros() -> None:
    block, x = Block(4, 8), pixels(2, (4, 5, 6))
    nn.init.zeros_(block.bn2.weight)  # leaves the shortcut alone
    expected = torch.zeros(2, 8, 3, 3)
    expected[:, 2:6] = x[:, :, ::2, ::2]
    assert torch.equal(block(x), expected)
    assert Block(4, 4)(x).shape == x.shape


def test_weights_are_drawn_with_variance_2_over_inputs() -> None:
    torch.manual_seed(0)
    one = network("resnet32", COLOUR)
    for conv in (part for part in one.modules() if isinstance(part, nn.Conv2d)):
        expected = (2 / (9 * conv.in_channels)) ** 0.5
        assert conv.weight.std().item() == pytest.approx(expected, rel=0.15)
    wide = network("mlp:400", (500,), classes=300)
    assert wide.backbone[1].weight.std().item() == pytest.approx((2 / 500) ** 0.5, rel=0.02)
    assert wide.head.weight.std().item() == pytest.approx((2 / 400) ** 0.5, rel=0.02)


@pytest.mark.parametrize("name", ["linear", "mlp", "small-cnn", "resnet32"])
def test_weights_come_from_the_seed(name: str) -> None:
    first, same, other = (network(name, ODD, seed=seed).state_dict() for seed in (7, 7, 8))
    assert all(torch.equal(first[key], same[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize(
    ("shape", "mean", "std"),
    [(COLOUR, [0.1, 0.2, 0.3], [0.5, 1.0, 2.0]), (COLOUR, [0.4], [2.0]), (FEATURES, [3.0], [2.0])],
)
def test_raw_values_are_normalised_inside(
    shape: tuple[int, ...], mean: list[float], std: list[float]
) -> None:
    one = make_network(TrainOptions(network="linear"), shape, 3, numbers(1 / 255, mean, std))
    raw = pixels(4, shape)
    sides = (-1, *[1] * (len(shape) - 1))
    expected = (raw.double().numpy() / 255 - np.reshape(mean, sides)) / np.reshape(std, sides)
    np.testing.assert_allclose(one.normalise(raw).numpy(), expected, atol=1e-6)
    assert {"normalise.scale", "normalise.mean", "normalise.std"} <= set(one.state_dict())
    assert not any(name.startswith("normalise") for name, _ in one.named_parameters())


def test_large_values_keep_their_digits() -> None:
    raw = torch.tensor([[1_000_000.0], [1_000_000.5]])
    one = make_network(TrainOptions(network="linear"), (1,), 3, numbers(1.0, [1e6], [0.25]))
    assert one.normalise(raw).tolist() == [[0.0], [2.0]]


@pytest.mark.parametrize("head", HEADS)
def test_heads_compute_in_float32_where_the_backbone_does_not(head: str) -> None:
    one, rows = network("small-cnn:8", GREY, head), pixels(6, GREY)
    moved(one)
    with torch.autocast("cpu", torch.bfloat16):
        features, logits = one.features(rows), one(rows)
    assert (features.dtype, logits.dtype) == (torch.bfloat16, torch.float32)
    assert logits.isfinite().all()
    assert torch.equal(logits, one.head(features.float()))
    torch.testing.assert_close(logits, one(rows), rtol=0.1, atol=0.3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("linear", NetworkSpec("linear", ())),
        ("mlp", NetworkSpec("mlp", (256,))),
        ("mlp:8,16,4", NetworkSpec("mlp", (8, 16, 4))),
        ("small-cnn", NetworkSpec("small-cnn", (32,))),
        ("small-cnn:64", NetworkSpec("small-cnn", (64,))),
        ("resnet32", NetworkSpec("resnet32", ())),
    ],
)
def test_names_of_networks(text: str, expected: NetworkSpec) -> None:
    assert parse_network(text) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("resnet23", "there is no network 'resnet23'; expected one of: linear, mlp, small-cnn, resnet32"),
        ("resnet23", "Did you mean 'resnet32'?"),
        ("", "there is no network ''"),
        ("mlp256", "Did you mean 'mlp'?"),
        ("resnet32:64", "resnet32 has no width to choose; write resnet32"),
        ("linear:", "linear has no width to choose"),
        ("mlp:", "got 'mlp:', expected widths from 1 to 65536, such as mlp:256,128"),
        ("mlp:8,,4", "expected widths"),
        ("mlp:0", "expected widths"),
        ("mlp:-3", "expected widths"),
        ("mlp:1e3", "expected widths"),
        ("mlp:999999999999", "expected widths"),
        ("small-cnn:32,64", "expected one width from 1 to 65536, such as small-cnn:32"),
    ],
)  # fmt: skip
def test_names_of_none(text: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_network(text)
    assert str(error.value).startswith("--network: ")
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("name", "shape", "said"),
    [
        ("resnet32", (64,), "resnet32 takes images (channels, height, width); got examples of shape (64,)"),
        ("small-cnn", (28, 28), "small-cnn takes images"),
        ("small-cnn", (3, 3, 9), "of 4 x 4 pixels or more; got examples of shape (3, 3, 9)"),
    ],
)  # fmt: skip
def test_examples_that_a_network_does_not_take(
    name: str, shape: tuple[int, ...], said: str
) -> None:
    with pytest.raises(UsageError) as error:
        make_network(TrainOptions(network=name), shape, 3, plain())
    assert said in str(error.value)


def exported(one: Network, path: Path) -> Path:
    rows = torch.zeros(2, *one.input_shape)
    if path.suffix == ".pt2":
        program = torch.export.export(one, (rows,), dynamic_shapes=({0: torch.export.Dim("n")},))
        torch.export.save(program, path)
        return path
    torch.onnx.export(
        one,
        (rows,),
        path,
        dynamo=False,
        opset_version=17,
        input_names=["input"],
        output_names=["logits"],
        dynamic_axes={"input": {0: "n"}, "logits": {0: "n"}},
    )
    return path


# The weight of the last product: stored, or computed from what is stored and then folded by ONNX's exporter alone.
LAST = {"linear": {"onnx", "pt2"}, "cosine": {"onnx"}, "causal-norm": {"onnx"}}


@pytest.mark.filterwarnings("ignore:::torch", "ignore:::copyreg", "ignore:.*legacy TorchScript.*")
@pytest.mark.parametrize("kind", ["onnx", "pt2"])
@pytest.mark.parametrize(
    ("name", "shape", "head"),
    [
        ("resnet32", (3, 8, 9), "linear"),
        ("small-cnn:8", GREY, "cosine"),
        ("mlp:16", FEATURES, "causal-norm"),
        ("linear", FEATURES, "linear"),
    ],
)
def test_files_give_the_networks_logits_and_heads(
    name: str, shape: tuple[int, ...], head: str, kind: str, tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime")
    from lacal.models import ModelOptions, model_head, open_model

    one = moved(network(name, shape, head))
    path = exported(one, tmp_path / f"model.{kind}")
    model = open_model(path, ModelOptions(device="cpu"))
    for rows in (1, 7):
        raw = pixels(rows, shape, seed=9)
        expected = one(raw).detach().numpy()
        allowed = 1e-5 * max(1.0, np.abs(expected).max())
        np.testing.assert_allclose(model.run([raw.numpy()]), expected, rtol=0, atol=allowed)
    if kind not in LAST[head]:
        with pytest.raises(DataError, match="does not end in a linear layer"):
            model_head(path, ModelOptions())
        return
    found = model_head(path, ModelOptions())
    if head == "linear":
        np.testing.assert_array_equal(found.weight, one.head.weight.detach().numpy())
        np.testing.assert_array_equal(found.bias, one.head.bias.detach().numpy())
    else:
        assert found.weight.shape == one.head.weight.shape
        assert found.bias is None
    if head == "cosine":  # rows of one length, s: they say nothing of frequency
        np.testing.assert_allclose(np.linalg.norm(found.weight, axis=1), 30, rtol=1e-5)


def test_resnet32_takes_any_number_of_channels() -> None:
    counts = [sum(w.numel() for w in ResNet32(channels).parameters()) for channels in (1, 3)]
    assert counts == [463_504 - 2 * 16 * 9, 463_504]
