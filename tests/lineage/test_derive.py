"""What nodes are worth: exact rewinding, exact masks, and draws that follow from keys."""

import json
from pathlib import Path

import pytest
import torch
from builds import HERE, Notes, built, jobs, metrics_in, study, tiny, weights_in
from torch import nn

from lth.config import Pruning
from lth.lineage import (
    Combined,
    Diverged,
    Pruned,
    Reader,
    Shuffled,
    Sources,
    Store,
    StoreError,
    Trained,
    Zeros,
    build,
    plan,
)
from lth.sparsity import density, density_by_tensor
from lth.studies.prepare import Study


def bits(value: torch.Tensor) -> list[int]:
    """The bytes of a tensor."""
    return value.contiguous().reshape(-1).view(torch.uint8).tolist()


@pytest.mark.parametrize("rewind_to", ["0it", "7it"])
def test_rewinding_is_exact(rewind_to: str, tmp_path: Path) -> None:
    """Kept entries of every start are bit-equal to the dense network at that step; pruned ones are zero."""
    made = study(rewind_to=rewind_to, levels=2)
    store = built(tmp_path / "store", made)
    reader, dense = Reader(store, made.sources), jobs(made, "dense")[0]
    origin = reader.weights(dense.at(int(rewind_to[:-2])))
    fresh = reader.weights(dense.start)
    assert (bits(origin["1.weight"]) == bits(fresh["1.weight"])) == (rewind_to == "0it")
    for ticket in jobs(made, "ticket") + jobs(made, "random"):
        masks, start, end = reader.masks(ticket.masks), reader.weights(ticket.start), weights_in(store, ticket)
        assert sorted(masks) == ["1.weight", "3.weight"]
        for name, value in start.items():
            mask = masks.get(name, torch.ones_like(value, dtype=torch.bool))
            assert bits(value[mask]) == bits(origin[name][mask])
            assert bits(value[~mask]) == bits(torch.zeros_like(value[~mask]))
            assert bits(end[name][~mask]) == bits(torch.zeros_like(value[~mask]))
            assert not torch.equal(end[name][mask], value[mask])


def test_levels_have_exact_and_nested_masks(finished: tuple[Study, Store]) -> None:
    made, store = finished
    reader = Reader(store, made.sources)
    first, second = (reader.masks(ticket.masks) for ticket in jobs(made, "ticket"))
    assert [{name: int(mask.sum()) for name, mask in masks.items()} for masks in (first, second)] == [
        {"1.weight": 512, "3.weight": 80},
        {"1.weight": 256, "3.weight": 40},
    ]
    assert all(bool((second[name] <= first[name]).all()) for name in first)
    planned = [point.at["density"] for point in made.points if point.arm == "ticket"]
    assert [density(first), density(second)] == pytest.approx(planned)
    weights = weights_in(store, jobs(made, "dense")[0])
    for name, mask in first.items():
        assert weights[name][mask].abs().min() >= weights[name][~mask].abs().max()


def test_controls_keep_what_they_promise(finished: tuple[Study, Store]) -> None:
    made, store = finished
    reader = Reader(store, made.sources)
    for ticket, random, reinit in zip(*(jobs(made, arm) for arm in ("ticket", "random", "reinit")), strict=True):
        masks, shuffled = reader.masks(ticket.masks), reader.masks(random.masks)
        assert density_by_tensor(masks) == density_by_tensor(shuffled)
        assert not any(torch.equal(masks[name], shuffled[name]) for name in masks)
        assert reinit.masks == ticket.masks
        start, fresh = reader.weights(ticket.start), reader.weights(reinit.start)
        mask = masks["1.weight"]
        assert not torch.isclose(start["1.weight"][mask], fresh["1.weight"][mask]).any()
        assert ticket.seeds == random.seeds == reinit.seeds


def test_draws_follow_from_the_key(finished: tuple[Study, Store], tmp_path: Path) -> None:
    made, store = finished
    node = jobs(made, "ticket")[0].masks
    assert isinstance(node, Pruned)
    reader = Reader(store, made.sources)
    once = Shuffled(masks=node)
    draws = [reader.masks(each)["1.weight"] for each in (once, Shuffled(masks=once), Shuffled(masks=node))]
    assert torch.equal(draws[0], draws[2])
    assert not torch.equal(draws[0], draws[1])
    assert store.has(Shuffled(masks=once))


