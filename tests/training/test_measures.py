"""Measures of a running training, each against a direct computation by hand on a tiny network."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from trainings import (
    FolderJournal,
    assert_same,
    dense_member,
    digits,
    member,
    run,
    short_training,
    small_net,
    x_and_y,
)

from lth.config import Sparsifier, Training
from lth.data.order import epoch_order
from lth.sparsity import Masks
from lth.training import ENGINES, MEASURES, Member, Outcome, Snapshot
from lth.training.measures import Measure, Memory, View
from lth.training.sparsifiers import plan_sparsifier

ALL = tuple(name for name, measure in MEASURES.items() if not measure.examples)  # of any network
FIRST, SECOND = "1.weight", "3.weight"


def view(step: int, masks: Masks, before: Masks | None, memory: Memory, **more: object) -> View:
    """A view of weights that are 0.5 where they are kept."""
    weights = {name: 0.5 * mask.float() for name, mask in masks.items()} | {"bias": torch.tensor([0.0, 1.0])}
    usual = View(step, 20, weights, masks, before, {}, 0.0, memory)
    return replace(usual, **more)  # type: ignore[arg-type]


def sequence(length: int, seed: int = 0) -> list[Masks]:
    """Random masks of two tensors, one set a measurement."""
    generator = torch.Generator().manual_seed(seed)
    return [
        {name: torch.rand(shape, generator=generator) < 0.6 for name, shape in (("a", (3, 4)), ("b", (2, 3)))}
        for _ in range(length)
    ]


def over(name: str, masks: Sequence[Masks]) -> tuple[list[dict[str, float]], dict[str, float]]:
    """What a measure gives at each measurement of these masks, ten steps apart, and at the end."""
    memory: Memory = {}
    measure, before, given = MEASURES[name], None, []
    for number, each in enumerate(masks):
        given.append(measure.compute(view(10 * number, each, before, memory)))
        before = each
    return given, measure.finish(view(10 * len(masks), masks[-1], before, memory)) if measure.finish else {}


def test_sparsity_by_hand() -> None:
    masks = {"a": torch.tensor([[True, False], [False, False]]), "b": torch.tensor([[True, True]])}
    found = MEASURES["sparsity"].compute(view(0, masks, None, {}, target=0.4))
    assert found == {
        "sparsity/overall": 3 / 6,
        "sparsity/all_parameters": 4 / 8,  # the bias has a zero too
        "layer_sparsity/a": 3 / 4,
        "layer_sparsity/b": 0.0,
        "pruning/sparsity": 3 / 6,
        "pruning/target_sparsity": 0.4,
        "trends/sparsity_slope": 0.0,
    }
    # Of softly pruned weights that train on, none is zero.
    alive = {name: torch.ones(mask.shape) for name, mask in masks.items()}
    found = MEASURES["sparsity"].compute(view(0, masks, None, {}, weights=alive))
    assert (found["sparsity/overall"], found["pruning/sparsity"]) == (0.0, 0.5)


def test_trends_by_hand() -> None:
    """Over the last ten of fourteen measurements."""
    masks = sequence(14)
    given, _ = over("sparsity", masks)
    values = [each["sparsity/overall"] for each in given]
    for count in (2, 5, 14):
        steps, last = 10 * np.arange(count)[-10:], values[:count][-10:]
        assert given[count - 1]["trends/sparsity_slope"] == pytest.approx(np.polyfit(steps, last, 1)[0], abs=1e-12)
    given, _ = over("revival", masks)
    rates = [each["weight_revival/revival_rate"] for each in given]
    assert given[13]["trends/avg_revival_rate"] == pytest.approx(sum(rates[4:]) / 10)


def test_revival_by_hand() -> None:
    masks = sequence(6)
    given, _ = over("revival", masks)
    assert given[0]["weight_revival/total_stable_zeros"] == given[0]["weight_revival/total_revived"] == 0
    for before, now, found in zip(masks, masks[1:], given[1:], strict=False):
        pairs = [
            (bool(old), bool(new))
            for name in before
            for old, new in zip(before[name].flatten(), now[name].flatten(), strict=True)
        ]
        revived, stable = pairs.count((False, True)), pairs.count((False, False))
        assert revived
        assert found["weight_revival/total_revived"] == revived
        assert found["weight_revival/total_stable_zeros"] == stable
        assert found["weight_revival/revival_rate"] == revived / (revived + stable)


def test_dead_neurons_and_effective_rank_by_hand() -> None:
    """Of three outputs one has no incoming weight, of four inputs two have no outgoing one."""
    matrix = torch.tensor([[3.0, 0.0, 0.0, 0.0], [0.0, 0.0, 4.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    masks = {"a": matrix != 0, "bias": torch.tensor([True, False])}
    given = view(0, masks, None, {}, weights={"a": matrix, "bias": torch.ones(2)})
    assert MEASURES["dead_neurons"].compute(given) == {"dead_neurons/a": 3 / 7}
    shares = (3 / 7, 4 / 7)
    entropy = -sum(share * math.log(share) for share in shares)
    found = MEASURES["effective_rank"].compute(given)
    assert found == {"effective_rank/a": pytest.approx(math.exp(entropy))}
    broken = replace(given, weights={"a": matrix / 0, "bias": torch.ones(2)})
    assert MEASURES["effective_rank"].compute(broken) == {}


def spells(history: list[bool]) -> tuple[list[int], int, bool, bool]:
    """One weight by hand: lengths of its spells of being pruned, flips, whether ever pruned, whether ever revived."""
    lengths, flips, revived = [], 0, False
    for number, kept in enumerate(history):
        if not kept:
            if number and not history[number - 1]:
                lengths[-1] += 1
            else:
                lengths.append(1)
        if number and kept != history[number - 1]:
            flips += 1
            revived = revived or kept
    return lengths, flips, bool(lengths), revived


@pytest.mark.parametrize("seed", range(3))
def test_lifetimes_by_hand(seed: int) -> None:
    masks = sequence(9, seed)
    given, end = over("lifetimes", masks)
    assert given == [{}] * 9
    for suffix, names in (("", ("a", "b")), ("/a", ("a",)), ("/b", ("b",))):
        histories = [
            [bool(each[name].flatten()[place]) for each in masks]
            for name in names
            for place in range(masks[0][name].numel())
        ]
        each = [spells(history) for history in histories]
        lengths = sorted(length for some, *_ in each for length in some)
        num_open = sum(not history[-1] for history in histories)
        for name, share in (("q10", 0.1), ("median", 0.5), ("q90", 0.9)):
            rank = max(1, math.ceil(share * len(lengths) - 1e-9))
            assert end[f"zero_lifetime/{name}{suffix}"] == lengths[rank - 1]
        assert end[f"zero_lifetime/ended{suffix}"] == (len(lengths) - num_open) / len(lengths)
        ever, revived = sum(each[2] for each in each), sum(each[3] for each in each)
        assert end[f"zero_lifetime/never_revived{suffix}"] == pytest.approx(1 - revived / ever)
        flips = [one[1] for one in each]
        assert end[f"mask_flips/mean{suffix}"] == pytest.approx(sum(flips) / len(flips))
        assert end[f"mask_flips/max{suffix}"] == max(flips)
        assert end[f"mask_flips/twice{suffix}"] == sum(number > 1 for number in flips) / len(flips)


def test_nothing_pruned_has_no_lifetimes() -> None:
    dense = {"a": torch.ones(2, 2, dtype=torch.bool)}
    _, end = over("lifetimes", [dense, dense])
    assert end.keys() == {f"mask_flips/{name}{layer}" for name in ("mean", "max", "twice") for layer in ("", "/a")}
    assert set(end.values()) == {0.0}


@pytest.mark.parametrize("size", [1, 2])
def test_the_gradient_of_pruned_weights_by_hand(size: int) -> None:
    """Three steps of SGD in plain torch: the gradient of the last step, as it is before masks and clipping."""
    x, y = x_and_y(digits()["train"])
    members = [member(small_net, seed) for seed in range(size)]
    training = short_training(
        optimizer="sgd", lr=0.1, steps=3, evaluate_every=3, precision="float64", clip=0.5, measures=["zero_grad_norm"]
    )
    for each, outcome in zip(members, run(members, small_net(), training), strict=True):
        module = small_net().double()
        module.load_state_dict(each.start)
        parameters = dict(module.named_parameters())
        order = epoch_order(len(y), each.seeds.order, 0)
        wanted: dict[str, float] = {}
        for step in range(3):
            batch = order[20 * step : 20 * step + 20]
            loss = F.cross_entropy(module(x[batch].double()), y[batch])
            gradients = dict(zip(parameters, torch.autograd.grad(loss, list(parameters.values())), strict=True))
            wanted = {name: float(gradients[name][~mask].square().mean().sqrt()) for name, mask in each.masks.items()}
            gradients = {name: value * each.masks.get(name, 1) for name, value in gradients.items()}
            norm = torch.cat([value.reshape(-1) for value in gradients.values()]).norm()
            with torch.no_grad():
                for name, value in parameters.items():
                    value -= 0.1 * gradients[name] * min(1.0, 0.5 / (float(norm) + 1e-6))
        curves = {name: values for name, values in outcome.history.curves.items() if name.startswith("zero_grad")}
        assert curves == {f"zero_grad_norm/{name}": [None, pytest.approx(value)] for name, value in wanted.items()}


def sparse_training(method: str = "rigl", **fields: object) -> Training:
    """A training in which masks change between measurements."""
    settings = Sparsifier(method=method, density=0.3, begin=0.1, end=0.8, applications=5)
    return short_training(**{"steps": 24, "evaluate_every": 2, "measures": ALL, "sparsifier": settings, **fields})


@pytest.mark.parametrize("method", ["gradual", "rigl", "set", "soft"])
def test_curves_follow_the_plan_and_the_changes_of_masks(method: str) -> None:
    training = sparse_training(method, steps=200, evaluate_every=16)
    history = run([dense_member(small_net, 1)], small_net(), training)[0].history
    assert training.sparsifier is not None
    plan = plan_sparsifier(training.sparsifier, training.steps)
    for index, step in enumerate(history.steps):
        due = [1 - each.density for each in plan if each.step <= step]
        assert history.curves["pruning/target_sparsity"][index] == (due[-1] if due else 0.0)
        planned = history.curves["pruning/target_sparsity"][index] or 0.0
        assert history.curves["pruning/sparsity"][index] == pytest.approx(planned, abs=2 / 888)
    changed = sum(change.revived for change in history.mask_changes)
    seen = sum(value or 0.0 for value in history.curves["weight_revival/total_revived"])
    assert seen == changed  # no two changes lie between two measurements
    assert (changed > 0) == (method != "gradual")
    assert history.end["zero_lifetime/never_revived"] <= 1
    assert (history.end["zero_lifetime/never_revived"] == 1) == (method == "gradual")


def test_effective_rank_has_a_schedule_of_its_own_and_ends_with_the_training() -> None:
    training = short_training(steps=13, evaluate_every=2, measures=["effective_rank", "sparsity"])
    history = run([member(small_net, 1)], small_net(), training)[0].history
    assert history.steps == [0, 2, 4, 6, 8, 10, 12, 13]
    ranks = history.curves[f"effective_rank/{FIRST}"]
    assert [step for step, value in zip(history.steps, ranks, strict=True) if value is not None] == [0, 10, 13]
    assert None not in history.curves["sparsity/overall"]


@pytest.mark.parametrize("size", [1, 2])
def test_measures_change_nothing_else_and_need_no_stack(size: int) -> None:
    members = [dense_member(small_net, seed) for seed in range(size)]
    with_, without = (run(members, small_net(), sparse_training(measures=names)) for names in (ALL, ()))
    alone = [run([each], small_net(), sparse_training())[0] for each in members]
    for one, other, single in zip(with_, without, alone, strict=True):
        assert all(torch.equal(value, one.weights[name]) for name, value in other.weights.items())
        own = {name: values for name, values in one.history.curves.items() if name in other.history.curves}
        assert own == other.history.curves
        for name, values in single.history.curves.items():
            pairs = zip(one.history.curves[name], values, strict=True)
            assert all(left == (right if right is None else pytest.approx(right, rel=1e-3)) for left, right in pairs), (
                name
            )
        assert one.history.end == pytest.approx(single.history.end, rel=1e-3)


class EveryStepAsBytes(FolderJournal):
    """A journal that keeps the snapshot of every step, by step and member, as it would lie on disk."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.kept_bytes: dict[int, dict[str, bytes]] = {}

    def save_snapshot(self, key: str, snapshot: Snapshot) -> None:
        self.kept_bytes.setdefault(snapshot.step, {})[key] = snapshot.to_bytes()


