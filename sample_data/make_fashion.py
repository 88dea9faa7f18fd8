"""Train the small classifier of `sample_data/fashion` and write its images and counts.

    python sample_data/make_fashion.py fashion_lt100_small.npz            (needs torch, onnx, pyarrow, Pillow)
    python sample_data/make_fashion.py fashion_lt100_small.npz --images   all but model.onnx

The input holds 28x28 images of Fashion-MNIST (Zalando, MIT licence): a long-tailed training split (1,000 to 10
images a class) and balanced validation and test splits.
"""

import io
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image
from torch import nn

HERE = Path(__file__).parent / "fashion"
EPOCHS = 60


def network() -> nn.Sequential:
    """Two convolutions and two linear layers; values in 0..1 in, ten logits out."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * 7 * 7, 32),
        nn.ReLU(),
        nn.Linear(32, 10),
    )


def trained(images: np.ndarray, labels: np.ndarray) -> nn.Sequential:
    """The network after plain cross-entropy by SGD, as one trains without a thought for the tail."""
    torch.manual_seed(0)
    net = network()
    optimiser = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, EPOCHS)
    inputs, targets = torch.from_numpy(images).float()[:, None] / 255, torch.from_numpy(labels)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(targets)).split(64):
            optimiser.zero_grad()
            nn.functional.cross_entropy(net(inputs[rows]), targets[rows]).backward()
            optimiser.step()
        schedule.step()
    return net.eval()


def write_model(net: nn.Sequential, names: list[str]) -> None:
    """model.onnx, any batch size, class names in its metadata."""
    content = io.BytesIO()
    torch.onnx.export(
        net,
        (torch.zeros(1, 1, 28, 28),),
        content,
        input_names=["image"],
        output_names=["logits"],
        dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}},
        opset_version=17,
        dynamo=False,
    )
    model = onnx.load_from_string(content.getvalue())
    onnx.helper.set_model_props(model, {"class_names": json.dumps(names)})
    onnx.save(model, HERE / "model.onnx")


def write_images(split: str, images: np.ndarray, labels: np.ndarray, names: list[str]) -> None:
    """Encoded images and labels, as Hugging Face's datasets write them; of `train` the class names too."""
    encoded = []
    for i, pixels in enumerate(images):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG", optimize=True)
        encoded.append({"bytes": file.getvalue(), "path": f"{split}_{i:04}.png"})
    table = pa.table(
        {"image": pa.array(encoded), "label": labels, "id": [one["path"] for one in encoded]}
    )
    if split == "train":  # the order of the classes is settled where they are learnt
        table = table.replace_schema_metadata({"class_names": json.dumps(names)})
    pq.write_table(table, HERE / f"{split}.parquet", compression="zstd")


def main(source: Path, *, images_alone: bool) -> None:
    """Write train.parquet, val.parquet, test.parquet and counts.csv, and model.onnx too."""
    whole = np.load(source, allow_pickle=False)
    names = [str(name) for name in whole["class_names"]]
    if not images_alone:
        write_model(trained(whole["x_train"], whole["y_train"]), names)
    for split in ("train", "val", "test"):
        write_images(split, whole[f"x_{split}"], whole[f"y_{split}"], names)
    counts = np.bincount(whole["y_train"], minlength=len(names))
    lines = [f"{name},{count}" for name, count in zip(names, counts, strict=True)]
    (HERE / "counts.csv").write_text("\n".join(["class,count", *lines]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), images_alone="--images" in sys.argv[2:])
