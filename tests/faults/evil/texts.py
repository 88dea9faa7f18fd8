"""Names that are more than names, texts that are more than settings, zips and images that are more than data."""

import io
import json
import stat
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from tests.faults.evil.pickles import bare
from tests.faults.evil.programs import AtLoad, script
from tests.faults.evil.table import IMAGES, LOGITS, MODEL, Evil, Make, with_content
from tests.inputs.image_files import COLOURS, encoded, png

ROWS, CLASSES = 10, 5
LOGIT_BLOCK = np.linspace(-3, 3, ROWS * CLASSES, dtype=np.float32).reshape(ROWS, CLASSES)
NAMES = {
    "html": "<img src=x onerror=alert(1)>",
    "script": "</script><script>alert(1)</script>",
    "escape": "\x1b]0;owned\x07\x1b[2J",
    "link": "\x1b]8;;http://127.0.0.1:9\x07click\x1b]8;;\x07",
    "bidi": "\u202egnp.exe\u2066",
    "formula": "=cmd|' /C calc'!A0",
    "maths": "$\\frac{$",
    "markup": "[/] [link=file:///etc/passwd]x[/link]",
    "path": "../../../../tmp/owned",
    "lines": "a\nError: b\r\n{{ config }} ${HOME} $(id) `id`",
    "long": "x" * 100_000,
}


def named(name: str, text: str) -> Make:
    """Logits whose classes and rows are called so."""

    def make(folder: Path, marker: Path) -> None:
        names = np.array([text, *"bcde"])
        ids = np.array([f"{text}{row}" for row in range(ROWS)])
        labels = np.arange(ROWS) % CLASSES
        np.savez(folder / name, logits=LOGIT_BLOCK, labels=labels, ids=ids, class_names=names)

    return make


NAMED = (
    "inspect {}",
    "evaluate {} --report page.html --report page.md",
    "adjust {} --counts bare-counts.npy --tau 1 -o p.parquet",
)


def odd_zip(*names: str, link: bool = False) -> bytes:
    """A .npz whose members are called so."""
    array = io.BytesIO()
    np.save(array, LOGIT_BLOCK)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            info = zipfile.ZipInfo(name)
            if link:
                info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, b"/etc/passwd" if link else array.getvalue())
    return buffer.getvalue()


def folder_of(name: str, content: bytes) -> Make:
    """A folder of two classes, one image of which is this."""

    def make(folder: Path, marker: Path) -> None:
        for kind in "ab":
            (folder / name / kind).mkdir(parents=True)
            (folder / name / kind / "0.png").write_bytes(encoded(COLOURS))
        (folder / name / "b" / "1.png").write_bytes(
            content.replace(b"MARKER", str(marker).encode())
        )

    return make


POSTSCRIPT = (
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n(MARKER) (w) file closefile\n"
    b"(%pipe%touch MARKER) (r) file closefile showpage\n"
)
SVG = b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><svg>&e;</svg>"


def listed(name: str, line: str) -> Make:
    def make(folder: Path, marker: Path) -> None:
        (marker.parent / "secret.png").write_bytes(encoded(COLOURS))
        (folder / name).write_text(line.format(marker.parent))

    return make


def configured(name: str, text: str) -> Make:
    """Settings, a model and a module that they would run."""

    def make(folder: Path, marker: Path) -> None:
        (folder / name).write_text(text.format(marker))
        (folder / "evil.pt").write_bytes(script(AtLoad, marker))
        (folder / "owned.py").write_text(f"import os\nos.mkdir({str(marker)!r})\n")

    return make


RUN_EVIL = (
    "{0} infer evil.pt x.npy -o o.npz",
    "{0} evaluate evil.pt --inputs val.npz",
    "{0} train val.npz -o run --epochs 1",
)


def settings(name: str, text: str, *lines: int, found: bool = False) -> Evil:
    """A file of options that is named, or one that is found in the folder."""
    file, before = ("pyproject.toml", "") if found else (name, "--config {}")
    asked = tuple(RUN_EVIL[at].format(before).strip() for at in lines)
    return Evil(name, configured(file, text), asked)


def calibration(change: Any) -> Make:
    """The calibration with something else in it, under the name `bad.json`."""

    def make(folder: Path, marker: Path) -> None:
        text = (folder / "calibration.json").read_text()
        (folder / "bad.json").write_bytes(change(text, marker))

    return make


def with_key(key: str, value: Any) -> Any:
    return lambda text, marker: json.dumps({**json.loads(text), key: value}).encode()


CALIBRATED = (
    "adjust val.npz --calibration {} -o p.parquet",
    "evaluate val.npz --calibration {}",
    "export good.onnx --calibration {} -o out.onnx",
    "evaluate val.npz --baseline {} --fail-if balanced_error+0.1",
)
URLS = (
    "http://127.0.0.1:9/x.npy",
    "s3://bucket/x.parquet",
    "file:///etc/passwd",
    "hdfs://127.0.0.1:9/x.parquet",
)


def nothing(folder: Path, marker: Path) -> None:
    """The name alone is the evil."""


TEXTS = [
    *(Evil(f"{name}.npz", named(f"{name}.npz", text), NAMED, (0,)) for name, text in NAMES.items()),
    Evil("up.npz", with_content("up.npz", odd_zip("../../../owned.npy")), LOGITS, (0, 2)),
    Evil("root.npz", with_content("root.npz", odd_zip("/etc/owned.npy")), LOGITS, (0, 2)),
    Evil("back.npz", with_content("back.npz", odd_zip("..\\..\\owned.npy")), LOGITS, (0, 2)),
    Evil("symlink.npz", with_content("symlink.npz", odd_zip("logits.npy", link=True)), LOGITS),
    Evil("many.npz", with_content("many.npz", odd_zip(*(f"{i}.npy" for i in range(500)))), LOGITS),
    *(Evil(url, nothing, (*LOGITS, MODEL[0])) for url in URLS),
    Evil("claims", folder_of("claims", png(65500, 65500, 8, 2, b"")), IMAGES),
    Evil("bomb", folder_of("bomb", png(12000, 12000, 1, 0, bytes(12000 * 1501))), IMAGES),
    Evil("script", folder_of("script", POSTSCRIPT), IMAGES),
    Evil("entity", folder_of("entity", SVG), IMAGES),
    Evil("up.txt", listed("up.txt", "../secret.png a\n../secret.png b\n"), IMAGES),
    Evil("absolute.txt", listed("absolute.txt", "{0}/secret.png a\n{0}/secret.png b\n"), IMAGES),
    settings("trusted.toml", "[tool.lacal.infer]\ntrust-model = true\n", 0, 1, found=True),
    settings("owned.toml", '[tool.lacal.train]\nmodel = "owned:build"\n', 2, found=True),
    settings("forced.toml", "[tool.lacal.evaluate]\nreport = ['{0}.html']\nforce = true\n", 1, found=True),
    settings("deep.toml", "x = " + "[" * 5000, 0, 1, 2),
    *(
        Evil("bad.json", calibration(change), CALIBRATED, codes)
        for change, codes in (
            (lambda text, marker: bare(0)(marker), (2,)),
            (lambda text, marker: b"[" * 100_000, (2,)),
            (lambda text, marker: text.encode() + text.encode(), (2,)),
            (lambda text, marker: text.replace("{", '{"__class__": "os.system", ', 1).encode(), (2,)),
            (with_key("tau", 10**400), (2,)),
            (with_key("class_names", [NAMES["escape"], *"bcde"]), (0, 2)),
        )
    ),
]  # fmt: skip
