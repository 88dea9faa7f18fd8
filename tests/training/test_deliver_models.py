"""Model files of a trained network: what the rest of lacal reads of them, and networks that cannot be had so."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from torch import nn

from lacal.errors import DataError, MissingExtra, RunError
from lacal.models import ModelOptions, model_head, open_model
from lacal.models.torch.archive import check_exported
from lacal.training import deliver_models as module
from lacal.training.data import Normalisation
from lacal.training.deliver_models import Delivered, deliver_models
from lacal.training.head_table import HEADS
from lacal.training.networks import make_network
from lacal.training.options import TrainOptions
from tests.records import record

CLASSES, SHAPE = 5, (3, 8, 8)
NAMES = ("cat", "dög", "emu", "fox", "a \u202eb")


class Conv(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.AdaptiveAvgPool2d(1)
        )
        self.head = nn.Linear(6, CLASSES)

    def forward(self, x: Any) -> Any:
        return self.head(self.body(x / 255).flatten(1))


class Deciding(Conv):
    """Looks at its data, which no tracer can."""

    def forward(self, x: Any) -> Any:
        logits = super().forward(x)
        return logits if x[0].mean() < 100 else -logits


class Random(Conv):
    """Never gives the same twice."""

    def forward(self, x: Any) -> Any:
        return super().forward(x) + torch.rand(CLASSES)


class Foreign(Conv):
    """Leaves torch, where nobody can follow."""

    def forward(self, x: Any) -> Any:
        return super().forward(x) + float(np.abs(x.numpy()).max())


def network(kind: type[nn.Module] = Conv) -> nn.Module:
    torch.manual_seed(0)
    made = kind()
    for _ in range(3):  # running statistics that are not those of a fresh network
        made(torch.rand(16, *SHAPE) * 255)
    return made.eval()


def told(of: nn.Module, rows: int = 200, **said: Any) -> Delivered:
    inputs = np.random.default_rng(1).integers(0, 256, (rows, *SHAPE), dtype=np.uint8)
    with torch.inference_mode():
        logits = of(torch.from_numpy(inputs).float()).numpy()
    return Delivered(
        **{"class_names": NAMES, "record": record(), "inputs": inputs, "logits": logits} | said
    )


def test_both_files_open_with_names_record_and_logits(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    of = network()
    expected = told(of)
    files, notes = deliver_models(of, tmp_path, expected)
    assert capfd.readouterr() == ("", "")
    assert (list(files), notes) == (["onnx", "pt2"], [])
    check_exported(files["pt2"], trust=False)
    for path in files.values():
        model = open_model(path, ModelOptions())
        assert (model.class_names, model.training) == (NAMES, record())
        assert [port.name for port in model.inputs] == ["input"]
        assert model.inputs[0].shape == (None, *SHAPE)
        assert model.batch_size is None
        assert model.calibration is None
        for rows in (1, 2, 7):  # of any number, though it was traced with two
            seen = model.run([expected.inputs[:rows].astype(np.float32)])
            np.testing.assert_allclose(seen, expected.logits[:rows], atol=1e-4)
        head = model_head(path, ModelOptions())
        np.testing.assert_array_equal(head.weight, of.head.weight.detach().numpy())


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("body", ["mlp:8", "small-cnn:2"])
def test_every_head_is_delivered(body: str, head: str, tmp_path: Path) -> None:
    options = {name: one.default for name, one in HEADS[head].items()}
    pixels = Normalisation(1 / 255, np.full(3, 0.5, np.float32), np.full(3, 0.25, np.float32), "")
    torch.manual_seed(0)
    of = make_network(
        TrainOptions(network=body, head=head, head_options=options), SHAPE, CLASSES, pixels
    )
    of(torch.rand(16, *SHAPE) * 255)  # in training mode: heads that keep averages have one now
    files, notes = deliver_models(of.eval(), tmp_path, told(of))
    assert (list(files), notes) == (["onnx", "pt2"], [])
    if head == "linear":  # can be folded into
        for path in files.values():
            found = model_head(path, ModelOptions())
            np.testing.assert_array_equal(found.weight, of.head.weight.detach().numpy())
            assert found.bias is not None


def test_without_class_names(tmp_path: Path) -> None:
    of = network()
    files, _ = deliver_models(of, tmp_path, told(of, class_names=None))
    for path in files.values():
        assert open_model(path, ModelOptions()).class_names is None


def test_no_file_tells_of_this_machine(tmp_path: Path) -> None:
    of = network()
    for path in deliver_models(of, tmp_path, told(of))[0].values():
        assert str(Path(__file__).parent.parent).encode() not in path.read_bytes()
        assert str(Path(nn.__file__).parent).encode() not in path.read_bytes()


@pytest.mark.parametrize("kind", [Deciding, Foreign])
def test_a_network_that_cannot_be_exported_costs_the_file(
    kind: type[nn.Module], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    of = network(kind)
    files, notes = deliver_models(of, tmp_path, told(of))
    assert capfd.readouterr() == ("", "")
    assert (files, list(tmp_path.iterdir())) == ({}, [])
    assert [note.partition(" ")[0] for note in notes] == ["model.onnx", "model.pt2"]
    assert all("was not written: " in note for note in notes)
    assert "depends on the data" in notes[0]


def test_random_steps_are_a_fault(tmp_path: Path) -> None:
    of = network(Random)
    with pytest.raises(RunError, match="look for random steps"):
        deliver_models(of, tmp_path, told(of))
    assert list(tmp_path.iterdir()) == []


def test_other_logits_are_a_fault_and_leave_no_file(tmp_path: Path) -> None:
    of = network()
    right = told(of)
    wrong = right.logits.copy()
    wrong[3, 2] += 0.01  # one logit of one row
    with pytest.raises(RunError, match=r"model\.onnx: gives logits that differ .*nothing was"):
        deliver_models(of, tmp_path, dataclasses.replace(right, logits=wrong))
    assert list(tmp_path.iterdir()) == []


def test_without_onnx_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(purpose: str) -> Any:
        raise MissingExtra("onnx", "onnx", purpose)

    monkeypatch.setattr(module, "onnx_library", absent)
    of = network()
    files, notes = deliver_models(of, tmp_path, told(of))
    assert list(files) == ["pt2"]
    assert len(notes) == 1
    assert "model.onnx was not written" in notes[0]
    assert "pip install 'lacal[onnx]'" in notes[0]


@pytest.mark.parametrize("missing", [False, True])
def test_a_file_that_its_runtime_does_not_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: bool
) -> None:
    def refuses(path: Path, options: Any) -> Any:
        if missing:
            raise MissingExtra("onnxruntime", "onnx", "running an ONNX model")
        raise DataError(f"{path}: is odd")

    monkeypatch.setattr(module, "open_model", refuses)
    of = network()
    files, notes = deliver_models(of, tmp_path, told(of))
    assert files == {}
    said = "needs onnxruntime" if missing else "it does not run (model.onnx: is odd)"
    assert said in notes[0]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_takes_no_files_is_the_runs_failure(tmp_path: Path) -> None:
    of = network()
    with pytest.raises(RunError, match="could not be written"):
        deliver_models(of, tmp_path / "missing", told(of))


def test_the_record_is_json_in_both(tmp_path: Path) -> None:
    import zipfile

    import onnx

    of = network()
    files, _ = deliver_models(of, tmp_path, told(of))
    noted = {one.key: one.value for one in onnx.load(files["onnx"]).metadata_props}
    with zipfile.ZipFile(files["pt2"]) as archive:
        inner = json.loads(archive.read("archive/extra/lacal_training.json"))
    assert json.loads(noted["lacal.training"]) == inner == record().json()
