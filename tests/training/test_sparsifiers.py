"""Pruning within training: exact densities, frozen entries, and each method against its definition."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from trainings import (
    ConvNet,
    EveryStep,
    FolderJournal,
    TiedNet,
    assert_close,
    assert_same_bits,
    dense_member,
    digits,
    lenet,
    masks_of,
    member,
    run,
    same_bits,
    short_training,
    small_net,
    with_seeds,
    x_and_y,
)

from lth.config.sparsifier import Sparsifier
from lth.data.order import epoch_order
from lth.sparsity import Masks, combine, density
from lth.training import OPTIMIZERS, SPARSIFIERS, History, Member, plan_sparsifier

MATRICES = {"1.weight": 768, "3.weight": 120}


def sparsifier(method: Any, **fields: Any) -> Sparsifier:
    """Few applications, to a quarter of the weights."""
    return Sparsifier(**{"method": method, "density": 0.25, "applications": 4, **fields})


def steps_of(history: History) -> list[int]:
    """Steps done before each change of the masks."""
    return [each.step for each in history.mask_changes]


def masks_after(one: Member, settings: Sparsifier, step: int, **fields: Any) -> Masks:
    """The masks in force after some steps of 24."""
    outcome = run([one], small_net(), short_training(steps=24, **fields, sparsifier=settings), until=step)
    assert outcome[0].masks is not None
    return outcome[0].masks


@pytest.mark.parametrize("target", [0.25, 0.013, 0.9])
@pytest.mark.parametrize("scope", [None, "global", "layerwise", "erk"])
@pytest.mark.parametrize("method", SPARSIFIERS)
def test_the_density_is_exact_at_the_end(method: str, scope: str | None, target: float) -> None:
    settings = sparsifier(method, density=target, scope=scope)
    outcome = run([dense_member(small_net, 1)], small_net(), short_training(sparsifier=settings))[0]
    assert outcome.masks is not None
    counts = {name: int(mask.sum()) for name, mask in outcome.masks.items()}
    assert counts.keys() == MATRICES.keys()
    if scope == "layerwise":
        assert counts == {name: int(size * target + 0.5) for name, size in MATRICES.items()}
    else:
        assert sum(counts.values()) == int(888 * target + 0.5)
    for name, mask in outcome.masks.items():
        assert not outcome.weights[name][~mask].any()
    alive = sum(int(outcome.weights[name][mask].count_nonzero()) for name, mask in outcome.masks.items())
    assert alive > 0.6 * sum(counts.values())  # a regrown weight of a pixel that is always blank stays zero
    history = outcome.history
    assert history.mask_changes[-1].density == pytest.approx(sum(counts.values()) / 888)
    plan = plan_sparsifier(settings, 12, steps_per_epoch=len(digits()["train"]) // 20)
    assert steps_of(history) == [each.step for each in plan]
    assert history.best.step >= plan[-1].step


@pytest.mark.parametrize("moments", ["zero", "keep", "restore"])
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("method", ["gradual", "noise", "set"])
def test_pruned_stays_pruned_between_changes(name: str, method: str, moments: Any, tmp_path: Path) -> None:
    options: dict[str, Any] = {"sgd": {"momentum": 0.9, "nesterov": True}, "rmsprop": {"momentum": 0.9}}
    decay = 0.0 if name == "rprop" else 0.1  # Rprop has none
    settings = sparsifier(method, moments=moments, begin=0.1)
    training = short_training(
        optimizer=name,
        optimizer_options=options.get(name, {}),
        weight_decay=decay,
        clip=0.5,
        steps=16,
        batch_size=190,  # five steps an epoch
        sparsifier=settings,
    )
    journal = EveryStep(tmp_path)
    one = dense_member(small_net, 1)
    run([one], small_net(), training, journal=journal, snapshot_seconds=0.0)
    assert [snapshot.step for snapshot in journal.snapshots] == list(range(1, 17))
    rests = 0
    for before, after in pairwise(journal.snapshots):
        if after.step in steps_of(after.history):
            continue
        for weight, mask in before.part("masks").items():
            assert torch.equal(mask, after.part("masks")[weight])
            assert same_bits(before.part("state")[weight][~mask], after.part("state")[weight][~mask])
            moved = before.part("state")[weight][mask] != after.part("state")[weight][mask]
            assert moved.float().mean() > 0.3
            rests += int((~mask).sum())
    assert rests > 1000


@pytest.mark.parametrize("method", ["gradual", "soft", "noise"])
def test_what_the_caller_pruned_rests_throughout(method: str, tmp_path: Path) -> None:
    start = member(small_net, 1, density=0.6, fill=0.25)
    journal = EveryStep(tmp_path)
    settings = sparsifier(method)
    training = short_training(weight_decay=0.1, optimizer="adamw", sparsifier=settings)
    outcome = run([start], small_net(), training, journal=journal, snapshot_seconds=0.0)[0]
    assert outcome.masks is not None
    for name, mask in start.masks.items():
        assert not (outcome.masks[name] & ~mask).any()
        for snapshot in journal.snapshots:
            assert same_bits(snapshot.part("state")[name][~mask], start.start[name][~mask])
    assert sum(int(mask.sum()) for mask in outcome.masks.values()) == 222


def test_masks_of_gradual_pruning_shrink() -> None:
    settings = sparsifier("gradual", begin=0.0, end=1.0)
    one = dense_member(small_net, 1)
    masks = [masks_after(one, settings, step) for step in (5, 6, 11, 12, 18, 24)]
    assert [density(each) for each in masks] == pytest.approx(
        [1.0, 1 - 0.75 * 37 / 64, 1 - 0.75 * 37 / 64, 1 - 0.75 * 7 / 8, 1 - 0.75 * 63 / 64, 0.25], abs=1 / 888
    )
    for before, after in pairwise(masks):
        assert not any((after[name] & ~mask).any() for name, mask in before.items())


def test_the_lowest_magnitudes_go() -> None:
    """One change right at the start: the start's own magnitudes decide."""
    one = dense_member(small_net, 1)
    masks = masks_after(one, sparsifier("gradual", begin=0.0, end=0.001), 1)
    values = torch.cat([one.start[name].abs().reshape(-1) for name in MATRICES])
    kept = torch.cat([masks[name].reshape(-1) for name in MATRICES])
    assert values[kept].min() > values[~kept].max()
    assert int(kept.sum()) == 222


