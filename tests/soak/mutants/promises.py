"""One round played and judged: exit code, what was said, what lies at the final path, memory."""

import os
import re
import resource
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq

from tests.soak.captured import Captured, Said
from tests.soak.mutants.rounds import OLD, Round
from tests.soak.mutants.samples import write_good_files

MOST_MEMORY = 2 << 20  # KiB
MOST_LINES = 3
# What stands beside an error: warnings, the usage of an option, and how a model is run.
BESIDES = (
    "warning: ",
    "Usage: ",
    "Try ",
    "model: ",
    "input ",
    "arrays: ",
    "torch sees no CUDA",
    "wrote ",
)
ALLOWED = (0, 2, 3)
GATE_FAILED = 1
STOPPED = 143  # a model that would not end, and was asked to
UNEXPECTED = re.compile(r"fault of its own|Traceback|could not be loaded|the run could not go on")
OUT_OF_MEMORY = re.compile("out of memory|memory is short|not enough memory", re.IGNORECASE)


class Stage:
    """A folder of good files, which this process goes to; rounds are played in it one after another."""

    def __init__(self, folder: Path, *, keep: bool = False) -> None:
        """Write the good files; `keep` leaves mutants and outputs beside them."""
        self._keep = keep
        self._captured = Captured()
        write_good_files(folder, self._captured)
        os.chdir(folder)
        self._present = _names()
        warnings.simplefilter("always")
        for quiet in (
            DeprecationWarning,
            PendingDeprecationWarning,
            ImportWarning,
            ResourceWarning,
        ):
            warnings.simplefilter("ignore", quiet)

    def play(self, one: Round, *, in_child: bool = False) -> tuple[int, list[str]]:
        """The exit code, and every promise that was broken; `in_child` lets lacal fork for a model."""
        Path(one.name).write_bytes(one.data)
        if one.output:
            Path(one.output).write_bytes(OLD)
        before = _most_memory()
        said = self._captured.run(list(one.arguments), in_child=in_child)
        broken = [*_of_words(one, said), *_of_files(one, said.code), *self._of_folder(one)]
        # A model asks for what it likes
        if not one.kind.in_child and _most_memory() - before > MOST_MEMORY:
            broken.append("took more than 2 GiB")
        return said.code, [f"{what}; said: {said.err[:600]!r}" for what in broken]

    def close(self) -> None:
        """Give back what the stage holds besides its folder."""
        self._captured.close()

    def _of_folder(self, one: Round) -> Iterator[str]:
        """Whatever else lies there now; the folder is made as it was."""
        for name in sorted(_names() - self._present):
            if name not in (one.name, one.output):
                yield f"left {name!r} behind"
            elif self._keep:
                continue
            if Path(name).is_dir():
                shutil.rmtree(name)
            else:
                Path(name).unlink()


def _names() -> set[str]:
    return {path.name for path in Path().iterdir()}


def _most_memory() -> int:
    """KiB that this process had at most, children aside."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _of_files(one: Round, code: int) -> Iterator[str]:
    """Promises about the output."""
    if not one.output:
        return
    path = Path(one.output)
    data = path.read_bytes() if path.exists() else b""
    if code not in (0, GATE_FAILED) and data != OLD:
        yield f"failed and changed {one.output}"
    if code == 0 and (data == OLD or not _whole(one.output, data)):
        yield f"succeeded and {one.output} is not whole"


def _whole(name: str, data: bytes) -> bool:
    """Whether an output can be read to its end."""
    if name.endswith(".parquet"):
        return data.endswith(b"PAR1") and pq.read_metadata(name).num_rows > 0
    if name.endswith(".npz"):
        return data.startswith(b"PK") and b"PK\5\6" in data[-64:]
    return data.endswith((b"\n", b"</html>")) or name.endswith(".onnx")


def _of_words(one: Round, said: Said) -> Iterator[str]:
    """Promises about the exit code and the words on both streams."""
    if said.raised is not None:
        yield f"raised {type(said.raised).__name__}: {str(said.raised)[:200]}"
        return
    if (one.kind.in_child and said.code == STOPPED) or (
        one.kind.gates and said.code == GATE_FAILED
    ):
        return
    if said.code not in ALLOWED:
        yield f"exit code {said.code}"
    if found := UNEXPECTED.search(said.err + said.out):
        yield f"a fault that nobody expected ({found[0]})"
    if not one.kind.in_child and OUT_OF_MEMORY.search(said.err):
        yield "asked for more memory than there is"
    lines = [line for line in said.err.splitlines() if line and not line.startswith(BESIDES)]
    if len(lines) > MOST_LINES:
        yield f"{len(lines)} lines on stderr"
    if not (said.err + said.out).replace("\n", "").isprintable():
        yield "said what is not printable"
    if said.code == 0 and any("Error" in line or "Warning" in line for line in lines):
        yield "succeeded and spoke of an error"
    if said.code in (2, 3) and sum(line.startswith("Error: ") for line in lines) != 1:
        yield "failed and did not say why in one sentence"
    if said.code in (2, 3) and said.out:
        yield "failed and printed a result"
