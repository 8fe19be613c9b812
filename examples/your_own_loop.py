"""Find a ticket around a training loop of one's own: prune and rewind by `levels`, then compare with fresh weights."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

from lth.training.guard import guard, levels, sparsity_of

inputs, labels = (torch.tensor(each) for each in load_digits(return_X_y=True))
inputs, labels = inputs.float() / 16, labels.long()
order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
training, test = order[:1200], order[1200:]
STEPS, REWIND = 300, 20


def make_model(seed: int) -> nn.Module:
    """Return a fresh 64-100-50-10."""
    torch.manual_seed(seed)
    layers = (nn.Linear(64, 100), nn.ReLU(), nn.Linear(100, 50), nn.ReLU(), nn.Linear(50, 10))
    return nn.Sequential(*layers)


def train(model: nn.Module, masks: dict[str, torch.Tensor] | None = None, first_step: int = 0) -> float:
    """Train by a hand-written loop; return the accuracy on the test images."""
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, weight_decay=1e-4)
    if masks is not None:
        guard(model, optimizer, masks)
    for step in range(first_step, STEPS):
        generator = torch.Generator().manual_seed(step)
        rows = training[torch.randint(len(training), (60,), generator=generator)]
        optimizer.zero_grad()
        F.cross_entropy(model(inputs[rows]), labels[rows]).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    with torch.no_grad():
        return float((model(inputs[test]).argmax(1) == labels[test]).float().mean())


torch.set_num_threads(1)
tickets, fresh = [], []
for replicate in range(3):
    model = make_model(replicate)
    for level in levels(model, levels=7, rate=0.4, rewind_to=REWIND):
        accuracy = train(level.model, first_step=level.first_step)
        print(f"{replicate}, level {level.number}: {100 * level.density:6.2f} % kept, {100 * accuracy:.1f} % right")
    tickets.append(accuracy)
    fresh.append(train(make_model(100 + replicate), masks=level.masks))
print(sparsity_of(model, level.masks))
ticket_mean, fresh_mean = (100 * sum(each) / len(each) for each in (tickets, fresh))
verdict = "beats" if min(tickets) > max(fresh) else "does not beat"
print(f"The ticket ({ticket_mean:.1f} %) {verdict} the same masks with fresh weights ({fresh_mean:.1f} %).")
