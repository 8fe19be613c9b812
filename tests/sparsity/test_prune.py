"""One level as the settings say: densities, rounds, structure by data flow, and one line where ties decided."""

import warnings
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from lth.config import Pruning
from lth.sparsity import (
    CRITERIA,
    Evidence,
    Network,
    Tie,
    Weights,
    densities_by_pattern,
    density,
    density_of_level,
    prunable,
    prune,
    ties,
)
from lth.tasks import Classification


class FrozenBackbone(nn.Module):
    """Feature extractor that does not train, as in transfer learning."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Linear(16, 12).requires_grad_(False)
        self.output = nn.Linear(12, 4)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.output(self.backbone(inputs).relu())


class HeadDefinedFirst(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(12, 4)
        self.body = nn.Sequential(nn.Linear(16, 12), nn.ReLU())

    def forward(self, inputs: Tensor) -> Tensor:
        return self.fc(self.body(inputs))


def trained(kind: type[nn.Module], names: list[str] | None = None) -> tuple[nn.Module, Evidence]:
    """A module after three steps of SGD, and the evidence of them."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module, batch = kind(), {"x": torch.randn(20, 16), "y": torch.arange(20) % 4}
    task, state = Classification(4), module.state_dict
    start: Weights = {name: value.clone() for name, value in state().items()}
    optimizer = torch.optim.SGD([each for each in module.parameters() if each.requires_grad], 0.1)
    trace = {name: torch.zeros_like(value) for name, value in module.named_parameters() if value.requires_grad}
    for _ in range(3):
        optimizer.zero_grad()
        task.loss(task.forward(module, batch), batch).backward()
        for name, total in trace.items():
            weight = module.get_parameter(name)
            total -= weight.grad * weight.detach()  # type: ignore[operator]
        optimizer.step()
    end = {name: value.clone() for name, value in state().items()}
    names = names or prunable(module)
    return module, Evidence(
        start={name: start[name] for name in names},
        end={name: end[name] for name in names},
        generator=torch.Generator().manual_seed(0),
        network=lambda: Network(module, start, end, batch, task),
        traces={"movement_pruning": trace},
    )


def test_densities_of_levels() -> None:
    assert [density_of_level(Pruning(rate=0.5), level) for level in (1, 2, 3)] == [0.5, 0.25, 0.125]
    assert density_of_level(Pruning(granularity="2:4"), 1) == 0.5
    assert densities_by_pattern(Pruning(rate=0.5), 3) == {}
    assert densities_by_pattern(Pruning(rate=0.5, rates={"out*": 0.25}), 2) == {"out*": 0.75**2}
    listed = Pruning(rate=0.2, rates={"out*": 0.1}, schedule="list", level_rates=(0.4, 0.2))
    assert densities_by_pattern(listed, 2) == {"out*": pytest.approx(0.8 * 0.9)}
    with pytest.raises(ValueError, match="has 4 times the usual rate, which at the listed rate 0.4 is 1 or more"):
        densities_by_pattern(Pruning(rate=0.2, rates={"out*": 0.8}, schedule="list", level_rates=(0.4,)), 1)


@pytest.mark.parametrize("field", ["criterion", "scope", "schedule", "granularity"])
def test_unknown_names_are_answered_by_their_table(field: str) -> None:
    module, evidence = trained(HeadDefinedFirst)
    with pytest.raises(ValueError, match=f"unknown {field} 'nonsens'"):
        prune(evidence, module, Pruning(**{field: "nonsens"}), 1)


def test_a_level_keeps_what_is_asked_for() -> None:
    module, evidence = trained(HeadDefinedFirst)
    masks = prune(evidence, module, Pruning(rate=0.5, rates={"fc.weight": 0.25}), 2)
    assert {name: int(mask.sum()) for name, mask in masks.items()} == {"fc.weight": 27, "body.0.weight": 48}
    assert list(masks) == list(evidence.end)
    again = prune(replace(evidence, masks=masks), module, Pruning(rate=0.5, rates={"fc.weight": 0.25}), 3)
    assert all(bool((mask <= masks[name]).all()) for name, mask in again.items())


