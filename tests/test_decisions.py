"""Decisions of two sources, read and joined: by id in any order, or refused with the reason."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacal.batch import NO_LABEL
from lacal.cli.run_input import logits_of_run
from lacal.errors import DataError, UsageError
from lacal.rows.decisions import Decisions, decisions_of
from lacal.rows.joining import Joined, join
from lacal.training.run_files import run_files
from tests.small_world import NAMES, lacal, refusal, world

FIRST = Decisions(
    "a.parquet", np.array([3, 1, 2]), np.array([0, 1, 2]), np.array([0, 1, 1]), None, 3
)
SECOND = Decisions(
    "b.parquet", np.array([2, 3, 4]), np.array([2, 0, 1]), np.array([2, 1, 1]), None, 3
)


def rows_of(joined: Joined) -> list[tuple[int, int, int]]:
    return list(
        zip(joined.labels.tolist(), joined.first.tolist(), joined.second.tolist(), strict=True)
    )


# Joining


def test_rows_are_joined_by_id_in_the_first_order() -> None:
    joined = join(FIRST, SECOND)
    assert rows_of(joined) == [(0, 0, 1), (2, 1, 2)]
    assert joined.only_first.tolist() == [1]
    assert joined.only_second.tolist() == [4]
    assert joined.by_id
    assert joined.places == ("a.parquet", "b.parquet")


labelled = st.dictionaries(
    st.text(max_size=4), st.tuples(*[st.integers(0, 4)] * 3), min_size=1, max_size=30
)


@given(table=labelled, seed=st.integers(0, 2**32 - 1))
def test_the_join_is_that_of_two_dictionaries(
    table: dict[str, tuple[int, int, int]], seed: int
) -> None:
    generator = np.random.default_rng(seed)
    sides = []
    for column in (1, 2):
        ids = [
            one for one in generator.permutation(sorted(table)).tolist() if generator.random() < 0.8
        ]
        labels = np.array([table[one][0] for one in ids], np.int64)
        predictions = np.array([table[one][column] for one in ids], np.int64)
        sides.append(Decisions(f"{column}", np.array(ids, str), labels, predictions, None, 5))
    first, second = sides
    assert first.ids is not None
    assert second.ids is not None
    shared = [one for one in first.ids.tolist() if one in set(second.ids.tolist())]
    if not shared:
        if first.ids.size and second.ids.size:
            with pytest.raises(DataError, match="shares no row"):
                join(first, second)
        return
    joined = join(first, second)
    assert rows_of(joined) == [table[one] for one in shared]
    assert set(joined.only_first.tolist()) == set(first.ids.tolist()) - set(shared)
    assert set(joined.only_second.tolist()) == set(second.ids.tolist()) - set(shared)
    back = join(second, first)
    assert sorted((y, a, b) for y, b, a in rows_of(back)) == sorted(rows_of(joined))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([3, 1, 2], ["2", "3", "4"]),
        ([3.0, 1.0, 2.0], [2, 3, 4]),
        (np.array([3, 1, 2], np.uint8), [2.0, 3.0, 4.0]),
        (["03", "1", "2"], ["2", "03", "4"]),
        ([0.5, 1.0, 2.5], ["2.5", "0.5", "4"]),
    ],
)
def test_an_id_is_the_same_as_a_number_and_as_text(one: Any, other: Any) -> None:
    first = dataclasses.replace(FIRST, ids=np.array(one))
    second = dataclasses.replace(SECOND, ids=np.array(other))
    assert rows_of(join(first, second)) == [(0, 0, 1), (2, 1, 2)]


def test_numbers_too_large_for_a_float_are_told_apart() -> None:
    large = 2**60
    first = dataclasses.replace(FIRST, ids=np.array([large + 3, large + 1, large + 2]))
    second = dataclasses.replace(SECOND, ids=np.array([large + 2, large + 3, large + 4]))
    assert rows_of(join(first, second)) == [(0, 0, 1), (2, 1, 2)]


@pytest.mark.parametrize(
    "other", [[2**64 - 2, 2**64 - 3, 9], [str(2**64 - 2), str(2**64 - 3), "9"]]
)
def test_numbers_beyond_int64_are_no_negative_ones(other: Any) -> None:
    """2^64 - 3 would wrap to -3, another row's id."""
    large = [2**64 - 3, 7, 2**64 - 2]
    held: Any = np.array(large, np.uint64)  # as a file may hold them
    first = dataclasses.replace(FIRST, ids=held)
    held = np.array(other, np.uint64 if isinstance(other[0], int) else np.str_)
    second = dataclasses.replace(SECOND, ids=held)
    assert rows_of(join(first, second)) == [(0, 0, 1), (2, 1, 2)]
    wrapped = dataclasses.replace(SECOND, ids=np.array([-2, -3, 7]), labels=np.array([0, 0, 1]))
    joined = join(first, wrapped)
    assert rows_of(joined) == [(1, 1, 1)]
    assert joined.only_first.tolist() == [str(2**64 - 3), str(2**64 - 2)]


