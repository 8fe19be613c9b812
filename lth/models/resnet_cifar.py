"""Residual networks for small images: ResNet-20, -32 and -56, and the "Resnet-18" of Frankle & Carbin 2019."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from lth.models.images import as_images, image_shape
from lth.models.initialisation import DRAWS

WIDTHS = (16, 32, 64)
"""Filters of each stage."""


class CifarResNet(nn.Module):
    """A 3x3 convolution, three stages of residual blocks, the mean over positions, and an output layer.

    A block is two 3x3 convolutions with batch norm and a shortcut. The second and third stage begin by halving the
    image. Weights of convolutions are drawn as by He et al. (or `init`), the output layer's Glorot-normal, biases zero.

    Trainable parameters for colour images and ten classes: ResNet-20 269,722, ResNet-32 464,154, ResNet-56 853,018.
    The network that Frankle & Carbin call Resnet-18 is ResNet-20 with shortcuts by projection: 272,474 parameters and
    1,568 means and variances of its batch norms make the 274K of their Figure 2, 270,256 weights of convolutions its
    270K; it is drawn Glorot-normal. They prune neither the 2,560 weights of those projections nor the 640 of the output
    layer (`--never-prune "*shortcut*,output.weight"`).

    Args:
        input_shape: (height, width), (channel, height, width) or (height, width, channel); 4 pixels or more a side.
        num_classes: number of logits.
        blocks: of each stage; layers are six times as many, and two.
        projection: whether shortcuts that halve the image are 1x1 convolutions with batch norm (the paper's option B),
            in place of every second pixel with zeros for the channels that come in addition (option A).
        init: how weights of convolutions are drawn: `he` or `glorot`.

    Raises:
        ValueError: if the inputs are no images or too small, or `blocks` or `init` is none of these.

    Sources: He et al. 2015, arXiv:1512.03385, Section 4.2 (option A); Frankle & Carbin 2019, arXiv:1803.03635, Figure 2
    and Appendix I; initialisation: He et al. 2015, arXiv:1502.01852.
    """

    def __init__(
        self,
        input_shape: Sequence[int] = (3, 32, 32),
        num_classes: int = 10,
        blocks: int = 3,
        projection: bool = False,
        init: str = "he",
    ) -> None:
        super().__init__()
        if blocks < 1:
            raise ValueError(f"blocks is {blocks}; 1 of each stage is the least")
        channel, _, _ = image_shape(input_shape, least=4)
        self.conv = nn.Conv2d(channel, WIDTHS[0], 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(WIDTHS[0])
        widths = [width for width in WIDTHS for _ in range(blocks)]
        self.blocks = nn.ModuleList(
            Block(before, after, projection) for before, after in zip([WIDTHS[0], *widths[:-1]], widths, strict=True)
        )
        self.output = nn.Linear(WIDTHS[-1], num_classes)
        draw = DRAWS.pick(str(init))
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                draw(layer.weight)
        nn.init.xavier_normal_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, inputs: Tensor) -> Tensor:  # (batch, *input_shape) -> (batch, class)
        hidden = F.relu(self.norm(self.conv(as_images(inputs))))  # (batch, 16, height, width)
        for block in self.blocks:
            hidden = block(hidden)
        return self.output(hidden.mean((2, 3)))  # type: ignore[no-any-return]


class Block(nn.Module):
    """Two convolutions and a shortcut; where the number of channels grows, the image is halved."""

    def __init__(self, before: int, after: int, projection: bool) -> None:
        super().__init__()
        stride = 1 if before == after else 2
        self.conv1 = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(after)
        self.shortcut: nn.Module = nn.Identity()
        if before != after:
            self.shortcut = Projection(before, after) if projection else Padded(after - before)

    def forward(self, hidden: Tensor) -> Tensor:  # (batch, before, height, width) -> (batch, after, ...)
        inner = F.relu(self.norm1(self.conv1(hidden)))
        return F.relu(self.norm2(self.conv2(inner)) + self.shortcut(hidden))


class Projection(nn.Module):
    """Every second pixel, by a 1x1 convolution with batch norm."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, 1, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(after)

    def forward(self, hidden: Tensor) -> Tensor:  # (batch, before, height, width) -> (batch, after, half, half)
        return self.norm(self.conv(hidden))  # type: ignore[no-any-return]


class Padded(nn.Module):
    """Every second pixel, with zeros for more channels behind those there are."""

    def __init__(self, more: int) -> None:
        super().__init__()
        self.more = more

    def extra_repr(self) -> str:
        return f"more={self.more}"

    def forward(self, hidden: Tensor) -> Tensor:  # (batch, before, height, width) -> (batch, before + more, half, half)
        return F.pad(hidden[:, :, ::2, ::2], (0, 0, 0, 0, 0, self.more))
