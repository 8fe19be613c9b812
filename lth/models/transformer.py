"""A small vision transformer."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lth.models.images import as_images, image_shape


class Transformer(nn.Module):
    """Image patches as tokens, pre-norm blocks of attention and MLP, the mean over tokens, a Linear output layer.

    Patches have 4x4 pixels, or 2x2 in images with a side under 16; images are padded with zeros to whole patches.

    Args:
        input_shape: (height, width), (channel, height, width) or (height, width, channel).
        num_classes: number of logits.
        width: size of a token.
        depth: number of blocks.
        heads: attention heads of a block; divides `width`.

    Raises:
        ValueError: if the inputs are no images, or `heads` does not divide `width`.

    Sources: Dosovitskiy et al. 2021, arXiv:2010.11929; the mean over tokens instead of a class token as in Beyer et
    al. 2022, arXiv:2205.01580.
    """

    def __init__(
        self,
        input_shape: Sequence[int] = (28, 28),
        num_classes: int = 10,
        width: int = 32,
        depth: int = 2,
        heads: int = 4,
    ) -> None:
        super().__init__()
        channel, *sides = image_shape(input_shape)
        if width % heads:
            raise ValueError(f"width {width} does not fall into {heads} heads: choose heads that divide the width")
        self.patch = 4 if min(sides) >= 16 else 2
        height, image_width = (-(-side // self.patch) for side in sides)  # in patches, rounded up
        self.embed = nn.Linear(channel * self.patch**2, width)
        self.position = nn.Parameter(torch.empty(height * image_width, width))
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, num_classes)
        nn.init.trunc_normal_(self.position, std=0.02)

    def forward(self, inputs: Tensor) -> Tensor:  # (batch, *input_shape) -> (batch, class)
        images = as_images(inputs)  # (batch, channel, height, width)
        height, width = images.shape[2:]
        images = F.pad(images, (0, -width % self.patch, 0, -height % self.patch))
        patches = F.unfold(images, self.patch, stride=self.patch).mT  # (batch, token, channel * pixel)
        tokens = self.embed(patches) + self.position  # (batch, token, width)
        for block in self.blocks:
            tokens = block(tokens)
        return self.output(self.norm(tokens).mean(dim=1))  # type: ignore[no-any-return]


class Block(nn.Module):
    """Attention, then an MLP four times as wide, each on normalised tokens and added to them."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, tokens: Tensor) -> Tensor:  # (batch, token, width) -> the same
        # Tokens first and with weights: so PyTorch takes plain products, which unlike its fast paths can be stacked.
        normed = self.norm1(tokens).transpose(0, 1)  # (token, batch, width)
        attended, _ = self.attention(normed, normed, normed, need_weights=True)
        tokens = tokens + attended.transpose(0, 1)
        return tokens + self.mlp(self.norm2(tokens))  # type: ignore[no-any-return]