def test_without_ids_the_same_labels_in_the_same_order_are_the_same_rows() -> None:
    first = dataclasses.replace(FIRST, ids=None)
    second = dataclasses.replace(SECOND, ids=None, labels=FIRST.labels)
    joined = join(first, second)
    assert rows_of(joined) == [(0, 0, 2), (1, 1, 1), (2, 1, 1)]
    assert not joined.by_id
    assert not joined.only_first.size
    # What `lacal adjust` writes of rows without ids are their numbers.
    numbered = dataclasses.replace(second, ids=np.arange(3))
    assert rows_of(join(first, numbered)) == rows_of(joined)
    assert rows_of(join(numbered, first)) == [(y, b, a) for y, a, b in rows_of(joined)]


def test_a_row_that_one_side_labels_has_that_label() -> None:
    first = dataclasses.replace(FIRST, labels=np.array([NO_LABEL, 1, 2]))
    second = dataclasses.replace(SECOND, labels=np.array([NO_LABEL, 0, 1]))
    assert rows_of(join(first, second)) == [(0, 0, 1), (2, 1, 2)]


def test_a_side_that_does_not_say_how_many_classes_there_are_takes_the_others() -> None:
    few = dataclasses.replace(FIRST, classes=3, told=False)
    many = dataclasses.replace(SECOND, classes=7, class_names=tuple("abcdefg"))
    joined = join(few, many)
    assert joined.classes == 7
    assert joined.class_names == tuple("abcdefg")


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"ids": np.array([2, 3, 2])}, "b.parquet: row 2 has the same id as row 0, '2'"),
        ({"labels": np.array([2, 1, 1])}, "b.parquet: the label of row 1 is 1, but 0 in a.parquet, row 0 "
                                          r"\(id '3'\) \(1 rows differ\)"),
        ({"ids": np.array([7, 8, 9])}, "shares no row with a.parquet: ids such as '7' there, '3' here"),
        ({"ids": None}, "b.parquet: has no ids, a.parquet has; rows are joined by id"),
        ({"classes": 4}, "has 4 classes, a.parquet has 3; they must be of the same classes"),
        ({"ids": np.array(["\x1b[1m", "x", "\x1b[1m"])}, r"'\\x1b\[1m' \(1 rows repeat an id\)"),
        ({"labels": np.full(3, NO_LABEL)}, None),
    ],
)  # fmt: skip
def test_what_cannot_be_joined(changes: dict[str, Any], fault: str | None) -> None:
    if fault is None:
        unlabelled = dataclasses.replace(FIRST, labels=np.full(3, NO_LABEL))
        with pytest.raises(
            DataError, match=r"no row that it shares with a.parquet carries a label"
        ):
            join(unlabelled, dataclasses.replace(SECOND, **changes))
        return
    with pytest.raises(DataError, match=fault):
        join(FIRST, dataclasses.replace(SECOND, **changes))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"labels": np.array([0, 2, 1])}, r"row 1 has another label than in a.parquet \(2 rows differ\)"),
        ({"labels": np.array([0, 1]), "predictions": np.array([0, 1])}, "has 2 rows, a.parquet has 3"),
    ],
)  # fmt: skip
def test_rows_without_ids_that_are_not_the_same(changes: dict[str, Any], fault: str) -> None:
    second = dataclasses.replace(FIRST, place="b.parquet", ids=None, **changes)
    with pytest.raises(DataError, match=fault):
        join(dataclasses.replace(FIRST, ids=None), second)


@pytest.mark.parametrize(
    ("names", "fault"),
    [
        (("a", "c", "b"), "classes are in another order than in a.parquet"),
        (("a", "b", "x"), "class 2 is 'x', but 'c' in a.parquet"),
        (("a", "b"), "has 2 classes, a.parquet has 3"),
    ],
)
def test_other_classes_are_refused(names: tuple[str, ...], fault: str) -> None:
    first = dataclasses.replace(FIRST, class_names=("a", "b", "c"))
    with pytest.raises(DataError, match=fault):
        join(first, dataclasses.replace(SECOND, class_names=names, classes=len(names)))


# Reading


def test_logits_and_the_predictions_made_of_them_decide_alike(folder: Path) -> None:
    counts, out = folder / "counts.csv", folder / "p.parquet"
    line = ("adjust", folder / "test.npz", "--counts", counts, "--tau", 0, "-o", out)
    assert lacal(*line) == 0
    logits, predictions = decisions_of(folder / "test.npz"), decisions_of(out)
    split = world(seed=1)
    assert logits.predictions.tolist() == split.logits.argmax(axis=1).tolist()
    for one in (logits, predictions):
        assert one.ids is not None
        assert one.ids.tolist() == [f"test-{i}" for i in range(60)]
        assert one.labels.tolist() == split.labels.tolist()
        assert one.predictions.tolist() == logits.predictions.tolist()
    assert predictions.class_names == NAMES
    assert logits.told
    assert predictions.told


