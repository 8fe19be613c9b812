"""Networks that others trained: GPT-2 of `transformers` read and written, names matched strictly, logs of nanoGPT."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from lth.lineage import Initial, Pretrained, Reader, Sources, Store
from lth.lineage.foreign import pretrained_digest, read_nanogpt_log, read_pretrained, save_gpt2
from lth.models import Gpt2, ModelSpec

transformers = pytest.importorskip("transformers")


def small(**arguments: Any) -> Gpt2:
    return Gpt2(**{"vocabulary": 50, "block": 16, "n_layer": 2, "n_head": 2, "n_embd": 8} | arguments).eval()


def published(folder: Path, **config: Any) -> Any:
    """A random GPT-2 of `transformers`, saved to a folder, biases and norms too."""
    torch.manual_seed(0)
    settings = {"vocab_size": 50, "n_positions": 16, "n_embd": 8, "n_layer": 2, "n_head": 2} | config
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(**settings)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    return model


def ids(length: int = 16) -> torch.Tensor:
    return torch.randint(0, 50, (3, length), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("pad_to", [1, 64])
def test_gpt2_of_transformers_gives_the_same_logits(tmp_path: Path, pad_to: int) -> None:
    theirs, ours = published(tmp_path), small(pad_to=pad_to)
    ours.load_state_dict(read_pretrained(tmp_path, ours))
    with torch.no_grad():
        torch.testing.assert_close(ours(ids()), theirs(ids()).logits, atol=1e-5, rtol=0)


def test_a_shorter_block_leaves_out_late_positions(tmp_path: Path) -> None:
    theirs, ours = published(tmp_path), small(block=5)
    ours.load_state_dict(read_pretrained(tmp_path, ours))
    with torch.no_grad():
        torch.testing.assert_close(ours(ids(5)), theirs(ids(5)).logits, atol=1e-5, rtol=0)


@pytest.mark.parametrize("bias", [True, False])
def test_transformers_loads_what_is_saved(tmp_path: Path, bias: bool) -> None:
    torch.manual_seed(1)
    ours = small(bias=bias)
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    save_gpt2(ours, tmp_path)
    theirs, info = transformers.GPT2LMHeadModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    with torch.no_grad():
        torch.testing.assert_close(theirs.eval()(ids()).logits, ours(ids()), atol=1e-5, rtol=0)
    if bias:
        again = read_pretrained(tmp_path, ours)
        rows = {name: value[:50] if name == "wte.weight" else value for name, value in ours.state_dict().items()}
        assert all(torch.equal(again[name][: len(value)], value) for name, value in rows.items())


def test_what_cannot_be_saved(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a sink or sparse activations is no GPT-2 of transformers"):
        save_gpt2(small(sink=True), tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_layer": 3}, r"lacks h\.2\.attn\.c_attn\.bias, .* and 9 more: it is another network"),
        ({"n_layer": 1}, r"holds transformer\.h\.1\..* which the model lacks"),
        ({"bias": False}, r"holds transformer\.h\.0\.attn\.c_attn\.bias"),
        ({"n_embd": 16}, r"has shape \(8, 32\)|has shape .* the model's"),
        ({"block": 32}, r"transformer\.wpe\.weight has shape \(16, 8\), the model's wpe\.weight \(32, 8\)"),
    ],
)
def test_another_size_is_named(tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    published(tmp_path)
    with pytest.raises(ValueError, match=message):
        read_pretrained(tmp_path, small(**arguments))


def test_an_output_layer_of_its_own_is_named(tmp_path: Path) -> None:
    published(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    head = tensors["transformer.wte.weight"].clone()
    save_file(tensors | {"lm_head.weight": head}, tmp_path / "model.safetensors")
    read_pretrained(tmp_path, small())
    save_file(tensors | {"lm_head.weight": head + 1}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"holds lm_head\.weight, which the model lacks"):
        read_pretrained(tmp_path, small())


def test_what_is_drawn_anew(tmp_path: Path) -> None:
    published(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    save_file({name: value for name, value in tensors.items() if "ln_f" not in name}, tmp_path / "model.safetensors")
    ours = small()
    with pytest.raises(ValueError, match=r"lacks ln_f\.bias, ln_f\.weight"):
        read_pretrained(tmp_path, ours)
    state = read_pretrained(tmp_path, ours, ["ln_f.bias", "ln_f.weight"])
    assert torch.equal(state["ln_f.weight"], torch.ones(8))


def test_a_node_of_pretrained_weights(tmp_path: Path) -> None:
    published(tmp_path / "model")
    digest = pretrained_digest(tmp_path / "model")
    arguments = {"vocabulary": 50, "block": 16, "n_layer": 2, "n_head": 2, "n_embd": 8}
    spec = ModelSpec(name="gpt2", arguments=arguments)
    node = Pretrained(spec=spec, digest=digest)
    reader = Reader(Store(tmp_path / "store"), Sources(weights={digest: tmp_path / "model"}))
    state = reader.weights(node)
    assert all(torch.equal(state[name], value) for name, value in read_pretrained(tmp_path / "model", small()).items())
    assert node.root == node
    assert node.model == spec
    assert node != Initial(spec=spec, seed=0)
    with pytest.raises(ValueError, match=f"{digest[:12]}... are not at hand"):
        Reader(Store(tmp_path / "store"), Sources()).weights(node)
    file = tmp_path / "model" / "model.safetensors"
    save_file({name: value + 1 for name, value in load_file(file).items()}, file)
    assert pretrained_digest(tmp_path / "model") != digest


LOG = """\
tokens per iteration will be: 768
step 0: train loss 4.1676, val loss 4.1649
iter 0: loss 4.1828, time 1500.00ms, mfu -100.00%
iter 10: loss 3.2, time 20.50ms, mfu 12.50%
step 250: train loss 2.4, val loss nan
"""


def test_logs_of_nanogpt(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_text(LOG)
    history = read_nanogpt_log(tmp_path / "log.txt")
    assert history.steps == [0, 0, 10, 250]
    assert history.curves["validation/loss"] == [4.1649, None, None, None]
    assert history.curves["train/loss"] == [4.1676, None, None, 2.4]
    assert history.curves["train/batch_loss"] == [None, 4.1828, 3.2, None]
    assert history.curves["train/ms"] == [None, 1500.0, 20.5, None]
    assert history.curves["train/mfu"] == [None, None, 0.125, None]


def test_what_is_no_log(tmp_path: Path) -> None:
    (tmp_path / "ckpt.pt").write_bytes(b"PK")
    with pytest.raises(ValueError, match="is a pickle.*If you trust it, convert it"):
        read_nanogpt_log(tmp_path / "ckpt.pt")
    (tmp_path / "empty.txt").write_text("nothing\n")
    with pytest.raises(ValueError, match="no log of nanoGPT"):
        read_nanogpt_log(tmp_path / "empty.txt")
    with pytest.raises(ValueError, match="cannot read .*No such file"):
        read_nanogpt_log(tmp_path / "none.txt")
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="it is no text"):
        read_nanogpt_log(tmp_path / "bytes.txt")


def test_a_folder_of_pickles_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    (tmp_path / "pytorch_model.bin").write_bytes(b"PK")
    with pytest.raises(ValueError, match="is a pickle"):
        pretrained_digest(tmp_path)
