"""A small causal transformer for language modelling."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Gpt(nn.Module):
    """Tokens and learned positions, pre-norm blocks of causal attention and MLP, and logits by the token embedding.

    The embedding is the output layer too (tied). Matrices are drawn from N(0, 0.02), those that end in the residual
    stream from N(0, 0.02 / sqrt(2 depth)); biases start at zero.

    Args:
        vocabulary: number of different tokens.
        block: most tokens of an example.
        width: size of a token.
        depth: number of blocks.
        heads: attention heads of a block; divides `width`.
        dropout: share of the values that is dropped after the embedding, attention and MLP, and of the attention
            weights.
        bias: whether Linears and norms have biases.

    Raises:
        ValueError: if `heads` does not divide `width`.

    Source: Radford et al. 2019, "Language models are unsupervised multitask learners" (GPT-2).
    """

    def __init__(
        self,
        vocabulary: int,
        block: int,
        width: int = 64,
        depth: int = 2,
        heads: int = 4,
        dropout: float = 0.0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} does not fall into {heads} heads: choose heads that divide the width")
        self.embed = nn.Embedding(vocabulary, width)
        self.position = nn.Embedding(block, width)
        self.drop = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(width, heads, dropout, bias) for _ in range(depth))
        self.norm = nn.LayerNorm(width, bias=bias)
        for name, parameter in self.named_parameters():
            if parameter.ndim > 1:
                is_last = name.endswith(("out_proj.weight", "c_proj.weight"))
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * depth) if is_last else 0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, tokens: Tensor) -> Tensor:  # (batch, position) -> (batch, position, vocabulary)
        length, block = tokens.shape[1], self.position.num_embeddings
        if length > block:
            raise ValueError(f"{length} tokens do not fit into a block of {block}: cut them, or make the block longer")
        hidden = self.drop(self.embed(tokens) + self.position.weight[:length])  # (batch, position, width)
        for layer in self.blocks:
            hidden = layer(hidden)
        return F.linear(self.norm(hidden), self.embed.weight)


class Block(nn.Module):
    """Attention, then an MLP four times as wide, each on normalised tokens and added to them."""

    def __init__(self, width: int, heads: int, dropout: float, bias: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, bias=bias)
        self.attention = CausalAttention(width, heads, dropout, bias)
        self.norm2 = nn.LayerNorm(width, bias=bias)
        self.mlp = Mlp(width, dropout, bias)

    def forward(self, hidden: Tensor) -> Tensor:  # (batch, position, width) -> the same
        hidden = hidden + self.attention(self.norm1(hidden))
        return hidden + self.mlp(self.norm2(hidden))  # type: ignore[no-any-return]


class CausalAttention(nn.Module):
    """Attention of each token to itself and those before."""

    def __init__(self, width: int, heads: int, dropout: float, bias: bool) -> None:
        super().__init__()
        self.num_heads, self.dropout = heads, dropout
        self.q_proj = nn.Linear(width, width, bias=bias)
        self.k_proj = nn.Linear(width, width, bias=bias)
        self.v_proj = nn.Linear(width, width, bias=bias)
        self.out_proj = nn.Linear(width, width, bias=bias)
        self.drop = nn.Dropout(dropout)

    def extra_repr(self) -> str:
        return f"num_heads={self.num_heads}, dropout={self.dropout}"

    def forward(self, hidden: Tensor) -> Tensor:  # (batch, position, width) -> the same
        query, key, value = (
            projection(hidden).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)  # (batch, head, position, size)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        attended = _attend(query, key, value, self.dropout if self.training else 0.0)
        return self.drop(self.out_proj(attended.transpose(1, 2).flatten(2)))  # type: ignore[no-any-return]


class Mlp(nn.Module):
    """Linear, GELU, Linear."""

    def __init__(self, width: int, dropout: float, bias: bool) -> None:
        super().__init__()
        self.c_fc = nn.Linear(width, 4 * width, bias=bias)
        self.c_proj = nn.Linear(4 * width, width, bias=bias)
        self.drop = nn.Dropout(dropout)

    def forward(self, hidden: Tensor) -> Tensor:  # (batch, position, width) -> the same
        return self.drop(self.c_proj(F.gelu(self.c_fc(hidden), approximate="tanh")))  # type: ignore[no-any-return]


def _attend(query: Tensor, key: Tensor, value: Tensor, dropout: float) -> Tensor:
    """Return causal attention: three times (batch, head, position, size) -> the same."""
    if query.device.type != "cpu":
        return F.scaled_dot_product_attention(query, key, value, dropout_p=dropout, is_causal=True)
    # The CPU's fused kernel has no rule for `vmap`, with which networks are stacked: plain products have.
    length = query.shape[-2]
    future = torch.ones(length, length, dtype=torch.bool, device=query.device).triu(1)
    scores = (query @ key.mT / math.sqrt(query.shape[-1])).masked_fill(future, -math.inf)
    return F.dropout(scores.softmax(-1), dropout) @ value if dropout else scores.softmax(-1) @ value
