"""What is said of a run: the answer first, what the logits carry, and commands that can be pasted."""

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from rich.console import Console

torch = pytest.importorskip("torch")

from lacal.json_text import json_text
from lacal.report.training import next_commands, training_json, training_text
from lacal.training.data import DataOptions
from lacal.training.run import TrainingReport, carried, run_training
from tests.training.training_world import Heard, examples, tiny_options


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> TrainingReport:
    """Of a run of three epochs on features."""
    folder = tmp_path_factory.mktemp("report")
    for seed, (split, counts) in enumerate(
        {"train": (130, 40, 10), "val": (10, 10, 10), "test": (20, 20, 20)}.items()
    ):
        one = examples(counts, (4,), split, seed=seed, images=False)
        np.savez(folder / f"{split}.npz", x=one.inputs, labels=one.labels)
    return run_training(
        DataOptions(folder / "train.npz", folder / "val.npz", folder / "test.npz"),
        tiny_options(threads=1),
        folder / "run",
        resume=False,
        force=False,
        start=None,
        progress=Heard(),
        say=lambda line: None,
        summary=training_json,
    )


def shown(report: TrainingReport) -> list[str]:
    """The lines of the report as a terminal of 160 columns shows them."""
    screen = StringIO()
    console = Console(file=screen, width=160, highlight=False)
    for block in training_text(report):
        console.print(block, markup=False) if isinstance(block, str) else console.print(block)
    return screen.getvalue().splitlines()


def changed(report: TrainingReport, **record: Any) -> TrainingReport:
    return replace(report, record=msgspec.structs.replace(report.record, **record))


def test_the_answer_is_of_rows_that_chose_nothing(report: TrainingReport) -> None:
    lines = shown(report)
    assert report.test is not None
    assert report.test.unadjusted is not None
    was, now = (one.balanced() for one in (report.test.unadjusted, report.test.tally))
    assert was.value is not None
    assert was.standard_error is not None
    assert now.value is not None
    assert lines[0].startswith(
        f"test: balanced error {100 * was.value:.1f} ± {100 * was.standard_error:.1f} % as it is, "
        f"{100 * now.value:.1f} "
    )
    assert f"with tau = {report.tuning.tau:.4g} tuned on validation" in lines[0]
    assert lines[1].startswith("gain ")
    assert "95 % interval" in lines[1]
    without = replace(report, test=None)
    assert shown(without)[0].startswith("validation: balanced error ")
    assert shown(without)[1].startswith("cross-fitted gain ")
    assert "did not choose" in " ".join(shown(without)[1:3])
    assert training_json(without)["test"] is None


def test_groups_are_those_of_the_training_counts(report: TrainingReport) -> None:
    text = "\n".join(shown(report))
    for row in ("many (> 100 training)", "medium (20..100 training)", "few (< 20 training)"):
        assert text.count(row) == 2  # test and validation
    found = training_json(report)
    groups = found["test"]["unadjusted"]["groups"]
    assert {name: one["n"] for name, one in groups.items()} == {"many": 20, "medium": 20, "few": 20}


@pytest.mark.parametrize(
    ("carries", "fragment", "commands"),
    [
        ("nothing", "no correction for the training counts; adjust them", ["tune-tau", "evaluate", "export"]),
        ("part", "a part of the correction for the training counts; trust no fixed tau", ["tune-tau", "evaluate", "export"]),
        ("prior", "the whole correction for the training counts; predict with them as they are", ["evaluate", "adjust"]),
    ],
)  # fmt: skip
def test_what_the_logits_carry_decides_what_comes_next(
    report: TrainingReport, carries: str, fragment: str, commands: list[str]
) -> None:
    one = changed(report, carries=carries)
    assert fragment in "\n".join(shown(one)[:3])
    both = "unadjusted" in "\n".join(shown(one))
    assert both == (carries != "prior")  # an adjusted column would only mislead
    assert [line.split()[1] for line in next_commands(one)] == commands
    assert training_json(one)["carries"] == carries


@pytest.mark.parametrize(
    ("given", "stage", "carries"),
    [
        ({}, None, "nothing"),
        ({"sampler": "square-root"}, None, "part"),
        ({"sampler": "class-balanced"}, None, "prior"),
        ({"sampler": "progressive"}, None, "prior"),
        ({"head": "causal-norm"}, None, "part"),
        ({"head": "causal-norm", "head_options": {"alpha": 0.0}}, None, "nothing"),
        ({"head": "causal-norm", "loss": "logit-adjusted"}, None, "prior"),
        ({"head": "causal-norm", "sampler": "square-root"}, "crt", "prior"),
    ],
)
def test_logits_carry_the_most_that_loss_sampler_head_or_stage_do(
    given: dict[str, Any], stage: str | None, carries: str
) -> None:
    assert carried(tiny_options(**given), stage) == carries


def test_the_next_commands_name_what_is_there(report: TrainingReport) -> None:
    lines = next_commands(replace(report, test=None))
    assert [line.split()[1] for line in lines] == ["tune-tau", "export"]
    files = {name: path for name, path in report.finished.files.items() if name != "onnx"}
    without = replace(report, finished=replace(report.finished, files=files))
    assert "model.pt2 " in next_commands(without)[-1]
    none = {name: path for name, path in files.items() if name != "pt2"}
    without = replace(report, finished=replace(report.finished, files=none))
    assert [line.split()[1] for line in next_commands(without)] == ["tune-tau", "evaluate"]


def test_which_epoch_was_kept_and_why(report: TrainingReport) -> None:
    def told(**trained: Any) -> str:
        one = replace(report, trained=replace(report.trained, seconds=7.2, device="cpu", **trained))
        return next(line for line in shown(one) if "7 s on cpu" in line)

    assert told(kept_epoch=1, best_epoch=1, resumed_epochs=0) == (
        "kept epoch 2 of 3 (the best on validation); 7 s on cpu"
    )
    assert told(kept_epoch=2, best_epoch=0, resumed_epochs=1) == (
        "kept epoch 3 of 3, 1 of them from before (as asked; epoch 1 was the best on validation); 7 s on cpu"
    )


def test_text_from_files_cannot_steer_the_terminal(report: TrainingReport) -> None:
    evil = replace(report.data.val, place="\x1b[31mred[bold]\u202e")
    one = replace(report, data=replace(report.data, val=evil), folder=Path("run\x1b[1m"))
    text = "\n".join(shown(one))
    assert r"\x1b[31mred[bold]" in text
    assert "\x1b" not in text.replace(r"\x1b", "")
    assert "\u202e" not in text


def test_the_json_is_plain_and_is_the_summary(report: TrainingReport) -> None:
    found = training_json(report)
    assert json.loads(json_text(found)) == json.loads((report.folder / "summary.json").read_text())
    assert (found["schema_version"], found["command"]) == (1, "train")
    assert found["options"] == report.options.record()
    assert found["validation"]["tau"] == report.tuning.tau
    assert set(found["files"]) == set(report.finished.files)
