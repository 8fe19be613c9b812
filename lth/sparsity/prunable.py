"""Which parameters of a module may be pruned."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from torch import nn

from lth.sparsity.heads import head_parameters
from lth.sparsity.patterns import matching

SMALL = re.compile(r"bias|embed|token|(^|[._])(wte|wpe|pos|positions?|positional)([._]|$)")
"""Names of parameters that people do not expect to be pruned: biases, positions, embeddings, class tokens."""

EMBEDDED = re.compile(r"embeddings|layer_?norm|(^|[._])(ln(_\w+)?|wte|wpe)([._]|$)", re.IGNORECASE)
"""Names of embeddings and layer norms."""


def _of_all(module: nn.Module) -> list[str]:
    return [name for name, _ in module.named_parameters()]


def _of_two_dimensions(module: nn.Module) -> list[str]:
    return [name for name, parameter in module.named_parameters() if parameter.ndim >= 2]


def _outside_embeddings(module: nn.Module) -> list[str]:
    parts = (layer for layer in module.modules() if type(layer).__name__.endswith("Norm"))
    others = _embedded(module) | {id(parameter) for layer in parts for parameter in layer.parameters()}
    named = module.named_parameters()
    return [name for name, parameter in named if id(parameter) not in others and not EMBEDDED.search(name)]


CHOICES: Mapping[str, Callable[[nn.Module], list[str]]] = {
    "matrices": _of_two_dimensions,
    "everything": _of_all,
    "outside-embeddings": _outside_embeddings,
}
"""Choices of parameters by name: all of two dimensions and more, embeddings too; all, biases and gains too; all but
embeddings and layer norms, biases and head too."""


def prunable(module: nn.Module, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> list[str]:
    """Return the names of the parameters that may be pruned, in the order of `module.named_parameters()`.

    By default these are the weights of Linear, convolution, recurrent (LSTM, GRU, RNN, their cells and projections),
    attention-projection and Hugging Face `Conv1D` layers that train. Biases, norms and embeddings are not (nor is a
    projection that shares its weight with an embedding), nor is what does not train (`requires_grad` False): pruning
    it would say nothing of training. `left_out` names the matrices that this choice leaves out. Studies and `lth.guard`
    leave out the head of a model of `transformers` too: see `never_pruned`.

    Args:
        module: any network.
        include: names, patterns or CHOICES that replace the default choice; frozen parameters can be named.
        exclude: names or patterns taken out of the choice.
    Raises:
        ValueError: if nothing is left to prune, or a pattern matches no parameter.
    """
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    if include:
        wider = [name for name in include if name in CHOICES and name not in names.values()]
        wanted = {name for choice in wider for name in CHOICES[choice](module)}
        wanted |= set(matching(names.values(), [name for name in include if name not in wider]))
        chosen = [name for name in names.values() if name in wanted]
    else:
        embedded = _embedded(module)
        wanted = {
            names[id(weight)]
            for layer in module.modules()
            for weight in _matrices(layer)
            if id(weight) not in embedded and weight.requires_grad
        }
        chosen = [name for name in names.values() if name in wanted]
    if exclude:
        dropped = set(matching(names.values(), exclude))
        chosen = [name for name in chosen if name not in dropped]
    if not chosen:
        frozen = [name for name, parameter in module.named_parameters() if not parameter.requires_grad]
        note = f", of which these do not train: {', '.join(frozen)}" if frozen else ""
        raise ValueError(
            f"the model has no prunable weights. Its parameters: {', '.join(names.values()) or 'none'}{note}. "
            "Choose some by pattern (`prune_only`)"
        )
    return chosen


def never_pruned(module: nn.Module, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> tuple[str, ...]:
    """Return what is never pruned: `exclude`, and what the default choice holds of a head of `transformers`.

    Where `include` replaces the default choice, that says whether the head is pruned.
    """
    if include or not (head := set(head_parameters(module))):
        return tuple(exclude)
    return (*exclude, *(name for name in prunable(module, exclude=exclude) if name in head))


def left_out(module: nn.Module, names: Iterable[str]) -> dict[str, float]:
    """Return the parameters of two dimensions or more that are not among `names`, each with its share of all weights.

    Not listed are those that nobody expects there: embeddings and what is tied to them, the head of a model of
    `transformers`, frozen parameters, and what bears the name of a bias, a position, an embedding or a token.

    Args:
        module: any network.
        names: what `prunable` chose by default; what patterns leave out is left out on purpose.
    """
    chosen, embedded, head = set(names), _embedded(module), set(head_parameters(module))
    parameters = dict(module.named_parameters())
    total = sum(parameter.numel() for parameter in parameters.values())
    return {
        name: parameter.numel() / total
        for name, parameter in parameters.items()
        if name not in chosen
        and name not in head
        and parameter.ndim >= 2
        and parameter.requires_grad
        and id(parameter) not in embedded
        and not SMALL.search(name.lower())
    }


def is_hugging_face_conv1d(layer: nn.Module) -> bool:
    """Return whether this is `transformers`' Conv1D (a Linear stored [in, out]), without importing transformers."""
    return type(layer).__name__ == "Conv1D" and type(layer).__module__.startswith("transformers.")


def _embedded(module: nn.Module) -> set[int]:
    """Return the ids of the weights of embeddings."""
    return {id(layer.weight) for layer in module.modules() if isinstance(layer, nn.Embedding | nn.EmbeddingBag)}


def _matrices(layer: nn.Module) -> list[nn.Parameter]:
    """Return the weight matrices that belong to this layer itself."""
    if isinstance(layer, nn.Linear | nn.modules.conv._ConvNd) or is_hugging_face_conv1d(layer):
        return [layer.weight] if isinstance(layer.weight, nn.Parameter) else []
    if isinstance(layer, nn.MultiheadAttention):
        projections = (layer.in_proj_weight, layer.q_proj_weight, layer.k_proj_weight, layer.v_proj_weight)
        return [weight for weight in projections if weight is not None]
    if isinstance(layer, nn.RNNBase | nn.RNNCellBase):  # weight_ih, weight_hh and the projection weight_hr
        own = layer.named_parameters(recurse=False)
        return [parameter for name, parameter in own if name.startswith("weight_")]
    return []
