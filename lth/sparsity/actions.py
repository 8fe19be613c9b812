"""Mask actions: which values the kept and the pruned weights start from.

Source: Zhou et al. 2019, arXiv:1905.01067, Sections 3 (kept: mask-1 actions) and 4 (pruned: mask-0 actions). What kept
weights take is first of all a choice among whole states (an earlier one, the trained one, a new draw); the functions
here change such a state where masks keep.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from lth.sparsity.types import Masks, Weights


@dataclass(frozen=True, slots=True, eq=False)
class Restart:
    """What an action may look at. Every state is whole: parameters and buffers; `Deferred` ones load when looked at.

    Attributes:
        masks: the new masks.
        kept: the state that kept weights are taken from.
        initial: the initialisation that `kept` grew from.
        signs: the state whose signs a signed action takes.
        before: the initialisation of the training that the masks were chosen by.
        after: the end of that training.
        masks_before: the masks of that training.
        start_before: what it started from: pruned entries stood at these values.
        redraw: draws a new initialisation of the model.
        generator: where an action that draws takes its randomness.
    """

    masks: Masks
    kept: Weights
    initial: Mapping[str, Tensor]
    signs: Mapping[str, Tensor]
    before: Mapping[str, Tensor]
    after: Mapping[str, Tensor]
    masks_before: Mapping[str, Tensor]
    start_before: Mapping[str, Tensor]
    redraw: Callable[[], Weights]
    generator: torch.Generator


KeptAction = Callable[[Restart], Weights]
"""Values of the masked parameters, for where the masks keep."""


@dataclass(frozen=True, slots=True)
class PrunedAction:
    """What happens to pruned weights.

    Attributes:
        values: what they start from, for the masked parameters.
        trains: whether they train on; else they stay at that value.
    """

    values: Callable[[Restart], Weights]
    trains: bool = False


def combine(masks: Masks, kept: Weights, pruned: Weights) -> Weights:
    """A fresh state: `kept` where a mask is True, `pruned` where it is False; entries without a mask come from `kept`.

    Kept entries are bit-equal to `kept`, and the result shares no memory with its inputs.

    Args:
        masks: masks of the pruned parameters.
        kept: a whole state: parameters and buffers.
        pruned: at least the parameters that have a mask.
    """
    state = {name: value.detach().clone() for name, value in kept.items()}
    for name, mask in masks.items():
        state[name] = torch.where(mask.to(state[name].device), state[name], pruned[name].to(state[name]))
    return state


def restart(evidence: Restart, kept: KeptAction, pruned: PrunedAction) -> Weights:
    """The state that a training starts from: `kept` where masks keep, `pruned` elsewhere, the rest as in `kept`."""
    state = evidence.kept | kept(evidence)
    return combine(evidence.masks, state, pruned.values(evidence))


def copy(evidence: Restart) -> Weights:
    """The values as they are: with an earlier state this rewinds, with the trained one it fine-tunes."""
    return {name: evidence.kept[name] for name in evidence.masks}


def permute(evidence: Restart) -> Weights:
    """Each tensor's values in a random order, those of pruned entries among them (Zhou et al.'s `random_reinit`)."""
    return _drawn(evidence, _permuted)


def shuffle(evidence: Restart) -> Weights:
    """Each tensor's kept values in a random order among themselves (Zhou et al.'s `random_reshuffle`)."""
    return _drawn(evidence, _shuffled)


def constant(evidence: Restart) -> Weights:
    """Plus or minus the standard deviation of the tensor's values, with random signs (`rand_signed_constant`)."""
    return _drawn(evidence, lambda value, mask, generator: _spread(value) * _random_signs(value, generator))


def signed(evidence: Restart) -> Weights:
    """The magnitudes of `kept` with the signs of the initial weights: of a new draw, Zhou et al.'s `signed_reinit`."""
    return _with_signs(evidence, copy(evidence))


def signed_permute(evidence: Restart) -> Weights:
    """As `permute`, with the signs of the initial weights."""
    return _with_signs(evidence, permute(evidence))


def signed_shuffle(evidence: Restart) -> Weights:
    """As `shuffle`, with the signs of the initial weights (`signed_reshuffle`)."""
    return _with_signs(evidence, shuffle(evidence))


def signed_constant(evidence: Restart) -> Weights:
    """The sign of the initial weight times the standard deviation of the tensor's values (`signed_constant`)."""
    return {name: _spread(evidence.kept[name]) * _sign(evidence.signs[name]) for name in evidence.masks}


def zero(evidence: Restart) -> Weights:
    """Zeros: the usual end of a pruned weight."""
    return {name: torch.zeros_like(evidence.kept[name]) for name in evidence.masks}


