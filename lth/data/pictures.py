"""Picture files as tensors: PNG and JPEG, by Pillow."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lth.data.arrays import Arrays
from lth.data.normalise import measured_channels
from lth.data.types import Data

LARGEST = 2**34
"""Bytes of the decoded pictures of a part, at most: they are held in memory."""

MODES = {1: "L", 3: "RGB"}
"""Pillow's name of the pictures, by number of channels."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """One part of a data set of pictures, not yet decoded.

    Attributes:
        names: of each picture, for messages.
        read: number of a picture -> its file, or the bytes of it.
        labels: class of each.
    """

    names: Sequence[str]
    read: Callable[[int], Path | bytes]
    labels: Sequence[int]


def data_of_pictures(
    name: str, parts: dict[str, Pictures], classes: int, size: int | None, channels: int, normalise: bool, example: str
) -> Data:
    """Return pictures as a data set of uint8 images, (channel, height, width).

    Args:
        name: for reports.
        parts: `train`, `test`, and `validation` where there is one.
        classes: number of classes.
        size: pixels of a side; pictures are cut to a square in their middle and resized. None: all have one size.
        channels: 1 (grey) or 3.
        normalise: whether each channel is taken less its mean and over its deviation in the training part.
        example: how the user gives a size, for messages.
    Raises:
        ValueError: if Pillow is missing, a picture is broken or of another size, or a setting makes no sense.
    """
    if channels not in MODES:
        raise ValueError(f"{name}: channels is {channels}; 1 (grey) and 3 (colour) are possible")
    if size is not None and size < 1:
        raise ValueError(f"{name}: size is {size}; 1 pixel is the least")
    images = {part: _images(some, size, channels, example) for part, some in parts.items()}
    shape = tuple(images["train"].shape[1:])
    for part, some in images.items():
        if tuple(some.shape[1:]) != shape:
            raise ValueError(
                f"{name}: pictures of {part} have {_pixels(tuple(some.shape))}, those of train {_pixels(shape)}: give "
                f"one size to all, as {example}"
            )
    normal = {"x": measured_channels(images["train"])} if normalise else {}
    arrays = {
        part: Arrays({"x": images[part], "y": torch.tensor(some.labels, dtype=torch.int64)}, {"x": 1 / 255}, normal)
        for part, some in parts.items()
    }
    return Data(name, arrays, {"input_shape": shape, "num_classes": classes})


def _images(some: Pictures, size: int | None, channels: int, example: str) -> Tensor:
    """Return the pictures of a part, (image, channel, height, width) uint8."""
    if size is not None:
        _check_memory(len(some.names), (channels, size, size), example)
    first = _decoded(some, 0, size, channels)
    _check_memory(len(some.names), first.shape, example)
    images = np.empty((len(some.names), *first.shape), np.uint8)

    def put(number: int) -> None:
        picture = _decoded(some, number, size, channels)
        if picture.shape != first.shape:
            raise ValueError(
                f"{some.names[number]} has {_pixels(picture.shape)}, {some.names[0]} has {_pixels(first.shape)}: give "
                f"one size to all, as {example}"
            )
        images[number] = picture

    with ThreadPoolExecutor() as pool:
        for _ in pool.map(put, range(len(some.names))):
            pass
    return torch.from_numpy(images)


def _check_memory(count: int, shape: tuple[int, ...], example: str) -> None:
    needed = count * prod(shape)
    if needed > LARGEST:
        raise ValueError(
            f"{count:,} pictures of {_pixels(shape)} take {needed / 2**30:.0f} GiB of memory: give a smaller size, as "
            f"{example}"
        )


def _decoded(some: Pictures, number: int, size: int | None, channels: int) -> Any:
    """Return a picture, (channel, height, width) uint8."""
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise ValueError("pictures need the package Pillow: pip install 'lth[images]'") from error
    held = some.read(number)
    try:
        with Image.open(BytesIO(held) if isinstance(held, bytes) else held, formats=("PNG", "JPEG")) as opened:
            is_deep, picture = opened.mode[0] in "IF", opened.convert(MODES[channels])
    except Exception as error:  # of many kinds
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{some.names[number]} is no whole PNG or JPEG picture ({reason}): replace it") from error
    if is_deep:  # converting it cuts off what is above 255
        raise ValueError(f"{some.names[number]} has more than 8 bits a pixel: save it with 8, as grey or colour")
    if size is not None:
        picture = ImageOps.fit(picture, (size, size))
    values = np.asarray(picture)
    return values[None] if values.ndim == 2 else values.transpose(2, 0, 1)


def _pixels(shape: tuple[int, ...]) -> str:
    return f"{shape[-2]}x{shape[-1]} pixels"
