"""The pure functions alone: score, select, combine; no training, no files."""

import torch

from lth.models import MODELS
from lth.sparsity import SCOPES, Evidence, combine, criterion, density, granularity, prunable, select, structure_of

torch.manual_seed(0)
module = MODELS["convnet"].make()
start = dict(module.state_dict())
noise = {name: 0.01 * torch.randn(value.shape) for name, value in start.items() if value.is_floating_point()}
end = start | {name: start[name] + value for name, value in noise.items()}  # as if it had been trained

names, images = prunable(module), torch.zeros(2, 28, 28)
structure = structure_of(module, names, lambda: module(images))
evidence = Evidence(
    start={name: start[name] for name in names},
    end={name: end[name] for name in names},
    generator=torch.Generator().manual_seed(0),
)
for name, scope, grain in (
    ("large_final", "layerwise", "unstructured"),
    ("magnitude_increase", "erk", "unstructured"),
    ("lamp", "global", "unstructured"),
    ("large_final", "layerwise", "filters"),
):
    masks = select(
        criterion(name)(evidence),
        {},
        density=0.25,
        scope=SCOPES[scope],
        granularity=granularity(grain),
        structure=structure,
    )
    state = combine(masks, kept=start, pruned={key: torch.zeros_like(start[key]) for key in masks})
    kept = sum(int(value.count_nonzero()) for key, value in state.items() if key in masks)
    print(f"{name:18} {scope:9} {grain:12} keeps {100 * density(masks):5.2f} %: {kept:,} weights that are not zero")