def test_derived_weights_are_fresh_tensors(finished: tuple[Study, Store]) -> None:
    made, store = finished
    reader = Reader(store, made.sources)
    for node in (jobs(made, "dense")[0].start, jobs(made, "ticket")[0].start, jobs(made, "ticket")[0]):
        one = reader.weights(node)
        one["1.weight"].zero_()
        assert reader.weights(node)["1.weight"].count_nonzero() > 0


def test_what_is_not_finished_cannot_be_derived(tmp_path: Path, finished: tuple[Study, Store]) -> None:
    made, _ = finished
    ticket = jobs(made, "ticket")[0]
    with pytest.raises(StoreError):
        Reader(Store(tmp_path), made.sources).masks(ticket.masks)
    with pytest.raises(ValueError, match="the data set with digest .* is not at hand"):
        Sources().parts(ticket.data)


def poisoned() -> nn.Module:
    """A network that is drawn broken under about half of the seeds."""
    is_broken = bool(torch.rand(()) < 0.5)
    module = tiny()
    with torch.no_grad():
        module[1].weight.mul_(float("inf") if is_broken else 1.0)
    return module


def test_a_diverged_dense_network_leaves_other_replicates_alone(tmp_path: Path) -> None:
    made = study(poisoned, replicates=4, controls=(), levels=2)
    store, notes = Store(tmp_path), Notes()
    skipped = build(made.targets, store, made.sources, HERE, notes)
    diverged = [node for node in jobs(made, "dense") if metrics_in(store, node)["diverged_at"] is not None]
    assert 0 < len(diverged) < 4
    for point in made.points:
        is_lost = point.at["level"] > 0 and jobs(made, "dense")[point.replicate] in diverged
        assert store.has(point.job) != is_lost
        assert (point.job.key in skipped) == is_lost
    assert notes.skipped_reasons == skipped
    assert set(skipped.values()) == {"the training before it diverged at step 0"}
    assert build(made.targets, store, made.sources, HERE) == skipped
    assert all(metrics_in(store, node)["end"] == {} for node in diverged)
    with pytest.raises(Diverged, match="diverged at step 0"):
        Reader(store, made.sources).masks(Pruned.after(diverged[0], Pruning(), 1))


def test_a_diverged_ticket_ends_its_own_line_only(tmp_path: Path) -> None:
    """The dense network is fine; the ticket of level 1, trained too fast, diverges; level 2 cannot be chosen by it."""
    made = study(controls=(), levels=1, optimizer="sgd")
    dense, ticket = jobs(made, "dense")[0], jobs(made, "ticket")[0]
    assert isinstance(ticket.start, Combined)
    wild = ticket.training.with_(lr=1e30)
    broken = Trained(start=ticket.start, masks=ticket.masks, data=ticket.data, training=wild, seeds=ticket.seeds)
    assert isinstance(ticket.masks, Pruned)
    masks = Pruned.after(broken, ticket.masks.pruning, 2)
    start = Combined(masks=masks, kept=dense.start, pruned=Zeros(like=dense.start))
    lost = Trained(start=start, masks=masks, data=ticket.data, training=ticket.training, seeds=ticket.seeds)
    store = Store(tmp_path)
    skipped = build([dense, broken, lost, ticket], store, made.sources, HERE)
    step = metrics_in(store, broken)["diverged_at"]
    assert step == 2
    assert skipped == {lost.key: f"the training before it diverged at step {step}"}
    assert [store.has(node) for node in (dense, broken, lost, ticket)] == [True, True, False, True]
    assert [work.key for work in plan([lost], store).works] == [lost.key]
    json.dumps(metrics_in(store, broken), allow_nan=False)


class Tied(nn.Module):
    """Two Linears that share one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.input, self.first, self.second = nn.Linear(64, 12), nn.Linear(12, 12), nn.Linear(12, 12)
        self.second.weight = self.first.weight
        self.output = nn.Linear(12, 10)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:  # (batch, 8, 8) -> (batch, class)
        hidden = self.first(torch.tanh(self.input(inputs.flatten(1))))
        return self.output(torch.tanh(self.second(torch.tanh(hidden))))


def test_a_tied_weight_is_masked_under_all_its_names(tmp_path: Path) -> None:
    made = study(Tied, controls=(), levels=1)
    reader = Reader(built(tmp_path, made), made.sources)
    ticket = jobs(made, "ticket")[0]
    start, mask = reader.weights(ticket.start), reader.masks(ticket.masks)["first.weight"]
    module = Tied()
    module.load_state_dict(start)
    assert not module.first.weight[~mask].any()
    assert torch.equal(start["first.weight"], start["second.weight"])
