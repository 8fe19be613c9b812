"""Down-projections of every family: found, observed, edited for a while."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from networks import MIXTURES, NAMES, network
from torch import Tensor, nn

from lth.superweights.projections import FAMILIES, DownProjection, down_projections, edited, observed

PROMPT = torch.tensor([[3, 4, 5, 6, 7]])
Seen = dict[tuple[int, int | None], tuple[Tensor, Tensor, Tensor]]


@torch.no_grad()
def logits(module: nn.Module, tokens: Tensor = PROMPT) -> Tensor:
    outputs = module(tokens)
    return outputs if isinstance(outputs, Tensor) else outputs[0]


def seen_in(module: nn.Module, tokens: Tensor = PROMPT) -> Seen:
    """Return what each projection was shown in a forward pass."""
    seen: Seen = {}

    def see(projection: DownProjection, tokens: Tensor, inputs: Tensor, outputs: Tensor) -> None:
        seen[projection.block, projection.expert] = tokens, inputs.clone(), outputs.clone()

    with observed(down_projections(module), see):
        logits(module, tokens)
    return seen


def bias_of(projection: DownProjection) -> Tensor | float:
    if projection.expert is None:
        return 0.0 if getattr(projection.module, "bias", None) is None else projection.module.bias
    return projection.module.down_proj_bias[projection.expert] if projection.module.has_bias else 0.0


@pytest.mark.parametrize("name", NAMES)
def test_a_family_is_known_and_its_matrix_turns_inputs_into_outputs(name: str) -> None:
    module = network(name)
    projections = down_projections(module)
    assert {projection.block for projection in projections} == {0, 1, 2}
    seen = seen_in(module)
    for projection in projections:
        assert dict(module.named_parameters())[projection.name].untyped_storage().data_ptr() == (
            projection.weight.untyped_storage().data_ptr()
        )
        assert projection.weight.shape == projection.shape == (32, projection.shape[1])
        if (projection.block, projection.expert) in seen or projection.expert is None:
            tokens, inputs, outputs = seen[projection.block, projection.expert]
            assert inputs.dtype == outputs.dtype == torch.float32
            assert len(tokens) == len(inputs)
            expected = inputs @ projection.weight.T + bias_of(projection)
            torch.testing.assert_close(outputs, expected, rtol=1e-4, atol=1e-5)
    every = {expert for projection in projections if (expert := projection.expert) is not None}
    assert every == ({0, 1, 2, 3} if name in MIXTURES else set())


def test_every_family_is_tested() -> None:
    names = [projection.name for name in NAMES for projection in down_projections(network(name))]
    for family, pattern in FAMILIES.items():
        assert any(re.search(rf"{pattern}\.\w+$", name) for name in names), family


@pytest.mark.parametrize("name", MIXTURES)
@pytest.mark.parametrize("implementation", ["eager", "grouped_mm"])
def test_experts_add_up_to_what_their_module_returns(name: str, implementation: str) -> None:
    module = network(name)
    module.set_experts_implementation(implementation)  # type: ignore[operator]
    calls: list[tuple[Any, ...]] = []
    experts = down_projections(module)[-1].module
    experts.register_forward_hook(lambda _, args, out: calls.append((*args, out)))
    seen = seen_in(module)
    ((hidden, chosen, shares, out),) = calls
    total = torch.zeros_like(out)
    for (block, expert), (tokens, _, outputs) in seen.items():
        if block == 2 and expert is not None:
            choices = (chosen[tokens] == expert).int().argmax(1)
            total[tokens] += outputs * shares[tokens, choices, None]
    torch.testing.assert_close(total, out.reshape(hidden.shape), rtol=1e-4, atol=1e-6)
    assert sum(len(rows[0]) for (block, expert), rows in seen.items() if block == 2 and expert is not None) == 10


def test_experts_that_compute_otherwise_are_refused() -> None:
    module = network("mixtral")
    experts = down_projections(module)[0].module
    experts.register_forward_hook(lambda _, args, out: 1.2 * out)
    with pytest.raises(ValueError, match="MixtralExperts compute in a way that is not known"):
        seen_in(module)


def test_tokens_are_counted_over_the_batch() -> None:
    tokens, inputs, _ = seen_in(network("lth"), torch.tensor([[3, 4], [5, 6], [3, 4]]))[0, None]
    assert tokens.tolist() == [0, 1, 2, 3, 4, 5]
    torch.testing.assert_close(inputs[:2], inputs[4:])


@pytest.mark.parametrize("name", ["lth", "gpt2", "llama", "mixtral", "gpt_oss", "bert"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_an_edit_holds_for_a_while_and_the_bits_return(name: str, dtype: torch.dtype) -> None:
    module = network(name).to(dtype)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    whole = logits(module)
    projection = down_projections(module)[-1]
    with pytest.raises(KeyboardInterrupt), edited(projection) as weight:
        weight[3] = torch.nan
        weight[:, 5] *= 3
        assert logits(module).isnan().any() or name in MIXTURES
        changed = {key for key, value in module.state_dict().items() if not torch.equal(value, before[key])}
        assert changed >= {projection.name}
        raise KeyboardInterrupt
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())
    assert torch.equal(logits(module), whole)


@pytest.mark.parametrize("name", ["llama", "gpt2", "mixtral"])
@pytest.mark.parametrize("place", ["memory", "disk"])
def test_weights_that_accelerate_keeps_elsewhere(name: str, place: str, tmp_path: Path) -> None:
    from accelerate import cpu_offload, disk_offload

    module = network(name)
    expected, whole = seen_in(module), logits(module)
    projection = down_projections(module)[-2]
    with edited(projection) as weight:
        weight[:, 2] = 1.0
        changed = logits(module)
    cpu = torch.device("cpu")
    cpu_offload(module, cpu) if place == "memory" else disk_offload(module, str(tmp_path), cpu)
    offloaded = down_projections(module)[-2]
    assert getattr(offloaded.module, offloaded.name.rpartition(".")[2]).is_meta
    assert torch.equal(offloaded.weight, projection.weight)
    assert offloaded.shape == projection.shape
    for key, rows in seen_in(module).items():
        assert all(map(torch.equal, rows, expected[key]))
    with edited(offloaded) as weight, edited(offloaded) as again:
        again[:, 2] = 1.0
        assert torch.equal(logits(module), changed)
    assert torch.equal(logits(module), whole)


def test_shapes_need_no_values() -> None:
    with torch.device("meta"):
        module = network("llama")
    assert {projection.shape for projection in down_projections(module)} == {(32, 48)}


def test_an_unknown_architecture_is_one_clear_line() -> None:
    with pytest.raises(
        ValueError, match=r"Sequential has no MLP whose down-projection is known. Families: gpt2, .*, llama, "
    ) as error:
        down_projections(nn.Sequential(nn.Linear(2, 2)))
    assert "\n" not in str(error.value)


def test_experts_in_a_list_are_refused() -> None:
    module = network("llama")
    module.model.layers[1].mlp.experts = nn.ModuleList([nn.Sequential(nn.Linear(2, 2))])  # type: ignore[union-attr, index]
    with pytest.raises(ValueError, match=r"LlamaForCausalLM keeps its experts in a list \(model.layers.1.mlp.exp"):
        down_projections(module)


def test_two_stacks_are_refused() -> None:
    both = nn.ModuleDict({"encoder": network("bert"), "decoder": network("bert")})
    with pytest.raises(ValueError, match="ModuleDict has two down-projections at block 0"):
        down_projections(both)


def test_quantised_weights_are_refused() -> None:
    module = network("llama")
    layer = module.model.layers[1].mlp  # type: ignore[union-attr, index]
    layer.down_proj.weight = nn.Parameter(layer.down_proj.weight.to(torch.int8), requires_grad=False)
    with pytest.raises(ValueError, match=r"down_proj is of class Linear with weights of torch.int8"):
        down_projections(module)
