"""Counts and labels in files as people have them: other column names, other marks, no header, too many rows."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.small_world import COUNTS, NAMES, json_of, lacal, refusal, world

VAL = world()
IDS = [f"val-{i}" for i in range(60)]
ORDERS = {"as the logits": [0, 1, 2, 3, 4], "alphabetical and others": [4, 2, 0, 1, 3]}


def counts_file(path: Path, header: str, lines: list[str]) -> Path:
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def labels_file(path: Path, header: str, lines: list[str]) -> Path:
    return counts_file(path, header, lines)


def bare(folder: Path, *, ids: bool) -> Path:
    """Logits with or without ids, no labels, in another order than the labels."""
    turn = np.arange(60)[::-1] if ids else np.arange(60)
    if ids:
        np.savez(folder / "bare.npz", logits=VAL.logits[turn], ids=np.array(IDS)[turn])
    else:
        np.savez(folder / "bare.npz", logits=VAL.logits)
    return folder / "bare.npz"


def bare_csv(folder: Path) -> Path:
    """The same with ids, as a table, which does not say how many rows it has."""
    rows = [f"{IDS[i]},{','.join(map(str, VAL.logits[i]))}" for i in range(60)]
    return counts_file(folder / "bare.csv", f"id,{','.join(NAMES)}", rows)


# Counts


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("order", list(ORDERS))
def test_the_only_column_of_text_names_the_classes(
    folder: Path, capfd: pytest.CaptureFixture[str], suffix: str, order: str
) -> None:
    at, path = ORDERS[order], folder / f"other.{suffix}"
    table = {"Tier": [NAMES[j] for j in at], "Anzahl": [COUNTS[j] for j in at], "Jahr": [2024] * 5}
    if suffix == "csv":
        lines = [",".join(map(str, row)) for row in zip(*table.values(), strict=True)]
        counts_file(path, ",".join(table), lines)
    else:
        pq.write_table(pa.table(table), path)
    csv = (folder / "val.csv", "--counts", path, "--counts-key", "Anzahl", "--draws", 10)
    rows = [f"{VAL.labels[i]},{','.join(map(str, VAL.logits[i]))}" for i in range(60)]
    counts_file(folder / "val.csv", f"label,{','.join(NAMES)}", rows)
    if order == "as the logits":
        assert json_of(capfd, "tune-tau", *csv)["classes"] == 5
    else:
        assert "classes are in another order" in refusal(capfd, "tune-tau", *csv)


def test_a_lone_column_of_class_numbers_places_the_counts(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    at = ORDERS["alphabetical and others"]
    path = counts_file(folder / "n.csv", "Nr,Anzahl", [f"{j},{COUNTS[j]}" for j in at])
    line = ("tune-tau", folder / "val.npz", "--draws", 10, "--counts")
    found = json_of(capfd, *line, path, "--counts-key", "Anzahl")
    expected = json_of(capfd, *line, folder / "counts.csv")
    assert (found["tau"], found["gain"]) == (expected["tau"], expected["gain"])
    assert expected["tau"] > 0


def test_several_columns_that_could_name_the_classes(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = [f"{name},{name[0]},{count}" for name, count in zip(NAMES, COUNTS, strict=True)]
    path = counts_file(folder / "two.csv", "Tier,Kurz,count", lines)
    said = refusal(capfd, "tune-tau", folder / "val.npz", "--counts", path)
    assert "which column names the classes? 'Tier', 'Kurz' could; call it `class`" in said
    counts_file(path, "class,Kurz,count", lines)
    assert lacal("tune-tau", folder / "val.npz", "--counts", path, "--draws", 10) == 0


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_points_between_thousands_are_doubtful(
    folder: Path, capfd: pytest.CaptureFixture[str], mark: str
) -> None:
    cells = ["2.000", "1.000", "600", "60", "6"]
    lines = [f"{name}{mark}{cell}" for name, cell in zip(NAMES, cells, strict=True)]
    path = counts_file(folder / "points.csv", f"class{mark}count", lines)
    said = refusal(capfd, "tune-tau", folder / "val.npz", "--counts", path)
    assert "line 2: the count is '2.000': is that 2, or 2000?" in said
    assert "write whole numbers without a point" in said


@pytest.mark.parametrize(
    "cells", [["500.0", "120.0", "60", "25", "6"], ["5000.000", "120.000", "60.000", "25", "6"]]
)
def test_points_that_can_only_be_decimal(folder: Path, cells: list[str]) -> None:
    lines = [f"{name},{cell}" for name, cell in zip(NAMES, cells, strict=True)]
    path = counts_file(folder / "points.csv", "class,count", lines)
    assert lacal("tune-tau", folder / "val.npz", "--counts", path, "--draws", 10) == 0


def test_shares_have_points(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    lines = [f"{name},0.{j}00" for j, name in enumerate(NAMES)]
    path = counts_file(folder / "shares.csv", "class,share", lines)
    line = ("--counts", folder / "counts.csv", "--tau", "1", "--target-prior", path)
    out = ("-o", folder / "p.parquet")
    assert lacal("adjust", folder / "test.npz", *line, *out) == 0, capfd.readouterr().err


def test_counts_without_a_header(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    lines = [f"{name},{count}" for name, count in zip(NAMES, COUNTS, strict=True)]
    path = counts_file(folder / "h.csv", lines[0], lines[1:])
    said = refusal(capfd, "tune-tau", folder / "val.npz", "--counts", path)
    assert "or has the file no header? write `class,count` as its first line" in said


def test_counts_that_are_not_utf8(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "l.csv").write_bytes("class,count\nBär,3\n".encode("latin-1"))
    said = refusal(capfd, "tune-tau", folder / "val.npz", "--counts", folder / "l.csv")
    assert said.endswith("save the file as UTF-8")


def test_a_class_that_is_counted_twice(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    lines = [f"{name},{count}" for name, count in zip(NAMES, COUNTS, strict=True)]
    path = counts_file(folder / "d.csv", "class,count", [*lines, lines[0]])
    said = refusal(capfd, "tune-tau", folder / "val.npz", "--counts", path)
    assert "class name 'cat' occurs twice" in said


# Marks between cells


@pytest.mark.parametrize("mark", [";", "\t"])
def test_a_name_with_a_comma_between_other_marks(
    folder: Path, capfd: pytest.CaptureFixture[str], mark: str
) -> None:
    header = ["label", "cat", "dog", "emu", "fox", "gnu, blue"]
    rows = [mark.join(map(str, [VAL.labels[i], *VAL.logits[i]])) for i in range(60)]
    path = counts_file(folder / "v.csv", mark.join(header), rows)
    counts = [f"{name}{mark}{count}" for name, count in zip(header[1:], COUNTS, strict=True)]
    named = counts_file(folder / "c.csv", f"class{mark}count (2024, train)", counts)
    line = ("--counts", named, "--counts-key", "count (2024, train)", "--draws", 10)
    plain = ("--counts", folder / "counts.csv", "--draws", 10)
    found = json_of(capfd, "tune-tau", path, *line)
    assert found["tau"] == json_of(capfd, "tune-tau", folder / "val.npz", *plain)["tau"]


def test_decimal_commas_are_told(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    text = "label;cat;dog, brown\n0;1,5;2,5\n1;0,5;3,5\n"
    (folder / "v.csv").write_text(text)
    said = refusal(capfd, "inspect", folder / "v.csv")
    assert "line 2 writes numbers with a decimal comma" in said


def test_a_row_that_fits_no_mark(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "v.csv").write_text("label;cat;dog, brown\n0 1 2\n")
    said = refusal(capfd, "inspect", folder / "v.csv")
    assert "line 2 has 1 cells; expected 3" in said
    (folder / "v.csv").write_text('"label;cat;dog, brown\n0;1;2\n')
    assert "stray quote" in refusal(capfd, "inspect", folder / "v.csv")


@pytest.mark.parametrize("line", ["sep=;", '"sep=;"'])
def test_the_setting_of_spreadsheets(
    folder: Path, capfd: pytest.CaptureFixture[str], line: str
) -> None:
    (folder / "v.csv").write_text(f"{line}\nlabel;cat;dog\n0;1;2\n")
    assert "delete that line" in refusal(capfd, "inspect", folder / "v.csv")
    (folder / "c.csv").write_text(f"{line}\nclass;count\ncat;1\n")
    said = refusal(capfd, "tune-tau", folder / "val.npz", "--counts", folder / "c.csv")
    assert "delete that line" in said


# Labels


def test_an_empty_labels_file(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    none = np.empty(0, np.int64)
    (folder / "e.csv").write_text("id,label\n")
    np.savez(folder / "e.npz", ids=np.empty(0, "U1"), labels=none)
    pq.write_table(pa.table({"id": pa.array([], pa.string()), "label": none}), folder / "e.parquet")
    for ids in (True, False):
        for suffix in ("csv", "npz", "parquet"):
            path = folder / f"e.{suffix}"
            said = refusal(capfd, "evaluate", bare(folder, ids=ids), "--labels", path)
            assert "holds no labels; expected one for each row" in said


def test_one_labels_file_for_all_splits(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    mine = [f"{IDS[i]},{VAL.labels[i]}" for i in range(60)]
    others = [f"test-{i},{i % 5}" for i in range(30)]
    path = labels_file(folder / "all.csv", "id,label", [*others, *mine])
    logits = bare(folder, ids=True)
    expected = json_of(capfd, "evaluate", folder / "val.npz")["measures"]["balanced_error"]
    found = json_of(capfd, "evaluate", logits, "--labels", path)["measures"]["balanced_error"]
    assert (found["value"], found["n"]) == (expected["value"], 60)
    assert lacal("evaluate", logits, "--labels", path) == 0
    said = capfd.readouterr().err
    assert "all.csv: 'label': joined by id; 30 of its 90 labels belong to no row" in said
    assert lacal("evaluate", bare_csv(folder), "--labels", path) == 0
    assert "all.csv: 'label': joined by id\n" in capfd.readouterr().err
    labels_file(path, "id,label", mine[:-1])
    assert "has no label for the id 'val-59'" in refusal(
        capfd, "evaluate", logits, "--labels", path
    )


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("form", ["csv", "npz"])
def test_ids_that_only_count_tell_no_split(
    folder: Path, capfd: pytest.CaptureFixture[str], form: str, first: int
) -> None:
    path = labels_file(folder / "l.csv", "id,label", [f"{i + first},{i % 5}" for i in range(90)])
    if form == "npz":
        np.savez(folder / "l.npz", ids=np.arange(90) + first, labels=np.arange(90) % 5)
        path = folder / "l.npz"
    for name, ids in (("same", np.arange(60)), ("part", np.arange(60) + 10)):
        np.savez(folder / f"{name}.npz", logits=VAL.logits, ids=ids + first)
    np.savez(folder / "text.npz", logits=VAL.logits, ids=(np.arange(60) + first).astype(str))
    for name in ("same", "text"):
        said = refusal(capfd, "evaluate", folder / f"{name}.npz", "--labels", path)
        assert "has 90 labels" in said
        assert "as their ids only count them" in said
    found = json_of(capfd, "evaluate", folder / "part.npz", "--labels", path)
    # Labels turn every 5, which 10 is a multiple of
    expected = json_of(capfd, "evaluate", folder / "val.npz")
    assert found["balanced_error"] == expected["balanced_error"]


@pytest.mark.parametrize("ids", [True, False])
def test_labels_taken_by_place_are_said_to_be(
    folder: Path, capfd: pytest.CaptureFixture[str], *, ids: bool
) -> None:
    logits = bare(folder, ids=ids)
    why = "the labels have no ids" if ids else "the rows have no ids"
    header = "label" if ids else "id,label"
    lines = [str(VAL.labels[i]) if ids else f"{IDS[i]},{VAL.labels[i]}" for i in range(60)]
    path = labels_file(folder / "l.csv", header, lines)
    assert lacal("evaluate", logits, "--labels", path) == 0
    assert f"l.csv: 'label': taken in the order of the rows, as {why}" in capfd.readouterr().err
    labels_file(path, header, lines[:-1])
    said = refusal(capfd, "evaluate", logits, "--labels", path)
    assert f"has 59 labels, {logits} has 60 rows of logits; they must pair up" in said
    assert f"joined by id where both sides have ids, but {why}" in said


def test_labels_beside_the_logits_are_not_spoken_of(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert lacal("evaluate", folder / "val.npz") == 0
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("header", ["", "x-1,"])
def test_labels_without_a_header(
    folder: Path, capfd: pytest.CaptureFixture[str], header: str
) -> None:
    lines = [f"val-{i}," * bool(header) + NAMES[VAL.labels[i]] for i in range(60)]
    path = labels_file(folder / "l.csv", header + "dog", lines)
    line = ("evaluate", bare(folder, ids=True), "--counts", folder / "counts.csv", "--labels", path)
    said = refusal(capfd, *line)
    assert "is 'dog' the name of a column, or has the file no header?" in said
    if not header:  # who names the column means it
        assert lacal(*line, "--label-key", "dog") == 0


def test_labels_by_number_without_a_header(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = labels_file(folder / "l.csv", "x-1,3", [f"val-{i},{i % 5}" for i in range(60)])
    said = refusal(capfd, "evaluate", bare(folder, ids=True), "--labels", path)
    assert "is '3' the name of a column" in said
    # As pandas names a lone column
    pq.write_table(pa.table({"0": VAL.labels}), folder / "l.parquet")
    assert lacal("evaluate", bare(folder, ids=False), "--labels", folder / "l.parquet") == 0


def test_ids_alone_are_no_labels(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = labels_file(folder / "l.csv", "id", [str(i % 5) for i in range(60)])
    said = refusal(capfd, "evaluate", bare(folder, ids=False), "--labels", path)
    assert "which field holds the labels? it has 'id'; name it with --label-key" in said


@pytest.mark.parametrize("shape", [(60, 1), ()])
def test_labels_of_another_shape(
    folder: Path, capfd: pytest.CaptureFixture[str], shape: tuple[int, ...]
) -> None:
    np.save(folder / "l.npy", np.resize(VAL.labels, shape))
    said = refusal(capfd, "evaluate", bare(folder, ids=False), "--labels", folder / "l.npy")
    assert said.endswith("save them with one dimension, such as labels.reshape(-1)")
    np.save(folder / "l.npy", np.eye(5)[VAL.labels])
    said = refusal(capfd, "evaluate", bare(folder, ids=False), "--labels", folder / "l.npy")
    assert "one-hot labels" in said


# Options


def test_options_of_the_program_behind_the_command(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    said = refusal(capfd, "tune-tau", folder / "val.npz", "--config", folder / "c.toml")
    assert "--config: goes before the command: lacal --config ... tune-tau ..." in said
    said = refusal(capfd, "tune-tau", folder / "val.npz", "--confog", folder / "c.toml")
    assert "No such option" in said


def test_a_column_to_skip_that_no_file_has(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ("--skip-key", "nix")
    said = refusal(capfd, "evaluate", folder / "val.npz", *given)
    assert f"--skip-key: there is no column 'nix' in {folder / 'val.npz'}" in said
    two = (folder / "val.npz", folder / "test.npz", "--counts", folder / "counts.csv")
    assert "there is no column 'nix' in" in refusal(capfd, "compare", *two, *given)
    monkeypatch.setenv("LACAL_EVALUATE_SKIP_KEY", "nix")  # a setting may speak of other files
    assert lacal("evaluate", folder / "val.npz") == 0
