"""What is found of a network's structure: axes, heads, neurons, the first and the last layer."""

from typing import Any

import pytest
import torch
from torch import Size, nn

from lth.models import MODELS, LeNet300100
from lth.models.transformer import Transformer
from lth.sparsity.granularities.axes import Axes
from lth.sparsity.granularities.coupled import Coupled, Side
from lth.sparsity.granularities.structure import Structure, structure_of
from lth.sparsity.prunable import prunable


def structure(module: nn.Module) -> Structure:
    return structure_of(module, prunable(module))


def tiny(name: str, **settings: Any) -> nn.Module:
    """A tiny network of the transformers library."""
    transformers = pytest.importorskip("transformers")
    config = getattr(transformers, f"{name}Config")(vocab_size=11, bos_token_id=0, eos_token_id=0, **settings)
    return getattr(transformers, f"{name}Model")(config)  # type: ignore[no-any-return]


def gpt2() -> nn.Module:
    return tiny("GPT2", n_positions=8, n_embd=8, n_layer=1, n_head=2)


def llama(**settings: Any) -> nn.Module:
    sizes = {"hidden_size": 16, "intermediate_size": 12, "num_hidden_layers": 1, "num_attention_heads": 4}
    return tiny("Llama", **sizes, **settings)


def bert() -> nn.Module:
    return tiny("Bert", hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=12)


def test_axes_of_every_kind_of_layer() -> None:
    layers = {
        "linear": nn.Linear(4, 2),
        "conv": nn.Conv2d(4, 6, 3, groups=2),
        "transposed": nn.ConvTranspose1d(4, 6, 3),
        "embedding": nn.Embedding(5, 4),
        "norm": nn.LayerNorm(4),
    }
    module = nn.ModuleDict(layers)
    found = structure_of(module, [name for name, _ in module.named_parameters()])
    assert found.axes == {
        "linear.weight": Axes(output=0, input=1),
        "conv.weight": Axes(output=0, input=1, groups=2, is_convolution=True),
        "transposed.weight": Axes(output=1, input=0, is_convolution=True),
        "embedding.weight": Axes(output=1, input=0),
    }
    assert (found.inputs, found.outputs) == (("linear.weight",), ("transposed.weight",))


def test_tensors_without_a_network() -> None:
    found = Structure.plain({"a": Size([4, 2]), "b": Size([4, 2, 3, 3]), "c": Size([4])})
    assert found == Structure({"a": Axes(), "b": Axes(is_convolution=True)})


@pytest.mark.parametrize("name", sorted(name for name in MODELS if MODELS[name].output))  # those that read images
def test_the_output_layer_of_every_model_is_found(name: str) -> None:
    assert structure(MODELS[name].make(input_shape=(32, 32), num_classes=3)).outputs == (MODELS[name].output,)


def test_a_name_of_another_network_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"'tail.weight' is no parameter of the network. Its parameters: weight, bias"):
        structure_of(nn.Linear(2, 3), ["tail.weight"])


def test_an_output_layer_tied_to_the_embedding_is_the_last_layer_still() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(vocab_size=11, n_positions=8, n_embd=8, n_layer=1, n_head=2, bos_token_id=0)
    found = structure(transformers.GPT2LMHeadModel(config))
    assert found.outputs == ("transformer.wte.weight",)
    assert found.outputs[0] not in found.axes


def test_our_transformer() -> None:
    found = structure(Transformer((8, 8), width=8, depth=2, heads=2))
    attention = [f"blocks.{block}.attention" for block in (0, 1)]
    assert found.heads == tuple(
        Coupled(2, (Side(f"{path}.in_proj_weight", 0, 3), Side(f"{path}.out_proj.weight", 1))) for path in attention
    )
    assert found.neurons == tuple(
        Coupled(32, (Side(f"blocks.{block}.mlp.0.weight", 0), Side(f"blocks.{block}.mlp.2.weight", 1)))
        for block in (0, 1)
    )


def test_attention_with_keys_and_values_of_other_widths() -> None:
    (found,) = structure(nn.MultiheadAttention(6, 3, kdim=4, vdim=2)).heads
    rows = [Side(f"{letter}_proj_weight", 0) for letter in "qkv"]
    assert found == Coupled(3, (*rows, Side("out_proj.weight", 1)))


