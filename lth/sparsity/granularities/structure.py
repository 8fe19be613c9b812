"""What a granularity needs to know about a network, as data: axes, heads, MLP neurons, first and last layer."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from torch import nn

from lth.sparsity.granularities.axes import Axes, axes_of
from lth.sparsity.granularities.coupled import Coupled, attention_heads, mlp_neurons
from lth.sparsity.types import Shapes


@dataclass(frozen=True, slots=True)
class Structure:
    """How the prunable tensors of a network are built.

    Attributes:
        axes: the axes of each prunable tensor that has two or more.
        heads: the attention heads, one entry a layer; prunable or not.
        neurons: the MLP neurons of the transformer blocks, one entry a block; prunable or not.
        input: the weight of the first layer, whose inputs are the data's features.
        output: the weight of the last layer, whose outputs are the classes.
    """

    axes: Mapping[str, Axes]
    heads: tuple[Coupled, ...] = field(default=())
    neurons: tuple[Coupled, ...] = field(default=())
    input: str | None = None
    output: str | None = None

    @staticmethod
    def plain(shapes: Shapes) -> "Structure":
        """What can be assumed of tensors without their network: outputs on axis 0, inputs on axis 1.

        Tensors of three axes or more are taken for convolutions. No layer is known to be the last one, so no classes
        are protected: give `structure_of` the network where there is one.
        """
        return Structure(
            {name: Axes(is_convolution=len(shape) > 2) for name, shape in shapes.items() if len(shape) >= 2}
        )


def structure_of(module: nn.Module, names: Iterable[str], output: str | None = None) -> Structure:
    """The structure of these parameters of a network.

    The first and the last layer are those in the order in which the network registers its layers (that of
    `module.modules()`), among Linear, convolution and Hugging Face Conv1D layers. A last layer that is not prunable,
    such as a language model's that shares its weight with the embedding, is the last one still.

    Args:
        module: any network.
        names: its prunable parameters.
        output: the weight of the output layer, for networks that register it elsewhere than last.
    Raises:
        ValueError: if a name is no parameter of the network.
    """
    parameters = dict(module.named_parameters())
    names = list(names)
    for name in (*names, *([] if output is None else [output])):
        if name not in parameters:
            raise ValueError(f"{name!r} is no parameter of the network. Its parameters: {', '.join(parameters)}")
    name_of = {id(parameter): name for name, parameter in parameters.items()}
    axes: dict[str, Axes] = {}
    layers: list[str] = []
    for layer in module.modules():
        found, weight = axes_of(layer), name_of.get(id(getattr(layer, "weight", None)))
        if found is None or weight is None:
            continue
        axes.setdefault(weight, found)
        if not isinstance(layer, nn.Embedding | nn.EmbeddingBag):
            layers.append(weight)
    heads = attention_heads(module)
    return Structure(
        axes={name: axes.get(name, Axes()) for name in names if parameters[name].ndim >= 2},
        heads=tuple(heads.values()),
        neurons=tuple(mlp_neurons(module, heads).values()),
        input=layers[0] if layers else None,
        output=output or (layers[-1] if layers else None),
    )
