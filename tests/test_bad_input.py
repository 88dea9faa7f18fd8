"""Bad input -> exit code 2, one sentence that names file and fault, and nothing written.

One table: each way to spoil something is a small function that returns the file at fault and the command
line. Damage inside single formats is in `tests/formats/test_spoiled.py`; what the system does to a run
(full disk, signals, closed pipes) is below the table.
"""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from tests.small_world import NAMES, json_of, lacal, refusal, world

CommandLine = list[object]
Spoil = Callable[[Path], tuple[Path, CommandLine]]
VAL = world()
FIVE = [5.0, 4.0, 3.0, 2.0, -1.0]
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 123\n"
HTML = b"<!DOCTYPE html>\n<html><title>404 Not Found</title></html>\n"
HEADER = "label,logit_cat,logit_dog,logit_emu,logit_fox,logit_gnu\n"


def tune(path: Path, *more: object, counts: str = "counts.csv") -> CommandLine:
    return ["tune-tau", path, "--counts", path.parent / counts, *more]


def changed(at: tuple[int, int], value: float, dtype: str = "f4") -> NDArray[Any]:
    logits = VAL.logits.astype(dtype)
    logits[at] = value
    return logits


def label_at(row: int, value: float) -> NDArray[Any]:
    labels = VAL.labels.astype(np.float64 if value % 1 else np.int64)
    labels[row] = value
    return labels


def softmax(logits: NDArray[Any]) -> NDArray[Any]:
    scores = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(scores / scores.sum(axis=1, keepdims=True))


def source_of(name: str, data: bytes) -> Spoil:
    """A source of these bytes."""

    def spoil(folder: Path) -> tuple[Path, CommandLine]:
        (folder / name).write_bytes(data)
        return folder / name, tune(folder / name)

    return spoil


def npz_of(*more: object, **arrays: Any) -> Spoil:
    """val.npz with some arrays replaced, and more options."""

    def spoil(folder: Path) -> tuple[Path, CommandLine]:
        path = folder / "val.npz"
        np.savez(path, **{"logits": VAL.logits, "labels": VAL.labels, **arrays})
        return path, tune(path, *more)

    return spoil


def npy_with_labels(labels: Any, *more: object) -> Spoil:
    def spoil(folder: Path) -> tuple[Path, CommandLine]:
        np.save(folder / "val.npy", VAL.logits)
        np.save(folder / "labels.npy", labels)
        line = tune(folder / "val.npy", "--labels", folder / "labels.npy", *more)
        return folder / "labels.npy", line

    return spoil


def parquet_of(lists: Any) -> Spoil:
    def spoil(folder: Path) -> tuple[Path, CommandLine]:
        path = folder / "val.parquet"
        pq.write_table(pa.table({"logits": lists, "label": [0, 1, 2]}), path)
        return path, tune(path)

    return spoil


def counts_of(name: str, text: str, *more: object) -> Spoil:
    """A counts file of this text."""

    def spoil(folder: Path) -> tuple[Path, CommandLine]:
        (folder / name).write_text(text)
        return folder / name, tune(folder / "val.npz", *more, counts=name)

    return spoil


def head_of(**arrays: Any) -> Spoil:
    def spoil(folder: Path) -> tuple[Path, CommandLine]:
        np.savez(folder / "head.npz", allow_pickle=False, **arrays)
        line = tune(folder / "val.npz", "--method", "weight-norm", "--head", folder / "head.npz")
        return folder / "head.npz", line

    return spoil


def truncated(name: str) -> Spoil:
    """A well-written file that lost its end."""

    def spoil(folder: Path) -> tuple[Path, CommandLine]:
        path = folder / name
        match path.suffix:
            case ".npy":
                np.save(path, VAL.logits)
            case ".npz":
                np.savez(path, logits=VAL.logits, labels=VAL.labels)
            case ".pt":
                torch = pytest.importorskip("torch")
                torch.save({"logits": torch.tensor(VAL.logits)}, path)
            case ".parquet":
                pq.write_table(pa.table({"logits": list(VAL.logits), "label": VAL.labels}), path)
            case ".csv":
                path.write_text(HEADER + "0,1,2,3,4,5\n" * 3)
            case _:
                with pa.OSFile(str(path), "wb") as sink:
                    table = pa.table({"logits": list(VAL.logits), "label": VAL.labels})
                    with pa.ipc.new_file(sink, table.schema) as writer:
                        writer.write_table(table)
        path.write_bytes(path.read_bytes()[: -40 if path.suffix != ".csv" else -5])
        return path, tune(path)

    return spoil


