"""Augmentation: against doing it by hand, its draws, and what it is not for."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lth.data import AUGMENTATIONS, augmentation_draws, augmented, check_augment
from lth.data.augment import flip, pad_crop


def images(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("pixels", [1, 4])
def test_crops_are_those_cut_by_hand(pixels: int) -> None:
    given, draws = images(30, 3, 5, 7), torch.rand(30, 2, generator=torch.Generator().manual_seed(1))
    draws[0], draws[1] = 0.0, 1 - 2**-24
    found = pad_crop(given, draws, pixels)
    padded = F.pad(given, (pixels,) * 4)
    for image, whole, (down, right) in zip(found, padded, (draws * (2 * pixels + 1)).tolist(), strict=True):
        top, left = min(int(down), 2 * pixels), min(int(right), 2 * pixels)
        assert torch.equal(image, whole[:, top : top + 5, left : left + 7])
    assert torch.equal(pad_crop(given, torch.full((30, 2), 0.5), pixels), given)  # the middle is the image itself


def test_half_of_the_images_are_mirrored() -> None:
    given = images(4, 1, 2, 3)
    found = flip(given, torch.tensor([[0.1], [0.5], [0.49], [0.9]]))
    assert torch.equal(found[[1, 3]], given[[1, 3]])
    assert torch.equal(found[[0, 2]], given[[0, 2]][..., [2, 1, 0]])


@pytest.mark.parametrize("shape", [(6, 5, 7), (6, 1, 5, 7), (6, 3, 5, 7), (6, 5, 7, 3)])
@pytest.mark.parametrize("names", [["flip"], ["pad-crop:2"], ["pad-crop", "flip"]])
def test_every_layout_is_kept(shape: tuple[int, ...], names: list[str]) -> None:
    given = images(*shape)
    draws = [each[0] for each in augmentation_draws(names, [3], 5, 6)]
    found = augmented(given, names, draws)
    assert found.shape == given.shape
    assert not torch.equal(found, given)
    first = given.unsqueeze(1) if len(shape) == 3 else given if shape[1] in (1, 3) else given.movedim(-1, 1)
    expected = augmented(first, names, draws)
    assert torch.equal(found.reshape(-1).sort().values, expected.reshape(-1).sort().values)
    assert torch.equal(augmented(given, (), []), given)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_draws_are_of_seed_and_step_and_the_augmentation_alone(name: str) -> None:
    [one] = augmentation_draws([name], [1], 7, 50)
    assert one.shape == (1, 50, AUGMENTATIONS[name].draws)
    assert torch.equal(augmentation_draws(["flip", name], [1], 7, 50)[1], one)
    [two] = augmentation_draws([name], [2, 1], 7, 50)
    assert torch.equal(two[1], one[0])
    others = [augmentation_draws([name], [1], 8, 50)[0], two[:1]]
    assert all(abs(torch.corrcoef(torch.stack([one.flatten(), each.flatten()]))[0, 1]) < 0.4 for each in others)
    assert one.mean().item() == pytest.approx(0.5, abs=0.15)
    assert AUGMENTATIONS[name].words


@pytest.mark.parametrize(
    ("names", "shape", "message"),
    [
        (["flop"], (3, 8, 8), "unknown augmentation 'flop'. Did you mean 'flip'"),
        (["flip:2"], (3, 8, 8), "augment: 'flip:2': flip takes no number"),
        (["pad-crop:0"], (3, 8, 8), "pad-crop takes a whole number of 1 or more, as pad-crop:4"),
        (["pad-crop:x"], (3, 8, 8), "pad-crop takes a whole number"),
        (["flip", "flip"], (3, 8, 8), "augment: 'flip' stands there more than once"),
        (["pad-crop", "flip", "pad-crop:2"], (3, 8, 8), "augment: 'pad-crop' stands there more than once"),
        (["flip"], (10,), r"augment: 'flip' is for images, and these examples have the shape \(10,\); leave it out"),
        (["flip"], None, "augment: 'flip' is for images, and these examples have no shape"),
    ],
)
def test_what_is_no_augmentation(names: list[str], shape: tuple[int, ...] | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_augment(names, shape)
    check_augment(["pad-crop:3", "flip"], [8, 8])
    check_augment([], None)
