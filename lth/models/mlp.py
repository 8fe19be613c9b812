"""Perceptrons of any widths."""

import itertools
from collections.abc import Sequence
from math import prod

from torch import Tensor, nn


class Mlp(nn.Module):
    """Hidden layers with ReLU, and an output layer; drawn as LeNet-300-100, which is `widths=(300, 100)`.

    Args:
        input_shape: shape of one example; it is flattened.
        num_classes: number of logits.
        widths: units of each hidden layer; one number for one layer.

    Raises:
        ValueError: if a width is no whole number of 1 or more.

    Source: initialisation as in Frankle & Carbin 2019, arXiv:1803.03635, Figure 2: Glorot-normal weights, zero biases.
    """

    def __init__(
        self, input_shape: Sequence[int] = (28, 28), num_classes: int = 10, widths: Sequence[int] | int = (300, 100)
    ) -> None:
        super().__init__()
        hidden = [widths] if isinstance(widths, int | str) else list(widths)
        if wrong := [each for each in hidden if not isinstance(each, int) or each < 1]:
            raise ValueError(f"{wrong[0]!r} is no width; whole numbers of 1 or more are needed, as mlp:300,100")
        sizes = [prod(input_shape), *hidden]
        self.layers = nn.Sequential(nn.Flatten())
        for before, after in itertools.pairwise(sizes):
            self.layers.extend([nn.Linear(before, after), nn.ReLU()])
        self.output = nn.Linear(sizes[-1], num_classes)
        for layer in (*self.layers, self.output):
            if isinstance(layer, nn.Linear):
                nn.init.xavier_normal_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, inputs: Tensor) -> Tensor:  # (batch, *input_shape) -> (batch, class)
        return self.output(self.layers(inputs))  # type: ignore[no-any-return]