@pytest.mark.parametrize("criterion", ["random", "movement", "movement_pruning"])
def test_other_criteria_choose_others(criterion: str) -> None:
    one = dense_member(small_net, 1)
    usual, other = (masks_after(one, sparsifier("gradual", criterion=each), 24) for each in ("large_final", criterion))
    assert density(usual) == density(other) == 0.25
    assert any(not torch.equal(mask, other[name]) for name, mask in usual.items())


def gradients_at(state: dict[str, Tensor], one: Member, step: int) -> dict[str, Tensor]:
    """The gradients of all weights on the batch of one step, straight from torch."""
    x, y = x_and_y(digits()["train"])
    indices = epoch_order(len(y), one.seeds.order, 0)[20 * step : 20 * step + 20]
    module = small_net().double()
    module.load_state_dict(state)
    F.cross_entropy(module(x[indices].double()), y[indices]).backward()
    return {name: value.grad for name, value in module.named_parameters() if value.grad is not None}


@pytest.mark.parametrize("size", [1, 2])
def test_rigl_grows_where_gradients_are_largest(size: int, tmp_path: Path) -> None:
    """The first exchange against a direct computation: which go, which come, and the new weights' first step."""
    settings = sparsifier("rigl", begin=0.25, end=1.0, density=0.3, scope="layerwise")
    training = short_training(optimizer="sgd", lr=0.1, steps=24, precision="float64", sparsifier=settings)
    members = [dense_member(small_net, seed) for seed in range(size)]
    plan = plan_sparsifier(settings, 24)
    step = plan[1].step
    journal = FolderJournal(tmp_path)
    after = run(members, small_net(), training, until=step + 1, checkpoints=[step], journal=journal)
    before = run(members, small_net(), training, until=step)
    assert plan[1].fraction == pytest.approx(0.3 * (1 + 0.5**0.5) / 2)
    for each, old, new in zip(members, before, after, strict=True):
        state = journal.kept[each.key, step]
        gradients = gradients_at(state, each, step)
        assert old.masks is not None
        assert new.masks is not None
        for name, size_of in MATRICES.items():
            kept = int(size_of * 0.3 + 0.5)
            count = int(plan[1].fraction * kept)
            assert int(old.masks[name].sum()) == int(new.masks[name].sum()) == kept
            magnitude = state[name].abs().masked_fill(~old.masks[name], torch.inf).reshape(-1)
            remaining = old.masks[name].reshape(-1).clone()
            remaining[magnitude.argsort()[:count]] = False
            grown = gradients[name].abs().reshape(-1).masked_fill(remaining, -1.0).argsort(descending=True)[:count]
            wanted = remaining.clone()
            wanted[grown] = True
            assert torch.equal(new.masks[name].reshape(-1), wanted)
            revived = new.masks[name] & ~old.masks[name]
            assert int(revived.sum()) > 0
            assert not state[name][revived].any()
            torch.testing.assert_close(new.weights[name][revived], -0.1 * gradients[name][revived], rtol=0, atol=1e-12)


