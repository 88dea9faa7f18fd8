"""Which mutant a round makes, and which command line meets it: from the seed and the round's number alone."""

import functools
import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.soak.mutants import samples
from tests.soak.mutants.arrow_files import ipc, parquet
from tests.soak.mutants.mutation import Mutator, bytewise
from tests.soak.mutants.numpy_files import archive, npy, npz_member, torch_member
from tests.soak.mutants.onnx_graphs import graph
from tests.soak.mutants.texts import json_value, safetensors, table, tokens

MUTANT = "@"  # where a command line names the mutant; as a prefix, where it takes its text
OUTPUTS = ("out.parquet", "out.json", "out.npz", "out.onnx", "out.md", "out.html")
OLD = b"an old output\n"
SUFFIXES = (
    ".npy",
    ".npz",
    ".csv",
    ".tsv",
    ".txt",
    ".json",
    ".parquet",
    ".arrow",
    ".pt",
    ".onnx",
    ".safetensors",
    ".toml",
    "",
)

# Command lines for a file of logits alone, and for one of rows; those that only read come more often, being quicker.
LOGITS = (
    *("inspect @ --counts counts.csv --json",) * 8,
    *("adjust @ --calibration c.json -o out.parquet --force --json",) * 4,
    "evaluate @ --labels labels.npy --counts counts.csv --json",
)
ROWS = (
    *("inspect @",) * 4,
    *("inspect @ --counts counts.csv --json",) * 5,
    *("adjust @ --calibration c.json -o out.parquet --force --json",) * 2,
    "adjust @ --counts counts.csv --tau 1 -o out.parquet --force --write-scores probs --top-k 2",
    "evaluate @ --counts counts.csv --json",
    "evaluate @ --calibration c.json --report out.md --force",
)
SLOW_ROWS = (
    "tune-tau @ --counts counts.csv --draws 10 -o out.json --force --json",
    "compare val.npz @ --counts counts.csv --draws 10 --keep logit-adjustment -o out.json --force --json",
    "compare @ test.npz --counts counts.csv --draws 10 --json",
    "compare p.parquet @ --json",
    "compare @ @ --json",
    "adjust test.npz --calibration c.json --fit-temperature @ -o out.parquet --force --json",
    "evaluate @ --counts counts.csv --report out.html --force",
)
COUNTS = (
    *("inspect val.npz --counts @ --json",) * 4,
    "inspect val.npz --counts @ --zero-count smooth:1 --groups quantiles:3",
    "adjust test.npz --counts @ --tau 1 -o out.parquet --force --json",
)
CALIBRATION = (
    *("adjust test.npz --calibration @ -o out.parquet --force --json",) * 3,
    "evaluate test.npz --calibration @ --json",
)
PREDICTIONS = (
    *("evaluate @ --counts counts.csv --json",) * 2,
    "evaluate @ --json",
    "compare p.parquet @ --json",
    "evaluate rows.npz --calibration c.json --baseline m.json --baseline-predictions @ --max-increase balanced_error=1% --significant --json",
)
BASELINE = (
    "evaluate p.parquet --counts counts.csv --baseline @ --max-increase balanced_error=0.9 --max-decrease macro_f1=90% --json",
)
FROM_LABELS = ("inspect val.npz --counts @ --counts-from-labels",)
LABELS = (
    "inspect logits.npy --labels @ --counts counts.csv --json",
    "evaluate logits.npy --labels @ --counts counts.csv --json",
)
GROUPS = (
    "inspect val.npz --counts counts.csv --groups @ --json",
    "evaluate p.parquet --counts counts.csv --groups @ --json",
)
SHARES = ("evaluate test.npz --counts counts.csv --target-prior @ --json", "adjust test.npz --calibration c.json --target-prior @ -o out.parquet --force --json")  # fmt: skip
HEAD = (
    *(
        "adjust test.npz --counts counts.csv --method weight-norm --head @ --tau 0.5 -o out.parquet --force --json",
    )
    * 15,
    "compare val.npz test.npz --counts counts.csv --head @ --draws 10 --json",
)
CONFIG = (
    "--config @ inspect val.npz --counts counts.csv --json",
    "--config @ adjust test.npz --calibration c.json -o out.parquet --force --json",
    "--config @ evaluate p.parquet --counts counts.csv --json",
)
GATES = (
    "evaluate p.parquet --counts counts.csv --json --fail-if =@",
    "evaluate p.parquet --counts counts.csv --exit-zero --fail-if =@",
)
LIMITS = ("evaluate p.parquet --counts counts.csv --baseline m.json --json --max-increase =@",)
GRID = ("tune-tau val.npz --counts counts.csv --draws 10 --json --grid =@",)
RULES = (
    "inspect val.npz --counts counts.csv --json --groups =@",
    "inspect val.npz --counts counts.csv --json --zero-count =@",
    "inspect val.npz --json --ignore-label =@",
    "inspect val.npz --json --logits-key =@",
    "evaluate test.npz --counts counts.csv --json --target-prior =@",
)
NUMBERS = (
    "adjust test.npz --counts counts.csv -o out.parquet --force --json --tau =@",
    "evaluate p.parquet --counts counts.csv --json --bins =@",
)
MODEL = (
    *("inspect @ --inputs inputs.npz --json",) * 3,
    "infer @ inputs.npz -o out.npz --force --json",
    "evaluate @ --inputs inputs.npz --counts counts.csv --json",
    "export @ --calibration c.json -o out.onnx --force --json",
    "adjust @ --inputs inputs.npz --calibration c.json -o out.parquet --force --json",
)
TRUSTED = (
    "inspect @ --inputs inputs.npz --trust-model --json",
    "infer @ inputs.npz -o out.npz --force --trust-model --json",
    "inspect @ --inputs inputs.npz --json",
)
INPUTS = ("infer model.onnx @ -o out.npz --force --json", "inspect model.onnx --inputs @ --json")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file that is damaged.

    Attributes:
        name: Of the figures.
        share: Of 1,000 rounds.
        whole: Makes the undamaged file.
        suffix: That its name has, most of the time.
        ways: Mutators; bytewise damage is added to them.
        lines: Command lines that meet it, @ standing for its name; =@ for its content.
        in_child: Whether lacal runs such a file in a child process of its own.
        gates: Whether the command lines set gates, which may fail.
    """

    name: str
    share: int
    whole: Callable[[], bytes]
    suffix: str
    ways: tuple[Mutator, ...]
    lines: tuple[str, ...]
    in_child: bool = False
    gates: bool = False


MANY_ROWS = ROWS * 15 + SLOW_ROWS
KINDS = (
    Kind("npy", 70, lambda: samples.npy(samples.LOGITS), ".npy", (npy, npy), LOGITS),
    Kind("npy of labels", 20, lambda: samples.npy(samples.LABELS), ".npy", (npy,), (*LABELS, *FROM_LABELS)),
    Kind("npz", 40, lambda: samples.npz(samples.FIELDS), ".npz", (archive(npz_member),) * 2, MANY_ROWS),
    Kind("npz, packed", 20, lambda: samples.npz(samples.FIELDS, packed=True), ".npz", (archive(npz_member),), MANY_ROWS),
    Kind("head", 20, lambda: samples.npz(samples.HEAD), ".npz", (archive(npz_member),), HEAD),
    Kind("csv", 60, samples.csv, ".csv", (table, table), MANY_ROWS),
    Kind("csv, quoted", 30, lambda: samples.csv(quoted=True), ".csv", (table, table), MANY_ROWS),
    Kind("counts", 38, samples.counts_csv, ".csv", (table, table), COUNTS),
    Kind("groups", 10, lambda: samples.GROUPS, ".csv", (table,), GROUPS),
    Kind("shares", 10, lambda: samples.SHARES, ".csv", (table,), SHARES),
    Kind("lines", 10, lambda: samples.LINES, ".txt", (table,), (*LABELS, *FROM_LABELS)),
    Kind("calibration", 30, lambda: samples.good_file("c.json"), ".json", (json_value,) * 3, CALIBRATION),
    Kind("baseline", 10, lambda: samples.good_file("m.json"), ".json", (json_value,) * 3, BASELINE, gates=True),
    Kind("counts, JSON", 10, lambda: b'{"class_counts":[100,20,4],"class_names":["cat","dog","emu"]}', ".json", (json_value,), COUNTS),
    Kind("config", 10, lambda: samples.CONFIG, ".toml", (tokens, tokens), CONFIG, gates=True),
    Kind("gates", 6, lambda: b'class."dog".error > 99% or few.error > 0.995 or balanced_error > 0.98 or class.emu.error > 0.999', "", (tokens, tokens), GATES, gates=True),
    Kind("limits", 2, lambda: b"balanced_error=5%", "", (tokens,), LIMITS, gates=True),
    Kind("grid", 1, lambda: b"0:4:0.05", "", (tokens,), GRID),
    Kind("rules", 2, lambda: b"quantiles:3", "", (tokens,), RULES),
    Kind("numbers", 1, lambda: b"12", "", (tokens,), NUMBERS),
    Kind("parquet", 90, lambda: samples.parquet(samples.TABLE), ".parquet", (parquet, parquet), MANY_ROWS),
    Kind("parquet, other types", 40, lambda: samples.parquet(samples.OTHER_TABLE, compression="zstd", use_dictionary=True), ".parquet", (parquet, parquet), MANY_ROWS),
    Kind("predictions", 20, lambda: samples.good_file("p.parquet"), ".parquet", (parquet, parquet), PREDICTIONS, gates=True),
    Kind("arrow file", 50, lambda: samples.ipc(samples.TABLE, False), ".arrow", (ipc, ipc), MANY_ROWS),
    Kind("arrow stream", 50, lambda: samples.ipc(samples.OTHER_TABLE, True), ".arrow", (ipc, ipc), MANY_ROWS),
    Kind("safetensors", 50, lambda: samples.safetensors({"logits": samples.LOGITS, "label": samples.LABELS}), ".safetensors", (safetensors, safetensors), MANY_ROWS),
    Kind("onnx", 130, samples.onnx_model, ".onnx", (graph,) * 12, MODEL, True),
    Kind("onnx, one layer", 60, lambda: samples.onnx_model(hidden=False), ".onnx", (graph,) * 12, MODEL, True),
    Kind("onnx inputs", 10, lambda: samples.good_file("inputs.npz"), ".npz", (archive(npz_member),) * 2, INPUTS, True),
    Kind("pt", 70, samples.torch_file, ".pt", (archive(torch_member),) * 3, MANY_ROWS),
    Kind("pt of a head", 15, lambda: samples.torch_file(head=True), ".pt", (archive(torch_member),) * 3, HEAD),
    Kind("torchscript", 15, samples.torchscript, ".pt", (archive(torch_member),) * 3, TRUSTED, True),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Round:
    """One mutant and its command line.

    Attributes:
        kind: What was damaged.
        name: The mutant's file name, in the folder of the good files.
        data: The mutant.
        arguments: The command line.
        output: The file that the command is to write, if it writes one.
    """

    kind: Kind
    name: str
    data: bytes
    arguments: tuple[str, ...]
    output: str | None

    @classmethod
    def of(cls, kind: Kind, name: str, data: bytes, line: str) -> "Round":
        """The round of a command line in which the mutant has its place."""
        said = data.decode(errors="replace").replace("\0", "\ufffd")
        known = {MUTANT: name, "=" + MUTANT: said}
        arguments = tuple(known.get(one, one) for one in line.split())
        output = next((one for one in arguments if one in OUTPUTS), None)
        return cls(kind, name, data, arguments, output)


@functools.cache
def _whole(kind: Kind) -> bytes:
    return kind.whole()


_BOUNDS = [sum(one.share for one in KINDS[: at + 1]) for at in range(len(KINDS))]


def kind_of(seed: int, number: int) -> Kind:
    """What round `number` damages."""
    return _start(seed, number)[0]


def _start(seed: int, number: int) -> tuple[Kind, random.Random]:
    chance = random.Random(f"{seed} {number}")
    return chance.choices(KINDS, cum_weights=_BOUNDS)[0], chance


def round_of(seed: int, number: int) -> Round:
    """Round `number`: the same for the same seed, whatever ran before."""
    kind, chance = _start(seed, number)
    data = chance.choice((*kind.ways, bytewise))(_whole(kind), chance)
    if chance.random() < 0.1:
        data = bytewise(data, chance)
    suffix = kind.suffix if chance.random() < 0.95 else chance.choice(SUFFIXES)
    name = "mutant" + suffix
    return Round.of(kind, name, data, chance.choice(kind.lines))
