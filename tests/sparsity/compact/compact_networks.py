"""Networks to make smaller, one for each way in which units hang together."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lth.models import LeNet300100
from lth.sparsity import Masks


class Residual(nn.Module):
    """Convolutions with batch norm around a residual stream."""

    def __init__(self, is_inplace: bool = True) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(6, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(is_inplace), nn.Conv2d(8, 6, 1),
                nn.BatchNorm2d(6), nn.ZeroPad2d(1),
            )
            for _ in range(2)
        )  # fmt: skip
        self.output = nn.Linear(6, 4)

    def forward(self, images: Tensor) -> Tensor:
        stream = F.relu(self.norm(self.stem(images)))
        for branch in self.branches:
            stream = stream + branch(stream)
        return self.output(stream.mean(dim=(2, 3)))  # type: ignore[no-any-return]


class Block(nn.Module):
    """Attention and MLP on a residual stream."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, 12), nn.GELU(), nn.Dropout(0.1), nn.Linear(12, width))

    def forward(self, tokens: Tensor) -> Tensor:
        normed = self.norm1(tokens)
        tokens = tokens + self.attention(normed, normed, normed)[0]
        return tokens + self.mlp(self.norm2(tokens))  # type: ignore[no-any-return]


class Transformer(nn.Module):
    """Two blocks over embedded numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(3, 8)
        self.position = nn.Parameter(torch.randn(5, 8))
        self.blocks = nn.Sequential(Block(8, 4), Block(8, 2))
        self.output = nn.Linear(8, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.output(self.blocks(self.embed(inputs) + self.position).amax(dim=1))  # type: ignore[no-any-return]


class Bare(nn.Module):
    """Attention right behind a Linear and before another, with a width of its own for key and value."""

    def __init__(self, batch_first: bool = True) -> None:
        super().__init__()
        self.query, self.memory = nn.Linear(3, 8), nn.Linear(3, 6)
        self.attention = nn.MultiheadAttention(8, 4, kdim=6, vdim=6, batch_first=batch_first)
        self.output = nn.Linear(8, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        memory = self.memory(inputs)
        return self.output(torch.tanh(self.attention(self.query(inputs), memory, memory)[0]))  # type: ignore[no-any-return]


class Gated(nn.Module):
    """A gated MLP, with a scale for each unit and a number for all."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.up, self.down = nn.Linear(5, 9, bias=False), nn.Linear(5, 9), nn.Linear(9, 4, bias=False)
        self.scale = nn.Parameter(torch.rand(9) + 0.5)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.down(2 * (F.silu(self.gate(inputs)) * self.up(inputs)) * self.scale)  # type: ignore[no-any-return]


class Dense(nn.Module):
    """Concatenated channels, a depthwise convolution and pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 5, 3), nn.Conv2d(5, 4, 1)
        self.depthwise = nn.Conv2d(9, 9, 2, groups=9)
        self.output = nn.Linear(9 * 4, 3)

    def forward(self, images: Tensor) -> Tensor:
        first = torch.sigmoid(self.first(images))
        both = torch.cat([first, torch.tanh(self.second(first))], dim=1)
        pooled = F.avg_pool2d(self.depthwise(F.relu(both)), 2)
        return self.output(pooled.reshape(len(images), -1))  # type: ignore[no-any-return]


class Words(nn.Module):
    """An embedding whose weight is the output's too."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(7, 6)
        self.hidden, self.back = nn.Linear(6, 10), nn.Linear(10, 6)
        self.output = nn.Linear(6, 7, bias=False)
        self.output.weight = self.table.weight

    def forward(self, words: Tensor) -> Tensor:
        return self.output(self.back(F.relu(self.hidden(self.table(words)))))  # type: ignore[no-any-return]


class OwnAttention(nn.Module):
    """Attention as people write it; `is_honest` takes the size of a head from an attribute."""

    def __init__(self, width: int = 8, heads: int = 4, is_honest: bool = True) -> None:
        super().__init__()
        self.num_heads, self.head_size, self.is_honest = heads, width // heads, is_honest
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(width, width) for _ in range(3))
        self.out_proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:  # (batch, time, width) -> the same
        size = self.head_size if self.is_honest else tokens.shape[2] // self.num_heads
        shape = (*tokens.shape[:2], self.num_heads, size)
        q, k, v = (layer(tokens).view(shape).transpose(1, 2) for layer in (self.q_proj, self.k_proj, self.v_proj))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out_proj(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


def mlp(activation: Callable[[], nn.Module]) -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 10), activation(), nn.Linear(10, 8), activation(), nn.Linear(8, 3))


def convolutional() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3), nn.BatchNorm2d(8), nn.Tanh(), nn.Conv2d(8, 5, 1), nn.ReLU6(), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(5 * 4, 7), nn.Sigmoid(), nn.Linear(7, 3),
    )  # fmt: skip


def encoder() -> nn.TransformerEncoderLayer:
    return nn.TransformerEncoderLayer(8, 4, 10, batch_first=True)


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "lenet": (lambda: LeNet300100((4, 4), 5), (4, 4)),
    "tanh": (lambda: mlp(nn.Tanh), (6,)),
    "sigmoid": (lambda: mlp(nn.Sigmoid), (6,)),
    "convolutional": (convolutional, (2, 12, 12)),
    "residual": (Residual, (2, 7, 7)),
    "transformer": (Transformer, (5, 3)),
    "bare attention": (Bare, (4, 3)),
    "time first": (lambda: Bare(batch_first=False), (4, 3)),
    "gated": (Gated, (5,)),
    "dense": (Dense, (2, 8, 8)),
    "encoder": (encoder, (5, 8)),
    "own attention": (lambda: nn.Sequential(nn.Linear(3, 8), OwnAttention(), nn.Linear(8, 2)), (4, 3)),
}
"""Factory and shape of one example, by name."""


def network(name: str, seed: int) -> nn.Module:
    """One of the networks with biases, scales and running statistics drawn, so that constants are not zero."""
    generator = torch.Generator().manual_seed(seed)
    module = NETWORKS[name][0]().eval()
    with torch.no_grad():
        for tensor_name, value in [*module.named_parameters(), *module.named_buffers()]:
            if value.is_floating_point():
                value.copy_(torch.randn(value.shape, generator=generator) * (0.7 if value.ndim > 1 else 0.5))
            if tensor_name.endswith("running_var"):
                value.abs_().add_(0.5)
    return module


def drawn_masks(module: nn.Module, densities: Sequence[float], is_structured: bool, seed: int) -> Masks:
    """Random masks of matrices and kernels, their densities taken in turn; structured ones lose whole outputs."""
    generator = torch.Generator().manual_seed(seed)
    masks: Masks = {}
    matrices = [name for name, value in module.named_parameters() if value.ndim > 1]
    for index, name in enumerate(matrices):
        shape = module.get_parameter(name).shape
        drawn = torch.rand((shape[0], *([1] * (len(shape) - 1))) if is_structured else shape, generator=generator)
        masks[name] = (drawn < densities[index % len(densities)]).expand(shape).clone()
    return masks
