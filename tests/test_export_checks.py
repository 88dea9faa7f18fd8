"""An adjusted model that is not what it should be is never published."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

from lacal.adjustment import Adjustment
from lacal.errors import DataError, RunError, UsageError
from lacal.models import AdjustedModel, ModelOptions, Port
from lacal.models.batching import Batching
from lacal.models.trial import generated_inputs
from lacal.pipeline import export
from tests.fake_models import FakeModel
from tests.faults.evil.graphs import good
from tests.models.onnx_small import saved
from tests.small_world import COUNTS, refusal, world

LOGITS = world().logits
SHIFT = Adjustment(np.ones(len(COUNTS)), -np.log(COUNTS) + np.log(100.0))
NEVER = Adjustment(np.ones(len(COUNTS)), np.array([-np.inf, 0.0, 0.0, 0.0, 0.0]))
OUT = Path("out.onnx")


def compared(seen: NDArray[Any], by: Adjustment, *, exact: bool) -> float:
    return export._compared(seen, LOGITS, by, exact, OUT, "")


def test_what_is_off_is_refused() -> None:
    shifted = LOGITS + SHIFT.offset.astype(np.float32)
    assert compared(shifted, SHIFT, exact=True) == 0
    with pytest.raises(RunError, match=r"logits differ .* expected no difference"):
        compared(np.nextafter(shifted, np.float32(99)), SHIFT, exact=True)
    assert compared(np.nextafter(shifted, np.float32(99)), SHIFT, exact=False) > 0
    with pytest.raises(RunError, match=r"logits differ .* expected at most 4e-06"):
        compared(shifted + np.float32(1e-3), SHIFT, exact=False)


def test_a_class_that_is_never_predicted_is_looked_at() -> None:
    seen = LOGITS.copy()
    seen[:, 0] = -np.inf
    assert compared(seen, NEVER, exact=True) == 0
    seen[7, 0] = 99
    with pytest.raises(RunError, match="predicts other classes"):
        compared(seen, NEVER, exact=True)


def test_a_model_that_cannot_be_opened_again(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(b"junk")
    made = AdjustedModel(b"junk", True, "how")
    with pytest.raises(RunError, match=r"out\.onnx: the adjusted model could not be opened again"):
        export._reopened(tmp_path / "t", OUT, ModelOptions(), made)


def test_an_output_of_another_kind(
    calibration: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = saved(good(), tmp_path / "m.onnx")
    line = ("export", model, "--calibration", calibration, "-o", tmp_path / "out.pt2")
    assert "name a file that ends in .onnx" in refusal(capfd, *line)


def test_inputs_cannot_be_made_up_without_a_shape() -> None:
    for port in (Port("x", None, None), Port("x", "float32", (None, None))):
        with pytest.raises(UsageError, match="does not say which shape its input x has"):
            generated_inputs((port,), 4, Path("m.pt"), 0)


def test_a_model_whose_number_of_classes_changes() -> None:
    model = FakeModel(Path("m"), fault="one class")
    with pytest.raises(DataError, match="gave 1 scores a row after 3 a row before"):
        list(Batching(model, 4, shrinks=True).pieces([np.ones((6, 4), np.float32)], model.run, 3))