def object_array(folder: Path) -> tuple[Path, CommandLine]:
    np.save(folder / "val.npy", np.array([[1, None]]), allow_pickle=True)
    return folder / "val.npy", tune(folder / "val.npy")


def pickled_object_in_pt(folder: Path) -> tuple[Path, CommandLine]:
    pytest.importorskip("torch").save({"logits": VAL.logits}, folder / "val.pt")
    return folder / "val.pt", tune(folder / "val.pt")


def missing_file(folder: Path) -> tuple[Path, CommandLine]:
    return folder / "vall.npz", tune(folder / "vall.npz")


def folder_of_nothing(folder: Path) -> tuple[Path, CommandLine]:
    (folder / "parts").mkdir()
    line: CommandLine = ["tune-tau", folder / "parts", "--counts", folder / "counts.csv"]
    return folder / "parts", line


def no_rows(folder: Path) -> tuple[Path, CommandLine]:
    return npz_of(logits=np.empty((0, 5)), labels=np.empty(0, int))(folder)


def fault_in_a_later_batch(folder: Path) -> tuple[Path, CommandLine]:
    logits = np.zeros((500_000, 5), np.float16)
    logits[:, 0] = 3
    logits[450_000, 2] = np.nan
    np.save(folder / "long.npy", logits)
    recipe = ("--counts", folder / "counts.csv", "--tau", 1)
    return folder / "long.npy", ["adjust", folder / "long.npy", *recipe]


def other_labels_length_later(folder: Path) -> tuple[Path, CommandLine]:
    """A CSV does not say beforehand how many rows it holds."""
    (folder / "val.csv").write_text(HEADER.removeprefix("label,") + "1,2,3,4,5\n" * 9)
    np.save(folder / "labels.npy", np.arange(8) % 5)
    line = tune(folder / "val.csv", "--labels", folder / "labels.npy")
    return folder / "labels.npy", line


def names_in_another_order(folder: Path) -> tuple[Path, CommandLine]:
    names = np.array(["dog", "cat", *NAMES[2:]])
    _, line = npz_of(class_names=names)(folder)
    return folder / "counts.csv", line


def other_names(folder: Path) -> tuple[Path, CommandLine]:
    _, line = npz_of(class_names=np.array(["cow", *NAMES[1:]]))(folder)
    return folder / "counts.csv", line


def columns_in_text_order(folder: Path) -> tuple[Path, CommandLine]:
    columns = sorted(f"logit_{j}" for j in range(12))
    path = folder / "val.csv"
    path.write_text("label," + ",".join(columns) + "\n" + "0" + ",1.5" * 12 + "\n")
    return path, tune(path)


def counts_missing(folder: Path) -> tuple[Path, CommandLine]:
    return folder / "none.csv", tune(folder / "val.npz", counts="none.csv")


def adjusted_twice(folder: Path) -> tuple[Path, CommandLine]:
    path = folder / "adjusted.parquet"
    recipe = ("--counts", folder / "counts.csv", "--tau", 1)
    assert lacal("adjust", folder / "val.npz", *recipe, "-o", path, "--write-scores", "logits") == 0
    return path, ["adjust", path, *recipe]


def calibration_of_other_classes(folder: Path) -> tuple[Path, CommandLine]:
    path = folder / "calibration.json"
    assert lacal(*tune(folder / "val.npz"), "--draws", 10, "-o", path) == 0
    np.savez(folder / "other.npz", logits=VAL.logits[:, :4])
    return folder / "other.npz", ["adjust", folder / "other.npz", "--calibration", path]


def calibration_that_is_none(folder: Path) -> tuple[Path, CommandLine]:
    (folder / "c.json").write_text('{"a": 1}')
    return folder / "c.json", ["adjust", folder / "test.npz", "--calibration", folder / "c.json"]


TEXT_KEYS = json.dumps(dict.fromkeys(sorted(str(j + 1) for j in range(12)), 5))
LOG_PROBS = np.log(softmax(VAL.logits.astype(np.float64)))
SIGMOID = 1 / (1 + np.exp(-VAL.logits))
COUNT_OF_GNU = "class,count\ncat,500\ndog,120\nemu,60\nfox,25\ngnu,{}\n"
WEIGHT = np.ones((5, 3))

