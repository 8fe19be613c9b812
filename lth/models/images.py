"""Images as networks want them: with a channel axis, channels first."""

from collections.abc import Sequence

from lth.data.images import as_images, is_channels_last

__all__ = ["as_images", "image_shape"]


def image_shape(input_shape: Sequence[int], least: int = 1) -> tuple[int, int, int]:
    """Return (channel, height, width) of examples of this shape.

    Args:
        input_shape: (height, width), (channel, height, width), or (height, width, channel) with 1, 3 or 4 channels.
        least: pixels that each side must have.
    Raises:
        ValueError: if it is no image's shape, or too small.
    """
    shape = tuple(input_shape)
    if len(shape) == 2:
        shape = (1, *shape)
    if len(shape) != 3:
        raise ValueError(
            f"inputs of shape {shape} are no images: (height, width) or (channel, height, width) is needed. "
            "Use another model, or reshape the data"
        )
    channel, height, width = (shape[2], shape[0], shape[1]) if is_channels_last(shape) else shape
    if min(height, width) < least:
        raise ValueError(f"images of {height}x{width} pixels are too small: {least}x{least} is the least")
    return channel, height, width
