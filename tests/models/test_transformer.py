"""The vision transformer: patches, arguments, stacking, and that it learns."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch.func import functional_call, stack_module_state, vmap

from lth.models.transformer import Transformer


@pytest.mark.parametrize(
    ("shape", "tokens"), [((8, 8), 16), ((28, 28), 49), ((3, 32, 32), 64), ((32, 32, 3), 64), ((5, 7), 12)]
)
def test_it_cuts_images_into_patches(shape: tuple[int, ...], tokens: int) -> None:
    module = Transformer(shape, num_classes=7)
    assert module.position.shape == (tokens, 32)
    assert module(torch.zeros(2, *shape)).shape == (2, 7)


def test_a_token_sees_its_patch() -> None:
    """The top right pixel belongs to the second of two patches a row."""
    module = Transformer((4, 4), width=4, heads=2)
    images = torch.zeros(1, 4, 4)
    images[0, 0, 3] = 1.0
    patches = F.unfold(images.unsqueeze(1), module.patch, stride=module.patch).mT
    assert patches[0].tolist() == [[0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]


def test_its_size_is_chosen_by_arguments() -> None:
    module = Transformer((8, 8), width=16, depth=3, heads=8)
    assert len(module.blocks) == 3
    assert module.blocks[0].attention.num_heads == 8
    with pytest.raises(ValueError, match="width 10 does not fall into 4 heads"):
        Transformer((8, 8), width=10)
    with pytest.raises(ValueError, match="are no images"):
        Transformer((64,))


def test_the_order_of_patches_matters_only_through_their_positions() -> None:
    torch.manual_seed(0)
    module, images = Transformer((4, 4)).eval(), torch.rand(3, 4, 4)
    swapped = images.roll(2, dims=1)  # the upper patches change place with the lower ones
    assert not torch.allclose(module(images), module(swapped), atol=1e-4)
    torch.nn.init.zeros_(module.position)
    assert torch.allclose(module(images), module(swapped), atol=1e-5)


@pytest.mark.parametrize("is_training", [True, False])
def test_stacked_networks_give_what_each_gives_alone(is_training: bool) -> None:
    torch.manual_seed(0)
    modules = [Transformer((8, 8), width=8, heads=2).double().train(is_training) for _ in range(3)]
    images = torch.rand(5, 8, 8, dtype=torch.float64)
    with torch.set_grad_enabled(is_training):
        wanted = torch.stack([module(images) for module in modules])
        parameters, buffers = stack_module_state([copy.deepcopy(module) for module in modules])
        found = vmap(lambda *state: functional_call(modules[0], state, (images,)))(parameters, buffers)
    assert torch.allclose(found, wanted, atol=1e-12)


def test_it_learns_and_the_seed_decides_how() -> None:
    images = torch.rand(40, 4, 4, generator=torch.Generator().manual_seed(1))
    labels = (images.mean((1, 2)) > images.mean()).long()
    losses = []
    for _ in range(2):
        torch.manual_seed(0)
        module = Transformer((4, 4), num_classes=2, width=16)
        optimizer = torch.optim.Adam(module.parameters(), lr=3e-3)
        for _ in range(30):
            optimizer.zero_grad()
            loss = F.cross_entropy(module(images), labels)
            loss.backward()
            optimizer.step()
        losses.append(loss.item())
    assert losses[0] == losses[1]
    assert losses[0] < 0.2
