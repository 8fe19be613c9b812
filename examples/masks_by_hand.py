"""The pure functions alone: score, select, combine; no training, no files."""

import torch

from lth.models import LeNet300100
from lth.sparsity import Evidence, combine, density, large_final, layerwise, prunable, select, zero

torch.manual_seed(0)
module = LeNet300100()
initial = dict(module.state_dict())
final = {name: value + 0.01 * torch.randn_like(value) for name, value in initial.items()}  # as if it had been trained

names = prunable(module)
evidence = Evidence(
    initial={name: initial[name] for name in names},
    final={name: final[name] for name in names},
    generator=torch.Generator().manual_seed(0),
)
masks = select(large_final(evidence), {}, sparsity=0.8, scope=layerwise, by_pattern={"output.weight": 0.4})
start = combine(masks, kept=initial, pruned=zero(initial))
pruned = start["hidden1.weight"][~masks["hidden1.weight"]]
print(f"{100 * density(masks):.2f} % kept; the largest pruned weight starts at {pruned.max()}")
