"""Split the small language-identification logits into the files of `sample_data/langid`.

Usage: python sample_data/make_langid.py langid_lt_small.npz

The input is one .npz with logits, labels and class names of a validation and a test split, the training
counts, and the head of a logistic regression that was trained on a long-tailed sample of 101 languages.
"""

import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent / "langid"


def main(source: Path) -> None:
    """Write val.npz, test.npz, counts.csv and head.npz."""
    whole = np.load(source, allow_pickle=False)
    names = whole["class_names"]
    for split in ("val", "test"):
        np.savez_compressed(
            HERE / f"{split}.npz",
            logits=whole[f"logits_{split}"],
            labels=whole[f"labels_{split}"],
            class_names=names,
        )
    np.savez_compressed(HERE / "head.npz", weight=whole["W"], bias=whole["b"], class_names=names)
    lines = [f"{name},{count}" for name, count in zip(names, whole["train_counts"], strict=True)]
    (HERE / "counts.csv").write_text("\n".join(["class,count", *lines]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
