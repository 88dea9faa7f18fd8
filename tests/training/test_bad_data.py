"""Every way in which data cannot be trained on is a sentence that says where and why."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lacal.errors import LacalError
from tests.training.data_files import (
    COLOURS,
    FEATURES,
    LABELS,
    NAMES,
    OTHER_LABELS,
    OTHERS,
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


def infinite(folder: Path) -> dict[str, Any]:
    x = FEATURES.copy()
    x[41, 2] = np.inf
    return {"data": npz(folder / "a.npz", x=x, labels=LABELS)}


def not_a_number(folder: Path) -> dict[str, Any]:
    x = FEATURES.copy()
    x[41, 2] = np.nan
    return {"data": csv(folder / "a.csv", x, LABELS)}


def not_a_pixel(folder: Path) -> dict[str, Any]:
    x = COLOURS.astype("f4")
    x[3, 2, 5, 1] = np.nan
    return {"data": npz(folder / "a.npz", x=x, labels=LABELS)}


def no_labels(folder: Path) -> dict[str, Any]:
    return {"data": npz(folder / "a.npz", x=FEATURES, y=LABELS)}


def flat_folder(folder: Path) -> dict[str, Any]:
    (folder / "flat").mkdir()
    (folder / "flat" / "a.png").write_bytes(png(COLOURS[0]))
    return {"data": folder / "flat"}


def one_unlabelled(folder: Path) -> dict[str, Any]:
    labels = LABELS.copy()
    labels[5] = -1
    return {"data": npz(folder / "a.npz", x=FEATURES, labels=labels)}


def an_empty_label(folder: Path) -> dict[str, Any]:
    labels = words(LABELS)
    labels[9] = ""
    return {"data": npz(folder / "a.npz", x=FEATURES, labels=labels)}


def half_a_label(folder: Path) -> dict[str, Any]:
    return {"data": npz(folder / "a.npz", x=FEATURES, labels=LABELS + np.eye(60)[8] / 2)}


def one_hot(folder: Path) -> dict[str, Any]:
    return {"data": npz(folder / "a.npz", x=FEATURES, labels=np.eye(3)[LABELS]), "input": "x"}


def from_one_on(folder: Path) -> dict[str, Any]:
    return {"data": npz(folder / "a.npz", x=FEATURES, labels=LABELS + 1)}


def a_gap(folder: Path) -> dict[str, Any]:
    names = np.array([*NAMES, "yak", "gnu"])
    return {"data": plain(folder, class_names=names)}


def a_mistyped_class(folder: Path) -> dict[str, Any]:
    labels = LABELS.copy()
    labels[0] = 10**12
    return {"data": npz(folder / "a.npz", x=FEATURES, labels=labels)}


def one_class(folder: Path) -> dict[str, Any]:
    return {"data": npz(folder / "a.npz", x=FEATURES, labels=LABELS * 0)}


def singles(folder: Path) -> dict[str, Any]:
    return {"data": npz(folder / "a.npz", x=FEATURES, labels=np.arange(60))}


def a_strange_label(folder: Path) -> dict[str, Any]:
    labels = OTHER_LABELS.copy()
    labels[4] = 3
    return {"data": plain(folder), "val": other(folder, labels=labels)}


def a_strange_name(folder: Path) -> dict[str, Any]:
    labels = words(OTHER_LABELS).astype("<U5")
    labels[4] = "dogg"
    train = npz(folder / "a.npz", x=FEATURES, labels=words(LABELS))
    return {"data": train, "test": other(folder, labels=labels)}


def names_for_numbers(folder: Path) -> dict[str, Any]:
    return {"data": plain(folder), "val": other(folder, labels=words(OTHER_LABELS))}


def other_names(folder: Path) -> dict[str, Any]:
    train = plain(folder, class_names=np.array(NAMES))
    return {"data": train, "val": other(folder, class_names=np.array(["cat", "emu", "dog"]))}


def twice_a_name(folder: Path) -> dict[str, Any]:
    return {"data": plain(folder, class_names=np.array(["cat", "dog", "cat"]))}


def other_width(folder: Path) -> dict[str, Any]:
    return {"data": plain(folder), "val": other(folder, x=OTHERS[:, :3])}


def other_columns(folder: Path) -> dict[str, Any]:
    train = csv(folder / "a.csv", FEATURES, LABELS)
    return {"data": train, "val": csv(folder / "b.csv", OTHERS, OTHER_LABELS, "abdc")}


def missing_columns(folder: Path) -> dict[str, Any]:
    train = csv(folder / "a.csv", FEATURES, LABELS)
    return {"data": train, "val": csv(folder / "b.csv", OTHERS, OTHER_LABELS, "abcz")}


def other_type(folder: Path) -> dict[str, Any]:
    train = npz(folder / "a.npz", x=COLOURS / 255, labels=LABELS)
    return {"data": train, "val": other(folder, x=COLOURS[:12])}


def sizes_differ(folder: Path) -> dict[str, Any]:
    images = [png(one) for one in COLOURS]
    images[7] = png(COLOURS[7, :, :4])
    return {"data": parquet(folder / "a.parquet", image=images, label=LABELS)}


def val_of_another_size(folder: Path) -> dict[str, Any]:
    train = parquet(folder / "a.parquet", image=[png(one) for one in COLOURS], label=LABELS)
    val = class_folders(folder / "val", COLOURS[:12, :, :4], OTHER_LABELS)
    return {"data": train, "val": val}


def ids_twice(folder: Path) -> dict[str, Any]:
    return {"data": plain(folder), "val": other(folder, ids=np.arange(12) % 11)}


def empty(folder: Path) -> dict[str, Any]:
    return {"data": npz(folder / "a.npz", x=FEATURES[:0], labels=LABELS[:0])}


def nothing_in_it(folder: Path) -> dict[str, Any]:
    (folder / "a.npz").write_bytes(b"")
    return {"data": folder / "a.npz"}


def missing(folder: Path) -> dict[str, Any]:
    return {"data": folder / "nowhere.npz"}


def texts(folder: Path) -> dict[str, Any]:
    return {"data": parquet(folder / "a.parquet", text=list("ab" * 30), label=LABELS)}


def two_fields(folder: Path) -> dict[str, Any]:
    return {"data": npz(folder / "a.npz", u=FEATURES, v=FEATURES, labels=LABELS)}


def no_such_field(folder: Path) -> dict[str, Any]:
    return {"data": plain(folder), "input": "pixels"}


def counts_of_more(folder: Path) -> dict[str, Any]:
    (folder / "counts.json").write_text("[30, 20, 10, 0]")
    return {"data": plain(folder), "counts": folder / "counts.json"}


def val_and_fraction(folder: Path) -> dict[str, Any]:
    return {"data": plain(folder), "val": other(folder), "val_fraction": 0.1}


def too_steep(folder: Path) -> dict[str, Any]:
    return {"data": plain(folder), "long_tail": "exp:100"}


def unequal_lengths(folder: Path) -> dict[str, Any]:
    return {"data": npz(folder / "a.npz", x=FEATURES, labels=LABELS[:50])}


def val_from_one_on(folder: Path) -> dict[str, Any]:
    return {"data": plain(folder), "val": other(folder, labels=OTHER_LABELS + 1)}


def columns_and_a_field(folder: Path) -> dict[str, Any]:
    return {"data": plain(folder), "val": csv(folder / "b.csv", OTHERS, OTHER_LABELS)}


def paths_alone(folder: Path) -> dict[str, Any]:
    (folder / "a.png").write_bytes(png(COLOURS[0]))
    (folder / "list.txt").write_text("a.png\n")
    return {"data": folder / "list.txt"}


def counted_labels_of_more(folder: Path) -> dict[str, Any]:
    labels = npz(folder / "labels.npz", train_labels=np.append(LABELS, 3))
    return {"data": plain(folder), "counts": labels}


FAULTS: list[tuple[Callable[[Path], dict[str, Any]], str]] = [
    (infinite, "row 41, feature 2 is inf; expected finite numbers"),
    (not_a_number, "row 41, column 'c' is nan; expected finite numbers"),
    (not_a_pixel, "row 3, value [2, 5, 1] is nan"),
    (
        no_labels,
        "has no labels; expected a field 'label' or 'labels' among x, y; name it with --label-key",
    ),
    (flat_folder, "has no labels; expected a folder of images for each class"),
    (
        one_unlabelled,
        "'labels': row 5 has label -1, expected class numbers from 0; if -1 means 'no label'",
    ),
    (an_empty_label, "'labels': row 9 has no label"),
    (half_a_label, "label 8 is no whole number"),
    (one_hot, "one-hot labels must be turned into class numbers first"),
    (
        from_one_on,
        "has no training example of 1 of 4 classes (0); if the labels run 1..3, subtract 1 first",
    ),
    (a_gap, "has no training example of 2 of 5 classes (yak, gnu)"),
    (
        a_mistyped_class,
        "has no training example of 999,999,999,997 of 1,000,000,000,001 classes (3, 4, 5, 6, 7, ...)",
    ),
    (one_class, "knows one class only"),
    (singles, "every class has a single example"),
    (a_strange_label, "val.npz: 'labels': row 4 has label 3, expected 0..2"),
    (
        a_strange_name,
        "row 4 is 'dogg', which is none of the 3 classes (cat, dog, emu). Did you mean 'dog'?",
    ),
    (names_for_numbers, "row 0 is 'cat', but the training labels are class numbers"),
    (other_names, "classes are in another order than in"),
    (twice_a_name, "class name 'cat' occurs twice"),
    (other_width, "examples are (n, 3), those of"),
    (other_columns, "they stand in another order"),
    (missing_columns, "only one of them has 'd'"),
    (other_type, "holds uint8,"),
    (val_from_one_on, "has label 3, expected 0..2; if the labels run 1..3, subtract 1 first"),
    (columns_and_a_field, "one has a column for each feature, the other one field for all"),
    (paths_alone, "has no labels; expected `path label` in every line"),
    (counted_labels_of_more, "has counts of 4 classes, "),
    (
        sizes_differ,
        "row 7: becomes 3 x 4 x 5, the images before it 3 x 6 x 5; all must have one size; say --resize",
    ),
    (val_of_another_size, "examples are (n, 3, 4, 5), those of"),
    (ids_twice, "row 11 has the same id as row 0"),
    (empty, "holds no rows"),
    (nothing_in_it, "a.npz: is empty"),
    (missing, "nowhere.npz"),
    (texts, "has no field that could be the model's input, numbers or images; it has 'text'"),
    (
        two_fields,
        "several fields could be the model's input, numbers or images: 'u', 'v'; choose one with --input FIELD",
    ),
    (no_such_field, "has no field 'pixels' (--input); it has"),
    (counts_of_more, "has no training example of 1 of 4 classes (3)"),
    (val_and_fraction, "--val is a validation split, --val-fraction cuts one"),
    (too_steep, "--long-tail: got exp:100, which leaves no example of 2 of 3 classes"),
    (unequal_lengths, "they must pair up"),
]


@pytest.mark.parametrize(("spoilt", "message"), FAULTS, ids=[one.__name__ for one, _ in FAULTS])
def test_every_fault_is_a_sentence(
    spoilt: Callable[[Path], dict[str, Any]], message: str, tmp_path: Path
) -> None:
    with pytest.raises(LacalError) as error:
        opened(**spoilt(tmp_path))
    assert message in str(error.value)
    assert error.value.exit_code == 2
