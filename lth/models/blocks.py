"""The blocks of a transformer, whatever its architecture."""

from torch import nn


def blocks_of(module: nn.Module) -> tuple[str, list[nn.Module]]:
    """Return the path of a network's list of blocks, and the blocks in order: the list with the most weights.

    Raises:
        ValueError: if the network holds no list of modules.
    """
    lists = {name: part for name, part in module.named_modules() if isinstance(part, nn.ModuleList) and len(part)}
    if not lists:
        raise ValueError(f"{type(module).__name__} has no list of blocks (torch.nn.ModuleList)")
    path = max(lists, key=lambda name: num_weights(lists[name]))
    return path, list(lists[path].children())


def num_weights(module: nn.Module) -> int:
    """Return the number of a module's parameters; tied ones count once."""
    return sum(value.numel() for value in module.parameters())