TABLE: dict[str, tuple[Spoil, str]] = {
    # files
    "missing": (missing_file, "there is no such file"),
    "empty": (source_of("a.npz", b""), "is empty (0 bytes)"),
    "truncated npy": (truncated("a.npy"), "it was cut off"),
    "truncated npz": (truncated("a.npz"), "is a damaged zip file"),
    "truncated pt": (truncated("a.pt"), "damaged"),
    "truncated parquet": (truncated("a.parquet"), "its writer was probably interrupted"),
    "truncated arrow": (truncated("a.arrow"), "cannot be read"),
    "truncated csv": (truncated("a.csv"), "line 4 has 4 cells; expected 6"),
    "wrong magic": (source_of("a.npy", b"hello, world"), "is of no format that lacal knows"),
    "unknown suffix": (source_of("a.xyz", b"1 2 3\n"), "is of no format that lacal knows"),
    "lfs pointer": (source_of("a.parquet", LFS), "is a Git LFS pointer, not the data"),
    "html page": (source_of("a.npz", HTML), "is an HTML or XML page, not data"),
    "pickle": (source_of("a.pkl", pickle.dumps([1])), "lacal never unpickles"),
    "object array": (object_array, "holds Python objects; lacal never unpickles"),
    "pickled array in pt": (pickled_object_in_pt, "save tensors only"),
    "folder without parts": (folder_of_nothing, "holds no parts"),
    "no rows": (no_rows, "holds no rows; expected at least one"),
    # logits
    "ragged lists": (
        parquet_of([FIVE, [1.0], FIVE]),
        "has 1 values in row 1; expected 5",
    ),
    "null list": (parquet_of([FIVE, None, FIVE]), "(null) in row 1"),
    "null in a list": (parquet_of([FIVE, FIVE, [None, *FIVE[1:]]]), "(null) value in row 2"),
    "text for a number": (
        source_of("a.csv", (HEADER + "0,1,2,3,4,5\n0,1,oops,3,4,5\n").encode()),
        "line 3 has 'oops' in column 'logit_dog'",
    ),
    "NaN": (
        npz_of(logits=changed((7, 2), np.nan)),
        "row 7, class 2 is NaN; expected finite logits",
    ),
    "infinity": (npz_of(logits=changed((7, 2), -np.inf)), "row 7, class 2 is -inf"),
    "float16 overflow": (
        npz_of(logits=changed((7, 2), np.inf, "f2")),
        "stores float16, which overflows above 65504; save float32",
    ),
    "NaN in a later batch": (fault_in_a_later_batch, "row 450000, class 2 is NaN"),
    "probabilities": (npz_of(logits=softmax(VAL.logits)), "look like probabilities"),
    "sigmoids": (npz_of(logits=SIGMOID), "rows do not sum to 1, as sigmoid outputs do"),
    "log-probs for division": (
        npz_of("--method", "prior-division", logits=LOG_PROBS),
        "look like log-probabilities; this method divides logits",
    ),
    "declared log-probs for division": (
        npz_of("--method", "prior-division", "--scores", "log-probs", logits=LOG_PROBS),
        "this method divides logits",
    ),
    "logits called probs": (npz_of("--scores", "probs"), "row 0 is no probability vector"),
    "probability 0": (
        npz_of("--scores", "probs", logits=np.eye(5)[VAL.labels]),
        "class 1 has probability exactly 0",
    ),
    "logits of one dimension": (
        npz_of(logits=VAL.logits[:, 0]),
        "found no logits: expected a field of two dimensions",
    ),
    "logits of three dimensions": (npz_of(logits=VAL.logits[:, :, None]), "has shape (60, 5, 1)"),
    "a single class": (npz_of(logits=VAL.logits[:, :1]), "has 1 class, expected at least 2"),
    "adjusted already": (adjusted_twice, "is adjusted already"),
    "columns sorted as text": (columns_in_text_order, "sorted as text?"),
    # labels
    "no labels": (
        source_of("a.csv", (HEADER.removeprefix("label,") + "1,2,3,4,5\n").encode()),
        "has no labels",
    ),
    "label too large": (npz_of(labels=label_at(9, 7)), "row 9 has label 7, expected 0..4"),
    "labels from 1": (npz_of(labels=VAL.labels + 1), "if the labels run 1..5, subtract 1 first"),
    "label negative": (npz_of(labels=label_at(9, -1)), "row 9 has label -1, expected 0..4"),
    "ignore value": (npz_of(labels=label_at(9, 255)), "say --ignore-label 255"),
    "label fractional": (
        npz_of(labels=label_at(9, 1.5)),
        "row 9 is 1.5, expected a whole class number",
    ),
    "label NaN": (npz_of(labels=label_at(9, np.nan)), "row 9 is nan"),
    "label of unknown name": (
        npz_of(labels=np.array([*NAMES] * 11 + ["cat", "dog", "emu", "foxx", "gnu"])),
        "row 58 is 'foxx', expected one of the 5 class names",
    ),
    "one-hot labels": (npz_of(labels=np.eye(5)[VAL.labels]), "one-hot labels"),
    "fewer labels": (npz_of(labels=VAL.labels[:-1]), "has 59"),
    "more labels in a file": (npy_with_labels(np.zeros(61, int)), "has 61 labels"),
    "fewer labels in a file": (npy_with_labels(np.zeros(59, int)), "has 59 labels"),
    "fewer labels than a csv": (other_labels_length_later, "has 8 labels, fewer than"),
    "one class only": (npz_of(labels=VAL.labels * 0 + 3), "every labelled row is of class fox"),
    "all ignored": (
        npz_of("--ignore-label", 2, labels=VAL.labels * 0 + 2),
        "no row carries a label",
    ),
    "duplicate ids": (
        npz_of(ids=np.array([f"r{i}" for i in range(59)] + ["r7"])),
        "row 59 has the same id as row 7",
    ),
    "duplicate numbers as ids": (npz_of(ids=np.arange(60) // 2), "row 1 has the same id as row 0"),
    "ids of two columns": (
        npz_of(ids=np.ones((60, 2))),
        "of shape (60, 2), so it cannot be the ids",
    ),
    "ids of truth values": (
        npz_of(ids=np.arange(60) > 3),
        "is bool of shape (60), so it cannot be",
    ),
    # counts, names, head
    "counts missing": (counts_missing, "there is no such file"),
    "counts lfs": (counts_of("c.csv", LFS.decode()), "is a Git LFS pointer"),
    "counts html": (counts_of("c.json", HTML.decode()), "is an HTML or XML page"),
    "counts of fewer classes": (counts_of("c.json", "[5, 3, 2]"), "has 3 counts"),
    "count zero": (counts_of("c.csv", COUNT_OF_GNU.format(0)), "have no training example (gnu)"),
    "count negative": (counts_of("c.csv", COUNT_OF_GNU.format(-6)), "count 4 is negative: got -6,"),
    "count fractional": (
        counts_of("c.csv", COUNT_OF_GNU.format(0.5)),
        "count 4 is no whole number",
    ),
    "count NaN": (counts_of("c.csv", COUNT_OF_GNU.format("nan")), "count 4 is not finite"),
    "count NaN in JSON": (counts_of("c.json", "[1, 2, 3, 4, NaN]"), "NaN is no number of JSON"),
    "count of text": (counts_of("c.csv", COUNT_OF_GNU.format("six")), "line 6: the count is 'six'"),
    "keys sorted as text": (counts_of("c.json", TEXT_KEYS), "numbers sorted as text"),
    "class named twice": (
        counts_of("c.csv", COUNT_OF_GNU.format(6).replace("dog", "cat")),
        "class name 'cat' occurs twice",
    ),
    "names in another order": (names_in_another_order, "are in another order"),
    "other names": (other_names, "class 0 is 'cat', but 'cow'"),
    "more names than logits": (
        npz_of(class_names=np.array([*NAMES, "hen"])),
        "has 6 class names and 5 logits a row",
    ),
    "logits' class named twice": (
        npz_of(class_names=np.array([*NAMES[:4], "cat"])),
        "class name 'cat' occurs twice",
    ),
    "head of other classes": (head_of(weight=np.ones((4, 3))), "shape (5, features)"),
    "head transposed": (head_of(weight=np.ones((3, 5))), "looks transposed"),
    "head of zeros": (head_of(weight=np.eye(5)[:, :3]), "norm of class 3 is 0"),
    "head NaN": (head_of(weight=WEIGHT * np.nan), "holds NaN"),
    "bias of other classes": (head_of(weight=WEIGHT, bias=np.ones(4)), "has shape (4,)"),
    "head in another order": (
        head_of(weight=WEIGHT, class_names=np.array(NAMES[::-1])),
        "are in another order",
    ),
    # calibration
    "calibration of other classes": (calibration_of_other_classes, "has 4 classes"),
    "no calibration": (calibration_that_is_none, "is not a calibration file"),
}


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("case", TABLE)
def test_bad_input(folder: Path, capfd: pytest.CaptureFixture[str], case: str) -> None:
    spoil, fragment = TABLE[case]
    culprit, line = spoil(folder)
    output = folder / ("out.parquet" if line[0] == "adjust" else "out.json")
    before = files_in(folder)
    message = refusal(capfd, *line, "-o", output)
    assert message.startswith(f"Error: {culprit}: ")
    assert fragment in message
    assert message.isprintable()
    assert len(message.replace(str(folder), "")) < 420
    assert files_in(folder) == before

    output.write_bytes(b"old")
    assert refusal(capfd, *line, "-o", output, "--force") == message
    assert files_in(folder) == {**before, str(output): b"old"}


@pytest.mark.parametrize("command", ["inspect", "evaluate"])
@pytest.mark.parametrize(
    "case", ["empty", "lfs pointer", "NaN", "probabilities", "label too large"]
)
def test_commands_that_only_read(
    folder: Path, capfd: pytest.CaptureFixture[str], command: str, case: str
) -> None:
    spoil, fragment = TABLE[case]
    culprit, _ = spoil(folder)
    assert fragment in refusal(capfd, command, culprit)


def test_absent_classes_are_allowed_counted_and_named(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    some = VAL.labels < 3
    np.savez(folder / "val.npz", logits=VAL.logits[some], labels=VAL.labels[some])
    line = tune(folder / "val.npz", "--draws", 10)
    assert json_of(capfd, *line)["unadjusted"]["absent_classes"] == [3, 4]
    assert lacal(*line) == 0
    assert (
        "2 of 5 classes have no validation row and do not count: fox, gnu" in capfd.readouterr().err
    )
    assert lacal("evaluate", folder / "val.npz", "--counts", folder / "counts.csv") == 0
    assert "2 of 5 classes have no row and do not count: fox, gnu" in capfd.readouterr().out
    assert lacal("inspect", folder / "val.npz", "--counts", folder / "counts.csv") == 0
    assert "2 of 5 classes have no labelled row: fox, gnu" in capfd.readouterr().out


def test_ignored_labels_are_left_out(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    labels = np.where(np.arange(60) < 10, 255, VAL.labels)
    np.savez(folder / "all.npz", logits=VAL.logits, labels=labels)
    np.savez(folder / "some.npz", logits=VAL.logits[10:], labels=VAL.labels[10:])
    whole = json_of(capfd, "evaluate", folder / "all.npz", "--ignore-label", 255)
    assert (
        whole["balanced_error"] == json_of(capfd, "evaluate", folder / "some.npz")["balanced_error"]
    )
    assert whole["rows"] == 60


def test_masking_and_smoothing_mend_a_zero_count(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "c.csv").write_text(COUNT_OF_GNU.format(0))
    for rule in ("mask", "smooth:1"):
        line = tune(folder / "val.npz", "--zero-count", rule, "--draws", 10, counts="c.csv")
        assert json_of(capfd, *line)["classes"] == 5


def existing(folder: Path) -> Path:
    (folder / "out").write_bytes(b"old")
    return folder / "out"


def a_folder(folder: Path) -> Path:
    return folder


def in_no_folder(folder: Path) -> Path:
    return folder / "none" / "out"


def in_a_file(folder: Path) -> Path:
    return folder / "counts.csv" / "out"


def in_a_folder_that_takes_nothing(folder: Path) -> Path:
    return Path("/proc/self/out")  # also refused to root, who may write to a read-only folder


def the_input(folder: Path) -> Path:
    return folder / "val.npz"


@pytest.mark.parametrize(
    ("output_in", "fragment"),
    [
        (existing, "exists already; add --force"),
        (a_folder, "is a folder; name the file to write"),
        (in_no_folder, "does not exist; create it first"),
        (in_a_file, "is not a folder"),
        (in_a_folder_that_takes_nothing, "cannot be written to"),
        (the_input, "is also an input and would be overwritten"),
    ],
)
def test_outputs(
    folder: Path,
    capfd: pytest.CaptureFixture[str],
    output_in: Callable[[Path], Path],
    fragment: str,
) -> None:
    output = output_in(folder)
    before = files_in(folder)
    message = refusal(capfd, *tune(folder / "val.npz"), "-o", output)
    assert message.startswith(f"Error: {output}: ")
    assert fragment in message
    assert files_in(folder) == before


def test_predictions_are_parquet(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    line = ("adjust", folder / "val.npz", "--counts", folder / "counts.csv", "--tau", 1)
    assert "name a .parquet file" in refusal(capfd, *line, "-o", folder / "out.csv")
    assert "expected at most 5, the classes" in refusal(
        capfd, *line, "-o", folder / "out.parquet", "--top-k", 6
    )
