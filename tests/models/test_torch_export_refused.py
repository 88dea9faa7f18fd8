"""What cannot be adjusted, or not as asked, is refused with what to do instead."""

from pathlib import Path

import numpy as np
import pytest

from lacal.adjustment import Adjustment
from lacal.errors import DataError, UsageError
from tests.models.torch_adjusting import CLASSES, PLAIN, SCALED, adjusted, saved


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("bare", "scripted", "no bias to fold into"),
        ("bare", "exported", "no bias to fold into"),
        ("net", "frozen", "is frozen"),
        ("bfloat16", "traced", "is not float32"),
        ("bfloat16", "exported", "is not float32"),
        ("twice", "scripted", "more places than the head"),
        ("twice", "exported", "more places than the head"),
        ("tied", "traced", "more places than the head"),
        ("tied", "exported", "more places than the head"),
    ],
)
def test_what_cannot_be_folded_says_to_append(
    name: str, kind: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=f"{words}.*leave --fold out"):
        adjusted(tmp_path, saved(name, kind), SCALED, fold=True)


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("softmax", "scripted", "is a softmax.*save the model without it"),
        ("log_softmax", "scripted", "is a log-softmax"),
        ("softmax", "traced", "is a softmax"),
        ("softmax", "frozen", "is a softmax"),
    ],
)
def test_what_cannot_be_wrapped_is_refused(
    name: str, kind: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=words):
        adjusted(tmp_path, saved(name, kind), PLAIN)


@pytest.mark.parametrize(
    ("kind", "fold"), [("exported", False), ("exported", True), ("traced", True)]
)
def test_another_number_of_classes_is_refused(kind: str, fold: bool, tmp_path: Path) -> None:
    other = Adjustment.identity(4)
    with pytest.raises(DataError, match="gives 5 logits a row, the adjustment has 4 classes"):
        adjusted(tmp_path, saved("net", kind), other, fold=fold)


@pytest.mark.parametrize(("scale", "offset"), [(1e39, 0), (1e-50, 0), (1, 1e39), (1, -1e39)])
def test_beyond_float32_is_refused(scale: float, offset: float, tmp_path: Path) -> None:
    beyond = Adjustment(np.full(CLASSES, scale), np.full(CLASSES, float(offset)))
    with pytest.raises(DataError, match="outside the range of float32"):
        adjusted(tmp_path, saved("net", "exported"), beyond)


def test_torchscript_needs_trust(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--trust-model"):
        adjusted(tmp_path, saved("net", "scripted"), PLAIN, trust=False)


def test_a_truncated_file_is_damaged(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"damaged|was cut off"):
        adjusted(tmp_path, saved("net", "exported")[:-100], PLAIN)
