"""What a finished training leaves: logits and models that every other command takes as its own."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from torch import nn

from lacal.errors import RunError
from lacal.rows.logits_source import SourceOptions, open_source
from lacal.rows.source import training_of
from lacal.trained import KEY
from lacal.training import finish as module
from lacal.training.data import Examples, Normalisation, TrainingData
from lacal.training.finish import Finished, NetworkSource, finish, logits_of, weights_sha256
from tests.command_line import caller, result
from tests.records import record

CLASSES, FEATURES = 5, 7
NAMES = ("cat", "dog", "emu", "fox", "gnu")


def network(inputs: int = FEATURES, seed: int = 0) -> Any:
    torch.manual_seed(seed)
    layers = nn.Flatten(), nn.Linear(inputs, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, CLASSES)
    return nn.Sequential(*layers)  # in training mode, as a loop may leave it


def examples(rows: int, seed: int, ids: bool = True, pixels: bool = False) -> Examples:
    random = np.random.default_rng(seed)
    x: Any = random.standard_normal((rows, FEATURES)).astype(np.float32)
    if pixels:
        x = random.integers(0, 256, (rows, 3, 4, 4), dtype=np.uint8)
    named = np.array([f"row {seed} {'x' * (i % 3)}{i}" for i in range(rows)]) if ids else None
    return Examples(x, np.arange(rows) % CLASSES, named, f"data-{seed}.npz")


def data(test: bool = True, names: bool = True, **of_examples: Any) -> TrainingData:
    counts = np.array([500, 120, 60, 25, 6])
    return TrainingData(
        train=examples(60, 0, **of_examples),
        val=examples(300, 1, **of_examples),
        test=examples(100, 2, **of_examples) if test else None,
        class_names=NAMES if names else None,
        class_counts=counts,
        images=False,
        normalisation=Normalisation(1.0, np.zeros(1, np.float32), np.ones(1, np.float32), "none"),
        described=[],
        record={"data": "/home/somebody/data.npz"},
        fingerprint="f" * 64,
    )


def finished(folder: Path, of: Any = None, **said: Any) -> tuple[Any, TrainingData, Finished]:
    of, given = of or network(), data(**{k: said.pop(k) for k in list(said) if k in MADE})
    return of, given, finish(of, given, folder, record(**{"carries": "nothing", **said}))


MADE = ("test", "names", "ids", "pixels")


def test_the_stored_logits_are_the_networks(tmp_path: Path) -> None:
    of, given, done = finished(tmp_path)
    assert list(done.files) == ["val_logits", "test_logits", "onnx", "pt2"]
    assert done.notes == []
    assert sorted(one.name for one in tmp_path.iterdir()) == [
        "model.onnx", "model.pt2", "test_logits.parquet", "val_logits.parquet"
    ]  # fmt: skip
    for split in ("val", "test"):
        source = open_source(done.files[f"{split}_logits"], SourceOptions())
        wanted = getattr(given, split)
        batches = list(source.batches())
        logits = np.concatenate([one.logits for one in batches])
        np.testing.assert_allclose(logits, logits_of(of.eval(), wanted.inputs), atol=1e-6)
        assert np.concatenate([one.labels for one in batches]).tolist() == wanted.labels.tolist()
        assert np.concatenate([one.ids for one in batches]).tolist() == wanted.ids.tolist()
        assert source.class_names == NAMES
        assert training_of(source) == done.record
    assert done.record.weights == weights_sha256(of)


def test_the_same_network_leaves_the_same_logits_and_no_paths(tmp_path: Path) -> None:
    places = tmp_path / "a", tmp_path / "b"
    for place in places:
        place.mkdir()
        finished(place)
    for name in ("val_logits.parquet", "test_logits.parquet"):
        one, other = ((place / name).read_bytes() for place in places)
        assert one == other
        assert b"somebody" not in one
        assert str(tmp_path).encode() not in one


def test_finishing_again_replaces_what_is_there(tmp_path: Path) -> None:
    finished(tmp_path)
    other, given, done = finished(tmp_path, network(seed=1))
    table = pq.read_table(done.files["val_logits"])
    stored = np.array(table["logits"].to_pylist(), np.float32)
    np.testing.assert_allclose(stored, logits_of(other, given.val.inputs), atol=1e-6)


def test_what_a_kill_left_is_cleared_away(tmp_path: Path) -> None:
    left = tmp_path / ".val_logits.parquet.parts"
    left.mkdir()
    for name in ("plan.json", "journal", "part-00000.arrow"):
        (left / name).write_bytes(b"{}")
    _, _, done = finished(tmp_path)
    assert {one.name for one in tmp_path.iterdir()} == {path.name for path in done.files.values()}


def test_without_test_split_names_and_ids(tmp_path: Path) -> None:
    _, _, done = finished(tmp_path, test=False, names=False, ids=False)
    assert "test_logits" not in done.files
    table = pq.read_table(done.files["val_logits"])
    assert table["id"].to_pylist() == list(range(300))
    assert open_source(done.files["val_logits"], SourceOptions()).class_names is None


@pytest.mark.parametrize("spoilt", [np.nan, np.inf])
def test_logits_that_are_not_finite_stop_it(spoilt: float, tmp_path: Path) -> None:
    of = network().eval()
    of[-1].bias.data[2] = spoilt
    words = r"the trained network on data-1\.npz: row 0, class 2 is "
    with pytest.raises(RunError, match=words):
        finished(tmp_path, of)
    assert not [one for one in tmp_path.iterdir() if not one.name.startswith(".")]


def test_a_model_that_does_not_give_the_stored_logits_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The logits are read back from the file, so that rows in another order are found too."""
    stored = module._stored
    monkeypatch.setattr(module, "_stored", lambda path: stored(path)[::-1])
    with pytest.raises(RunError, match="gives logits that differ"):
        finished(tmp_path)
    assert not [one for one in tmp_path.iterdir() if one.name.startswith("model")]


