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
    FolderJournal,
    TiedNet,
    assert_same_bits,
    digits_split,
    lenet,
    masks_of,
    member,
    recipe,
    same_bits,
    small_net,
    whole_member,
)

from lth.config.sparsifier import Sparsifier
from lth.data.order import epoch_order
from lth.sparsity import Masks, combine, density
from lth.training import OPTIMIZERS, SPARSIFIERS, History, Member, Snapshot, plan_sparsifier, train

MATRICES = {"1.weight": 768, "3.weight": 120}


def sparsifier(method: Any, **fields: Any) -> Sparsifier:
    """Few applications, to a quarter of the weights."""
    return Sparsifier(**{"method": method, "density": 0.25, "applications": 4, **fields})


def masks_after(one: Member, settings: Sparsifier, step: int, **fields: Any) -> Masks:
    """The masks in force after some steps of 24."""
    outcome = train(
        [one], small_net(), digits_split(), recipe(duration="24it", **fields), until=step, sparsifier=settings
    )
    assert outcome[0].masks is not None
    return outcome[0].masks


class EveryStep(FolderJournal):
    """A journal that keeps every snapshot in memory: one a step if `snapshot_seconds` is 0."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.snapshots: list[Snapshot] = []

    def save_snapshot(self, key: str, snapshot: Snapshot) -> None:
        """Adds it."""
        self.snapshots.append(snapshot)


def test_the_table_and_the_settings_agree() -> None:
    assert list(SPARSIFIERS) == list(Sparsifier.model_fields["method"].annotation.__args__)  # type: ignore[union-attr]


@pytest.mark.parametrize("target", [0.25, 0.013, 0.9])
@pytest.mark.parametrize("scope", [None, "global", "layerwise", "erk"])
@pytest.mark.parametrize("method", SPARSIFIERS)
def test_the_density_is_exact_at_the_end(method: str, scope: str | None, target: float) -> None:
    settings = sparsifier(method, density=target, scope=scope)
    outcome = train([whole_member(small_net, 1)], small_net(), digits_split(), recipe(), sparsifier=settings)[0]
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
    metrics = outcome.metrics
    assert metrics["mask_density"][-1] == pytest.approx(sum(counts.values()) / 888)
    plan = plan_sparsifier(settings, 12, steps_per_epoch=len(digits_split().y_train) // 20)
    assert metrics["mask_steps"] == [each.step for each in plan]
    assert metrics["early_stop_iteration"] >= plan[-1].step


@pytest.mark.parametrize("moments", ["zero", "keep", "restore"])
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("method", ["gradual", "noise", "set"])
def test_pruned_stays_pruned_between_changes(name: str, method: str, moments: Any, tmp_path: Path) -> None:
    options: dict[str, Any] = {"sgd": {"momentum": 0.9, "nesterov": True}, "rmsprop": {"momentum": 0.9}}
    decay = 0.0 if name == "rprop" else 0.1  # Rprop has none
    schedule = recipe(
        optimizer=name, optimizer_options=options.get(name, {}), weight_decay=decay, clip=0.5, duration="16it",
        batch_size=250,  # five steps an epoch
    )  # fmt: skip
    settings = sparsifier(method, moments=moments, begin=0.1)
    journal = EveryStep(tmp_path)
    one = whole_member(small_net, 1)
    train([one], small_net(), digits_split(), schedule, sparsifier=settings, journal=journal, snapshot_seconds=0.0)
    assert [snapshot.step for snapshot in journal.snapshots] == list(range(1, 17))
    rests = 0
    for before, after in pairwise(journal.snapshots):
        if after.step in after.history.mask_steps:
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
    schedule = recipe(weight_decay=0.1, optimizer="adamw")
    outcome = train(
        [start], small_net(), digits_split(), schedule, sparsifier=settings, journal=journal, snapshot_seconds=0.0
    )[0]
    assert outcome.masks is not None
    for name, mask in start.masks.items():
        assert not (outcome.masks[name] & ~mask).any()
        for snapshot in journal.snapshots:
            assert same_bits(snapshot.part("state")[name][~mask], start.start[name][~mask])
    assert sum(int(mask.sum()) for mask in outcome.masks.values()) == 222


def test_masks_of_gradual_pruning_shrink() -> None:
    settings = sparsifier("gradual", begin=0.0, end=1.0)
    one = whole_member(small_net, 1)
    masks = [masks_after(one, settings, step) for step in (5, 6, 11, 12, 18, 24)]
    assert [density(each) for each in masks] == pytest.approx(
        [1.0, 1 - 0.75 * 37 / 64, 1 - 0.75 * 37 / 64, 1 - 0.75 * 7 / 8, 1 - 0.75 * 63 / 64, 0.25], abs=1 / 888
    )
    for before, after in pairwise(masks):
        assert not any((after[name] & ~mask).any() for name, mask in before.items())


def test_the_lowest_magnitudes_go() -> None:
    """One change right at the start: the start's own magnitudes decide."""
    one = whole_member(small_net, 1)
    masks = masks_after(one, sparsifier("gradual", begin=0.0, end=0.001), 1)
    values = torch.cat([one.start[name].abs().reshape(-1) for name in MATRICES])
    kept = torch.cat([masks[name].reshape(-1) for name in MATRICES])
    assert values[kept].min() > values[~kept].max()
    assert int(kept.sum()) == 222


