"""Parts of one folder that were made otherwise than each other are refused, and never read as one model's."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lacal.trained import KEY
from tests.records import record
from tests.small_world import json_of, lacal, refusal, world

Capture = pytest.CaptureFixture[str]

PLAIN = {
    "adjusted": False,
    "split": "val",
    KEY: record(loss="softmax", carries="nothing", weights="w").json(),
}
CORRECTED = {**PLAIN, KEY: record(carries="prior", weights="v").json()}


def parts(folder: Path, *notes: Any, key: str = "lacal.inference") -> Path:
    """A folder of parts with these notes, as text or JSON values; None for none."""
    (folder / "parts").mkdir()
    for number, note in enumerate(notes):
        split = world(seed=number)
        table = pa.table({"label": split.labels, "logits": list(split.logits)})
        text = note if isinstance(note, str) else json.dumps(note)
        table = table.replace_schema_metadata(None if note is None else {key: text})
        pq.write_table(table, folder / "parts" / f"p-{number}.parquet")
    return folder / "parts"


@pytest.mark.parametrize("turned", [False, True])
def test_logits_of_two_models(folder: Path, capfd: Capture, turned: bool) -> None:
    """Whichever comes first: its record alone would speak for both."""
    path = parts(folder, *((CORRECTED, PLAIN) if turned else (PLAIN, CORRECTED)))
    for line in (("tune-tau", path, "--counts", folder / "counts.csv"), ("evaluate", path)):
        assert refusal(capfd, *line) == (
            f"Error: {path}/p-1.parquet: its logits come from another model than those of {path}/p-0.parquet "
            "('lacal.inference' in their metadata); expected parts of one model; put those of each into a folder of "
            "their own"
        )


@pytest.mark.parametrize("known", [0, 1])
def test_logits_that_may_be_of_two_models(folder: Path, capfd: Capture, known: int) -> None:
    path = parts(folder, *((PLAIN, None) if known == 0 else (None, PLAIN)))
    assert refusal(capfd, "evaluate", path) == (
        f"Error: {path}/p-{1 - known}.parquet: does not say how its logits were made ('lacal.inference' in its "
        f"metadata), as {path}/p-{known}.parquet does; expected parts of one model; put those of each into a folder of "
        "their own"
    )


@pytest.mark.parametrize(
    "notes",
    [
        (PLAIN, {**PLAIN, "split": "test", "batch_size": 3}, PLAIN),
        (PLAIN, {**PLAIN, "model_sha256": "of the export", "output": "logits"}),
        (None, "[]"),
        ("another", "tool"),
    ],
)
def test_logits_of_one_model(folder: Path, capfd: Capture, notes: tuple[Any, ...]) -> None:
    path = parts(folder, *notes)
    line = ("tune-tau", path, "--counts", folder / "counts.csv", "--draws", 10)
    assert json_of(capfd, *line)["rows"] == 60 * len(notes)


@pytest.mark.parametrize("first", [None, {"temperature": 1.0}])
def test_probabilities_that_mean_another_thing(folder: Path, capfd: Capture, first: Any) -> None:
    path = folder / "parts"
    path.mkdir()
    for number, note in enumerate((first, {"temperature": 2.0})):
        table = pa.table(
            {"label": [0, 1], "prediction": [0, 0], "adjusted_logits": [[2.0, 1.0]] * 2}
        )
        said = None if note is None else {"probabilities": json.dumps(note)}
        pq.write_table(table.replace_schema_metadata(said), path / f"p-{number}.parquet")
    assert refusal(capfd, "evaluate", path) == (
        f"Error: {path}/p-1.parquet: says otherwise than {path}/p-0.parquet what its probabilities are "
        "('probabilities' in its metadata, which lacal adjust writes); expected parts of one adjustment; put those of "
        "each into a folder of their own"
    )


@pytest.mark.parametrize(
    "spoilt", ['"\\ud800"', '["\\udfff"]', '{"\\ud800": 1}', '{"loss": "\\ud800"}', "1e999"]
)
@pytest.mark.parametrize("name", [KEY, "model", "inputs"])
def test_a_note_that_no_other_file_could_hold(
    folder: Path, capfd: Capture, name: str, spoilt: str
) -> None:
    """It goes into calibrations, reports and JSON."""
    path = parts(folder, f'{{"adjusted": false, "{name}": {spoilt}}}')
    out = folder / "spoilt.json"
    tune = ("tune-tau", path, "--counts", folder / "counts.csv", "--draws", 10, "-o", out)
    for line in (("inspect", path), tune):
        message = refusal(capfd, *line)
        assert message.startswith(f"Error: {path}: its note of how the logits were made holds")
    assert not out.exists()


def test_a_calibration_of_another_run_is_noticed(folder: Path, capfd: Capture) -> None:
    """Logits that `lacal train` stored name no model file: the weights tell their networks apart."""
    out = folder / "of_run.json"
    for number, weights in enumerate(("v", "w")):
        split, said = world(seed=number), {KEY: record(carries="nothing", weights=weights).json()}
        note = np.array(json.dumps(said))
        path = folder / f"{weights}.npz"
        np.savez(path, logits=split.logits, labels=split.labels, inference=note)
    counts = ("--counts", folder / "counts.csv")
    assert lacal("tune-tau", folder / "v.npz", *counts, "--draws", 10, "-o", out) == 0
    warned = json_of(capfd, "evaluate", folder / "w.npz", "--calibration", out)["warnings"]
    assert any("tuned on the logits of another model file" in one for one in warned)