@pytest.mark.parametrize("method", ["rigl", "soft"])
@pytest.mark.parametrize("size", [1, 2])
def test_resumed_measures_are_the_same_bits(method: str, size: int, tmp_path: Path) -> None:
    """From the snapshot of every step, by way of files."""
    members, training = [dense_member(small_net, seed) for seed in range(size)], sparse_training(method)
    keeper = EveryStepAsBytes(tmp_path)
    wanted = run(members, small_net(), training, journal=keeper, snapshot_seconds=0.0)
    assert len(keeper.kept_bytes) == training.steps
    for step, by_key in keeper.kept_bytes.items():
        for key, content in by_key.items():
            (tmp_path / key).write_bytes(content)
        journal = FolderJournal(tmp_path)
        assert_same(run(members, small_net(), training, journal=journal), wanted)
        assert journal.step == training.steps > 0, step


def test_a_network_that_diverges_is_measured_no_more() -> None:
    outcome: Outcome = run([dense_member(small_net, 1)], small_net(), sparse_training(lr=1e30, optimizer="sgd"))[0]
    assert outcome.history.diverged_at is not None
    assert "zero_lifetime/median" not in outcome.history.end


def test_the_sparse_engine_refuses_and_unknown_measures_are_errors() -> None:
    training = short_training(measures=["sparsity"])
    reason = ENGINES["sparse"].obstacle(small_net(), training, 1, torch.device("cpu"))
    assert reason == "measures are taken while it trains (sparsity)"
    with pytest.raises(ValueError, match="unknown measure 'sparsty'. Did you mean 'sparsity'"):
        run([member(small_net, 1)], small_net(), short_training(measures=["sparsty"]))
    with pytest.raises(ValueError, match="has no MLP whose down-projection is known"):
        run([member(small_net, 1)], small_net(), short_training(measures=["super_weights"]))


def test_a_measure_of_a_script(monkeypatch: pytest.MonkeyPatch) -> None:
    def largest(view: View) -> dict[str, float]:
        return {f"largest/{name}": float(view.weights[name].abs().max()) for name in view.kept}

    monkeypatch.setitem(MEASURES, "largest", Measure(largest, "largest weight of each layer"))
    one: Member = member(small_net, 1)
    outcome = run([one], small_net(), short_training(measures=["largest"]))[0]
    start: Tensor = one.start[FIRST]
    assert outcome.history.curves[f"largest/{FIRST}"][0] == float(start.abs().max())
    assert outcome.history.curves[f"largest/{SECOND}"][-1] == float(outcome.weights[SECOND].abs().max())
