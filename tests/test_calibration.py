"""The calibration file: an exact round trip, every field checked, and the rows it was tuned on."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lacal import atomic
from lacal import calibration_file as files
from lacal.errors import CalibrationError, LacalError, UsageError
from tests.small_world import NAMES, json_of, lacal, refusal, world

Content = dict[str, Any]


def edited(path: Path, edit: Callable[[Content], object]) -> Path:
    """The file with its content changed by hand."""
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))
    return path


def set_to(name: str, value: Any) -> Callable[[Content], None]:
    """An edit of a field; dots lead inwards."""

    def edit(content: Content) -> None:
        *outer, last = name.split(".")
        for key in outer:
            content = content[key]
        content[last] = value

    return edit


@pytest.mark.parametrize(
    "more",
    [
        (),
        ("--method", "prior-division", "--select", "min"),
        ("--method", "weight-norm", "--head", "head.npz", "--bias", "keep"),
        ("--method", "weight-norm", "--head", "head.npz", "--select", "smoothed"),
        ("--zero-count", "mask", "--counts", "zero.csv"),
        ("--zero-count", "smooth:0.123456789", "--counts", "zero.csv"),
        ("--counts", "unnamed.json"),
    ],
)
def test_a_file_read_and_written_again_is_the_same_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...]
) -> None:
    monkeypatch.chdir(folder)
    (folder / "zero.csv").write_text("class,count\ncat,500\ndog,120\nemu,60\nfox,25\ngnu,0\n")
    (folder / "unnamed.json").write_text("[500, 120, 60, 25, 6]")
    counts = () if "--counts" in more else ("--counts", "counts.csv")
    assert lacal("tune-tau", "val.npz", *counts, "--draws", 10, *more, "-o", "c.json") == 0
    loaded = files.read(folder / "c.json")
    files.write(loaded, folder / "again.json")
    assert (folder / "again.json").read_bytes() == (folder / "c.json").read_bytes()
    assert files.read(folder / "again.json") == loaded
    assert lacal("adjust", "test.npz", "--calibration", "c.json", "-o", "p.parquet") == 0


def test_tuning_twice_writes_the_same_bytes(folder: Path, calibration: Path) -> None:
    line = ("tune-tau", folder / "val.npz", "--counts", folder / "counts.csv", "--draws", 20)
    assert lacal(*line, "-o", folder / "again.json") == 0
    assert (folder / "again.json").read_bytes() == calibration.read_bytes()


NONSENSE: dict[str, tuple[str, Any]] = {
    "format": ("format", "other"),
    "version 0": ("version", 0),
    "version text": ("version", "1"),
    "lacal": ("lacal", 3),
    "method unknown": ("method", "logit-adjustmen"),
    "method other": ("method", "prior-division"),
    "tau other": ("tau", 0.5),
    "tau text": ("tau", "1"),
    "tau null": ("tau", None),
    "tau huge": ("tau", 1e308),
    "select": ("select", "best"),
    "scores": ("scores", "probabilities"),
    "class_names number": ("class_names", [1, 2, 3, 4, 5]),
    "class_names fewer": ("class_names", ["a", "b"]),
    "class_names twice": ("class_names", ["cat", "cat", "emu", "fox", "gnu"]),
    "class_counts fewer": ("class_counts", [500, 120, 60, 25]),
    "class_counts negative": ("class_counts", [500, 120, 60, 25, -6]),
    "class_counts fractional": ("class_counts", [500, 120, 60, 25, 6.5]),
    "class_counts other": ("class_counts", [500, 120, 60, 25, 7]),
    "class_counts zero": ("class_counts", [500, 120, 60, 25, 0]),
    "class_counts huge": ("class_counts", [500, 120, 60, 25, 2**53]),
    "class_counts empty": ("class_counts", []),
    "zero_count": ("zero_count", "sometimes"),
    "bias_rule": ("bias_rule", "forget"),
    "weight_norms": ("weight_norms", [1.0]),
    "weight_norms negative": ("weight_norms", [1.0, 1.0, -1.0, 1.0, 1.0]),
    "weight_norms 0": ("weight_norms", [0.0, 1.0, 1.0, 1.0, 1.0]),
    "weight_norms tiny": ("weight_norms", [1.0, 1e-200, 1.0, 1.0, 1.0]),
    "weight_norms huge": ("weight_norms", [1.0, 1e200, 1.0, 1.0, 1.0]),
    "bias": ("bias", [1.0]),
    "scale fewer": ("scale", [1.0]),
    "scale other": ("scale", [1.0, 1.0, 1.0, 1.0, 2.0]),
    "scale negative": ("scale", [1.0, 1.0, 1.0, 1.0, -1.0]),
    "scale 0": ("scale", [1.0, 1.0, 1.0, 1.0, 0.0]),
    "scale huge": ("scale", [1.0, 1.0, 1.0, 1.0, 1.7e308]),
    "offset masked": ("offset", [0.0, 0.0, 0.0, 0.0, None]),
    "offset text": ("offset", ["a"] * 5),
    "tuned_on text": ("tuned_on", "val"),
    "tuned_on.rows": ("tuned_on.rows", 1.5),
    "tuned_on.labelled": ("tuned_on.labelled", 10**6),
    "tuned_on.classes_present": ("tuned_on.classes_present", 9),
    "tuned_on.digest": ("tuned_on.digest", "xyz"),
    "tuned_on.sketch": ("tuned_on.sketch", ["xyz"]),
    "tuned_on.sketch long": ("tuned_on.sketch", ["0" * 16] * 300),
    "tuned_on.curve": ("tuned_on.curve", [0.5]),
    "tuned_on.balanced_error": ("tuned_on.balanced_error", 1.5),
    "tuned_on.optimum": ("tuned_on.optimum", None),
    "tuned_on.gain": ("tuned_on.gain", {"value": 0.1}),
    "tuned_on.gain crossed": ("tuned_on.gain", {"value": 0.1, "low": 0.5, "high": 0.2}),
    "tuned_on.picks": ("tuned_on.picks", {"shrunk": "1"}),
    "tuned_on.draws": ("tuned_on.draws", -1),
    "versions": ("versions", []),
}


@pytest.mark.parametrize("case", NONSENSE)
def test_nonsense_is_refused_by_the_fields_name(
    folder: Path, calibration: Path, capfd: pytest.CaptureFixture[str], case: str
) -> None:
    name, value = NONSENSE[case]
    edited(calibration, set_to(name, value))
    line = ("adjust", folder / "test.npz", "--calibration", calibration)
    message = refusal(capfd, *line, "-o", folder / "p.parquet")
    assert message.startswith(f"Error: {calibration}: ")
    field = {"method other": "scale", "tau other": "offset", "class_counts other": "offset",
             "class_counts fewer": "scale", "class_counts empty": "scale", "format": "is not a cal",
             "class_counts zero": "training example", "zero_count": "zero-count",
             "scale negative": "scale"}.get(case, name)  # fmt: skip
    assert field in message
    assert not (folder / "p.parquet").exists()


@pytest.mark.parametrize(
    ("spoil", "fragment"),
    [
        (lambda text: text.replace('"tau"', '"tau": 1, "tau"', 1), "a key occurs twice"),
        (lambda text: text.replace('"seed": 0', '"seed": 0, "seed": 1', 1), "a key occurs twice"),
        (lambda text: text.replace('"draws": 20', '"draws": NaN', 1), "NaN is no number of JSON"),
        (lambda text: text.replace('"draws": 20', '"draws": Infinity', 1), "Infinity"),
        (lambda text: text[:-100], "is not JSON that can be read"),
        (lambda text: "[" * 100_000, "is not JSON that can be read"),
        (lambda text: "[]", "is not a calibration file written by lacal tune-tau"),
        (lambda text: "", "is empty"),
        (lambda text: text.replace('"method":', '"note": 3, "method":', 1), "note"),
        (lambda text: text.replace('"rows": 60', '"rows": 60, "file": 1', 1), "file"),
        (lambda text: text.replace('"select": "shrunk",', "", 1), "select"),
    ],
)
def test_spoiled_text_is_refused(
    calibration: Path, spoil: Callable[[str], str], fragment: str
) -> None:
    before = calibration.read_text()
    calibration.write_text(spoil(before))
    assert calibration.read_text() != before
    with pytest.raises(LacalError) as caught:
        files.read(calibration)
    assert fragment in str(caught.value)
    assert str(calibration) in str(caught.value)


def test_a_newer_file_says_what_wrote_it(calibration: Path) -> None:
    def newer(content: Content) -> None:
        content.update(version=3, lacal="9.1.0", invention=True)

    with pytest.raises(CalibrationError, match=r"written by lacal '9.1.0' in format version 3"):
        files.read(edited(calibration, newer))


def as_parquet(folder: Path, rows: slice, seed: int = 0) -> Path:
    """Rows of the validation split (seed 0) in another format, precision and order."""
    split = world(seed=seed)
    order = np.random.default_rng(9).permutation(len(split.labels))[rows]
    logits = split.logits[order].astype(np.float64)
    pq.write_table(
        pa.table({"logits": list(logits), "label": split.labels[order]}), folder / "val.parquet"
    )
    return folder / "val.parquet"


@pytest.mark.parametrize("command", ["adjust", "evaluate"])
@pytest.mark.parametrize("rows", [slice(None), slice(0, 12)])
def test_the_tuned_rows_are_recognised(
    folder: Path, calibration: Path, capfd: pytest.CaptureFixture[str], command: str, rows: slice
) -> None:
    output = folder / "p.parquet"
    line = [command, as_parquet(folder, rows), "--calibration", calibration]
    line += ["-o", output] if command == "adjust" else []
    assert "of the rows that tau was tuned on are among" in refusal(capfd, *line)
    assert not output.exists()

    assert lacal(*line, "--allow-tuned-rows") == 0
    out = capfd.readouterr().out
    assert out.startswith("warning: tau was tuned on rows that are scored here")
    assert json_of(
        capfd, *line, "--allow-tuned-rows", *(["--force"] if command == "adjust" else [])
    )["tuned_share"] == pytest.approx(1.0 if rows == slice(None) else 0.2, abs=0.01)


def test_other_rows_pass_without_a_word(
    folder: Path, calibration: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert (
        lacal("evaluate", as_parquet(folder, slice(None), seed=1), "--calibration", calibration)
        == 0
    )
    assert "tuned on" not in capfd.readouterr().out


def test_class_names_in_another_order_are_refused(
    folder: Path, calibration: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    split = world(seed=1)
    names = np.array([NAMES[1], NAMES[0], *NAMES[2:]])
    np.savez(folder / "other.npz", logits=split.logits, class_names=names)
    for command in ("adjust", "evaluate"):
        line = [command, folder / "other.npz", "--calibration", calibration]
        if command == "adjust":
            assert "in another order" in refusal(capfd, *line, "-o", folder / "p.parquet")
        else:
            np.savez(
                folder / "other.npz", logits=split.logits, labels=split.labels, class_names=names
            )
            assert "in another order" in refusal(capfd, *line)


def test_other_numbers_of_classes_are_refused(
    folder: Path, calibration: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    np.savez(folder / "other.npz", logits=world().logits[:, :4], labels=world().labels % 4)
    line = ("evaluate", folder / "other.npz", "--calibration", calibration)
    assert "has 4 classes, the calibration has 5" in refusal(capfd, *line)


def test_adjusted_logits_are_not_adjusted_again(
    folder: Path, calibration: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    once = folder / "once.parquet"
    recipe = ("--calibration", calibration)
    assert (
        lacal("adjust", folder / "test.npz", *recipe, "-o", once, "--write-scores", "logits") == 0
    )
    capfd.readouterr()
    twice = ("adjust", once, *recipe, "-o", folder / "twice.parquet")
    assert "is adjusted already" in refusal(capfd, *twice)
    assert "is adjusted already" in refusal(
        capfd, "tune-tau", once, "--counts", folder / "counts.csv"
    )
    assert lacal(*twice, "--force-adjust") == 0


def test_a_calibration_is_more_than_its_tau(calibration: Path) -> None:
    loaded = files.read(calibration)
    assert loaded.select == "shrunk"
    assert loaded.class_names == list(NAMES)
    assert loaded.tuned_on is not None
    assert loaded.tuned_on.rows == 60
    assert set(loaded.tuned_on.picks) == {"shrunk", "smoothed", "min", "grid"}
    assert loaded.tuned_rows.size == 60
    np.testing.assert_allclose(
        loaded.adjustment.offset, -loaded.tau * np.log(np.array([500, 120, 60, 25, 6]) / 711)
    )


def test_a_file_is_replaced_only_by_force(calibration: Path) -> None:
    loaded = files.read(calibration)
    with pytest.raises(UsageError, match="exists already; add --force"):
        files.write(loaded, calibration, force=False)
    files.write(loaded, calibration, force=True)


@pytest.mark.parametrize("force", [False, True])
def test_an_output_that_another_run_wrote_meanwhile(
    folder: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    force: bool,
) -> None:
    monkeypatch.setattr(atomic, "check_target", lambda *_, **__: None)
    recipe = ("--counts", folder / "counts.csv", *["--force"] * force)
    tune = ("tune-tau", folder / "val.npz", "--draws", 10, "-o", folder / "out.json", *recipe)
    adjust = ("adjust", folder / "val.npz", "--tau", 1, "-o", folder / "out.parquet", *recipe)
    for line in (tune, adjust):
        output = Path(str(line[line.index("-o") + 1]))
        output.write_bytes(b"theirs")
        capfd.readouterr()
        # The calibration is the last file to be written: its loss does not cost the result that is printed.
        assert lacal(*line) == (0 if force else 3 if line is tune else 2)
        out, err = capfd.readouterr()
        assert ("exists already; add --force" in err) == (not force)
        assert bool(out) == (force or line is tune)
        assert (output.read_bytes() == b"theirs") == (not force)
