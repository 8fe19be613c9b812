"""A network to look into, by any of its names; and what it takes in memory."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from lth.config import SettingsError
from lth.launch import load_studies, register
from lth.launch.memory import memory_plan
from lth.launch.passages import protocol_for
from lth.launch.specimen import load_specimen
from lth.lineage import Pretrained, Reader, Store, Trained, build, weights_to_bytes
from lth.lineage.loaded import forget, module_of
from lth.models import MODELS, Gpt2, ModelSpec, skeleton
from lth.models.hugging_face import NAME, config_text
from lth.studies import STUDIES

transformers = pytest.importorskip("transformers")

TEXT = "to be or not to be, that is the question\n" * 40


def small_llama(folder: Path) -> Any:
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=32,
    )  # fmt: skip
    model = transformers.LlamaForCausalLM(config).eval()
    model.save_pretrained(folder)
    return model


def add_tokenizer(folder: Path, bos: bool) -> None:
    """A word a token; with a template that puts <s> before."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = ["<s>", "<unk>", "summer", "is", "hot", "winter", "cold"]
    made = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, "<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    if bos:
        made.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    transformers.PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>", bos_token="<s>").save_pretrained(
        folder
    )


def test_a_folder_is_a_specimen(tmp_path: Path) -> None:
    model = small_llama(tmp_path)
    add_tokenizer(tmp_path, bos=True)
    specimen = load_specimen(str(tmp_path))
    assert specimen.facts["architecture"] == "llama"
    assert specimen.facts["parameters"] == sum(value.numel() for value in model.parameters())
    assert specimen.facts["stored"] == "F32 (21 tensors)"
    assert (specimen.context, specimen.vocabulary, specimen.is_causal, specimen.bos) == (32, 40, True, 0)
    assert specimen.tokens("summer is hot") == [2, 3, 4]
    assert specimen.prompt("summer is hot") == (0, 2, 3, 4)
    assert specimen.decode is not None
    assert specimen.decode([2, 3, 4]) == "summer is hot"
    module = module_of(Reader(Store(tmp_path / "store"), specimen.sources), specimen.weights)
    ids = torch.tensor([specimen.prompt("winter is cold")])
    with torch.no_grad():
        assert torch.equal(module(ids).logits, model(ids).logits)
    forget()


def test_a_tokenizer_without_template_puts_nothing_before(tmp_path: Path) -> None:
    small_llama(tmp_path)
    add_tokenizer(tmp_path, bos=False)
    specimen = load_specimen(str(tmp_path))
    assert specimen.bos is None
    assert specimen.prompt("summer is hot") == (2, 3, 4)


def test_code_of_a_tokenizer_never_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.input", lambda question: "y")  # whoever is asked says yes
    small_llama(tmp_path)
    add_tokenizer(tmp_path, bos=False)
    document = {"auto_map": {"AutoTokenizer": ["code.Made", None]}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(document))
    (tmp_path / "code.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\nclass Made: pass\n")
    load_specimen(str(tmp_path))
    assert not (tmp_path / "ran").exists()


def test_without_a_tokenizer_prompts_are_ids(tmp_path: Path) -> None:
    small_llama(tmp_path)
    specimen = load_specimen(str(tmp_path))
    assert specimen.encode is None
    assert specimen.decode is None
    assert specimen.prompt("1, 15 27") == (1, 15, 27)
    with pytest.raises(SettingsError, match=r"has no tokenizer .*: give prompts as token ids"):
        specimen.prompt("summer is hot")
    with pytest.raises(SettingsError, match="token 40 is none of"):
        specimen.prompt("39 40")
    with pytest.raises(SettingsError, match="33 tokens; .* sees 32 at once"):
        specimen.prompt("1 " * 33)
    with pytest.raises(SettingsError, match="empty"):
        specimen.checked([])


def test_only_a_protocol_left_to_its_default_is_cut_unasked(tmp_path: Path) -> None:
    small_llama(tmp_path)
    specimen = load_specimen(str(tmp_path))
    cut = {
        (name, tokens): protocol_for(specimen, name, tokens=tokens).tokens
        for name in (None, "sliding:32:8")
        for tokens in (None, 0, 100)
    }
    assert list(cut.values()) == [20_480, None, 100, None, None, 100]
    assert protocol_for(specimen, None, tokens=None).name == "blocks:32"
    assert protocol_for(specimen, None, tokens=None, join="rows").join == "rows"
    with pytest.raises(SettingsError, match="join"):
        protocol_for(specimen, None, tokens=None, join="row")


def test_an_encoder_has_no_perplexity(tmp_path: Path) -> None:
    config = transformers.BertConfig(
        vocab_size=40, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24
    )
    transformers.BertModel(config).save_pretrained(tmp_path)
    specimen = load_specimen(str(tmp_path))
    assert (specimen.is_causal, specimen.facts["head"]) == (False, "encoder")


@pytest.mark.parametrize(
    ("fields", "head", "is_causal"),
    [({}, "masked-lm", False), ({"architectures": ["BertLMHeadModel"]}, "masked-lm", False),
     ({"is_decoder": True}, "causal-lm", True)],
)  # fmt: skip
def test_a_bert_predicts_a_next_token_only_as_a_decoder(
    tmp_path: Path, fields: dict[str, Any], head: str, is_causal: bool
) -> None:
    config = transformers.BertConfig(
        vocab_size=40, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24
    )
    transformers.BertForMaskedLM(config).save_pretrained(tmp_path)
    document = json.loads((tmp_path / "config.json").read_text())
    del document["architectures"]
    (tmp_path / "config.json").write_text(json.dumps(document | fields))
    specimen = load_specimen(str(tmp_path))
    assert (specimen.facts["head"], specimen.is_causal) == (head, is_causal)
    assert load_specimen(str(tmp_path), head="causal-lm").is_causal == is_causal


