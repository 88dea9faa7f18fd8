"""The second stages by name: what is trained on a finished network's frozen features. No torch here.

`lacal.training.second_stage` trains them. In formulas of one example: x features (d,), z = W x + b the old head's
logits (k,), n training counts (k,).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from lacal.loss_table import Carries
from lacal.named_options import Option
from lacal.training.options import Sampler


@dataclass(frozen=True, slots=True)
class SecondStage:
    """One row of the table.

    Attributes:
        title: A few words for tables.
        formula: Of the new head, in plain text.
        source: Where it stands.
        departs: Where lacal departs from the paper or its code, and why.
        sampler: Which class the next example is drawn from.
        carries: What the new head's logits hold of the correction for the training counts, whatever the first
            stage's did.
        options: By name; a stage without any is computed, not trained.
    """

    title: str
    formula: str
    source: str
    departs: str
    sampler: Sampler
    carries: Carries
    options: Mapping[str, Option]


def _options(epochs: float, lr: float, batch_size: float) -> dict[str, Option]:
    return {
        "epochs": Option(epochs, "passes over the features", low=1),
        "lr": Option(lr, "peak learning rate; it falls to 0 on a cosine", low=1e-9),
        "weight_decay": Option(5e-4, "on all that is trained", low=0),
        "batch_size": Option(batch_size, "rows of a step", low=2),
    }


_FROZEN = (
    "the code leaves batch normalisation in train mode and augments, so what it calls frozen moves; here features are "
    "computed once, in eval mode, of inputs as they are"
)
_DRAWN = (
    "its sampler takes four images of a class at a time, here every draw is on its own, with replacement; its batches "
    "have 512 rows at a rate of 0.2, here 128 at 0.1 (cRT) or 0.05 (LWS), for sets smaller than ImageNet-LT"
)
_KANG = "Kang et al., ICLR 2020; code facebookresearch/classifier-balancing"

SECOND_STAGES: dict[str, SecondStage] = {
    # Class-balanced draws have a uniform prior, and so has what cross-entropy learns from them.
    "crt": SecondStage(
        "classifier re-training (cRT)",
        "a new head of the old one's kind, trained with class-balanced sampling",
        _KANG,
        f"{_FROZEN}; {_DRAWN}",
        "class-balanced",
        "prior",
        _options(epochs=10, lr=0.1, batch_size=128),
    ),
    # The same target, reached as far as k factors can.
    "lws": SecondStage(
        "learnable weight scaling (LWS)",
        "s * z, s (k,) from ones, trained with class-balanced sampling",
        _KANG,
        "the bias is scaled with the weights, as in the code (the paper scales weights alone), and as there weight decay "
        f"pulls s towards 0 and nothing keeps it above; {_FROZEN}; {_DRAWN}",
        "class-balanced",
        "prior",
        _options(epochs=5, lr=0.05, batch_size=128),
    ),
    # Weights of n^-rho stand for draws of a uniform prior at rho 1, and lean a little further at 1.2.
    "disalign": SecondStage(
        "distribution alignment (DisAlign)",
        "(1 + c a) z + c m, c = sigmoid(u x + v): a (k,) from ones, m (k,) from zeros, u from 0.1; "
        "cross-entropy weighted by n^-rho",
        "Zhang et al., CVPR 2021; code Megvii-BaseDetection/DisAlign",
        "it starts from (1 + c) z, as in the code, not from z; features are computed once, in eval mode, of inputs as they "
        "are; its batches have 256 rows at a rate of 0.1, here half of both, for sets smaller than ImageNet-LT",
        "instance",
        "prior",
        {
            **_options(epochs=10, lr=0.05, batch_size=128),
            "rho": Option(
                0.0, "rho of the weights n^-rho; 0: 1.2, or 1.5 with a cosine head", low=0
            ),
        },
    ),
    # Counts enter nowhere: every class has one mean.
    "ncm": SecondStage(
        "nearest class mean (NCM)",
        "-|x' - mean of the class's x'|^2, x' = (x - mean of all x) over its length",
        _KANG,
        "squared distances, so that logits are linear in x': the nearest mean is the same; they are no log probabilities",
        "instance",
        "prior",
        {},
    ),
}