@pytest.mark.parametrize("scope", ["erk", "layerwise"])
@pytest.mark.parametrize("method", ["set", "rigl"])
def test_exchanges_conserve_each_layer(method: str, scope: str) -> None:
    one, settings = dense_member(small_net, 1), sparsifier(method, scope=scope, update_fraction=0.5)
    masks = [masks_after(one, settings, step) for step in range(1, 25)]
    counts = [{name: int(mask.sum()) for name, mask in each.items()} for each in masks]
    assert counts == [counts[0]] * 24
    assert sum(counts[0].values()) == 222
    if scope == "erk":
        assert counts[0]["3.weight"] / 120 > counts[0]["1.weight"] / 768
    different = sum(
        any(not torch.equal(before[name], after[name]) for name in before) for before, after in pairwise(masks)
    )
    assert different == 4


def test_set_counts_what_it_revives() -> None:
    one, settings = dense_member(small_net, 1), sparsifier("set")
    changes = run([one], small_net(), short_training(steps=24, sparsifier=settings))[0].history.mask_changes
    masks = [masks_after(one, settings, step) for step in [1, *(each.step for each in changes[1:])]]
    for index in range(1, len(changes)):
        revived = sum(int((masks[index][name] & ~masks[index - 1][name]).sum()) for name in MATRICES)
        assert (changes[index].revived, changes[index].revival_rate) == (revived, revived / 666)
    assert changes[1].revived > 20
    assert (changes[0].revived, changes[0].revival_rate) == (0, 0.0)


