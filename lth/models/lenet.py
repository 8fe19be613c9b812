"""LeNet-300-100, the fully connected network of Frankle & Carbin 2019."""

from collections.abc import Sequence
from math import prod

import torch.nn.functional as F
from torch import Tensor, nn


class LeNet300100(nn.Module):
    """Two hidden layers of 300 and 100 units with ReLU; Glorot-normal weights, zero biases.

    Args:
        input_shape: shape of one example; it is flattened.
        num_classes: number of logits.

    Source: LeCun et al. 1998; initialisation as in Frankle & Carbin 2019, arXiv:1803.03635, Figure 2.
    """

    def __init__(self, input_shape: Sequence[int] = (28, 28), num_classes: int = 10) -> None:
        super().__init__()
        self.hidden1 = nn.Linear(prod(input_shape), 300)
        self.hidden2 = nn.Linear(300, 100)
        self.output = nn.Linear(100, num_classes)
        for layer in (self.hidden1, self.hidden2, self.output):
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, inputs: Tensor) -> Tensor:  # (batch, *input_shape) -> (batch, class)
        hidden = F.relu(self.hidden1(inputs.flatten(1)))  # (batch, 300)
        hidden = F.relu(self.hidden2(hidden))  # (batch, 100)
        return self.output(hidden)  # type: ignore[no-any-return]