def test_pytorchs_encoder_and_decoder_layers() -> None:
    encoder = structure(nn.TransformerEncoderLayer(4, 2, dim_feedforward=6))
    decoder = structure(nn.TransformerDecoderLayer(4, 2, dim_feedforward=6))
    assert [len(found.heads) for found in (encoder, decoder)] == [1, 2]
    assert encoder.neurons == decoder.neurons == (Coupled(6, (Side("linear1.weight", 0), Side("linear2.weight", 1))),)


def test_gpt2_stores_inputs_first() -> None:
    found = structure(gpt2())
    assert found.axes["h.0.mlp.c_fc.weight"] == Axes(output=1, input=0)
    assert found.heads == (Coupled(2, (Side("h.0.attn.c_attn.weight", 1, 3), Side("h.0.attn.c_proj.weight", 0))),)
    assert found.neurons == (Coupled(32, (Side("h.0.mlp.c_fc.weight", 1), Side("h.0.mlp.c_proj.weight", 0))),)


@pytest.mark.parametrize(("key_value_heads", "units"), [(4, 4), (2, 2), (1, 1)])
def test_llama_shares_key_heads_and_gates_its_mlp(key_value_heads: int, units: int) -> None:
    found = structure(llama(num_key_value_heads=key_value_heads))
    layer = "layers.0.self_attn"
    rows = [Side(f"{layer}.{letter}_proj.weight", 0) for letter in "qkv"]
    assert found.heads == (Coupled(units, (*rows, Side(f"{layer}.o_proj.weight", 1))),)
    firsts = [Side(f"layers.0.mlp.{name}_proj.weight", 0) for name in ("gate", "up")]
    assert found.neurons == (Coupled(12, (*firsts, Side("layers.0.mlp.down_proj.weight", 1))),)


def test_bert_keeps_its_output_projection_beside_the_attention() -> None:
    found = structure(bert())
    layer = "encoder.layer.0"
    rows = [Side(f"{layer}.attention.self.{name}.weight", 0) for name in ("query", "key", "value")]
    assert found.heads == (Coupled(2, (*rows, Side(f"{layer}.attention.output.dense.weight", 1))),)
    dense = [Side(f"{layer}.intermediate.dense.weight", 0), Side(f"{layer}.output.dense.weight", 1)]
    assert found.neurons == (Coupled(12, tuple(dense)),)


def test_t5_has_two_attentions_in_a_decoder_block() -> None:
    module = tiny("T5", d_model=8, d_kv=4, d_ff=12, num_layers=1, num_heads=2, decoder_start_token_id=0)
    found = structure(module)
    assert [heads.num_units for heads in found.heads] == [2, 2, 2]
    assert [neurons.num_units for neurons in found.neurons] == [12, 12]


def test_layers_outside_transformer_blocks_are_not_listed() -> None:
    plain = nn.ModuleDict({"fc1": nn.Linear(4, 6), "fc2": nn.Linear(6, 2)})
    for module in (LeNet300100(), plain, nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))):
        assert (structure(module).heads, structure(module).neurons) == ((), ())


class Lookalike(nn.Module):
    """Has the names of attention, and takes its shapes from the test."""

    def __init__(self, query: int, key: int, value: int, output: int) -> None:
        super().__init__()
        self.num_heads = 2
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(4, size) for size in (query, key, value))
        self.o_proj = nn.Linear(output, 4)


@pytest.mark.parametrize(
    ("sizes", "units"),
    [((4, 4, 4, 4), 2), ((4, 2, 2, 4), 1), ((8, 4, 4, 4), None), ((4, 4, 2, 4), None), ((4, 3, 3, 4), None)],
)
def test_names_alone_are_not_enough(sizes: tuple[int, int, int, int], units: int | None) -> None:
    found = structure(Lookalike(*sizes)).heads
    assert [heads.num_units for heads in found] == ([] if units is None else [units])


def test_a_layer_that_is_used_twice_is_listed_once() -> None:
    shared = nn.TransformerEncoderLayer(4, 2, dim_feedforward=6)
    other = nn.TransformerEncoderLayer(4, 2, dim_feedforward=6)
    other.linear1.weight = shared.linear1.weight
    found = structure(nn.Sequential(shared, shared, other))
    assert [len(found.heads), len(found.neurons)] == [2, 1]


def test_the_structure_is_data_alone() -> None:
    module = Transformer((8, 8), width=8, heads=2)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    assert structure(module) == structure(module)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
