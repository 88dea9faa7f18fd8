"""The JSON of every command is what its schema says, to the last field; the schemas are strict."""

import contextlib
import copy
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from lacal.cli.commands import COMMANDS, command_named
from lacal.report.json_schema import commands, schema
from lacal.report.numbers import SCHEMA_VERSION
from tests.small_world import json_of, lacal, world, write_world

FASHION = Path(__file__).parent.parent / "sample_data" / "fashion"

# Command lines in the small world's folder, after those of `made`.
LINES = [
    ("inspect", "val.npz"),
    ("inspect", "val.npz", "--counts", "counts.csv"),
    ("inspect", "bare.npz", "--groups", "groups.csv"),
    ("tune-tau", "val.npz", "--counts", "counts.csv", "--draws", "10"),
    ("tune-tau", "val.npz", "--counts", "counts.csv", "--draws", "10", "--method", "weight-norm",
     "--head", "head.npz", "--bias", "keep"),
    ("adjust", "test.npz", "--calibration", "c.json", "-o", "q.parquet"),
    ("adjust", "bare.npz", "--calibration", "c.json", "-o", "q.parquet", "--target-prior", "train"),
    ("adjust", "test.npz", "--calibration", "c.json", "-o", "q.parquet", "--fit-temperature",
     "val.npz", "--target-prior", "uniform", "--groups", "quantiles:2"),
    ("evaluate", "test.npz"),
    ("evaluate", "gap.npz", "--counts", "counts.csv", "--target-prior", "train"),
    ("evaluate", "test.npz", "--calibration", "c.json", "--fit-temperature", "val.npz"),
    ("evaluate", "test.npz", "--weight-key", "weights", "--groups", "groups.csv", "--bins", "5"),
    ("evaluate", "p.parquet", "--counts", "counts.csv"),
    ("evaluate", "p.csv"),
    ("evaluate", "p.csv", "--fail-if", "micro_error > 10%", "--exit-zero"),
    ("compare", "val.npz", "test.npz", "--counts", "counts.csv", "--draws", "10"),
    ("compare", "val.npz", "test.npz", "--counts", "counts.csv", "--draws", "10", "--head",
     "head.npz"),
    ("compare", "p.parquet", "q0.parquet"),
    ("compare", "p.parquet", "q0.parquet", "--counts", "counts.csv", "--fail-if",
     "balanced_error > 99%"),
    ("env",),
]  # fmt: skip


def check(command: str, found: dict[str, Any]) -> None:
    """The output is what the schema says."""
    faults = list(Draft202012Validator(schema(command)).iter_errors(found))
    assert not faults, "\n".join(f"{one.json_path}: {one.message}" for one in faults)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small world with a calibration, predictions, and files that lack something."""
    folder = write_world(tmp_path_factory.mktemp("world"))
    test = world(seed=1)
    gap = test.labels != 2
    with contextlib.chdir(folder):
        np.savez("bare.npz", logits=test.logits)
        np.savez("gap.npz", logits=test.logits[gap], labels=test.labels[gap])
        weights = np.linspace(1, 3, test.labels.size)
        np.savez("test.npz", logits=test.logits, labels=test.labels, weights=weights,
                 ids=np.arange(test.labels.size))  # fmt: skip
        Path("groups.csv").write_text("class,group\n0,front\n1,front\n2,back\n3,back\n4,back\n")
        Path("p.csv").write_text("label,prediction\n0,0\n0,1\n1,1\n3,2\n")
        tune = ("tune-tau", "val.npz", "--counts", "counts.csv", "--draws", "10", "-o", "c.json")
        tuned, given = ("--calibration", "c.json"), ("--tau", "0", "--counts", "counts.csv")
        for line in (
            tune,
            ("adjust", "test.npz", *tuned, "--write-scores", "probs", "-o", "p.parquet"),
            ("adjust", "test.npz", *given, "-o", "q0.parquet"),
        ):
            assert lacal(*line) == 0
    return folder


@pytest.fixture
def made(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, which is the current folder."""
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("line", LINES, ids=" ".join)
def test_what_a_command_prints(
    made: Path, capfd: pytest.CaptureFixture[str], line: tuple[str, ...]
) -> None:
    found = json_of(capfd, *line)
    check(line[0], found)
    assert found["command"] == line[0]


