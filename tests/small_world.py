"""A small long-tailed problem, its files, and the command line run in this process."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lacal.cli.main import run

NAMES = ("cat", "dog", "emu", "fox", "gnu")
COUNTS = (500, 120, 60, 25, 6)


@dataclasses.dataclass(frozen=True)
class World:
    """Rows whose rarer classes are under-predicted, as a model trained on `counts` would."""

    logits: NDArray[np.float32]
    labels: NDArray[np.int64]
    counts: NDArray[np.int64]
    names: tuple[str, ...]


def world(rows: int = 60, seed: int = 0, shift: float = 1.0) -> World:
    generator = np.random.default_rng(seed)
    labels = np.arange(rows) % len(COUNTS)
    logits = generator.normal(size=(rows, len(COUNTS)))
    logits[np.arange(rows), labels] += 1.5
    logits += shift * np.log(np.array(COUNTS) / sum(COUNTS))
    return World(logits.astype(np.float32), labels, np.array(COUNTS), NAMES)


def write_world(folder: Path) -> Path:
    """val.npz, test.npz, counts.csv and head.npz; the folder itself."""
    for name, seed in (("val", 0), ("test", 1)):
        split = world(seed=seed)
        ids = np.array([f"{name}-{i}" for i in range(len(split.labels))])
        np.savez(folder / f"{name}.npz", logits=split.logits, labels=split.labels, ids=ids)
    rows = "".join(f"{name},{count}\n" for name, count in zip(NAMES, COUNTS, strict=True))
    (folder / "counts.csv").write_text("class,count\n" + rows)
    weight = np.random.default_rng(2).normal(size=(len(COUNTS), 7))
    np.savez(folder / "head.npz", weight=weight, bias=np.linspace(-1, 1, len(COUNTS)))
    return folder


def lacal(*arguments: object) -> int:
    """The exit code of a command line."""
    return run([str(one) for one in arguments])


def json_of(capfd: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    """The JSON a command line prints; anything else on stdout fails."""
    capfd.readouterr()
    assert lacal(*arguments, "--json") == 0, capfd.readouterr().err

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} in JSON")

    value: dict[str, Any] = json.loads(capfd.readouterr().out, parse_constant=refuse)
    assert value["schema_version"] == 1
    return value


def refusal(capfd: pytest.CaptureFixture[str], *arguments: object, code: int = 2) -> str:
    """The one sentence on stderr of a command line that is refused; stdout stays empty."""
    capfd.readouterr()
    assert lacal(*arguments) == code, capfd.readouterr()
    out, err = capfd.readouterr()
    assert out == ""
    assert "Traceback" not in err
    sentences = [line for line in err.splitlines() if line.startswith("Error: ")]
    assert len(sentences) == 1, err
    return sentences[0]
