"""Every command that writes, on inputs so small that a run takes milliseconds, and what must hold of what it leaves."""

import contextlib
import io
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from lacal import model_source
from lacal.cli.main import run
from lacal.pipeline import collect, logits_file
from tests.small_world import write_world

OLD = b"what was there before"
TEMPORARY = re.compile(r"\..*\.lacal-tmp")
WORKING = re.compile(r"\..*\.parts")
_VARIES = re.compile(rb'("(?:seconds|resumed_epochs)": )[-+.e0-9]+')

Content = dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Job:
    """A command line, in whose arguments IN and OUT stand for folders.

    Attributes:
        name: For reports.
        line: The arguments.
        outputs: What it leaves in OUT: files, or one folder.
        resumes: Whether `--resume` goes on with a run that broke.
        run: Whether the output is the folder of a training run, whose files come one by one.
    """

    name: str
    line: str
    outputs: tuple[str, ...]
    resumes: bool = False
    run: bool = False


SMALL = "--batch-size 10"  # six batches, three parts
TRAIN = "train IN/train.npz --val IN/val_features.npz --network linear --epochs"
JOBS = {
    one.name: one
    for one in (
        Job(
            "tune-tau",
            "tune-tau IN/val.npz --counts IN/counts.csv --draws 10 -o OUT/c.json --report OUT/r.json",
            ("c.json", "r.json"),
        ),
        Job(
            "adjust",
            "adjust IN/test.npz --calibration IN/c.json -o OUT/p.parquet --report OUT/r.md",
            ("p.parquet", "r.md"),
        ),
        Job(
            "evaluate",
            "evaluate IN/test.npz --calibration IN/c.json --report OUT/r.json --report OUT/r.xml",
            ("r.json", "r.xml"),
        ),
        Job(
            "compare",
            "compare IN/val.npz IN/test.npz --counts IN/counts.csv --draws 10 "
            "--keep logit-adjustment -o OUT/c.json",
            ("c.json",),
        ),
        Job(
            "plots",
            "evaluate IN/test.npz --calibration IN/c.json --plots OUT/plots",
            ("plots",),
        ),
        Job(
            "infer",
            f"infer IN/m.onnx IN/x.npz {SMALL} -o OUT/l.parquet",
            ("l.parquet",),
            resumes=True,
        ),
        Job(
            "infer a folder",
            f"infer IN/m.onnx IN/x.npz {SMALL} -o OUT/l",
            ("l",),
            resumes=True,
        ),
        Job("export", "export IN/m.onnx --calibration IN/c.json -o OUT/a.onnx", ("a.onnx",)),
        Job("train", f"{TRAIN} 2 -o OUT/run", ("run",), resumes=True, run=True),
        Job("train an epoch", f"{TRAIN} 1 -o OUT/run", ("run",), resumes=True, run=True),
    )
}


@dataclass(frozen=True, slots=True)
class Ended:
    """What a run said.

    Attributes:
        code: Its exit code; -1 where an exception came through.
        said: Its stderr.
    """

    code: int
    said: str


def _write_inputs(folder: Path) -> None:
    """Everything that the jobs read."""
    import onnx

    from tests.models.onnx_small import model, value

    write_world(folder)
    chance = np.random.default_rng(0)
    weights = {"W": chance.normal(size=(4, 5)).astype(np.float32)}
    made = model(
        inputs=[value("x", ("N", 4))], outputs=[value("logits", ("N", 5))], weights=weights
    )
    onnx.save(made, folder / "m.onnx")
    rows = np.arange(60)
    ids = np.array([f"row {row}" for row in rows])
    x = chance.normal(size=(60, 4)).astype(np.float32)
    np.savez(folder / "x.npz", x=x, labels=rows % 5, ids=ids)
    for name, count in (("train", 60), ("val_features", 30)):
        labels = np.arange(count) % 3
        features = chance.normal(size=(count, 4)) + labels[:, None]
        np.savez(folder / f"{name}.npz", x=features.astype(np.float32), labels=labels)
    tune = "tune-tau IN/val.npz --counts IN/counts.csv --draws 10 -o IN/c.json"
    assert ended(tune, folder, folder) == Ended(0, f"wrote {folder}/c.json\n")


@contextlib.contextmanager
def workbench() -> Iterator[Path]:
    """A folder, in memory where that can be, in whose `in` is all that the jobs read; runs keep small parts."""
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=memory) as folder, _small_parts():
        given = Path(folder) / "in"
        given.mkdir()
        _write_inputs(given)
        yield Path(folder)


@contextlib.contextmanager
def _small_parts() -> Iterator[None]:
    """Runs of models keep a part every 20 rows; exported programs are made once."""
    with contextlib.ExitStack() as patches:
        for place, name, number in (
            (collect, "PART_ROWS", 20),
            (logits_file, "GROUP_ROWS", 16),
            (logits_file, "FOLDER_PART_BYTES", 32 * 5 * 4),
            (model_source, "TOGETHER_SECONDS", 0),
        ):
            patches.enter_context(mock.patch.object(place, name, number))
        yield


