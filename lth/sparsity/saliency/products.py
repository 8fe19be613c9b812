"""Following what goes through each weight: layers that multiply by weights get a backward pass of our own.

A linear layer, a convolution and the projections of attention are one kind of thing: a *product*, linear in its inputs
and in its weights. While a `Following` mode is active each product runs as always, and on the way back a rule says
what goes to its inputs and what is written down for its weights in place of a gradient. Everything between the
products (activations, pooling, norms, residual sums, softmax) keeps its ordinary gradient. Because what is written
down travels as a gradient does, it arrives in the layout of the parameter, however it is stored, cut up or shared.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from lth.sparsity.batches import split_batch
from lth.sparsity.evidence import Evidence, network_of
from lth.sparsity.saliency.running import masked_state, ready
from lth.sparsity.types import Scores, Weights

Product = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""(inputs, weight, bias) -> outputs."""


class Rule(Protocol):
    """What a product sends back."""

    def __call__(
        self, product: Product, inputs: Tensor, weight: Tensor, bias: Tensor | None, gradient: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return what goes to the inputs, and what is written down for the weights, in their shapes."""


def to_inputs(product: Product, inputs: Tensor, weight: Tensor, outputs: Tensor) -> Tensor:
    """Carry values at the outputs back to the inputs: the transposed product."""
    with torch.enable_grad():
        leaf = torch.zeros_like(inputs).requires_grad_()
        return torch.autograd.grad(product(leaf, weight, None), leaf, outputs)[0]


def to_weight(product: Product, inputs: Tensor, weight: Tensor, outputs: Tensor) -> Tensor:
    """Return for each weight the sum, over all places that use it, of its input times the value at its output."""
    with torch.enable_grad():
        leaf = torch.zeros_like(weight).requires_grad_()
        return torch.autograd.grad(product(inputs, leaf, None), leaf, outputs)[0]


def follow(evidence: Evidence, criterion: str, rule: Rule) -> tuple[Weights, Scores, dict[str, int]]:
    """Return what a rule writes down for each prunable weight, summed over the examples, after training.

    The backward pass starts from the outputs that explain the right answers (`Task.relevant`).

    Returns:
        The weights (pruned ones zero), what was written down, and for each parameter the axis of its outputs.
    Raises:
        ValueError: if the evidence has no network, or a prunable parameter is used in no product.
    """
    network = network_of(evidence, criterion)
    state, weights = masked_state(evidence, network, network.end)
    total = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    following = Following(rule, state)
    with ready(network.module):
        for batch in split_batch(network.batch, network.task):
            with following:
                outputs = network.outputs(state, batch)
            start = network.task.relevant(outputs, batch)
            written = torch.autograd.grad(start, list(weights.values()), materialize_grads=True)
            total = {name: total[name] + more for name, more in zip(weights, written, strict=True)}
    for name, weight in weights.items():
        if id(weight) not in following.output_axes:
            raise ValueError(
                f"criterion {criterion!r} can follow Linear, convolution, attention and matrix-product layers, but "
                f"{name!r} is used in none. Exclude it from pruning, or use another criterion, such as 'taylor'"
            )
    axes = {name: following.output_axes[id(weight)] for name, weight in weights.items()}
    return {name: weight.detach() for name, weight in weights.items()}, total, axes


class Following(TorchFunctionMode):
    """While active in this thread, products with the given parameters obey the rule.

    Attributes:
        output_axes: by id of each parameter that was used in a product, the axis that runs over the outputs.
    """

    def __init__(self, rule: Rule, parameters: Weights) -> None:
        super().__init__()
        self.output_axes: dict[int, int] = {}
        self._rule = rule
        self._parameters = parameters
        self._ids = {id(value) for value in parameters.values()}

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.multi_head_attention_forward:
            return self._attention(*args, **kwargs)
        if func in _LAYERS:
            return self._layer(func, *args, **kwargs)
        if func is torch.addmm and kwargs.keys() <= {"input", "mat1", "mat2"}:
            return self._addmm(*args, **kwargs)
        if func in _MATRIX_PRODUCTS and not kwargs and self._is_matrix(args[1]):
            return self._product(lambda x, w, b: x @ w, args[0], args[1], None, output_axis=1)
        return func(*args, **kwargs)

    def _layer(
        self,
        func: Callable[..., Tensor],
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        *options: Any,
        **named: Any,
    ) -> Tensor:
        if id(_owner(weight)) not in self._ids:
            return func(input, weight, bias, *options, **named)
        return self._product(
            lambda x, w, b: func(x, w, b, *options, **named), input, weight, bias, output_axis=_LAYERS[func]
        )

    def _addmm(self, input: Tensor, mat1: Tensor, mat2: Tensor) -> Tensor:
        if not self._is_matrix(mat2):
            return torch.addmm(input, mat1, mat2)
        return self._product(lambda x, w, b: x @ w if b is None else x @ w + b, mat1, mat2, input, output_axis=1)

    def _attention(self, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor | None]:
        """Run multi-head attention as four products around PyTorch's own, whose projections become the identity."""
        bound = inspect.signature(F.multi_head_attention_forward).bind(*args, **kwargs)
        bound.apply_defaults()
        call = bound.arguments
        if call["use_separate_proj_weight"]:
            projections = [call[f"{which}_proj_weight"] for which in "qkv"]
        else:
            projections = call["in_proj_weight"].chunk(3)
        biases = [None] * 3 if call["in_proj_bias"] is None else call["in_proj_bias"].chunk(3)
        sources = [call[which] for which in ("query", "key", "value")]
        with self:
            query, key, value = (
                F.linear(source, weight, bias)
                for source, weight, bias in zip(sources, projections, biases, strict=True)
            )
        identity = torch.eye(query.shape[-1], dtype=query.dtype, device=query.device)
        mixed, attention = F.multi_head_attention_forward(
            **{
                **call,
                "query": query,
                "key": key,
                "value": value,
                "in_proj_weight": None,
                "in_proj_bias": None,
                "use_separate_proj_weight": True,
                "q_proj_weight": identity,
                "k_proj_weight": identity,
                "v_proj_weight": identity,
                "out_proj_weight": identity,
                "out_proj_bias": None,
            }
        )
        with self:
            return F.linear(mixed, call["out_proj_weight"], call["out_proj_bias"]), attention

    def _product(
        self, product: Product, inputs: Tensor, weight: Tensor, bias: Tensor | None, output_axis: int
    ) -> Tensor:
        owner = _owner(weight)
        # A transposed view has its outputs on another axis than its owner; the step in memory tells which.
        self.output_axes[id(owner)] = owner.stride().index(weight.stride(output_axis))
        return _Followed.apply(inputs, weight, bias, product, self._rule)  # type: ignore[no-any-return, no-untyped-call]

    def _is_matrix(self, weight: Any) -> bool:
        return isinstance(weight, Tensor) and weight.dim() == 2 and id(_owner(weight)) in self._ids


_LAYERS: dict[Callable[..., Tensor], int] = {
    F.linear: 0,
    F.conv1d: 0,
    F.conv2d: 0,
    F.conv3d: 0,
    F.conv_transpose1d: 1,
    F.conv_transpose2d: 1,
    F.conv_transpose3d: 1,
}
"""Functions called (inputs, weight, bias, ...), with the axis of the weight that runs over the outputs."""

_MATRIX_PRODUCTS = {torch.matmul, torch.mm, Tensor.matmul, Tensor.mm, Tensor.__matmul__}


def _owner(weight: Tensor) -> Tensor:
    """Return the parameter that a weight is, or is a view of (`in_proj_weight` holds three projections)."""
    return weight if weight._base is None else weight._base


class _Followed(torch.autograd.Function):
    """A product whose backward pass is a rule."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None, product: Product, rule: Rule) -> Tensor:
        # The outputs are not saved: a ReLU may overwrite them in place.
        ctx.save_for_backward(inputs, weight, bias)
        ctx.product, ctx.rule = product, rule
        return product(inputs, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight, bias = ctx.saved_tensors
        to_inputs, to_weight = ctx.rule(ctx.product, inputs, weight, bias, gradients[0])
        return to_inputs, to_weight, None, None, None
