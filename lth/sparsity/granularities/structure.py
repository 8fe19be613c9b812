"""What a granularity needs to know about a network, as data: axes, heads, MLP neurons, first and last layer."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

from lth.sparsity.granularities.axes import Axes, axes_of
from lth.sparsity.granularities.coupled import Coupled, attention_heads, mlp_neurons
from lth.sparsity.granularities.flow import Ends, ends_of
from lth.sparsity.types import Shapes


@dataclass(frozen=True, slots=True)
class Structure:
    """How the prunable tensors of a network are built.

    Attributes:
        axes: the axes of each prunable tensor that has two or more.
        heads: the attention heads, one entry per layer; prunable or not.
        neurons: the MLP neurons of the transformer blocks, one entry a block; prunable or not.
        inputs: weights of the first layers, whose inputs are the data's features.
        outputs: weights of the last layers, whose outputs are the network's: the classes.
    """

    axes: Mapping[str, Axes]
    heads: tuple[Coupled, ...] = field(default=())
    neurons: tuple[Coupled, ...] = field(default=())
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()

    @staticmethod
    def plain(shapes: Shapes) -> "Structure":
        """Return what can be assumed of tensors without their network: outputs on axis 0, inputs on axis 1.

        Tensors of three axes or more are taken for convolutions. No layer is known to be the last one, so no classes
        are protected: give `structure_of` the network where there is one.
        """
        return Structure(
            {name: Axes(is_convolution=len(shape) > 2) for name, shape in shapes.items() if len(shape) >= 2}
        )


def structure_of(module: nn.Module, names: Iterable[str], run: Callable[[], Tensor] | None = None) -> Structure:
    """Return the structure of these parameters of a network.

    The last layers are those that the outputs come from, with no other layer in between: the network runs once to find
    them. Without examples to run it on, they are taken to be the last ones in the order in which the network registers
    its layers (that of `module.modules()`), among Linear, convolution and Hugging Face Conv1D layers; the same goes for
    the first layers. A last layer that is not prunable, such as a language model's that shares its weight with the
    embedding, is the last one still.

    Args:
        module: any network.
        names: its prunable parameters.
        run: runs the network on a few examples that exist already and gives its outputs, as
            `lambda: task.forward(module, batch)`; the module's modes are left as they are.
    Raises:
        ValueError: if a name is no parameter of the network.
    """
    parameters = dict(module.named_parameters())
    names = list(names)
    for name in names:
        if name not in parameters:
            raise ValueError(f"{name!r} is no parameter of the network. Its parameters: {', '.join(parameters)}")
    name_of = {id(parameter): name for name, parameter in parameters.items()}
    axes: dict[str, Axes] = {}
    layers: list[str] = []
    for layer in module.modules():
        own, weight = axes_of(layer), name_of.get(id(getattr(layer, "weight", None)))
        if own is None or weight is None:
            continue
        axes.setdefault(weight, own)
        if not isinstance(layer, nn.Embedding | nn.EmbeddingBag):
            layers.append(weight)
    ends = Ends((), ()) if run is None else ends_of(module, run)
    heads = attention_heads(module)
    return Structure(
        axes={name: axes.get(name, Axes()) for name in names if parameters[name].ndim >= 2},
        heads=tuple(heads.values()),
        neurons=tuple(mlp_neurons(module, heads).values()),
        inputs=ends.first or tuple(layers[:1]),
        outputs=ends.last or tuple(layers[-1:]),
    )
