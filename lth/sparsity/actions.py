"""What kept and pruned weights start from: values made of other values. Each function gives fresh tensors by name.

Names follow Zhou et al. 2019, arXiv:1905.01067, Sections 3 (kept: mask-1 actions) and 4 (pruned: mask-0 actions).
Functions that draw do so in the order of sorted names, on the generator's device.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from lth.config.choices import Table
from lth.sparsity.types import Masks, State, Weights


def combine(masks: Masks, kept: State, pruned: State) -> State:
    """Return a state: `kept` where a mask is True, `pruned` where it is False; entries without a mask are `kept`'s.

    Kept entries are bit-equal to `kept`, and the result shares no memory with its inputs.

    Args:
        masks: masks of the pruned parameters.
        kept: a full state: parameters and buffers.
        pruned: at least the parameters that have a mask.
    """
    state = {name: value.detach().clone() for name, value in kept.items()}
    for name, mask in masks.items():
        state[name] = torch.where(mask.to(state[name].device), state[name], pruned[name].to(state[name]))
    return state


def permuted(weights: Weights, names: Iterable[str], generator: torch.Generator) -> Weights:
    """Put each tensor's values in a random order (`random_reinit`)."""
    return _drawn(weights, names, generator, _permuted)


def reshuffled(weights: Weights, masks: Masks, generator: torch.Generator) -> Weights:
    """Put each tensor's kept values in a random order among themselves (`random_reshuffle`)."""

    def draw(name: str, value: Tensor) -> Tensor:
        mask, result = masks[name].to(value.device), value.clone()
        result[mask] = _permuted(name, value[mask], generator)
        return result

    return _drawn(weights, masks, generator, lambda name, value, _: draw(name, value))


def constant(weights: Weights, names: Iterable[str], generator: torch.Generator) -> Weights:
    """Give plus or minus the standard deviation of the tensor's values, with random signs (`rand_signed_constant`)."""

    def draw(_: str, value: Tensor, generator: torch.Generator) -> Tensor:
        signs = torch.randint(0, 2, value.shape, generator=generator, device=value.device).to(value) * 2 - 1
        return _spread(value) * signs

    return _drawn(weights, names, generator, draw)


def with_signs(weights: Weights, signs: Weights, names: Iterable[str]) -> Weights:
    """Give the magnitudes of `weights` the signs of `signs`; zero counts as positive.

    Zhou et al.'s signed variants are this after another function, with the signs of the initialisation.
    """
    return {name: weights[name].abs() * torch.where(signs[name] < 0, -1.0, 1.0).to(weights[name]) for name in names}


def noise(weights: Weights, names: Iterable[str], generator: torch.Generator, distribution: str = "normal") -> Weights:
    """Draw noise of mean 0 and the standard deviation of the tensor's values.

    Args:
        weights: whose standard deviations count.
        names: the tensors.
        generator: where the draws come from.
        distribution: entry of DISTRIBUTIONS.
    Raises:
        ValueError: if the distribution is unknown.
    """
    sample = DISTRIBUTIONS.pick(distribution)
    return {
        name: sample(weights[name].shape, generator).to(weights[name]) * _spread(weights[name])
        for name in sorted(names)
    }


def zeroed_by_movement(
    frozen: Weights,
    initial: Weights,
    end: Weights,
    names: Iterable[str],
    *,
    toward: bool = True,
    masks: Masks | None = None,
    start: Weights | None = None,
) -> Weights:
    """Return zero where training moved a weight toward zero, else its frozen value (Zhou et al.'s Variant 1).

    A weight that an earlier level pruned has not moved since: it stays where it was at the start of that training.

    Args:
        frozen: the values that weights are frozen at otherwise: the initialisation.
        initial: the initialisation of the training that the masks were chosen by.
        end: the weights at the end of that training.
        names: the tensors.
        toward: whether moving toward zero gives zero; False turns it round, the opposite control.
        masks: masks of that training.
        start: what that training started from; at least the tensors that `masks` has.
    """
    result = {}
    for name in names:
        moved_toward = end[name].abs() < initial[name].abs()
        zero = torch.zeros_like(frozen[name])
        value = torch.where(moved_toward == toward, zero, frozen[name])
        if masks and name in masks:
            assert start is not None
            value = torch.where(masks[name].to(value.device), value, start[name])
        result[name] = value
    return result


DISTRIBUTIONS: Table[Callable[[torch.Size, torch.Generator], Tensor]] = Table(
    "distribution",
    {
        "normal": lambda shape, generator: torch.randn(shape, generator=generator, device=generator.device),
        "uniform": lambda shape, generator: (
            (torch.rand(shape, generator=generator, device=generator.device) * 2 - 1) * 3**0.5
        ),
    },
)
"""Draws of mean 0 and standard deviation 1."""


def _drawn(
    weights: Weights,
    names: Iterable[str],
    generator: torch.Generator,
    draw: Callable[[str, Tensor, torch.Generator], Tensor],
) -> Weights:
    """Return one draw per tensor, in the order of sorted names, made on the generator's device."""
    return {name: draw(name, weights[name].to(generator.device), generator).to(weights[name]) for name in sorted(names)}


def _permuted(_: str, value: Tensor, generator: torch.Generator) -> Tensor:
    order = torch.randperm(value.numel(), generator=generator, device=value.device)
    return value.reshape(-1)[order].reshape(value.shape)


def _spread(value: Tensor) -> Tensor:
    return value.std(unbiased=False)
