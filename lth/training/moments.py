"""Optimizer moments: what is carried from one training to the next, and what happens to them where masks change."""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from lth.training.population import Member, Moments, Population

Entries = dict[str, Tensor]
"""Optimizer state of one parameter, by entry."""


def per_weight_entries(optimizer: torch.optim.Optimizer, parameter: Tensor) -> Entries:
    """Return one parameter's live optimizer state that has a value for each weight; empty before the first step."""
    state = optimizer.state.get(parameter, {})  # `state[parameter]` would make an entry
    return {
        entry: value
        for entry, value in state.items()
        if entry != "step" and isinstance(value, Tensor) and value.shape == parameter.shape
    }


def fresh_values(optimizer: torch.optim.Optimizer, entries: Iterable[str]) -> dict[str, float]:
    """Return what the optimizer starts these entries from: zero, but for the steps of Rprop and the sums of Adagrad."""
    group = optimizer.param_groups[0]
    starts = {"step_size": float(group["lr"]), "sum": float(group.get("initial_accumulator_value", 0.0))}
    return {entry: starts.get(entry, 0.0) for entry in entries}


def counter_device(optimizer: torch.optim.Optimizer, device: torch.device) -> torch.device:
    """Return where the optimizer keeps its step counters: fused and capturable ones count on the parameters' device."""
    options = optimizer.param_groups[0]
    return device if options.get("fused") or options.get("capturable") else torch.device("cpu")


@torch.no_grad()
def change_moments(
    policy: str, entries: Entries, fresh: Mapping[str, float], pruned: Tensor, revived: Tensor, stash: Entries
) -> None:
    """Change the moments of one parameter of one member where weights were pruned or revived, by the policy.

    Args:
        policy: `zero` (both start over), `keep` (nothing: the optimizer goes on with them, gradients being zero), or
            `restore` (pruned ones are put into the stash and start over; revived ones come back from it).
        entries: live moments, by entry; written to.
        fresh: what each entry starts over from.
        pruned: of the parameter's shape, True where a weight was pruned just now.
        revived: likewise, True where a weight was revived just now.
        stash: moments put away before, by entry; written to under `restore`.
    """
    for entry, value in entries.items():
        if policy == "zero":
            value.masked_fill_(pruned | revived, fresh[entry])
        elif policy == "restore":
            kept = stash.setdefault(entry, torch.full_like(value, fresh[entry]))
            kept.copy_(torch.where(pruned, value, kept))
            value.copy_(torch.where(revived, kept, value.masked_fill(pruned, fresh[entry])))


@torch.no_grad()
def moments_of(optimizer: torch.optim.Optimizer, population: Population, index: int) -> Moments:
    """Return a copy on the CPU of one member's optimizer state."""
    moments: Moments = {}
    for name, parameter in population.parameters.items():
        own = per_weight_entries(optimizer, parameter)
        for entry, value in optimizer.state.get(parameter, {}).items():
            if isinstance(value, Tensor):
                each = population.own(value, index) if entry in own else value
                moments.setdefault(entry, {})[name] = each.detach().cpu().clone()
    return moments


@torch.no_grad()
def load_moments(optimizer: torch.optim.Optimizer, population: Population, members: Sequence[Member]) -> None:
    """Start the optimizer from the members' moments; those of pruned entries start over.

    Raises:
        ValueError: if they do not fit the optimizer or the parameters, only some members have them, or members of a
            stack differ in a step counter.
    """
    given = [member.moments for member in members if member.moments is not None]
    if not given:
        return
    if len(given) < len(members):
        raise ValueError(
            f"{len(given)} of {len(members)} members bring optimizer moments: give them to all of a stack, or to none"
        )
    per_weight = _entries(optimizer)
    for moments in given:
        _check(moments, given[0], per_weight, optimizer, population)
    fresh, counters = fresh_values(optimizer, per_weight), counter_device(optimizer, population.device)
    for entry in given[0]:
        for name in given[0][entry]:
            parameter, values = population.parameters[name], [moments[entry][name] for moments in given]
            if per_weight[entry]:
                cleaned = [
                    value.masked_fill(~member.masks[name].to(value.device), fresh[entry])
                    if name in member.masks
                    else value.clone()
                    for value, member in zip(values, members, strict=True)
                ]
                optimizer.state[parameter][entry] = population.gather(cleaned).to(parameter)
            elif all(torch.equal(value, values[0]) for value in values):
                optimizer.state[parameter][entry] = values[0].to(counters, copy=True)
            else:
                raise ValueError(
                    f"the moments of a stack differ in the counter {entry!r} of {name!r}: "
                    f"{', '.join(str(value.item()) for value in values)}. Train these members one by one"
                )


def _check(
    moments: Moments,
    first: Moments,
    per_weight: Mapping[str, bool],
    optimizer: torch.optim.Optimizer,
    population: Population,
) -> None:
    """Check that a member's moments have this optimizer's entries, for this network's parameters, in their shapes."""
    if moments.keys() != per_weight.keys():
        raise ValueError(
            f"the moments hold {', '.join(sorted(moments)) or 'nothing'}; {type(optimizer).__name__} with its options "
            f"has {', '.join(sorted(per_weight)) or 'none'}. Start from a training with the same optimizer, or without "
            "moments"
        )
    shapes = {name: population.own(value, 0).shape for name, value in population.parameters.items()}
    for entry, values in moments.items():
        expected = {name: shapes[name] if per_weight[entry] else () for name in values if name in shapes}
        unfit = [name for name, value in values.items() if name not in expected or value.shape != expected[name]]
        if unfit or values.keys() != next(iter(first.values())).keys():
            unfit = unfit or sorted(values.keys() ^ next(iter(first.values())).keys())
            raise ValueError(
                f"the moments do not fit the model: {entry!r} of {', '.join(unfit)} differs in name or shape from its "
                f"parameters ({', '.join(shapes)}), or is missing in part"
            )


def _entries(optimizer: torch.optim.Optimizer) -> dict[str, bool]:
    """Return the entries that this optimizer keeps of a parameter, and whether each has one value per weight.

    Found by a step on a parameter of its own, because optimizers make their state when they first step.
    """
    like = optimizer.param_groups[0]["params"][0]
    probe = torch.nn.Parameter(torch.zeros(2, dtype=like.dtype, device=like.device))
    probe.grad = torch.ones_like(probe)
    twin = type(optimizer)([{**optimizer.param_groups[0], "params": [probe]}])  # type: ignore[call-arg]
    twin.step()
    return {
        entry: value.shape == probe.shape for entry, value in twin.state[probe].items() if isinstance(value, Tensor)
    }
