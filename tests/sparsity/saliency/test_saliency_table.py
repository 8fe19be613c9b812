"""One contract for every saliency: shapes, finite scores, determinism, masks honoured, nothing changed."""

import copy
from dataclasses import replace

import pytest
import torch
from saliency_nets import NETWORKS, evidence_of, network, random_masks

from lth.sparsity import CRITERIA, Evidence, criterion, network_of

NEEDS_EXAMPLES = [name for name in CRITERIA if criterion(name).needs_examples]
SALIENCIES = [*NEEDS_EXAMPLES, "lamp", "large_final_layer_normalised", "movement_pruning"]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("saliency", SALIENCIES)
def test_every_saliency_scores_every_network(saliency: str, name: str) -> None:
    module, inputs, labels = network(name)
    evidence = evidence_of(module, inputs, labels, random_masks(module))
    scores = CRITERIA[saliency](evidence)
    assert {key: score.shape for key, score in scores.items()} == {
        key: value.shape for key, value in evidence.end.items()
    }
    assert all(bool(score.isfinite().all()) and not score.requires_grad for score in scores.values())
    assert all(len(score.unique()) > 1 for score in scores.values())
    again = CRITERIA[saliency](evidence)
    assert all(torch.equal(score, again[key]) for key, score in scores.items())


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("saliency", SALIENCIES)
def test_values_of_pruned_weights_do_not_matter(saliency: str, name: str) -> None:
    """The network runs with pruned weights at zero, whatever its states hold there."""
    module, inputs, labels = network(name)
    masks = random_masks(module)
    scores = CRITERIA[saliency](evidence_of(module, inputs, labels, masks))
    for key, mask in masks.items():
        module.get_parameter(key).data[~mask] = 50.0
    others = CRITERIA[saliency](evidence_of(module, inputs, labels, masks))
    for key, mask in masks.items():
        assert torch.equal(scores[key][mask], others[key][mask])
    whole = CRITERIA[saliency](evidence_of(module, inputs, labels))
    assert saliency == "movement_pruning" or any(not torch.equal(whole[key], others[key]) for key in masks)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("saliency", NEEDS_EXAMPLES)
def test_a_saliency_changes_nothing(saliency: str, name: str) -> None:
    """Parameters, buffers, gradients, modes, hooks and the evidence are as before; so it is without gradients on."""
    module, inputs, labels = network(name)
    module.train()
    list(module.modules())[-1].eval()
    modes = [part.training for part in module.modules()]
    evidence = evidence_of(module, inputs, labels, random_masks(module))
    network_here = network_of(evidence, saliency)
    states = (module.state_dict(), network_here.start, network_here.end, evidence.masks)
    before = copy.deepcopy(states)
    scores = CRITERIA[saliency](evidence)
    for now, then in zip(states, before, strict=True):
        assert all(torch.equal(now[key], then[key]) and not now[key].requires_grad for key in then)
    assert [part.training for part in module.modules()] == modes
    assert all(parameter.grad is None and parameter.requires_grad for parameter in module.parameters())
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())
    with torch.no_grad():
        again = CRITERIA[saliency](evidence)
    assert all(torch.equal(score, again[key]) for key, score in scores.items())


@pytest.mark.parametrize("saliency", SALIENCIES)
def test_what_is_missing_is_named(saliency: str) -> None:
    weights = {"w": torch.tensor([[1.0, -2.0]])}
    bare = Evidence(weights, weights, torch.Generator())
    if saliency in NEEDS_EXAMPLES:
        with pytest.raises(ValueError, match=f"{saliency!r} runs the network, but the evidence has no network"):
            CRITERIA[saliency](bare)
    elif criterion(saliency).traces:
        with pytest.raises(ValueError, match=f"no trace {saliency!r} of w"):
            CRITERIA[saliency](bare)
    else:
        assert CRITERIA[saliency](bare)["w"].shape == (1, 2)


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
    assert len(evidence.end) == 9
    for saliency in SALIENCIES:
        for name, score in CRITERIA[saliency](evidence).items():
            assert score.shape == evidence.end[name].shape, saliency
            assert bool(score.isfinite().all()), saliency


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
    for saliency in NEEDS_EXAMPLES:
        assert list(CRITERIA[saliency](evidence)) == ["one.weight"]
    inputs = network_of(evidence, "wanda_raw").batch["x"]
    hidden = torch.relu(inputs @ module.one.weight.T)
    norms = (inputs.square().sum(0) + hidden.square().sum(0)).sqrt()
    assert torch.allclose(CRITERIA["wanda_raw"](evidence)["one.weight"], module.one.weight.abs() * norms)


def test_movement_pruning_is_the_trace() -> None:
    module, inputs, labels = network("lenet")
    evidence = evidence_of(module, inputs, labels)
    assert torch.equal(CRITERIA["movement_pruning"](evidence)["output.weight"], evidence.end["output.weight"].sin())
    traces = {"movement_pruning": {"hidden1.weight": torch.zeros(300, 16)}}
    moved = evidence_of(module, inputs, labels, start={"output.weight": evidence.end["output.weight"] + 1})
    with pytest.raises(ValueError, match=r"of output.weight. Train with traces"):
        CRITERIA["movement_pruning"](replace(moved, traces=traces))
    with pytest.raises(ValueError, match=r"of hidden1.weight, hidden2.weight, output.weight. Train with traces"):
        CRITERIA["movement_pruning"](replace(evidence, traces={}))


def test_what_did_not_train_has_moved_by_nothing() -> None:
    """A frozen parameter has no trace; where it is pruned all the same, it scores zero."""
    module, inputs, labels = network("lenet")
    evidence = evidence_of(module, inputs, labels)
    trace = {name: value for name, value in evidence.end.items() if name != "hidden1.weight"}
    scores = CRITERIA["movement_pruning"](replace(evidence, traces={"movement_pruning": trace}))
    assert torch.equal(scores["hidden1.weight"], torch.zeros(300, 16, dtype=torch.float64))
    assert torch.equal(scores["output.weight"], evidence.end["output.weight"])
