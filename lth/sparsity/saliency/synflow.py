"""SynFlow: keep the weights on the strong paths from input to output, without any data."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from lth.sparsity.evidence import Evidence, network_of
from lth.sparsity.saliency.running import masked_state, ready
from lth.sparsity.types import Scores


def synflow(evidence: Evidence) -> Scores:
    """Score |w dR/dw| before training; R sums the outputs of the network of absolute values, fed with ones.

    Every parameter and buffer is replaced by its absolute value. All of it is in float64, for R grows exponentially
    with depth; so are the scores. No example is looked at, only the shape of one (a model of tokens is fed token 1).
    Scores of pruned weights are 0. The paper prunes in 100 rounds: see `in_rounds`.

    What the paper leaves open: a normalisation would subtract, and so break the law that each layer's scores sum to
    the same. Batch norms therefore only scale, by |gain| / sqrt(running variance + eps), and add |bias|; layer, group,
    instance and root-mean-square norms only scale by |gain| and add |bias|. Norms that a module computes by hand are
    run as they are. Ones make all positions alike but for their position codes, so the softmax of attention hides most
    of what queries and keys do: use a scope of one group per tensor for transformers.

    Raises:
        ValueError: if the evidence has no network, or R is beyond float64.

    Source: Tanaka et al. 2020, arXiv:2006.05467, Algorithm 1.
    """
    network = network_of(evidence, "synflow")
    full, weights = masked_state(evidence, network, network.start)
    state = {name: _absolute(value.detach()) for name, value in full.items()}
    leaves = {name: state[name].requires_grad_() for name in weights}
    ones = {name: torch.ones_like(_in_double(values[:1])) for name, values in network.batch.items()}
    with ready(network.module), _ScalingNorms():
        flow = network.outputs(state, ones).sum()
    if not bool(flow.isfinite()):
        raise ValueError(
            f"criterion 'synflow' found a flow of {flow.detach().item()}: the network is too deep or its weights too "
            f"large for float64. Use another criterion, such as 'snip'"
        )
    gradients = torch.autograd.grad(flow, list(leaves.values()), materialize_grads=True)
    return {
        name: (leaf.detach() * gradient).abs() for (name, leaf), gradient in zip(leaves.items(), gradients, strict=True)
    }


def _absolute(value: Tensor) -> Tensor:
    if not value.is_floating_point():
        return value
    # An infinite entry is an additive attention mask: its sign is its meaning.
    return value.double().abs() if bool(value.isfinite().all()) else value.double()


def _in_double(values: Tensor) -> Tensor:
    return values.double() if values.is_floating_point() else values


def _scale(inputs: Tensor, gain: Tensor | None, bias: Tensor | None) -> Tensor:
    inputs = inputs if gain is None else inputs * gain
    return inputs if bias is None else inputs + bias


def _by_channel(values: Tensor | None, inputs: Tensor) -> Tensor | None:
    return None if values is None else values.reshape(-1, *[1] * (inputs.dim() - 2))


def _batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    if running_var is not None:
        spread = (running_var + eps).rsqrt()
        weight = spread if weight is None else weight * spread
    return _scale(input, _by_channel(weight, input), _by_channel(bias, input))


def _instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    *rest: object,
    **named: object,
) -> Tensor:
    return _scale(input, _by_channel(weight, input), _by_channel(bias, input))


def _group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    return _scale(input, _by_channel(weight, input), _by_channel(bias, input))


def _layer_norm(
    input: Tensor, normalized_shape: object, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    return _scale(input, weight, bias)


def _rms_norm(
    input: Tensor, normalized_shape: object, weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    return _scale(input, weight, None)


_NORMS: dict[Callable[..., Tensor], Callable[..., Tensor]] = {
    F.batch_norm: _batch_norm,
    F.instance_norm: _instance_norm,
    F.group_norm: _group_norm,
    F.layer_norm: _layer_norm,
    F.rms_norm: _rms_norm,
}
"""PyTorch's norms and, with the same arguments, what stands in for them."""


class _ScalingNorms(TorchFunctionMode):
    """While active in this thread, norms scale and shift, and do nothing else."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        run: Callable[..., Any] = _NORMS.get(func, func)
        return run(*args, **(kwargs or {}))
