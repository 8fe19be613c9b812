"""Units that live and die together: exact counts of units, and what is removed is really gone."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Size, Tensor, nn

from lth.models import LeNet300100
from lth.models.convnet import ConvNet
from lth.models.transformer import Transformer
from lth.sparsity import Masks, Scores, density, global_scope, layerwise, planned_counts, prunable, select
from lth.sparsity.granularities import GRANULARITIES, Granularity, families_of, granularity, unstructured
from lth.sparsity.granularities.axes import Axes
from lth.sparsity.granularities.coupled import Coupled, Side
from lth.sparsity.granularities.structure import Structure, structure_of
from lth.sparsity.granularities.units import alive_units, unit_scores, unit_sizes
from lth.sparsity.select import planned_density

SCOPES = {"global": global_scope, "layerwise": layerwise}
NAMES = [*(name for name in GRANULARITIES if name != "unstructured"), "block:2x3", "block:1x4"]
SHAPES = {
    "conv": Size([6, 4, 2, 2]),
    "grouped": Size([6, 2, 3]),
    "qkv": Size([12, 4]),
    "projection": Size([4, 4]),
    "first": Size([5, 4]),
    "second": Size([5, 4]),
    "bias": Size([3]),
    "output": Size([7, 4]),
}
STRUCTURE = Structure(
    axes={
        "conv": Axes(is_convolution=True),
        "grouped": Axes(groups=3, is_convolution=True),
        "second": Axes(output=1, input=0),
        **{name: Axes() for name in ("qkv", "projection", "first", "output")},
    },
    heads=(Coupled(2, (Side("qkv", 0, 3), Side("projection", 1))),),
    neurons=(Coupled(5, (Side("first", 0), Side("second", 0))),),
    inputs=("conv",),
    outputs=("output",),
)
seeds = st.integers(0, 2**31 - 1)
shares = st.floats(0, 1, allow_nan=False)


def tied_scores(seed: int) -> Scores:
    """Scores of 0 and 1 only: many units tie."""
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randint(0, 2, shape, generator=generator).float() for name, shape in SHAPES.items()}


def units_by_hand(name: str) -> dict[str, list[list[tuple[str, tuple[int, ...]]]]]:
    """The weights of every unit, family by family, written out entry by entry."""

    def entries(tensor: str) -> list[tuple[int, ...]]:
        return [tuple(index) for index in torch.ones(SHAPES[tensor]).nonzero().tolist()]

    def family(unit_of: dict[str, Callable[[tuple[int, ...]], Any]]) -> list[list[tuple[str, tuple[int, ...]]]]:
        weights = [(tensor, index) for tensor in unit_of for index in entries(tensor)]
        labels = sorted({unit_of[tensor](index) for tensor, index in weights})
        return [[(t, index) for t, index in weights if unit_of[t](index) == label] for label in labels]

    filters = {"conv": {"conv": lambda index: index[0]}, "grouped": {"grouped": lambda index: index[0]}}
    channels = {"grouped": {"grouped": lambda index: (index[0] // 2, index[1])}}
    rows = {tensor: {tensor: lambda index: index[0]} for tensor in ("qkv", "projection", "first")}
    columns = {tensor: {tensor: lambda index: index[1]} for tensor in ("qkv", "projection", "first", "output")}
    wanted: dict[str, dict[str, dict[str, Callable[[tuple[int, ...]], Any]]]] = {
        "filters": filters,
        "channels": channels,
        "output_units": filters | rows | {"second": {"second": lambda index: index[1]}},
        "input_units": channels | columns | {"second": {"second": lambda index: index[0]}},
        "heads": {"qkv": {"qkv": lambda index: index[0] % 4 // 2, "projection": lambda index: index[1] // 2}},
        "neurons": {"first": {"first": lambda index: index[0], "second": lambda index: index[0]}},
    }
    for num_outputs, num_inputs in ((2, 3), (1, 4)):
        wanted[f"block:{num_outputs}x{num_inputs}"] = {
            tensor: {
                tensor: lambda index, axes=axes, r=num_outputs, c=num_inputs: (
                    index[axes.output] // r,
                    index[axes.input] // c,
                )
            }
            for tensor, axes in STRUCTURE.axes.items()
        }
    return {first: family(unit_of) for first, unit_of in wanted[name].items()}


def reference(name: str, scores: Scores, old: Masks, share: float, is_global: bool) -> Masks:
    """The same choice with Python lists and a sort."""
    families = units_by_hand(name)
    new = {tensor: old[tensor].clone() if tensor in old else torch.ones(shape) > 0 for tensor, shape in SHAPES.items()}
    alive = {key: value.clone() for key, value in new.items()}
    for group in [sorted(families)] if is_global else [[key] for key in families]:
        units = [unit for key in group for unit in families[key]]
        ranked = []
        for position, unit in enumerate(units):
            kept = [float(scores[tensor][index]) for tensor, index in unit if alive[tensor][index]]
            if kept:
                ranked.append((sum(kept) / len(unit), position))
        keep = math.floor(len(units) * share + 0.5 + 1e-9)
        for _, position in sorted(ranked)[: max(0, len(ranked) - keep)]:
            for tensor, index in units[position]:
                new[tensor][index] = False
    return new


@settings(max_examples=80, deadline=None)
@given(seeds, st.lists(shares, min_size=1, max_size=3), st.sampled_from(NAMES), st.sampled_from(sorted(SCOPES)))
def test_counts_and_choice_are_exact_under_ties(seed: int, levels: list[float], name: str, scope: str) -> None:
    """Over levels that are scored anew: masks shrink, and every level equals a sort by hand."""
    masks: Masks = {}
    for level, share in enumerate(levels):
        old, scores = masks, tied_scores(seed + level)
        how: dict[str, Any] = {"scope": SCOPES[scope], "granularity": granularity(name), "structure": STRUCTURE}
        masks = select(scores, old, density=share, **how)
        wanted = reference(name, scores, old, share, scope == "global")
        assert list(masks) == list(SHAPES)
        assert all(torch.equal(mask, wanted[key]) and mask.dtype == torch.bool for key, mask in masks.items())
        assert all(bool((mask <= old[key]).all()) for key, mask in masks.items() if key in old)


@settings(max_examples=60, deadline=None)
@given(shares, st.sampled_from([*NAMES, "unstructured"]), st.sampled_from(sorted(SCOPES)))
def test_plans_equal_what_select_does(share: float, name: str, scope: str) -> None:
    grain = granularity(name)
    how: dict[str, Any] = {"density": share, "scope": SCOPES[scope], "granularity": grain, "structure": STRUCTURE}
    masks = select(tied_scores(4), {}, **how)
    kept = {tensor: int(mask.sum()) for tensor, mask in masks.items()}
    if grain.families is not None:
        kept = {f.name: int(alive_units(f, masks).sum()) for f in families_of(grain, SHAPES, STRUCTURE)}
    planned = planned_counts(SHAPES, **how)
    assert {key for group, _ in planned for key in group.names} == set(kept)
    assert all(keep == sum(kept[key] for key in group.names) for group, keep in planned)
    expected = planned_density(SHAPES, **how)
    assert expected is None or expected == density(masks)


def test_the_density_is_planned_where_all_units_are_of_one_size() -> None:
    def planned(name: str, scope: str, share: float = 0.5) -> float | None:
        how: dict[str, Any] = {"granularity": granularity(name), "structure": STRUCTURE, "scope": SCOPES[scope]}
        return planned_density(SHAPES, density=share, **how)

    total = sum(shape.numel() for shape in SHAPES.values())
    assert planned("heads", "global") == (total - 32) / total
    assert planned("filters", "layerwise") == (total - 48 - 18) / total
    assert planned("filters", "global") is None
    assert planned("filters", "global", share=0.0) == (total - 96 - 36) / total
    assert planned("filters", "global", share=1.0) == 1.0
    assert planned("block:2x3", "layerwise") is None


def test_rows_by_hand() -> None:
    """Rows of two sizes compete by their means: 2, 3 and 1, 1, of which the lower one goes first."""
    scores = {"b": torch.tensor([[2.0, 2.0], [5.0, 1.0]]), "a": torch.tensor([[0.0, 3.0, 0.0], [1.0, 1.0, 1.0]])}
    grain = granularity("output_units")
    masks = select(scores, {}, density=0.75, granularity=grain)
    assert {name: mask.all(1).tolist() for name, mask in masks.items()} == {"b": [True, True], "a": [False, True]}
    masks = select(scores, masks, density=0.25, granularity=grain)
    assert {name: mask.all(1).tolist() for name, mask in masks.items()} == {"b": [False, True], "a": [False, False]}


def test_blocks_at_the_edge_by_hand() -> None:
    """3x5 in blocks of 2x2: six blocks, the last of one weight; a block's score is its mean."""
    scores = {
        "w": torch.tensor(
            [
                [1.0, 1.0, 9.0, 0.0, 4.0],
                [1.0, 1.0, 0.0, 0.0, 2.0],
                [5.0, 1.0, 2.0, 2.5, 0.5],
            ]
        )
    }  # means 1, 2.25, 3 above; 3, 2.25, 0.5 below
    (family,) = families_of(granularity("block:2x2"), {"w": Size([3, 5])}, Structure.plain({"w": Size([3, 5])}))
    masks = {"w": torch.ones(3, 5, dtype=torch.bool)}
    assert unit_scores(family, scores, masks).tolist() == [1, 2.25, 3, 3, 2.25, 0.5]
    assert unit_sizes(family, {"w": Size([3, 5])}).tolist() == [4, 4, 2, 2, 2, 1]
    masks = select(scores, {}, density=0.5, granularity=granularity("block:2x2"))
    assert masks["w"].int().tolist() == [[0, 0, 0, 0, 1], [0, 0, 0, 0, 1], [1, 1, 1, 1, 0]]


