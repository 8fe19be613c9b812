"""One contract for every criterion, scope, granularity, kept action and pruned action, over three networks.

Every combination of the five is put together and held to the laws: exact counts, nested masks, kept and pruned entries
bit-equal to what their actions give. Three AdamW steps then follow from every criterion, scope and granularity; the
pairs of actions take turns there, since what is frozen depends on masks and start values alone.
"""

import warnings
from functools import cache
from itertools import cycle, product

import pytest
import torch
from torch import nn

from lth.config import Recipe
from lth.data import load_data, split
from lth.models import MODELS
from lth.sparsity import (
    CRITERIA,
    GRANULARITIES,
    KEPT_ACTIONS,
    PRUNED_ACTIONS,
    SCOPES,
    Evidence,
    Masks,
    Network,
    PrunedAction,
    Restart,
    Scores,
    Structure,
    Weights,
    examples_per_class,
    granularity,
    planned_counts,
    prunable,
    restart,
    select,
    structure_of,
)
from lth.sparsity.granularities import families_of
from lth.sparsity.granularities.units import alive_units
from lth.training import Member, Seeds, make_optimizer, train
from lth.training.population import Population

NETWORKS = ("lenet-300-100", "convnet", "transformer")
GRAINS = (*GRANULARITIES, "block:4x4", "2:4")
MISSING = {"lenet-300-100": {"filters", "channels", "heads", "neurons"}, "convnet": {"heads", "neurons"},
           "transformer": {"filters", "channels"}}  # fmt: skip
SEEDS = Seeds(init=0, order=1, augmentation=2)


