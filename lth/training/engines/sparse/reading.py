"""Which modules are chains of layers that the engine knows, read from what their `forward` does."""

from dataclasses import dataclass, field, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from lth.data.images import as_images
from lth.models.supermask import Supermask
from lth.training.engines.sparse.chain import ACTIVATIONS, Chain, Convolution, Layer, NotAChain
from lth.training.engines.sparse.reading_images import POOLINGS, convolution_of, pooled, with_relu

FLATTENING = (torch.flatten, "flatten", nn.Flatten)
NOTHING = (nn.Identity, "contiguous", "float")
UNDERSTOOD = ("Conv2d", "MaxPool2d", "Linear", "ReLU", "Tanh", "Dropout", "Flatten")


@dataclass(slots=True)
class _Reading:
    """What has been read so far."""

    layers: list[Layer] = field(default_factory=list)
    convolutions: list[Convolution] = field(default_factory=list)
    makes_images: bool = False
    is_flat: bool = False

    @property
    def is_at_images(self) -> bool:
        """Whether what comes next may be a convolution."""
        return not self.layers and not self.is_flat

    @property
    def chain(self) -> Chain:
        return Chain(self.layers, self.convolutions, self.makes_images)


def read_chain(module: nn.Module) -> Chain:
    """Return the layers of a network, as it is trained.

    Understood are Linear, ReLU, Tanh and Dropout, as modules or functions, one after the other, after flattening from
    the second axis on; and before that, 3 x 3 convolutions with padding 1 and stride 1, each with ReLU, some with 2 x 2
    pooling. Parameters must be of one kind each: all of them weights and biases of these layers, all trainable, none
    shared.

    Args:
        module: any network; its `forward` is traced, not run.
    Raises:
        NotAChain: if it does anything else.
    """
    was_training = module.training
    try:
        chain, evaluated = (_chain(module.train(mode)) for mode in (True, False))
    finally:
        module.train(was_training)
    if replace(chain, layers=[replace(layer, dropout=0.0) for layer in chain.layers]) != evaluated:
        raise NotAChain("in evaluation it differs by more than its dropout")
    _check_parameters(module, chain)
    return chain


def _chain(module: nn.Module) -> Chain:
    """Return the layers in the module's present mode."""
    if isinstance(module, Supermask):
        raise NotAChain("it is a supermask, whose masks are made in its forward")
    try:
        graph = fx.Tracer(autowrap_functions=(as_images,)).trace(module)
    except Exception as error:  # whatever a forward may raise when it meets a symbol in place of a tensor
        raise NotAChain("its forward does more than chain layers") from error
    modules, reading, position = dict(module.named_modules()), _Reading(), None
    for node in graph.nodes:
        match node.op:
            case "placeholder" if position is None:
                pass
            case "output" if node.args[0] is position and reading.layers:
                break
            case "call_module" | "call_function" | "call_method" if node.args and node.args[0] is position:
                child = modules[str(node.target)] if node.op == "call_module" else None
                if not _read_images(node, child, reading):
                    _read(node, child, reading)
            case _:
                raise NotAChain(f"{node.op.replace('_', ' ')} {node.target} is no step of a chain of layers")
        position = node
    return reading.chain


def _read_images(node: fx.Node, child: nn.Module | None, reading: _Reading) -> bool:
    """Add a step that works on images; return False if it is none."""
    kind: Any = type(child) if child is not None else node.target
    convolutions = reading.convolutions
    if kind is as_images and reading.is_at_images and not convolutions:
        reading.makes_images = True
    elif isinstance(child, nn.Conv2d) and kind is nn.Conv2d and reading.is_at_images:
        if convolutions and not convolutions[-1].has_relu:
            raise NotAChain(f"{convolutions[-1].weight} is of a convolution without ReLU")
        convolutions.append(convolution_of(str(node.target), child))
    elif kind in POOLINGS:
        if not convolutions or not reading.is_at_images:
            raise NotAChain(f"{node.name} does not follow a convolution")
        convolutions[-1] = pooled(convolutions[-1], node, child)
    elif ACTIVATIONS.get(kind) == "relu" and convolutions and reading.is_at_images:
        convolutions[-1] = with_relu(convolutions[-1], node.name)
    else:
        return False
    return True


def _read(node: fx.Node, child: nn.Module | None, reading: _Reading) -> None:
    """Add one step of the linear layers to what has been read."""
    kind: Any = type(child) if child is not None else node.target
    layers, convolutions = reading.layers, reading.convolutions
    if kind is nn.Linear and child is not None:
        if (convolutions or reading.makes_images) and not (reading.is_flat and convolutions):
            raise NotAChain(f"{node.name} takes images that are not flattened, or not convolved")
        layers.append(Layer(f"{node.target}.weight", None if child.bias is None else f"{node.target}.bias"))
    elif kind in (nn.Dropout, F.dropout, torch.dropout):
        rate = _dropout_rate(node, child)
        if rate and (not layers or layers[-1].dropout):
            what = "outputs of a convolution" if convolutions and not layers else "inputs of the network"
            raise NotAChain(f"{node.name} drops {what} or what is dropped already")
        if rate:
            layers[-1] = replace(layers[-1], dropout=rate)
    elif kind in ACTIVATIONS:
        if not layers or layers[-1].activation != "identity" or layers[-1].dropout:
            raise NotAChain(f"{node.name} does not follow a linear layer")
        layers[-1] = replace(layers[-1], activation=ACTIVATIONS[kind])
    elif kind in FLATTENING:
        axes = (child.start_dim, child.end_dim) if isinstance(child, nn.Flatten) else _axes(node)
        if layers or axes != (1, -1):
            raise NotAChain(f"{node.name} flattens other than the input from its second axis on")
        if convolutions and not convolutions[-1].has_relu:
            raise NotAChain(f"{convolutions[-1].weight} is of a convolution without ReLU")
        reading.is_flat = True
    elif kind not in NOTHING:
        name = child.__class__.__name__ if child is not None else getattr(kind, "__name__", kind)
        raise NotAChain(f"it holds {name}, which is none of {', '.join(UNDERSTOOD)}, or not in this order")


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


def _check_parameters(module: nn.Module, chain: Chain) -> None:
    steps: list[Convolution | Layer] = [*chain.convolutions, *chain.layers]
    read = [name for layer in steps for name in (layer.weight, layer.bias) if name is not None]
    parameters = dict(module.named_parameters(remove_duplicate=False))
    if len(set(read)) < len(read) or len({id(value) for value in parameters.values()}) < len(parameters):
        raise NotAChain("layers share parameters")
    if others := [*sorted(parameters.keys() - set(read)), *dict(module.named_buffers())]:
        raise NotAChain(f"{', '.join(others)} belongs to no linear layer or convolution")
    if hooked := [type(each).__name__ for each in module.modules() if _has_hooks(each)]:
        raise NotAChain(f"{', '.join(hooked)} has hooks, which tracing does not see")
    if frozen := [name for name, value in parameters.items() if not value.requires_grad]:
        raise NotAChain(f"{', '.join(frozen)} is not trained")


def _has_hooks(module: nn.Module) -> bool:
    hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
    return any(hooks)
