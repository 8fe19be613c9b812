"""A loss by chunks of positions is the loss of all logits, and so are its gradients."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lth.models import Gpt2
from lth.tasks import LanguageModel, chunks
from lth.tasks.chunks import chunked_cross_entropy, takes_read_out
from lth.tasks.token_targets import IGNORED

VOCABULARY, SIZE = 67, 8


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def targets_of(seed: int, *shape: int) -> Tensor:
    """A third of them does not count."""
    targets = torch.randint(0, VOCABULARY, shape, generator=torch.Generator().manual_seed(seed))
    return targets.masked_fill(drawn(seed + 1, *shape) > 0.4, IGNORED)


@pytest.mark.parametrize("rows", [1, 4, 7, 30, 1000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_loss_and_gradients_of_all_logits(rows: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """30 positions; chunks of one that are longer than the rest, and of all."""
    monkeypatch.setattr(chunks, "MOST_LOGITS", rows * VOCABULARY)
    hidden, weight = drawn(0, 5, 6, SIZE).to(dtype).requires_grad_(), drawn(1, VOCABULARY, SIZE).to(dtype)
    weight.requires_grad_()
    targets = targets_of(2, 5, 6)
    found = chunked_cross_entropy(hidden, weight, targets, IGNORED)
    gradients = torch.autograd.grad(found * 0.3, (hidden, weight))
    logits = F.linear(hidden, weight).flatten(0, 1)
    wanted = F.cross_entropy(logits, targets.flatten(), ignore_index=IGNORED, reduction="sum")
    assert found.dtype == dtype
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-5)
    for one, other in zip(gradients, torch.autograd.grad(wanted * 0.3, (hidden, weight)), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


def test_where_nothing_counts_the_loss_is_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "MOST_LOGITS", 7 * VOCABULARY)
    network = Gpt2(VOCABULARY, 6, n_layer=1, n_head=2, n_embd=SIZE)
    batch = {"x": torch.zeros(5, 6, dtype=torch.int64), "y": torch.full((5, 6), IGNORED)}
    loss = LanguageModel(VOCABULARY).loss_in_chunks(network, batch)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss == 0
    assert all(value.grad is not None and not value.grad.any() for value in network.parameters())


def test_gradients_are_handed_out_once() -> None:
    """They are scaled in place: a second pass over the same graph must fail rather than scale them again."""
    hidden = drawn(0, 4, SIZE).requires_grad_()
    loss = chunked_cross_entropy(hidden, drawn(1, VOCABULARY, SIZE), targets_of(2, 4), IGNORED)
    torch.autograd.grad(loss * 2, hidden, retain_graph=True)
    with pytest.raises(RuntimeError, match="inplace"):
        torch.autograd.grad(loss * 2, hidden)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_gpt2_gives_the_gradients_of_its_logits(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of the padded vocabulary get no gradient; under autocast the loss is summed up in float32 all the same."""
    monkeypatch.setattr(chunks, "MOST_LOGITS", 4 * VOCABULARY)
    torch.manual_seed(0)
    network, task = Gpt2(VOCABULARY, 6, n_layer=1, n_head=2, n_embd=SIZE), LanguageModel(VOCABULARY)
    batch = {"x": targets_of(3, 5, 6).clamp(min=0), "y": targets_of(4, 5, 6)}
    losses, gradients = [], []
    for in_chunks in (True, False):
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            loss = task.loss_in_chunks(network, batch) if in_chunks else task.loss(task.forward(network, batch), batch)
        losses.append(loss)
        gradients.append(torch.autograd.grad(loss, list(network.parameters())))
    assert losses[0].dtype == torch.float32
    torch.testing.assert_close(losses[0], losses[1], rtol=0, atol=1e-5)
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5 if precision == "float32" else 2e-3)
    assert not gradients[0][0][VOCABULARY:].any()


def test_networks_of_others_do_not_take_it() -> None:
    assert takes_read_out(Gpt2(VOCABULARY, 6, n_layer=1, n_head=2, n_embd=SIZE))
    assert not takes_read_out(nn.Sequential(nn.Embedding(11, 6), nn.Linear(6, 11)))
