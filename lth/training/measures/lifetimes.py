"""How long zeros last: spells for which a weight stays pruned, in measurements, and flips between kept and pruned."""

from collections.abc import Mapping

import torch
from torch import Tensor

from lth.training.measures.measure import View

QUANTILES = {"q10": 0.1, "median": 0.5, "q90": 0.9}
AGE, FLIPS, ENDED = "age", "flips", "ended"
LARGEST = torch.iinfo(torch.int16).max


@torch.no_grad()
def watch(view: View) -> dict[str, float]:
    """Count on: how long each weight has been pruned, how often it flipped, and the lengths of the spells that ended.

    There is nothing for the curves. A change back and forth between two measurements is not seen.
    """
    memory = view.memory
    for name, kept in view.kept.items():
        if f"{AGE}/{name}" not in memory:
            memory[f"{AGE}/{name}"] = torch.zeros(kept.shape, dtype=torch.int16, device=kept.device)
            memory[f"{FLIPS}/{name}"] = torch.zeros(kept.shape, dtype=torch.int16, device=kept.device)
            memory[f"{ENDED}/{name}"] = torch.zeros(view.measurements + 1, dtype=torch.int64, device=kept.device)
        age, flips, ended = (memory[f"{kind}/{name}"] for kind in (AGE, FLIPS, ENDED))
        if view.before is not None:
            changed = kept ^ view.before[name]
            flips.add_(changed & (flips < LARGEST))
            ended.add_(torch.bincount(age[changed & kept].long(), minlength=len(ended)))
        age.add_(age < LARGEST).mul_(~kept)
    return {}


def lifetimes(view: View) -> dict[str, float]:
    """Return how long zeros lasted and how often masks flipped, over all prunable weights and by layer.

    `zero_lifetime/median`, `q10` and `q90` are quantiles of the number of measurements for which a weight stayed
    pruned, a spell that the end cuts short with the length that it has; `ended` is the share that ended before.
    `never_revived` is the share of the weights that were ever pruned which never came back. `mask_flips/mean`, `max`
    and `twice` say how often an entry changed between kept and pruned, and the share that did so twice or more.
    Nothing pruned at any measurement gives no lifetimes.
    """
    parts = {name: _of_layer(view.memory, name) for name in view.kept}
    values = _read(_added(list(parts.values())), "") if parts else {}
    for name, part in parts.items():
        values |= _read(part, f"/{name}")
    return values


def _of_layer(memory: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """Return counts of one layer that add up over layers; `most` is the largest number of flips."""
    age, flips, ended = (memory[f"{kind}/{name}"] for kind in (AGE, FLIPS, ENDED))
    is_pruned = age > 0
    # The first flip of a weight that was kept is no revival; whatever is kept now and has flipped, has come back.
    revived = torch.where(is_pruned, flips >= 2, flips >= 1)
    return {
        "ended": ended,
        "open": torch.bincount(age[is_pruned].long(), minlength=len(ended)),
        "ever": (is_pruned | (flips > 0)).sum(),
        "revived": revived.sum(),
        "flips": flips.long().sum(),
        "twice": (flips >= 2).sum(),
        "entries": torch.tensor(flips.numel(), device=flips.device),
        "most": flips.max().long() if flips.numel() else flips.sum(),
    }


def _added(parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    sums = {key: torch.stack([part[key] for part in parts]).sum(0) for key in parts[0]}
    return sums | {"most": torch.stack([part["most"] for part in parts]).max()}


def _read(part: Mapping[str, Tensor], end: str) -> dict[str, float]:
    spells, entries, ever = part["ended"] + part["open"], int(part["entries"]), int(part["ever"])
    values = {}
    if ever:
        reached = spells.cumsum(0).cpu()
        for name, share in QUANTILES.items():
            rank = share * float(reached[-1])
            values[f"zero_lifetime/{name}{end}"] = float(torch.searchsorted(reached.double(), rank - 1e-9))
        values[f"zero_lifetime/ended{end}"] = int(part["ended"].sum()) / int(reached[-1])
        values[f"zero_lifetime/never_revived{end}"] = 1 - int(part["revived"]) / ever
    if entries:
        values[f"mask_flips/mean{end}"] = int(part["flips"]) / entries
        values[f"mask_flips/max{end}"] = float(part["most"])
        values[f"mask_flips/twice{end}"] = int(part["twice"]) / entries
    return values