@pytest.mark.parametrize("criterion", ["random", "movement", "movement_pruning"])
def test_other_criteria_choose_others(criterion: str) -> None:
    one = whole_member(small_net, 1)
    usual, other = (masks_after(one, sparsifier("gradual", criterion=each), 24) for each in ("large_final", criterion))
    assert density(usual) == density(other) == 0.25
    assert any(not torch.equal(mask, other[name]) for name, mask in usual.items())


def gradients_at(state: dict[str, Tensor], one: Member, step: int) -> dict[str, Tensor]:
    """The gradients of all weights on the batch of one step, straight from torch."""
    split = digits_split()
    indices = epoch_order(len(split.y_train), one.seeds.order, 0)[20 * step : 20 * step + 20]
    module = small_net().double()
    module.load_state_dict(state)
    F.cross_entropy(module(split.x_train[indices].double()), split.y_train[indices]).backward()
    return {name: value.grad for name, value in module.named_parameters() if value.grad is not None}


@pytest.mark.parametrize("size", [1, 2])
def test_rigl_grows_where_gradients_are_largest(size: int, tmp_path: Path) -> None:
    """The first exchange against a direct computation: which go, which come, and the new weights' first step."""
    settings = sparsifier("rigl", begin=0.25, end=1.0, density=0.3, scope="layerwise")
    schedule = recipe(optimizer="sgd", lr=0.1, duration="24it", precision="float64")
    members = [whole_member(small_net, seed) for seed in range(size)]
    plan = plan_sparsifier(settings, 24)
    step = plan[1].step
    journal = FolderJournal(tmp_path)
    after = train(
        members, small_net(), digits_split(), schedule, until=step + 1, checkpoints=[step], journal=journal,
        sparsifier=settings,
    )  # fmt: skip
    before = train(members, small_net(), digits_split(), schedule, until=step, sparsifier=settings)
    assert plan[1].fraction == pytest.approx(0.3 * (1 + 0.5**0.5) / 2)
    for each, old, new in zip(members, before, after, strict=True):
        state = journal.checkpoints[each.key, step]
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
    one, settings = whole_member(small_net, 1), sparsifier(method, scope=scope, update_fraction=0.5)
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
    one, settings = whole_member(small_net, 1), sparsifier("set")
    metrics = train([one], small_net(), digits_split(), recipe(duration="24it"), sparsifier=settings)[0].metrics
    steps = metrics["mask_steps"]
    masks = [masks_after(one, settings, step) for step in [1, *steps[1:]]]
    for index in range(1, len(steps)):
        revived = sum(int((masks[index][name] & ~masks[index - 1][name]).sum()) for name in MATRICES)
        assert metrics["mask_revived"][index] == revived
        assert metrics["mask_revival_rate"][index] == revived / 666
    assert metrics["mask_revived"][1] > 20
    assert (metrics["mask_revived"][0], metrics["mask_revival_rate"][0]) == (0, 0.0)


