"""Trains a found ticket again in a loop of one's own, beside its mask over new weights, and prints both scores."""

import torch
import torch.nn.functional as F
from torch import nn

import lth

STEPS = 600


def make_model(num_classes: int) -> nn.Module:
    """Return a fresh perceptron for 8x8 images."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, num_classes)
    )


def train(network: nn.Module, masks: dict[str, torch.Tensor], data: lth.Data) -> float:
    """Train with masks that hold; return the accuracy on the test part."""
    optimizer = torch.optim.Adam(network.parameters(), lr=1.2e-3)
    lth.guard(network, optimizer, masks)  # from now on pruned weights stay pruned
    training, test = data.examples("train"), data.examples("test")
    for step in range(STEPS):
        rows = torch.randint(len(training["y"]), (60,), generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        F.cross_entropy(network(training["x"][rows]), training["y"][rows]).backward()
        optimizer.step()
    with torch.no_grad():
        return float((network(test["x"]).argmax(1) == test["y"]).float().mean())


if __name__ == "__main__":  # workers import this file
    torch.set_num_threads(1)  # small networks train faster so
    found = lth.find_ticket(make_model, "digits", levels=5, rate=0.4, replicates=3, margin=0.01, duration=f"{STEPS}it")
    print(found.verdict["title"])
    data = lth.load_data("digits")
    for replicate in range(3):
        ticket = found.ticket(level=5, replicate=replicate)
        torch.manual_seed(replicate)
        network, fresh = make_model(10), make_model(10)
        network.load_state_dict(ticket.starting_weights(make_model))
        scores = [train(each, ticket.masks, data) for each in (network, fresh)]
        kept = 100 * ticket.document["density"]
        print(f"{kept:.1f} % of the weights: the ticket {scores[0]:.1%}, its mask over new weights {scores[1]:.1%}")