@settings(max_examples=25)
@given(batch=st.integers(5, 400), part=st.floats(0, 1))
def test_the_source_starts_at_any_batch(batch: int, part: float) -> None:
    of, given = network().eval(), data()
    source = NetworkSource(of, given.val, given, record(), "val")
    source.batch_size = batch
    whole = list(source.batches())
    begin = int(part * len(whole))
    start = whole[begin].start if begin < len(whole) else source.rows
    rest = list(source.batches(start))
    assert [one.start for one in rest] == [one.start for one in whole[begin:]]
    for one, other in zip(rest, whole[begin:], strict=True):
        np.testing.assert_array_equal(one.logits, other.logits)
        np.testing.assert_array_equal(one.ids, other.ids)
    assert sum(len(one.logits) for one in whole) == source.rows
    json.dumps([source.plan(), source.inference], allow_nan=False)


def changed_bias(of: Any) -> None:
    of[-1].bias.data[0] += 1e-6


def changed_statistics(of: Any) -> None:
    of[2].running_mean[0] += 1e-6


def changed_type(of: Any) -> None:
    of.double()


@pytest.mark.parametrize("change", [changed_bias, changed_statistics, changed_type])
def test_the_hash_sees_every_weight(change: Callable[[Any], None]) -> None:
    of = network()
    twin = copy.deepcopy(of)
    assert weights_sha256(twin) == weights_sha256(of)
    twin.train()(torch.zeros(2, FEATURES))  # running statistics and the count of batches
    assert weights_sha256(twin) != weights_sha256(of)
    twin = copy.deepcopy(of)
    change(twin)
    assert weights_sha256(twin) != weights_sha256(of)


@pytest.mark.parametrize("pixels", [False, True])
def test_every_command_takes_what_is_left(
    pixels: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    _, given, done = finished(Path(), network(48 if pixels else FEATURES), pixels=pixels)
    assert given.test is not None
    np.savez("test.npz", x=given.test.inputs, labels=given.test.labels)
    Path("counts.csv").write_text(
        "class,count\n" + "".join(f"{n},{c}\n" for n, c in zip(NAMES, [9, 8, 7, 6, 5], strict=True))
    )
    lacal = caller(capfd)
    tune = ("tune-tau", "val_logits.parquet", "--counts", "counts.csv", "--draws", "10")
    # A tau far from 0, so that the adjustment is one.
    tuned = result(lacal, *tune, "--grid", "0.9:1.1:0.1", "-o", "c.json")
    calibration = ("--calibration", "c.json")
    errors = result(lacal, "evaluate", "test_logits.parquet", *calibration)
    assert tuned["classes"] == errors["classes"][-1]["class"] + 1 == CLASSES
    stored = pq.read_table("test_logits.parquet")
    for name in ("model.onnx", "model.pt2"):
        model = (name, "--inputs", "test.npz")
        assert result(lacal, "inspect", *model)["trained_with"] == done.record.json()
        made = result(lacal, "infer", name, "test.npz", "-o", f"{name}.parquet")
        assert made["inference"][KEY] == done.record.json()
        logits = pq.read_table(f"{name}.parquet")["logits"].to_pylist()
        np.testing.assert_allclose(logits, stored["logits"].to_pylist(), atol=1e-4)
        seen = result(lacal, "evaluate", *model, *calibration)
        assert seen["balanced_error"] == errors["balanced_error"]
        assert not any("another model" in one for one in seen["warnings"])  # of one network
        for fold in ((), ("--fold",)):
            out = f"adjusted{len(fold)}-{name}"
            exported = result(lacal, "export", name, *calibration, "-o", out, *fold)
            assert exported["warnings"] == []
            assert fold or exported["largest_difference"] == 0
            adjusted = result(lacal, "infer", out, "test.npz", "-o", f"{out}.npz")
            assert (adjusted["inference"]["adjusted"], adjusted["inference"][KEY]) == (
                True,
                done.record.json(),
            )
