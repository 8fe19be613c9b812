"""Finds tickets of a small convolution net of one's own on arrays of one's own, and puts the sparsest one to use."""

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

import lth


def make_model(num_classes: int) -> nn.Module:
    """A convolution net with batch norm for 8x8 images."""
    features = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.AvgPool2d(2))
    return nn.Sequential(features, nn.Flatten(), nn.Linear(8 * 4 * 4, num_classes))


if __name__ == "__main__":  # workers import this file
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    arrays = {"x_train": images[:1400], "y_train": labels[:1400], "x_test": images[1400:], "y_test": labels[1400:]}

    found = lth.find_ticket(
        make_model, arrays, model_name="small-conv", levels=4, rate=0.4, replicates=2, duration="200it", scope="global"
    )
    for sentence in found.verdict["sentences"]:
        print(sentence)

    ticket = found.ticket(level=4)
    network = make_model(10)
    network.load_state_dict(ticket.trained_weights())  # `starting_weights` and `lth.guard` train it again
    network.eval()
    with torch.no_grad():
        right = (network(torch.tensor(images[1400:])).argmax(1) == torch.tensor(labels[1400:])).float().mean()
    kept = sum(int((network.get_parameter(name) != 0).sum()) for name in ticket.masks)
    total = sum(mask.numel() for mask in ticket.masks.values())
    print(f"The sparsest ticket keeps {kept} of {total} weights; trained, {100 * right:.1f} % right on the test part.")
