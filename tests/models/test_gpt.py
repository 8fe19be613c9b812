"""The causal transformer: its size, what a position sees, stacking, and that it learns."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap

from lth.models.gpt import CausalAttention, Gpt
from lth.sparsity.granularities.coupled import attention_heads, mlp_neurons
from lth.sparsity.prunable import prunable
from lth.tasks import LanguageModel


def tokens(rows: int = 4, length: int = 6, vocabulary: int = 11) -> Tensor:
    return torch.randint(0, vocabulary, (rows, length), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        ({}, 108_352),  # 65*64 + 64*64 + 2 * (12*64*64 + 9*64 + 4*64) + 2*64
        ({"bias": False}, 106_880),  # 65*64 + 64*64 + 2 * (12*64*64 + 2*64) + 64
        ({"width": 32, "depth": 3, "heads": 2}, 42_304),  # 65*32 + 64*32 + 3 * (12*32*32 + 13*32) + 2*32
    ],
)
def test_exact_numbers_of_parameters(arguments: dict[str, int], count: int) -> None:
    module = Gpt(65, 64, **arguments)  # type: ignore[arg-type]
    assert sum(value.numel() for value in module.parameters()) == count
    assert module(tokens(vocabulary=65)).shape == (4, 6, 65)


def test_initialisation_is_gpt2s() -> None:
    torch.manual_seed(0)
    module = Gpt(200, 64, width=128, depth=8)
    for name, value in module.named_parameters():
        if value.ndim > 1:
            is_last = name.endswith(("out_proj.weight", "c_proj.weight"))
            expected = 0.02 / math.sqrt(16) if is_last else 0.02
            assert value.std().item() == pytest.approx(expected, rel=0.05), name
        else:
            assert torch.equal(value, torch.full_like(value, 0.0 if name.endswith("bias") else 1.0)), name
    loss = F.cross_entropy(module(tokens(64, 32, 200)).flatten(0, 1), tokens(64, 32, 200).flip(0).flatten())
    assert loss.item() == pytest.approx(math.log(200), rel=0.05)


def test_no_position_sees_what_comes_after() -> None:
    torch.manual_seed(0)
    module, before = Gpt(11, 6, width=16).double().eval(), tokens()
    after = before.clone()
    after[:, 3] = (after[:, 3] + 1) % 11
    left, right = module(before), module(after)
    assert torch.equal(left[:, :3], right[:, :3])
    assert (left[:, 3:] != right[:, 3:]).any(-1).all()
    torch.testing.assert_close(module(before[:, :4]), left[:, :4])


def test_attention_is_that_of_pytorch() -> None:
    torch.manual_seed(0)
    layer, hidden = CausalAttention(12, 3, 0.0, True).double(), torch.randn(2, 5, 12, dtype=torch.float64)
    query, key, value = (
        projection(hidden).view(2, 5, 3, 4).transpose(1, 2) for projection in (layer.q_proj, layer.k_proj, layer.v_proj)
    )
    expected = F.scaled_dot_product_attention(query, key, value, is_causal=True).transpose(1, 2).reshape(2, 5, 12)
    torch.testing.assert_close(layer(hidden), layer.out_proj(expected))


def test_the_embedding_is_the_output_layer() -> None:
    module = Gpt(11, 6, width=16).eval()
    hidden: list[Tensor] = []
    module.norm.register_forward_hook(lambda layer, inputs, output: hidden.append(output))
    torch.testing.assert_close(module(tokens()), hidden[0] @ module.embed.weight.T)


def test_heads_and_neurons_are_recognised() -> None:
    module = Gpt(11, 6, width=16, depth=2, heads=4)
    heads = attention_heads(module)
    assert {name: each.num_units for name, each in heads.items()} == {f"blocks.{i}.attention": 4 for i in range(2)}
    neurons = mlp_neurons(module, heads)
    assert {name: each.num_units for name, each in neurons.items()} == {f"blocks.{i}.mlp": 64 for i in range(2)}
    sides = {side.name for each in (*heads.values(), *neurons.values()) for side in each.sides}
    assert sides == set(prunable(module))  # the embeddings stay whole


@pytest.mark.parametrize("is_training", [True, False])
def test_stacked_networks_give_what_each_gives_alone(is_training: bool) -> None:
    torch.manual_seed(0)
    modules = [Gpt(11, 6, width=8, heads=2).double().train(is_training) for _ in range(3)]
    ids = tokens()
    with torch.set_grad_enabled(is_training):
        wanted = torch.stack([module(ids) for module in modules])
        parameters, buffers = stack_module_state([copy.deepcopy(module) for module in modules])
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
    module, ids = Gpt(11, 6, width=16, dropout=0.5), tokens()
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
        module = Gpt(11, 11, width=16, heads=2)
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
    with pytest.raises(ValueError, match="width 10 does not fall into 4 heads"):
        Gpt(11, 6, width=10)
    with pytest.raises(ValueError, match="7 tokens do not fit into a block of 6"):
        Gpt(11, 6)(tokens(length=7))
