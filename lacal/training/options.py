"""What the user said about a training run, settled: plain values, which go into the run folder's config.

Nothing here imports torch.
"""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from lacal.loss_table import Value

Optimiser = Literal["sgd", "adamw"]
Precision = Literal["float32", "bfloat16", "float16"]
Sampler = Literal["instance", "class-balanced", "square-root", "progressive"]
Keep = Literal["best", "last"]

ADAMW_LR = 1e-3  # where nothing is said: SGD's rate would tear the weights apart


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """How a network is trained.

    Attributes:
        network: "linear", "mlp", "mlp:256,128", "small-cnn", "small-cnn:32", "resnet32"; "auto" is "small-cnn" for
            images and "mlp" for other arrays.
        model: `package.module:factory` of the user's own backbone, in place of `network`.
        head: "linear", "cosine" or "causal-norm".
        head_options: Of that head.
        loss: Row of `lacal.loss_table.LOSSES`.
        loss_options: All of its options, with values.
        sampler: Which class the next example is drawn from.
        epochs: Passes; an epoch draws as many examples as there are.
        batch_size: Rows of a step; the last one of an epoch may be shorter, one of a single row is left out.
        optimiser: "sgd" or "adamw".
        lr: Peak learning rate.
        momentum: Of SGD.
        nesterov: Whether SGD's momentum is Nesterov's.
        weight_decay: On all parameters.
        warmup: Epochs over which the rate rises to its peak, in equal steps: (epoch + 1) / warmup of it.
        schedule: "constant", "cosine", or "step:E1,E2:F1,F2": the rate is F1 times its peak from epoch E1 on,
            F2 times from E2 on (one factor alone is multiplied at every step).
        clip: Largest norm of the gradient; None for no limit.
        augment: Of images: "crop:4" (pad by 4, cut at random) and "flip", with a comma between; "" for none.
        precision: What the network computes in; weights stay float32.
        keep: Which epoch the logits and models are of: the best on validation, or the last.
        seed: Of everything drawn: weights, order, augmentation, splits.
        device: "auto", "cpu" or "cuda".
        threads: Of torch on the CPU; None for its own default.
    """

    network: str = "auto"
    model: str | None = None
    head: str = "linear"
    head_options: dict[str, Value] = field(default_factory=dict)
    loss: str = "softmax"
    loss_options: dict[str, Value] = field(default_factory=dict)
    sampler: Sampler = "instance"
    epochs: int = 30
    batch_size: int = 128
    optimiser: Optimiser = "sgd"
    lr: float = 0.1
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 5e-4
    warmup: int = 0
    schedule: str = "cosine"
    clip: float | None = None
    augment: str = ""
    precision: Precision = "float32"
    keep: Keep = "best"
    seed: int = 0
    device: str = "auto"
    threads: int | None = None

    def record(self) -> dict[str, Any]:
        """JSON values, by name."""
        return asdict(self)
