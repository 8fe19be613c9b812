"""The causal transformer: its size, what a position sees, stacking, and that it learns."""

import copy
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from lth.models.gpt2 import CausalAttention, Gpt2, SparseActivations
from lth.models.table import MODELS
from lth.sparsity.granularities.coupled import attention_heads, mlp_neurons
from lth.sparsity.prunable import prunable
from lth.tasks import LanguageModel


def tokens(rows: int = 4, length: int = 6, vocabulary: int = 11) -> Tensor:
    return torch.randint(0, vocabulary, (rows, length), generator=torch.Generator().manual_seed(1))


def small(vocabulary: int = 11, block: int = 6, **arguments: Any) -> Gpt2:
    return Gpt2(vocabulary, block, **{"n_layer": 2, "n_head": 4, "n_embd": 64, "pad_to": 1} | arguments)


@pytest.mark.parametrize(
    ("name", "arguments", "count"),
    [
        ("gpt2", {}, 124_475_904),  # 124,439,808 as published, and 47 rows of padding
        ("gpt2", {"pad_to": 1}, 124_439_808),
        ("gpt2", {"bias": False}, 124_373_760),  # nanoGPT's
        ("gpt2-medium", {"pad_to": 1}, 354_823_168),
        ("gpt2-large", {"pad_to": 1}, 774_030_080),
        ("gpt2-xl", {"pad_to": 1}, 1_557_611_200),
    ],
)
def test_exact_numbers_of_parameters(name: str, arguments: dict[str, Any], count: int) -> None:
    entry = MODELS[name]
    with torch.device("meta"):
        module = entry.make(50257, 1024, **{**entry.arguments, **arguments})
    assert sum(value.numel() for value in module.parameters()) == count


def test_the_character_model() -> None:
    entry = MODELS["gpt-char"]
    module = entry.make(65, 64, **entry.arguments)
    assert sum(value.numel() for value in module.parameters()) == 65 * 128 + 64 * 128 + 4 * (12 * 128**2 + 256) + 128
    assert module(tokens(vocabulary=65)).shape == (4, 6, 65)


@pytest.mark.parametrize("init", ["gpt2", "xavier", "kaiming"])
def test_initialisations(init: str) -> None:
    torch.manual_seed(0)
    module = small(200, 64, n_embd=128, n_layer=8, init=init, pad_to=64)
    for name, value in module.named_parameters():
        if value.ndim == 1:
            assert torch.equal(value, torch.full_like(value, 0.0 if name.endswith("bias") else 1.0)), name
            continue
        rows, columns = value.shape
        expected = {
            "gpt2": 0.02 / math.sqrt(16) if name.endswith("c_proj.weight") else 0.02,
            "xavier": math.sqrt(2 / (rows + columns)),
            "kaiming": math.sqrt(2 / columns),
        }[init]
        assert value.std().item() == pytest.approx(expected, rel=0.05), name


def test_a_fresh_network_knows_nothing() -> None:
    torch.manual_seed(0)
    module = small(200, 64)
    loss = F.cross_entropy(module(tokens(64, 32, 200)).flatten(0, 1), tokens(64, 32, 200).flip(0).flatten())
    assert loss.item() == pytest.approx(math.log(200), rel=0.05)


def test_rows_of_padding_neither_win_nor_learn() -> None:
    torch.manual_seed(0)
    padded = small(pad_to=64)
    assert padded.wte.weight.shape == (64, 64)
    assert padded(tokens()).shape == (4, 6, 11)
    padded(tokens()).square().sum().backward()
    assert padded.wte.weight.grad is not None
    assert not padded.wte.weight.grad[11:].any()
    assert padded.wte.weight.grad[:11].any(dim=1).all()


def test_sink_is_one_more_place_to_attend_to() -> None:
    torch.manual_seed(0)
    layer = CausalAttention(12, 3, 0.0, True, True, nn.Identity()).double()
    nn.init.normal_(layer.sink_value)  # type: ignore[arg-type]
    hidden = torch.randn(2, 5, 12, dtype=torch.float64)
    query, key, value = (each.view(2, 5, 3, 4).transpose(1, 2) for each in layer.c_attn(hidden).chunk(3, -1))
    before = torch.cat([layer.sink_key.expand(2, 3, 1, 4), key], 2)  # type: ignore[union-attr]
    values = torch.cat([layer.sink_value.expand(2, 3, 1, 4), value], 2)  # type: ignore[union-attr]
    future = torch.ones(5, 6, dtype=torch.bool).triu(2)
    weights = (query @ before.mT / 2).masked_fill(future, -math.inf).softmax(-1)
    torch.testing.assert_close(layer(hidden), layer.c_proj((weights @ values).transpose(1, 2).reshape(2, 5, 12)))


@pytest.mark.parametrize(("share", "zeros"), [(0.25, 2), (0.5, 4), (0.9, 7)])
def test_activations_are_sparse_per_token(share: float, zeros: int) -> None:
    hidden = torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(0), requires_grad=True)
    sparse = SparseActivations(share)(hidden)
    assert ((sparse == 0).sum(-1) == zeros).all()
    assert torch.equal(sparse[sparse != 0], hidden[sparse != 0])
    assert (hidden.detach().abs().masked_fill(sparse != 0, 0).amax(-1) <= sparse.abs().amax(-1)).all()
    sparse.sum().backward()
    assert torch.equal(hidden.grad, (sparse != 0).float())  # type: ignore[arg-type]


