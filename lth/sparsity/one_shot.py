"""Pruning a trained transformer at once, block after block: each is scored on what the pruned ones before it give.

Nothing is trained. As published for Wanda, RIA and OWL: the inputs of a block come from blocks that are pruned already,
so that memory is needed for the examples and for one block's products alone.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from lth.config import Pruning
from lth.sparsity.batches import WEIGHT
from lth.sparsity.evidence import Evidence, Network
from lth.sparsity.owl import layer_counts, outlier_shares
from lth.sparsity.prunable import left_out, prunable
from lth.sparsity.prune import prune
from lth.sparsity.saliency.wanda import wanda_raw
from lth.sparsity.scope import exact_groups
from lth.sparsity.types import Masks
from lth.tasks import Batch, Regression

NAME = "block"
"""What stands before the names of a block's parameters here."""


@dataclass(frozen=True, slots=True, eq=False)
class BlockInputs:
    """What the blocks of a network are given.

    Attributes:
        hidden: of the first block, for each sequence, (1, position, channel).
        more: of each block, what it is called with beside them: positional arguments and keywords. They are the same
            for all sequences, which are of one length.
    """

    hidden: list[Tensor]
    more: list[tuple[tuple[Any, ...], dict[str, Any]]]


class _Stop(Exception):
    """Leaves a forward pass when all is known."""