@contextlib.contextmanager
def exported_once() -> Iterator[None]:
    """The model files and the report of a training are made once for each network and seed, and one chart is drawn.

    All of these take long, and what is tried is how they are written.
    """
    from lacal.report.page.content import Page
    from lacal.training import deliver_models, finish
    from lacal.training import run as training_run

    made: dict[tuple[str, str], Any] = {}

    def once(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def known(network: Any, told: Any) -> Any:
            key = name, finish.weights_sha256(network) + told.record.text()
            if key not in made:
                made[key] = work(network, told)
            return made[key]

        return known

    with contextlib.ExitStack() as patches:
        for name in ("_onnx", "_program"):
            work = once(name, getattr(deliver_models, name))
            patches.enter_context(mock.patch.object(deliver_models, name, work))
        patches.enter_context(mock.patch.object(deliver_models, "_check"))
        every = Page.charts
        patches.enter_context(mock.patch.object(Page, "charts", lambda page: list(every(page))[:1]))
        report, of_seed = training_run._report, {}

        def reported(out: Path, data: Any, options: Any, trained: Any, finished: Any) -> Any:
            if options.seed not in of_seed:
                of_seed[options.seed] = report(out, data, options, trained, finished)
            return replace(of_seed[options.seed], trained=trained, finished=finished)

        patches.enter_context(mock.patch.object(training_run, "_report", reported))
        yield


def ended(line: str, given: Path, out: Path) -> Ended:
    """Run a command line in this process."""
    arguments = [one.replace("IN/", f"{given}/").replace("OUT/", f"{out}/") for one in line.split()]
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()) as said,
    ):
        try:
            code = run(arguments)
        except Exception as error:
            return Ended(-1, repr(error))
    return Ended(code, said.getvalue())


def make_old(job: Job, given: Path, out: Path) -> None:
    """Write outputs for the job to replace: bytes of no meaning, or where lacal must know them, those of another run."""
    for name in job.outputs:
        if Path(name).suffix:
            (out / name).write_bytes(OLD)
        elif job.resumes:
            done = ended(job.line + (" --seed 1" if job.run else " --threads 1"), given, out)
            assert done.code == 0, done
        else:
            (out / name).mkdir()
            (out / name / "curve.svg").write_bytes(OLD)


def emptied(folder: Path) -> Path:
    """The folder, without anything in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def content(out: Path) -> Content:
    """Every file by its path within the folder, but for locks; what tells of the way there is left out."""
    found = {}
    for folder, _, names in os.walk(out):
        for name in names:
            file = Path(folder) / name
            if name != "lock":
                within = str(file.relative_to(out))
                found[within] = _VARIES.sub(rb"\g<1>0", file.read_bytes())
    return found


def published(job: Job, found: Content) -> Content:
    """Of them, what has a final name."""
    return {
        name: data
        for name, data in found.items()
        if any(name == one or name.startswith(f"{one}/") for one in job.outputs)
        and not (TEMPORARY.fullmatch(name.rpartition("/")[2]) or name.startswith("run/state/"))
        and not any(WORKING.fullmatch(part) for part in name.split("/"))
    }


def leftovers(found: Content) -> list[str]:
    """Temporaries anywhere."""
    return [name for name in found if TEMPORARY.fullmatch(name.rpartition("/")[2])]


def torn(job: Job, found: Content, old: Content, new: Content) -> list[str]:
    """What is wrong with the files of final names: each must be the old one, or the new one, or not there if it was not."""
    now = published(job, found)
    wrong = [
        f"{name} is neither the old file nor the new one"
        for name, data in now.items()
        if data not in (old.get(name), new.get(name)) and name != "run/metrics.jsonl"  # which grows
    ]
    if job.run:  # is known to be finished by its last file
        if "run/summary.json" in now and now not in (old, new):
            wrong.append(
                "the run says that it is finished, and is neither the old one nor the new one"
            )
        return wrong
    aside = {name.replace(".parts/replaced/", "/", 1)[1:] for name in found if "/replaced/" in name}
    wrong += [
        f"{name} is gone"
        for name in old
        if name not in now.keys() | new.keys() - old.keys() | aside
    ]
    folders = [one for one in job.outputs if any(name.startswith(f"{one}/") for name in new)]
    for folder in folders if job.resumes else []:  # which appears in one step
        parts = [
            {n: d for n, d in one.items() if n.startswith(f"{folder}/")} for one in (now, old, new)
        ]
        if parts[0] not in parts[1:] and not (aside >= parts[1].keys() and not parts[0]):
            wrong.append(f"{folder} holds files of two runs")
    return wrong
