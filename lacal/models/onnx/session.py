"""An ONNX model, run by onnxruntime."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.classes.names import shown
from lacal.errors import DataError
from lacal.formats.shown import place
from lacal.models.model import Model, ModelKind, ModelOptions, Port, RunsOn
from lacal.models.onnx.device import open_session
from lacal.models.onnx.external import external_files
from lacal.models.onnx.faults import run_fault
from lacal.models.onnx.file import all_tensors, foreign_operators, load_onnx, metadata, onnx_library
from lacal.models.onnx.graph import expose
from lacal.models.onnx.ports import (
    NUMPY_NAMES,
    SCORES,
    chosen_output,
    described,
    fixed_batch,
    input_ports,
)
from lacal.trained import TrainingRecord, record_from_text

CALIBRATION_KEY = "lacal.calibration"
TRAINING_KEY = "lacal.training"
CLASS_NAMES_KEY = "class_names"
FOREIGN_NAMES_KEYS = ("names", "classes", "id2label")  # taken only where they fit to the letter
WIDENED = "lacal_float32"  # name of a cast put behind an output that NumPy cannot hold
FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)


@dataclass(frozen=True, slots=True)
class OnnxModel:
    """An opened ONNX model; see `lacal.models.Model`."""

    path: Path
    inputs: tuple[Port, ...]
    output: str
    batch_size: int | None
    class_names: tuple[str, ...] | None
    calibration: str | None
    training: TrainingRecord | None
    runs_on: RunsOn
    _session: Any = field(repr=False)
    _takes: tuple[tuple[np.dtype[Any], tuple[int | None, ...]], ...]  # type and sides of a row
    _fetched: str  # name of the tensor in the session; not `output` where a cast stands behind it
    _classes: int | None  # as declared
    kind: ModelKind = "onnx"

    def run(self, inputs: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """Scores of one batch (n, k), float32 or float64.

        Args:
            inputs: One array (n, ...) for each input, of its type.

        Raises:
            OutOfMemory: A smaller batch may fit.
            RunError: onnxruntime failed.
            DataError: An array is not as the input declares, or the output is no (n, k) scores.
        """
        if len(inputs) != len(self.inputs):
            raise DataError(
                f"{place(self.path)}: got {len(inputs)} arrays, expected one for each of its "
                f"{len(self.inputs)} inputs"
            )
        rows = inputs[0].shape[0] if inputs[0].ndim else 0
        feed, sized = {}, self.batch_size in (None, rows)
        for port, (dtype, sides), array in zip(self.inputs, self._takes, inputs, strict=True):
            # A small model runs in microseconds, so the common case is told by a few comparisons.
            usual = sized and array.dtype is dtype and array.shape == (rows, *sides)
            usual = usual and array.flags.c_contiguous
            feed[port.name] = array if usual else _fitting(self.path, port, array, rows)
        try:
            scores: NDArray[Any] = self._session.run([self._fetched], feed)[0]
        except Exception as error:
            raise run_fault(self.path, error, rows) from error
        plain = type(scores) is np.ndarray and scores.dtype is FLOAT32
        if plain and scores.shape == (rows, self._classes):
            return scores
        return _scores(self.path, self.output, scores, rows, self._classes)


def open_onnx(path: Path, options: ModelOptions) -> Model:
    """Open an ONNX file on the device asked for.

    Args:
        path: The .onnx file; external data lie beside it.
        options: Output, device and threads.

    Raises:
        DataError: The file or its training record is damaged, it is no model of rows to scores, or needs a
            newer onnxruntime.
        UsageError: --output is needed or names no scores, or another precision than float32 is asked for.
        MissingExtra: `onnx` or `onnxruntime` is not installed.
        RunError: The device cannot be had.
    """
    model = load_onnx(path, weights=False)
    inputs = input_ports(path, model)
    batch_size = fixed_batch(path, inputs)
    output = chosen_output(path, model, options.output)
    changed = output.name not in {value.name for value in model.graph.output}
    if changed:
        model = expose(model, output.name)
    fetched = output.name
    session, runs_on = _opened(path, model, options, changed)
    kind = _type_in(session, fetched)
    if kind == "bfloat16":
        fetched = _widen(model, fetched)
        session, runs_on = _opened(path, model, options, changed=True)
    elif kind not in SCORES:
        raise DataError(
            f"{place(path)}: tensor {shown(fetched)} is {kind}; expected floating-point scores "
            "(rows, classes); name another with --output"
        )
    classes = output.shape[1] if output.shape else None
    entries = metadata(model)
    return OnnxModel(
        path=path,
        inputs=inputs,
        output=output.name,
        batch_size=batch_size,
        class_names=_class_names(entries, classes),
        calibration=entries.get(CALIBRATION_KEY),
        training=record_from_text(entries.get(TRAINING_KEY), place(path)),
        runs_on=runs_on,
        _session=session,
        _takes=tuple(
            (np.dtype(port.dtype), port.shape[1:] if port.shape else (None,)) for port in inputs
        ),
        _fetched=fetched,
        _classes=classes,
    )


def _opened(path: Path, model: Any, options: ModelOptions, changed: bool) -> tuple[Any, RunsOn]:
    files = external_files(path, all_tensors(model))
    # From bytes onnxruntime would look for external data in the current folder, and by path it would map
    # files that may yet change: so it is handed what was checked and read.
    # It takes no path that is not UTF-8
    by_path = not changed and not files and str(path).isprintable()
    content = str(path) if by_path else model.SerializeToString()
    return open_session(path, content, files, options, foreign_operators(model))


def _widen(model: Any, name: str) -> str:
    """Put a cast to float32 behind an output; NumPy has no bfloat16."""
    onnx = onnx_library("running an ONNX model")
    widened = f"{name}/{WIDENED}"
    model.graph.node.append(
        onnx.helper.make_node("Cast", [name], [widened], to=onnx.TensorProto.FLOAT)
    )
    model.graph.output.append(
        onnx.helper.make_tensor_value_info(widened, onnx.TensorProto.FLOAT, None)
    )
    return widened


def _type_in(session: Any, name: str) -> str:
    """NumPy's name of an output's type as onnxruntime worked it out."""
    said: str = next(value.type for value in session.get_outputs() if value.name == name)
    kind = said.removeprefix("tensor(").removesuffix(")")
    return NUMPY_NAMES.get(kind.upper(), kind)


def _class_names(entries: dict[str, str], classes: int | None) -> tuple[str, ...] | None:
    for key in (CLASS_NAMES_KEY, *FOREIGN_NAMES_KEYS):
        try:
            names = json.loads(entries.get(key, "null"))
        except (ValueError, RecursionError):
            continue  # other tools write what they like under such keys
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            continue
        if len(names) == classes or (classes is None and key == CLASS_NAMES_KEY):
            return tuple(names)
    return None


def _fitting(path: Path, port: Port, array: NDArray[Any], rows: int) -> NDArray[Any]:
    """The array in native byte order and C order; an error where it is not what the input declares."""
    dtype = np.dtype(port.dtype)
    if array.dtype != dtype and array.dtype.newbyteorder("=") == dtype:
        array = array.astype(dtype)  # onnxruntime would take the bytes as if they were native
    shape, sides = array.shape, port.shape
    fits = array.dtype == dtype and shape[:1] == (rows,)
    if fits and sides is not None:
        fits = len(shape) == len(sides)
        for want, got in zip(sides, shape, strict=False):
            fits = fits and (want is None or want == got)
    if not fits:
        given = Port(port.name, array.dtype.name, shape)
        raise DataError(
            f"{place(path)}: input {shown(port.name)} takes {described(port)}; got {described(given)} in a "
            f"batch of {rows:,} rows; give it what it was exported for"
        )
    return array if array.flags.c_contiguous else np.ascontiguousarray(array)


def _scores(
    path: Path, name: str, scores: NDArray[Any], rows: int, classes: int | None
) -> NDArray[Any]:
    """The output as (n, k) float32 or float64; an error that says what it is instead."""
    found = scores
    if found.ndim > 2 and found.shape[2:] == (1,) * (found.ndim - 2):
        found = found.reshape(found.shape[:2])
    if found.dtype == np.float16:
        found = found.astype(np.float32)
    if found.dtype not in (FLOAT32, FLOAT64) or found.ndim != 2 or found.shape[0] != rows:
        raise DataError(
            f"{place(path)}: output {shown(name)} is {scores.dtype.name} {scores.shape} for {rows:,} rows; "
            f"expected floating-point scores ({rows}, classes); name another with --output"
        )
    if classes is not None and found.shape[1] != classes:
        raise DataError(
            f"{place(path)}: output {shown(name)} declares {classes:,} classes and gives "
            f"{found.shape[1]:,}; export the model again"
        )
    return found
