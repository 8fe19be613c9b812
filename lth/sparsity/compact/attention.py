"""Multi-head attention whose heads can go: a module that takes the place of `nn.MultiheadAttention`."""

from collections import Counter
from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import handle_torch_function, has_torch_function


class CompactAttention(nn.Module):
    """Attention that is called as `nn.MultiheadAttention` is, with any number of heads and any widths.

    The heads' size is fixed, so that their number follows from the weights: a head is `head_size` rows of query, key
    and value, and as many columns of out. Weights that are asked for are the mean over the heads that are left.

    Attributes:
        query, key, value: (heads * head_size, feature) each.
        out: (output, heads * head_size).
    """

    in_proj_weight = None
    in_proj_bias = None  # what nn.TransformerEncoderLayer looks at to know that its fused path does not fit
    _qkv_same_embed_dim = False

    def __init__(self, attention: nn.MultiheadAttention) -> None:
        """Take over an attention with all its heads. Biases that it lacks are zero here.

        Raises:
            ValueError: if it adds rows to key and value.
        """
        super().__init__()
        if attention.bias_k is not None or attention.add_zero_attn:
            raise ValueError("attention with add_bias_kv or add_zero_attn cannot be made smaller")
        self.head_size: int = attention.head_dim
        self.dropout = attention.dropout
        self.batch_first = attention.batch_first
        if attention.in_proj_weight is None:
            weights: Sequence[Tensor] = (attention.q_proj_weight, attention.k_proj_weight, attention.v_proj_weight)
        else:
            weights = attention.in_proj_weight.chunk(3)
        biases = None if attention.in_proj_bias is None else attention.in_proj_bias.chunk(3)
        layers = [_linear(weight, None if biases is None else biases[index]) for index, weight in enumerate(weights)]
        self.query, self.key, self.value = layers
        self.out = _linear(attention.out_proj.weight, attention.out_proj.bias)
        self.train(attention.training)

    @property
    def num_heads(self) -> int:
        """How many heads are left."""
        return self.query.weight.shape[0] // self.head_size

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Attend: (batch, time, feature) -> the same, or time first, or without batch; see `nn.MultiheadAttention`."""
        is_batched = query.ndim == 3
        if not is_batched:
            query, key, value = query.unsqueeze(0), key.unsqueeze(0), value.unsqueeze(0)
            key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
        elif not self.batch_first:
            query, key, value = query.transpose(0, 1), key.transpose(0, 1), value.transpose(0, 1)
        outputs, weights = attend(query, key, value, self, attn_mask, key_padding_mask, need_weights)
        if weights is not None and average_attn_weights:
            weights = weights.mean(dim=1)
        if not is_batched:
            return outputs.squeeze(0), None if weights is None else weights.squeeze(0)
        return outputs if self.batch_first else outputs.transpose(0, 1), weights


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    layer: CompactAttention,
    attn_mask: Tensor | None = None,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Return the output, (batch, query, output), and if asked for the weights, (batch, head, query, key)."""
    if has_torch_function((query, key, value)):  # one call for who follows calls, as for PyTorch's own attention
        return handle_torch_function(
            attend, (query, key, value), query, key, value, layer, attn_mask, key_padding_mask, need_weights
        )
    q, k, v = layer.query(query), layer.key(key), layer.value(value)
    # (batch, time, head * feature) -> (batch, head, time, feature)
    q, k, v = (each.unflatten(-1, (-1, layer.head_size)).transpose(1, 2) for each in (q, k, v))
    mask = _additive_mask(q, attn_mask, key_padding_mask)
    dropout = layer.dropout if layer.training else 0.0
    if need_weights:
        scores = q @ k.transpose(-2, -1) * layer.head_size**-0.5
        weights = torch.softmax(scores if mask is None else scores + mask, dim=-1)
        context = F.dropout(weights, dropout, layer.training) @ v
    else:
        weights = None
        context = F.scaled_dot_product_attention(q, k, v, mask, dropout)
    return layer.out(context.transpose(1, 2).flatten(2)), weights


def use_compact_attention(module: nn.Module, untouched: Sequence[str] = ()) -> dict[str, nn.MultiheadAttention]:
    """Put CompactAttention, with all heads, where `nn.MultiheadAttention` was; return what was there, by path.

    Args:
        module: changed in place, but for itself and for layers that it holds under several paths.
        untouched: paths of modules that are not looked into.
    """
    replaced = {}
    for path, layer in single_layers(module).items():
        can_be = type(layer) is nn.MultiheadAttention and layer.bias_k is None and not layer.add_zero_attn
        if can_be and not is_inside(path, untouched):
            assert isinstance(layer, nn.MultiheadAttention)
            module.set_submodule(path, CompactAttention(layer))
            replaced[path] = layer
    return replaced


def single_layers(module: nn.Module) -> dict[str, nn.Module]:
    """Return the modules inside of this one that have one path, by path: those that can be exchanged."""
    layers = list(module.named_modules(remove_duplicate=False))
    times = Counter(id(layer) for _, layer in layers)
    return {path: layer for path, layer in layers if path and times[id(layer)] == 1}


def is_inside(path: str, places: Iterable[str]) -> bool:
    """Return whether a path is one of these, or inside of one."""
    return any(path == place or path.startswith(f"{place}.") for place in places)


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
    layer.weight = nn.Parameter(weight.detach().clone())
    layer.bias = nn.Parameter(torch.zeros_like(weight[:, 0]) if bias is None else bias.detach().clone())
    return layer


def _additive_mask(q: Tensor, attn_mask: Tensor | None, key_padding_mask: Tensor | None) -> Tensor | None:
    """Return both masks as one to add to scores, broadcasting to (batch, head, query, key). PyTorch's True is out."""
    mask = None
    if attn_mask is not None:
        mask = _as_floats(attn_mask, q)
        if mask.ndim == 3:
            mask = mask.reshape(q.shape[0], -1, *mask.shape[1:])  # from (batch * head, query, key)
    if key_padding_mask is not None:
        padding = _as_floats(key_padding_mask, q)[:, None, None, :]
        mask = padding if mask is None else mask + padding
    return mask


def _as_floats(mask: Tensor, like: Tensor) -> Tensor:
    if mask.dtype == torch.bool:
        return torch.zeros_like(mask, dtype=like.dtype).masked_fill(mask, float("-inf"))
    return mask.to(like.dtype)
