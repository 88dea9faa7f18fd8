"""Row ids: a row without one is refused, and one number is one id, whatever type or neighbours a file gives it."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lacal.errors import DataError
from lacal.rows.decisions import decisions_of
from lacal.rows.ids import IdCheck, plain_ids
from lacal.rows.labels_by_id import LabelsById
from tests.small_world import json_of, lacal, refusal, world

VAL = world()
NUMBERS = np.arange(60)

# Rows without an id


def some_lost(*rows: int) -> Any:
    """Ids as floats, NaN in these rows."""
    return np.where(np.isin(NUMBERS, rows), np.nan, NUMBERS + 0.5)


@pytest.mark.parametrize(
    ("ids", "fragment"),
    [
        (some_lost(7), "the id of row 7 is nan, expected a number or text that no other row has"),
        (some_lost(9, 7, 12), "the id of row 7 (and of at least 2 more) is nan, expected"),
        (some_lost(7).astype("f2"), "the id of row 7 is nan"),
        (np.where(NUMBERS == 7, "", NUMBERS.astype("U2")), "the id of row 7 is empty, expected"),
    ],
)
def test_a_row_without_an_id(
    folder: Path, capfd: pytest.CaptureFixture[str], ids: Any, fragment: str
) -> None:
    """In the logits, in a file of labels, and in predictions."""
    np.savez(folder / "rows.npz", logits=VAL.logits, labels=VAL.labels, ids=ids)
    np.savez(folder / "whole.npz", logits=VAL.logits, labels=VAL.labels, ids=NUMBERS)
    np.savez(folder / "p.npz", label=VAL.labels, prediction=VAL.labels, id=ids)
    for at, line in (
        ("rows.npz", ("evaluate", folder / "rows.npz")),
        ("rows.npz", ("evaluate", folder / "whole.npz", "--labels", folder / "rows.npz")),
        ("p.npz", ("compare", folder / "p.npz", folder / "p.npz")),
    ):
        message = refusal(capfd, *line)
        assert message.startswith(f"Error: {folder / at}")
        assert fragment in message
        assert message.endswith("fill it, drop the row, or name another field with --id-key")


def test_predictions_without_ids_have_none(folder: Path) -> None:
    np.savez(folder / "p.npz", label=VAL.labels, prediction=VAL.labels)
    assert decisions_of(folder / "p.npz").ids is None


def test_a_row_without_an_id_is_named_across_batches() -> None:
    check = IdCheck("rows.npz", 1000)
    ids: Any = np.arange(30) + 0.5
    check.update(ids)
    with pytest.raises(DataError, match=r"rows\.npz: the id of row 1034 is nan"):
        check.update(some_lost(4))


def test_a_row_with_the_id_of_another_is_named_from_the_first_row_on() -> None:
    check = IdCheck("rows.npz", 1000)
    check.update(np.arange(30))
    check.update(np.arange(29, 40))
    with pytest.raises(DataError, match="row 1030 has the same id as row 1029"):
        check.finish()


# One number, one id

floats = st.sampled_from([0.0, -0.0, -1.0, -2.0, 1.0, 2.0**61, 0.5, 1e300, np.inf]) | st.floats(
    allow_nan=False
)


@given(st.lists(floats, min_size=1, max_size=9))
@example([-1.0, -2.0])
@example([1.0, 2.0**61])
@example([0.0, -0.0])
def test_floats_are_refused_where_two_are_equal(ids: list[float]) -> None:
    """Python hashes -1.0 like -2.0, and 2.0^61 like 1.0."""
    check = IdCheck("rows.npz")
    for one in ids:
        check.update(np.array([one]))
    if len(set(ids)) == len(ids):
        check.finish()
    else:
        with pytest.raises(DataError, match="has the same id as"):
            check.finish()


@given(st.lists(floats | st.integers(-(2**60), 2**60).map(float), min_size=1, max_size=9))
def test_an_id_is_spelt_alike_beside_any_other(ids: list[float]) -> None:
    together = plain_ids(np.array(ids)).astype(np.str_).tolist()
    alone = [plain_ids(np.array([one])).astype(np.str_).item() for one in ids]
    assert together == alone
    assert len(set(together)) == len(set(ids))


@pytest.mark.parametrize("kind", ["f2", "f4", "f8"])
@pytest.mark.parametrize("odd", ["rows", "labels", "both"])
def test_floats_join_whatever_stands_beside_them(
    folder: Path, capfd: pytest.CaptureFixture[str], kind: str, odd: str
) -> None:
    """One id that is no whole number, on one side alone or on both, changes no other."""
    truth = json_of(capfd, "evaluate", folder / "val.npz")["balanced_error"]
    ids = NUMBERS.astype(kind)
    more = np.append(ids, ids.dtype.type(199.5))
    own, theirs = ids, more
    if odd != "labels":
        own = np.append(ids[:-1], ids.dtype.type(59.5))
        theirs = own if odd == "rows" else np.append(own, ids.dtype.type(77))
    labels = np.append(VAL.labels, 0)[: theirs.size]
    order = np.random.default_rng(3).permutation(theirs.size)
    np.savez(folder / "rows.npz", logits=VAL.logits, ids=own)
    np.savez(folder / "labels.npz", labels=labels[order], ids=theirs[order])
    line = ("evaluate", folder / "rows.npz", "--labels", folder / "labels.npz")
    assert json_of(capfd, *line)["balanced_error"] == truth


def test_a_batch_of_whole_numbers_finds_labels_by_text() -> None:
    """Whether a batch holds a fraction says nothing of its other ids."""
    labels = LabelsById.of("labels.npz", np.array([2.0, 0.5, 1.0, 7.0]), np.array([2, 0, 1, 3]))
    assert labels.of_rows(np.array([1.0, 2.0]), 0).tolist() == [1, 2]
    assert labels.of_rows(np.array([7.0, 0.5]), 2).tolist() == [3, 0]
    assert labels.of_rows(np.array([7, 2]), 4).tolist() == [3, 2]
    assert labels.of_rows(np.array(["0.5", "1"]), 6).tolist() == [0, 1]


def test_half_precision_raises_no_warning(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    half = NUMBERS.astype("f2")
    path = folder / "half.npz"
    np.savez(path, logits=VAL.logits, labels=VAL.labels.astype("f2"), ids=half)
    assert lacal("evaluate", path, "--ignore-label", 2**40) == 0
    table = {"label": VAL.labels.astype("f2"), "prediction": VAL.labels.astype("f2"), "id": half}
    pq.write_table(pa.table(table), folder / "half.parquet")
    assert lacal("evaluate", folder / "half.parquet", "--ignore-label", 2**40) == 0
    assert "Warning" not in capfd.readouterr().err
