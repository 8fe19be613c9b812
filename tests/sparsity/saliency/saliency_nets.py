"""Small networks, and the evidence about them, that the tests of the saliencies share."""

import torch
from torch import Tensor, nn

from lth.models.lenet import LeNet300100
from lth.sparsity.evidence import Evidence, Network
from lth.sparsity.prunable import prunable
from lth.sparsity.types import Masks, Weights
from lth.tasks import Classification, Task


class Block(nn.Module):
    """A pre-norm transformer block."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.attention = nn.MultiheadAttention(width, 2, dropout=0.1, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, inputs: Tensor) -> Tensor:  # (batch, time, channel)
        normed = self.norms[0](inputs)
        inputs = inputs + self.attention(normed, normed, normed, need_weights=False)[0]
        return inputs + self.mlp(self.norms[1](inputs))


class Transformer(nn.Module):
    """Two blocks over four patches of five numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(5, 8)
        self.positions = nn.Parameter(torch.randn(4, 8))
        self.blocks = nn.Sequential(Block(8), Block(8))
        self.output = nn.Linear(8, 3)

    def forward(self, inputs: Tensor) -> Tensor:  # (batch, 4, 5) -> (batch, class)
        return self.output(self.blocks(self.embed(inputs) + self.positions).mean(1))


class Residual(nn.Module):
    """Convolutions with batch norm, a group convolution, a residual sum and activations that work in place."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
        self.inner = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, groups=2, bias=False), nn.ReLU(inplace=True))
        self.head = nn.Sequential(nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.5), nn.Linear(16, 3, bias=False))

    def forward(self, inputs: Tensor) -> Tensor:  # (batch, 2, 4, 4) -> (batch, class)
        hidden = self.first(inputs)
        return self.head(hidden + self.inner(hidden))


NETWORKS = {
    "lenet": (lambda: LeNet300100((4, 4), 3), (4, 4)),
    "convolutions": (Residual, (2, 4, 4)),
    "transformer": (Transformer, (4, 5)),
}
"""(make, shape of one example)."""


def network(name: str, examples: int = 7) -> tuple[nn.Module, Tensor, Tensor]:
    """A seeded network in float64, inputs and labels."""
    make, shape = NETWORKS[name]
    with torch.random.fork_rng():
        torch.manual_seed(3)
        module = make().double()
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.running_mean.normal_()
                part.running_var.uniform_(0.5, 2)
                nn.init.normal_(part.weight)
        return module, torch.randn(examples, *shape, dtype=torch.float64), torch.arange(examples) % 3


def evidence_of(
    module: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    masks: Masks | None = None,
    start: Weights | None = None,
    task: Task | None = None,
) -> Evidence:
    """Evidence about the module as it is now; `start` differs from `end` only where given."""
    end = {name: value.detach().clone() for name, value in module.state_dict().items()}
    start = end | (start or {})
    names = prunable(module)
    weights = {name: end[name] for name in names}
    batch = {"x": inputs, "y": labels}
    task = task or Classification(int(labels.max()) + 1)
    return Evidence(
        start={name: start[name] for name in names},
        end=weights,
        generator=torch.Generator(),
        masks=masks or {},
        network=lambda: Network(module, start, end, batch, task),
        traces={"movement_pruning": {name: weight.sin() for name, weight in weights.items()}},
    )


def random_masks(module: nn.Module) -> Masks:
    """Masks that keep about 70 %."""
    generator = torch.Generator().manual_seed(5)
    shapes = {name: module.get_parameter(name).shape for name in prunable(module)}
    return {name: torch.rand(shape, generator=generator) < 0.7 for name, shape in shapes.items()}


def linear(*rows: list[float]) -> nn.Linear:
    """A Linear without bias and with these rows, in float64."""
    layer = nn.Linear(len(rows[0]), len(rows), bias=False).double()
    layer.weight.data = torch.tensor(rows, dtype=torch.float64)
    return layer


def double(*values: float | list[float]) -> Tensor:
    """A float64 tensor."""
    return torch.tensor(values, dtype=torch.float64)
