"""A small convolution network with batch norm."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from lth.models.images import as_images, image_shape


class ConvNet(nn.Module):
    """Two 3x3 convolutions, each with batch norm, ReLU and 2x2 pooling, and a Linear output layer.

    Args:
        input_shape: (height, width), (channel, height, width) or (height, width, channel); 4 pixels or more a side.
        num_classes: number of logits.
        width: filters of the first convolution; the second has twice as many.

    Raises:
        ValueError: if the inputs are no images or too small.

    Sources: after the Conv-2 of Frankle & Carbin 2019, arXiv:1803.03635, Figure 2, but smaller, and with batch norm
    (Ioffe & Szegedy 2015, arXiv:1502.03167); initialisation of He et al. 2015, arXiv:1502.01852.
    """

    def __init__(self, input_shape: Sequence[int] = (28, 28), num_classes: int = 10, width: int = 16) -> None:
        super().__init__()
        channel, height, image_width = image_shape(input_shape, least=4)
        self.conv1 = nn.Conv2d(channel, width, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, 2 * width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(2 * width)
        self.output = nn.Linear(2 * width * (height // 4) * (image_width // 4), num_classes)
        for layer in (self.conv1, self.conv2):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(self.output.bias)

    def forward(self, inputs: Tensor) -> Tensor:  # (batch, *input_shape) -> (batch, class)
        hidden = as_images(inputs)  # (batch, channel, height, width)
        hidden = F.relu(self.norm1(self.conv1(hidden)))  # (batch, filter, height, width)
        hidden = F.max_pool2d(hidden, 2)  # (batch, filter, height / 2, width / 2)
        hidden = F.relu(self.norm2(self.conv2(hidden)))  # (batch, 2 filter, height / 2, width / 2)
        hidden = F.max_pool2d(hidden, 2)  # (batch, 2 filter, height / 4, width / 4)
        return self.output(hidden.flatten(1))  # type: ignore[no-any-return]
