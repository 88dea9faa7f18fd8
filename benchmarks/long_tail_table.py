"""Every correction on long-tailed data: balanced error by many, medium and few, over seeds.

Usage: python benchmarks/long_tail_table.py DATA --set clinc150|clinc150-released|fashion|cifar10|tiny-imagenet
           [--seeds 3] [--short] [--work FOLDER] [--rows TEXT] [--out FILE.md] [--plot FILE] [--device auto]

DATA is the project's folder of benchmark data. For each seed the set is cut, split and trained on anew; a row is a
loss, a head or a second stage, or a post-hoc method on the network of the first row. Every tau marked * is tuned
on the validation split, as `lacal tune-tau` does it; the test split is looked at once a row. All rows of a
set are trained by one recipe, but for the rates of cosine heads, AdamW and second stages where long_tail_sets.py
says so; nothing of it was chosen on the test split.

Results are kept in the work folder as JSON lines, networks as run folders of `lacal train`: a run that was
stopped goes on where it stopped, and rows that are there are not run again unless their options changed.
cifar10 and tiny-imagenet need a GPU (11 networks of 200 epochs a seed); the other sets run on a CPU in minutes.
Needs the extras torch and images, and matplotlib for --plot.
"""

import argparse
import copy
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from long_tail_report import markdown, plot
from long_tail_rows import MODELS, ROWS, TableRow, Trained, by_model, measured, scored
from long_tail_sets import SETS, LongTailSet, digest_of

from lacal.loss_table import options_of
from lacal.named_options import parse_options
from lacal.training.data import TrainingData, open_training_data
from lacal.training.device import chosen_device
from lacal.training.head_table import HEADS
from lacal.training.options import TrainOptions
from lacal.training.progress import Silence
from lacal.training.run_folder import run_folder
from lacal.training.second_stage import second_stage
from lacal.training.second_stage_table import SECOND_STAGES
from lacal.training.train import train

Result = dict[str, Any]


def options_for(one: LongTailSet, model: Trained, said: argparse.Namespace) -> TrainOptions:
    """How a network of the set is trained."""
    changes: dict[str, Any] = dict(one.short) if said.short else {}
    if model.head == "cosine":
        changes |= one.cosine
    if model.adamw:
        changes |= {"optimiser": "adamw", **one.adamw}
    return replace(
        one.options,
        **changes,
        loss=model.loss,
        loss_options=parse_options(options_of(model.loss), model.options, model.loss),
        head=model.head,
        head_options=parse_options(HEADS[model.head], [], model.head),
        device=said.device,
        threads=said.threads,
    )


def plan(one: LongTailSet, row: TableRow, options: TrainOptions) -> str:
    """A short name of all that decides a row's numbers, but for the seed."""
    stage = {} if row.stage is None else {row.stage: stage_options(one, row.stage)}
    record = {name: value for name, value in options.record().items() if name != "threads"}
    return digest_of({"options": {**record, "seed": None}, "stage": stage})


def stage_options(one: LongTailSet, name: str) -> dict[str, Any]:
    """The stage's options on a set."""
    return parse_options(SECOND_STAGES[name].options, one.stages.get(name, ()), name)


def run_seed(
    name: str, seed: int, rows: list[TableRow], work: Path, said: argparse.Namespace
) -> Iterator[Result]:
    """The rows of one seed that are asked for, each as soon as it is measured."""
    one = SETS[name]
    data = open_training_data(one.data(said.data, work, seed))
    assert data.test is not None
    device = chosen_device(said.device, said.threads)
    for model, its_rows in by_model(rows).items():
        options = replace(options_for(one, MODELS[model], said), seed=seed)
        began = time.perf_counter()
        network = trained(data, options, work / "runs" / run_name(name, model, seed, options))
        seconds = time.perf_counter() - began
        for stage in dict.fromkeys(row.stage for row in its_rows):
            current = network
            if stage is not None:
                current = second_stage(
                    stage,
                    stage_options(one, stage),
                    copy.deepcopy(network),  # it gets the new head
                    data,
                    seed=seed,
                    device=device,
                    progress=Silence(),
                )
            val = scored(current, data.val, "validation", device)
            test = scored(current, data.test, "test", device)
            for row in [row for row in its_rows if row.stage == stage]:
                result = measured(row, current, data, val, test)
                shared = {"set": name, "seed": seed, "plan": plan(one, row, options)}
                facts = {"epochs": options.epochs, "device": device, "seconds": seconds}
                yield {**shared, **result, **facts, **described(data)}


def run_name(name: str, model: str, seed: int, options: TrainOptions) -> str:
    """Changed options go to another folder."""
    return f"{name}-{model}-{seed}-{digest_of(options.record())}"


def trained(data: TrainingData, options: TrainOptions, folder: Path) -> Any:
    """The network after its last epoch; from the folder where it was trained before."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with run_folder(folder, resume=True, force=False) as held:
        return train(data, options, held, Silence()).network


def described(data: TrainingData) -> Result:
    """The sizes of the splits."""
    assert data.test is not None
    counts = data.class_counts
    sizes = {"train": len(data.train.labels), "val": len(data.val.labels)}
    return {
        "rows": {**sizes, "test": len(data.test.labels)},
        "classes": int(counts.size),
        "largest": int(counts.max()),
        "smallest": int(counts.min()),
    }


def run(name: str, said: argparse.Namespace) -> list[Result]:
    """All rows of all seeds: those that are kept, and the rest now."""
    work = said.work
    work.mkdir(parents=True, exist_ok=True)
    wanted = [row for row in ROWS if said.rows in row.title]
    plans = {
        row.title: plan(SETS[name], row, options_for(SETS[name], MODELS[row.model], said))
        for row in wanted
    }
    kept = work / f"{name}.jsonl"
    lines = kept.read_text().splitlines() if kept.exists() else []
    there = [one for one in map(json.loads, lines) if plans.get(one["row"]) == one["plan"]]
    results = [one for one in there if one["seed"] < said.seeds]
    done = {(one["row"], one["seed"]) for one in results}
    for seed in range(said.seeds):
        missing = [row for row in wanted if (row.title, seed) not in done]
        if not missing:
            continue
        for result in run_seed(name, seed, missing, work, said):
            with kept.open("a") as file:
                file.write(json.dumps(result) + "\n")
            results.append(result)
            tau = "" if result["tau"] is None else f", tau {result['tau']:g}"
            print(f"seed {seed}, {result['row']}: {result['all']:.2f} %{tau}", file=sys.stderr)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--set", choices=SETS, default="clinc150")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--short", action="store_true", help="fewer epochs")
    parser.add_argument("--work", type=Path, default=Path("long_tail_runs"), help="where runs stay")
    parser.add_argument("--rows", default="", help="only rows whose title holds this")
    parser.add_argument("--out", type=Path, help="the table, as Markdown; else it is printed")
    parser.add_argument("--plot", type=Path, help="figure, .png or .svg")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--threads", type=int)
    said = parser.parse_args()
    one = SETS[said.set]
    results = run(said.set, said)
    text = markdown(one, results, said.data, short=said.short)
    if said.out is None:
        print(text)
    else:
        said.out.write_text(text)
    if said.plot is not None:
        plot(one, results, said.data, said.plot)


if __name__ == "__main__":
    main()
