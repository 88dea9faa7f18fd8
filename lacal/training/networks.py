"""Networks: raw values in, logits out.

Normalisation, backbone and head are one module, so that a delivered model takes what the training data hold.
"""

import contextlib
import itertools
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lacal.errors import UsageError
from lacal.training.heads import make_head
from lacal.training.network_table import NETWORKS, parse_network
from lacal.training.options import TrainOptions
from lacal.training.own_model import own_backbone
from lacal.training.resnet import ResNet32

if TYPE_CHECKING:
    from lacal.training.data import Normalisation


class Normalise(nn.Module):
    """Raw values (n, *shape) float32 to `(x * scale - mean) / std`, per channel (first axis) or feature."""

    def __init__(self, normalisation: "Normalisation", input_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor(float(normalisation.scale)))
        for name in ("mean", "std"):
            values = np.array(getattr(normalisation, name), dtype=np.float32).reshape(-1)
            sides = [1] * (len(input_shape) - 1)
            self.register_buffer(name, torch.from_numpy(values).reshape(-1, *sides))

    def forward(self, x: Tensor) -> Tensor:
        """The normalised values."""
        # In this order: of large values with a small spread, difference first keeps all their digits.
        return (x * self.scale - self.mean) / self.std


class Network(nn.Module):
    """A classifier: `head(backbone(normalise(x)))`.

    Attributes:
        normalise: Raw values to what the backbone takes.
        backbone: To features (n, d).
        head: Features to logits; its `scale` is s where they are s * cos, else None.
        input_shape: Of one example: (channels, height, width) of images, (d,) of features.
        classes: k.
    """

    def __init__(
        self,
        normalise: nn.Module,
        backbone: nn.Module,
        head: nn.Module,
        input_shape: tuple[int, ...],
        classes: int,
    ) -> None:
        super().__init__()
        self.normalise, self.backbone, self.head = normalise, backbone, head
        self.input_shape, self.classes = input_shape, classes

    def features(self, x: Tensor) -> Tensor:
        """(n, d) features of raw values (n, *input_shape) float32."""
        return self.backbone(self.normalise(x))

    def forward(self, x: Tensor) -> Tensor:
        """(n, k) float32 logits, whatever the backbone computes in."""
        features = self.features(x)
        # 8 bits of a bfloat16 logit are too few for margins and log priors, and the head costs next to nothing.
        with _without_autocast(features.device.type):
            return self.head(features.float())


class SmallCnn(nn.Module):
    """Images (n, c, h, w) of 4 x 4 pixels at least to features (n, 4 * width).

    Three 3x3 convolutions of width, 2 * width and 4 * width channels, each with batch normalisation and ReLU, and
    the average over what is left of the image. The first two halve its sides, before their normalisation: a sixth
    less work for the same errors (30 epochs of a long-tailed Fashion-MNIST).
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        widths = (channels, width, 2 * width, 4 * width)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, 3, padding=1, bias=False)
            for before, after in itertools.pairwise(widths)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(after) for after in widths[1:])

    def forward(self, x: Tensor) -> Tensor:
        """The features."""
        for stage, (convolution, norm) in enumerate(
            zip(self.convolutions, self.norms, strict=True)
        ):
            x = convolution(x)
            if stage < 2:
                x = functional.max_pool2d(x, 2)
            x = functional.relu(norm(x))
        return functional.adaptive_avg_pool2d(x, 1).flatten(1)


def make_network(
    options: TrainOptions,
    input_shape: tuple[int, ...],
    classes: int,
    normalisation: "Normalisation",
) -> Network:
    """A network with weights drawn from torch's global generator, which the caller seeds.

    Args:
        options: Its `network` or `model`, `head` and `head_options`.
        input_shape: Of one example.
        classes: k.
        normalisation: What is done to raw values.

    Raises:
        UsageError: There is no such network or head, it does not take examples of this shape, or the user's
            own model cannot be had.
    """
    normalise = Normalise(normalisation, input_shape)
    if options.model is not None:
        backbone, features = own_backbone(options.model, input_shape)
    else:
        backbone, features = _backbone(options.network, input_shape)
        backbone.apply(_initialise)
    head = make_head(options.head, features, classes, options.head_options)
    return Network(normalise, backbone, head, input_shape, classes)


def _backbone(text: str, shape: tuple[int, ...]) -> tuple[nn.Module, int]:
    """The backbone and the width d of its features."""
    spec = parse_network(text)
    row = NETWORKS[spec.name]
    if row.images and (len(shape) != 3 or min(shape[1:]) < row.smallest):
        sides = f" of {row.smallest} x {row.smallest} pixels or more" if row.smallest > 1 else ""
        raise UsageError(
            f"--network: {spec.name} takes images (channels, height, width){sides}; got examples of shape "
            f"{shape}; take linear or mlp, or a --model of your own"
        )
    size = int(np.prod(shape))
    if spec.name == "resnet32":
        return ResNet32(shape[0]), ResNet32.features
    if spec.name == "small-cnn":
        (width,) = spec.widths
        return SmallCnn(shape[0], width), 4 * width
    layers: list[nn.Module] = [nn.Flatten()]
    for before, after in itertools.pairwise((size, *spec.widths)):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers), (size, *spec.widths)[-1]


def _initialise(module: nn.Module) -> None:
    """Weights of variance 2 / inputs (He et al. 2015), as in kaidic/LDAM-DRW; biases as torch draws them."""
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        nn.init.kaiming_normal_(module.weight)


def _without_autocast(device: str) -> contextlib.AbstractContextManager[None]:
    # Only where it is on: exporters would write an empty region into the graph.
    if torch.is_autocast_enabled(device):
        return torch.autocast(device, enabled=False)  # type: ignore[no-any-return]
    return contextlib.nullcontext()
