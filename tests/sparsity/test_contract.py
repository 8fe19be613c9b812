"""One contract for every criterion, scope and granularity, over three networks: exact counts and nested masks."""

from dataclasses import replace
from functools import cache
from itertools import product

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from lth.models import MODELS
from lth.sparsity import (
    CRITERIA,
    GRANULARITIES,
    SCHEDULES,
    SCOPES,
    Evidence,
    EvidenceScope,
    Masks,
    Network,
    Scores,
    Structure,
    Weights,
    criterion,
    granularity,
    network_of,
    planned_counts,
    prunable,
    schedule,
    select,
    some_examples,
    structure_of,
    with_evidence,
    words_of,
)
from lth.sparsity.granularities import families_of
from lth.sparsity.granularities.units import alive_units
from lth.tasks import Batch, Classification

NETWORKS = ("lenet-300-100", "convnet", "transformer")
GRAINS = (*GRANULARITIES, "block:4x4", "2:4")
MISSING = {"lenet-300-100": {"filters", "channels", "heads", "neurons"}, "convnet": {"heads", "neurons"},
           "transformer": {"filters", "channels"}}  # fmt: skip
TASK = Classification(10)


@cache
def digits() -> Batch:
    data = load_digits()
    return {"x": torch.tensor(data.images, dtype=torch.float32) / 16, "y": torch.tensor(data.target)}


def state_of(module: nn.Module) -> Weights:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def trained(module: nn.Module, names: list[str]) -> dict[str, Tensor]:
    """What thirty steps of Adam leave in the module, and -g w summed over them."""
    optimizer, sums = torch.optim.Adam(module.parameters(), 1e-3), {name: torch.tensor(0.0) for name in names}
    for step in range(30):
        batch = {name: values[20 * step : 20 * step + 20] for name, values in digits().items()}
        optimizer.zero_grad()
        TASK.loss(TASK.forward(module, batch), batch).backward()
        for name in names:
            weight = module.get_parameter(name)
            assert weight.grad is not None
            sums[name] = sums[name] - weight.grad * weight.detach()
        optimizer.step()
    return sums


@cache
def evidence(network: str) -> tuple[Evidence, Structure]:
    """What a real training of thirty steps leaves for the criteria to look at."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = MODELS[network].make(input_shape=(8, 8), num_classes=10)
    names, start = prunable(module), state_of(module)
    sums, end = trained(module, names), state_of(module)
    chosen = some_examples(digits()["y"], len(digits()["y"]), 1, torch.Generator().manual_seed(0))
    batch = {name: values[chosen] for name, values in digits().items()}
    found = Evidence(
        start={name: start[name] for name in names},
        end={name: end[name] for name in names},
        generator=torch.Generator().manual_seed(3),
        network=lambda: Network(module, start, end, batch, TASK),
        traces={"movement_pruning": sums},
    )
    return found, structure_of(module, names, lambda: TASK.forward(module, batch))


@cache
def scores_of(network: str, name: str) -> Scores:
    return CRITERIA[name](evidence(network)[0])


def check_two_levels(network: str, name: str, scope: str, grain: str) -> None:
    """Counts are exact and masks are nested over two levels, unless the scope cannot reach the density."""
    structure, scores = evidence(network)[1], scores_of(network, name)
    shapes = {key: score.shape for key, score in scores.items()}
    levels: list[Masks] = [{}]
    if isinstance(SCOPES[scope], EvidenceScope) and grain != "unstructured":
        return  # settings refuse it
    for density in (0.5,) if grain == "2:4" else (0.7, 0.4):
        known = replace(evidence(network)[0], masks=levels[-1])
        how = {
            "density": density,
            "scope": with_evidence(SCOPES[scope], known),
            "granularity": granularity(grain),
            "structure": structure,
        }
        try:
            masks = select(scores, levels[-1], **how)
        except ValueError as error:
            if scope == "uniform-plus" and "at least" in str(error):
                return
            raise
        for group, keep in planned_counts(shapes, **how):
            left = alive(masks, group.names, shapes, grain, structure)
            before = alive(levels[-1], group.names, shapes, grain, structure) if levels[-1] else keep
            assert left == min(before, keep)
        assert all(bool((masks[key] <= levels[-1][key]).all()) for key in levels[-1])
        levels.append(masks)


def alive(masks: Masks, names: tuple[str, ...], shapes: dict[str, torch.Size], grain: str, structure: Structure) -> int:
    """Weights, or units, that masks keep in these tensors."""
    grains = granularity(grain)
    if grains.families is None:
        return sum(int(masks[name].sum()) for name in names)
    families = {family.name: family for family in families_of(grains, shapes, structure)}
    return sum(int(alive_units(families[name], masks).sum()) for name in names)


@pytest.mark.parametrize(("network", "name"), list(product(NETWORKS, CRITERIA)))
def test_contract(network: str, name: str) -> None:
    for grain in GRAINS:
        if grain in MISSING[network]:
            with pytest.raises(ValueError, match="finds nothing of its kind"):
                check_two_levels(network, name, "global", grain)
            continue
        for scope in SCOPES:
            check_two_levels(network, name, scope, grain)


@pytest.mark.parametrize("name", CRITERIA)
def test_what_a_criterion_says_of_itself_is_true(name: str) -> None:
    """It scores without examples or traces exactly where it says that it needs none."""
    full, facts = evidence("lenet-300-100")[0], criterion(name)
    bare = Evidence(full.start, full.end, torch.Generator())
    if facts.needs_examples or facts.traces:
        with pytest.raises(ValueError, match=f"criterion {name!r}"):
            facts(bare)
    else:
        assert facts(bare).keys() == full.end.keys()
    assert facts.rounds >= 1
    assert facts.words.endswith((".", ".)"))
    assert "\n" not in facts.words


def test_every_entry_of_every_table_has_words() -> None:
    for table in (CRITERIA, SCOPES, GRANULARITIES, SCHEDULES):
        words = [words_of(entry) for entry in table.values()]
        assert all(words)
        assert len(set(words)) == len(words)


def test_bare_functions_in_the_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    def smallest(evidence: Evidence) -> Scores:
        """Keep the smallest weights."""
        return {name: -end.abs() for name, end in evidence.end.items()}

    def halving(rate: float, level: int, listed: object) -> float:
        """Halve the weights."""
        return 0.5

    monkeypatch.setitem(CRITERIA, "mine", smallest)
    monkeypatch.setitem(SCHEDULES, "mine", halving)
    monkeypatch.setitem(GRANULARITIES, "mine", granularity("output_units").families)
    assert (criterion("mine").words, criterion("mine").rounds) == ("Keep the smallest weights.", 1)
    assert (schedule("mine").density(0.1, 3), schedule("mine").source(3)) == (0.125, 2)
    assert granularity("mine").name == "mine"
    assert CRITERIA.own().keys() == {"mine"}


def test_the_network_is_made_once_and_only_when_it_is_asked_for() -> None:
    full, made = evidence("lenet-300-100")[0], []

    def make() -> Network:
        made.append(1)
        return network_of(full, "any")

    watched = Evidence(full.start, full.end, torch.Generator(), network=make)
    criterion("large_final")(watched)
    assert made == []
    criterion("snip")(watched)
    criterion("taylor")(watched)
    assert made == [1]
