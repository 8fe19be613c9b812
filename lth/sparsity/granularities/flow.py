"""Which weight matrices stand first and last on the way from inputs to outputs, found by running the network once."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

PRODUCTS: frozenset[Callable[..., Any]] = frozenset(
    {
        F.linear, F.bilinear, F.conv1d, F.conv2d, F.conv3d, F.conv_transpose1d, F.conv_transpose2d,
        F.conv_transpose3d, F.embedding, torch.matmul, torch.mm, torch.bmm, torch.mv, torch.addmm, torch.baddbmm,
        torch.addbmm, torch.addmv, torch.einsum, torch.tensordot, torch.bilinear, Tensor.matmul, Tensor.mm, Tensor.bmm,
        Tensor.mv, Tensor.addmm, Tensor.__matmul__, Tensor.__rmatmul__, torch._VF.lstm, torch._VF.gru,
        torch._VF.rnn_tanh, torch._VF.rnn_relu, torch._VF.lstm_cell, torch._VF.gru_cell, torch._VF.rnn_tanh_cell,
        torch._VF.rnn_relu_cell,
    }
)  # fmt: skip
"""Functions that multiply by weights; what comes out of them comes from those weights."""


@dataclass(frozen=True, slots=True)
class Ends:
    """Weights at both ends of a network.

    Attributes:
        first: those that meet the network's inputs before any other weight.
        last: those that the outputs come from, with no other weight in between.
    """

    first: tuple[str, ...]
    last: tuple[str, ...]


def ends_of(module: nn.Module, run: Callable[[], Tensor]) -> Ends:
    """Return the first and the last weights of a network.

    Args:
        module: the network; it runs in evaluation mode, without gradients, and is left as it was.
        run: runs it on a few examples that exist already (what it makes itself counts as constant), and gives its
            outputs.
    """
    modes = [(layer, layer.training) for layer in module.modules()]
    watch = _Watch(module)
    try:
        module.eval()
        with torch.no_grad(), watch:
            outputs = run()
    finally:
        for layer, mode in modes:
            layer.training = mode
    order = [name for name, _ in module.named_parameters()]
    last = watch.layers_before(outputs)
    return Ends(
        first=tuple(name for name in order if name in watch.first),
        last=tuple(name for name in order if name in last),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Origin:
    """Where a tensor comes from.

    Attributes:
        tensor: itself, so that its id is not given to another one.
        weights: of what is made of weights and constants alone: the weights; None of what depends on the inputs.
        layers: of what depends on the inputs: the weights that it came through last.
    """

    tensor: Tensor
    weights: frozenset[str] | None
    layers: frozenset[str] = frozenset()


class _Watch(TorchFunctionMode):
    """While active in this thread, notes for every tensor where it comes from."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.first: set[str] = set()
        named = [*module.named_parameters()]
        self._origins = {id(value): _Origin(value, frozenset({name})) for name, value in named}
        self._origins |= {id(value): _Origin(value, frozenset()) for value in module.buffers()}

    def layers_before(self, tensor: Tensor) -> frozenset[str]:
        """Return the weights that a tensor came through last."""
        origin = self._origins.get(id(tensor))
        return origin.layers if origin else frozenset()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        # The network's inputs are the tensors that nothing here has made.
        origins = [self._origins.get(id(each), _Origin(each, None)) for each in _tensors((args, kwargs or {}))]
        made = list(_tensors(result))
        if _is_in_place(func) and args and isinstance(args[0], Tensor):
            made.append(args[0])
        weights = frozenset[str]().union(*(origin.weights or () for origin in origins))
        came = [origin for origin in origins if origin.weights is None]
        layers = frozenset[str]().union(*(origin.layers for origin in came))
        if func is F.multi_head_attention_forward:
            projection = inspect.signature(func).bind(*args, **(kwargs or {})).arguments["out_proj_weight"]
            weights = self._origins[id(projection)].weights or weights
        if came and weights and (func in PRODUCTS or func is F.multi_head_attention_forward):
            if not layers:
                self.first |= weights
            layers = weights
        for each in made:
            self._origins[id(each)] = _Origin(each, None, layers) if came else _Origin(each, weights)
        return result


def _is_in_place(func: Callable[..., Any]) -> bool:
    name = getattr(func, "__name__", "")
    return name == "__setitem__" or (name.endswith("_") and not name.endswith("__"))


def _tensors(values: object) -> Iterator[Tensor]:
    """Give all tensors in nested lists, tuples and dicts."""
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, Mapping):
        yield from _tensors(list(values.values()))
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _tensors(value)
