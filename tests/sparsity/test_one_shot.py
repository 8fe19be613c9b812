"""Pruning at once: block after block, against a direct loop as the papers' code has it."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from lth.config import Pruning
from lth.models import Gpt2
from lth.models.blocks import blocks_of
from lth.sparsity.one_shot import PrunedBlock, block_inputs, prune_blocks

transformers = pytest.importorskip("transformers")

SEQUENCES = torch.randint(0, 40, (5, 12), generator=torch.Generator().manual_seed(1))


def llama() -> nn.Module:
    config = transformers.LlamaConfig(
        vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=3, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=32, use_cache=False, initializer_range=0.3,
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config)  # type: ignore[no-any-return]


def conv1d() -> nn.Module:
    config = transformers.GPT2Config(
        vocab_size=40, n_positions=32, n_embd=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0,
        use_cache=False, initializer_range=0.3,
    )  # fmt: skip
    return transformers.GPT2LMHeadModel(config)  # type: ignore[no-any-return]


def ours() -> nn.Module:
    return Gpt2(40, 32, n_layer=2, n_head=2, n_embd=16)


FAMILIES = {"llama": llama, "conv1d": conv1d, "ours": ours}


def made(family: str) -> nn.Module:
    torch.manual_seed(0)
    return FAMILIES[family]().eval()


def pruned(module: nn.Module, criterion: str = "wanda", rate: float = 0.5, **options: object) -> list[PrunedBlock]:
    grain = options.pop("granularity", "unstructured")
    pruning = Pruning(criterion=criterion, scope="layerwise", rate=rate, granularity=str(grain))
    _, blocks = blocks_of(module)
    inputs = None if criterion == "large_final" else block_inputs(module, blocks, SEQUENCES)
    return list(prune_blocks(blocks, inputs, pruning, **options))  # type: ignore[arg-type]


def matrices(block: nn.Module) -> dict[str, nn.Module]:
    kinds = ("Linear", "Conv1D")
    return {f"{name}.weight": layer for name, layer in block.named_modules() if type(layer).__name__ in kinds}


def matrix(layer: nn.Module, values: Tensor) -> Tensor:
    """(output, input), however it is stored."""
    return values.T if type(layer).__name__ == "Conv1D" else values


def note(squares: dict[str, Tensor], name: str, _: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> None:
    rows = args[0].reshape(-1, args[0].shape[-1])
    squares[name] = squares.get(name, torch.zeros(())) + rows.square().sum(0)


@torch.no_grad()
def by_hand(module: nn.Module, score: Callable[[Tensor, Tensor], Tensor], by_row: bool) -> list[dict[str, Tensor]]:
    """The direct way: for each block a forward pass of the whole network, whose earlier blocks are pruned already."""
    _, blocks = blocks_of(module)
    found = []
    for block in blocks:
        layers, squares = matrices(block), dict[str, Tensor]()
        hooks = [layer.register_forward_hook(partial(note, squares, name)) for name, layer in layers.items()]
        for tokens in SEQUENCES:
            module(tokens[None])
        for hook in hooks:
            hook.remove()
        masks = {}
        for name, layer in layers.items():
            weight = matrix(layer, layer.weight)
            scores = score(weight, squares[name].sqrt())
            groups = scores if by_row else scores.reshape(1, -1)
            order = groups.argsort(dim=1, stable=True)[:, : groups.shape[1] // 2]
            mask = torch.ones_like(groups, dtype=torch.bool).scatter_(1, order, False).reshape(weight.shape)
            weight[~mask] = 0
            masks[name] = mask
        found.append(masks)
    return found


def assert_same(module: nn.Module, found: list[PrunedBlock], wanted: list[dict[str, Tensor]]) -> None:
    _, blocks = blocks_of(module)
    for block, each, masks in zip(blocks, found, wanted, strict=True):
        layers = matrices(block)
        assert each.masks.keys() == masks.keys()
        for name, mask in each.masks.items():
            assert torch.equal(matrix(layers[name], mask), masks[name]), (each.number, name)
            assert torch.equal(layers[name].weight != 0, mask)


@pytest.mark.parametrize("family", FAMILIES)
def test_wanda_is_the_papers_loop(family: str) -> None:
    module = made(family)
    found = pruned(module)
    assert_same(module, found, by_hand(made(family), lambda weight, norm: weight.abs() * norm, by_row=True))


@pytest.mark.parametrize("family", FAMILIES)
def test_ria_is_the_papers_loop(family: str) -> None:
    def score(weight: Tensor, norm: Tensor) -> Tensor:
        size = weight.abs()
        return (size / size.sum(0) + size / size.sum(1, keepdim=True)) * norm**0.5

    module = made(family)
    assert_same(module, pruned(module, "ria"), by_hand(made(family), score, by_row=False))


@pytest.mark.parametrize("family", FAMILIES)
def test_magnitude_needs_no_examples(family: str) -> None:
    module = made(family)
    wanted = by_hand(made(family), lambda weight, norm: weight.abs(), by_row=False)
    assert_same(module, pruned(module, "large_final"), wanted)


def test_blocks_see_what_pruned_ones_give() -> None:
    """Scored on the dense network, later blocks would keep others; the first one would not."""
    dense = made("llama")
    _, blocks = blocks_of(dense)
    inputs = block_inputs(dense, blocks, SEQUENCES)
    assert len(inputs.hidden) == len(SEQUENCES)
    found = pruned(made("llama"))
    one_by_one = []
    for number in range(3):
        other = made("llama")
        _, others = blocks_of(other)
        hidden = []
        for tokens in SEQUENCES:
            with torch.no_grad():
                hidden.append(other.model(tokens[None], output_hidden_states=True).hidden_states[number])
        alone = block_inputs(other, others, SEQUENCES)
        pruning = Pruning(criterion="wanda", scope="layerwise", rate=0.5)
        some = type(alone)(hidden, alone.more[number : number + 1])
        one_by_one += list(prune_blocks(others[number : number + 1], some, pruning))
    same = [
        all(torch.equal(mask, other.masks[name]) for name, mask in each.masks.items())
        for each, other in zip(found, one_by_one, strict=True)
    ]
    assert same == [True, False, False]


def test_two_of_four_stay_in_every_output() -> None:
    module = made("llama")
    for each in pruned(module, granularity="2:4"):
        for mask in each.masks.values():
            assert (mask.reshape(mask.shape[0], -1, 4).sum(2) == 2).all()


@pytest.mark.parametrize("family", ["llama", "conv1d"])
def test_protected_weights_stay_and_counts_are_exact(family: str) -> None:
    name = {"llama": "mlp.down_proj", "conv1d": "mlp.c_proj"}[family]
    before = made(family)
    _, blocks = blocks_of(before)
    layer = matrices(blocks[1])[f"{name}.weight"]
    smallest = divmod(int(matrix(layer, layer.weight).abs().argmin()), matrix(layer, layer.weight).shape[1])
    for criterion in ("large_final", "wanda", "ria"):
        plain, kept = made(family), made(family)
        without = pruned(plain, criterion)[1].masks[f"{name}.weight"]
        protected = pruned(kept, criterion, protect={1: [f"{name}:{smallest[0]},{smallest[1]}"]})[1]
        mask = matrix(layer, protected.masks[f"{name}.weight"])
        assert mask[smallest]
        if criterion == "large_final":
            assert not matrix(layer, without)[smallest]
        assert mask.sum() == without.sum() == mask.numel() // 2


@pytest.mark.parametrize("criterion", ["large_final", "wanda", "ria"])
def test_protecting_what_stays_anyway_changes_nothing(criterion: str) -> None:
    """A super weight is large: no method removes it, so that its protection costs and gains nothing."""
    plain, planted = made("llama"), made("llama")
    for module in (plain, planted):
        with torch.no_grad():
            module.get_parameter("model.layers.1.mlp.down_proj.weight")[5, 7] = 6.0
    found, protected = pruned(plain, criterion), pruned(planted, criterion, protect={1: ["mlp.down_proj:5,7"]})
    assert found[1].masks["mlp.down_proj.weight"][5, 7]
    for one, other in zip(found, protected, strict=True):
        assert all(torch.equal(mask, other.masks[name]) for name, mask in one.masks.items())


def test_owl_shares_out_what_is_asked() -> None:
    module = made("llama")
    found = pruned(module, rate=0.7, owl=True)
    densities = torch.tensor([mask.float().mean() for each in found for mask in each.masks.values()])
    total = sum(mask.numel() for each in found for mask in each.masks.values())
    assert sum(int(mask.sum()) for each in found for mask in each.masks.values()) == round(0.3 * total)
    assert 0.05 < densities.max() - densities.min() <= 0.16 + 0.01
    with pytest.raises(ValueError, match="looks at activations"):
        _, blocks = blocks_of(made("llama"))
        list(prune_blocks(blocks, None, Pruning(), owl=True))


def test_what_is_no_matrix_of_a_block_stays() -> None:
    module, before = made("llama"), made("llama")
    pruned(module)
    now = dict(module.named_parameters())
    for name, value in before.named_parameters():
        changed = not torch.equal(value, now[name])
        assert changed == ("layers" in name and "norm" not in name), name


def test_a_module_without_blocks_is_named() -> None:
    with pytest.raises(ValueError, match="Linear has no list of blocks"):
        blocks_of(nn.Linear(2, 2))
