"""A compact network of `transformers`: what it is tried on, and the folder that `transformers` loads."""

import copy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lth.models import seeded
from lth.models.fit import longest
from lth.models.hugging_face import one_line, quiet
from lth.sparsity.compact import Compacted, Padding, largest_difference, padded_state

LENGTH = 128
"""Tokens of an example that is tried, where the network takes as many."""

WIDTHS = ("intermediate_size", "hidden_dim")
"""How configs call the number of hidden neurons of a block."""


def token_batch(module: nn.Module, batch_size: int, length: int | None) -> Tensor:
    """Return random token ids without padding, (example, position) int64.

    Args:
        module: of `transformers`.
        batch_size: examples.
        length: positions [default: 128, or as many as the network takes].
    Raises:
        ValueError: if the network takes fewer.
    """
    config: Any = module.config
    padding, most = config.pad_token_id or 0, longest(module)
    if length is not None and most is not None and length > most:
        raise ValueError(f"the network takes {most} positions, not {length}: give --input-shape {most} or less")
    shape = (batch_size, min(LENGTH, most or LENGTH) if length is None else length)
    ids = torch.randint(config.vocab_size, shape, generator=torch.Generator().manual_seed(0))
    return torch.where(ids == padding, (ids + 1) % config.vocab_size, ids)


def padded_call(module: nn.Module, ids: Tensor) -> dict[str, Tensor]:
    """Return token ids by keyword with a mask, of which the later half of every other example is padding."""
    config: Any = module.config
    mask = torch.ones_like(ids)
    mask[::2, ids.shape[1] // 2 + 1 :] = 0
    return {"input_ids": torch.where(mask == 1, ids, config.pad_token_id or 0), "attention_mask": mask}


def padded_network(masked: nn.Module, compacted: Compacted, call: dict[str, Tensor]) -> tuple[nn.Module, Padding]:
    """Return the compact network in its own class, as its config allows, and what is zero in it.

    Args:
        masked: the network with zeros where it is pruned.
        compacted: what became of it.
        call: what both are compared on.
    Raises:
        ValueError: if its class cannot hold it.
    """
    state, padding = padded_state(masked, compacted.module, compacted.cut)
    config: Any = copy.deepcopy(masked.config)
    if padding.width is not None:
        before, after = padding.width
        field = next((name for name in WIDTHS if getattr(config, name, None) == before), None)
        if field is None:
            raise ValueError(f"the config of {config.model_type!r} does not name its {before} neurons of a block")
        setattr(config, field, after)
    with quiet(), seeded(0):
        made: nn.Module = type(masked)(config)
    try:
        made.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f"{type(masked).__name__} cannot hold it: {one_line(error)}") from error
    made.eval()
    largest_difference(masked, made, [call])
    return made, padding


def save_folder(made: nn.Module, folder: Path) -> list[Path]:
    """Write config.json and model.safetensors; return them."""
    saved: Any = made
    with quiet():
        saved.save_pretrained(folder)
    return [folder / name for name in ("config.json", "model.safetensors")]


def padding_words(padding: Padding) -> list[str]:
    """Return what is zero in the folder for `transformers`, one line each."""
    words = []
    if padding.width is not None:
        before, after = padding.width
        filled = sum(padding.neurons.values())
        others = "1 other block" if len(padding.neurons) == 1 else f"{len(padding.neurons)} other blocks"
        zeros = f"{filled:,} zero neurons fill {others}" if filled else "no zeros among them"
        words.append(f"{after:,} of {before:,} neurons a block, as the block that keeps most; {zeros}")
    if gone := sum(zero for zero, _ in padding.heads.values()):
        words.append(
            f"{gone:,} dead heads stay as zeros: a config has one number of heads, and their size follows from it"
        )
    words += [f"{count:,} entries of {name} stay as zeros" for name, count in padding.others.items()]
    return words
