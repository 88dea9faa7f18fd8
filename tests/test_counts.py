"""Counts from every kind of file, placed by number and never sorted as text."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lacal.classes.class_counts import Counts, in_class_order
from lacal.classes.counts import read_counts, read_shares
from lacal.errors import DataError

TWELVE = [100 + j for j in range(12)]
TEXT_ORDER = sorted(range(12), key=str)  # 0, 1, 10, 11, 2, ...


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def check(path: Path, counts: list[int], names: tuple[str, ...] | None = None) -> None:
    prior = read_counts(path).prior(classes=len(counts))
    assert prior.class_counts.tolist() == counts
    assert prior.class_names == names


@pytest.mark.parametrize(
    ("name", "text", "names"),
    [
        ("c.json", "[5, 3, 2]", None),
        ("c.json", '{"0": 5, "1": 3, "2": 2}', None),
        ("c.json", '{"2": 2, "0": 5, "1": 3}', None),
        ("c.json", '{"a": 5, "c": 3, "b": 2}', ("a", "c", "b")),
        ("c.json", '{"class_counts": [5, 3, 2], "class_names": ["a", "c", "b"]}', ("a", "c", "b")),
        ("c.json", '{"class_counts": [5, 3, 2]}', None),
        ("c.json", '{"class_counts": {"1": 3, "0": 5, "2": 2}}', None),
        ("c.csv", "class,count\n0,5\n1,3\n2,2\n", None),
        ("c.csv", "class,count\n2,2\n0,5\n1,3\n", None),
        ("c.csv", "count,class\n5,a\n3,c\n2,b\n", ("a", "c", "b")),
        ("c.csv", "class,name,count\n2,b,2\n0,a,5\n1,c,3\n", ("a", "c", "b")),
        ("c.csv", "Class;Count\r\n0;5\r\n1;3\r\n2;2\r\n", None),
        ("c.txt", "5\n3\n2\n", None),
        ("c.txt", "".join(f"im {j}/my photo {i}.jpg {j}\n" for j, n in ((2, 2), (0, 5), (1, 3))
                          for i in range(n)), None),
    ],
)  # fmt: skip
def test_texts(tmp_path: Path, name: str, text: str, names: tuple[str, ...] | None) -> None:
    check(written(tmp_path / name, text), [5, 3, 2], names)


@pytest.mark.parametrize("dtype", ["i4", "u1", "i8", "f4", ">i8"])
def test_arrays(tmp_path: Path, dtype: str) -> None:
    counts = np.array([5, 3, 2], dtype)
    np.save(tmp_path / "c.npy", counts)
    np.savez(tmp_path / "c.npz", other=np.ones((2, 2)), counts=counts, class_names=list("acb"))
    check(tmp_path / "c.npy", [5, 3, 2])
    check(tmp_path / "c.npz", [5, 3, 2], ("a", "c", "b"))


def test_training_labels_are_counted(tmp_path: Path) -> None:
    labels = np.array([0, 0, 2, 2, 2, 0, 0, 0])
    np.savez(tmp_path / "l.npz", train_labels=labels)
    assert read_counts(tmp_path / "l.npz").values.tolist() == [5, 0, 3]
    np.save(tmp_path / "l.npy", labels)
    counted = read_counts(tmp_path / "l.npy", from_labels=True)
    assert counted.values.tolist() == [5, 0, 3]
    assert counted.counted
    with pytest.raises(DataError, match="1 of 3 classes have no training example"):
        counted.prior(classes=3)
    # A last class without rows is a zero too
    with pytest.raises(DataError, match="2 of 4 classes"):
        counted.prior(classes=4)


@pytest.mark.parametrize(
    ("labels", "fault"),
    [
        (np.array([0, 10**8]), r"expected training labels 0\.\.10,000,000; got 100000000"),
        (np.zeros(0, np.int64), "got none"),
        (np.zeros((3, 2), np.int64), "labels have 2 dimensions, expected one"),
        (np.array([True, False]), "labels are bool, expected whole numbers"),
    ],
)
def test_what_is_no_training_label(tmp_path: Path, labels: NDArray[Any], fault: str) -> None:
    np.savez(tmp_path / "l.npz", train_labels=labels)
    with pytest.raises(DataError, match=fault):
        read_counts(tmp_path / "l.npz")


def test_labels_in_json_are_counted_where_that_is_said(tmp_path: Path) -> None:
    path = written(tmp_path / "l.json", "[0, 2, 2, 0, 0]")
    assert read_counts(path, from_labels=True).values.tolist() == [3, 0, 2]
    assert read_counts(path).values.tolist() == [0, 2, 2, 0, 0]
    listed = written(tmp_path / "l.txt", "a.jpg 0\nb.jpg 1\nc.jpg 1\n")
    assert read_counts(listed, from_labels=True).values.tolist() == [1, 2]


def test_a_field_by_name(tmp_path: Path) -> None:
    text = "class,seen,count\na,5,1\nb,3,1\n"
    for path in (written(tmp_path / "c.csv", text), tmp_path / "c.npz"):
        np.savez(tmp_path / "c.npz", seen=np.array([5, 3]), count=np.array([1, 1]))
        assert read_counts(path, key="seen").values.tolist() == [5, 3]


def test_many_numbers_where_counts_belong_are_probably_labels(tmp_path: Path) -> None:
    np.save(tmp_path / "l.npy", np.arange(100) % 5)
    with pytest.raises(DataError, match="--counts-from-labels"):
        read_counts(tmp_path / "l.npy").prior(classes=5)
    np.save(tmp_path / "c.npy", np.full(100, 7))  # 7 is no class number
    with pytest.raises(DataError, match="must be of the same model"):
        read_counts(tmp_path / "c.npy").prior(classes=5)


def test_numbers_in_text_order_are_placed_by_number(tmp_path: Path) -> None:
    entries = {str(j): TWELVE[j] for j in TEXT_ORDER}
    check(written(tmp_path / "c.json", json.dumps(entries)), TWELVE)
    rows = "".join(f"{key},{count}\n" for key, count in entries.items())
    check(written(tmp_path / "c.csv", "class,count\n" + rows), TWELVE)


def test_one_to_k_in_text_order_is_refused(tmp_path: Path) -> None:
    entries = {str(j + 1): 5 for j in range(12)}
    in_order = written(tmp_path / "a.json", json.dumps(entries))
    check(in_order, [5] * 12, tuple(entries))
    as_text = written(tmp_path / "b.json", json.dumps(dict(sorted(entries.items()))))
    rows = "".join(f"{key},5\n" for key in sorted(entries))
    as_csv = written(tmp_path / "b.csv", "class,count\n" + rows)
    for path in (as_text, as_csv):
        with pytest.raises(DataError, match="sorted as text"):
            read_counts(path).prior(classes=12)


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("c.json", "[5, 3", "is not JSON"),
        ("c.json", "[" * 100_000, "is not JSON"),
        ("c.json", '{"a": 1, "a": 2}', "a key occurs twice"),
        ("c.json", "[1, NaN]", "NaN is no number of JSON"),
        ("c.json", "[1, 1e999]", "count of class 1 is 'inf'"),
        ("c.json", '[1, "2"]', "count of class 1 is '2'"),
        ("c.json", "[1, true]", "count of class 1 is 'True'"),
        ("c.json", "[1, null]", "count of class 1"),
        ("c.json", "[1, [2]]", "count of class 1"),
        ("c.json", "[1, 2.5]", "count 1 is no whole number: got 2.5"),
        ("c.json", "[0.5, 0.5]", "give the numbers of training examples"),
        ("c.json", "[-1, 2]", "count 0 is negative: got -1"),
        ("c.json", "[0, 0]", "every count is 0"),
        ("c.json", "[1, 1e17]", "too large"),
        ("c.json", "[]", "holds no counts"),
        ("c.json", '"5"', "holds no counts"),
        (
            "c.json",
            '{"class_counts": [1, 2], "class_names": ["a"]}',
            "2 class_counts and 1 class_n",
        ),
        ("c.json", '{"class_counts": [1, 2], "class_names": "ab"}', "must be a list of texts"),
        ("c.json", "", "is empty"),
        ("c.csv", "class,count\na,1\na,2\n", "class name 'a' occurs twice"),
        ("c.csv", "class,count\n0,1\n0,2\n", "class name '0' occurs twice"),
        ("c.csv", "class,count\na,1\nb,x\n", "line 3: the count is 'x'"),
        ("c.csv", "x,y\na,1\n", "which field holds the counts"),
        ("c.txt", "a.jpg 0\n\nb.jpg one\n", "line 3 ends in 'one'"),
        ("c.txt", "a.jpg 0\nb.jpg -1\n", "line 2 ends in '-1'"),
        ("c.txt", "a.jpg 0\nb.jpg 123456789012\n", "line 2 ends in"),
        ("c.txt", "five\nsix\n", "holds text where numbers"),
    ],
)
def test_refused(tmp_path: Path, name: str, text: str, fault: str) -> None:
    path = written(tmp_path / name, text)
    with pytest.raises(DataError, match=fault) as caught:
        read_counts(path).prior(classes=2)
    assert str(path) in str(caught.value)
    assert str(caught.value).isprintable()


def test_names_must_agree_with_the_logits(tmp_path: Path) -> None:
    counts = read_counts(written(tmp_path / "c.json", '{"a": 5, "b": 3}'))
    assert counts.prior(classes=2, class_names=("a", "b")).class_names == ("a", "b")
    for names, fault in [(("b", "a"), "in another order"), (("a", "z"), "class 1 is 'b', but 'z'")]:
        with pytest.raises(DataError, match=fault):
            counts.prior(classes=2, class_names=names)


@pytest.mark.parametrize("names", [["a"], ["a", "b", "c", "d"]])
def test_names_and_counts_must_pair_up(tmp_path: Path, names: list[str]) -> None:
    fault = f"{len(names)} class names and 3 counts; they must pair up"
    with pytest.raises(DataError, match=fault):
        in_class_order(tmp_path, np.arange(3), [["2", "0", "1"]], tuple(names))
    with pytest.raises(DataError, match=fault):
        Counts(tmp_path, np.arange(3), tuple(names)).prior()


def test_keys_of_thousands_of_digits_are_names(tmp_path: Path) -> None:
    keys = [str(j) + "0" * 5000 for j in range(1, 13)]
    rows = "".join(f"{key},5\n" for key in keys)
    path = written(tmp_path / "c.csv", "class,count\n" + rows)
    assert read_counts(path).prior().class_names == tuple(keys)


def test_a_name_that_no_file_could_hold(tmp_path: Path) -> None:
    path = written(tmp_path / "c.json", '{"\\ud800": 5, "b": 3}')
    with pytest.raises(DataError, match=r"'\\ud800' is not valid UTF-8 text"):
        read_counts(path).prior()


PERMUTED = ("1", "0", "2")


def test_names_that_are_numbers_stand_beside_numbers(tmp_path: Path) -> None:
    path = tmp_path / "counts.csv"
    path.write_text("class,name,count\n1,0,20\n0,1,60\n2,2,8\n")
    counts = read_counts(path)
    assert (counts.names, counts.values.tolist()) == (PERMUTED, [60, 20, 8])
    assert counts.prior(class_names=PERMUTED).class_counts.tolist() == [60, 20, 8]


def test_a_key_that_could_be_a_number_or_a_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "counts.csv"
    path.write_text("class,count\n1,60\n0,20\n2,8\n")
    counts = read_counts(path)
    assert counts.prior(class_names=("0", "1", "2")).class_counts.tolist() == [20, 60, 8]
    with pytest.raises(DataError, match=r"is '0' class 0, or the class of that name\?"):
        counts.prior(class_names=PERMUTED, logits_place="val.npz")


@pytest.mark.parametrize(
    ("shares", "told"),
    [
        (["1e308", "1e308"], "shares go from 1e\\+308 to 1e\\+308, too far"),
        (["1e300", "1e-320"], "shares go from 9.99989e-321 to 1e\\+300, too far"),
        (["1", "1e-101"], "from 1e-101 to 1, too far"),
    ],
)
def test_shares_that_no_float_holds_side_by_side(
    tmp_path: Path, shares: list[str], told: str
) -> None:
    rows = "".join(f"{j},{one}\n" for j, one in enumerate(shares))
    path = written(tmp_path / "shares.csv", "class,share\n" + rows)
    with pytest.raises(DataError, match=told):
        read_shares(path).shares(classes=2, class_names=None, logits_place="the logits")


def test_shares_far_apart_are_taken(tmp_path: Path) -> None:
    path = written(tmp_path / "shares.csv", "class,share\n0,1e200\n1,1e101\n2,0\n")
    found = read_shares(path).shares(classes=3, class_names=None, logits_place="the logits")
    np.testing.assert_allclose(found, [1, 1e-99, 0])
