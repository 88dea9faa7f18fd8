"""The long-tailed sets of long_tail_table.py: where their examples are, how they are cut, how a network is trained.

A set is trained one way for all rows; only what a row needs (loss, head, second stage, and their rates) differs.
Values that no paper gives (the sets that a CPU can bear) were chosen by the validation balanced error of seed 0,
those of heads and optimisers with plain softmax. Those of AdamW on CIFAR-10 and Tiny-ImageNet are untried.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
from numpy.typing import NDArray

from lacal.atomic import writing
from lacal.training.data import DataOptions
from lacal.training.options import TrainOptions

RATIO = 100  # of the largest class to the smallest
TEXT_RATIO = 50  # CLINC150's largest class has 100 rows


@dataclass(frozen=True, slots=True)
class LongTailSet:
    """One set.

    Attributes:
        title: For the table.
        data: (data folder, work folder, seed) -> where the examples are, and how they are cut.
        options: How every row is trained.
        short: What a shortened run changes.
        cosine: What a cosine head changes: its gradient carries the scale.
        adamw: What AdamW changes.
        stages: Options of second stages, as `--stage-option` takes them; the rest keep their defaults.
        published: Data set in paper_results.csv, where it is the same.
        note: What to know before comparing.
    """

    title: str
    data: Callable[[Path, Path, int], DataOptions]
    options: TrainOptions
    short: Mapping[str, Any] = field(default_factory=dict)
    cosine: Mapping[str, Any] = field(default_factory=dict)
    adamw: Mapping[str, Any] = field(default_factory=dict)
    stages: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    published: str | None = None
    note: str = ""


def cifar10(data: Path, work: Path, seed: int) -> DataOptions:
    # A fiftieth to validate on leaves 4,900 of 5,000 images to the largest class.
    images = data / "images"
    return DataOptions(
        images / "cifar10_train.parquet",
        seed=seed,
        test=images / "cifar10_test.parquet",
        val_fraction=0.02,
        long_tail=f"exp:{RATIO}",
    )


def tiny_imagenet(data: Path, work: Path, seed: int) -> DataOptions:
    images = data / "images"
    return DataOptions(
        images / "tiny_imagenet32_train.parquet",
        seed=seed,
        test=images / "tiny_imagenet32_val.parquet",
        val_fraction=0.04,
        long_tail=f"exp:{RATIO}",
    )


def fashion(data: Path, work: Path, seed: int) -> DataOptions:
    return DataOptions(data / "sample_candidates" / "fashion_lt100_small.npz", seed=seed)


def clinc150(data: Path, work: Path, seed: int) -> DataOptions:
    return _text(data, work / f"clinc150-exp{TEXT_RATIO}-{seed}.npz", seed, TEXT_RATIO)


def clinc150_released(data: Path, work: Path, seed: int) -> DataOptions:
    return _text(data, work / "clinc150.npz", seed, None)


def _text(data: Path, made: Path, seed: int, ratio: int | None) -> DataOptions:
    """The intents as tf-idf vectors of words, stored as arrays: weights of the training rows' words alone."""
    if not made.exists():
        splits, names = _intents(data / "text" / "clinc150_imbalanced.parquet")
        if ratio is not None:
            splits["train"] = _cut(*splits["train"], ratio, seed)
        arrays = _tf_idf({name: texts for name, (texts, _) in splits.items()})
        fields = {f"x_{name}": array for name, array in arrays.items()}
        fields |= {f"y_{name}": labels for name, (_, labels) in splits.items()}
        with writing(made) as file:
            np.savez(file, **fields, class_names=np.array(names))
    return DataOptions(made, seed=seed, normalise=False)  # rows of tf-idf have length 1 as they are


Texts = NDArray[Any]  # (n,) of str
Labels = NDArray[np.int64]


def _intents(path: Path) -> tuple[dict[str, tuple[Texts, Labels]], list[str]]:
    """Texts and labels by split, out-of-scope rows left out (they have no class), and the names."""
    columns = pyarrow.parquet.read_table(path).to_pydict()
    names = np.array(columns["label_name"], dtype=object)
    parts, texts = (np.array(columns[name], dtype=object) for name in ("split", "text"))
    inside = np.isin(parts.astype(str), ("train", "val", "test"))
    classes, labels = np.unique(names[inside].astype(str), return_inverse=True)
    splits = {
        name: (texts[inside][parts[inside] == name], labels[parts[inside] == name].astype(np.int64))
        for name in ("train", "val", "test")
    }
    return splits, classes.tolist()


