"""The head of a network of `transformers`: what stands outside its base model."""

from torch import nn

POOLER = "pooler"
"""What `transformers` calls the layer that sums up a text; it belongs to the encoder, also beside it."""


def base_of(module: nn.Module) -> nn.Module | None:
    """Return the base model inside a network of `transformers`; None where it is one itself, or of another library."""
    base = getattr(module, str(getattr(module, "base_model_prefix", "") or "-"), None)
    origins = {each.__module__.partition(".")[0] for each in type(module).mro()}
    return base if isinstance(base, nn.Module) and "transformers" in origins else None


def head_parameters(module: nn.Module) -> tuple[str, ...]:
    """Return the parameters in heads of networks of `transformers`, by name, both names of one that is tied within.

    A head is what stands outside the base model; a pooler and what is tied to the base model are no part of it.

    Args:
        module: such a network, or any that has some inside.
    """
    heads: set[int] = set()
    for part in module.modules():
        if (base := base_of(part)) is not None:
            encoder = [base, *(child for name, child in part.named_children() if name == POOLER)]
            inner = {id(parameter) for each in encoder for parameter in each.parameters()}
            heads |= {id(parameter) for parameter in part.parameters()} - inner
    named = module.named_parameters(remove_duplicate=False)
    return tuple(name for name, parameter in named if id(parameter) in heads)
