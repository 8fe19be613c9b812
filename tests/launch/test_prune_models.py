"""A language model pruned at once: what is written, measured, protected, refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from test_hugging_face import gguf_file, llama

from lth.cli.prune import _text
from lth.config import SettingsError
from lth.launch.prune import WantedPruning, prune_model
from lth.launch.prune_calibration import Calibration
from lth.launch.specimen import Specimen, load_specimen
from lth.lineage import Store, weights_to_bytes
from lth.models import Gpt2
from lth.superweights.coordinates import Coordinate
from lth.superweights.protocol import Protocol
from lth.superweights.texts import block_losses, perplexity_of

transformers = pytest.importorskip("transformers")

IDS = torch.randint(0, 40, (500,), generator=torch.Generator().manual_seed(0)).tolist()


@pytest.fixture
def specimen(tmp_path: Path) -> Specimen:
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=32, initializer_range=0.4,
    )  # fmt: skip
    transformers.LlamaForCausalLM(config).save_pretrained(tmp_path / "model")
    (tmp_path / "test.txt").write_text(" ".join(map(str, IDS[:200])))
    (tmp_path / "train.txt").write_text(" ".join(map(str, IDS[200:])))
    return load_specimen(str(tmp_path / "model"))


@pytest.fixture
def wanted(tmp_path: Path) -> WantedPruning:
    calibration = Calibration(str(tmp_path / "train.txt"), sequences=4, length=16)
    text = str(tmp_path / "test.txt")
    return WantedPruning(calibration=calibration, text=text, protocol=Protocol.parse("blocks:16"))


def test_what_is_written_is_what_was_measured(specimen: Specimen, wanted: WantedPruning, tmp_path: Path) -> None:
    lines: list[str] = []
    found = prune_model(specimen, wanted, Store(tmp_path / "store"), tmp_path / "out", say=lines.append)
    document: dict[str, Any] = json.loads((tmp_path / "out" / "prune.json").read_text())
    assert document == json.loads(json.dumps(found.document))
    module = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out").eval()
    examples = Protocol.parse("blocks:16").examples(torch.tensor(IDS[:200]).numpy())
    assert perplexity_of(*block_losses(module, examples)) == pytest.approx(document["after"], rel=1e-6)
    dense = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "model").eval()
    assert perplexity_of(*block_losses(dense, examples)) == pytest.approx(document["before"], rel=1e-6)
    state = load_file(tmp_path / "out" / "model.safetensors")
    assert len(document["density"]) == 14
    for name, density in document["density"].items():
        assert (state[name] != 0).float().mean() == density == 0.5
    assert document["sparsity"] == {"asked": 0.5, "reached": 0.5, "weights": 2 * (2 * 256 + 2 * 128 + 3 * 384)}
    assert document["calibration"]["sequences"] == 4
    assert document["calibration"]["tokens"] == 64
    assert not document["calibration"]["is_the_text_that_is_measured"]
    assert document["protocol"]["protocol"] == "blocks:16"
    assert "block 2 of 2 pruned" in lines
    again: list[str] = []
    prune_model(specimen, wanted, Store(tmp_path / "store"), say=again.append)
    assert any("perplexity before" in line for line in lines)
    assert not any("perplexity before" in line for line in again)  # the store has it


def test_a_network_that_breaks_is_written_and_says_so(
    specimen: Specimen, wanted: WantedPruning, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(module: Any, examples: Any) -> Any:
        nats, tokens = block_losses(module, examples)
        return nats * float("nan"), tokens

    monkeypatch.setattr("lth.launch.prune.block_losses", broken)
    found = prune_model(specimen, replace(wanted, method="magnitude"), Store(tmp_path / "store"), tmp_path / "out")
    assert found.document["after"] == {"loss": None, "perplexity": None}
    assert json.loads((tmp_path / "out" / "prune.json").read_text())["after"] == found.document["after"]
    assert all(" before, not finite after" in line for line in _text(found.document, None).splitlines()[-2:])


def test_a_protected_weight_stays(specimen: Specimen, wanted: WantedPruning, tmp_path: Path) -> None:
    dense = load_file(tmp_path / "model" / "model.safetensors")
    name = "model.layers.1.mlp.down_proj.weight"
    output, channel = divmod(int(dense[name].abs().argmin()), 24)
    magnitude = replace(wanted, method="magnitude", protect=(Coordinate(block=1, output=output, input=channel),))
    found = prune_model(specimen, magnitude, Store(tmp_path / "store"), tmp_path / "out")
    pruned = load_file(tmp_path / "out" / "model.safetensors")
    assert pruned[name][output, channel] == dense[name][output, channel]
    assert found.document["protected"] == [f"1,{output},{channel}"]
    assert found.document["density"][name] == 0.5
    assert found.document["calibration"] is None
    with pytest.raises(ValueError, match=r"\(7,0,0\) is no weight of this network"):
        other = replace(magnitude, protect=(Coordinate(block=7, output=0, input=0),))
        prune_model(specimen, other, Store(tmp_path / "store"))


def test_a_planted_super_weight_is_found_and_protected(wanted: WantedPruning, tmp_path: Path) -> None:
    """A weight that alone makes the largest output of all; magnitude keeps it anyway, and the document names it."""
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=4, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=32,
    )  # fmt: skip
    model = transformers.LlamaForCausalLM(config)
    with torch.no_grad():
        mlp = model.model.layers[1].mlp
        mlp.down_proj.weight[5, 7] = 100
        mlp.gate_proj.weight[7] *= 40
        mlp.up_proj.weight[7] *= 40
    model.save_pretrained(tmp_path / "planted")
    (tmp_path / "test.txt").write_text(" ".join(map(str, IDS[:200])))
    specimen = load_specimen(str(tmp_path / "planted"))
    prompts = replace(wanted, method="magnitude", protect="super", prompts=((1, 15, 27, 3), (4, 9, 2), (30, 31, 5, 8)))
    found = prune_model(specimen, prompts, Store(tmp_path / "store"))
    assert "1,5,7" in found.document["protected"]


def test_a_gguf_file_is_saved_as_safetensors(tmp_path: Path) -> None:
    llama(tmp_path / "model", hidden_size=64, intermediate_size=96, num_hidden_layers=1, tie_word_embeddings=True)
    gguf_file(tmp_path / "model.gguf", tmp_path / "model")
    specimen = load_specimen(str(tmp_path / "model.gguf"))
    prune_model(specimen, WantedPruning(method="magnitude"), Store(tmp_path / "store"), tmp_path / "out")
    loaded = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    down = loaded.model.layers[0].mlp.down_proj.weight
    assert (down == 0).float().mean() == pytest.approx(0.5, abs=0.01)
    assert loaded.lm_head.weight is loaded.model.embed_tokens.weight
    assert load_specimen(str(tmp_path / "out")).facts["stored"].startswith("F32")


def test_ours_is_saved_as_gpt2(tmp_path: Path) -> None:
    text = "to be or not to be, that is the question\n" * 40
    (tmp_path / "text.txt").write_text(text)
    torch.manual_seed(1)
    model = Gpt2(len(set(text)), 16, n_layer=2, n_head=2, n_embd=8, bias=False, pad_to=1)
    (tmp_path / "w.safetensors").write_bytes(weights_to_bytes(dict(model.state_dict())))
    specimen = load_specimen(
        "gpt-char:n_layer=2,n_embd=8,n_head=2",
        f"{tmp_path / 'text.txt'}:block=16",
        start_from=str(tmp_path / "w.safetensors"),
    )
    wanted = WantedPruning(scope="owl", calibration=Calibration(sequences=4), protocol=Protocol.parse("blocks:16"))
    found = prune_model(specimen, wanted, Store(tmp_path / "store"), tmp_path / "out")
    assert found.document["calibration"]["length"] == 16
    loaded = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out").eval()
    zeros = [int((layer.mlp.c_proj.weight == 0).sum()) for layer in loaded.transformer.h]
    assert all(zeros)
    assert found.document["after"]["perplexity"] != found.document["before"]["perplexity"]


def test_what_cannot_be_done_is_said_before_the_model_is_loaded(
    specimen: Specimen, wanted: WantedPruning, tmp_path: Path
) -> None:
    store = Store(tmp_path / "store")
    for change, message in [
        ({"calibration": Calibration()}, "name a text with --calibrate"),
        ({"method": "wander"}, "unknown method 'wander'. Did you mean 'wanda'"),
        ({"scope": "erk"}, "unknown scope 'erk'"),
        ({"pattern": "heads"}, "give N:M, as 2:4"),
        ({"pattern": "2:4", "scope": "owl"}, "leave out scope owl"),
        ({"text": str(tmp_path / "nowhere.txt")}, "cannot read the text"),
        ({"protocol": Protocol.parse("blocks:64")}, "sees 32 tokens at once"),
    ]:
        with pytest.raises(SettingsError, match=message):
            prune_model(specimen, replace(wanted, **change), store)  # type: ignore[arg-type]
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "file").touch()
    with pytest.raises(SettingsError, match="no empty folder"):
        prune_model(specimen, wanted, store, tmp_path / "out")


def test_calibrating_on_the_measured_text_is_told(specimen: Specimen, wanted: WantedPruning, tmp_path: Path) -> None:
    same = replace(wanted, calibration=replace(wanted.calibration, text=wanted.text), method="ria", pattern="2:4")
    found = prune_model(specimen, same, Store(tmp_path / "store"))
    assert found.document["calibration"]["is_the_text_that_is_measured"]
    assert found.document["sparsity"]["asked"] == 0.5
