"""A model over inputs gives the Batches that its saved logits would give."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacal.classes.prior import LabelPrior
from lacal.errors import DataError, LacalError, RunError, UsageError
from lacal.formats import open_table
from lacal.methods import METHODS, ClassStatistics
from lacal.model_source import ModelSource, open_model_source
from lacal.models.model import OutOfMemory
from lacal.pipeline.tune_tau import Search, tune_tau
from lacal.tau.grid import parse_grid
from tests.fake_models import WEIGHT, FakeDeviceModel, FakeInputs, FakeModel

ROWS = 700


def made(folder: Path, rows: int = ROWS, **fault: Any) -> tuple[FakeModel, FakeInputs]:
    """A model and inputs with labels."""
    random = np.random.default_rng(1)
    x = random.standard_normal((rows, 4)).astype(np.float32)
    np.savez(folder / "x.npz", x=x, label=random.integers(0, 3, rows))
    (folder / "model").write_bytes(b"a model")
    table = open_table(folder / "x.npz")
    return FakeModel(folder / "model", **fault), FakeInputs(x, table, table.read("label"))


def logits_of(source: ModelSource, start: int = 0) -> np.ndarray[Any, Any]:
    return np.concatenate([batch.logits for batch in source.batches(start)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("source")


@given(
    rows=st.integers(2, 700),
    batch=st.integers(1, 400),
    fixed=st.booleans(),
    first_batch=st.integers(0, 4),
)
def test_any_batching_gives_the_same_rows(
    folder: Path, rows: int, batch: int, fixed: bool, first_batch: int
) -> None:
    model, inputs = made(folder, rows, batch_size=batch if fixed else None)
    source = open_model_source(model, inputs, batch_size=batch)
    start = min(first_batch * batch, (rows - 1) // batch * batch)
    batches = [(b.start, b.labels, b.logits.copy()) for b in source.batches(start)]
    assert all(one[0] % batch == 0 for one in batches)
    np.testing.assert_allclose(
        np.concatenate([one[2] for one in batches]), inputs.x[start:] @ WEIGHT, atol=1e-5
    )
    assert inputs.raw_labels is not None
    labels = np.concatenate([one[1] for one in batches if one[1] is not None])
    np.testing.assert_array_equal(labels, inputs.raw_labels[start:])


@given(room=st.integers(1, 600), rows=st.integers(1, 700))
def test_out_of_memory_halves_an_automatic_batch(folder: Path, room: int, rows: int) -> None:
    model, inputs = made(folder, rows)
    source = open_model_source(model, inputs)
    model.room = room
    np.testing.assert_allclose(logits_of(source), inputs.x @ WEIGHT, atol=1e-5)
    assert bool(source.notes) == (source.batch_size < 1024)
    assert source.batch_size * 2 > room or not source.notes
    model.batches.clear()
    logits_of(source)
    assert max(model.batches) <= room  # what was learnt stays


def test_out_of_memory_at_a_batch_that_was_asked_for(folder: Path) -> None:
    model, inputs = made(folder)
    source = open_model_source(model, inputs, batch_size=64)
    model.room = 32
    with pytest.raises(RunError, match=r"no memory for a batch of 64; use a smaller --batch-size"):
        logits_of(source)


def test_out_of_memory_in_the_trial_of_a_batch_that_was_asked_for(folder: Path) -> None:
    model, inputs = made(folder, room=8)
    with pytest.raises(OutOfMemory, match="no room"):
        open_model_source(model, inputs, batch_size=64)


def test_a_resumed_run_takes_up_its_batch_size(folder: Path) -> None:
    model, inputs = made(folder)
    source = open_model_source(model, inputs)
    wanted = logits_of(source)
    source.batch_size = 50
    model.batches.clear()
    assert np.allclose(logits_of(source), wanted, atol=1e-5)
    assert set(model.batches) == {50}


def test_out_of_memory_at_one_row(folder: Path) -> None:
    model, inputs = made(folder)
    source = open_model_source(model, inputs)
    model.room = 0
    with pytest.raises(RunError, match="no memory for a batch of 1;"):
        logits_of(source)


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        ("random", RunError, "two runs on the same 16 rows gave different scores; dropout"),
        ("batch norm", RunError, "scores of a row change with the rows beside it"),
        (
            "one class",
            DataError,
            "gives 1 score a row, expected one for each of at least 2 classes",
        ),
    ],
)
def test_an_unsound_model_is_refused(
    folder: Path, fault: str, error: type[LacalError], words: str
) -> None:
    model, inputs = made(folder, fault=fault)
    with pytest.raises(error, match=words):
        open_model_source(model, inputs)


def test_a_random_model_may_be_allowed(folder: Path) -> None:
    model, inputs = made(folder, fault="random")
    assert logits_of(open_model_source(model, inputs, allow_nondeterministic=True)).shape == (
        700,
        3,
    )


def test_nan_names_the_row_and_is_the_runs_fault(folder: Path) -> None:
    model, inputs = made(folder, fault="nan")
    source = open_model_source(model, inputs, batch_size=100)
    with pytest.raises(RunError, match=r"row 1, class 2 is NaN"):
        logits_of(source)


def test_probabilities_are_refused_unless_named(folder: Path) -> None:
    model, inputs = made(folder, fault="softmax")
    with pytest.raises(DataError, match="look like probabilities"):
        logits_of(open_model_source(model, inputs))
    source = open_model_source(model, inputs, scores="probs")
    assert (logits_of(source) < 0).all()


def test_a_batch_size_that_the_model_was_not_built_for(folder: Path) -> None:
    model, inputs = made(folder, batch_size=8)
    with pytest.raises(UsageError, match=r"--batch-size: got 4, but .* was built for batches of 8"):
        open_model_source(model, inputs, batch_size=4)


@pytest.mark.parametrize(
    ("of_model", "of_inputs", "words"),
    [
        (("a", "b", "c"), ("a", "c", "b"), "classes are in another order"),
        (("a", "b"), None, "has 2 class names and 3 scores a row"),
        (("a", "b", "b"), None, "class name 'b' occurs twice"),
    ],
)
def test_names_must_pair_up(
    folder: Path, of_model: tuple[str, ...], of_inputs: tuple[str, ...] | None, words: str
) -> None:
    model, inputs = made(folder, class_names=of_model)
    inputs.class_names = of_inputs
    with pytest.raises(DataError, match=words):
        open_model_source(model, inputs)


def test_labels_apart_must_pair_up(folder: Path) -> None:
    model, inputs = made(folder)
    np.save(folder / "labels.npy", np.zeros(ROWS + 1, np.int64))
    source = open_model_source(model, inputs, labels=folder / "labels.npy")
    with pytest.raises(DataError, match=r"has 701 labels, .* has 700 rows"):
        logits_of(source)


def test_the_plan_tells_runs_apart(folder: Path) -> None:
    model, inputs = made(folder)
    plan = open_model_source(model, inputs, batch_size=8).plan()
    assert plan == open_model_source(model, inputs, batch_size=8).plan()
    assert plan != open_model_source(model, inputs, batch_size=16).plan()
    model.path.write_bytes(b"another")
    assert plan != open_model_source(model, inputs, batch_size=8).plan()


@pytest.mark.parametrize("fixed", [None, 64])
def test_tuning_on_a_device_is_tuning_on_the_host(folder: Path, fixed: int | None) -> None:
    pytest.importorskip("torch")
    model, inputs = made(folder, batch_size=fixed)
    on_host = open_model_source(model, inputs)
    there = FakeDeviceModel(model.path, batch_size=fixed, device="cuda:0 (fake)")
    on_device = open_model_source(there, inputs)
    assert on_device.on_device
    assert not on_host.on_device
    prior = LabelPrior(np.array([1000, 100, 10]))
    statistics = ClassStatistics(prior.log_prior)
    search = Search("logit-adjustment", parse_grid(None, METHODS["logit-adjustment"]), draws=50)
    there.room = 300  # one halving on the way
    found = [tune_tau(one, prior, statistics, search) for one in (on_host, on_device)]
    assert found[0].calibration.tuned_on == found[1].calibration.tuned_on
    assert found[0].tau == found[1].tau


def test_a_device_tells_of_nan_as_the_host_does(folder: Path) -> None:
    pytest.importorskip("torch")
    model, inputs = made(folder)
    source = open_model_source(
        FakeDeviceModel(model.path, fault="nan", device="cuda:0"), inputs, batch_size=100
    )
    prior = LabelPrior(np.array([1000, 100, 10]))
    search = Search("logit-adjustment", parse_grid(None, METHODS["logit-adjustment"]), draws=50)
    with pytest.raises(RunError, match=r"row \d*1, class 2 is NaN"):
        tune_tau(source, prior, ClassStatistics(prior.log_prior), search)