def test_pruned_weights_count_as_zero_and_a_unit_lives_by_one_weight() -> None:
    scores = {"w": torch.tensor([[math.nan, 3.0], [2.0, 2.0], [9.0, 9.0]])}
    old = {"w": torch.tensor([[False, True], [True, True], [False, False]])}
    (family,) = families_of(granularity("output_units"), {"w": Size([3, 2])}, Structure.plain({"w": Size([3, 2])}))
    assert unit_scores(family, scores, old).tolist() == [1.5, 2.0, 0.0]
    assert alive_units(family, old).tolist() == [True, True, False]
    masks = select(scores, old, density=1 / 3, granularity=granularity("output_units"))
    assert masks["w"].tolist() == [[False, False], [True, True], [False, False]]


def test_key_applies_before_the_mean() -> None:
    scores = {"w": torch.tensor([[-2.0, 2.0], [1.0, 1.0]])}
    masks = select(scores, {}, density=0.5, granularity=granularity("output_units"), key=torch.abs)
    assert masks["w"].all(1).tolist() == [True, False]


def test_nan_scores_are_errors_and_inputs_stay_untouched() -> None:
    scores, old = tied_scores(0), {"conv": torch.rand(SHAPES["conv"]) > 0.5}
    before = old["conv"].clone()
    how: dict[str, Any] = {"density": 0.5, "granularity": granularity("filters"), "structure": STRUCTURE}
    for mask in select(scores, old, **how).values():
        mask.zero_()
    assert torch.equal(old["conv"], before)
    scores["conv"][0] = math.nan
    with pytest.raises(ValueError, match="NaN"):
        select(scores, {}, **how)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        *((make, "output_units") for make in (LeNet300100, ConvNet, Transformer)),
        *((Transformer, name) for name in ("heads", "neurons")),
        (ConvNet, "filters"),
    ],
)
def test_classes_are_never_pruned(make: Callable[..., nn.Module], name: str) -> None:
    module = make(input_shape=(8, 8))
    names = prunable(module)
    scores = {key: module.get_parameter(key).detach().abs() for key in names}
    how: dict[str, Any] = {"granularity": granularity(name), "structure": structure_of(module, names)}
    masks = select(scores, {}, density=0.0, **how)
    assert bool(masks["output.weight"].all())
    assert density(masks) < 1


