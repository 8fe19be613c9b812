"""GPT-2: a causal transformer for language modelling, at any size."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lth.config.choices import Table
from lth.tasks.chunks import ReadOut

RESIDUAL = "c_proj.weight"
"""How the names of matrices end that write into the residual stream."""


class Gpt2(nn.Module):
    """Tokens and learned positions, pre-norm blocks of causal attention and MLP, and logits by the token embedding.

    Parameters bear the names of GPT-2 as published, without the prefix `transformer.` (`h.2.mlp.c_proj.weight`), and
    every matrix is stored [output, input]. The embedding is the output layer too (tied).

    Args:
        vocabulary: number of different tokens.
        block: most tokens of an example.
        n_layer: number of blocks.
        n_head: attention heads of a block; divides `n_embd`.
        n_embd: size of a token.
        dropout: share of the values that is dropped after the embedding, attention and MLP, and of the attention
            weights.
        bias: whether Linears and norms have biases.
        init: entry of INITIALISATIONS.
        sink: whether every head has a key and a value of its own, learned, that each token can attend to.
        pad_to: the embedding has a multiple of this many rows, which is faster on GPUs; rows beyond the vocabulary
            give no logits.
        activation_sparsity: share of the entries of each token that is set to zero before each Linear of a block, the
            smallest in absolute value.

    Raises:
        ValueError: if `n_head` does not divide `n_embd`, the initialisation is unknown, or the share is not in [0, 1).

    Source: Radford et al. 2019, "Language models are unsupervised multitask learners"; padding and the option without
    biases: A. Karpathy, nanoGPT; sink: Sun et al. 2024, "Massive activations in large language models",
    arXiv:2402.17762, Section 5.2; activation sparsity: Liu et al. 2024 (TEAL), arXiv:2408.14690, there at inference.
    """

    def __init__(
        self,
        vocabulary: int,
        block: int,
        n_layer: int = 12,
        n_head: int = 12,
        n_embd: int = 768,
        dropout: float = 0.0,
        bias: bool = True,
        init: str = "gpt2",
        sink: bool = False,
        pad_to: int = 64,
        activation_sparsity: float = 0.0,
    ) -> None:
        super().__init__()
        if n_embd % n_head:
            raise ValueError(f"n_embd {n_embd} does not fall into {n_head} heads: choose n_head that divides it")
        if not 0 <= activation_sparsity < 1:
            raise ValueError(f"activation_sparsity is {activation_sparsity:g}: a share below 1 is needed")
        self.vocabulary = vocabulary
        self.wte = nn.Embedding(-(-vocabulary // pad_to) * pad_to, n_embd)
        self.wpe = nn.Embedding(block, n_embd)
        self.drop = nn.Dropout(dropout)
        sparse = SparseActivations(activation_sparsity) if activation_sparsity else nn.Identity()
        self.h = nn.ModuleList(Block(n_embd, n_head, dropout, bias, sink, sparse) for _ in range(n_layer))
        self.ln_f = nn.LayerNorm(n_embd, bias=bias)
        draw = INITIALISATIONS.pick(init)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                draw(parameter, is_residual=name.endswith(RESIDUAL), n_layer=n_layer)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, tokens: Tensor, read_out: ReadOut | None = None) -> Tensor:
        """Return logits (batch, position, vocabulary) of tokens (batch, position), or what `read_out` gives."""
        length, block = tokens.shape[1], self.wpe.num_embeddings
        if length > block:
            raise ValueError(f"{length} tokens do not fit into a block of {block}: cut them, or make the block longer")
        hidden = self.drop(self.wte(tokens) + self.wpe.weight[:length])  # (batch, position, n_embd)
        for layer in self.h:
            hidden = layer(hidden)
        hidden = self.ln_f(hidden)
        if read_out is not None:
            return read_out(hidden, self.wte.weight[: self.vocabulary])
        return F.linear(hidden, self.wte.weight)[..., : self.vocabulary]


class Block(nn.Module):
    """Attention, then an MLP four times as wide, each on normalised tokens and added to them."""

    def __init__(self, n_embd: int, n_head: int, dropout: float, bias: bool, sink: bool, sparse: nn.Module) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(n_embd, bias=bias)
        self.attn = CausalAttention(n_embd, n_head, dropout, bias, sink, sparse)
        self.ln_2 = nn.LayerNorm(n_embd, bias=bias)
        self.mlp = Mlp(n_embd, dropout, bias, sparse)

    def forward(self, hidden: Tensor) -> Tensor:  # (batch, position, n_embd) -> the same
        hidden = hidden + self.attn(self.ln_1(hidden))
        return hidden + self.mlp(self.ln_2(hidden))  # type: ignore[no-any-return]


class CausalAttention(nn.Module):
    """Attention of each token to itself and those before."""

    def __init__(self, n_embd: int, n_head: int, dropout: float, bias: bool, sink: bool, sparse: nn.Module) -> None:
        super().__init__()
        self.num_heads, self.dropout = n_head, dropout
        self.c_attn = nn.Linear(n_embd, 3 * n_embd, bias=bias)
        self.c_proj = nn.Linear(n_embd, n_embd, bias=bias)
        self.sparse, self.drop = sparse, nn.Dropout(dropout)
        shape = (n_head, 1, n_embd // n_head)
        self.sink_key = nn.Parameter(0.02 * torch.randn(shape)) if sink else None
        self.sink_value = nn.Parameter(torch.zeros(shape)) if sink else None

    def extra_repr(self) -> str:
        return f"num_heads={self.num_heads}, dropout={self.dropout}"

    def forward(self, hidden: Tensor) -> Tensor:  # (batch, position, n_embd) -> the same
        query, key, value = (
            each.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)  # (batch, head, position, size)
            for each in self.c_attn(self.sparse(hidden)).chunk(3, dim=-1)
        )
        attended = self._attend(query, key, value, self.dropout if self.training else 0.0)
        return self.drop(self.c_proj(self.sparse(attended.transpose(1, 2).flatten(2))))  # type: ignore[no-any-return]

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, dropout: float) -> Tensor:
        if self.sink_key is None or self.sink_value is None:
            return F.scaled_dot_product_attention(query, key, value, dropout_p=dropout, is_causal=True)
        batch, length = query.shape[0], query.shape[2]
        key = torch.cat([self.sink_key.expand(batch, -1, -1, -1), key], dim=2)
        value = torch.cat([self.sink_value.expand(batch, -1, -1, -1), value], dim=2)
        seen = torch.ones(length, length + 1, dtype=torch.bool, device=query.device).tril(1)  # the sink comes first
        return F.scaled_dot_product_attention(query, key, value, attn_mask=seen, dropout_p=dropout)


class Mlp(nn.Module):
    """Linear, GELU, Linear."""

    def __init__(self, n_embd: int, dropout: float, bias: bool, sparse: nn.Module) -> None:
        super().__init__()
        self.c_fc = nn.Linear(n_embd, 4 * n_embd, bias=bias)
        self.c_proj = nn.Linear(4 * n_embd, n_embd, bias=bias)
        self.sparse, self.drop = sparse, nn.Dropout(dropout)

    def forward(self, hidden: Tensor) -> Tensor:  # (batch, position, n_embd) -> the same
        hidden = F.gelu(self.c_fc(self.sparse(hidden)), approximate="tanh")
        return self.drop(self.c_proj(self.sparse(hidden)))  # type: ignore[no-any-return]


class SparseActivations(nn.Module):
    """Set a share of the entries of each token to zero, exactly: the smallest in absolute value.

    Gradients flow through the entries that stay.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def extra_repr(self) -> str:
        return f"share={self.share:g}"

    def forward(self, hidden: Tensor) -> Tensor:  # (..., entry) -> the same
        kept = hidden.shape[-1] - round(self.share * hidden.shape[-1])
        places = hidden.detach().abs().topk(kept, dim=-1, sorted=False).indices
        return hidden * torch.zeros_like(hidden).scatter(-1, places, 1.0)


def _draw_gpt2(matrix: Tensor, *, is_residual: bool, n_layer: int) -> None:
    """N(0, 0.02); what writes into the residual stream N(0, 0.02 / sqrt(2 n_layer))."""
    nn.init.normal_(matrix, std=0.02 / math.sqrt(2 * n_layer) if is_residual else 0.02)


def _draw_xavier(matrix: Tensor, **_: object) -> None:
    nn.init.xavier_uniform_(matrix)


def _draw_kaiming(matrix: Tensor, **_: object) -> None:
    nn.init.kaiming_uniform_(matrix, nonlinearity="relu")


INITIALISATIONS = Table("init", {"gpt2": _draw_gpt2, "xavier": _draw_xavier, "kaiming": _draw_kaiming})
"""How matrices are drawn, embeddings too; gains of norms are one and biases zero in each."""
