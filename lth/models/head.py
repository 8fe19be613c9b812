"""Which parameters of a network are its head: what is drawn anew for another task."""

from torch import nn

from lth.models.hugging_face import is_of_transformers
from lth.models.table import MODELS
from lth.sparsity.heads import head_parameters


def head_of(name: str, module: nn.Module) -> tuple[str, ...]:
    """Return the parameters of a network's head, by name; none where it has no head of its own.

    Of a model of `transformers` it is what stands beside the encoder (a pooler is part of that), of lth's the output
    layer, of any other the last layer if that is linear. What is tied to other weights is none.

    Args:
        name: of the model.
        module: the network.
    """
    if (heads := head_parameters(module)) or is_of_transformers(module):
        return heads
    names = [each for each, _ in module.named_parameters(remove_duplicate=False)]
    layer = _output_layer(name, module, names)
    head = [each for each in names if layer and each.startswith(f"{layer}.")]
    outside = {id(value) for each, value in module.named_parameters(remove_duplicate=False) if each not in head}
    return tuple(each for each in head if id(module.get_parameter(each)) not in outside)


def _output_layer(name: str, module: nn.Module, names: list[str]) -> str:
    entry = MODELS.get(name)
    if entry is not None and entry.output is not None:
        return entry.output.rpartition(".")[0]
    last = names[-1].rpartition(".")[0] if names else ""
    return last if last and isinstance(module.get_submodule(last), nn.Linear) else ""