def test_soft_weights_train_on(tmp_path: Path) -> None:
    """What was zeroed moves at the next step, some of it returns, and the last change is hard."""
    settings = sparsifier("soft", begin=0.2, end=0.9, curve="linear")
    schedule = recipe(lr=0.03, duration="24it")
    journal = EveryStep(tmp_path)
    outcome = train(
        [whole_member(small_net, 1)], small_net(), digits_split(), schedule, sparsifier=settings, journal=journal,
        snapshot_seconds=0.0,
    )[0]  # fmt: skip
    first, *_, last = outcome.metrics["mask_steps"]
    at_first, next_step = (journal.snapshots[step - 1] for step in (first, first + 1))
    mask = at_first.part("masks")["1.weight"]
    assert not at_first.part("state")["1.weight"][~mask].any()
    assert next_step.part("state")["1.weight"][~mask].count_nonzero() > 0.3 * int((~mask).sum())  # blank pixels
    assert sum(outcome.metrics["mask_revived"]) > 0
    at_last = journal.snapshots[last - 1]
    for name, mask in at_last.part("masks").items():
        assert not at_last.part("state")[name][~mask].any()
        assert outcome.masks is not None
        assert torch.equal(outcome.masks[name], mask)
        assert not outcome.weights[name][~mask].any()


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
def test_noise_perturbs_and_gives_back(distribution: Any, tmp_path: Path) -> None:
    settings = sparsifier("noise", begin=0.0, end=0.9, noise=distribution, noise_scale=0.5, scope="layerwise")
    one = whole_member(small_net, 1)
    schedule = recipe(duration="10it", batch_size=250)  # five steps an epoch
    journal = EveryStep(tmp_path)
    outcome = train(
        [one], small_net(), digits_split(), schedule, sparsifier=settings, journal=journal, snapshot_seconds=0.0,
        checkpoints=[5],
    )[0]  # fmt: skip
    assert outcome.metrics["mask_steps"] == [0, 5, 9]
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


@pytest.mark.parametrize("make", [small_net, ConvNet, TiedNet], ids=["small", "conv", "tied"])
@pytest.mark.parametrize("method", SPARSIFIERS)
def test_three_in_a_stack_equal_three_alone(method: str, make: Any) -> None:
    settings = sparsifier(method, begin=0.1, moments="restore")
    schedule = recipe(precision="float64", duration="16it", batch_size=250, clip=0.7, lr=3e-3)
    members = [whole_member(make, seed) for seed in range(3)]
    stacked = train(members, make(), digits_split(), schedule, sparsifier=settings, traces=["movement_pruning"])
    for each, outcome in zip(members, stacked, strict=True):
        alone = train([each], make(), digits_split(), schedule, sparsifier=settings, traces=["movement_pruning"])[0]
        assert outcome.masks is not None
        assert alone.masks is not None
        assert all(torch.equal(mask, alone.masks[name]) for name, mask in outcome.masks.items())
        for name, value in alone.weights.items():
            torch.testing.assert_close(outcome.weights[name], value, rtol=0, atol=1e-9)
        for name, value in alone.traces["movement_pruning"].items():
            torch.testing.assert_close(outcome.traces["movement_pruning"][name], value, rtol=0, atol=1e-9)
        for key, value in alone.metrics.items():
            assert outcome.metrics[key] == (pytest.approx(value, abs=1e-9) if value is not None else None), key


def test_members_of_a_stack_may_prune_different_parameters() -> None:
    one, other = whole_member(small_net, 1), whole_member(small_net, 2)
    other.masks.pop("3.weight")
    left, right = train([one, other], small_net(), digits_split(), recipe(), sparsifier=sparsifier("gradual"))
    assert left.masks is not None
    assert right.masks is not None
    assert (sum(int(mask.sum()) for mask in left.masks.values()), int(right.masks["1.weight"].sum())) == (222, 192)
    assert right.weights["3.weight"].all()


