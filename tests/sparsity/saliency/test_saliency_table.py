"""One contract for every saliency: shapes, finite scores, determinism, masks honoured, nothing changed."""

import copy
from dataclasses import replace

import pytest
import torch
from saliency_nets import NETWORKS, evidence_of, network, random_masks

from lth.sparsity.evidence import Evidence
from lth.sparsity.saliency import NEEDS_NETWORK, NEEDS_TRACES, ROUNDS, SALIENCIES


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("criterion", SALIENCIES)
def test_every_saliency_scores_every_network(criterion: str, name: str) -> None:
    module, inputs, labels = network(name)
    evidence = evidence_of(module, inputs, labels, random_masks(module))
    scores = SALIENCIES[criterion](evidence)
    assert {key: score.shape for key, score in scores.items()} == {
        key: value.shape for key, value in evidence.final.items()
    }
    assert all(bool(score.isfinite().all()) and not score.requires_grad for score in scores.values())
    assert all(len(score.unique()) > 1 for score in scores.values())
    again = SALIENCIES[criterion](evidence)
    assert all(torch.equal(score, again[key]) for key, score in scores.items())


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("criterion", SALIENCIES)
def test_values_of_pruned_weights_do_not_matter(criterion: str, name: str) -> None:
    """The network runs with pruned weights at zero, whatever its states hold there."""
    module, inputs, labels = network(name)
    masks = random_masks(module)
    scores = SALIENCIES[criterion](evidence_of(module, inputs, labels, masks))
    for key, mask in masks.items():
        module.get_parameter(key).data[~mask] = 50.0
    others = SALIENCIES[criterion](evidence_of(module, inputs, labels, masks))
    for key, mask in masks.items():
        assert torch.equal(scores[key][mask], others[key][mask])
    whole = SALIENCIES[criterion](evidence_of(module, inputs, labels))
    assert criterion == "movement_pruning" or any(not torch.equal(whole[key], others[key]) for key in masks)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("criterion", sorted(NEEDS_NETWORK))
def test_a_saliency_changes_nothing(criterion: str, name: str) -> None:
    """Parameters, buffers, gradients, modes, hooks and the evidence are as before; so it is without gradients on."""
    module, inputs, labels = network(name)
    module.train()
    list(module.modules())[-1].eval()
    modes = [part.training for part in module.modules()]
    evidence = evidence_of(module, inputs, labels, random_masks(module))
    assert evidence.network is not None
    states = (module.state_dict(), evidence.network.initial, evidence.network.final, evidence.masks)
    before = copy.deepcopy(states)
    scores = SALIENCIES[criterion](evidence)
    for now, then in zip(states, before, strict=True):
        assert all(torch.equal(now[key], then[key]) and not now[key].requires_grad for key in then)
    assert [part.training for part in module.modules()] == modes
    assert all(parameter.grad is None and parameter.requires_grad for parameter in module.parameters())
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())
    with torch.no_grad():
        again = SALIENCIES[criterion](evidence)
    assert all(torch.equal(score, again[key]) for key, score in scores.items())


@pytest.mark.parametrize("criterion", SALIENCIES)
def test_what_is_missing_is_named(criterion: str) -> None:
    weights = {"w": torch.tensor([[1.0, -2.0]])}
    bare = Evidence(weights, weights, torch.Generator())
    if criterion in NEEDS_NETWORK:
        with pytest.raises(ValueError, match=f"{criterion!r} runs the network, but the evidence has no network"):
            SALIENCIES[criterion](bare)
    elif criterion in NEEDS_TRACES:
        with pytest.raises(ValueError, match=f"no trace {criterion!r} of w"):
            SALIENCIES[criterion](bare)
    else:
        assert SALIENCIES[criterion](bare)["w"].shape == (1, 2)


def test_hugging_face_gpt2_of_tokens() -> None:
    """Matrices stored [in, out], tokens for inputs, fused attention, and embeddings shared with nothing."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    options = {"vocab_size": 11, "n_positions": 6, "n_embd": 8, "n_layer": 2, "n_head": 2}

    class Classifier(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            config = transformers.GPT2Config(**options, bos_token_id=0, eos_token_id=0)
            self.body = transformers.GPT2Model(config)
            self.output = torch.nn.Linear(8, 3)

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:  # (batch, time) -> (batch, class)
            return self.output(self.body(input_ids=tokens).last_hidden_state[:, -1])

    module = Classifier()
    evidence = evidence_of(module, torch.arange(30).reshape(5, 6) % 11, torch.arange(5) % 3, random_masks(module))
    assert len(evidence.final) == 9
    for criterion, saliency in SALIENCIES.items():
        for name, score in saliency(evidence).items():
            assert score.shape == evidence.final[name].shape, criterion
            assert bool(score.isfinite().all()), criterion


def test_the_table_is_whole() -> None:
    assert SALIENCIES.keys() >= NEEDS_NETWORK | NEEDS_TRACES
    assert SALIENCIES.keys() >= ROUNDS.keys()


def test_shared_weights_are_scored_once() -> None:
    """A weight that two layers share has one name, and the scores of both uses."""

    class Twice(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = torch.nn.Linear(3, 3, bias=False)
            self.two = torch.nn.Linear(3, 3, bias=False)
            self.two.weight = self.one.weight

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return self.two(torch.relu(self.one(inputs)))

    module = Twice().double()
    evidence = evidence_of(module, torch.randn(5, 3, dtype=torch.float64), torch.arange(5) % 3)
    for criterion in NEEDS_NETWORK:
        assert list(SALIENCIES[criterion](evidence)) == ["one.weight"]
    inputs = evidence.network.inputs  # type: ignore[union-attr]
    hidden = torch.relu(inputs @ module.one.weight.T)
    norms = (inputs.square().sum(0) + hidden.square().sum(0)).sqrt()
    assert torch.allclose(SALIENCIES["wanda_raw"](evidence)["one.weight"], module.one.weight.abs() * norms)


def test_movement_pruning_is_the_trace() -> None:
    module, inputs, labels = network("lenet")
    evidence = evidence_of(module, inputs, labels)
    assert torch.equal(SALIENCIES["movement_pruning"](evidence)["output.weight"], evidence.final["output.weight"].sin())
    traces = {"movement_pruning": {"hidden1.weight": torch.zeros(300, 16)}}
    with pytest.raises(ValueError, match=r"of hidden2.weight, output.weight. Train with traces"):
        SALIENCIES["movement_pruning"](replace(evidence, traces=traces))
