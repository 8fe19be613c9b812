"""Tickets of pre-trained weights that lack a head: it goes back with them, or is drawn anew for each level."""

from pathlib import Path
from typing import Any

import pytest
import torch
from builds import HERE, jobs

from lth.config import SettingsError
from lth.launch.load import load_studies
from lth.lineage import Pretrained, Reader, Store, WeightsNode, build
from lth.studies import STUDIES, settings_of
from lth.studies.prepare import Study

transformers = pytest.importorskip("transformers")

WORDS = ["good", "bad", "film", "a", "very", "not"]
HEAD = {"bert.pooler.dense.weight", "bert.pooler.dense.bias", "classifier.weight", "classifier.bias"}
MATRIX = "bert.encoder.layer.0.output.dense.weight"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A masked language model and 48 reviews."""
    folder = tmp_path_factory.mktemp("bert")
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24}
    torch.manual_seed(0)
    config = transformers.BertConfig(vocab_size=11, max_position_embeddings=16, **sizes)
    transformers.BertForMaskedLM(config).save_pretrained(folder / "model")
    (folder / "model" / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]))
    lines = [f"a {WORDS[row % 5]} {WORDS[row % 2]} film\t{(row + 1) % 2}" for row in range(48)]
    (folder / "SST-2").mkdir()
    for name in ("train", "dev"):
        (folder / "SST-2" / f"{name}.tsv").write_text("\n".join(["sentence\tlabel", *lines]) + "\n")
    return folder


def prepared(place: Path, **fields: Any) -> Study:
    given = {"model": str(place / "model"), "data": "glue/sst2:length=8", "per_level": 0.3, "levels": 2}
    given |= {"replicates": 2, "duration": "4it", "batch_size": 8, "evaluate_every": 4, "controls": "none"}
    study = STUDIES["find-ticket"]
    [made] = load_studies(study, [settings_of(study, given | {"never_prune": "classifier.*"} | fields)], place)
    return made


def head_of(reader: Reader, state: WeightsNode) -> dict[str, torch.Tensor]:
    return {name: value for name, value in reader.weights(state).items() if name.startswith("classifier")}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one if not name.endswith("bias"))


def test_heads_go_back_or_are_drawn_anew(place: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    made = prepared(place, head="redraw", controls="permuted,reinit", replicates=1)
    assert set(made.subject.fresh) == HEAD
    assert build(made.targets, store, made.sources, HERE) == {}
    reader = Reader(store, made.sources)
    dense, (first, second) = jobs(made, "dense")[0], jobs(made, "ticket")
    assert isinstance(dense.start, Pretrained)
    heads = [head_of(reader, each.start) for each in (dense, first, second)]
    assert not any(same(heads[one], heads[two]) for one, two in ((0, 1), (0, 2), (1, 2)))
    for name in ("permuted", "reinit"):
        shared = zip(jobs(made, name), heads[1:], strict=True)
        assert all(same(head_of(reader, each.start), head) for each, head in shared)
    masks = reader.masks(first.masks)
    assert "classifier.weight" not in masks
    assert torch.equal(reader.weights(first.start)[MATRIX][masks[MATRIX]],
                       reader.weights(dense.start)[MATRIX][masks[MATRIX]])  # fmt: skip
    plain = prepared(place, replicates=1)
    assert same(head_of(reader, jobs(plain, "ticket")[0].start), heads[0])
    assert jobs(plain, "dense") == jobs(made, "dense")  # nothing is trained again for it


def test_each_replicate_draws_heads_and_orders_of_its_own(place: Path) -> None:
    made = prepared(place, head="redraw", controls="permuted")
    starts = [each.start.key for arm in ("dense", "ticket", "permuted") for each in jobs(made, arm)]
    assert len(set(starts)) == len(starts) == 2 + 4 + 4


def test_the_setting_stands_beside_the_words(place: Path) -> None:
    document = prepared(place, head="redraw", never_prune=()).document()
    assert document["head"] == "redraw"
    assert document["head_match"].startswith("drawn anew: bert.pooler.dense.weight, bert.pooler.dense.bias, classifier")
    assert document["never_prune"] == ["classifier.weight"]


def test_where_there_is_no_fresh_head_none_is_drawn_anew(place: Path) -> None:
    with pytest.raises(SettingsError, match="head: 'redraw' draws a head that pre-trained weights lack, and bert-tiny"):
        prepared(place, model="bert-tiny", data=f"glue/sst2:length=8,tokenizer={place / 'model'}", head="redraw")
    with pytest.raises(SettingsError, match="'redraw' goes with kept weights that start anew; found 'lr_rewind'"):
        prepared(place, kept="lr_rewind", head="redraw")


@pytest.mark.parametrize("data", ["sst2", "qqp"])
def test_the_preset_is_the_published_protocol(data: str) -> None:
    given = {"model": "bert-base-uncased", "data": f"glue/{data}"}
    flat = settings_of(STUDIES["find-ticket"], given).flat()
    assert settings_of(STUDIES["find-ticket"], {"preset": f"bert-{data}"}).flat() == flat
    expected = {
        **given, "levels": 6, "per_level": 0.1, "duration": "3ep", "batch_size": 32, "lr": 2e-5, "lr_decay": "linear",
        "warmup": "10%", "optimizer": "adamw", "rewind_to": "0it", "kept": "rewind", "pruned": "zero",
        "scope": "global", "head": "rewind", "controls": ["reinit", "random", "permuted", "one-shot"],
        "weight_decay": 0.01, "clip": 1.0,
    }  # fmt: skip
    assert {name: flat[name] for name in expected} == expected
    by_rate = settings_of(STUDIES["find-ticket"], {**given, "rate": 0.2}).flat()
    assert (by_rate["rate"], by_rate["per_level"]) == (0.2, None)
