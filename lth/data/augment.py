"""Augmentation: what is done to the images of a training batch, from numbers that a seed and the step determine."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lth.config.choices import Table
from lth.config.errors import SettingsError
from lth.data.images import as_images
from lth.data.order import seeded_generator


@dataclass(frozen=True, slots=True)
class Augmentation:
    """One way to change images.

    Attributes:
        apply: (images, draws, number) -> images of the same shape; images are (batch, channel, height, width), as the
            network is given them, draws (batch, `draws`) uniform in [0, 1).
        draws: how many numbers are drawn for each image.
        words: what it does, for people.
        number: what it takes where its name carries none, as in `pad-crop:4`; 0 where it takes none.
    """

    apply: Callable[[Tensor, Tensor, int], Tensor]
    draws: int
    words: str
    number: int = 0


def pad_crop(images: Tensor, draws: Tensor, pixels: int) -> Tensor:
    """Return images of the same size cut out of those with zeros around them, each at a place of its own.

    Args:
        images: (batch, channel, height, width); where they are normalised, zeros are the mean colour.
        draws: (batch, 2).
        pixels: width of the zeros at each side.

    Source: He et al. 2015, arXiv:1512.03385, Section 4.2, with 4 pixels.
    """
    height, width = images.shape[2:]
    padded = F.pad(images, (pixels,) * 4)
    first = (draws * (2 * pixels + 1)).long().clamp(max=2 * pixels)  # (batch, 2), the upper left corner
    rows = first[:, :1] + torch.arange(height, device=images.device)  # (batch, height)
    columns = first[:, 1:] + torch.arange(width, device=images.device)  # (batch, width)
    example = torch.arange(len(images), device=images.device)
    places = example[:, None, None], slice(None), rows[:, :, None], columns[:, None, :]
    return padded[places].movedim(-1, 1)  # indices around a slice put the channels last


def flip(images: Tensor, draws: Tensor, number: int = 0) -> Tensor:
    """Return images of which each is mirrored, left to right, with probability one half.

    Args:
        images: (batch, channel, height, width).
        draws: (batch, 1).
        number: not needed.
    """
    return torch.where(draws[:, :, None, None] < 0.5, images.flip(3), images)


AUGMENTATIONS: Table[Augmentation] = Table(
    "augmentation",
    {
        "pad-crop": Augmentation(pad_crop, 2, "Cut out of the image with zeros around it, 4 pixels or pad-crop:N.", 4),
        "flip": Augmentation(flip, 1, "Mirrored, left to right, half of the time."),
    },
)
"""Augmentations of images by name: `--augment`."""


class _Step(NamedTuple):
    name: str
    entry: Augmentation
    number: int


def check_augment(names: Sequence[str], shape: Any) -> None:
    """Check names of augmentations, and that examples are images.

    Args:
        names: entries of AUGMENTATIONS; one may carry a number, as `pad-crop:4`.
        shape: of one example; None where it has none.
    Raises:
        ValueError: if a name is unknown or stands there twice, or examples are no images.
    """
    known = [_read(name).name for name in names]
    if twice := [name for name in known if known.count(name) > 1]:
        raise SettingsError(
            f"augment: {twice[0]!r} stands there more than once, and draws the same each time: once will do"
        )
    is_image = isinstance(shape, list | tuple) and len(shape) in (2, 3)
    if names and not is_image:
        found = "have no shape" if shape is None else f"have the shape {tuple(shape)}"
        raise SettingsError(f"augment: {names[0]!r} is for images, and these examples {found}; leave it out")


def augmentation_draws(names: Sequence[str], seeds: Sequence[int], step: int, batch_size: int) -> list[Tensor]:
    """Return what each augmentation draws for a step, (network, image, draw) each: a function of these arguments alone.

    Of one augmentation the draws are the same whatever others there are.

    Args:
        names: entries of AUGMENTATIONS; one may carry a number, as `pad-crop:4`.
        seeds: the augmentation seed of each network.
        step: steps done before this one.
        batch_size: images of a batch.
    """
    drawn = []
    for name, entry, _ in map(_read, names):
        generators = [seeded_generator(f"augment {name}", seed, step) for seed in seeds]
        drawn.append(torch.stack([torch.rand(batch_size, entry.draws, generator=each) for each in generators]))
    return drawn


def augmented(images: Tensor, names: Sequence[str], draws: Sequence[Tensor]) -> Tensor:
    """Return images after each augmentation in turn.

    Args:
        images: (image, height, width), (image, channel, height, width) or (image, height, width, channel), as the
            network is given them, on any device.
        names: entries of AUGMENTATIONS; one may carry a number, as `pad-crop:4`.
        draws: for each of them (image, draw), uniform in [0, 1).

    Example:
        >>> draws = [each[0] for each in augmentation_draws(["pad-crop:2"], [0], step=7, batch_size=2)]
        >>> augmented(torch.ones(2, 3, 8, 8), ["pad-crop:2"], draws).shape
        torch.Size([2, 3, 8, 8])
    """
    changed = as_images(images)
    for (_, entry, number), drawn in zip(map(_read, names), draws, strict=True):
        changed = entry.apply(changed, drawn.to(images.device), number)
    if images.ndim == 3:
        return changed.squeeze(1)
    return changed if changed.shape == images.shape else changed.movedim(1, -1)


def _read(text: str) -> _Step:
    """Return an augmentation and its number."""
    name, _, number = text.partition(":")
    entry = AUGMENTATIONS.pick(name)
    if number and not (entry.number and number.isdecimal() and int(number)):
        takes = f"a whole number of 1 or more, as {name}:{entry.number}" if entry.number else "no number"
        raise SettingsError(f"augment: {text!r}: {name} takes {takes}")
    return _Step(name, entry, int(number or entry.number))
