"""The same logits through every format, layout and batch size: one predictions file per precision."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather as pa_feather
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from lacal import pipeline
from lacal.calibration import calibration_of
from lacal.classes.prior import LabelPrior
from lacal.methods import METHODS, ClassStatistics
from lacal.pipeline.predictions import PredictionColumns
from lacal.rows.logits_source import SourceOptions, open_source

ROWS, CLASSES = 517, 7
LABELS = np.arange(ROWS) % CLASSES
COUNTS = np.array([900, 300, 90, 60, 20, 9, 3])
Logits = NDArray[Any]
Writer = Callable[[Path, Logits], Path]


def logits_of(precision: str) -> Logits:
    """Coarse enough to tie now and then."""
    return np.random.default_rng(3).normal(size=(ROWS, CLASSES)).round(2).astype(precision)


def npy(**layout: Any) -> Writer:
    def write(folder: Path, logits: Logits) -> Path:
        if layout.get("swapped"):
            logits = logits.astype(logits.dtype.newbyteorder(">"))
        np.save(folder / "a.npy", np.asarray(logits, order=layout.get("order", "C")))
        np.save(folder / "labels.npy", LABELS)
        return folder / "a.npy"

    return write


def npz(save: Any) -> Writer:
    def write(folder: Path, logits: Logits) -> Path:
        save(folder / "a.npz", logits=np.asfortranarray(logits), labels=LABELS)
        return folder / "a.npz"

    return write


def npz_swapped(folder: Path, logits: Logits) -> Path:
    np.savez(folder / "a.npz", logits=logits.astype(logits.dtype.newbyteorder(">")), labels=LABELS)
    return folder / "a.npz"


def lists(kind: str, logits: Logits) -> Any:
    value = pa.from_numpy_dtype(logits.dtype)
    match kind:
        case "list":
            return pa.table({"logits": pa.array(list(logits), pa.list_(value)), "label": LABELS})
        case "large list":
            return pa.table(
                {"logits": pa.array(list(logits), pa.large_list(value)), "label": LABELS}
            )
        case "tensor":
            tensors = pa.FixedShapeTensorArray.from_numpy_ndarray(np.ascontiguousarray(logits))
            return pa.table({"logits": tensors, "label": LABELS})
        case "fixed":
            flat = pa.array(np.ascontiguousarray(logits).ravel())
            fixed = pa.FixedSizeListArray.from_arrays(flat, CLASSES)
            return pa.table({"logits": fixed, "label": LABELS})
        case _:
            columns = {f"logit_{j}": logits[:, j] for j in range(CLASSES)}
            return pa.table({"label": LABELS, **columns})


def parquet(kind: str, **options: Any) -> Writer:
    def write(folder: Path, logits: Logits) -> Path:
        pq.write_table(lists(kind, logits), folder / "a.parquet", **options)
        return folder / "a.parquet"

    return write


def arrow(kind: str, stream: bool) -> Writer:
    def write(folder: Path, logits: Logits) -> Path:
        table = lists(kind, logits)
        new = pa.ipc.new_stream if stream else pa.ipc.new_file
        with new(str(folder / "a.arrow"), table.schema) as writer:
            writer.write_table(table, 100)
        return folder / "a.arrow"

    return write


def feather(folder: Path, logits: Logits) -> Path:
    pa_feather.write_feather(lists("fixed", logits), folder / "a.feather", compression="zstd")
    return folder / "a.feather"


def csv(folder: Path, logits: Logits) -> Path:
    head = ",".join(["label", *(f"logit_{j}" for j in range(CLASSES))])
    rows = zip(LABELS.tolist(), logits.tolist(), strict=True)
    lines = [",".join([str(label), *map(repr, row)]) for label, row in rows]
    (folder / "a.csv").write_text("\n".join([head, *lines]) + "\n")
    return folder / "a.csv"


def safetensors(folder: Path, logits: Logits) -> Path:
    arrays = {"logits": np.ascontiguousarray(logits), "labels": LABELS}
    save_file(arrays, folder / "a.safetensors")
    return folder / "a.safetensors"


def pt(folder: Path, logits: Logits) -> Path:
    torch = pytest.importorskip("torch")
    tensor = torch.tensor(np.ascontiguousarray(logits.T)).T  # not contiguous
    torch.save({"logits": tensor, "labels": torch.tensor(LABELS)}, folder / "a.pt")
    return folder / "a.pt"


def parts(folder: Path, logits: Logits) -> Path:
    (folder / "parts").mkdir()
    table = lists("fixed", logits)
    for number, start in enumerate(range(0, ROWS, 47)):
        pq.write_table(table.slice(start, 47), folder / "parts" / f"part-{number}.parquet")
    return folder / "parts"


def glob(folder: Path, logits: Logits) -> Path:
    return parts(folder, logits) / "*.parquet"


WRITERS: dict[str, Writer] = {
    "npy": npy(),
    "npy Fortran order": npy(order="F"),
    "npy big-endian": npy(swapped=True),
    "npy big-endian Fortran order": npy(swapped=True, order="F"),
    "npz": npz(np.savez),
    "npz compressed": npz(np.savez_compressed),
    "npz big-endian": npz_swapped,
    "parquet list snappy": parquet("list", compression="snappy"),
    "parquet large list none": parquet("large list", compression="none"),
    "parquet fixed zstd groups": parquet("fixed", compression="zstd", row_group_size=31),
    "parquet columns gzip": parquet("columns", compression="gzip", row_group_size=200),
    "parquet columns lz4": parquet("columns", compression="lz4", use_dictionary=False),
    "parquet list brotli v2": parquet("list", compression="brotli", data_page_version="2.0"),
    "parquet tensor": parquet("tensor", compression="zstd"),
    "parquet large list lz4": parquet("large list", compression="lz4"),
    "parquet fixed brotli groups": parquet("fixed", compression="brotli", row_group_size=1),
    "arrow file": arrow("list", stream=False),
    "arrow file large list": arrow("large list", stream=False),
    "arrow stream fixed": arrow("fixed", stream=True),
    "arrow stream": arrow("columns", stream=True),
    "feather": feather,
    "csv": csv,
    "safetensors": safetensors,
    "pt": pt,
    "parts": parts,
    "glob": glob,
}


def prediction_hash(folder: Path, path: Path, batch: int | None = None, method: int = 0) -> str:
    """SHA-256 of the predictions file."""
    name = list(METHODS)[method]
    prior = LabelPrior(COUNTS)
    statistics = ClassStatistics(prior.log_prior, np.linspace(1, 3, CLASSES), np.ones(CLASSES))
    recipe = calibration_of(
        name, 0.8, prior, statistics, select="given", scores="logits", tuned_on=None
    )
    labels = folder / "labels.npy" if path.suffix == ".npy" else None
    options = SourceOptions(labels=labels, rows_per_batch=batch)
    source = open_source(path, options, shift_blind=method == 0)
    output = folder / "predictions.parquet"
    columns = PredictionColumns(top_k=3, scores="logits")
    done = pipeline.adjust(source, recipe, output, columns)
    assert done.found.rows == ROWS
    assert done.found.tally.support.sum() == ROWS
    return hashlib.sha256(output.read_bytes()).hexdigest()


@pytest.fixture(scope="module", params=["f2", "f4", "f8"])
def expected(request: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Logits, str]:
    """Logits of one precision, and the hash they must give; text carries them exactly."""
    folder = tmp_path_factory.mktemp("expected")
    logits = logits_of(request.param)
    return logits, prediction_hash(folder, npy()(folder, logits))


@pytest.mark.parametrize("writer", WRITERS)
def test_one_hash_per_precision(tmp_path: Path, expected: tuple[Logits, str], writer: str) -> None:
    logits, wanted = expected
    path = WRITERS[writer](tmp_path, logits)
    for batch in (None, 64):
        assert prediction_hash(tmp_path, path, batch) == wanted, batch


@pytest.mark.parametrize("method", range(len(METHODS)))
def test_the_batch_size_changes_no_byte(
    tmp_path: Path, method: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lacal.pipeline.predictions.GROUP_ROWS", 256)  # three row groups
    path = npy()(tmp_path, logits_of("f4"))
    hashes = {prediction_hash(tmp_path, path, batch, method) for batch in (1, 7, 256, ROWS, None)}
    assert len(hashes) == 1
    assert pq.ParquetFile(tmp_path / "predictions.parquet").num_row_groups == 3


def test_precisions_do_differ(tmp_path: Path) -> None:
    """Or the test above would compare nothing."""
    hashes = {
        prediction_hash(tmp_path, npy()(tmp_path, logits_of(kind))) for kind in ("f2", "f4", "f8")
    }
    assert len(hashes) == 3


def test_the_predictions_are_those_of_the_formula(tmp_path: Path) -> None:
    logits = logits_of("f8")
    prediction_hash(tmp_path, npy()(tmp_path, logits))
    table = pq.read_table(tmp_path / "predictions.parquet").to_pydict()
    adjusted = logits - 0.8 * np.log(COUNTS / COUNTS.sum())
    assert table["prediction"] == adjusted.argmax(axis=1).tolist()
    assert table["unadjusted_prediction"] == logits.argmax(axis=1).tolist()
    assert table["label"] == LABELS.tolist()
    assert table["id"] == list(range(ROWS))
    softmax = np.exp(adjusted) / np.exp(adjusted).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(table["confidence"], softmax.max(axis=1), rtol=1e-12)
    best = np.argsort(-adjusted, axis=1, kind="stable")[:, :3]
    assert table["top_predictions"] == best.tolist()
    np.testing.assert_allclose(table["adjusted_logits"], adjusted, rtol=1e-6, atol=1e-6)
    changed = adjusted.argmax(axis=1) != logits.argmax(axis=1)
    assert table["changed"] == changed.tolist()
