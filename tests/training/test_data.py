"""Training data are what the files hold, whatever they lie in, cut and normalised as said, or a named fault."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacal.errors import DataError, RunError, UsageError
from lacal.inputs import InputOptions
from lacal.inputs.preprocessing import Preprocessing
from lacal.training.files import open_split
from lacal.training.reading import read_rows, refuse_too_large
from tests.training.data_files import (
    COLOURS,
    COUNTS,
    FEATURES,
    GREYS,
    LABELS,
    NAMES,
    OTHER_LABELS,
    OTHERS,
    Array,
    class_folders,
    csv,
    npz,
    opened,
    other,
    parquet,
    plain,
    png,
    words,
)

# --- what is read


def test_every_format_holds_the_same(tmp_path: Path) -> None:
    every = [
        npz(tmp_path / "a.npz", x=FEATURES, labels=LABELS),
        npz(tmp_path / "b.npz", x=FEATURES.astype("f8"), labels=words(LABELS)),
        csv(tmp_path / "c.csv", FEATURES, words(LABELS)),
        parquet(tmp_path / "d.parquet", x=list(FEATURES), label=LABELS.astype("i2")),
        parquet(tmp_path / "e.parquet", **dict(zip("abcd", FEATURES.T, strict=True)), label=LABELS),
    ]
    data = [opened(one) for one in every]
    assert len({one.fingerprint for one in data}) == 1
    for one in data:
        assert not one.images
        assert one.train.inputs.dtype == np.float32
        assert one.class_counts.tolist() == [27, 18, 9]


def test_a_tenth_is_cut_off_where_nothing_is_said(tmp_path: Path) -> None:
    data = opened(plain(tmp_path))
    assert np.bincount(data.val.labels).tolist() == [3, 2, 1]
    rows = np.concatenate([data.train.ids, data.val.ids])
    np.testing.assert_array_equal(np.sort(rows), np.arange(60))
    for one in (data.train, data.val):
        np.testing.assert_array_equal(one.inputs, FEATURES[one.ids])
        np.testing.assert_array_equal(one.labels, LABELS[one.ids])
    assert any("val: 6 of 60 examples cut off" in line for line in data.described)
    assert opened(plain(tmp_path), val_fraction=0.1).fingerprint == data.fingerprint


def test_splits_that_are_given_are_taken_whole(tmp_path: Path) -> None:
    ids = np.array([f"row {i}" for i in range(12)])
    val, test = other(tmp_path, ids=ids), other(tmp_path, "test.npz", x=OTHERS + 1)
    data = opened(plain(tmp_path), val=val, test=test)
    assert data.test is not None
    np.testing.assert_array_equal(data.train.inputs, FEATURES)
    np.testing.assert_array_equal(data.val.inputs, OTHERS)
    np.testing.assert_array_equal(data.test.inputs, OTHERS + 1)
    assert [data.train.ids, data.test.ids] == [None, None]
    np.testing.assert_array_equal(data.val.ids, ids)
    assert [data.val.place, data.test.place] == [str(val), str(test)]
    assert data.class_counts.tolist() == list(COUNTS)


@pytest.mark.parametrize("upper", [False, True])
def test_splits_may_lie_side_by_side(upper: bool, tmp_path: Path) -> None:
    splits = {
        "train": (FEATURES, LABELS),
        "val": (OTHERS, OTHER_LABELS),
        "test": (OTHERS + 1, OTHER_LABELS),
    }
    arrays = {f"{'X' if upper else 'x'}_{name}": x for name, (x, _) in splits.items()}
    arrays |= {f"y_{name}": y for name, (_, y) in splits.items()}
    path = npz(tmp_path / "all.npz", **arrays, class_names=np.array(NAMES))
    data = opened(path)
    assert data.test is not None
    np.testing.assert_array_equal(data.val.inputs, OTHERS)
    np.testing.assert_array_equal(data.test.inputs, OTHERS + 1)
    assert data.class_names == NAMES
    cut = opened(path, val_fraction=0.5)
    assert cut.val.labels.size == 30
    assert cut.test is not None
    given = opened(path, val=path, test=other(tmp_path, x=OTHERS + 2))
    assert given.fingerprint == data.fingerprint
    assert given.test is not None
    np.testing.assert_array_equal(given.test.inputs, OTHERS + 2)
    named = opened(path, input="x_val" if not upper else "X_val", label_key="y_val")
    assert named.train.labels.size + named.val.labels.size == 12


def encoded(pixels: Array) -> list[bytes]:
    return [png(one) for one in pixels]


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (COLOURS, COLOURS),
        (COLOURS.transpose(0, 2, 3, 1), COLOURS),
        (GREYS, GREYS[:, None]),
        (GREYS[..., None], GREYS[:, None]),
        (COLOURS.astype("f8"), COLOURS.astype("f4")),
        (COLOURS.transpose(0, 2, 3, 1).astype("f4"), COLOURS.astype("f4")),
    ],
)
def test_image_arrays_come_channels_first(stored: Array, expected: Array, tmp_path: Path) -> None:
    val = npz(tmp_path / "val.npz", x=stored[10:], labels=LABELS[10:])
    data = opened(npz(tmp_path / "a.npz", x=stored, labels=LABELS), val=val)
    assert data.images
    assert data.train.inputs.dtype == expected.dtype
    np.testing.assert_array_equal(data.train.inputs, expected)
    np.testing.assert_array_equal(data.val.inputs, expected[10:])
    told = "\n".join(data.described)
    assert ("turned to NCHW" in told) == (stored.ndim == 4 and stored.shape[1] not in (1, 3))
    assert ("channel axis added first" in told) == (stored.ndim == 3)


def test_arrays_that_are_no_images(tmp_path: Path) -> None:
    for x in (
        GREYS.astype("f4"),
        np.zeros((60, 4), np.uint8) + np.arange(4, dtype=np.uint8),
        COLOURS[..., None],
    ):
        data = opened(npz(tmp_path / "a.npz", x=x, labels=LABELS))
        assert not data.images
        assert data.train.inputs.dtype == np.float32
        np.testing.assert_array_equal(data.train.inputs, x[data.train.ids])


def test_other_channels_are_as_said(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 255, (60, 6, 5, 4), np.uint8)
    path = npz(tmp_path / "a.npz", x=x, labels=LABELS)
    with pytest.raises(UsageError, match=r"where do the channels of \(n, 6, 5, 4\) stand\?"):
        opened(path)
    last = opened(path, preprocessing=Preprocessing(layout="NHWC"))
    assert last.train.inputs.shape[1:] == (4, 6, 5)
    assert last.normalisation.mean.shape == (4,)
    assert opened(path, preprocessing=Preprocessing(layout="NCHW")).train.inputs.shape[1:] == (
        6,
        5,
        4,
    )


def test_encoded_images_stay_bytes(tmp_path: Path) -> None:
    label = words(LABELS)
    table = parquet(tmp_path / "a.parquet", image=encoded(COLOURS), label=label)
    folder = class_folders(tmp_path / "folder", COLOURS, label)
    listed = tmp_path / "list.txt"
    listed.write_text("".join(f"{name}/{i:03}.png {name}\n" for i, name in enumerate(label)))
    val = npz(tmp_path / "val.npz", x=COLOURS[:12] // 2, labels=words(OTHER_LABELS))
    first = opened(table, val=val)
    np.testing.assert_array_equal(first.train.inputs, COLOURS)
    assert first.train.inputs.dtype == np.uint8
    assert opened(listed, root=folder, val=val).fingerprint == first.fingerprint
    by_folder = opened(folder, val=val)
    order = np.argsort(LABELS, kind="stable")
    np.testing.assert_array_equal(by_folder.train.inputs, COLOURS[order])
    assert by_folder.class_names == NAMES
    assert by_folder.train.ids is not None
    assert by_folder.train.ids[0] == f"cat/{order[0]:03}.png"
    grey = opened(table, preprocessing=Preprocessing(channels="L", crop=4))
    assert grey.train.inputs.shape[1:] == (1, 4, 4)
    turned = opened(table, preprocessing=Preprocessing(channels="BGR"), val_fraction=0.5)
    np.testing.assert_array_equal(turned.val.inputs, COLOURS[turned.val.ids][:, ::-1])


@given(st.lists(st.integers(0, 699), unique=True), st.lists(st.integers(0, 699), unique=True))
def test_any_rows_of_a_file(some: list[int], more: list[int]) -> None:
    parts = [np.sort(np.array(one, np.int64)) for one in (some, more)]
    for part, (inputs, ids) in zip(parts, read_rows(SEVEN_HUNDRED, parts), strict=True):
        np.testing.assert_array_equal(inputs[:, 0], part)
        assert ids is not None
        np.testing.assert_array_equal(ids, 2 * part)


@pytest.fixture(scope="module", autouse=True)
def _seven_hundred(tmp_path_factory: pytest.TempPathFactory) -> None:
    """More rows than a block has."""
    global SEVEN_HUNDRED
    rows = np.arange(700)
    x = np.stack([rows, rows], axis=1).astype("f4")
    path = npz(tmp_path_factory.mktemp("rows") / "a.npz", x=x, labels=rows % 2, ids=2 * rows)
    SEVEN_HUNDRED = open_split(path, "train", InputOptions(Preprocessing()))


SEVEN_HUNDRED: Any = None

# --- which class


def test_names_come_from_metadata_before_counts_before_order(tmp_path: Path) -> None:
    turned = ("emu", "dog", "cat")
    counts = tmp_path / "counts.csv"
    counts.write_text("class,count\nemu,10\ndog,20\ncat,30\n")
    bare = npz(tmp_path / "bare.npz", x=FEATURES, labels=words(LABELS))
    named = npz(
        tmp_path / "named.npz", x=FEATURES, labels=words(LABELS), class_names=np.array(turned)
    )
    by_order = opened(bare)
    assert by_order.class_names == NAMES
    assert any("names of the labels in natural order" in line for line in by_order.described)
    for data in (opened(bare, counts=counts), opened(named), opened(named, counts=counts)):
        assert data.class_names == turned
        np.testing.assert_array_equal(data.train.labels, 2 - LABELS[data.train.ids])
        assert data.class_counts.tolist() == [9, 18, 27]
    val = other(tmp_path, labels=words(OTHER_LABELS), class_names=np.array(turned))
    assert opened(bare, val=val).class_names == turned


def test_numbers_are_never_sorted_as_text(tmp_path: Path) -> None:
    labels = np.arange(60) % 12
    for stored in (labels, labels.astype("f8"), labels.astype(str)):
        data = opened(npz(tmp_path / "a.npz", x=FEATURES, labels=stored))
        assert data.class_names is None
        np.testing.assert_array_equal(data.train.labels, labels[data.train.ids])
    for stored in ((labels + 1).astype(str), np.char.add("c", labels.astype(str))):
        data = opened(npz(tmp_path / "a.npz", x=FEATURES, labels=stored))
        assert data.class_names is not None
        assert data.class_names[9:] in (("10", "11", "12"), ("c9", "c10", "c11"))
        np.testing.assert_array_equal(data.train.labels, labels[data.train.ids])


def test_labels_of_splits_may_be_spelled_apart(tmp_path: Path) -> None:
    train = plain(tmp_path, class_names=np.array(NAMES))
    by_name = opened(train, val=other(tmp_path, labels=words(OTHER_LABELS)))
    by_digits = opened(train, val=other(tmp_path, labels=OTHER_LABELS.astype(str)))
    np.testing.assert_array_equal(by_name.val.labels, OTHER_LABELS)
    np.testing.assert_array_equal(by_digits.val.labels, OTHER_LABELS)
    bare = npz(tmp_path / "words.npz", x=FEATURES, labels=words(LABELS))
    with pytest.raises(DataError, match="holds class numbers, but the training labels are names"):
        opened(bare, val=other(tmp_path))


def test_classes_that_validation_lacks_are_named(tmp_path: Path) -> None:
    x = np.concatenate([FEATURES, FEATURES[:1] + 9])
    single = npz(tmp_path / "a.npz", x=x, labels=np.append(words(LABELS), "yak"))
    data = opened(single)
    assert data.class_counts.tolist() == [27, 18, 9, 1]
    assert any("val: has no example of 1 of 4 classes (yak)" in line for line in data.described)


def test_counts_may_be_of_the_file_or_of_what_is_cut(tmp_path: Path) -> None:
    for name, counts in (("a", [30, 20, 10]), ("b", [27, 18, 9])):
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(counts))
        assert opened(plain(tmp_path), counts=path).class_counts.tolist() == [27, 18, 9]
    path.write_text(json.dumps({"cat": 30, "dog": 21, "emu": 9}))
    with pytest.raises(DataError) as error:
        opened(plain(tmp_path), counts=path)
    assert str(error.value).startswith(f"{path}: disagrees with the labels of {tmp_path}")
    assert "2 of 3 classes (dog 21 here and 20 there, emu 9 here and 10 there)" in str(error.value)


# --- what is cut


def test_the_tail_is_cut_after_validation(tmp_path: Path) -> None:
    labels = np.repeat(np.arange(4), 50)
    x = np.arange(200, dtype="f4")[:, None]
    path = npz(tmp_path / "a.npz", x=x, labels=labels)
    data = opened(path, val_fraction=0.2, long_tail="exp:8")
    assert np.bincount(data.val.labels).tolist() == [10] * 4
    assert data.class_counts.tolist() == [40, 20, 10, 5]
    assert data.train.labels.size == 75
    assert not np.isin(data.train.inputs, data.val.inputs).any()
    whole = opened(path, val_fraction=0.2)
    np.testing.assert_array_equal(whole.val.ids, data.val.ids)
    assert np.isin(data.train.inputs, whole.train.inputs).all()
    assert data.record["long_tail"] == "exp:8"
    assert any("long tail exp:8: 75 of 160 training examples stay" in one for one in data.described)
    again, others = (opened(path, long_tail="exp:8", seed=seed) for seed in (0, 1))
    assert again.fingerprint == opened(path, long_tail="exp:8").fingerprint != others.fingerprint
    given = npz(tmp_path / "val.npz", x=-1 - x, labels=labels)
    assert opened(path, val=given, long_tail="step:10").class_counts.tolist() == [50, 50, 5, 5]


def test_uneven_classes_are_said(tmp_path: Path) -> None:
    data = opened(plain(tmp_path), val=other(tmp_path), long_tail="exp:2")
    assert data.class_counts.tolist() == [10, 7, 5]
    assert any("the smallest of the classes, which had up to 30" in one for one in data.described)


# --- what the network does first


def test_pixels_are_normalised_by_channel_of_the_training_split(tmp_path: Path) -> None:
    x = COLOURS.copy()
    x[:, 1] = 77
    data = opened(npz(tmp_path / "a.npz", x=x, labels=LABELS))
    norm, pixels = data.normalisation, data.train.inputs.astype("f8") / 255
    assert norm.scale == 1 / 255
    np.testing.assert_allclose(norm.mean, pixels.mean(axis=(0, 2, 3)), rtol=1e-6)
    expected = pixels.std(axis=(0, 2, 3))
    expected[1] = 1.0
    np.testing.assert_allclose(norm.std, expected, rtol=1e-6)
    assert norm.said.startswith("x 1/255, mean ")
    assert data.train.inputs.dtype == np.uint8


@pytest.mark.parametrize("shape", [(60, 4), (60, 3, 6, 5), (60, 6, 5)])
@pytest.mark.parametrize("centre", [0.0, 1e4])
def test_values_are_normalised_by_feature_or_channel(
    shape: tuple[int, ...], centre: float, tmp_path: Path
) -> None:
    x = np.random.default_rng(0).normal(centre, 2, shape).astype("f4")
    data = opened(npz(tmp_path / "a.npz", x=x, labels=LABELS), val_fraction=0.5)
    norm, values = data.normalisation, data.train.inputs.astype("f8")
    axes = {2: (0,), 4: (0, 2, 3), 3: (0, 1, 2)}[len(shape)]
    np.testing.assert_allclose(norm.mean, np.atleast_1d(values.mean(axis=axes)), rtol=1e-6)
    np.testing.assert_allclose(norm.std, np.atleast_1d(values.std(axis=axes)), rtol=1e-6)
    assert norm.scale == 1


@given(st.floats(-(2.0**99), 2.0**99, width=32))
def test_a_constant_feature_is_only_shifted(value: float) -> None:
    from lacal.training.normalisation import normalisation

    x = np.full((1001, 2), value, np.float32)
    x[:, 1] = np.arange(1001)
    norm = normalisation(Preprocessing(), x, images=False, normalise=True, place="a.npz")
    assert norm.std[0] == 1
    assert norm.mean[0] == np.float32(value)
    assert "1 of them constant" in norm.said


def test_what_is_said_goes_before(tmp_path: Path) -> None:
    path = npz(tmp_path / "a.npz", x=COLOURS, labels=LABELS)
    said = Preprocessing.parse(preset="cifar10", mean="0.5")
    norm = opened(path, preprocessing=said).normalisation
    assert norm.scale == 1 / 255
    assert norm.mean.tolist() == [0.5]
    np.testing.assert_allclose(norm.std, (0.2470, 0.2435, 0.2616))
    alone = opened(path, preprocessing=Preprocessing(scale=0.5)).normalisation
    assert (alone.scale, alone.mean.tolist(), alone.std.tolist()) == (0.5, [0], [1])
    none = opened(path, normalise=False).normalisation
    assert (none.scale, none.mean.tolist(), none.std.tolist()) == (1, [0], [1])
    raw = opened(path, preprocessing=said).train.inputs
    np.testing.assert_array_equal(raw, opened(path).train.inputs)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"preprocessing": Preprocessing(mean=(0.5,))}, "then say --scale 1; where they are"),
        (
            {"preprocessing": Preprocessing(scale=1.0, mean=(1.0, 2.0))},
            "--mean has 2 values, the inputs have 3 channels",
        ),
        ({"preprocessing": Preprocessing(scale=1.0, std=(1e-60,))}, "leave the range of float32"),
        (
            {"preprocessing": Preprocessing(scale=1.0), "normalise": False},
            "--no-normalise leaves values as they are",
        ),
        (
            {"preprocessing": Preprocessing(crop=4)},
            "--crop is for encoded images, these are arrays",
        ),
    ],
)
def test_normalisations_that_do_not_fit(said: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        opened(npz(tmp_path / "a.npz", x=COLOURS, labels=LABELS), **said)
    assert message in str(error.value)


# --- splits against each other


def test_examples_in_two_splits_are_counted(tmp_path: Path) -> None:
    x = OTHERS.copy()
    x[:5] = FEATURES[:5]
    test = x.copy()
    test[5:] = -test[5:]
    val = other(tmp_path, x=x)
    data = opened(plain(tmp_path), val=val, test=other(tmp_path, "test.npz", x=test))
    told = [one for one in data.described if one.startswith("warning")]
    assert [one.split(",")[0] for one in told] == [
        "warning: 5 of 12 val inputs are also in train",
        "warning: 5 of 12 test inputs are also in train",
        "warning: 5 of 12 test inputs are also in val",
    ]
    assert not any("warning" in one for one in opened(plain(tmp_path)).described)


def test_training_examples_judge_nothing(tmp_path: Path) -> None:
    train = plain(tmp_path)
    copy = npz(tmp_path / "copy.npz", x=FEATURES[::-1], labels=LABELS[::-1])
    for split in ("val", "test"):
        with pytest.raises(UsageError, match=f"--{split} .*is the training data itself"):
            opened(train, **{split: train})
        with pytest.raises(DataError, match="holds the very examples of"):
            opened(train, **{split: copy})


def test_the_fingerprint_is_of_train_and_validation(tmp_path: Path) -> None:
    def of(
        x: Array = FEATURES, labels: Array = LABELS, val: Array = OTHERS, test: Array = OTHERS
    ) -> str:
        train = npz(tmp_path / "train.npz", x=x, labels=labels)
        paths = other(tmp_path, x=val), other(tmp_path, "test.npz", x=test + 9)
        return opened(train, val=paths[0], test=paths[1]).fingerprint

    changed = FEATURES.copy()
    changed[7, 2] += 1e-3
    swapped = LABELS.copy()
    swapped[:2] = LABELS[:2][::-1]
    seen = {of(), of(changed), of(labels=np.roll(LABELS, 1)), of(val=OTHERS[::-1])}
    assert len(seen) == 4
    assert of(test=-OTHERS) == of()


def test_the_record_is_json(tmp_path: Path) -> None:
    data = opened(plain(tmp_path), val=other(tmp_path), long_tail="step:2")
    record = json.loads(json.dumps(data.record, allow_nan=False))
    assert record["files"]["train"]["path"] == str(tmp_path / "train.npz")
    assert record["examples"] == {"train": data.train.labels.size, "val": 12}
    assert record["seed"] == 0


def test_what_does_not_fit_into_memory_is_not_begun() -> None:
    file = SEVEN_HUNDRED
    assert file.row_bytes == 8
    refuse_too_large(file, 700, None)
    refuse_too_large(file, 700, 7000)
    with pytest.raises(
        RunError, match=r"700 examples take 0\.0 GiB of memory, of which 0\.0 GiB is free"
    ):
        refuse_too_large(file, 700, 6000)


def test_memory_that_is_promised_and_not_given_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lacal.training.reading.free_memory", lambda: None)
    file = replace(SEVEN_HUNDRED, shape=(2**40,))  # more than there are addresses for
    with pytest.raises(RunError, match="700 examples do not fit into memory"):
        read_rows(file, [np.arange(700)])