def test_what_a_fitted_method_gives(made: Path, capfd: pytest.CaptureFixture[str]) -> None:
    keep = ("--draws", "10", "--keep", "vector-scaling", "-o", "k.json")
    compare = ("compare", "val.npz", "test.npz", "--counts", "counts.csv", *keep)
    check("compare", json_of(capfd, *compare))
    adjust = ("adjust", "test.npz", "--calibration", "k.json", "-o", "q.parquet")
    check("adjust", json_of(capfd, *adjust, "--fit-temperature", "val.npz"))
    check("evaluate", json_of(capfd, "evaluate", "test.npz", "--calibration", "k.json"))


def test_what_a_model_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("PIL")
    for one in FASHION.iterdir():
        shutil.copy(one, tmp_path / one.name)
    monkeypatch.chdir(tmp_path)
    infer = ("infer", "model.onnx", "val.parquet", "--scale", "1/255", "--limit", "300")
    check("infer", json_of(capfd, *infer, "-o", "logits.parquet"))
    tune = ("tune-tau", "logits.parquet", "--counts", "counts.csv", "--draws", "10")
    check("tune-tau", json_of(capfd, *tune, "-o", "c.json"))
    export = ("export", "model.onnx", "--calibration", "c.json", "-o", "adjusted.onnx")
    check("export", json_of(capfd, *export))
    check("inspect", json_of(capfd, "inspect", "logits.parquet"))


def test_what_training_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    for name in ("train", "val", "test"):
        labels = np.arange(60) % 3
        x = (generator.normal(size=(60, 4)) + 2 * np.eye(4)[labels]).astype(np.float32)
        np.savez(f"{name}.npz", x=x, labels=labels)
    quick = ("--network", "linear", "--epochs", "1", "--device", "cpu", "--threads", "1")
    line = ("train", "train.npz", "--val", "val.npz", *quick)
    check("train", json_of(capfd, *line, "-o", "run"))
    more = ("--test", "test.npz", "--loss", "logit-adjusted")
    check("train", json_of(capfd, *line, *more, "-o", "second"))
    check("inspect", json_of(capfd, "inspect", "run/val_logits.parquet"))


# The schemas themselves


def test_every_command_that_prints_json_has_a_schema() -> None:
    printing = [name for name in COMMANDS
                if any(param.name == "json" for param in command_named(name).params)]  # fmt: skip
    assert sorted(printing) == commands()
    with pytest.raises(KeyError):
        schema("common")


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every schema in a schema that lists properties."""
    if isinstance(value, dict):
        if "properties" in value and value.get("type") == "object":
            yield value
        for one in value.values():
            yield from objects(one)
    elif isinstance(value, list):
        for one in value:
            yield from objects(one)


@pytest.mark.parametrize("name", commands())
def test_a_schema_is_valid_closed_and_needs_nothing_else(name: str) -> None:
    one = schema(name)
    Draft202012Validator.check_schema(one)
    assert one["$defs"]["schema_version"]["const"] == SCHEMA_VERSION
    assert "common.json" not in str(one)
    for inner in objects(one):
        if "if" in inner:  # tells two shapes apart, each of which is closed
            continue
        assert inner["additionalProperties"] is False
        optional = {"training"} if "model_sha256" in inner["properties"] else set()
        assert set(inner["required"]) | optional == set(inner["properties"])


def test_a_field_that_goes_comes_or_changes_is_seen(
    made: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    found = json_of(capfd, *LINES[7])
    valid = Draft202012Validator(schema("adjust")).is_valid
    assert valid(found)
    for name in found:
        less = {key: value for key, value in found.items() if key != name}
        assert not valid(less), name
    assert not valid({**found, "extra": 1})
    assert not valid({**found, "schema_version": 2})
    for path in (("temperature", "after"), ("adjusted", "balanced_error"), ("gain",)):
        worse = copy.deepcopy(found)
        inner = worse
        for key in path:
            inner = inner[key]
        inner["more"] = None
        assert not valid(worse), path
    worse = copy.deepcopy(found)
    worse["adjusted"]["balanced_error"]["value"] = 1.5
    assert not valid(worse)
