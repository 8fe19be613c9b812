"""Which axes of an array of images are which."""

from torch import Tensor

CHANNELS = (1, 3, 4)
"""Numbers of channels by which an image whose channels come last is recognised: grey, colour, transparency."""


def is_channels_last(shape: tuple[int, ...]) -> bool:
    """Return whether the channels of an image of three dimensions come last."""
    return shape[2] in CHANNELS and shape[0] not in CHANNELS


def as_images(inputs: Tensor) -> Tensor:
    """Return the same examples as (batch, channel, height, width)."""
    if inputs.ndim == 3:
        return inputs.unsqueeze(1)
    return inputs.movedim(-1, 1) if is_channels_last(tuple(inputs.shape[1:])) else inputs
