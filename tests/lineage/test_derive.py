"""What nodes are worth: exact rewinding, exact masks, and draws that follow from keys."""

import json
from pathlib import Path

import pytest
import torch
from builds import HERE, Notes, built, runs, study, tiny
from torch import nn

from lth.lineage import Combined, Deriver, Diverged, Pruned, Shuffled, Sources, Store, StoreError, Trained, build, plan
from lth.sparsity import density, density_by_tensor
from lth.studies import Study


def bits(value: torch.Tensor) -> list[int]:
    """The bytes of a tensor."""
    return value.contiguous().reshape(-1).view(torch.uint8).tolist()


@pytest.mark.parametrize("rewind_to", ["0it", "7it"])
def test_rewinding_is_exact(rewind_to: str, tmp_path: Path) -> None:
    """Kept entries of every start are bit-equal to the dense network at that step; pruned ones are zero."""
    made = study(rewind_to=rewind_to, levels=2)
    store = built(tmp_path / "store", made)
    deriver, dense = Deriver(store, made.sources), runs(made, "dense")[0]
    origin = deriver.weights(dense.at(int(rewind_to[:-2])))
    fresh = deriver.weights(dense.start)
    assert (bits(origin["1.weight"]) == bits(fresh["1.weight"])) == (rewind_to == "0it")
    for ticket in runs(made, "ticket") + runs(made, "random"):
        masks, start, end = deriver.masks(ticket.masks), deriver.weights(ticket.start), store.read_weights(ticket)
        assert sorted(masks) == ["1.weight", "3.weight"]
        for name, value in start.items():
            mask = masks.get(name, torch.ones_like(value, dtype=torch.bool))
            assert bits(value[mask]) == bits(origin[name][mask])
            assert bits(value[~mask]) == bits(torch.zeros_like(value[~mask]))
            assert bits(end[name][~mask]) == bits(torch.zeros_like(value[~mask]))
            assert not torch.equal(end[name][mask], value[mask])


def test_levels_have_exact_and_nested_masks(finished: tuple[Study, Store]) -> None:
    made, store = finished
    deriver = Deriver(store, made.sources)
    first, second = (deriver.masks(ticket.masks) for ticket in runs(made, "ticket"))
    assert [{name: int(mask.sum()) for name, mask in masks.items()} for masks in (first, second)] == [
        {"1.weight": 512, "3.weight": 80},
        {"1.weight": 256, "3.weight": 40},
    ]
    assert all(bool((second[name] <= first[name]).all()) for name in first)
    assert [density(first), density(second)] == pytest.approx(made.densities[1:])
    weights = store.read_weights(runs(made, "dense")[0])
    for name, mask in first.items():
        assert weights[name][mask].abs().min() >= weights[name][~mask].abs().max()


def test_controls_keep_what_they_promise(finished: tuple[Study, Store]) -> None:
    made, store = finished
    deriver = Deriver(store, made.sources)
    for ticket, random, reinit in zip(*(runs(made, arm) for arm in ("ticket", "random", "reinit")), strict=True):
        masks, shuffled = deriver.masks(ticket.masks), deriver.masks(random.masks)
        assert density_by_tensor(masks) == density_by_tensor(shuffled)
        assert not any(torch.equal(masks[name], shuffled[name]) for name in masks)
        assert reinit.masks == ticket.masks
        start, fresh = deriver.weights(ticket.start), deriver.weights(reinit.start)
        mask = masks["1.weight"]
        assert not torch.isclose(start["1.weight"][mask], fresh["1.weight"][mask]).any()
        assert ticket.seeds == random.seeds == reinit.seeds


def test_draws_follow_from_the_key(finished: tuple[Study, Store], tmp_path: Path) -> None:
    made, store = finished
    node = runs(made, "ticket")[0].masks
    assert isinstance(node, Pruned)
    deriver = Deriver(store, made.sources)
    draws = [deriver.masks(Shuffled(masks=node, draw=draw))["1.weight"] for draw in (0, 1, 0)]
    assert torch.equal(draws[0], draws[2])
    assert not torch.equal(draws[0], draws[1])
    assert store.has(Shuffled(masks=node, draw=1))


def test_derived_weights_are_fresh_tensors(finished: tuple[Study, Store]) -> None:
    made, store = finished
    deriver = Deriver(store, made.sources)
    for node in (runs(made, "dense")[0].start, runs(made, "ticket")[0].start, runs(made, "ticket")[0]):
        one = deriver.weights(node)
        one["1.weight"].zero_()
        assert deriver.weights(node)["1.weight"].count_nonzero() > 0


def test_what_is_not_finished_cannot_be_derived(tmp_path: Path, finished: tuple[Study, Store]) -> None:
    made, _ = finished
    ticket = runs(made, "ticket")[0]
    with pytest.raises(StoreError):
        Deriver(Store(tmp_path), made.sources).masks(ticket.masks)
    with pytest.raises(ValueError, match="the data set with digest .* is not at hand"):
        Sources().split(ticket.data)


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
    diverged = [node for node in runs(made, "dense") if store.read_metrics(node)["diverged_at"] is not None]
    assert 0 < len(diverged) < 4
    for run in made.runs:
        is_lost = run.level > 0 and runs(made, "dense")[run.replicate] in diverged
        assert store.has(run.trained) != is_lost
        assert (run.trained.key in skipped) == is_lost
    assert notes.skipped_reasons == skipped
    assert set(skipped.values()) == {"the training before it diverged at step 0"}
    assert build(made.targets, store, made.sources, HERE) == skipped
    assert all(store.read_metrics(node)["test_accuracy"] is None for node in diverged)
    with pytest.raises(Diverged, match="diverged at step 0"):
        Deriver(store, made.sources).masks(Pruned(trained=diverged[0], pruning=made.config.pruning({}), level=1))


def test_a_diverged_ticket_ends_its_own_line_only(tmp_path: Path) -> None:
    """The dense network is fine; the ticket of level 1, trained too fast, diverges; level 2 cannot be chosen by it."""
    made = study(controls=(), levels=1, optimizer="sgd")
    dense, ticket = made.targets
    assert isinstance(ticket.start, Combined)
    wild = ticket.recipe.model_copy(update={"lr": 1e30})
    broken = Trained(start=ticket.start, masks=ticket.masks, data=ticket.data, recipe=wild, seeds=ticket.seeds)
    masks = Pruned(trained=broken, pruning=ticket.masks.pruning, level=2)
    start = Combined(masks=masks, kept=dense.start)
    lost = Trained(start=start, masks=masks, data=ticket.data, recipe=ticket.recipe, seeds=ticket.seeds)
    store = Store(tmp_path)
    skipped = build([dense, broken, lost, ticket], store, made.sources, HERE)
    step = store.read_metrics(broken)["diverged_at"]
    assert step == 2
    assert skipped == {lost.key: f"the training before it diverged at step {step}"}
    assert [store.has(node) for node in (dense, broken, lost, ticket)] == [True, True, False, True]
    assert [work.key for work in plan([lost], store).works] == [lost.key]
    json.dumps(store.read_metrics(broken), allow_nan=False)


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
    deriver = Deriver(built(tmp_path, made), made.sources)
    ticket = runs(made, "ticket")[0]
    start, mask = deriver.weights(ticket.start), deriver.masks(ticket.masks)["first.weight"]
    module = Tied()
    module.load_state_dict(start)
    assert not module.first.weight[~mask].any()
    assert torch.equal(start["first.weight"], start["second.weight"])
