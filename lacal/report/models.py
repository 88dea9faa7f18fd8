"""Results of `infer` and `export`, for scripts and for a person."""

from lacal.formats.shown import printable
from lacal.json_text import Json
from lacal.model_source import ModelSource
from lacal.pipeline.export import Exported
from lacal.pipeline.infer import Inferred
from lacal.report.document import Block
from lacal.report.numbers import SCHEMA_VERSION


def inference_json(done: Inferred, source: ModelSource) -> Json:
    """What `infer` wrote."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "infer",
        "output": str(done.path),
        "rows": done.rows,
        "labelled_rows": done.labelled,
        "classes": source.classes,
        "class_names": None if source.class_names is None else list(source.class_names),
        "resumed_rows": done.resumed_rows,
        "inference": source.inference,
        "warnings": list(source.notes),
    }


def inference_text(done: Inferred, source: ModelSource) -> list[Block]:
    """Rows, labels and classes."""
    labels = f"{done.labelled:,} with labels" if source.labelled else "no labels"
    resumed = f", {done.resumed_rows:,} of them from before" if done.resumed_rows else ""
    return [
        f"{done.rows:,} rows ({labels}{resumed}) of {source.classes} logits in {printable(str(done.path))}"
    ]


def export_json(done: Exported) -> Json:
    """What `export` wrote, and what the check saw."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "export",
        "output": str(done.path),
        "model": str(done.model),
        "method": done.calibration.method,
        "tau": done.calibration.tau,
        "how": done.how,
        "checked_rows": done.rows,
        "generated_inputs": done.generated,
        "largest_difference": done.difference,
        "changed_predictions": done.changed,
        "warnings": list(done.notes),
    }


def export_text(done: Exported) -> list[Block]:
    """What was done, and how it was checked."""
    inputs = "generated rows" if done.generated else "rows of the inputs"
    agreement = (
        "to the bit"
        if done.difference == 0
        else f"within {done.difference:.1g} of the largest logit"
    )
    return [
        f"{done.calibration.described}: {printable(done.how, 1000)}",
        f"checked on {done.rows:,} {inputs}: logits equal the adjustment's {agreement}; predictions differ "
        f"from the original model's in {done.changed:,} of them",
        *(f"note: {printable(note, 1000)}" for note in done.notes),
    ]