def test_a_first_convolution_keeps_the_colours() -> None:
    module = ConvNet((3, 8, 8))
    names = prunable(module)
    scores = {key: module.get_parameter(key).detach().abs() for key in names}
    masks = select(
        scores, {}, density=0.5, granularity=GRANULARITIES["channels"], structure=structure_of(module, names)
    )
    assert bool(masks["conv1.weight"].all())
    assert masks["conv2.weight"].flatten(2).any(2).sum(1).tolist() == [8] * 32
    masks = select(
        scores, {}, density=0.5, granularity=GRANULARITIES["input_units"], structure=structure_of(module, names)
    )
    assert bool(masks["conv1.weight"].all())
    assert masks["output.weight"].float().mean() < 1


def test_single_weights_are_the_default() -> None:
    scores = tied_scores(2)
    masks = select(scores, {}, density=0.6)
    explicit = select(scores, {}, density=0.6, granularity=unstructured, structure=STRUCTURE)
    assert all(torch.equal(mask, explicit[name]) for name, mask in masks.items())


def tiny(name: str, **settings: Any) -> nn.Module:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(vocab_size=11, bos_token_id=0, eos_token_id=0, **settings)
    module = getattr(transformers, f"{name}Model")(config).double().eval()
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)  # biases too: what they add to a pruned head must not come through
    return module  # type: ignore[no-any-return]


