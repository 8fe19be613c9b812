"""What a pruned network costs to run: multiply-adds of the surviving weights."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn

from lth.sparsity.metrics.probe import watched
from lth.sparsity.prunable import is_hugging_face_conv1d
from lth.sparsity.types import Masks


@dataclass(frozen=True, slots=True)
class Cost:
    """Multiply-adds for one example. One multiply-add is two floating-point operations (FLOPs).

    Attributes:
        remaining: of the weights that the masks keep.
        dense: of all weights.
    """

    remaining: float
    dense: float


Use = tuple[Tensor, slice, float]
"""A weight, the rows of it that were used, and how often each of their entries was, over all examples."""

Counter = Callable[[Any, tuple[Any, ...], dict[str, Any], Any], list[Use]]
"""(layer, positional inputs, keyword inputs, output) -> uses of its weights in this run."""

WHOLE = slice(None)


def multiply_adds(module: nn.Module, masks: Masks, *inputs: Tensor) -> Cost:
    """Multiply-adds of the network's weights for one example; see `multiply_adds_by_tensor`."""
    by_tensor = multiply_adds_by_tensor(module, masks, *inputs).values()
    return Cost(sum(each.remaining for each in by_tensor), sum(each.dense for each in by_tensor))


def multiply_adds_by_tensor(module: nn.Module, masks: Masks, *inputs: Tensor) -> dict[str, Cost]:
    """Multiply-adds of each weight tensor for one example: a kept weight counts once for each position it is used at.

    Counted are Linear, convolutions (also transposed), `nn.MultiheadAttention`'s projections and Hugging Face `Conv1D`,
    masked or not. Biases, norms, activations, and products of activations with each other (attention scores) are not:
    pruning weights does not change them. Zeros of padding count as inputs. This is what a kernel that skips every
    pruned weight would do, not what a machine does today.

    Args:
        module: the network; it runs once, in evaluation mode, and is left as it was found.
        masks: what is kept, by names as in `module.named_parameters()`; a parameter without one is whole.
        inputs: example inputs, passed on in this order; the first axis of the first is the examples, over which the
            cost is averaged.
    Raises:
        ValueError: if a mask names no parameter, does not fit it, or masks a weight whose uses cannot be counted (of a
            layer of another kind, or one that did not run).
    """
    parameters = dict(module.named_parameters())
    for name, mask in masks.items():
        if name not in parameters or parameters[name].shape != mask.shape:
            found = tuple(parameters[name].shape) if name in parameters else "no such parameter"
            raise ValueError(f"the mask of {name!r} has shape {tuple(mask.shape)}, the module has: {found}")
    if not inputs or not inputs[0].ndim or not len(inputs[0]):
        raise ValueError("give the inputs of at least one example: the first axis of the first input is the examples")
    uses: list[Use] = []
    counters = {name: counter for name, layer in module.named_modules() if (counter := _counter(layer))}
    with watched(module, {name: partial(_note, uses, counter) for name, counter in counters.items()}):
        module(*inputs)
    names = {id(parameter): name for name, parameter in parameters.items()}
    remaining, dense = dict.fromkeys(parameters, 0.0), dict.fromkeys(parameters, 0.0)
    used = set()
    for weight, rows, times in uses:
        if id(weight) not in names:
            continue  # a weight computed from others (a parametrisation) is no parameter, so it has no mask
        name = names[id(weight)]
        entries = weight[rows].numel()
        remaining[name] += times * (int(masks[name][rows].sum()) if name in masks else entries)
        dense[name] += times * entries
        used.add(name)
    if uncounted := [name for name in masks if name not in used]:
        raise ValueError(
            f"the uses of {', '.join(uncounted)} cannot be counted: its layer did not run, or is no Linear, "
            "convolution, MultiheadAttention or Conv1D. Leave its mask out to count the rest"
        )
    examples = len(inputs[0])
    return {name: Cost(remaining[name] / examples, dense[name] / examples) for name in parameters if name in used}


def _note(
    uses: list[Use], counter: Counter, layer: nn.Module, inputs: tuple[Any, ...], keywords: dict[str, Any], output: Any
) -> None:
    uses.extend(counter(layer, inputs, keywords, output))


def _counter(layer: nn.Module) -> Counter | None:
    """What counts the uses of a layer's weights in one run, for the kinds of layers that are counted."""
    if isinstance(layer, nn.modules.conv._ConvTransposeNd):
        return _transposed_convolution
    if isinstance(layer, nn.modules.conv._ConvNd):
        return _convolution
    if isinstance(layer, nn.Linear) or is_hugging_face_conv1d(layer):
        return _linear
    if isinstance(layer, nn.MultiheadAttention):
        return _attention
    return None


def _linear(layer: Any, _inputs: tuple[Any, ...], _keywords: dict[str, Any], output: Tensor) -> list[Use]:
    return [(layer.weight, WHOLE, output.numel() / output.shape[-1])]


def _convolution(layer: Any, _inputs: tuple[Any, ...], _keywords: dict[str, Any], output: Tensor) -> list[Use]:
    return [(layer.weight, WHOLE, output.numel() / layer.out_channels)]


def _transposed_convolution(
    layer: Any, inputs: tuple[Any, ...], keywords: dict[str, Any], _output: Tensor
) -> list[Use]:
    # Each weight spreads every input position, where an ordinary convolution's gathers for every output position.
    given = inputs[0] if inputs else keywords["input"]
    return [(layer.weight, WHOLE, given.numel() / layer.in_channels)]


def _attention(layer: Any, inputs: tuple[Any, ...], keywords: dict[str, Any], _output: Any) -> list[Use]:
    named = dict(zip(("query", "key", "value"), inputs, strict=False)) | keywords
    tokens = [named[role].numel() / named[role].shape[-1] for role in ("query", "key", "value")]
    width = layer.embed_dim
    if layer.in_proj_weight is not None:
        # One tensor holds the projections of query, key and value, one below the other; each sees its own tokens.
        uses = [(layer.in_proj_weight, slice(i * width, (i + 1) * width), tokens[i]) for i in range(3)]
    else:
        separate = (layer.q_proj_weight, layer.k_proj_weight, layer.v_proj_weight)
        uses = [(weight, WHOLE, tokens[i]) for i, weight in enumerate(separate)]
    return [*uses, (layer.out_proj.weight, WHOLE, tokens[0])]