def test_soft_weights_train_on(tmp_path: Path) -> None:
    """What was zeroed moves at the next step, some of it returns, and the last change is hard."""
    settings = sparsifier("soft", begin=0.2, end=0.9, curve="linear")
    training = short_training(lr=0.03, steps=24, sparsifier=settings)
    journal = EveryStep(tmp_path)
    outcome = run([dense_member(small_net, 1)], small_net(), training, journal=journal, snapshot_seconds=0.0)[0]
    first, *_, last = steps_of(outcome.history)
    at_first, next_step = (journal.snapshots[step - 1] for step in (first, first + 1))
    mask = at_first.part("masks")["1.weight"]
    assert not at_first.part("state")["1.weight"][~mask].any()
    assert next_step.part("state")["1.weight"][~mask].count_nonzero() > 0.3 * int((~mask).sum())  # blank pixels
    assert sum(each.revived for each in outcome.history.mask_changes) > 0
    at_last = journal.snapshots[last - 1]
    for name, mask in at_last.part("masks").items():
        assert not at_last.part("state")[name][~mask].any()
        assert outcome.masks is not None
        assert torch.equal(outcome.masks[name], mask)
        assert not outcome.weights[name][~mask].any()


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
def test_noise_perturbs_and_gives_back(distribution: Any, tmp_path: Path) -> None:
    settings = sparsifier("noise", begin=0.0, end=0.9, noise=distribution, noise_scale=0.5, scope="layerwise")
    one = dense_member(small_net, 1)
    training = short_training(steps=10, batch_size=190, sparsifier=settings)  # five steps an epoch
    journal = EveryStep(tmp_path)
    outcome = run([one], small_net(), training, journal=journal, snapshot_seconds=0.0, checkpoints=[5])[0]
    assert steps_of(outcome.history) == [0, 5, 9]
    first, before, after = (journal.snapshots[step - 1] for step in (1, 4, 5))
    name = "1.weight"
    start, mask = one.start[name], first.part("masks")[name]
    assert torch.equal(mask, start.abs() >= start.abs().reshape(-1).sort(descending=True).values[192 - 1])
    assert same_bits(first.part("originals")[name], start)
    noise = (first.part("state")[name] - start)[~mask]
    wanted = 0.5 * float(start.std(correction=0))
    assert float(noise.std()) == pytest.approx(wanted, rel=0.1)
    assert abs(float(noise.mean())) < 0.1 * wanted
    assert (float(noise.abs().max()) <= wanted * 3**0.5 + 1e-6) == (distribution == "uniform")
    originals = after.part("originals")[name]
    assert torch.equal(originals[~mask], start[~mask])
    assert (originals[mask] != start[mask]).float().mean() > 0.5
    assert not torch.equal(after.part("state")[name][~mask], before.part("state")[name][~mask])
    assert outcome.masks is not None
    assert not outcome.weights[name][~outcome.masks[name]].any()
    assert journal.snapshots[-1].part("originals") == {}


def test_noise_that_is_released_prunes_nothing(tmp_path: Path) -> None:
    settings = sparsifier("noise", begin=0.0, end=1.0, release=True)
    one = dense_member(small_net, 1)
    training = short_training(steps=10, batch_size=190, sparsifier=settings)  # five steps an epoch
    journal = EveryStep(tmp_path)
    outcome = run([one], small_net(), training, journal=journal, snapshot_seconds=0.0)[0]
    assert steps_of(outcome.history) == [0, 5, 10]
    assert [change.density for change in outcome.history.mask_changes][-1] == 1.0
    before, name = journal.snapshots[8], "1.weight"  # after step 9, in the last epoch
    mask = before.part("masks")[name]
    assert torch.equal(outcome.weights[name][~mask], before.part("originals")[name][~mask])
    assert not torch.equal(outcome.weights[name][~mask], before.part("state")[name][~mask])
    assert outcome.masks is not None
    assert all(bool(each.all()) for each in outcome.masks.values())
    with pytest.raises(ValueError, match="release: only 'noise' gives weights their values back; found 'soft'"):
        run([one], small_net(), short_training(sparsifier=sparsifier("soft", release=True)))


@pytest.mark.parametrize("make", [small_net, ConvNet, TiedNet], ids=["small", "conv", "tied"])
@pytest.mark.parametrize("method", SPARSIFIERS)
def test_three_in_a_stack_equal_three_alone(method: str, make: Any) -> None:
    settings = sparsifier(method, begin=0.1, moments="restore")
    training = short_training(
        precision="float64",
        steps=16,
        batch_size=190,
        clip=0.7,
        lr=3e-3,
        sparsifier=settings,
        traces=["movement_pruning"],
    )
    members = [dense_member(make, seed) for seed in range(3)]
    stacked = run(members, make(), training)
    for each, outcome in zip(members, stacked, strict=True):
        alone = run([each], make(), training)[0]
        assert outcome.masks is not None
        assert alone.masks is not None
        assert all(torch.equal(mask, alone.masks[name]) for name, mask in outcome.masks.items())
        assert_close(outcome, alone)
        for name, value in alone.traces["movement_pruning"].items():
            torch.testing.assert_close(outcome.traces["movement_pruning"][name], value, rtol=0, atol=1e-9)


def test_members_of_a_stack_may_prune_different_parameters() -> None:
    one, other = dense_member(small_net, 1), dense_member(small_net, 2)
    other.masks.pop("3.weight")
    left, right = run([one, other], small_net(), short_training(sparsifier=sparsifier("gradual")))
    assert left.masks is not None
    assert right.masks is not None
    assert (sum(int(mask.sum()) for mask in left.masks.values()), int(right.masks["1.weight"].sum())) == (222, 192)
    assert right.weights["3.weight"].all()


