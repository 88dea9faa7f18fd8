"""Images that are bombs, no images, or not where they may be: each is refused by its name, through the command line."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

from tests.inputs.image_files import COLOURS, Image, encoded, png
from tests.models.onnx_small import model, node, saved, value
from tests.small_world import lacal, refusal

GOOD = encoded(COLOURS)
SIDES = COLOURS.shape[:2]
SPOILT: dict[str, tuple[bytes, str]] = {
    "144 million pixels": (png(12000, 12000, 1, 0, bytes(12000 * 1501)), "at most 50,000,000"),
    "4 thousand million pixels": (png(65500, 65500, 8, 2, b""), "at most 50,000,000"),
    "just too many pixels": (png(10020, 5000, 1, 0, b""), "has 50,100,000 pixels"),
    "cut off": (GOOD[: len(GOOD) // 2], "is a damaged image"),
    "cut off in its header": (GOOD[:20], "Truncated File Read"),
    "page": (b"<html>404", "is an HTML or XML page"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    "empty": (b"", "is empty (0 bytes)"),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n", "is no image that lacal reads"),
    "larger than the others": (encoded(np.concatenate([COLOURS, COLOURS])), "say --resize"),
    "transparent": (encoded(Image.fromarray(COLOURS).convert("RGBA").rotate(45)), "partly transparent"),
}  # fmt: skip
SCALE = ("--scale", "1/255")


@pytest.fixture
def at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model of images, and a flat folder of three of them."""
    mean = [node("ReduceMean", "x", "r", axes=[2, 3], keepdims=0), node("MatMul", "r W", "logits")]
    weights = {"W": np.eye(3, dtype=np.float32)}
    saved(model(mean, [value("x", ("N", 3, *SIDES))], weights=weights), tmp_path / "m.onnx")
    saved(
        model(mean, [value("x", ("N", None, None, None))], weights=weights), tmp_path / "open.onnx"
    )
    (tmp_path / "photos").mkdir()
    for number in range(3):
        (tmp_path / "photos" / f"{number}.png").write_bytes(GOOD)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def infer(name: str = "m.onnx") -> tuple[str, ...]:
    return ("infer", name, "photos", "-o", "o.npz", *SCALE)


@pytest.mark.parametrize("fault", SPOILT)
def test_a_spoilt_image_is_named(
    fault: str, at_work: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    content, words = SPOILT[fault]
    Path("photos/1.png").write_bytes(content)
    said = refusal(capfd, *infer())
    assert "photos/1.png: " in said
    assert words in said
    assert not Path("o.npz").exists()


SPECIAL: dict[str, tuple[Callable[[Path], object], str]] = {
    "pipe": (os.mkfifo, "is not a regular file"),
    "folder": (Path.mkdir, "is a folder"),
    "link to nothing": (lambda path: path.symlink_to("none.png"), "a link to a file that is not there"),
    "link to a device": (lambda path: path.symlink_to("/dev/zero"), "is not a regular file"),
    "link to a secret": (lambda path: path.symlink_to("/etc/passwd"), "is no image that lacal reads"),
}  # fmt: skip


@pytest.mark.parametrize("fault", SPECIAL)
def test_what_is_no_file_is_named(
    fault: str, at_work: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    make, words = SPECIAL[fault]
    Path("photos/1.png").unlink()
    make(Path("photos/1.png"))
    said = refusal(capfd, *infer())
    assert "photos/1.png: " in said
    assert words in said


@pytest.mark.parametrize("line", ["../secret.png", "/etc/secret.png", "a/../../secret.png"])
def test_a_list_leads_nowhere_else(
    line: str, at_work: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (at_work.parent / "secret.png").write_bytes(GOOD)
    Path("list.txt").write_text(f"photos/0.png\n{line}\n")
    said = refusal(capfd, "infer", "m.onnx", "list.txt", "-o", "o.npz", *SCALE)
    assert f"list.txt: line 2: '{line}' lies outside" in said


def test_an_open_layout_is_asked_for(at_work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert "--layout NCHW or --layout NHWC" in refusal(capfd, *infer("open.onnx"))
    said = refusal(capfd, *infer("open.onnx"), "--layout", "NCHW")
    assert "--channels RGB, BGR or L" in said
    assert lacal(*infer("open.onnx"), "--layout", "NCHW", "--channels", "RGB") == 0
    open_sides = np.load("o.npz")["logits"]
    assert lacal(*infer(), "--force") == 0
    assert np.array_equal(open_sides, np.load("o.npz")["logits"])


def test_preprocessing_is_not_guessed(at_work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert "say how pixels become inputs" in refusal(capfd, *infer()[:-2])