@pytest.mark.parametrize("method", SPARSIFIERS)
def test_same_settings_same_bits(method: str) -> None:
    settings, schedule = sparsifier(method), recipe(duration="24it")
    one = whole_member(small_net, 1)
    first, again = (train([one], small_net(), digits_split(), schedule, sparsifier=settings)[0] for _ in range(2))
    assert_same_bits(first.weights, again.weights)
    assert first.metrics == again.metrics
    other = Member("other", one.start, one.masks, one.seeds.model_copy(update={"augmentation": 9}))
    changed = train([other], small_net(), digits_split(), schedule, sparsifier=settings)[0]
    draws = method in ("set", "rigl", "noise")
    assert same_bits(first.weights["1.weight"], changed.weights["1.weight"]) != draws


@pytest.mark.parametrize("method", SPARSIFIERS)
def test_a_diverged_member_does_not_stop_the_others(method: str) -> None:
    members = [whole_member(small_net, seed) for seed in range(3)]
    members[1].start["1.weight"][0, 0] = float("nan")
    settings, schedule = sparsifier(method), recipe(precision="float64")
    outcomes = train(members, small_net(), digits_split(), schedule, sparsifier=settings)
    assert [outcome.metrics["diverged_at"] for outcome in outcomes] == [None, 0, None]
    alone = train([members[2]], small_net(), digits_split(), schedule, sparsifier=settings)[0]
    torch.testing.assert_close(outcomes[2].weights["1.weight"], alone.weights["1.weight"], rtol=0, atol=1e-9)
    assert outcomes[2].metrics["mask_density"] == alone.metrics["mask_density"]


def test_a_gradually_pruned_net_learns() -> None:
    schedule = recipe(duration="300it", batch_size=60, lr=1.2e-3, evaluate_every=100)
    outcome = train([whole_member(lenet, 0)], lenet(), digits_split(), schedule, sparsifier=Sparsifier())[0]
    assert outcome.masks is not None
    assert density(outcome.masks) == pytest.approx(0.1, abs=1e-4)
    assert outcome.metrics["test_accuracy"] > 0.8


def test_without_a_sparsifier_nothing_is_new() -> None:
    outcome = train([member(small_net, 1)], small_net(), digits_split(), recipe())[0]
    assert (outcome.masks, outcome.traces) == (None, {})
    assert not [name for name in outcome.metrics if name.startswith("mask_")]
    old = {"iterations": [0], "validation_loss": [2.0], "validation_accuracy": [0.1], "train_loss": [None]}
    assert History(**old).mask_steps == []  # type: ignore[arg-type]  # a document from before there were any


def test_what_cannot_work_is_found_before_training() -> None:
    one = whole_member(small_net, 1)
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
            train([each], small_net(), digits_split(), recipe(), sparsifier=sparsifier("gradual", **fields))


def test_training_does_not_touch_the_callers_tensors() -> None:
    one = whole_member(small_net, 1)
    start = {name: value.clone() for name, value in one.start.items()}
    for method in ("gradual", "set", "noise"):
        train([one], small_net(), digits_split(), recipe(), sparsifier=sparsifier(method))
    assert_same_bits(one.start, start)
    assert all(mask.all() for mask in one.masks.values())


def test_a_sparse_start_is_where_set_begins() -> None:
    """Masks of the target density are taken as they are: what the caller kept is what the first steps train."""
    masks = masks_of(small_net, 1, 0.25)
    whole = whole_member(small_net, 1)
    start = combine(masks, whole.start, {name: torch.zeros_like(whole.start[name]) for name in masks})
    kept = sum(int(mask.sum()) for mask in masks.values())
    settings = sparsifier("set", density=kept / 888, scope="global")
    first = masks_after(Member("sparse", start, masks, whole.seeds), settings, 1)
    assert all(torch.equal(first[name], mask) for name, mask in masks.items())
