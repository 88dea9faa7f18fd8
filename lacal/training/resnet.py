"""ResNet-32 for images of CIFAR's size.

Source: He et al. 2016, section 4.2 and shortcuts of option A; the network of kaidic/LDAM-DRW
(`models/resnet_cifar.py`), on which most long-tailed CIFAR figures were taken.
"""

from torch import Tensor, nn
from torch.nn import functional

CHANNELS = (16, 32, 64)
BLOCKS = 5  # a stage: 1 + 3 stages * 5 blocks * 2 convolutions + head = 32 layers with weights


class Block(nn.Module):
    """Two 3x3 convolutions with a shortcut past them: (n, c, h, w) to (n, c or 2c, h or h/2, w or w/2).

    A block that doubles the channels halves the sides; its shortcut takes every second pixel and pads the
    channels with zeros on both sides (option A), so that it has no weights.
    """

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.stride = 1 if channels == out_channels else 2
        self.padding = (out_channels - channels) // 2
        self.conv1 = _convolution(channels, out_channels, self.stride)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = _convolution(out_channels, out_channels, 1)
        self.bn2 = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """The block's output, after its last ReLU."""
        inner = functional.relu(self.bn1(self.conv1(x)))
        inner = self.bn2(self.conv2(inner))
        if self.stride != 1:
            sides = (0, 0, 0, 0, self.padding, self.padding)
            x = functional.pad(x[:, :, ::2, ::2], sides)
        return functional.relu(inner + x)


class ResNet32(nn.Module):
    """Images (n, c, h, w) to features (n, 64); 463,504 weights for three channels."""

    features = CHANNELS[-1]

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = _convolution(channels, CHANNELS[0], 1)
        self.bn = nn.BatchNorm2d(CHANNELS[0])
        self.stages = nn.ModuleList(
            nn.Sequential(*(Block(before if i == 0 else width, width) for i in range(BLOCKS)))
            for before, width in zip((CHANNELS[0], *CHANNELS), CHANNELS, strict=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """The features."""
        x = functional.relu(self.bn(self.conv(x)))
        for stage in self.stages:
            x = stage(x)
        return functional.adaptive_avg_pool2d(x, 1).flatten(1)


def _convolution(channels: int, out_channels: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(channels, out_channels, 3, stride=stride, padding=1, bias=False)