def make(network: str, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return MODELS[network].make(input_shape=(8, 8), num_classes=10)


@cache
def evidence(network: str) -> tuple[Evidence, Structure]:
    """What a real training of thirty steps leaves for the criteria to look at."""
    data = split(load_data("digits"), 180, 0)
    module = make(network)
    names = prunable(module)
    initial = {name: value.detach().clone() for name, value in module.state_dict().items()}
    recipe = Recipe(duration="30it", evaluate_every=30, batch_size=20).in_steps(len(data.y_train))
    member = Member("one", initial, {}, SEEDS)
    outcome = train([member], make(network), data, recipe, traces=("movement_pruning",))[0]
    chosen = examples_per_class(data.y_train, 1, torch.Generator().manual_seed(0))
    inputs, labels = data.x_train[chosen].float(), data.y_train[chosen]
    found = Evidence(
        initial={name: initial[name] for name in names},
        final={name: outcome.weights[name] for name in names},
        generator=torch.Generator().manual_seed(3),
        network=Network(make(network), initial, outcome.weights, inputs, labels),
        traces=outcome.traces,
    )
    return found, structure_of(module, names)


@cache
def scores_of(network: str, criterion: str) -> Scores:
    return CRITERIA[criterion](evidence(network)[0])


def two_levels(network: str, criterion: str, scope: str, grain: str) -> list[Masks] | None:
    """Masks of two levels, checked for exact counts and nesting; None where the scope cannot reach the density."""
    structure, scores = evidence(network)[1], scores_of(network, criterion)
    shapes = {name: score.shape for name, score in scores.items()}
    levels: list[Masks] = [{}]
    for sparsity in (0.5,) if grain == "2:4" else (0.3, 0.6):
        how = {"sparsity": sparsity, "scope": SCOPES[scope], "granularity": granularity(grain), "structure": structure}
        try:
            masks = select(scores, levels[-1], **how)
        except ValueError as error:
            if scope == "uniform-plus" and "at most" in str(error):
                return None
            raise
        for group, keep in planned_counts(shapes, **how):
            left = alive(masks, group.names, shapes, grain, structure)
            before = alive(levels[-1], group.names, shapes, grain, structure) if levels[-1] else keep
            assert left == min(before, keep)
        assert all(bool((masks[name] <= levels[-1][name]).all()) for name in levels[-1])
        levels.append(masks)
    return levels[1:]


def alive(masks: Masks, names: tuple[str, ...], shapes: dict[str, torch.Size], grain: str, structure: Structure) -> int:
    """Weights, or units, that masks keep in these tensors."""
    grains = granularity(grain)
    if grains.families is None:
        return sum(int(masks[name].sum()) for name in names)
    families = {family.name: family for family in families_of(grains, shapes, structure)}
    return sum(int(alive_units(families[name], masks).sum()) for name in names)


def restarts(network: str, masks: Masks) -> dict[tuple[str, str], Weights]:
    """The start under every pair of actions, checked to be bit-equal to either action's values, by (kept, pruned)."""
    found, _ = evidence(network)
    assert found.network is not None
    initial, final = found.network.initial, found.network.final
    draw = torch.Generator().manual_seed(5)
    states = (initial, initial, initial, initial, final)
    one = Restart(masks, *states, {}, initial, make(network, 9).state_dict, draw)
    kept_values = {kept: action(one) for kept, action in KEPT_ACTIONS.items()}
    pruned_values = {pruned: action.values(one) for pruned, action in PRUNED_ACTIONS.items()}
    flat_mask = flat(masks, masks)
    flat_kept = {kept: flat(values, masks)[flat_mask] for kept, values in kept_values.items()}
    flat_pruned = {pruned: flat(values, masks)[~flat_mask] for pruned, values in pruned_values.items()}
    states = {}
    for kept, pruned in product(KEPT_ACTIONS, PRUNED_ACTIONS):
        state = restart(one, lambda _, kept=kept: kept_values[kept], PrunedAction(lambda _, p=pruned: pruned_values[p]))
        values = flat(state, masks)
        assert torch.equal(values[flat_mask], flat_kept[kept])
        assert torch.equal(values[~flat_mask], flat_pruned[pruned])
        states[kept, pruned] = state
    others = initial.keys() - masks.keys()
    assert all(state[name].equal(initial[name]) for state in states.values() for name in others)
    return states


def flat(values: Weights, masks: Masks) -> torch.Tensor:
    """The masked tensors, one after the other."""
    return torch.cat([values[name].flatten() for name in masks])


@pytest.mark.parametrize(("network", "criterion"), list(product(NETWORKS, CRITERIA)))
def test_contract(network: str, criterion: str) -> None:
    frozen = [name for name, action in PRUNED_ACTIONS.items() if not action.trains]
    pairs = list(product(KEPT_ACTIONS, frozen))
    turns = cycle(pairs[list(CRITERIA).index(criterion) % len(pairs) :] + pairs)
    for grain in GRAINS:
        if grain in MISSING[network]:
            with pytest.raises(ValueError, match="finds nothing of its kind"):
                two_levels(network, criterion, "global", grain)
            continue
        members = []
        for scope in SCOPES:
            if levels := two_levels(network, criterion, scope, grain):
                pair = next(turns)
                members.append(Member(scope, restarts(network, levels[-1])[pair], levels[-1], SEEDS))
        stays_frozen(network, members)


def stays_frozen(network: str, members: list[Member]) -> None:
    """Trains a stack of members for three AdamW steps: pruned entries stay where they were, kept ones move."""
    found, _ = evidence(network)
    assert found.network is not None
    population = Population(make(network).train(), members, torch.device("cpu"), "float32")
    optimizer = make_optimizer("adamw", population.parameters.values(), 1e-2, 0.1, {})
    inputs, labels = (
        value.expand(len(members), *value.shape) for value in (found.network.inputs, found.network.labels)
    )
    for _ in range(3):
        optimizer.zero_grad()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # vmap has no batching rule of its own for some operations of attention
            population.losses(inputs, labels).sum().backward()
        population.mask_gradients()
        optimizer.step()
        population.restore_frozen()
    for index, member in enumerate(members):
        state = population.state_of(index)
        for name, mask in member.masks.items():
            assert torch.equal(state[name][~mask], member.start[name][~mask])
        assert any(not torch.equal(state[name][mask], member.start[name][mask]) for name, mask in member.masks.items())
