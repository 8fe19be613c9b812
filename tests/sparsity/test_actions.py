"""Restarts, shuffles and what is said of masks."""

from itertools import product

import pytest
import torch

from lth.sparsity import (
    KEPT_ACTIONS,
    PRUNED_ACTIONS,
    Masks,
    Restart,
    combine,
    density,
    density_by_tensor,
    restart,
    shuffle_within_tensors,
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


INITIAL = [[1.0, -2.0], [0.5, -0.5]]
FINAL = [[3.0, 1.0], [-1.0, -0.25]]
KEPT = [[4.0, -6.0], [-8.0, 10.0]]


def evidence(
    kept: list[list[float]] = KEPT, seed: int = 0, masks: Masks | None = None, before: Masks | None = None
) -> Restart:
    """A restart whose kept state differs from the initialisation, so that none is taken for the other."""
    states = [{"w": torch.tensor(values), "bias": torch.ones(3)} for values in (kept, INITIAL, INITIAL, INITIAL, FINAL)]
    masks = {"w": torch.tensor([[True, False], [False, True]])} if masks is None else masks
    fresh = {"w": torch.full((2, 2), 9.0), "bias": torch.zeros(3)}
    return Restart(
        masks,
        *states,
        masks_before=before or {},
        start_before={"w": torch.full((2, 2), 5.0)},
        redraw=lambda: fresh,
        generator=torch.Generator().manual_seed(seed),
    )


SPREAD = torch.tensor(KEPT).std(unbiased=False).item()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("copy", KEPT),
        ("signed", [[4.0, -6.0], [8.0, -10.0]]),
        ("signed_constant", [[SPREAD, -SPREAD], [SPREAD, -SPREAD]]),
    ],
)
def test_kept_action_by_hand(name: str, expected: list[list[float]]) -> None:
    assert torch.allclose(KEPT_ACTIONS[name](evidence())["w"], torch.tensor(expected))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("zero", [[0.0, 0.0], [0.0, 0.0]]),
        ("soft", [[0.0, 0.0], [0.0, 0.0]]),
        ("freeze", INITIAL),
        ("zero_if_toward_zero", [[1.0, 0.0], [0.5, 0.0]]),  # the second and the last shrank
        ("zero_if_away_from_zero", [[0.0, -2.0], [0.0, -0.5]]),
        ("reinit", [[9.0, 9.0], [9.0, 9.0]]),
    ],
)
def test_pruned_action_by_hand(name: str, expected: list[list[float]]) -> None:
    assert torch.equal(PRUNED_ACTIONS[name].values(evidence())["w"], torch.tensor(expected))


@pytest.mark.parametrize("name", ["zero_if_toward_zero", "zero_if_away_from_zero"])
def test_what_an_earlier_level_pruned_stays_where_it_was_put(name: str) -> None:
    """It has not moved since, so there is nothing to judge it by."""
    before = {"w": torch.tensor([[True, True], [False, False]])}
    values = PRUNED_ACTIONS[name].values(evidence(before=before))["w"]
    assert torch.equal(values[1], torch.tensor([5.0, 5.0]))
    assert torch.equal(values[0], PRUNED_ACTIONS[name].values(evidence())["w"][0])


def test_only_redrawn_and_soft_weights_train_on() -> None:
    assert {name for name, action in PRUNED_ACTIONS.items() if action.trains} == {"reinit", "soft"}


def big(seed: int = 0) -> Restart:
    generator = torch.Generator().manual_seed(7)
    draws = [{"w": torch.randn(200, 100, generator=generator) * 0.1} for _ in range(5)]
    masks = {"w": torch.rand(200, 100, generator=generator) < 0.3}
    generator = torch.Generator().manual_seed(seed)
    return Restart(masks, *draws, {}, draws[0], redraw=lambda: draws[0], generator=generator)


@pytest.mark.parametrize("name", ["permute", "signed_permute", "shuffle", "signed_shuffle", "constant"])
def test_what_drawn_actions_keep(name: str) -> None:
    one = big()
    values, mask, kept = KEPT_ACTIONS[name](one)["w"], one.masks["w"], one.kept["w"]
    assert torch.equal(values, KEPT_ACTIONS[name](big())["w"])
    assert not torch.equal(values, KEPT_ACTIONS[name](big(seed=1))["w"])
    if "permute" in name:
        assert torch.equal(values.abs().flatten().sort().values, kept.abs().flatten().sort().values)
    if "shuffle" in name:
        assert torch.equal(values[mask].abs().sort().values, kept[mask].abs().sort().values)
    if name == "constant":
        assert torch.allclose(values.abs(), kept.std(unbiased=False).expand_as(values))
    agreement = float((values[mask].sign() == one.signs["w"][mask].sign()).float().mean())
    assert agreement == 1 if name.startswith("signed") else abs(agreement - 0.5) < 0.05


@pytest.mark.parametrize("name", ["normal_noise", "uniform_noise"])
def test_noise_has_the_spread_of_the_initial_weights(name: str) -> None:
    one = big()
    values = PRUNED_ACTIONS[name].values(one)["w"]
    assert float(values.std() / one.initial["w"].std()) == pytest.approx(1, abs=0.02)
    assert abs(float(values.mean())) < 0.005
    assert bool((values.abs() <= 0.18).all()) == (name == "uniform_noise")


@pytest.mark.parametrize(("kept", "pruned"), list(product(KEPT_ACTIONS, PRUNED_ACTIONS)))
def test_a_restart_is_the_one_where_masks_keep_and_the_other_elsewhere(kept: str, pruned: str) -> None:
    """Bit for bit, in fresh memory, and entries without a mask are those of the kept state."""
    one, again = evidence(), evidence()
    before = {name: value.clone() for name, value in one.kept.items()}
    state = restart(one, KEPT_ACTIONS[kept], PRUNED_ACTIONS[pruned])
    mask = one.masks["w"]
    assert torch.equal(state["w"][mask], KEPT_ACTIONS[kept](again)["w"][mask])
    assert torch.equal(state["w"][~mask], PRUNED_ACTIONS[pruned].values(again)["w"][~mask])
    assert torch.equal(state["bias"], one.kept["bias"])
    for value in state.values():
        value.fill_(77)
    assert all(torch.equal(value, before[name]) for name, value in one.kept.items())
    assert torch.equal(one.initial["w"], torch.tensor(INITIAL))


def test_an_empty_mask_and_a_whole_one() -> None:
    for value in (True, False):
        masks = {"w": torch.full((2, 2), value)}
        for kept, pruned in product(KEPT_ACTIONS, PRUNED_ACTIONS):
            state = restart(evidence(masks=masks), KEPT_ACTIONS[kept], PRUNED_ACTIONS[pruned])
            assert not bool(state["w"].isnan().any())


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
