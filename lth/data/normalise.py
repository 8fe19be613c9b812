"""Means and deviations of images, channel by channel, as measured."""

import torch
from torch import Tensor

from lth.data.arrays import Channels

CHUNK = 4096
"""Images that are counted at a time."""


def measured_channels(images: Tensor) -> Channels:
    """Return mean and deviation of each channel over all images and positions, of values as a share of 255.

    They come from how often each value occurs, and are the same on every machine.

    Args:
        images: (image, channel, height, width), uint8.
    Returns:
        Rounded to six digits; a channel of one value has the deviation 1.
    """
    counts = torch.zeros(images.shape[1], 256, dtype=torch.int64)
    for some in torch.split(images, CHUNK):
        for channel, values in enumerate(some.unbind(1)):
            counts[channel] += torch.bincount(values.flatten(), minlength=256)
    values = torch.arange(256, dtype=torch.int64)
    means, deviations = [], []
    for row in counts:
        total, first, second = (int((row * values**power).sum()) for power in range(3))
        variance = (second * total - first**2) / total**2  # whole numbers up to here
        means.append(round(first / total / 255, 6))
        deviations.append(round(variance**0.5 / 255, 6) or 1.0)
    return Channels(tuple(means), tuple(deviations))