def _cut(texts: Texts, labels: Labels, ratio: int, seed: int) -> tuple[Texts, Labels]:
    """100 rows of the largest class down to 100 / ratio, the exponential profile; classes by size in the release.

    The released counts are 100, 75, 50 and 25; in that order each class has the rows that the profile wants.
    """
    counts = np.bincount(labels)
    order = np.argsort(-counts, kind="stable")
    wanted = np.empty_like(counts)
    last = counts.size - 1
    wanted[order] = [int(counts.max() * ratio ** -(j / last)) for j in range(counts.size)]
    generator = np.random.default_rng(seed)
    rows = [
        generator.permutation(np.flatnonzero(labels == j))[: wanted[j]] for j in range(counts.size)
    ]
    kept = np.sort(np.concatenate(rows))
    return texts[kept], labels[kept]


def _tf_idf(texts: Mapping[str, Texts]) -> dict[str, NDArray[np.float32]]:
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectors = TfidfVectorizer(sublinear_tf=True, dtype=np.float32).fit(texts["train"])
    return {name: vectors.transform(some).toarray() for name, some in texts.items()}


IMAGES = TrainOptions(
    network="resnet32",
    epochs=200,
    batch_size=128,
    lr=0.1,
    momentum=0.9,
    weight_decay=2e-4,
    warmup=5,
    schedule="step:160,180:0.1",
    augment="crop:4,flip",
    keep="last",
)
SHORT_IMAGES = {"epochs": 30, "warmup": 2, "schedule": "step:24,27:0.1"}
TEXT = TrainOptions(
    network="linear",
    epochs=60,
    batch_size=64,
    lr=10.0,
    weight_decay=1e-5,
    schedule="cosine",
    keep="last",
)
# Rows of tf-idf have length 1, features that the stages' own rates are for several times that.
TEXT_STAGES = {
    "crt": ("lr=20", "weight_decay=1e-5"),
    "lws": ("lr=0.5", "weight_decay=1e-5"),
    "disalign": ("lr=0.5",),
}

SETS: dict[str, LongTailSet] = {
    "clinc150": LongTailSet(
        f"CLINC150 cut to exp:{TEXT_RATIO}, tf-idf and a linear head",
        clinc150,
        TEXT,
        short={"epochs": 15},
        cosine={"lr": 0.2},
        adamw={"lr": 0.2, "weight_decay": 0.0},
        stages=TEXT_STAGES,
        note="A few texts recur across the release's splits",
    ),
    "clinc150-released": LongTailSet(
        "CLINC150 as released (imbalanced), tf-idf and a linear head",
        clinc150_released,
        TEXT,
        short={"epochs": 15},
        cosine={"lr": 0.2},
        adamw={"lr": 0.2, "weight_decay": 0.0},
        stages=TEXT_STAGES,
        note="Hardly a tail; a few texts recur across the release's splits",
    ),
    "fashion": LongTailSet(
        "Fashion-MNIST-LT, exp:100, small-cnn",
        fashion,
        TrainOptions(
            network="small-cnn",
            epochs=40,
            batch_size=64,
            lr=0.1,
            weight_decay=5e-4,
            schedule="cosine",
            keep="last",
        ),
        short={"network": "small-cnn:16", "epochs": 15},
        cosine={"lr": 0.03},
        adamw={"lr": 0.01, "weight_decay": 0.05},
        note="The split is the same for every seed, so the errors beside the "
        "numbers are of training alone; a short run has 16 channels for 32",
    ),
    "cifar10": LongTailSet(
        f"CIFAR-10-LT, exp:{RATIO}, ResNet-32",
        cifar10,
        IMAGES,
        short=SHORT_IMAGES,
        adamw={"lr": 1e-3, "weight_decay": 0.05},
        published="CIFAR-10-LT",
        note="JPEG-recompressed images: levels shift, order and gaps compare; 4,900 to 49 training images for the "
        "published 5,000 to 50, the rest validates",
    ),
    "tiny-imagenet": LongTailSet(
        f"Tiny-ImageNet-32-LT, exp:{RATIO}, ResNet-32",
        tiny_imagenet,
        IMAGES,
        short=SHORT_IMAGES,
        adamw={"lr": 1e-3, "weight_decay": 0.05},
        note="Stands in for CIFAR-100-LT, whose published figures are of other images",
    ),
}


def digest_of(values: Mapping[str, Any]) -> str:
    """Short name of some options, under which their results are kept."""
    import hashlib

    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:10]
