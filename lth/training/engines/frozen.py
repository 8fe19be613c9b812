"""Parameters that do not train: no gradient is made for them, nor for what lies before them alone."""

from collections.abc import Sequence

from torch import nn

from lth.sparsity.patterns import matching


def freeze_others(module: nn.Module, patterns: Sequence[str]) -> None:
    """Let only the parameters train that match a pattern; all, without any.

    Raises:
        ValueError: if a pattern matches no parameter.
    """
    if not patterns:
        return
    parameters = dict(module.named_parameters(remove_duplicate=False))
    chosen = {id(parameters[name]) for name in matching(parameters, patterns)}
    for parameter in parameters.values():
        parameter.requires_grad_(parameter.requires_grad and id(parameter) in chosen)
