"""VGG networks with batch norm, for small images."""

from collections.abc import Sequence

from torch import Tensor, nn

from lth.models.images import as_images, image_shape
from lth.models.initialisation import DRAWS

WIDTHS = (64, 128, 256, 512, 512)
"""Filters of the convolutions of each block."""

CONVOLUTIONS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
"""Number of convolutions of each block, by depth: columns A, B, D and E of the paper's Table 1."""

HEADS = ("average", "paper")


class Vgg(nn.Module):
    """Five blocks of 3x3 convolutions, each with batch norm and ReLU, 2x2 pooling between them, and a classifier.

    Convolutions have no biases, which batch norm would take out again. Weights are drawn as by He et al. (or `init`),
    the output layer's Glorot-normal, biases zero. Colour images of 32x32 pixels and ten classes give 20,035,018
    parameters with depth 19 and the head `average` (Frankle & Carbin: 20.0M).

    Args:
        input_shape: (height, width), (channel, height, width) or (height, width, channel).
        num_classes: number of logits.
        depth: 11, 13, 16 or 19, the number of layers of the paper's networks.
        head: `average`: the mean over the positions of the last block, then the output layer, as Frankle & Carbin have
            it; `paper`: a fifth pooling, then two hidden layers of 4096 units with dropout, then the output layer, as
            Simonyan & Zisserman have it.
        dropout: probability that a hidden unit of the head `paper` is dropped; the paper's is 0.5.
        init: how weights before a ReLU are drawn: `he`, or `glorot`, as Frankle & Carbin have it.

    Raises:
        ValueError: if the inputs are no images or too small, or `depth`, `head`, `dropout` or `init` is not one of
            these.

    Sources: Simonyan & Zisserman 2015, arXiv:1409.1556; batch norm: Ioffe & Szegedy 2015, arXiv:1502.03167; for small
    images: Frankle & Carbin 2019, arXiv:1803.03635, Figure 2; initialisation: He et al. 2015, arXiv:1502.01852.
    """

    def __init__(
        self,
        input_shape: Sequence[int] = (3, 32, 32),
        num_classes: int = 10,
        depth: int = 19,
        head: str = "average",
        dropout: float = 0.5,
        init: str = "he",
    ) -> None:
        super().__init__()
        if depth not in CONVOLUTIONS:
            raise ValueError(f"depth is {depth}. Choices: {', '.join(map(str, CONVOLUTIONS))}")
        if head not in HEADS:
            raise ValueError(f"unknown head {head!r}. Choices: {', '.join(HEADS)}")
        channel, height, width = image_shape(input_shape, least=16 if head == "average" else 32)
        layers: list[nn.Module] = []
        for block, (size, count) in enumerate(zip(WIDTHS, CONVOLUTIONS[depth], strict=True)):
            layers += [nn.MaxPool2d(2)] if block else []
            for _ in range(count):
                layers += [nn.Conv2d(channel, size, 3, padding=1, bias=False), nn.BatchNorm2d(size), nn.ReLU()]
                channel = size
        self.features = nn.Sequential(*layers)
        if head == "average":
            self.head, channel = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), 512
        else:
            positions = (height // 32) * (width // 32)
            self.head, channel = _classifier(512 * positions, 4096, dropout), 4096
        self.output = nn.Linear(channel, num_classes)
        draw = DRAWS.pick(str(init))
        for layer in (*self.features, *self.head):
            if isinstance(layer, nn.Conv2d | nn.Linear):
                draw(layer.weight)
        nn.init.xavier_normal_(self.output.weight)
        for layer in (*self.head, self.output):
            if isinstance(layer, nn.Linear):
                nn.init.zeros_(layer.bias)

    def forward(self, inputs: Tensor) -> Tensor:  # (batch, *input_shape) -> (batch, class)
        hidden = self.features(as_images(inputs))  # (batch, 512, height / 16, width / 16)
        return self.output(self.head(hidden))  # type: ignore[no-any-return]


def _classifier(inputs: int, width: int, dropout: float) -> nn.Sequential:
    first = [nn.MaxPool2d(2), nn.Flatten(), nn.Linear(inputs, width), nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*first, nn.Linear(width, width), nn.ReLU(), nn.Dropout(dropout))
