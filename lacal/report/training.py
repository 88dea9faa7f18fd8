"""Results of `train`, for scripts and for a person: what the model reaches, what it carries, what to do next."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lacal.classes.groups import Groups
from lacal.classes.names import some_classes
from lacal.formats.shown import printable
from lacal.json_text import Json
from lacal.metrics import ClassTally
from lacal.pipeline.tune_tau import Tuning
from lacal.report.document import Block
from lacal.report.numbers import SCHEMA_VERSION, errors, gain_of, interval
from lacal.report.text import error_table, gain_line, percent, points
from lacal.report.warnings import of_tuning

if TYPE_CHECKING:
    from lacal.training.data import TrainingData
    from lacal.training.run import TrainingReport

FEW_TO_VALIDATE = 5

# What to do with logits, by what training has put into them.
ADVICE = {
    "nothing": "adjust them after training, with the tau above",
    "part": "trust no fixed tau, but one that was tuned on them, as above",
    "prior": "predict with them as they are",
}


def training_json(report: "TrainingReport") -> Json:
    """What `train` reached, on which data, by which means, and what it wrote."""
    data, trained, tuned = report.data, report.trained, report.tuning
    groups, names = report.prior.groups(), data.class_names
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "train",
        "output": str(report.folder),
        "warnings": training_warnings(report),
        "classes": int(data.class_counts.size),
        "class_names": None if names is None else list(names),
        "class_counts": data.class_counts.tolist(),
        "data": data.record,
        "options": report.options.record(),
        "record": report.record.json(),
        "carries": report.record.carries,
        "device": trained.device,
        "seconds": trained.seconds,
        "epochs": len(trained.epochs),  # numbered from 0, as in metrics.jsonl
        "resumed_epochs": trained.resumed_epochs,
        "kept_epoch": trained.kept_epoch if trained.epochs else None,
        "best_epoch": trained.best_epoch if trained.epochs else None,
        "validation": _validation_json(tuned, groups, names),
        "test": _test_json(report, groups),
        "files": {name: str(path) for name, path in report.finished.files.items()},
        "notes": list(report.finished.notes),
        "next": next_commands(report),
    }


def _validation_json(tuned: Tuning, groups: Groups, names: tuple[str, ...] | None) -> Json:
    return {
        "rows": tuned.rows,
        "tau": tuned.tau,
        "tau_interval": interval(tuned.bootstrap.tau),
        "gain": tuned.bootstrap.gain.value,
        "gain_interval": interval(tuned.bootstrap.gain),
        "gain_cross_fitted": tuned.cross_fit.gain,
        "gain_cross_fitted_standard_error": tuned.cross_fit.standard_error,
        "unadjusted": errors(tuned.unadjusted, groups, names),
        "adjusted": errors(tuned.adjusted, groups, names),
    }


def _test_json(report: "TrainingReport", groups: Groups) -> Json | None:
    test, names = report.test, report.data.class_names
    if test is None or test.unadjusted is None:
        return None
    return {
        "rows": test.rows,
        "gain": gain_of(test.gain),
        "unadjusted": errors(test.unadjusted, groups, names),
        "adjusted": errors(test.tally, groups, names),
    }


def training_text(report: "TrainingReport") -> list[Block]:
    """The answer first, then the errors per group, what was kept, the files and the next commands."""
    groups, tuned, test = report.prior.groups(), report.tuning, report.test
    validation = printable(report.data.val.place, 200)
    lines = [*_answer(report), _meaning(report)]
    tables = [(f"validation: {validation}", tuned.unadjusted, tuned.adjusted)]
    if test is not None and test.unadjusted is not None and report.data.test is not None:
        place = printable(report.data.test.place, 200)
        tables.insert(0, (f"test: {place}", test.unadjusted, test.tally))
    for title, before, after in tables:
        # Where the logits are the answer as they are, a second column would be one to be misled by.
        if report.record.carries == "prior":
            lines.append(error_table(None, before, groups, title))
        else:
            lines.append(error_table(before, after, groups, title))
    lines.append(_kept(report))
    lines += [
        f"{name}: {printable(str(path), 4096)}" for name, path in report.finished.files.items()
    ]
    lines += [f"note: {printable(note, 1000)}" for note in report.finished.notes]
    return [*lines, "next:", *(f"  {printable(one, 9000)}" for one in next_commands(report))]


def _answer(report: "TrainingReport") -> list[Block]:
    """Errors of rows that chose nothing, where there are some, and how sure the gain is."""
    tuned, test = report.tuning, report.test
    if report.record.carries == "prior":
        split, tally = "validation", tuned.unadjusted
        if test is not None and test.unadjusted is not None:
            split, tally = "test", test.unadjusted
        return [f"{split}: balanced error {percent(tally.balanced())} %"]
    if test is not None and test.unadjusted is not None and test.gain is not None:
        gain = gain_line(test.unadjusted, test.tally, test.gain).partition(": ")[2]
        return [f"test: {_errors(test.unadjusted, test.tally, tuned.tau)}", gain]
    crossed = tuned.cross_fit
    return [
        f"validation: {_errors(tuned.unadjusted, tuned.adjusted, tuned.tau)}",
        f"cross-fitted gain {points(crossed.gain)} points (standard error {100 * crossed.standard_error:.1f}): of taus tuned on four "
        "fifths of these rows, on the fifth that did not choose",
    ]


def _errors(before: ClassTally, after: ClassTally, tau: float) -> str:
    return (
        f"balanced error {percent(before.balanced())} % as it is, {percent(after.balanced())} % with "
        f"tau = {tau:.4g} tuned on validation"
    )


def _meaning(report: "TrainingReport") -> str:
    record = report.record
    return f"trained with {record.described()}: {record.meaning()}; {ADVICE[record.carries]}"


def _kept(report: "TrainingReport") -> str:
    trained, epochs = report.trained, len(report.trained.epochs)
    took = f"{trained.seconds:,.0f} s on {printable(trained.device)}"
    if report.record.second_stage is not None:  # its last epoch is kept, whatever validation says
        many = "1 epoch" if epochs == 1 else f"{epochs} epochs"
        return f"{many} of {report.record.second_stage}; {took}" if epochs else took
    why = (
        "the best on validation"
        if trained.kept_epoch == trained.best_epoch
        else f"as asked; epoch {trained.best_epoch + 1} was the best on validation"
    )
    resumed = f", {trained.resumed_epochs} of them from before" if trained.resumed_epochs else ""
    return f"kept epoch {trained.kept_epoch + 1} of {epochs}{resumed} ({why}); {took}"


def next_commands(report: "TrainingReport") -> list[str]:
    """What one does with the run, ready to be pasted."""
    run, files = report.folder, report.finished.files
    counts, test = run / "counts.csv", run / "test_logits.parquet"
    logits = test if report.test is not None else run / "val_logits.parquet"
    if report.record.carries == "prior":
        predictions = run.with_name(f"{run.name}_predictions.parquet")
        predict = _line("adjust", logits, "--tau", "0", "--counts", counts, "-o", predictions)
        return [_line("evaluate", logits, "--counts", counts), predict]
    calibration = run.with_name(f"{run.name}_calibration.json")
    tune = _line("tune-tau", run / "val_logits.parquet", "--counts", counts, "-o", calibration)
    lines = [tune]
    if report.test is not None:
        lines.append(_line("evaluate", test, "--calibration", calibration))
    model = next((path for path in files.values() if path.suffix in (".onnx", ".pt2")), None)
    if model is not None:
        adjusted = run.with_name(f"{run.name}_adjusted{model.suffix}")
        lines.append(_line("export", model, "--calibration", calibration, "-o", adjusted))
    return lines


def _line(*words: str | Path) -> str:
    # A path that begins with a dash would be read as an option.
    texts = [
        f"./{one}" if isinstance(one, Path) and str(one).startswith("-") else str(one)
        for one in words
    ]
    return shlex.join(["lacal", *texts])


def training_warnings(report: "TrainingReport") -> list[str]:
    """What should be known before the numbers are believed."""
    warnings = [*report.trained.notes, *_thin_validation(report.data)]
    if report.record.carries != "prior":  # what is corrected already needs no adjusting
        warnings += [f"tuning tau: {one}" for one in of_tuning(report.tuning)]
    return warnings


def _thin_validation(data: "TrainingData") -> list[str]:
    """A warning where the epoch and tau were chosen on hardly any rows of some classes."""
    rows = np.bincount(data.val.labels, minlength=len(data.class_counts))
    thin = np.flatnonzero(rows < FEW_TO_VALIDATE)
    if not thin.size:
        return []
    some = some_classes(thin.tolist(), data.class_names)
    return [
        f"{thin.size:,} of {rows.size:,} classes have fewer than {FEW_TO_VALIDATE} validation rows ({some}), so the "
        "epoch and tau are chosen on little; give --val, or a larger --val-fraction"
    ]