MODULES: dict[str, Callable[[], nn.Module]] = {
    "gpt2": lambda: tiny("GPT2", n_positions=8, n_embd=8, n_layer=2, n_head=4),
    "llama": lambda: tiny(
        "Llama",
        hidden_size=16,
        intermediate_size=12,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
    ),
    "bert": lambda: tiny("Bert", hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=12),
}
LAST = {
    ("gpt2", "heads"): "h.{}.attn.c_proj",
    ("gpt2", "neurons"): "h.{}.mlp.c_proj",
    ("llama", "heads"): "layers.{}.self_attn.o_proj",
    ("llama", "neurons"): "layers.{}.mlp.down_proj",
    ("bert", "heads"): "encoder.layer.{}.attention.output.dense",
    ("bert", "neurons"): "encoder.layer.{}.output.dense",
}


def cut_half(module: nn.Module, name: str) -> tuple[Masks, list[Tensor]]:
    """Masks without half of the units by magnitude, and which units each family lost."""
    names = prunable(module)
    structure = structure_of(module, names)
    scores = {key: module.get_parameter(key).detach().abs() for key in names}
    masks = select(scores, {}, density=0.5, scope=layerwise, granularity=granularity(name), structure=structure)
    families = families_of(granularity(name), {key: score.shape for key, score in scores.items()}, structure)
    return masks, [~alive_units(family, masks) for family in families]


def apply(module: nn.Module, masks: Masks) -> None:
    with torch.no_grad():
        for name, mask in masks.items():
            module.get_parameter(name).mul_(mask)


