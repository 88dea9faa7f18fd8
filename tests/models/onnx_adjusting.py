"""Adjusting small ONNX models, and what NumPy makes of their logits instead."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx

from lacal.adjustment import Adjustment
from lacal.models.model import AdjustedModel
from lacal.models.onnx.export import adjusted_onnx
from tests.models.onnx_models import (
    CLASSES,
    Array,
    Built,
)

NOTE = '{"tau": 1.5, "name": "été"}'
TOLERANCE = 4e-6  # of float32, relative to max(1, |logit|)
SHIFT = Adjustment(np.ones(CLASSES), np.array([3.1, -0.2, 0.7, -5.0]))
SCALE = Adjustment(np.array([0.3, 1.0, 2.7, 1.4]), SHIFT.offset)


def adjusted(
    model: Built, folder: Path, by: Adjustment, output: str | None = "logits", *, fold: bool = False
) -> AdjustedModel:
    return adjusted_onnx(model.save(folder / "m.onnx"), output, by, NOTE, fold=fold)


def by_numpy(logits: Array, by: Adjustment) -> Array:
    """The adjustment in the type that the model must use, classes along the second axis."""
    kind = np.promote_types(logits.dtype, np.float32)
    sides = (CLASSES, *(1 for _ in logits.shape[2:]))
    scale, offset = by.scale.astype(kind), by.offset.astype(kind)
    scaled: Array = logits.astype(kind) * scale.reshape(sides) + offset.reshape(sides)
    return scaled


def check_close(got: Array, expected: Array) -> None:
    """Within the tolerance, and of the same argmax wherever the best two lie further apart."""
    allowed = TOLERANCE * np.maximum(1, np.abs(expected))
    assert (np.abs(got.astype(np.float64) - expected) <= allowed).all()
    best = np.sort(expected, axis=1)
    clear = best[:, -1] - best[:, -2] > 2 * allowed.max(axis=1)
    assert np.array_equal(got.argmax(1)[clear], expected.argmax(1)[clear])


def listing(content: bytes, name: str) -> bytes:
    """The model with another tensor among its outputs."""
    from lacal.models.onnx.graph import expose

    wider: bytes = expose(onnx.load_from_string(content), name).SerializeToString()
    return wider
