"""`export`: the adjusted model as a file, held against the original before it appears."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lacal.adjustment import Adjustment
from lacal.atomic import writing
from lacal.calibration import Calibration
from lacal.calibration_file import encoded
from lacal.errors import DataError, RunError, UsageError
from lacal.inputs.inputs import Inputs
from lacal.models import (
    AdjustedModel,
    Model,
    ModelOptions,
    adjusted_model,
    model_sha256,
    open_model,
)
from lacal.models.batching import padded_run
from lacal.models.kind import require_model
from lacal.models.model import refuse_adjusted
from lacal.models.trial import generated_inputs
from lacal.rows.scores import ScoreDoor
from lacal.rows.source import refuse_corrected
from lacal.trained import KEY, TrainingRecord, same_model

TRIAL_ROWS = 512
# What may lie between folded logits and NumPy's, relative to max(1, |logit|): float32 rounding of the head.
TOLERANCE = 4e-6
SUFFIXES = {"onnx": (".onnx",), "torchscript": (".pt", ".pth", ".ts"), "exported": (".pt2",)}


@dataclass(frozen=True, slots=True)
class Exported:
    """What `export` wrote, and what the check saw.

    Attributes:
        path: The file it wrote.
        model: The original.
        calibration: What it applied.
        how: What was done to the model.
        notes: What the user should know.
        rows: Rows the two models were compared on.
        generated: Whether those were made up, no inputs being given.
        difference: Largest distance of the logits from NumPy's, relative to max(1, |logit|).
        changed: Rows whose prediction the adjustment changed.
    """

    path: Path
    model: Path
    calibration: Calibration
    how: str
    notes: tuple[str, ...]
    rows: int
    generated: bool
    difference: float
    changed: int


def check_kind(model: Path, out: Path) -> None:
    """Refuse an output whose name promises another kind of model; an adjusted model is of its model's kind."""
    kind = require_model(model)
    if out.suffix.lower() not in SUFFIXES[kind]:
        raise UsageError(
            f"{out}: {model} is {kind}, and so will be the adjusted model; name a file that ends in "
            f"{SUFFIXES[kind][0]}"
        )


def export(
    path: Path,
    calibration: Calibration,
    out: Path,
    options: ModelOptions,
    *,
    trial: Callable[[Model], Inputs | None],
    fold: bool = False,
    force: bool = True,
    force_adjust: bool = False,
) -> Exported:
    """Write the model with the adjustment inside, whole and checked or not at all.

    Args:
        path: The original model.
        calibration: Whose adjustment goes in.
        out: The file to write.
        options: Output, device and trust.
        trial: The inputs to compare the two models on; None for generated ones.
        fold: Edit the head in place instead of appending a step.
        force: Replace a file that is there.
        force_adjust: Adjust a model whose training has put the whole correction into its logits.

    Raises:
        DataError: The model is adjusted already, by lacal or by its training, or does not fit the calibration.
        UsageError: The head cannot be folded.
        RunError: The adjusted model does not give what NumPy gives; nothing is written.
    """
    sha256 = model_sha256(path)
    options = _as_tuned(calibration, sha256, options)
    model = open_model(path, options)
    refuse_adjusted(model)
    if not calibration.adjustment.changes_nothing:
        refuse_corrected(model.training, str(path), force=force_adjust)
    notes = _notes(calibration, sha256, model.training)
    given = trial(model)
    batches = _batches(model, given)
    original = [_run(model, arrays) for arrays in batches]
    _refuse_probabilities(path, original)
    calibration.check_fits(original[0].shape[1], model.class_names, str(path))
    adjustment = calibration.adjustment
    made = adjusted_model(path, options, adjustment, encoded(calibration).decode(), fold=fold)
    with writing(out, replace=force) as file:
        file.write(made.content)
        file.flush()
        adjusted = _reopened(Path(file.name), out, options, made)
        # A GPU may fuse the appended multiplication and addition into one rounding.
        exact = made.exact and model.runs_on.device == "cpu"
        hint = "; leave --fold out, which rounds less" if fold else ""
        differences, changed = [0.0], 0
        for arrays, logits in zip(batches, original, strict=True):
            seen = _run(adjusted, arrays)
            differences.append(_compared(seen, logits, adjustment, exact, out, hint))
            changed += int(np.count_nonzero(seen.argmax(axis=1) != logits.argmax(axis=1)))
    return Exported(
        path=out,
        model=path,
        calibration=calibration,
        how=made.how,
        notes=(*notes, *made.notes),
        rows=sum(one.shape[0] for one in original),
        generated=given is None,
        difference=max(differences),
        changed=changed,
    )