@pytest.mark.parametrize(("kind", "name"), LAST)
def test_what_is_pruned_has_no_effect_at_all(kind: str, name: str) -> None:
    """Pruned weights give what the whole network gives when the signal of those units is cut by a hook."""
    module, tokens = MODULES[kind](), torch.tensor([[1, 2, 3, 4, 5]])
    masks, dead = cut_half(module, name)
    whole = module(tokens).last_hidden_state

    hooks = []
    for layer, units in enumerate(dead):
        last = module.get_submodule(LAST[kind, name].format(layer))

        def cut(_: nn.Module, inputs: tuple[Tensor, ...], units: Tensor = units) -> tuple[Tensor, ...]:
            return (inputs[0] * ~units.repeat_interleave(inputs[0].shape[-1] // len(units)),)

        hooks.append(last.register_forward_pre_hook(cut))
    wanted = module(tokens).last_hidden_state
    for hook in hooks:
        hook.remove()

    apply(module, masks)
    assert all(int(units.sum()) == len(units) // 2 for units in dead)
    assert torch.allclose(module(tokens).last_hidden_state, wanted, atol=1e-12)
    assert not torch.allclose(whole, wanted, atol=1e-3)


@pytest.mark.parametrize("kdim", [None, 5])
def test_heads_of_pytorchs_attention_are_really_gone(kdim: int | None) -> None:
    """Against attention written out head by head, over the kept heads alone."""
    torch.manual_seed(0)
    module = nn.MultiheadAttention(6, 3, kdim=kdim, batch_first=True).double()
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    query, key, value = torch.rand(2, 4, 6), torch.rand(2, 7, kdim or 6), torch.rand(2, 7, 6)
    query, key, value = query.double(), key.double(), value.double()
    packed = module.in_proj_weight
    weights = (module.q_proj_weight, module.k_proj_weight, module.v_proj_weight) if packed is None else packed.chunk(3)
    q, k, v = (
        nn.functional.linear(x, weight, bias).unflatten(-1, (3, 2)).transpose(1, 2)  # (batch, head, token, 2)
        for x, weight, bias in zip((query, key, value), weights, module.in_proj_bias.chunk(3), strict=True)
    )
    heads = (q @ k.mT / 2**0.5).softmax(-1) @ v
    masks, (dead,) = cut_half(module, "heads")
    assert int(dead.sum()) == 1  # round(3 * 0.5) = 2 heads stay
    columns = module.out_proj.weight.unflatten(1, (3, 2))  # (output, head, 2)
    parts = [heads[:, head] @ columns[:, head].mT for head in range(3) if not dead[head]]
    wanted = torch.stack(parts).sum(0) + module.out_proj.bias
    apply(module, masks)
    found, _ = module(query, key, value)
    assert torch.allclose(found, wanted, atol=1e-12)
    pieces = [masks["in_proj_weight"]] if packed is not None else [masks[f"{name}_proj_weight"] for name in "qkv"]
    assert torch.equal(torch.cat([mask.all(1) for mask in pieces]), (~dead).repeat_interleave(2).repeat(3))
    assert torch.equal(masks["out_proj.weight"].all(0), (~dead).repeat_interleave(2))


def test_rates_go_by_the_first_tensor_of_a_family() -> None:
    how: dict[str, Any] = {
        "density": 1.0,
        "scope": layerwise,
        "granularity": granularity("heads"),
        "structure": STRUCTURE,
    }
    masks = select(tied_scores(0), {}, by_pattern={"qk*": 0.5}, **how)
    assert int(masks["projection"].sum()) == 8
    with pytest.warns(UserWarning, match="rates of 'projection' have no effect: this granularity knows rates of qkv"):
        select(tied_scores(0), {}, by_pattern={"projection": 0.5}, **how)
    with pytest.raises(ValueError, match="pattern 'projektion' matches no parameter"):
        select(tied_scores(0), {}, by_pattern={"projektion": 0.5}, **how)


def test_heads_of_a_part_of_the_tensors() -> None:
    """Where only some of a head's tensors may be pruned, those go."""
    scores = {"qkv": tied_scores(0)["qkv"]}
    masks = select(scores, {}, density=0.5, granularity=granularity("heads"), structure=STRUCTURE)
    assert int(masks["qkv"].sum()) == 24


def test_names() -> None:
    assert all(granularity(name) is grain for name, grain in GRANULARITIES.items())
    assert granularity("block:04x8") == granularity("block:4x8") != granularity("block:8x4")
    assert granularity("2:4") == Granularity("2:4", pattern=(2, 4))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("filter", "unknown granularity 'filter'. Did you mean 'filters'.*block:RxC.*N:M"),
        ("block:4", "unknown granularity 'block:4'"),
        ("block:0x4", "empty blocks"),
        ("4:4", "needs 1 <= N < M"),
        ("0:4", "needs 1 <= N < M"),
        ("N:M (as 2:4)", "put numbers in"),
    ],
)
def test_names_that_are_none(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        granularity(name)


@pytest.mark.parametrize("name", ["heads", "neurons", "filters", "channels"])
def test_networks_without_such_units(name: str) -> None:
    module = LeNet300100((8, 8))
    names = prunable(module)
    scores = {key: module.get_parameter(key).detach().abs() for key in names}
    with pytest.raises(ValueError, match=rf"granularity '{name}' finds nothing .* hidden1.weight, .* another granul"):
        select(scores, {}, density=0.5, granularity=granularity(name), structure=structure_of(module, names))
