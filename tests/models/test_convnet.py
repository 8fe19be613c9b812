"""The convolution net: shapes of images, what it is made of, and that it learns."""

import pytest
import torch
import torch.nn.functional as F

from lth.models.convnet import ConvNet
from lth.models.images import as_images


@pytest.mark.parametrize("shape", [(8, 8), (28, 28), (3, 32, 32), (32, 32, 3), (4, 5)])
def test_it_takes_images_with_and_without_channels(shape: tuple[int, ...]) -> None:
    module = ConvNet(shape, num_classes=7)
    assert module(torch.zeros(2, *shape)).shape == (2, 7)


def test_its_layers_are_those_told() -> None:
    module = ConvNet((3, 32, 32), 10, width=8)
    sizes = {name: tuple(value.shape) for name, value in module.named_parameters() if value.ndim > 1}
    assert sizes == {"conv1.weight": (8, 3, 3, 3), "conv2.weight": (16, 8, 3, 3), "output.weight": (10, 16 * 8 * 8)}


def test_the_place_of_the_channels_does_not_matter() -> None:
    torch.manual_seed(0)
    first, images = ConvNet((3, 8, 8)).eval(), torch.rand(4, 3, 8, 8)
    last = ConvNet((8, 8, 3)).eval()
    last.load_state_dict(first.state_dict())
    assert torch.equal(first(images), last(images.movedim(1, -1)))
    assert as_images(images[:, 0]).shape == (4, 1, 8, 8)


def test_filters_without_weights_are_dead_for_the_next_layer() -> None:
    """After batch norm a zero filter is a constant over the image and over examples."""
    torch.manual_seed(0)
    module = ConvNet((8, 8)).eval()
    with torch.no_grad():
        module.conv1.weight[3] = 0
        hidden = module.norm1(module.conv1(torch.rand(5, 1, 8, 8)))
    assert torch.equal(hidden[:, 3], hidden[:1, 3, :1, :1].expand(5, 8, 8))


def test_it_learns_and_the_seed_decides_how() -> None:
    images = torch.rand(40, 8, 8, generator=torch.Generator().manual_seed(1))
    labels = (images.mean((1, 2)) > images.mean()).long()
    losses = []
    for _ in range(2):
        torch.manual_seed(0)
        module = ConvNet((8, 8), num_classes=2, width=4)
        optimizer = torch.optim.Adam(module.parameters(), lr=1e-2)
        for _ in range(30):
            optimizer.zero_grad()
            loss = F.cross_entropy(module(images), labels)
            loss.backward()
            optimizer.step()
        losses.append(loss.item())
    assert losses[0] == losses[1]
    assert losses[0] < 0.2


@pytest.mark.parametrize(("shape", "message"), [((784,), "are no images"), ((2, 8), "too small")])
def test_inputs_that_are_no_images(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ConvNet(shape)
