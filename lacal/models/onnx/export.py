"""ONNX models with an adjustment put in, as the bytes of a new file.

Appended by default: a Mul where scales differ from one and an Add, right behind the logits and in front of any
softmax. Folded on request: the head's weight and bias are changed instead. Inputs, outputs, opset and all
else stay as they are.
"""

from pathlib import Path
from typing import Any

from lacal.adjustment import Adjustment
from lacal.errors import DataError, RunError, UsageError
from lacal.formats.shown import place, printable, reason
from lacal.models.model import AdjustedModel
from lacal.models.onnx.append import appended
from lacal.models.onnx.external import check_external, load_external
from lacal.models.onnx.file import all_tensors, load_onnx, metadata, onnx_library
from lacal.models.onnx.fold import folded
from lacal.models.onnx.graph import Graph
from lacal.models.onnx.head import chosen_tensor
from lacal.models.onnx.session import CALIBRATION_KEY
from lacal.models.onnx.site import Site, site_of

# Bytes of a model in one file; protobuf itself ends at 2 GiB.
SIZE_LIMIT = int(1.8 * 2**30)


def adjusted_onnx(
    path: Path, output: str | None, adjustment: Adjustment, note: str, *, fold: bool
) -> AdjustedModel:
    """An ONNX file with an adjustment (k,) of its logits (n, k) put in.

    Args:
        path: The original; it is only read. External data come into the new file.
        output: Name of the output or inner tensor that holds the logits, or a softmax of them; None where
            there is no choice.
        adjustment: Appended in the type the logits have, at least float32, or folded in float64 and
            rounded once.
        note: The calibration as JSON, which travels as metadata.
        fold: Change the head's weight and bias, rather than add to the graph.

    Raises:
        DataError: It is adjusted already, is no sound model, or gives no logits of this width.
        UsageError: There is no such output, its head cannot be folded into, or it is too large for one file.
        MissingExtra: `onnx` is not installed.
        RunError: The result does not pass the ONNX checker.
    """
    model = _whole(path)
    if CALIBRATION_KEY in metadata(model):
        raise DataError(
            f"{place(path)}: is adjusted already, it carries a calibration of lacal; adjust the model it "
            "was made from"
        )
    graph = Graph(model)
    site = site_of(graph, path, model, chosen_tensor(graph, path, output), adjustment.classes)
    notes = _notes(graph, site)
    if fold:
        how, exact, name = folded(graph, path, model, site, adjustment), False, None
        if site.chosen != site.logits:
            name = site.logits
    else:
        how, exact, name = appended(graph, path, model, site, adjustment)
        if site.half:
            notes.append(_widened(site))
    model.metadata_props.add(key=CALIBRATION_KEY, value=note)
    notes += _checked(path, model)
    return AdjustedModel(model.SerializeToString(), exact, how, tuple(notes), name)


def _whole(path: Path) -> Any:
    """The model with all its weights inside."""
    model = load_onnx(path, weights=False)
    outside = check_external(path, all_tensors(model))
    size = path.stat().st_size + sum(one.size for one in outside)
    if size > SIZE_LIMIT:
        raise UsageError(
            f"{place(path)}: has {size / 2**30:.1f} GiB of weights; lacal writes an adjusted model as one file "
            f"of at most {SIZE_LIMIT / 2**30:.1f} GiB; apply the calibration to its logits with lacal adjust"
        )
    load_external(path, all_tensors(model))
    return model


def _notes(graph: Graph, site: Site) -> list[str]:
    """What becomes of outputs that were not asked for."""
    notes = []
    if site.chosen not in graph.outputs:
        notes.append(
            f"The logits '{printable(site.logits)}' are no output of the model. {_outputs(site.changed)} "
            "computed from them and adjusted with them."
        )
    elif followers := [name for name in site.changed if name != site.chosen]:
        notes.append(f"{_outputs(followers)} computed from the same logits and adjusted with them.")
    if site.unchanged:
        notes.append(f"{_outputs(site.unchanged)} not adjusted, though the same logits lead there.")
    return notes


def _outputs(names: tuple[str, ...] | list[str]) -> str:
    every = ", ".join(f"'{printable(name)}'" for name in names)
    return f"Output {every} is" if len(names) == 1 else f"Outputs {every} are"


def _widened(site: Site) -> str:
    if site.chosen == site.logits and site.logits in site.changed:
        return (
            f"The logits are {site.kind} and adjusted in float32: output '{printable(site.logits)}' is "
            "float32 now."
        )
    return (
        f"The logits are {site.kind}; they are adjusted in float32 and rounded to {site.kind} again for what "
        "follows, where classes that are almost equal may change places."
    )


def _checked(path: Path, model: Any) -> list[str]:
    """Hold the new model against the ONNX standard; a note where the original fails as well."""
    error = _objection(model)
    if error is None:
        return []
    if _objection(load_onnx(path)) is not None:
        return [
            f"The ONNX checker objects to the original model already: {reason(error).rstrip('.')}."
        ]
    raise RunError(
        f"{place(path)}: the adjusted model does not pass the ONNX checker ({reason(error)}); nothing was "
        "written"
    )


def _objection(model: Any) -> Exception | None:
    onnx = onnx_library("writing an ONNX model")
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # ValidationError, InferenceError and whatever protobuf has
        return error
    return None
