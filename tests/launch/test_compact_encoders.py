"""`compact` on encoders of `transformers`: heads and neurons go, and `transformers` loads the folder."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lth
from lth import load_compact
from lth.launch.compact_folder import padded_call, padded_network, padding_words, save_folder, token_batch
from lth.models.hugging_face import hugging_face
from lth.sparsity import Masks
from lth.sparsity.compact import Compacted, compact, masked_copy
from lth.sparsity.granularities.structure import structure_of
from lth.sparsity.granularities.table import families_of, granularity

transformers = pytest.importorskip("transformers")

BERT = {
    "vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 24,
    "max_position_embeddings": 20,
}  # fmt: skip
DISTILBERT = {
    "vocab_size": 50, "dim": 16, "n_layers": 2, "n_heads": 4, "hidden_dim": 24, "max_position_embeddings": 20,
}  # fmt: skip
CONFIGS = {
    "bert": BERT,
    "roberta": BERT,
    "electra": BERT | {"embedding_size": 16},
    "distilbert": DISTILBERT,
    "mpnet": BERT,
}
HEADS_STAY = {"mpnet"}
"""Families whose attention writes its width down, so that dead heads stay."""

DEAD_HEADS = ([0, 1, 3], [2])
DEAD_NEURONS = (range(4, 24), range(0, 24, 2))
"""Of each block."""


def encoder(family: str, head: str = "sequence-classification") -> nn.Module:
    torch.manual_seed(0)
    module = hugging_face(json.dumps({"model_type": family, **CONFIGS[family]}), head).eval()
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)  # biases too: those of what is removed must not be left behind
    return module


def dead_masks(module: nn.Module) -> Masks:
    masks = {name: torch.ones_like(value, dtype=torch.bool) for name, value in module.named_parameters()}
    shapes = {name: value.shape for name, value in module.named_parameters()}
    structure = structure_of(module, masks)
    for name, dead in (("heads", DEAD_HEADS), ("neurons", DEAD_NEURONS)):
        for family, units in zip(families_of(granularity(name), shapes, structure), dead, strict=True):
            for tensor, index in family.units.items():
                masks[tensor] &= ~torch.isin(index, torch.tensor(list(units)))
    return masks


def logits(module: Any, call: dict[str, Tensor]) -> Tensor:
    with torch.no_grad():
        found: Tensor = module(**call).logits
    return found


def size(module: nn.Module) -> int:
    return sum(value.numel() for value in module.parameters())


def made_smaller(module: nn.Module, **options: Any) -> tuple[nn.Module, Compacted, dict[str, Tensor]]:
    masks, ids = dead_masks(module), token_batch(module, 4, None)
    call = padded_call(module, ids)
    return masked_copy(module, masks), compact(module, masks, ids, calls=[call], **options), call


@pytest.mark.parametrize("head", ["sequence-classification", "masked-lm"])
@pytest.mark.parametrize("family", CONFIGS)
def test_every_family_gives_the_same_logits_and_a_folder(family: str, head: str, tmp_path: Path) -> None:
    module = encoder(family, head)
    masked, small, call = made_smaller(module)
    expected = logits(masked, call)
    torch.testing.assert_close(logits(small.module, call), expected, rtol=1e-5, atol=1e-5)
    neurons = sum(len(dead) for dead in DEAD_NEURONS) * (2 * 16 + 1)
    heads = sum(len(dead) for dead in DEAD_HEADS) * 4 * (4 * 16 + 3)
    assert size(module) - size(small.module) == neurons + (0 if family in HEADS_STAY else heads)
    assert len(small.left_alone) == (2 if family in HEADS_STAY else 0)

    padded, padding = padded_network(masked, small, call)
    assert padding.width == (24, 12)
    assert list(padding.neurons.values()) == [8]  # the first block keeps 4
    assert list(padding.heads.values()) == ([] if family in HEADS_STAY else [(3, 4), (1, 4)])
    assert not padding.others
    save_folder(padded, tmp_path)
    auto = {"masked-lm": "AutoModelForMaskedLM"}.get(head, "AutoModelForSequenceClassification")
    loaded, info = getattr(transformers, auto).from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values())
    torch.testing.assert_close(logits(loaded.eval(), call), expected, rtol=1e-5, atol=1e-5)
    assert size(module) - size(loaded) == 2 * 12 * (2 * 16 + 1)


def test_what_is_zero_in_the_folder_is_said() -> None:
    masked, small, call = made_smaller(encoder("bert"))
    padded, padding = padded_network(masked, small, call)
    assert padding_words(padding) == [
        "12 of 24 neurons a block, as the block that keeps most; 8 zero neurons fill 1 other block",
        "4 dead heads stay as zeros: a config has one number of heads, and their size follows from it",
    ]
    state = padded.state_dict()
    assert int((state["bert.encoder.layer.0.intermediate.dense.weight"] == 0).all(dim=1).sum()) == 8
    assert int((state["bert.encoder.layer.0.attention.self.query.weight"] == 0).all(dim=1).sum()) == 3 * 4


def test_a_dead_pooler_and_columns_that_are_not_read() -> None:
    module = encoder("bert")
    with torch.no_grad():  # as unstructured pruning may leave it: five outputs of the pooler are constants
        module.get_parameter("bert.pooler.dense.weight")[:5] = 0
        module.get_parameter("classifier.weight")[:, 7] = 0
    masked, small, call = made_smaller(module, drop_inputs=True)
    assert size(small.module) < size(made_smaller(encoder("bert"))[1].module)
    padded, padding = padded_network(masked, small, call)
    torch.testing.assert_close(logits(padded, call), logits(masked, call), rtol=1e-5, atol=1e-5)
    assert padding.others["bert.pooler.dense.weight[0]"] == padding.others["classifier.weight[1]"] == 6
    assert "6 entries of bert.pooler.dense.weight[0] stay as zeros" in padding_words(padding)


def test_lengths_and_padding_that_are_tried() -> None:
    module = encoder("roberta")
    ids = token_batch(module, 3, None)
    assert ids.shape == (3, 18)  # RoBERTa counts positions from its padding on
    call = padded_call(module, ids)
    assert call["attention_mask"].sum(dim=1).tolist() == [10, 18, 10]
    assert bool((call["input_ids"] == 1).eq(call["attention_mask"] == 0).all())
    with pytest.raises(ValueError, match="takes 18 positions, not 19: give --input-shape 18"):
        token_batch(module, 3, 19)


def test_a_class_that_cannot_hold_it_is_named() -> None:
    module = encoder("bert")
    module.bert.encoder.layer[0].output.dense.bias = None  # type: ignore[union-attr, index]
    with torch.no_grad():
        module.get_parameter("bert.encoder.layer.0.intermediate.dense.weight")[3] = 0  # a constant that is read
    masked, small, call = made_smaller(module)
    with pytest.raises(ValueError, match=r"'bert.encoder.layer.0.output.dense' took constants into a bias"):
        padded_network(masked, small, call)


def test_a_ticket_of_a_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "encoder_nets.py").write_text(
        "import transformers\n\ndef make(num_classes):\n"
        f"    config = transformers.BertConfig(**{BERT}, num_labels=num_classes)\n"
        "    return transformers.BertForSequenceClassification(config)\n"
    )
    generator = np.random.default_rng(0)
    tokens, labels = generator.integers(1, 50, (40, 6)), np.arange(40) % 2
    data = tmp_path / "tokens.npz"
    np.savez(data, x_train=tokens, y_train=labels, x_test=tokens[:8], y_test=labels[:8])
    made = "encoder_nets:make"
    found = lth.find_ticket(
        model=made, data=str(data), store=tmp_path / "store", out=tmp_path / "out", progress=False,
        execution=lth.Execution(workers=0), levels=1, rate=0.5, replicates=1, duration="4it", evaluate_every=4,
        controls=(), granularity="heads", batch_size=8, validation=8,
    )  # fmt: skip
    report = lth.compact_ticket(
        found.tickets[-1], tmp_path / "small", store=tmp_path / "store", model=made, input_shape=(6,), batch_size=2
    )
    assert [path.name for path in report.files] == [
        "compact.safetensors", "compact.json", "config.json", "model.safetensors",
    ]  # fmt: skip
    ticket = lth.read_ticket(found.tickets[-1])
    whole = ticket.sources(lth.models.resolve_factory(made)).module(ticket.model)
    small = load_compact(whole, tmp_path / "small")
    assert size(small) == report.costs["parameters"][1] < size(whole) == report.costs["parameters"][0]
    loaded = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "small").eval()
    call = padded_call(whole, token_batch(whole, 3, 6))
    torch.testing.assert_close(logits(loaded, call), logits(small, call), rtol=1e-5, atol=1e-5)
    cost = json.loads((tmp_path / "small" / "compact.json").read_text())["cost"]["parameters"]
    assert cost == {"before": size(whole), "after": size(small), "in transformers": size(loaded)}
    assert report.folder == (
        "24 of 24 neurons a block, as the block that keeps most; no zeros among them",
        "4 dead heads stay as zeros: a config has one number of heads, and their size follows from it",
    )
    assert report.speed[1] <= report.speed[0] <= report.speed[2]