def test_a_network_without_a_vocabulary_is_refused(tmp_path: Path) -> None:
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24, image_size=16, patch_size=8
    )
    transformers.ViTModel(config).save_pretrained(tmp_path)
    with pytest.raises(SettingsError, match=r"\(vit\) reads no tokens"):
        load_specimen(str(tmp_path))


def test_a_model_of_lth_comes_with_data_and_weights(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    name = "gpt-char:n_layer=1,n_embd=8,n_head=2"
    vocabulary = len(set(TEXT))
    spec = ModelSpec(name="gpt-char", arguments={})
    torch.manual_seed(1)
    model = Gpt2(vocabulary, 16, n_layer=1, n_head=2, n_embd=8, bias=False, pad_to=1)
    (tmp_path / "w.safetensors").write_bytes(weights_to_bytes(dict(model.state_dict())))
    data, weights = f"{tmp_path / 'text.txt'}:block=16", str(tmp_path / "w.safetensors")
    specimen = load_specimen(name, data, start_from=weights)
    assert isinstance(specimen.weights, Pretrained)
    assert specimen.weights.spec.name == spec.name
    assert (specimen.context, specimen.vocabulary) == (16, vocabulary)
    assert specimen.decode is not None
    assert specimen.decode(specimen.tokens("to be")) == "to be"
    module = module_of(Reader(Store(tmp_path / "store"), specimen.sources), specimen.weights)
    assert torch.equal(module.get_parameter("wte.weight"), model.wte.weight)
    forget()
    with pytest.raises(SettingsError, match="needs --start-from"):
        load_specimen(name, data)
    with pytest.raises(SettingsError, match="is no text"):
        load_specimen("lenet-300-100", "digits", start_from=str(lenet(tmp_path)))


def lenet(folder: Path) -> Path:
    module = MODELS["lenet-300-100"].make(input_shape=(8, 8), num_classes=10)
    (folder / "lenet.safetensors").write_bytes(weights_to_bytes(dict(module.state_dict())))
    return folder / "lenet.safetensors"


def test_a_study_gives_its_last_dense_network(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    settings = STUDIES["train"].settings(
        model="gpt-char:n_layer=1,n_embd=8,n_head=2", data=f"{tmp_path / 'text.txt'}:block=16", replicates=1,
        validation=3, duration="4it", batch_size=4,
    )  # fmt: skip
    [prepared] = load_studies(STUDIES["train"], [settings])
    store = Store(tmp_path / "store")
    with pytest.raises(SettingsError, match="is no file, and no study"):
        load_specimen(prepared.id, store=store.root)
    register(prepared, store)
    with pytest.raises(SettingsError, match="no finished dense network of replicate 0"):
        load_specimen(prepared.id, store=store.root)
    build(prepared.targets, store, prepared.sources)
    specimen = load_specimen(prepared.id[:6], store=store.root)
    reader = Reader(store, specimen.sources)
    module = module_of(reader, specimen.weights)
    assert isinstance(specimen.weights, Trained)
    assert specimen.facts["study"] == prepared.id
    assert torch.equal(module.get_parameter("wte.weight"), reader.weights(specimen.weights)["wte.weight"])
    forget()


def test_wrong_names_get_one_line(tmp_path: Path) -> None:
    small_llama(tmp_path / "model")
    for name, message in [
        ("nowhere", "is no file, and no study"),
        ("./nowhere.gguf", "there is no ./nowhere.gguf"),
        ("gpt2", "a model without weights: give data and --start-from"),
        (str(tmp_path), "has no config.json"),
        (str(tmp_path / "model" / "model.safetensors"), "is no GGUF file"),
    ]:
        with pytest.raises(ValueError, match=message):
            load_specimen(name, store=tmp_path / "store")
    with pytest.raises(SettingsError, match="has weights of its own"):
        load_specimen(str(tmp_path / "model"), "digits")


SEVEN_B = {
    "model_type": "llama", "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008,
    "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32, "max_position_embeddings": 4096,
}  # fmt: skip


def test_the_plan_of_a_7b_model_needs_no_memory() -> None:
    spec = ModelSpec(name=NAME, arguments={"config": config_text(SEVEN_B), "head": "causal-lm"})
    module = skeleton(spec, MODELS[NAME].make)
    plan = memory_plan(module, "bfloat16", context=4096)
    assert plan.parameters == 6_738_415_616  # Touvron et al. 2023
    assert plan.weights == 2 * plan.parameters
    assert plan.blocks == 32
    assert plan.largest_block == 2 * (4 * 4096**2 + 3 * 4096 * 11008 + 2 * 4096)
    assert plan.outside == 2 * (2 * 32000 * 4096 + 4096)
    assert memory_plan(module, "float32", 4096).weights == 2 * plan.weights
    assert plan.offloaded < plan.needed / 4
    rows = dict(plan.rows())
    assert rows["weights in bfloat16"] == "12.55 GiB"
    assert rows["parameters"] == "6,738,415,616"
    assert json.dumps(rows)
