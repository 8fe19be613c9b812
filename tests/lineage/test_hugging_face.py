"""Networks of `transformers`: made from a config, read strictly from folders and GGUF files, kept, left on disk."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from lth.config import SettingsError
from lth.lineage import Initial, Pretrained, Reader, Sources, Store
from lth.lineage.foreign import (
    head_match,
    hugging_face_spec,
    hugging_face_state,
    is_gguf,
    load_hugging_face,
    pretrained_digest,
    stored_types,
)
from lth.lineage.loaded import forget, module_of
from lth.models import ModelSpec, make_model, resolve_factory, skeleton
from lth.models.hugging_face import config_text
from lth.tasks.task import called

transformers = pytest.importorskip("transformers")

SMALL = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
IDS = torch.arange(12).reshape(2, 6)


def llama(folder: Path, **config: Any) -> Any:
    settings = SMALL | {"intermediate_size": 24, "num_key_value_heads": 1, "max_position_embeddings": 32} | config
    return saved(folder, transformers.LlamaForCausalLM(transformers.LlamaConfig(**settings)))


def gpt2(folder: Path) -> Any:
    config = transformers.GPT2Config(vocab_size=40, n_positions=32, n_embd=16, n_layer=2, n_head=2)
    return saved(folder, transformers.GPT2LMHeadModel(config))


def bert(folder: Path, head: str = "BertForMaskedLM") -> Any:
    config = transformers.BertConfig(**SMALL, intermediate_size=24, max_position_embeddings=32)
    return saved(folder, getattr(transformers, head)(config))


def saved(folder: Path, model: Any) -> Any:
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.3 * torch.randn_like(parameter))
    model.eval().save_pretrained(folder)
    return model


def reader_of(tmp_path: Path, folder: Path) -> tuple[Reader, Pretrained]:
    digest = pretrained_digest(folder)
    node = Pretrained(spec=hugging_face_spec(folder), digest=digest)
    return Reader(Store(tmp_path / "store"), Sources(weights={digest: folder})), node


def outputs(module: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return called(module, {"x": IDS})


@pytest.mark.parametrize("make", [llama, gpt2, bert])
def test_a_folder_gives_the_network_that_was_saved(tmp_path: Path, make: Any) -> None:
    theirs = make(tmp_path / "model")
    reader, node = reader_of(tmp_path, tmp_path / "model")
    module = module_of(reader, node)
    assert torch.equal(outputs(module), theirs(IDS).logits)
    assert module_of(reader, node) is module  # kept
    ours = reader.module(node.model)
    ours.load_state_dict(reader.weights(node))
    assert torch.equal(outputs(ours.eval()), theirs(IDS).logits)


@pytest.mark.parametrize(
    ("head", "shape"),
    [
        ("encoder", (2, 6, 16)),
        ("masked-lm", (2, 6, 40)),
        ("sequence-classification", (2, 2)),
        ("causal-lm", (2, 6, 40)),
    ],
)
def test_every_head_is_made_with_and_without_values(tmp_path: Path, head: str, shape: tuple[int, ...]) -> None:
    bert(tmp_path)
    spec = hugging_face_spec(tmp_path, head)
    factory = resolve_factory(spec.name)
    module = make_model(spec, factory, seed=1)
    assert outputs(module.eval()).shape == shape
    again = make_model(spec, factory, seed=1)
    assert all(torch.equal(one, two) for one, two in zip(module.parameters(), again.parameters(), strict=True))
    bare = skeleton(spec, factory)
    assert all(value.is_meta for value in bare.parameters())
    assert [name for name, _ in bare.named_parameters()] == [name for name, _ in module.named_parameters()]


def test_the_config_holds_no_places_and_no_versions(tmp_path: Path) -> None:
    llama(tmp_path)
    one = hugging_face_spec(tmp_path)
    document = json.loads((tmp_path / "config.json").read_text())
    document |= {"_name_or_path": "/elsewhere", "transformers_version": "9.9", "dtype": "float16", "use_cache": True}
    (tmp_path / "config.json").write_text(json.dumps(document))
    assert hugging_face_spec(tmp_path) == one
    assert one.arguments["head"] == "causal-lm"
    assert config_text({"b": 1, "a": 2, "_name_or_path": "x"}) == '{"a":2,"b":1}'


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_weights_come_in_the_precision_that_is_asked_for(tmp_path: Path, precision: str) -> None:
    theirs = llama(tmp_path / "model")
    reader, node = reader_of(tmp_path, tmp_path / "model")
    module = module_of(reader, node, precision)
    dtype = getattr(torch, precision)
    wanted = dict(theirs.named_parameters())
    assert all(torch.equal(value, wanted[name].to(dtype)) for name, value in module.named_parameters())
    assert module.model.rotary_emb.inv_freq.dtype == torch.float32
    with pytest.raises(SettingsError, match="unknown precision"):
        module_of(reader, node, "float8")


@pytest.mark.parametrize("make", [llama, gpt2])
def test_blocks_on_disk_give_the_same_logits(tmp_path: Path, make: Any) -> None:
    make(tmp_path / "model")
    reader, node = reader_of(tmp_path, tmp_path / "model")
    wanted = outputs(module_of(reader, node))
    module = module_of(reader, node, offload=tmp_path / "offload")
    blocks = next(part for part in module.modules() if isinstance(part, torch.nn.ModuleList))
    assert all(value.is_meta for value in blocks.parameters())  # nothing of them stays in memory
    assert torch.equal(outputs(module), wanted)
    assert all(value.is_meta for value in blocks.parameters())
    forget()


def test_a_half_precision_model_on_disk(tmp_path: Path) -> None:
    llama(tmp_path / "model")
    reader, node = reader_of(tmp_path, tmp_path / "model")
    wanted = outputs(module_of(reader, node, "bfloat16"))
    assert torch.equal(outputs(module_of(reader, node, "bfloat16", offload=tmp_path / "offload")), wanted)
    forget()


def test_a_network_of_lth_is_loaded_too(tmp_path: Path) -> None:
    spec = ModelSpec(name="gpt2", arguments={"vocabulary": 40, "block": 8, "n_layer": 1, "n_head": 2, "n_embd": 8})
    reader, node = Reader(Store(tmp_path), Sources()), Initial(spec=spec, seed=3)
    module = module_of(reader, node)
    assert all(torch.equal(value, reader.weights(node)[name]) for name, value in module.named_parameters())
    assert {value.dtype for value in module_of(reader, node, "bfloat16").parameters()} == {torch.bfloat16}
    with pytest.raises(ValueError, match="stay on disk"):
        module_of(reader, node, offload=tmp_path)
    forget()


def changed(folder: Path, change: Any) -> None:
    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, folder / "model.safetensors", {"format": "pt"})


DOWN = "model.layers.1.mlp.down_proj.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop(DOWN), f"lacks {DOWN}"),
        (lambda state: state.update({"model.layers.7.mlp.more": torch.ones(2)}), "holds model.layers.7.mlp.more"),
        (lambda state: state.update({DOWN: torch.ones(3, 3)}), rf"{DOWN} \(3, 3\) in place of \(16, 24\)"),
        (lambda state: state[DOWN].fill_(torch.nan), f"{DOWN} holds values that are not finite"),
    ],
)
def test_what_does_not_match_is_named(tmp_path: Path, change: Any, message: str) -> None:
    llama(tmp_path)
    changed(tmp_path, change)
    with pytest.raises(ValueError, match=message):
        hugging_face_state(tmp_path, hugging_face_spec(tmp_path))


def test_another_heads_weights_are_passed_over_and_a_new_head_is_drawn(tmp_path: Path) -> None:
    theirs = bert(tmp_path, "BertForPreTraining")
    state = hugging_face_state(tmp_path, hugging_face_spec(tmp_path))
    name = "bert.encoder.layer.1.output.dense.weight"
    assert torch.equal(state[name], dict(theirs.named_parameters())[name])
    spec = hugging_face_spec(tmp_path, "sequence-classification")
    with pytest.raises(ValueError, match=r"lacks classifier.bias, classifier.weight"):
        hugging_face_state(tmp_path, spec)
    fresh = ("classifier.weight", "classifier.bias")
    drawn = [hugging_face_state(tmp_path, spec, fresh, seed)["classifier.weight"] for seed in (0, 0, 1)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_unreadable_folders_get_one_line(tmp_path: Path) -> None:
    llama(tmp_path / "model")
    with pytest.raises(ValueError, match="has no config.json"):
        hugging_face_spec(tmp_path)
    config = tmp_path / "model" / "config.json"
    good = config.read_text()
    for text, message in [
        ('{"model_type": "llamma"}', "unknown architecture 'llamma'"),
        ("{}", "names no model_type"),
        ('{"model_type": "t5"}', "an encoder with a decoder"),
        ("{", "cannot be read as JSON"),
    ]:
        config.write_text(text)
        with pytest.raises(ValueError, match=message):
            hugging_face_spec(tmp_path / "model")
    config.write_text(good)
    spec = hugging_face_spec(tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").rename(tmp_path / "model" / "pytorch_model.bin")
    with pytest.raises(ValueError, match="is a pickle"):
        load_hugging_face(tmp_path / "model", spec)
    (tmp_path / "model" / "pytorch_model.bin").unlink()
    with pytest.raises(ValueError, match=r"holds no \*.safetensors"):
        pretrained_digest(tmp_path / "model")


def gguf_file(path: Path, folder: Path) -> None:
    """Write a Llama as GGUF by the package's own writer: Q8_0 matrices, float32 norms, a byte-level tokenizer."""
    gguf = pytest.importorskip("gguf")
    state = load_file(folder / "model.safetensors")
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(32)
    writer.add_embedding_length(64)
    writer.add_block_count(1)
    writer.add_feed_forward_length(96)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(40)
    names = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
             "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
             "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm",
             "post_attention_layernorm": "ffn_norm"}  # fmt: skip
    outer = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
             "lm_head.weight": "output.weight"}  # fmt: skip
    for name, value in state.items():
        parts = name.split(".")
        own = outer.get(name) or f"blk.{parts[2]}.{names['.'.join(parts[3:-1])]}.weight"
        array = value.numpy()
        if own.endswith(("attn_q.weight", "attn_k.weight")):  # llama.cpp turns pairs, transformers halves
            heads = 2 if "attn_q" in own else 1
            array = array.reshape(heads, 2, -1, array.shape[1]).swapaxes(1, 2).reshape(array.shape)
        if array.ndim == 2:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(own, gguf.quants.quantize(np.ascontiguousarray(array), kind), raw_dtype=kind)
        else:
            writer.add_tensor(own, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_a_gguf_file_is_dequantised(tmp_path: Path) -> None:
    theirs = llama(tmp_path / "model", hidden_size=64, intermediate_size=96, num_hidden_layers=1)
    gguf_file(tmp_path / "model.gguf", tmp_path / "model")
    path = tmp_path / "model.gguf"
    assert is_gguf(path)
    assert not is_gguf(tmp_path / "model")
    assert stored_types(path) == "Q8_0 (9 tensors), F32 (3)"
    reader, node = reader_of(tmp_path, path)
    module = module_of(reader, node)
    for name, value in theirs.named_parameters():
        torch.testing.assert_close(module.get_parameter(name), value, atol=0.01, rtol=0)
    torch.testing.assert_close(outputs(module), theirs(IDS).logits, atol=0.3, rtol=0)
    with pytest.raises(ValueError, match="cannot stay on disk"):
        module_of(reader, node, offload=tmp_path / "offload")
    shutil.copy(path, tmp_path / "cut.gguf")
    with (tmp_path / "cut.gguf").open("r+b") as file:
        file.truncate(60)
    with pytest.raises(ValueError, match="cannot be read as GGUF"):
        hugging_face_spec(tmp_path / "cut.gguf")
    forget()


def test_a_masked_language_model_starts_from_an_encoder_alone(tmp_path: Path) -> None:
    """Its head is drawn, its output tied to the embedding of the file; what the file holds beside is named."""
    theirs = bert(tmp_path / "encoder", "BertModel")
    spec = hugging_face_spec(tmp_path / "encoder", "masked-lm")
    match = head_match(tmp_path / "encoder", spec)
    parts = ("bias", "transform.dense.weight", "transform.dense.bias", "transform.LayerNorm.weight")
    assert match.drawn == (*(f"cls.predictions.{part}" for part in parts), "cls.predictions.transform.LayerNorm.bias")
    assert (match.kept, match.left_over) == ((), ("pooler.dense.bias", "pooler.dense.weight"))
    first, same, other = (hugging_face_state(tmp_path / "encoder", spec, match.drawn, seed) for seed in (1, 1, 2))
    embedding = theirs.embeddings.word_embeddings.weight
    assert torch.equal(first["cls.predictions.decoder.weight"], embedding)
    name = "cls.predictions.transform.dense.weight"
    assert torch.equal(first[name], same[name])
    assert not torch.equal(first[name], other[name])
    whole = bert(tmp_path / "whole")
    match = head_match(tmp_path / "whole", hugging_face_spec(tmp_path / "whole", "masked-lm"))
    assert (match.drawn, match.left_over) == ((), ())
    assert set(match.kept) == {name for name, _ in whole.named_parameters() if name.startswith("cls.")}


@pytest.mark.parametrize(
    ("stored", "drawn", "left_over"),
    [
        ("ElectraForPreTraining", {"classifier"}, {"discriminator_predictions"}),
        ("ModernBertForMaskedLM", {"classifier"}, {"decoder"}),
        ("ModernBertModel", {"head", "classifier"}, set()),
        ("DebertaV2ForMaskedLM", {"pooler", "classifier"}, {"cls"}),
    ],
)
def test_a_classifier_stands_on_encoders_of_any_head(
    stored: str, drawn: set[str], left_over: set[str], tmp_path: Path
) -> None:
    small = {"intermediate_size": 24, "max_position_embeddings": 32}
    tokens = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2}
    config = getattr(transformers, f"{stored.split('For')[0].removesuffix('Model')}Config")(**SMALL, **small, **tokens)
    theirs = saved(tmp_path / "model", getattr(transformers, stored)(config))
    spec = hugging_face_spec(tmp_path / "model", "sequence-classification")
    match = head_match(tmp_path / "model", spec)
    assert {name.split(".")[0] for name in match.drawn} == drawn
    assert {name.split(".")[0] for name in match.left_over} == left_over
    state, values = hugging_face_state(tmp_path / "model", spec, match.drawn, seed=1), theirs.state_dict()
    prefix = "" if theirs.base_model is not theirs else f"{theirs.base_model_prefix}."
    same = {name: value for name, value in values.items() if f"{prefix}{name}" in state}
    assert len(same) > 10
    assert all(torch.equal(state[f"{prefix}{name}"], value) for name, value in same.items())
    with pytest.raises(ValueError, match="lacks"):
        hugging_face_state(tmp_path / "model", spec, match.drawn[:-1])


def test_a_misspelt_tensor_of_a_head_is_named_on_both_sides(tmp_path: Path) -> None:
    bert(tmp_path / "model", "BertForSequenceClassification")
    tensors = load_file(tmp_path / "model" / "model.safetensors")
    tensors["classifier.weights"] = tensors.pop("classifier.weight")
    save_file(tensors, tmp_path / "model" / "model.safetensors", {"format": "pt"})
    match = head_match(tmp_path / "model", hugging_face_spec(tmp_path / "model"))
    assert match.words() == [
        "drawn anew: classifier.weight", "head kept: classifier.bias", "passed over: classifier.weights",
    ]  # fmt: skip