def test_rounds_are_the_criterions_own_unless_the_settings_say_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    module, evidence = trained(HeadDefinedFirst)
    calls = []

    def counted(evidence: Evidence) -> Weights:
        calls.append(density(evidence.masks))
        return {name: end.abs() for name, end in evidence.end.items()}

    monkeypatch.setitem(CRITERIA, "counted", replace(CRITERIA["synflow"], score=counted))  # type: ignore[type-var]
    prune(evidence, module, Pruning(criterion="counted", scope="global", rate=0.75), 1)
    assert (len(calls), calls[50]) == (100, pytest.approx(0.5, abs=0.01))
    prune(evidence, module, Pruning(criterion="counted", scope="global", rounds=3), 1)
    assert len(calls) == 103


@pytest.mark.parametrize("criterion", ["movement", "snip", "taylor", "movement_pruning", "large_final"])
def test_a_frozen_backbone_stays_and_nothing_ties(criterion: str) -> None:
    module, evidence = trained(FrozenBackbone)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        masks = prune(evidence, module, Pruning(criterion=criterion, rate=0.5), 1)
    assert {name: int(mask.sum()) for name, mask in masks.items()} == {"output.weight": 24}


@pytest.mark.parametrize("criterion", ["movement", "movement_pruning"])
def test_a_frozen_backbone_that_is_named_ties_and_is_said_once(criterion: str) -> None:
    """It did not move, so all of its weights score 0, and the first rows go."""
    module, evidence = trained(FrozenBackbone, ["backbone.weight", "output.weight"])
    words = (
        rf"^criterion '{criterion}' gives equal scores in bulk, so the order of indices decided: "
        r"backbone.weight \(96 of 192 weights of one score went, and 6 rows lost all weights\). Choose another"
    )
    with pytest.warns(UserWarning, match=words) as caught:
        masks = prune(evidence, module, Pruning(criterion=criterion, rate=0.5, rounds=2), 1)
    assert len(caught) == 1
    assert masks["backbone.weight"].any(1).tolist() == [False] * 6 + [True] * 6


def test_two_equal_weights_at_the_cut_are_no_bulk() -> None:
    weight = torch.randperm(400, generator=torch.Generator().manual_seed(0)).float().reshape(20, 20)
    weight[weight == 200] = 199.0
    evidence = Evidence({"weight": weight}, {"weight": weight}, torch.Generator())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        masks = prune(evidence, nn.Linear(20, 20), Pruning(rate=0.5), 1)
    assert ties({"weight": weight}, {}, masks) == [Tie("weight", 2, 1)]


def test_units_that_tie_are_said_too() -> None:
    module, evidence = trained(FrozenBackbone, ["backbone.weight", "output.weight"])
    pruning = Pruning(criterion="movement", rate=0.5, granularity="output_units")
    with pytest.warns(UserWarning, match=r"backbone.weight \(6 of 12 units of one score went\)"):
        masks = prune(evidence, module, pruning, 1)
    assert bool(masks["output.weight"].all())


def test_no_class_goes_where_the_head_was_defined_first() -> None:
    module, evidence = trained(HeadDefinedFirst)
    module.train()
    masks = prune(evidence, module, Pruning(rate=0.5, granularity="output_units"), 1)
    assert bool(masks["fc.weight"].all())
    assert masks["body.0.weight"].any(1).sum() == 6
    assert module.training


def test_single_weights_and_weights_alone_never_ask_for_the_network() -> None:
    module, evidence = trained(HeadDefinedFirst)

    def refuse() -> Network:
        raise AssertionError("nobody needs the network here")

    prune(replace(evidence, network=refuse), module, Pruning(rate=0.5), 1)
    with pytest.raises(AssertionError, match="nobody needs"):
        prune(replace(evidence, network=refuse), module, Pruning(rate=0.5, criterion="snip"), 1)
