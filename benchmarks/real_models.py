"""Published models through `lacal infer`: expected logits, and kills in the middle of a run.

    python benchmarks/real_models.py FOLDER              largest difference from the expected logits
    python benchmarks/real_models.py FOLDER --kills 20   kill -9 at random moments, --resume, compare bytes

FOLDER holds resnet20_cifar10.onnx and .torchscript.pt with resnet20_cifar10_inputs_200.npz (images, labels, logits),
and magika_standard_v3_3_with_logits.onnx with magika_inputs_800.npz (bytes, labels, logits).
"""

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

PIXELS = ["--scale", "1/255", "--mean", "0.485,0.456,0.406", "--std", "0.229,0.224,0.225"]
PIXELS += ["--layout", "NCHW"]
RAW_LOGITS = "jax2tf_get_logits_/pjit_get_logits_/MagikaV2/Dense_1/AddV2:0"
MODELS = {
    "resnet20_cifar10.onnx": ("resnet20_cifar10_inputs_200.npz", PIXELS),
    "resnet20_cifar10.torchscript.pt": (
        "resnet20_cifar10_inputs_200.npz",
        [*PIXELS, "--trust-model"],
    ),
    "magika_standard_v3_3_with_logits.onnx": (
        "magika_inputs_800.npz",
        ["--output", RAW_LOGITS],
    ),
}

# Parts close every 0.15 s instead of every 30, so that there is something to resume in a run of seconds.
QUICK_PARTS = """
import sys
import lacal.pipeline.collect as collect
collect.PART_SECONDS = 0.15
from lacal.cli.main import main
main(sys.argv[1:])
"""


def expected(folder: Path, scratch: Path) -> None:
    """Largest difference of the logits, and of the predictions, a line a model."""
    for model, (inputs, options) in MODELS.items():
        out = scratch / "logits.npz"
        command = [sys.executable, "-m", "lacal", "infer", folder / model, folder / inputs]
        subprocess.run([*command, *options, "-o", out, "--force"], check=True, capture_output=True)
        found, known = np.load(out)["logits"], np.load(folder / inputs)["logits"]
        differ = int((found.argmax(axis=1) != known.argmax(axis=1)).sum())
        print(
            f"{model:40} {len(found):4} rows: largest difference {abs(found - known).max():.2g} at logits up "
            f"to {abs(known).max():.3g}, {differ} predictions differ"
        )


def kills(folder: Path, scratch: Path, times: int) -> None:
    """How many of so many killed and resumed runs end with the bytes of an undisturbed one."""
    inputs = scratch / "x.npy"
    np.save(inputs, np.random.default_rng(0).random((6000, 3, 32, 32), dtype=np.float32))
    line = [sys.executable, "-c", QUICK_PARTS, "infer", folder / "resnet20_cifar10.onnx", inputs]
    line += ["--batch-size", "64", "--threads", "1"]
    began = time.perf_counter()
    subprocess.run([*line, "-o", scratch / "whole.parquet"], check=True, capture_output=True)
    whole, seconds = digest(scratch / "whole.parquet"), time.perf_counter() - began
    chance, same, late = random.Random(0), 0, 0
    for at in range(times):
        out = scratch / f"{at}.parquet"
        for _ in range(1 + (at % 4 == 0)):  # every fourth is killed while it resumes as well
            run = subprocess.Popen(
                [*line, "-o", out, "--resume"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            time.sleep(0.1 * seconds + 0.8 * seconds * chance.random())
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()
        late += out.exists()
        if not out.exists():
            subprocess.run([*line, "-o", out, "--resume"], check=True, capture_output=True)
        same += digest(out) == whole
    print(f"{times} runs killed within {seconds:.1f} s ({late} had just ended): {same} byte-equal")


def digest(path: Path) -> str:
    """Of a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        if asked.kills:
            kills(asked.folder, Path(scratch), asked.kills)
        else:
            expected(asked.folder, Path(scratch))


if __name__ == "__main__":
    main()
