"""What kept and pruned weights start from, by hand and by what each function promises."""

from collections.abc import Callable

import pytest
import torch

from lth.sparsity import (
    Masks,
    Weights,
    combine,
    constant,
    density,
    density_by_tensor,
    noise,
    permuted,
    reshuffled,
    shuffle_within_tensors,
    with_signs,
    zeroed_by_movement,
)

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


INITIAL = {"w": torch.tensor([[1.0, -2.0], [0.5, -0.5]]), "bias": torch.ones(3)}
END = {"w": torch.tensor([[3.0, 1.0], [-1.0, -0.25]]), "bias": torch.ones(3)}


def test_signs_by_hand() -> None:
    weights = {"w": torch.tensor([[4.0, -6.0], [-8.0, 10.0]]), "bias": torch.ones(3)}
    assert with_signs(weights, INITIAL, ["w"])["w"].tolist() == [[4, -6], [8, -10]]
    assert with_signs(weights, {"w": torch.tensor([[0.0, -0.0], [1.0, -1.0]])}, ["w"])["w"].tolist() == [
        [4, 6],
        [8, -10],
    ]


@pytest.mark.parametrize(
    ("toward", "expected"),
    [(True, [[1.0, 0.0], [0.5, 0.0]]), (False, [[0.0, -2.0], [0.0, -0.5]])],  # the second and the last shrank
)
def test_zeroed_by_movement_by_hand(toward: bool, expected: list[list[float]]) -> None:
    values = zeroed_by_movement(INITIAL, INITIAL, END, ["w"], toward=toward)
    assert values.keys() == {"w"}
    assert values["w"].tolist() == expected
    # What an earlier level pruned has not moved since, so there is nothing to judge it by: it stays where it was put.
    before = {"w": torch.tensor([[True, True], [False, False]])}
    start = {"w": torch.full((2, 2), 5.0)}
    values = zeroed_by_movement(INITIAL, INITIAL, END, ["w"], toward=toward, masks=before, start=start)
    assert values["w"].tolist() == [expected[0], [5.0, 5.0]]


def drawn(shape: tuple[int, ...] = (200, 100)) -> tuple[Weights, Masks]:
    generator = torch.Generator().manual_seed(7)
    weights = {name: torch.randn(shape, generator=generator) * 0.1 for name in ("w", "a")}
    return weights, {name: torch.rand(shape, generator=generator) < 0.3 for name in weights}


DRAWS: dict[str, Callable[[Weights, Masks, torch.Generator], Weights]] = {
    "permuted": permuted,
    "reshuffled": reshuffled,
    "constant": constant,
    "normal noise": noise,
    "uniform noise": lambda weights, names, generator: noise(weights, names, generator, "uniform"),
}


@pytest.mark.parametrize("name", DRAWS)
def test_what_draws_depends_on_the_generator_and_on_names_in_their_order_alone(name: str) -> None:
    weights, masks = drawn()
    draw, before = DRAWS[name], {key: value.clone() for key, value in weights.items()}
    one, again, other = (draw(weights, masks, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    turned = draw(dict(reversed(weights.items())), dict(reversed(masks.items())), torch.Generator().manual_seed(0))
    for key in masks:
        assert torch.equal(one[key], again[key])
        assert torch.equal(one[key], turned[key])
        assert not torch.equal(one[key], other[key])
        one[key].fill_(7)
        assert torch.equal(weights[key], before[key])


@pytest.mark.parametrize("name", DRAWS)
def test_what_draws_keep(name: str) -> None:
    weights, masks = drawn()
    values, mask, value = DRAWS[name](weights, masks, torch.Generator().manual_seed(0))["w"], masks["w"], weights["w"]
    agreement = float((values.sign() == value.sign()).float().mean())
    if name == "permuted":
        assert torch.equal(values.flatten().sort().values, value.flatten().sort().values)
    elif name == "reshuffled":
        assert torch.equal(values[mask].sort().values, value[mask].sort().values)
        assert torch.equal(values[~mask], value[~mask])
        agreement = float((values[mask].sign() == value[mask].sign()).float().mean())
    elif name == "constant":
        assert torch.equal(values.abs(), value.std(unbiased=False).expand_as(values))
    else:
        assert float(values.std() / value.std()) == pytest.approx(1, abs=0.02)
        assert abs(float(values.mean())) < 0.005
        assert bool((values.abs() <= 0.18).all()) == (name == "uniform noise")
    assert abs(agreement - 0.5) < 0.05


def test_an_unknown_distribution_is_named() -> None:
    with pytest.raises(ValueError, match="unknown distribution 'norml'. Did you mean 'normal'"):
        noise(INITIAL, ["w"], torch.Generator(), "norml")


def test_empty_and_full_masks() -> None:
    for value in (True, False):
        masks = {"w": torch.full((2, 2), value)}
        for draw in DRAWS.values():
            state = combine(masks, INITIAL, draw(INITIAL, masks, torch.Generator().manual_seed(0)))
            assert not bool(state["w"].isnan().any())
            assert torch.equal(state["bias"], INITIAL["bias"])


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
