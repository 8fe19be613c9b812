"""Names in files of other tools: what wrappers put before them, and which tensors are one weight under its mask."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

WRAPPERS = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
"""Parts of a name that only say how a module was wrapped: by torch.compile, by FSDP, by activation checkpointing."""

PARALLEL = "module."
"""What DataParallel and DistributedDataParallel put before every name."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a weight stands in its file.

    Attributes:
        values: the tensor of its values.
        mask: the tensor that is zero where it is pruned, if the file has one.
    """

    values: str
    mask: str | None = None


def stored_weights(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Stored]:
    """Return where each weight of a file stands, by the name that its module gives it.

    `NAME_orig` with `NAME_mask`, as torch.nn.utils.prune leaves them, and `NAME` with `NAME_mask` or `NAME.mask` are
    one weight under its mask, if both have one shape. Names lose what wrappers put into them, unless two would then be
    the same.

    Args:
        shapes: of the tensors, by their names in the file.
    """
    plain = _unwrapped(shapes)
    by_plain = {name: stored for stored, name in plain.items()}
    result: dict[str, Stored] = {}
    masks: set[str] = set()
    for stored, name in plain.items():
        weight = name.removesuffix("_orig")
        names = [f"{weight}_mask", *([] if weight != name else [f"{name}.mask"])]
        mask = next((by_plain[each] for each in names if each in by_plain), None)
        if mask is None or shapes[mask] != shapes[stored] or (weight != name and weight in by_plain):
            result[name] = Stored(stored)
        else:
            result[weight] = Stored(stored, mask)
            masks.add(plain[mask])
    return {name: where for name, where in result.items() if name not in masks}


def _unwrapped(names: Iterable[str]) -> dict[str, str]:
    """Return each name without what wrappers put into it; the names as they are, if two would then be the same."""
    names = list(names)
    plain = [".".join(part for part in name.split(".") if part not in WRAPPERS) for name in names]
    while plain and all(name.startswith(PARALLEL) for name in plain):
        plain = [name.removeprefix(PARALLEL) for name in plain]
    return dict(zip(names, plain if len(set(plain)) == len(plain) else names, strict=True))