def test_a_table_of_names_and_one_of_numbers(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,label,prediction\n7,cat,dog\n8,dog,dog\n")
    (tmp_path / "b.csv").write_text("id,label,prediction\n8,1,1\n7,0,0\n")
    with pytest.raises(DataError, match="no class names are known"):
        decisions_of(tmp_path / "a.csv")
    joined = join(
        decisions_of(tmp_path / "a.csv", class_names=("cat", "dog")),
        decisions_of(tmp_path / "b.csv"),
    )
    assert rows_of(joined) == [(0, 1, 0), (1, 1, 1)]
    assert not decisions_of(tmp_path / "b.csv").told


@pytest.mark.parametrize(
    ("columns", "fault"),
    [
        ({"id": [1, 2], "prediction": [0, 1]}, "has no field `label`"),
        ({"id": [1, 2], "ids": [1, 2], "label": [0, 1], "prediction": [0, 1]}, "could be meant"),
        ({"id": [1, None], "label": [0, 1], "prediction": [0, 1]}, r"\(null\) in row 1"),
        ({"label": [0, 1], "prediction": [0, -1]}, "row 1 is -1, expected a class, 0..1"),
    ],
)
def test_predictions_that_cannot_be_read(
    tmp_path: Path, columns: dict[str, Any], fault: str
) -> None:
    pq.write_table(pa.table(columns), tmp_path / "p.parquet")
    with pytest.raises(DataError, match=fault):
        decisions_of(tmp_path / "p.parquet")


def test_logits_without_labels_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "bare.npz", logits=world().logits)
    with pytest.raises(UsageError, match="has no labels"):
        decisions_of(tmp_path / "bare.npz")


# Training runs


def training_run(
    folder: Path, *, splits: tuple[str, ...] = ("val", "test"), done: bool = True
) -> Path:
    """The files of a run that comparing looks at."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"format": "lacal run", "version": 1}))
    if done:
        (folder / "summary.json").write_text("{}")
    for seed, name in enumerate(splits):
        split = world(seed=seed)
        columns = {"logits": pa.array(split.logits.tolist(), pa.list_(pa.float32(), 5))}
        columns |= {"label": pa.array(split.labels)}
        pq.write_table(pa.table(columns), folder / f"{name}_logits.parquet")
    return folder


def test_a_run_stands_for_its_test_logits(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = training_run(tmp_path / "run")
    found = run_files(run)
    assert found is not None
    assert (found.split, found.logits) == ("test", run / "test_logits.parquet")
    assert found.counts == run / "counts.csv"
    assert logits_of_run(run) == found.logits
    out, err = capfd.readouterr()
    assert out == ""
    assert err == f"{run}: is a training run; reading its test logits (test_logits.parquet)\n"


def test_a_run_without_a_test_split_stands_for_its_validation_logits(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = training_run(tmp_path / "run", splits=("val",))
    assert logits_of_run(run) == run / "val_logits.parquet"
    assert (
        "reading its validation logits (val_logits.parquet); its validation rows chose its epoch"
        in capfd.readouterr().err
    )


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda run: (run / "summary.json").unlink(), "the run is not finished"),
        (lambda run: [one.unlink() for one in run.glob("*.parquet")], "neither test_logits.parquet nor"),
    ],
)  # fmt: skip
def test_a_run_that_cannot_be_read(
    tmp_path: Path, change: Callable[[Path], object], fault: str
) -> None:
    run = training_run(tmp_path / "run")
    change(run)
    with pytest.raises(UsageError, match=fault):
        logits_of_run(run)


def test_any_other_folder_or_file_is_left_as_it_is(folder: Path) -> None:
    for path in (folder, folder / "test.npz", folder / "none"):
        assert logits_of_run(path) == path


def test_adjust_takes_a_run_with_its_counts(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = training_run(tmp_path / "run")
    (run / "counts.csv").write_text("class,count\n0,500\n1,120\n2,60\n3,25\n4,6\n")
    line = ("adjust", run, "--tau", 1, "-o", tmp_path / "p.parquet")
    assert lacal(*line) == 0
    assert "test logits (test_logits.parquet) and training counts" in capfd.readouterr().err


def test_methods_are_no_way_out_for_predictions(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, ids in (("a.csv", (1, 2)), ("b.csv", (5, 6))):
        rows = "".join(f"{one},{j},{j}\n" for j, one in enumerate(ids))
        (tmp_path / name).write_text("id,label,prediction\n" + rows)
    message = refusal(capfd, "compare", tmp_path / "a.csv", tmp_path / "b.csv")
    assert "shares no row" in message
    assert "--counts" not in message
