"""Conv-2, Conv-4 and Conv-6, the convolution networks of Frankle & Carbin 2019."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from lth.models.images import as_images, image_shape

WIDTHS = (64, 128, 256)
"""Filters of both convolutions of each block."""


class FrankleConv(nn.Module):
    """Blocks of two 3x3 convolutions with ReLU and 2x2 pooling; two hidden layers of 256 units, and an output layer.

    Weights are Glorot-normal, biases zero. Colour images of 32x32 pixels and ten classes give 4,301,642 parameters with
    one block (Conv-2), 2,425,930 with two (Conv-4), 2,262,602 with three (Conv-6): the 4.3M and 2.4M of the paper's
    Figure 2, whose 1.7M of Conv-6 do not follow from its layers.

    Args:
        input_shape: (height, width), (channel, height, width) or (height, width, channel).
        num_classes: number of logits.
        depth: number of convolutions: 2, 4 or 6.
        dropout: probability that a hidden unit of a fully connected layer is dropped. The paper's is 0.5; it does not
            say after which layers, and fully connected ones are the usual place.

    Raises:
        ValueError: if the inputs are no images or too small, or `depth` or `dropout` is not one of these.

    Source: Frankle & Carbin 2019, arXiv:1803.03635, Figure 2 and Section 4.
    """

    def __init__(
        self, input_shape: Sequence[int] = (3, 32, 32), num_classes: int = 10, depth: int = 2, dropout: float = 0.0
    ) -> None:
        super().__init__()
        if depth not in (2, 4, 6):
            raise ValueError(f"depth is {depth}; there are Conv-2, Conv-4 and Conv-6")
        blocks = depth // 2
        channel, height, width = image_shape(input_shape, least=2**blocks)
        widths = [each for each in WIDTHS[:blocks] for _ in range(2)]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, 3, padding=1)
            for before, after in zip([channel, *widths[:-1]], widths, strict=True)
        )
        self.hidden1 = nn.Linear(widths[-1] * (height // 2**blocks) * (width // 2**blocks), 256)
        self.hidden2 = nn.Linear(256, 256)
        self.output = nn.Linear(256, num_classes)
        self.drop = nn.Dropout(dropout)
        for layer in (*self.convolutions, self.hidden1, self.hidden2, self.output):
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, inputs: Tensor) -> Tensor:  # (batch, *input_shape) -> (batch, class)
        hidden = as_images(inputs)  # (batch, channel, height, width)
        for number, convolution in enumerate(self.convolutions):
            hidden = F.relu(convolution(hidden))  # (batch, filter, height, width)
            if number % 2:
                hidden = F.max_pool2d(hidden, 2)  # (batch, filter, height / 2, width / 2)
        hidden = self.drop(F.relu(self.hidden1(hidden.flatten(1))))  # (batch, 256)
        hidden = self.drop(F.relu(self.hidden2(hidden)))  # (batch, 256)
        return self.output(hidden)  # type: ignore[no-any-return]
