"""Which parameters of a module may be pruned."""

from collections.abc import Sequence

from torch import nn

from lth.sparsity.patterns import matching


def prunable(module: nn.Module, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> list[str]:
    """Names of the parameters that may be pruned, in the order of `module.named_parameters()`.

    By default these are the weights of Linear, convolution, attention-projection and Hugging Face `Conv1D` layers;
    biases, norms and embeddings are not (nor is a projection that shares its weight with an embedding).

    Args:
        module: any network.
        include: patterns that replace the default choice.
        exclude: patterns taken out of the choice.
    Raises:
        ValueError: if nothing is left to prune, or a pattern matches no parameter.
    """
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    if include:
        chosen = matching(names.values(), include)
    else:
        embedded = {id(layer.weight) for layer in module.modules() if isinstance(layer, nn.Embedding | nn.EmbeddingBag)}
        weights = [
            id(weight) for layer in module.modules() for weight in _matrices(layer) if id(weight) not in embedded
        ]
        wanted = {names[weight] for weight in weights}
        chosen = [name for name in names.values() if name in wanted]
    if exclude:
        dropped = set(matching(names.values(), exclude))
        chosen = [name for name in chosen if name not in dropped]
    if not chosen:
        raise ValueError(
            f"the model has no prunable weights. Its parameters: {', '.join(names.values()) or 'none'}. "
            "Choose some by pattern (`prune_only`)"
        )
    return chosen


def _matrices(layer: nn.Module) -> list[nn.Parameter]:
    """The weight matrices that belong to this layer itself."""
    if isinstance(layer, nn.Linear | nn.modules.conv._ConvNd) or is_hugging_face_conv1d(layer):
        return [layer.weight] if isinstance(layer.weight, nn.Parameter) else []
    if isinstance(layer, nn.MultiheadAttention):
        projections = (layer.in_proj_weight, layer.q_proj_weight, layer.k_proj_weight, layer.v_proj_weight)
        return [weight for weight in projections if weight is not None]
    return []


def is_hugging_face_conv1d(layer: nn.Module) -> bool:
    """Whether this is `transformers`' Conv1D (a Linear stored [in, out]), told without importing transformers."""
    return type(layer).__name__ == "Conv1D" and type(layer).__module__.startswith("transformers.")