@torch.no_grad()
def block_inputs(call: Callable[[Tensor], Any], blocks: Sequence[nn.Module], sequences: Tensor) -> BlockInputs:
    """Return what the blocks of a network are given when it reads some sequences.

    Args:
        call: runs the network on tokens (1, position).
        blocks: its blocks, in order; each takes hidden states first, and gives them first.
        sequences: (sequence, position).
    """
    hidden: list[Tensor] = []
    more: list[tuple[tuple[Any, ...], dict[str, Any]]] = [((), {})] * len(blocks)

    def note(number: int, args: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        first, *others = args if args else (keywords["hidden_states"],)
        if number == 0:
            hidden.append(first.detach().clone())
            if len(hidden) > 1:
                raise _Stop
        others_by_name = {name: value for name, value in keywords.items() if name != "hidden_states"}
        more[number] = tuple(others), others_by_name

    with ExitStack() as hooks:
        for number, block in enumerate(blocks):

            def before(_: nn.Module, args: tuple[Any, ...], keywords: dict[str, Any], number: int = number) -> None:
                note(number, args, keywords)

            hooks.callback(block.register_forward_pre_hook(before, with_kwargs=True).remove)
        for tokens in sequences:
            try:
                call(tokens[None])
            except _Stop:
                continue
    return BlockInputs(hidden, more)


class _Alone(nn.Module):
    """A block that is called with hidden states alone, and gives them alone."""

    def __init__(self, block: nn.Module, more: tuple[tuple[Any, ...], dict[str, Any]]) -> None:
        super().__init__()
        setattr(self, NAME, block)
        self._more = more

    def forward(self, hidden: Tensor) -> Tensor:
        positional, keywords = self._more
        outputs = getattr(self, NAME)(hidden, *positional, **keywords)
        return outputs[0] if isinstance(outputs, tuple) else outputs  # type: ignore[no-any-return]


class _HiddenStates(Regression):
    """What a block is for here: its outputs. Sequences are run one at a time."""

    def weight(self, batch: Batch) -> Tensor:
        return torch.tensor(len(batch["x"]) * WEIGHT)


@dataclass(frozen=True, slots=True, eq=False)
class PrunedBlock:
    """What became of a block.

    Attributes:
        number: from 0.
        masks: by the names of its parameters within the block.
        left_dense: matrices that are not pruned (as of fused experts), with their share of the block's weights.
    """

    number: int
    masks: Masks
    left_dense: dict[str, float] = field(default_factory=dict)


def prune_blocks(
    blocks: Sequence[nn.Module],
    inputs: BlockInputs | None,
    pruning: Pruning,
    *,
    owl: bool = False,
    protect: Mapping[int, Sequence[str]] | None = None,
    seed: int = 0,
) -> Iterator[PrunedBlock]:
    """Set the weights that a criterion ranks lowest to zero, block after block, in place; give each block's masks.

    Args:
        blocks: of a network; their linear matrices are pruned.
        inputs: as `block_inputs` gives them; None where the criterion looks at weights alone. They are used up.
        pruning: criterion, granularity and rate; each matrix is ranked by itself.
        owl: whether matrices share out the rate by their outliers, all of which are counted before anything is pruned.
        protect: by block, single weights that stay, as `mlp.down_proj:507,1229`.
        seed: of a criterion that draws.
    Raises:
        ValueError: if a block has no linear matrices, a weight to protect is in none, or OWL has no inputs.

    Sources: Sun et al. 2023, arXiv:2306.11695, Section 3; Yin et al. 2023, arXiv:2310.05175.
    """
    densities = _owl_densities(blocks, inputs, 1 - pruning.rate) if owl else {}
    generator = torch.Generator().manual_seed(seed)
    for number, block in enumerate(blocks):
        alone = _Alone(block, inputs.more[number] if inputs else ((), {}))
        own = tuple(f"{NAME}.{text}" for text in (protect or {}).get(number, ()))
        rates = {name: 1 - density for (at, name), density in densities.items() if at == number}
        chosen = pruning.model_copy(update={"protect": own, "rates": rates or None})
        evidence = _evidence(alone, inputs, generator)
        with warnings.catch_warnings():
            # Each output's weights are ranked by themselves, so that equal ranks of other outputs are no surprise.
            warnings.filterwarnings("ignore", "criterion 'wanda' gives equal scores")
            masks = prune(evidence, alone, chosen, level=1)
        with torch.no_grad():
            for name, mask in masks.items():
                alone.get_parameter(name).masked_fill_(~mask, 0)
            if inputs is not None:
                for place, hidden in enumerate(inputs.hidden):
                    inputs.hidden[place] = alone(hidden)
        inside = {name.removeprefix(f"{NAME}."): mask for name, mask in masks.items()}
        yield PrunedBlock(number, inside, left_out(alone, masks))


def _evidence(alone: _Alone, inputs: BlockInputs | None, generator: torch.Generator) -> Evidence:
    for parameter in alone.parameters():
        parameter.requires_grad_()  # of what does not train nothing counts as prunable
    state = alone.state_dict()
    weights = {name: state[name] for name in prunable(alone)}

    def network() -> Network:
        assert inputs is not None
        return Network(alone, state, state, {"x": torch.cat(inputs.hidden)}, _HiddenStates())

    return Evidence(weights, weights, generator, network=None if inputs is None else network)


def _owl_densities(
    blocks: Sequence[nn.Module], inputs: BlockInputs | None, density: float
) -> dict[tuple[int, str], float]:
    """Return the density of each matrix by its outliers in the dense network."""
    if inputs is None:
        raise ValueError("scope 'owl' looks at activations: give examples")
    hidden, shares, sizes = inputs.hidden, dict[tuple[int, str], float](), dict[tuple[int, str], int]()
    for number, block in enumerate(blocks):
        alone = _Alone(block, inputs.more[number])
        evidence = _evidence(alone, BlockInputs(hidden, inputs.more), torch.Generator())
        found = outlier_shares(wanda_raw(evidence), evidence)
        shares |= {(number, name): share for name, share in found.items()}
        sizes |= {(number, name): evidence.end[name].numel() for name in found}
        with torch.no_grad():
            hidden = [alone(each) for each in hidden]
    names = {f"{number}/{name}": (number, name) for number, name in sizes}
    flat = {key: sizes[place] for key, place in names.items()}
    counts = layer_counts(flat, flat, list(shares.values()), density)
    groups = exact_groups(flat, counts)
    # A rate lies between 0 and 1, both excluded: a matrix that stays dense loses less than half a weight.
    return {names[group.names[0]]: min(max(group.density, 1e-9), 1 - 1e-9) for group in groups}