@pytest.mark.parametrize("method", SPARSIFIERS)
def test_same_settings_same_bits(method: str) -> None:
    settings, training = sparsifier(method), short_training(steps=24)
    one = dense_member(small_net, 1)
    first, again = (run([one], small_net(), training.with_(sparsifier=settings))[0] for _ in range(2))
    assert_same_bits(first.weights, again.weights)
    assert first.history == again.history
    other = with_seeds(one, augmentation=9)
    changed = run([other], small_net(), training.with_(sparsifier=settings))[0]
    draws = method in ("set", "rigl", "noise")
    assert same_bits(first.weights["1.weight"], changed.weights["1.weight"]) != draws


@pytest.mark.parametrize("method", SPARSIFIERS)
def test_a_diverged_member_does_not_stop_the_others(method: str) -> None:
    members = [dense_member(small_net, seed) for seed in range(3)]
    members[1].start["1.weight"][0, 0] = float("nan")
    settings, training = sparsifier(method), short_training(precision="float64")
    outcomes = run(members, small_net(), training.with_(sparsifier=settings))
    assert [outcome.history.diverged_at for outcome in outcomes] == [None, 0, None]
    alone = run([members[2]], small_net(), training.with_(sparsifier=settings))[0]
    torch.testing.assert_close(outcomes[2].weights["1.weight"], alone.weights["1.weight"], rtol=0, atol=1e-9)
    assert outcomes[2].history.mask_changes == alone.history.mask_changes


def test_a_gradually_pruned_net_learns() -> None:
    training = short_training(steps=300, batch_size=60, lr=1.2e-3, evaluate_every=100)
    outcome = run([dense_member(lenet, 0)], lenet(), training.with_(sparsifier=Sparsifier()))[0]
    assert outcome.masks is not None
    assert density(outcome.masks) == pytest.approx(0.1, abs=1e-4)
    assert outcome.history.end["test/accuracy"] > 0.8


def test_without_a_sparsifier_nothing_is_new() -> None:
    outcome = run([member(small_net, 1)], small_net(), short_training())[0]
    assert (outcome.masks, outcome.traces) == (None, {})
    assert outcome.history.mask_changes == []


def test_what_cannot_work_is_found_before_training() -> None:
    one = dense_member(small_net, 1)
    dense = Member("dense", one.start, {}, one.seeds)
    cases: list[tuple[Member, dict[str, Any], str]] = [
        (dense, {}, "member 'dense' has no masks"),
        (one, {"scope": "globl"}, "unknown scope 'globl'. Did you mean 'global'"),
        (one, {"criterion": "large_finl"}, "unknown criterion 'large_finl'"),
        (one, {"criterion": "snip"}, "snip"),
        (one, {"scope": "uniform-plus"}, "uniform-plus"),
    ]
    for each, fields, message in cases:
        with pytest.raises(ValueError, match=message):
            run([each], small_net(), short_training(sparsifier=sparsifier("gradual", **fields)))


def test_training_does_not_touch_the_callers_tensors() -> None:
    one = dense_member(small_net, 1)
    start = {name: value.clone() for name, value in one.start.items()}
    for method in ("gradual", "set", "noise"):
        run([one], small_net(), short_training(sparsifier=sparsifier(method)))
    assert_same_bits(one.start, start)
    assert all(mask.all() for mask in one.masks.values())


def test_a_sparse_start_is_where_set_begins() -> None:
    """Masks of the target density are taken as they are: what the caller kept is what the first steps train."""
    masks = masks_of(small_net, 1, 0.25)
    whole = dense_member(small_net, 1)
    start = combine(masks, whole.start, {name: torch.zeros_like(whole.start[name]) for name in masks})
    kept = sum(int(mask.sum()) for mask in masks.values())
    settings = sparsifier("set", density=kept / 888, scope="global")
    first = masks_after(Member("sparse", start, masks, whole.seeds), settings, 1)
    assert all(torch.equal(first[name], mask) for name, mask in masks.items())