def _notes(calibration: Calibration, sha256: str, training: TrainingRecord | None) -> list[str]:
    """What speaks against this adjustment of this model."""
    model: dict[str, Any] = {"model_sha256": sha256}
    notes: list[str] = []
    if training is not None:
        model[KEY] = training.json()
        notes += [] if calibration.adjustment.changes_nothing else training.cautions()
    if calibration.inference is not None and not same_model(calibration.inference, model):
        notes.append("the calibration was tuned on the logits of another model file")
    return notes


def _as_tuned(calibration: Calibration, sha256: str, options: ModelOptions) -> ModelOptions:
    """The output that was tuned on, where none is named and that was of this model."""
    if calibration.inference is None or calibration.inference.get("model_sha256") != sha256:
        return options
    tuned = calibration.inference.get("output")
    if options.output is None and isinstance(tuned, str) and tuned != "output":
        return replace(options, output=tuned)
    return options


def _batches(model: Model, given: Inputs | None) -> list[list[NDArray[Any]]]:
    """At most `TRIAL_ROWS` rows of inputs, in batches that the model takes."""
    rows = model.batch_size or 32
    if given is None:
        return [generated_inputs(model.inputs, rows, model.path, seed) for seed in range(8)]
    batches: list[list[NDArray[Any]]] = []
    for block in given.blocks(rows):
        batches.append(list(block.arrays))
        if len(batches) * rows >= TRIAL_ROWS:
            break
    return batches


def _run(model: Model, arrays: list[NDArray[Any]]) -> NDArray[Any]:
    """Scores of one batch; of copies, as a model may write into what it is given."""
    scores: NDArray[Any] = padded_run(
        model.run, [array.copy() for array in arrays], model.batch_size
    )
    return scores


def _refuse_probabilities(path: Path, batches: list[NDArray[Any]]) -> None:
    """The log prior belongs to logits; added to probabilities it would give every row to a rare class."""
    try:
        ScoreDoor(str(path), None, "", shift_blind=True).check(np.concatenate(batches), 0)
    except DataError as error:
        raise DataError(
            f"{path}: its scores are no logits to adjust ({str(error).partition(': ')[2][:100]}...); name the "
            "tensor in front of the softmax with --output, or save the model without the softmax"
        ) from error


def _reopened(temporary: Path, out: Path, options: ModelOptions, made: AdjustedModel) -> Model:
    output = options.output if made.output is None else made.output
    again = ModelOptions(output, options.device, options.precision, True, options.threads)
    try:
        return open_model(temporary, again)
    except DataError as error:
        raise RunError(
            f"{out}: the adjusted model could not be opened again ({str(error)[:120]}); nothing was written"
        ) from error


def _compared(
    seen: NDArray[Any],
    logits: NDArray[Any],
    adjustment: Adjustment,
    exact: bool,
    out: Path,
    hint: str,
) -> float:
    """Largest relative distance from the Adjustment of the original's logits; refuses what is too far."""
    if exact:
        kind = logits.dtype.type
        expected = logits if (adjustment.scale == 1).all() else logits * kind(adjustment.scale)
        expected = expected + kind(adjustment.offset)
    else:
        expected = adjustment.apply(logits)
    possible = np.isfinite(adjustment.offset)
    expected, got = expected[:, possible], seen[:, possible]
    allowed = TOLERANCE * np.maximum(1, np.abs(expected))
    apart = np.abs(got.astype(np.float64) - expected)
    relative = float((apart / np.maximum(1, np.abs(expected))).max(initial=0))
    if not (np.array_equal(got, expected) if exact else (apart <= allowed).all()):
        raise RunError(
            f"{out}: the adjusted model's logits differ from the adjustment of the original's by "
            f"{relative:.2g}, relative, expected {'no difference' if exact else f'at most {TOLERANCE:g}'}; "
            f"nothing was written{hint}"
        )
    best = np.sort(expected, axis=1)
    clear = best[:, -1] - best[:, -2] > 2 * allowed.max(axis=1) if best.shape[1] > 1 else True
    wrong = (got.argmax(axis=1) != expected.argmax(axis=1)) & clear
    if wrong.any() or seen.argmax(axis=1)[~possible[seen.argmax(axis=1)]].size:
        raise RunError(
            f"{out}: the adjusted model predicts other classes than the adjustment of the original's logits; "
            "nothing was written"
        )
    return relative
