"""Which modules are multilayer perceptrons, read from what their `forward` does."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import fx, nn

from lth.models.supermask import Supermask

Activation = Literal["identity", "relu", "tanh"]


class NotAnMlp(ValueError):
    """A module is no multilayer perceptron; the message says what was found in it."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One linear layer and what follows it.

    Attributes:
        weight: name of its weight, (output, input).
        bias: name of its bias, (output,); None without one.
        activation: what its outputs go through.
        dropout: probability that an output is dropped, after the activation.
    """

    weight: str
    bias: str | None
    activation: Activation = "identity"
    dropout: float = 0.0


ACTIVATIONS: dict[Any, Activation] = {
    **dict.fromkeys((F.relu, F.relu_, torch.relu, torch.relu_, "relu", "relu_", nn.ReLU), "relu"),
    **dict.fromkeys((F.tanh, torch.tanh, torch.tanh_, "tanh", "tanh_", nn.Tanh), "tanh"),
}
"""By function, method name or module type."""

FLATTENING = (torch.flatten, "flatten", nn.Flatten)
NOTHING = (nn.Identity, "contiguous", "float")


def read_mlp(module: nn.Module) -> list[Layer]:
    """Return the layers of a multilayer perceptron, first to last, as it is trained.

    Understood are Linear, ReLU, Tanh and Dropout, as modules or functions, one after the other, after flattening the
    input from its second axis on. Parameters must be of one kind each: all of them weights and biases of these layers,
    all trainable, none shared.

    Args:
        module: any network; its `forward` is traced, not run.
    Raises:
        NotAnMlp: if it does anything else.
    """
    was_training = module.training
    try:
        layers, evaluated = (_chain(module.train(mode)) for mode in (True, False))
    finally:
        module.train(was_training)
    if [replace(layer, dropout=0.0) for layer in layers] != evaluated:
        raise NotAnMlp("in evaluation it differs by more than its dropout")
    _check_parameters(module, layers)
    return layers


def _chain(module: nn.Module) -> list[Layer]:
    """Return the layers in the module's present mode."""
    if isinstance(module, Supermask):
        raise NotAnMlp("it is a supermask, whose masks are made in its forward")
    try:
        graph = fx.symbolic_trace(module).graph
    except Exception as error:  # whatever a forward may raise when it meets a symbol in place of a tensor
        raise NotAnMlp("its forward does more than chain layers") from error
    modules, layers, position = dict(module.named_modules()), list[Layer](), None
    for node in graph.nodes:
        match node.op:
            case "placeholder" if position is None:
                pass
            case "output" if node.args[0] is position and layers:
                break
            case "call_module" | "call_function" | "call_method" if node.args and node.args[0] is position:
                _read(node, modules, layers)
            case _:
                raise NotAnMlp(f"{node.op.replace('_', ' ')} {node.target} is no step of a chain of layers")
        position = node
    return layers


def _read(node: fx.Node, modules: dict[str, nn.Module], layers: list[Layer]) -> None:
    """Add one step of the chain to the layers."""
    target = node.target
    child = modules[str(target)] if node.op == "call_module" else None
    kind: Any = type(child) if child is not None else target
    if kind is nn.Linear and child is not None:
        bias = None if child.bias is None else f"{target}.bias"
        layers.append(Layer(f"{target}.weight", bias))
    elif kind in (nn.Dropout, F.dropout, torch.dropout):
        rate = _dropout_rate(node, child)
        if rate and (not layers or layers[-1].dropout):
            raise NotAnMlp(f"{node.name} drops inputs of the network or what is dropped already")
        if rate:
            layers[-1] = replace(layers[-1], dropout=rate)
    elif kind in ACTIVATIONS:
        if not layers or layers[-1].activation != "identity" or layers[-1].dropout:
            raise NotAnMlp(f"{node.name} does not follow a linear layer")
        layers[-1] = replace(layers[-1], activation=ACTIVATIONS[kind])
    elif kind in FLATTENING:
        axes = (child.start_dim, child.end_dim) if isinstance(child, nn.Flatten) else _axes(node)
        if layers or axes != (1, -1):
            raise NotAnMlp(f"{node.name} flattens other than the input from its second axis on")
    elif kind not in NOTHING:
        name = child.__class__.__name__ if child is not None else getattr(kind, "__name__", kind)
        raise NotAnMlp(f"it holds {name}, which is none of Linear, ReLU, Tanh, Dropout, Flatten")


def _dropout_rate(node: fx.Node, child: nn.Module | None) -> float:
    if isinstance(child, nn.Dropout):
        return child.p if child.training else 0.0
    names: tuple[str, ...] = ("p", "training") if node.target is F.dropout else ("p", "train")
    given = dict(zip(names, node.args[1:], strict=False)) | node.kwargs
    if given.get("training", given.get("train", True)) is not True:
        return 0.0
    return float(given.get("p", 0.5))  # type: ignore[arg-type]


def _axes(node: fx.Node) -> tuple[Any, Any]:
    given = dict(zip(("start_dim", "end_dim"), node.args[1:], strict=False)) | node.kwargs
    return given.get("start_dim", 0), given.get("end_dim", -1)


def _check_parameters(module: nn.Module, layers: list[Layer]) -> None:
    read = [name for layer in layers for name in (layer.weight, layer.bias) if name is not None]
    parameters = dict(module.named_parameters(remove_duplicate=False))
    if len(set(read)) < len(read) or len({id(value) for value in parameters.values()}) < len(parameters):
        raise NotAnMlp("layers share parameters")
    if others := [*sorted(parameters.keys() - set(read)), *dict(module.named_buffers())]:
        raise NotAnMlp(f"{', '.join(others)} belongs to no linear layer")
    if hooked := [type(each).__name__ for each in module.modules() if _has_hooks(each)]:
        raise NotAnMlp(f"{', '.join(hooked)} has hooks, which tracing does not see")
    if frozen := [name for name, value in parameters.items() if not value.requires_grad]:
        raise NotAnMlp(f"{', '.join(frozen)} is not trained")


def _has_hooks(module: nn.Module) -> bool:
    hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
    return any(hooks)
