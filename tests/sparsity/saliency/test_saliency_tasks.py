"""Criteria that run the network do so as its task says: tokens, numbers, and outputs that are no plain tensor."""

from types import SimpleNamespace

import pytest
import torch
from saliency_nets import evidence_of
from torch import Tensor, nn

from lth.sparsity import CRITERIA, Evidence, Scores, batches, criterion, network_of
from lth.tasks import Batch, LanguageModel, Regression, Task

NAMES = [name for name in CRITERIA if criterion(name).needs_examples]


class Tokens(nn.Module):
    """A small causal language model that returns an object with `logits`, as the networks of `transformers` do."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(7, 6)
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
        self.head = nn.Linear(6, 7)

    def forward(self, tokens: Tensor) -> SimpleNamespace:  # (batch, time)
        hidden = self.embed(tokens)
        mask = nn.Transformer.generate_square_subsequent_mask(tokens.shape[1]).to(hidden)
        mixed = self.attention(hidden, hidden, hidden, attn_mask=mask, need_weights=False)[0]
        return SimpleNamespace(logits=self.head(hidden + mixed))


def language() -> tuple[nn.Module, Tensor, Tensor, Task]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        stream = torch.randint(7, (5, 9))
        targets = stream[:, 1:].clone()
        targets[0, 5:] = -100
        return Tokens().double(), stream[:, :-1], targets, LanguageModel(7)


def numbers() -> tuple[nn.Module, Tensor, Tensor, Task]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 1)).double()
        return module, torch.randn(6, 4).double(), torch.randn(6).double(), Regression()


def evidence(parts: tuple[nn.Module, Tensor, Tensor, Task]) -> Evidence:
    module, inputs, targets, task = parts
    return evidence_of(module, inputs, targets, task=task)


@pytest.mark.parametrize("make", [language, numbers])
@pytest.mark.parametrize("name", NAMES)
def test_every_criterion_scores_every_task(name: str, make: object) -> None:
    one = evidence(make())  # type: ignore[operator]
    scores = CRITERIA[name](one)
    assert {key: score.shape for key, score in scores.items()} == {key: end.shape for key, end in one.end.items()}
    assert all(bool(score.isfinite().all()) for score in scores.values())
    assert all(float(score.abs().max()) > 0 for score in scores.values())


@pytest.mark.parametrize("make", [language, numbers])
def test_taylor_and_fisher_equal_plain_backward_passes(make: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in several batches, of which each counts by what counts in it."""
    module, inputs, targets, task = make()  # type: ignore[operator]
    one, batch = evidence((module, inputs, targets, task)), {"x": inputs, "y": targets}
    together = CRITERIA["taylor"](one)
    monkeypatch.setattr(batches, "BATCH", 2)
    in_batches = CRITERIA["taylor"](one)
    fisher = CRITERIA["fisher"](one)

    def gradient(batch: Batch, name: str) -> Tensor:
        return torch.autograd.grad(task.loss(task.forward(module, batch), batch), module.get_parameter(name))[0]

    for name, weight in one.end.items():
        expected = (gradient(batch, name) * weight).abs()
        assert torch.allclose(together[name], expected, rtol=1e-9, atol=1e-15)
        assert torch.allclose(in_batches[name], expected, rtol=1e-9, atol=1e-15)
        each = [gradient({key: part[i : i + 1] for key, part in batch.items()}, name) for i in range(len(inputs))]
        expected = weight.square() / 2 * torch.stack(each).square().mean(0)
        assert torch.allclose(fisher[name], expected, rtol=1e-9, atol=1e-15)


def test_recurrent_weights_are_reached() -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.output = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 3)

        def forward(self, inputs: Tensor) -> Tensor:
            return self.output(self.lstm(inputs)[0][:, -1])

    module, inputs, labels = Recurrent().double(), torch.randn(5, 6, 3).double(), torch.arange(5) % 3
    one = evidence_of(module, inputs, labels)
    assert list(one.end) == ["lstm.weight_ih_l0", "lstm.weight_hh_l0", "output.weight"]
    nn.functional.cross_entropy(module(inputs), labels).backward()
    for name, score in CRITERIA["taylor"](one).items():
        weight = module.get_parameter(name)
        assert torch.allclose(score, (weight.grad * weight).abs(), rtol=1e-9, atol=1e-15)


def test_a_criterion_of_ones_own_may_run_the_network() -> None:
    def loss_share(evidence: Evidence) -> Scores:
        network = network_of(evidence, "loss_share")
        loss = network.task.loss(network.outputs(network.end, network.batch), network.batch)
        return {name: end.abs() * loss.detach() for name, end in evidence.end.items()}

    module, inputs, targets, task = numbers()
    one = evidence((module, inputs, targets, task))
    loss = nn.functional.mse_loss(module(inputs)[:, 0], targets)
    for name, score in loss_share(one).items():
        assert torch.allclose(score, one.end[name].abs() * loss)
