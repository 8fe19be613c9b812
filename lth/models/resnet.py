"""ResNet-18 and ResNet-50, for images as large as ImageNet's."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from lth.models.images import as_images, image_shape

BLOCKS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}
"""Blocks of each stage, by depth."""


class ResNet(nn.Module):
    """A 7x7 convolution and pooling, four stages of residual blocks, the mean over positions, and an output layer.

    The image is halved five times. Shortcuts are projections where sizes differ (option B). The bottleneck blocks of
    ResNet-50 halve in their 3x3 convolution, as is the custom since Goyal et al., not in the first. Weights of
    convolutions are drawn as by He et al. (by fan-out), the output layer's Glorot-normal, biases zero. Colour images
    and 1000 classes give 11,689,512 parameters with depth 18, 25,557,032 with 50.

    Args:
        input_shape: (height, width), (channel, height, width) or (height, width, channel); 32 pixels or more a side.
        num_classes: number of logits.
        depth: 18 or 50 layers.

    Raises:
        ValueError: if the inputs are no images or too small, or `depth` is not one of these.

    Sources: He et al. 2015, arXiv:1512.03385, Table 1; Goyal et al. 2017, arXiv:1706.02677, Section 5.1;
    initialisation: He et al. 2015, arXiv:1502.01852.
    """

    def __init__(self, input_shape: Sequence[int] = (3, 224, 224), num_classes: int = 1000, depth: int = 50) -> None:
        super().__init__()
        if depth not in BLOCKS:
            raise ValueError(f"depth is {depth}. Choices: {', '.join(map(str, BLOCKS))}")
        channel, _, _ = image_shape(input_shape, least=32)
        self.conv = nn.Conv2d(channel, 64, 7, stride=2, padding=3, bias=False)
        self.norm = nn.BatchNorm2d(64)
        self.blocks, before = nn.ModuleList(), 64
        for stage, count in enumerate(BLOCKS[depth]):
            for number in range(count):
                stride = 2 if stage and not number else 1
                self.blocks.append(Block(before, 64 * 2**stage, stride, is_bottleneck=depth == 50))
                before = 64 * 2**stage * (4 if depth == 50 else 1)
        self.output = nn.Linear(before, num_classes)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        nn.init.xavier_normal_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, inputs: Tensor) -> Tensor:  # (batch, *input_shape) -> (batch, class)
        hidden = F.relu(self.norm(self.conv(as_images(inputs))))  # (batch, 64, height / 2, width / 2)
        hidden = F.max_pool2d(hidden, 3, stride=2, padding=1)  # (batch, 64, height / 4, width / 4)
        for block in self.blocks:
            hidden = block(hidden)
        return self.output(hidden.mean((2, 3)))  # type: ignore[no-any-return]


class Block(nn.Module):
    """Two 3x3 convolutions, or a 3x3 one between two of 1x1 (bottleneck), each with batch norm, and a shortcut."""

    def __init__(self, before: int, width: int, stride: int, *, is_bottleneck: bool) -> None:
        super().__init__()
        after = width * (4 if is_bottleneck else 1)
        # (inputs, outputs, kernel, stride) of each convolution
        plain = [(before, width, 3, stride), (width, width, 3, 1)]
        bottleneck = [(before, width, 1, 1), (width, width, 3, stride), (width, after, 1, 1)]
        sizes = bottleneck if is_bottleneck else plain
        self.convolutions = nn.ModuleList(_convolution(*each) for each in sizes)
        self.norms = nn.ModuleList(nn.BatchNorm2d(each[1]) for each in sizes)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or before != after:
            self.shortcut = nn.Sequential(_convolution(before, after, 1, stride), nn.BatchNorm2d(after))

    def forward(self, hidden: Tensor) -> Tensor:  # (batch, before, height, width) -> (batch, after, ...)
        inner = hidden
        for convolution, norm in zip(self.convolutions[:-1], self.norms[:-1], strict=True):
            inner = F.relu(norm(convolution(inner)))
        return F.relu(self.norms[-1](self.convolutions[-1](inner)) + self.shortcut(hidden))


def _convolution(before: int, after: int, kernel: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(before, after, kernel, stride=stride, padding=kernel // 2, bias=False)