def freeze(evidence: Restart) -> Weights:
    """The initial values."""
    return {name: evidence.initial[name] for name in evidence.masks}


def zero_if_toward_zero(evidence: Restart) -> Weights:
    """Zero where training moved the weight toward zero, else its initial value (Zhou et al.'s Variant 1)."""
    return _unless_pruned_before(
        evidence,
        {
            name: torch.where(_moved_toward_zero(evidence, name), torch.zeros_like(initial), initial)
            for name, initial in freeze(evidence).items()
        },
    )


def zero_if_away_from_zero(evidence: Restart) -> Weights:
    """Zero where training moved it away from zero, else its initial value: the opposite control."""
    return _unless_pruned_before(
        evidence,
        {
            name: torch.where(_moved_toward_zero(evidence, name), initial, torch.zeros_like(initial))
            for name, initial in freeze(evidence).items()
        },
    )


def redraw(evidence: Restart) -> Weights:
    """Values of a new initialisation."""
    fresh = evidence.redraw()
    return {name: fresh[name] for name in evidence.masks}


def normal_noise(evidence: Restart) -> Weights:
    """Normal noise of mean 0 and the standard deviation of the tensor's initial values."""
    return _noise(evidence, lambda shape, generator: torch.randn(shape, generator=generator))


def uniform_noise(evidence: Restart) -> Weights:
    """Uniform noise of mean 0 and the standard deviation of the tensor's initial values."""
    return _noise(evidence, lambda shape, generator: (torch.rand(shape, generator=generator) * 2 - 1) * 3**0.5)


KEPT_ACTIONS: dict[str, KeptAction] = {
    "copy": copy,
    "permute": permute,
    "shuffle": shuffle,
    "constant": constant,
    "signed": signed,
    "signed_permute": signed_permute,
    "signed_shuffle": signed_shuffle,
    "signed_constant": signed_constant,
}

PRUNED_ACTIONS: dict[str, PrunedAction] = {
    "zero": PrunedAction(zero),
    "freeze": PrunedAction(freeze),
    "zero_if_toward_zero": PrunedAction(zero_if_toward_zero),
    "zero_if_away_from_zero": PrunedAction(zero_if_away_from_zero),
    "normal_noise": PrunedAction(normal_noise),
    "uniform_noise": PrunedAction(uniform_noise),
    "reinit": PrunedAction(redraw, trains=True),
    "soft": PrunedAction(zero, trains=True),
}


def _drawn(evidence: Restart, draw: Callable[[Tensor, Tensor, torch.Generator], Tensor]) -> Weights:
    """One draw per masked tensor, in the order of sorted names, made on the generator's device."""
    return {
        name: draw(evidence.kept[name].to(evidence.generator.device), mask, evidence.generator).to(evidence.kept[name])
        for name, mask in sorted(evidence.masks.items())
    }


def _permuted(value: Tensor, mask: Tensor, generator: torch.Generator) -> Tensor:
    order = torch.randperm(value.numel(), generator=generator, device=value.device)
    return value.reshape(-1)[order].reshape(value.shape)


def _shuffled(value: Tensor, mask: Tensor, generator: torch.Generator) -> Tensor:
    kept, result = value[mask], value.clone()
    result[mask] = kept[torch.randperm(kept.numel(), generator=generator, device=value.device)]
    return result


def _noise(evidence: Restart, draw: Callable[[torch.Size, torch.Generator], Tensor]) -> Weights:
    return {
        name: draw(mask.shape, evidence.generator).to(evidence.initial[name]) * _spread(evidence.initial[name])
        for name, mask in sorted(evidence.masks.items())
    }


def _with_signs(evidence: Restart, values: Weights) -> Weights:
    return {name: value.abs() * _sign(evidence.signs[name]) for name, value in values.items()}


def _spread(value: Tensor) -> Tensor:
    return value.std(unbiased=False)


def _sign(value: Tensor) -> Tensor:
    return torch.where(value < 0, -1.0, 1.0).to(value)


def _random_signs(value: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randint(0, 2, value.shape, generator=generator, device=value.device).to(value) * 2 - 1


def _moved_toward_zero(evidence: Restart, name: str) -> Tensor:
    return evidence.after[name].abs() < evidence.before[name].abs()


def _unless_pruned_before(evidence: Restart, values: Weights) -> Weights:
    """The values, but for weights that an earlier level pruned: they have not moved, and stay where they were put."""
    return {
        name: torch.where(evidence.masks_before[name], value, evidence.start_before[name])
        if name in evidence.masks_before
        else value
        for name, value in values.items()
    }
