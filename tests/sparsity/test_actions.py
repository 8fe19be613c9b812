"""Restarts, shuffles and what is said of masks."""

import pytest
import torch

from lth.sparsity import PRUNED_ACTIONS, combine, density, density_by_tensor, shuffle_within_tensors, zero

MASKS = {"w": torch.tensor([[True, False], [False, True]]), "v": torch.tensor([True, True, False])}


def test_combine_is_exact_and_shares_no_memory() -> None:
    """Kept values survive to the bit, NaN payloads and minus zero included; entries without a mask come from `kept`."""
    kept = {"w": torch.tensor([[-0.0, 1.0], [2.0, float("nan")]]), "v": torch.randn(3), "count": torch.tensor(7)}
    pruned = {name: torch.full_like(kept[name], -5.0) for name in MASKS}
    before = {name: value.clone() for name, value in kept.items()}
    state = combine(MASKS, kept, pruned)
    assert state.keys() == kept.keys()
    for name, mask in MASKS.items():
        assert torch.equal(state[name][mask].view(torch.int32), kept[name][mask].view(torch.int32))
        assert state[name][~mask].tolist() == [-5.0] * int((~mask).sum())
    assert int(state["count"]) == 7
    for value in state.values():
        value.fill_(3)
    assert all(torch.equal(kept[name].nan_to_num(9), before[name].nan_to_num(9)) for name in kept)
    assert all(bool((value == -5).all()) for value in pruned.values())


@pytest.mark.parametrize("name", PRUNED_ACTIONS)
def test_every_action_gives_fresh_values_of_the_same_kind(name: str) -> None:
    weights = {"w": torch.randn(2, 3, dtype=torch.float64), "b": torch.randn(4)}
    values = PRUNED_ACTIONS[name](weights)
    assert {key: (value.shape, value.dtype) for key, value in values.items()} == {
        key: (value.shape, value.dtype) for key, value in weights.items()
    }
    for value in values.values():
        value.fill_(1.5)
    assert not any(bool((value == 1.5).any()) for value in weights.values())


def test_zero_is_plus_zero() -> None:
    assert torch.equal(zero({"w": torch.tensor([-1.0, 2.0])})["w"].view(torch.int32), torch.zeros(2, dtype=torch.int32))


def test_shuffle_keeps_counts_and_follows_the_generator() -> None:
    masks = {"b": torch.rand(20, 30) < 0.3, "a": torch.rand(50) < 0.9}
    draws = [shuffle_within_tensors(masks, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    for draw in draws:
        assert list(draw) == ["b", "a"]
        assert {name: (mask.shape, int(mask.sum())) for name, mask in draw.items()} == {
            name: (mask.shape, int(mask.sum())) for name, mask in masks.items()
        }
    assert all(torch.equal(draws[0][name], draws[1][name]) for name in masks)
    assert not torch.equal(draws[0]["b"], draws[2]["b"])
    assert not torch.equal(draws[0]["b"], masks["b"])
    swapped = shuffle_within_tensors({name: masks[name] for name in ("a", "b")}, torch.Generator().manual_seed(1))
    assert all(torch.equal(swapped[name], draws[0][name]) for name in masks)


def test_shuffle_spreads_over_the_whole_tensor() -> None:
    """A mask of the first half lands anywhere: each place is kept about half of the time."""
    mask = {"w": torch.arange(8) < 4}
    generator = torch.Generator().manual_seed(0)
    kept = sum(shuffle_within_tensors(mask, generator)["w"].double() for _ in range(2000)) / 2000
    assert bool(((kept - 0.5).abs() < 0.06).all())


def test_density_is_the_fraction_kept() -> None:
    assert density(MASKS) == 4 / 7
    assert density_by_tensor(MASKS) == {"w": 0.5, "v": 2 / 3}
    assert density({}) == 1.0
