"""The pure functions alone: score, select, combine; no training, no files."""

import torch

from lth.models import MODELS
from lth.sparsity import CRITERIA, SCOPES, Evidence, combine, density, granularity, prunable, select, structure_of

torch.manual_seed(0)
module = MODELS["convnet"].make()
initial = dict(module.state_dict())
noise = {name: 0.01 * torch.randn(value.shape) for name, value in initial.items() if value.is_floating_point()}
final = initial | {name: initial[name] + value for name, value in noise.items()}  # as if it had been trained

names = prunable(module)
evidence = Evidence(
    initial={name: initial[name] for name in names},
    final={name: final[name] for name in names},
    generator=torch.Generator().manual_seed(0),
)
for criterion, scope, grain in (
    ("large_final", "layerwise", "unstructured"),
    ("magnitude_increase", "erk", "unstructured"),
    ("lamp", "global", "unstructured"),
    ("large_final", "layerwise", "filters"),
):
    masks = select(
        CRITERIA[criterion](evidence),
        {},
        sparsity=0.75,
        scope=SCOPES[scope],
        granularity=granularity(grain),
        structure=structure_of(module, names),
    )
    start = combine(masks, kept=initial, pruned={name: torch.zeros_like(initial[name]) for name in masks})
    kept = sum(int(value.count_nonzero()) for name, value in start.items() if name in masks)
    print(
        f"{criterion:18} {scope:9} {grain:12} keeps {100 * density(masks):5.2f} %: {kept:,} weights that are not zero"
    )
