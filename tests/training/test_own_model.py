"""The user's own backbone: what is taken, and a sentence for every way in which it can be wrong."""

import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from lacal.errors import Interruption, RunError, UsageError
from lacal.training.networks import make_network
from lacal.training.normalisation import Normalisation
from lacal.training.options import TrainOptions
from lacal.training.own_model import check_repeatable, own_backbone
from lacal.training.run_folder import run_folder
from lacal.training.train import train
from tests.training.training_world import Heard, StopsAt, tiny_data, tiny_options

SHAPE = (3, 8, 8)
NUMBERS = count()
GOOD = """
import torch
from torch import nn

def build(input_shape):
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 7), nn.BatchNorm1d(7), nn.Dropout(0.5))

class Backbone(nn.Module):
    def __init__(self, input_shape):
        super().__init__()
        self.layer = nn.LazyLinear(4)

    def forward(self, x):
        return self.layer(x.flatten(1))
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The user's folder is the current one; what is imported from it is forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before, paths = set(sys.modules), list(sys.path)
    yield
    assert sys.path == paths
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and name.startswith("own_"):
            del sys.modules[name]


def module(source: str) -> str:
    name = f"own_{next(NUMBERS)}"
    Path(f"{name}.py").write_text(source)
    return name


def fault(text: str) -> str:
    with pytest.raises(UsageError) as error:
        own_backbone(text, SHAPE)
    assert str(error.value).startswith("--model: ")
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_function_or_a_class_builds_the_backbone() -> None:
    name = module(GOOD)
    for factory, width in (("build", 7), ("Backbone", 4)):
        backbone, features = own_backbone(f"{name}:{factory}", SHAPE)
        assert features == width
        assert backbone.training
        assert backbone.eval()(torch.zeros(5, *SHAPE)).shape == (5, width)


def test_a_module_in_a_package_may_import_its_neighbours() -> None:
    package = f"own_{next(NUMBERS)}"
    Path(package).mkdir()
    Path(package, "__init__.py").touch()
    Path(package, "layers.py").write_text("from torch import nn\nlayer = nn.Flatten\n")
    source = f"from {package}.layers import layer\ndef build(input_shape):\n    return layer()\n"
    Path(package, "nets.py").write_text(source)
    assert own_backbone(f"{package}.nets:build", SHAPE)[1] == 192


def test_the_check_moves_nothing() -> None:
    torch.manual_seed(5)
    backbone, _ = own_backbone(f"{module(GOOD)}:build", SHAPE)
    assert backbone[2].num_batches_tracked == 0
    torch.manual_seed(5)
    again, _ = own_backbone(f"{module(GOOD)}:build", SHAPE)
    assert torch.equal(backbone[1].weight, again[1].weight)


def test_it_becomes_a_network() -> None:
    shift = Normalisation(1.0, np.ones(1, np.float32), np.ones(1, np.float32), "as tested")
    options = TrainOptions(model=f"{module(GOOD)}:build", head="cosine")
    network = make_network(options, SHAPE, 5, shift).eval()
    assert network(torch.ones(2, *SHAPE)).shape == (2, 5)
    expected = network.backbone(torch.zeros(2, *SHAPE))
    assert torch.equal(network.features(torch.ones(2, *SHAPE)), expected)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nets", "got 'nets', expected PACKAGE.MODULE:FACTORY, such as my_nets:build"),
        ("nets:", "got 'nets:', expected PACKAGE.MODULE:FACTORY"),
        (":build", "got ':build', expected"),
        ("", "got '', expected"),
        ("a:b:c", "got 'a:b:c', expected"),
        (".nets:build", "got '.nets:build', expected"),
        ("my nets:build", "got 'my nets:build', expected"),
        ("nets.py:build", "got the file 'nets.py', expected PACKAGE.MODULE:FACTORY"),
        ("./a/nets.py:make", "and write a.nets:make"),
        ("own_missing:build", "module 'own_missing' is neither in the current folder nor installed"),
        ("own_missing.nets:build", "module 'own_missing.nets' is neither in the current folder"),
        ("a\u202eb:c", "got 'a\\u202eb:c'"),
    ],
)  # fmt: skip
def test_texts_that_name_nothing(text: str, said: str) -> None:
    assert said in fault(text)


def test_the_nearest_file_and_function_are_named() -> None:
    name = module(GOOD)
    assert f"Did you mean '{name}'?" in fault(f"{name}x:build")
    assert f"module '{name}' has no 'biuld'. Did you mean 'build'?" in fault(f"{name}:biuld")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import own_absent\n", "cannot be imported (ModuleNotFoundError: No module named 'own_absent', {file} line 1)"),
        ("x = 1\n1 / 0\n", "cannot be imported (ZeroDivisionError: division by zero, {file} line 2)"),
        ("def build(:\n", "cannot be imported (SyntaxError: "),
        ("raise SystemExit\n", "cannot be imported (SystemExit, {file} line 1)"),
        ("class Own(BaseException): pass\nraise Own('x')\n", "cannot be imported (Own: x, {file} line 2)"),
        ("build = 3\n", "'build' of module '{name}' is a value of type int; the factory takes the shape"),
        ("build = None\n", "'build' of module '{name}' is nothing (None)"),
        ("from torch import nn\nbuild = nn.Flatten()\n", "is a network already built; the factory takes"),
    ],
)  # fmt: skip
def test_modules_without_a_factory(source: str, said: str) -> None:
    name = module(source)
    assert said.format(name=name, file=f"{name}.py") in fault(f"{name}:build")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise KeyError('width')", "failed on the shape (3, 8, 8) (KeyError: 'width', {file} line 6); the factory takes"),
        ("raise GeneratorExit", "failed on the shape (3, 8, 8) (GeneratorExit, {file} line 6); the factory takes"),
        ("return None", "returned nothing (None); the factory takes the shape"),
        ("return nn.Flatten", "returned the class Flatten"),
        ("return lambda x: x", "returned a value of type function"),
        ("return nn.Linear(5, 4)", "fails on zeros of shape (2, 3, 8, 8) (RuntimeError: mat1 and mat2"),
        ("return Gives(lambda x: (x, x))", "gives a value of type tuple; expected features (2, d) float32"),
        ("return Gives(lambda x: None)", "gives nothing (None); expected features"),
        ("return Gives(lambda x: x)", "gives float32 (2, 3, 8, 8) for 2 rows; expected features (2, d) float32; flatten"),
        ("return Gives(lambda x: x.flatten())", "gives float32 (384,) for 2 rows"),
        ("return Gives(lambda x: x.flatten(1).t())", "gives float32 (192, 2) for 2 rows"),
        ("return Gives(lambda x: x.flatten(1).double())", "gives float64 (2, 192) for 2 rows"),
        ("return Gives(lambda x: x.flatten(1).long())", "gives int64 (2, 192) for 2 rows"),
        ("return Gives(lambda x: x.flatten(1)[:, :0])", "gives float32 (2, 0) for 2 rows"),
        ("return Gives(lambda x: x.flatten(1) @ x.flatten(1).t())", "gives 2 features for 2 rows and 3 for 3"),
        ("return Gives(lambda x: 1 / 0)", "(ZeroDivisionError: division by zero, {file} line 6)"),
    ],
)  # fmt: skip
def test_factories_that_build_no_backbone(body: str, said: str) -> None:
    head = "from torch import nn\nclass Gives(nn.Module):\n    def __init__(self, how):\n        super().__init__(); self.forward = how\n"
    name = module(f"{head}def build(input_shape):\n    {body}\n")
    assert said.format(file=f"{name}.py") in fault(f"{name}:build")


def test_a_factory_without_a_parameter() -> None:
    name = module("def build():\n    pass\n")
    assert "(TypeError: build() takes 0 positional arguments but 1 was given); the factory" in fault(f"{name}:build")  # fmt: skip


@pytest.mark.parametrize(
    "kind", ["KeyboardInterrupt", "__import__('lacal.errors').errors.Interruption"]
)
def test_who_asks_the_run_to_end_is_heard(kind: str) -> None:
    name = module(f"def build(input_shape):\n    raise {kind}\n")
    with pytest.raises((KeyboardInterrupt, Interruption)):
        own_backbone(f"{name}:build", SHAPE)


def counting() -> Any:
    calls = count(1)
    return lambda x: x * next(calls)


ROWS = torch.from_numpy(np.random.default_rng(4).normal(3, 1, size=(12, 5)).astype(np.float32))


@pytest.mark.parametrize(
    ("features", "said"),
    [
        (lambda x: torch.nn.functional.dropout(x), "when it runs again in eval mode; a random step"),
        (lambda x: x + torch.randn(5), "when it runs again in eval mode"),
        (counting(), "or a count of its calls"),
        (lambda x: x - x.mean(0), "change with the rows beside it in eval mode; a mean over the batch"),
        (torch.nn.BatchNorm1d(5), "or batch normalisation without running statistics"),
        (lambda x: x.flip(0), "take each row's features from that row alone"),
    ],
)  # fmt: skip
def test_features_that_do_not_come_from_the_row_alone(features: Any, said: str) -> None:
    with pytest.raises(UsageError) as error:
        check_repeatable(features, ROWS, "a.b:c")
    assert str(error.value).startswith("--model a.b:c: ")
    assert said in str(error.value)


@pytest.mark.parametrize(
    "features",
    [
        torch.nn.Sequential(torch.nn.Linear(5, 3), torch.nn.BatchNorm1d(3), torch.nn.Dropout()).eval(),
        lambda x: x.mul_(2),  # in place
        lambda x: x * 0,
        lambda x: x * float("nan"),  # training says so of its loss
        lambda x: x + 1e-7 * len(x),  # rounding
    ],
)  # fmt: skip
@pytest.mark.parametrize("rows", [1, 2, 12])
def test_features_that_may_be_trained(features: Any, rows: int) -> None:
    before = ROWS.clone()
    check_repeatable(features, ROWS[:rows], "a.b:c")
    assert torch.equal(before, ROWS)


def test_a_run_does_not_go_on_with_another_network(tmp_path: Path) -> None:
    source = "from torch import nn\ndef build(shape): return nn.Sequential(nn.Linear(4, {}))\n"
    name = module(source.format(5))
    options = tiny_options(model=f"{name}:build")
    with pytest.raises(RunError), run_folder(tmp_path / "run", resume=False, force=False) as folder:
        train(tiny_data(), options, folder, StopsAt(at=8))
    Path(f"{name}.py").write_text(source.format(6))
    del sys.modules[name]
    with (
        pytest.raises(
            UsageError, match=r"checkpoints are of another network .* bring --model back"
        ),
        run_folder(tmp_path / "run", resume=True, force=False) as folder,
    ):
        train(tiny_data(), options, folder, Heard())
