"""What an evil file is, and the command lines that are given one."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# (the folder, what the file makes if it gets its way) -> of no meaning
Make = Callable[[Path, Path], object]

LOGITS = (
    "inspect {}",
    "tune-tau {} --counts counts.csv -o c.json",
    "adjust {} --calibration calibration.json -o p.parquet",
    "evaluate {} --report page.html",
    "infer good.onnx {} -o o.npz",
    "train {} --epochs 1 -o run",
    "compare {} val.npz --counts counts.csv",
)
MODEL = (
    "infer {} x.npy -o o.npz",
    "export {} --calibration calibration.json -o out.onnx",
    "export {} --calibration calibration.json -o out.pt2",
    "inspect {}",
    "inspect {} --inputs x.npy",
    "tune-tau {} --inputs val.npz --counts counts.csv -o c.json",
    "tune-tau val.npz --counts counts.csv --method weight-norm --head {} -o c.json",
)
IMAGES = (
    "infer pictures.onnx {} --scale 1/255 -o o.npz",
    "train {} --epochs 1 -o run",
    "inspect pictures.onnx --inputs {} --scale 1/255",
)
BESIDE = (
    "tune-tau bare.npy --counts counts.csv --labels {} -o c.json",
    "tune-tau val.npz --counts {} -o c.json",
    "tune-tau val.npz --counts counts.csv --method weight-norm --head {} -o c.json",
)


@dataclass(frozen=True, slots=True)
class Evil:
    """A file, or folder, made to harm whoever reads it.

    Attributes:
        name: Of the file.
        make: Puts it into a folder, next to good files.
        lines: Command lines that take it, `{}` for its name.
        codes: Exit codes that are right: 2, or 0 where it does no harm and may be used.
        says: Part of the error of the first line, if that is to be held.
    """

    name: str
    make: Make
    lines: tuple[str, ...]
    codes: tuple[int, ...] = (2,)
    says: str = ""


def with_content(name: str, content: bytes) -> Make:
    """A maker of a file that is the same wherever it lies."""

    def make(folder: Path, marker: Path) -> None:
        (folder / name).write_bytes(content)

    return make