def test_sparse_activations_stand_before_every_linear_of_a_block() -> None:
    torch.manual_seed(0)
    module, seen = small(n_embd=16, activation_sparsity=0.5), []
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            layer.register_forward_pre_hook(lambda layer, inputs: seen.append((inputs[0] == 0).float().mean(-1)))
    module(tokens())
    assert len(seen) == 8
    assert all(torch.equal(share, torch.full_like(share, 0.5)) for share in seen)


def test_no_position_sees_what_comes_after() -> None:
    torch.manual_seed(0)
    module, before = small(11, 6, n_embd=16).double().eval(), tokens()
    after = before.clone()
    after[:, 3] = (after[:, 3] + 1) % 11
    left, right = module(before), module(after)
    assert torch.equal(left[:, :3], right[:, :3])
    assert (left[:, 3:] != right[:, 3:]).any(-1).all()
    torch.testing.assert_close(module(before[:, :4]), left[:, :4])


def test_attention_is_softmax_of_scaled_products() -> None:
    torch.manual_seed(0)
    layer = CausalAttention(12, 3, 0.0, True, False, nn.Identity()).double()
    hidden = torch.randn(2, 5, 12, dtype=torch.float64)
    query, key, value = (each.view(2, 5, 3, 4).transpose(1, 2) for each in layer.c_attn(hidden).chunk(3, -1))
    future = torch.ones(5, 5, dtype=torch.bool).triu(1)
    weights = (query @ key.mT / 2).masked_fill(future, -math.inf).softmax(-1)
    torch.testing.assert_close(layer(hidden), layer.c_proj((weights @ value).transpose(1, 2).reshape(2, 5, 12)))


def test_the_embedding_is_the_output_layer() -> None:
    module = small(11, 6, n_embd=16).eval()
    hidden: list[Tensor] = []
    module.ln_f.register_forward_hook(lambda layer, inputs, output: hidden.append(output))
    torch.testing.assert_close(module(tokens()), hidden[0] @ module.wte.weight.T)


def test_heads_and_neurons_are_recognised() -> None:
    module = small(11, 6, n_embd=16, n_layer=2, n_head=4)
    heads = attention_heads(module)
    assert {name: each.num_units for name, each in heads.items()} == {f"h.{i}.attn": 4 for i in range(2)}
    neurons = mlp_neurons(module, heads)
    assert {name: each.num_units for name, each in neurons.items()} == {f"h.{i}.mlp": 64 for i in range(2)}
    sides = {side.name for each in (*heads.values(), *neurons.values()) for side in each.sides}
    assert sides == set(prunable(module))  # the embeddings stay whole


@pytest.mark.parametrize("is_training", [True, False])
def test_stacked_networks_give_what_each_gives_alone(is_training: bool) -> None:
    torch.manual_seed(0)
    modules = [small(11, 6, n_embd=8, n_head=2).double().train(is_training) for _ in range(3)]
    ids = tokens()
    with torch.set_grad_enabled(is_training):
        wanted = torch.stack([module(ids) for module in modules])
        parameters, buffers = stack_module_state([copy.deepcopy(module) for module in modules])
        with sdpa_kernel(SDPBackend.MATH):
            found = vmap(lambda *state: functional_call(modules[0], state, (ids,)))(parameters, buffers)
        torch.testing.assert_close(found, wanted)
    if is_training:
        wanted.square().sum().backward()
        found.square().sum().backward()
        for name, value in parameters.items():
            expected = torch.stack([module.get_parameter(name).grad for module in modules])  # type: ignore[misc]
            torch.testing.assert_close(value.grad, expected)


def test_dropout_drops_in_training_alone() -> None:
    torch.manual_seed(0)
    module, ids = small(11, 6, n_embd=16, dropout=0.5), tokens()
    assert not torch.equal(module(ids), module(ids))
    module.eval()
    assert torch.equal(module(ids), module(ids))


def test_it_learns_and_the_seed_decides_how() -> None:
    """Tokens that follow one another are learned from a few windows."""
    stream = torch.arange(8 * 12).reshape(8, 12) * 3 % 11
    batch = {"x": stream[:, :-1], "y": stream[:, 1:]}
    task, losses = LanguageModel(11), []
    for _ in range(2):
        torch.manual_seed(0)
        module = small(11, 11, n_embd=16, n_head=2)
        optimizer = torch.optim.Adam(module.parameters(), lr=1e-2)
        for _ in range(60):
            optimizer.zero_grad()
            loss = task.loss(task.forward(module, batch), batch)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        losses.append(loss.item())
    assert losses[0] == losses[1]
    assert losses[0] < 0.2 < math.log(11)


def test_what_cannot_be() -> None:
    with pytest.raises(ValueError, match="n_embd 10 does not fall into 4 heads"):
        small(11, 6, n_embd=10)
    with pytest.raises(ValueError, match="7 tokens do not fit into a block of 6"):
        small(11, 6)(tokens(length=7))
    with pytest.raises(ValueError, match="unknown init 'xaviar'. Did you mean 'xavier'"):
        small(init="xaviar")
    with pytest.raises(ValueError, match="activation_sparsity is 1: a share below"):
        small(activation_sparsity=1.0)
