"""Models of `transformers` in studies: what of a head is drawn, kept, named; what does not fit is one line."""

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from builds import HERE
from safetensors.torch import load_file, save_file

import lth
from lth.cli.main import main
from lth.config import SettingsError
from lth.launch import load_studies
from lth.launch.foreign_model import foreign_model
from lth.lineage import Reader, Store
from lth.studies import STUDIES, settings_of
from lth.studies.prepare import Study

transformers = pytest.importorskip("transformers")

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c", "d", "good", "bad", "film", "book", "plot"]
BERT = {
    "vocab_size": 16, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 12,
    "max_position_embeddings": 16,
}  # fmt: skip
DISTIL = {"vocab_size": 16, "dim": 8, "n_layers": 1, "n_heads": 2, "hidden_dim": 12, "max_position_embeddings": 16}
SHORT = {"duration": "3it", "batch_size": 4, "evaluate_every": 2, "replicates": 2, "levels": 1}


def saved(folder: Path, name: str = "BertModel", **config: Any) -> Path:
    """A folder of a small network, with its tokenizer's words."""
    kind = name.removesuffix("LMHeadModel").removesuffix("Model").split("For")[0]
    usual = DISTIL if kind == "DistilBert" else BERT
    torch.manual_seed(0)
    made = getattr(transformers, f"{kind}Config")(**{**usual, **config})
    getattr(transformers, name)(made).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    return folder


def changed(folder: Path, change: Any) -> Path:
    """The same folder with other tensors."""
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with a small SST-2."""
    place = tmp_path / "data" / "glue" / "SST-2"
    place.mkdir(parents=True)
    for name, number in (("train", 24), ("dev", 8)):
        lines = [f"{'a good film' if row % 2 else 'a bad book with b and c'}\t{row % 2}" for row in range(number)]
        (place / f"{name}.tsv").write_text("\n".join(["sentence\tlabel", *lines, ""]))
    return tmp_path / "data"


def run(command: list[str]) -> int:
    """Run `lth` here; its exit status."""
    with pytest.raises(SystemExit) as caught:
        main(command)
    return int(caught.value.code or 0)


def prepared(model: Path | str, data: Path, name: str = "glue/sst2:length=12", **settings: Any) -> Study:
    given = {"model": str(model), "data": name, "validation": 4, **SHORT, **settings}
    return load_studies(STUDIES["find-ticket"], [settings_of(STUDIES["find-ticket"], given)], data)[0]


def dense_starts(study: Study, store: Path) -> list[dict[str, torch.Tensor]]:
    """The states that the dense networks begin with."""
    reader = Reader(Store(store), study.sources)
    return [reader.weights(p.job.start) for p in study.points if p.arm == "dense"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "drawn"),
    [
        ("BertModel", {"classifier.weight", "classifier.bias"}),
        ("BertForPreTraining", {"classifier.weight", "classifier.bias"}),
        (
            "BertForMaskedLM",
            {"classifier.weight", "classifier.bias", "bert.pooler.dense.weight", "bert.pooler.dense.bias"},
        ),
        (
            "RobertaModel",
            {
                "classifier.dense.weight",
                "classifier.dense.bias",
                "classifier.out_proj.weight",
                "classifier.out_proj.bias",
            },
        ),
        ("DistilBertModel", {"classifier.weight", "classifier.bias", "pre_classifier.weight", "pre_classifier.bias"}),
    ],
)
def test_each_replicate_draws_a_head_on_the_same_encoder(
    name: str, drawn: set[str], data: Path, tmp_path: Path
) -> None:
    folder = saved(tmp_path / "model", name, **({"type_vocab_size": 1} if name == "RobertaModel" else {}))
    study = prepared(folder, data)
    assert set(study.subject.fresh) == drawn
    one, two = dense_starts(study, tmp_path / "store")
    again = dense_starts(prepared(folder, data), tmp_path / "other")
    stored = load_file(folder / "model.safetensors")
    prefix = f"{name.removesuffix('Model').lower()}." if name.endswith("Model") else ""
    for tensor, value in one.items():
        assert torch.equal(value, again[0][tensor])
        is_weight = tensor.endswith("weight")
        assert torch.equal(value, two[tensor]) is (tensor not in drawn or not is_weight)
        if tensor not in drawn:
            assert torch.equal(value, stored[tensor.removeprefix(prefix)])
    assert "classifier.weight" not in study.subject.prunable(study.settings.masks)  # type: ignore[attr-defined]


def test_a_head_of_the_size_that_is_asked_for_is_kept_and_another_drawn(data: Path, tmp_path: Path) -> None:
    same = prepared(saved(tmp_path / "two", "BertForSequenceClassification"), data)
    assert (same.subject.fresh, same.subject.head_words) == ((), ("head kept: classifier.weight, classifier.bias",))
    one, two = dense_starts(same, tmp_path / "store")
    assert all(torch.equal(value, two[name]) for name, value in one.items())
    three = prepared(saved(tmp_path / "three", "BertForSequenceClassification", num_labels=3), data)
    assert three.subject.head_words == ("drawn anew: classifier.weight, classifier.bias",)
    assert same.subject.module.get_parameter("classifier.weight").shape == (2, 8)


def test_names_of_old_files_are_read(data: Path, tmp_path: Path) -> None:
    def with_old_names(tensors: dict[str, torch.Tensor]) -> None:
        for name in [name for name in tensors if "LayerNorm" in name]:
            old = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
            tensors[old] = tensors.pop(name) + 0.5

    folder = saved(tmp_path / "model", "BertForMaskedLM")
    before = load_file(folder / "model.safetensors")
    study = prepared(changed(folder, with_old_names), data)
    state = dense_starts(study, tmp_path / "store")[0]
    name = "bert.embeddings.LayerNorm.weight"
    assert torch.equal(state[name], before[name] + 0.5)
    assert "LayerNorm" not in " ".join(study.subject.fresh)


def renamed(tensors: dict[str, torch.Tensor]) -> None:
    tensors["encoder.layer.0.attention.own.query.weight"] = tensors.pop("encoder.layer.0.attention.self.query.weight")


def one_too_many(tensors: dict[str, torch.Tensor]) -> None:
    tensors["encoder.layer.1.output.dense.bias"] = torch.zeros(8)


def of_another_shape(tensors: dict[str, torch.Tensor]) -> None:
    tensors["encoder.layer.0.output.dense.weight"] = torch.zeros(8, 13)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (renamed, r"lacks bert.encoder.layer.0.attention.self.query.weight: it is another network"),
        (lambda tensors: tensors.pop("embeddings.LayerNorm.bias"), "lacks bert.embeddings.LayerNorm.bias"),
        (one_too_many, r"holds encoder.layer.1.output.dense.bias, which the model of its config.json lacks"),
        (of_another_shape, r"does not fit its config.json: bert.encoder.layer.0.output.dense.weight \(8, 13\)"),
    ],
    ids=["renamed", "missing", "too many", "shape"],
)
def test_every_name_of_the_encoder_is_matched(change: Any, message: str, data: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        prepared(changed(saved(tmp_path / "model"), change), data)


def test_a_config_alone_is_drawn_from_scratch(data: Path, tmp_path: Path) -> None:
    folder = saved(tmp_path / "model")
    (folder / "model.safetensors").unlink()
    study = prepared(folder, data)
    assert (study.subject.pretrained, study.subject.fresh, study.subject.head_words) == ("", (), ())
    one, two = dense_starts(study, tmp_path / "store")
    assert not torch.equal(one["bert.pooler.dense.weight"], two["bert.pooler.dense.weight"])


def with_pickle(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def of_no_architecture(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "bertt"}))


def of_no_architecture_nor_words(folder: Path) -> None:
    of_no_architecture(folder)
    (folder / "vocab.txt").unlink()


def with_many_words(folder: Path) -> None:
    (folder / "vocab.txt").write_text("\n".join([*WORDS, *map(str, range(9))]))


def with_few_places(folder: Path) -> None:
    saved(folder, max_position_embeddings=11)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_pickle, "pickle"),
        (of_no_architecture, "unknown architecture 'bertt'"),
        (of_no_architecture_nor_words, "unknown architecture 'bertt'"),
        (
            with_many_words,
            "has vocab_size 16 and the data need 23: the tokenizer or the length of the data does not fit",
        ),
        (with_few_places, "has max_position_embeddings 11, room for 11 tokens, and the data need 12"),
        (lambda folder: (folder / "vocab.txt").unlink(), "holds neither tokenizer.json nor vocab.txt: copy one"),
        (
            lambda folder: saved(folder, "GPT2LMHeadModel", n_embd=8, n_layer=1, n_head=2),
            "'gpt2' is a causal decoder; task '.*' needs an encoder, as BERT",
        ),
    ],
    ids=["pickle", "architecture", "architecture first", "words", "places", "tokenizer", "decoder"],
)
def test_what_does_not_fit_is_one_line(change: Any, message: str, data: Path, tmp_path: Path) -> None:
    folder = saved(tmp_path / "model")
    change(folder)
    with pytest.raises(ValueError, match=message) as caught:
        prepared(folder, data)
    assert "\n" not in str(caught.value)


def test_words_have_the_numbers_of_the_model(data: Path, tmp_path: Path) -> None:
    folder, other = saved(tmp_path / "model"), tmp_path / "vocab.txt"
    named = f"glue/sst2:length=12,tokenizer={other}"
    other.write_text("\n".join(WORDS))
    assert prepared(folder, data, named).subject.data.digest == prepared(folder, data).subject.data.digest
    other.write_text("\n".join([*WORDS[:5], *WORDS[:4:-1]]))
    with pytest.raises(ValueError, match="'a' is number 5 there and number 13 here; leave tokenizer= out") as caught:
        prepared(folder, data, named)
    assert "\n" not in str(caught.value)
    (folder / "vocab.txt").unlink()
    with pytest.warns(UserWarning, match="holds no tokenizer, and has 16 tokens where .* has 14"):
        prepared(folder, data, named)
    other.write_text("\n".join([*WORDS, "more", "words"]))
    prepared(folder, data, named)


def test_fine_tuning_is_usual_for_a_pretrained_encoder_on_glue(tmp_path: Path) -> None:
    def usual(model: str, data: str) -> tuple[str, float, str, str]:
        flat = settings_of(STUDIES["find-ticket"], {"model": model, "data": data}).flat()
        return flat["model"], flat["lr"], flat["duration"], flat["data"]

    folder = saved(tmp_path / "mini")
    for model in (str(folder), "hub:someone/bert", "bert-base-cased"):
        for data in ("glue/rte", "glue/sst2:length=64"):
            assert usual(model, data) == (model, 2e-5, "3ep", data)
    assert usual(str(folder), "digits")[1] != 2e-5
    (folder / "model.safetensors").unlink()
    assert usual(str(folder), "glue/rte")[1] != 2e-5


@pytest.mark.filterwarnings("ignore:glue/qqp")
def test_data_that_are_not_glues_split_are_said_where_the_score_stands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "data" / "glue" / "QQP"
    place.mkdir(parents=True)
    for name, number in (("train", 64), ("dev", 16)):
        lines = [f"a book\ta {'book' if row % 4 else 'film'}\t{int(row % 4 > 0)}" for row in range(number)]
        (place / f"{name}.tsv").write_text("\n".join(["question1\tquestion2\tis_duplicate", *lines, ""]))
    command = ["find-ticket", str(saved(tmp_path / "mini")), "glue/qqp:length=12", str(tmp_path / "data")]
    command += ["--levels", "1", "--replicates", "2", "--duration", "40it", "--batch-size", "16", "--lr", "0.02"]
    command += ["--evaluate-every", "40", "--validation", "4", "--controls", "none", "--quiet", "--workers", "0"]
    assert run([*command, "--out", str(tmp_path / "out"), "--store", str(tmp_path / "store")]) == 0
    shown = capsys.readouterr().out
    note = "not GLUE's split: 64 in place of 363,846 (train) and 16 in place of 40,430 (test) examples"
    assert f"The data are {note}" in shown
    assert "an answer that looks at no input" in shown
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["config"]["data_note"].startswith(note)
    assert results["constant"]["accuracy"] == 0.75
    page = (tmp_path / "out" / "report.html").read_text()
    assert "The data are not GLUE" in page
    assert run(["show", results["id"], "--store", str(tmp_path / "store")]) == 0
    assert f"The data are {note}" in capsys.readouterr().out


def test_an_encoder_predicts_no_next_token(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("abcdefgh" * 60)
    with pytest.raises(SettingsError, match="'bert' is an encoder, whose tokens see later ones; task 'language-model'"):
        settings = settings_of(STUDIES["train"], {"model": str(saved(tmp_path / "m")), "data": f"{text}:block=8"})
        load_studies(STUDIES["train"], [settings])


@pytest.mark.parametrize(("given", "message"), [("bert-tiny", "'bert' is an encoder"), ("gpt-char", "")])
def test_a_drawn_encoder_predicts_none_either(given: str, message: str, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("abcdefgh" * 60)
    settings = settings_of(STUDIES["train"], {"model": given, "data": f"{text}:block=8", "batch_size": 4})
    with pytest.raises(SettingsError, match=message) if message else nullcontext():
        assert load_studies(STUDIES["train"], [settings])


@pytest.mark.parametrize(("positions", "fits"), [(12, False), (13, False), (14, True)])
def test_positions_of_roberta_begin_behind_its_padding(positions: int, fits: bool, data: Path, tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", "RobertaModel", max_position_embeddings=positions)
    message = f"has max_position_embeddings {positions}, room for {positions - 2} tokens, and the data need 12"
    with nullcontext() if fits else pytest.raises(SettingsError, match=message):
        assert prepared(folder, data)


@pytest.mark.parametrize(("positions", "fits"), [(11, False), (12, True)])
def test_a_drawn_encoder_has_a_position_for_each_token(positions: int, fits: bool, data: Path, tmp_path: Path) -> None:
    folder = saved(tmp_path / "model")
    name = f"bert-tiny:max_position_embeddings={positions}"
    message = f"has max_position_embeddings {positions}, room for {positions} tokens, and the data need 12"
    with nullcontext() if fits else pytest.raises(SettingsError, match=message):
        given = {**SHORT, "model": name, "data": f"glue/sst2:length=12,tokenizer={folder}", "validation": 4}
        assert load_studies(STUDIES["find-ticket"], [settings_of(STUDIES["find-ticket"], given)], data)


def test_names_of_the_table_go_before_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(tmp_path / "bert-tiny")
    monkeypatch.chdir(tmp_path)
    assert foreign_model("bert-tiny") is None
    assert foreign_model("bert-tiny:num_hidden_layers=1", tmp_path) is None
    found = foreign_model("./bert-tiny")
    assert found is not None
    assert found.place == Path("bert-tiny")


def test_known_names_are_folders_first_and_then_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = saved(tmp_path / "bert-base-uncased")
    found = foreign_model("bert-base-uncased", tmp_path)
    assert found is not None
    assert (found.place, found.weights) == (folder, folder)
    assert foreign_model("lenet-300-100", tmp_path) is None
    asked = []

    def place(name: str) -> Path:
        asked.append(name)
        return folder

    monkeypatch.setattr("lth.launch.foreign_model.weights_place", place)
    assert foreign_model("roberta-base", tmp_path)
    assert foreign_model("hub:someone/bert@abc", tmp_path)
    assert asked == ["hub:FacebookAI/roberta-base", "hub:someone/bert@abc"]
    with_pickle(folder)
    with pytest.raises(ValueError, match="roberta-base holds no safetensors on the hub, and pickles are not read"):
        foreign_model("roberta-base", tmp_path)


def test_a_study_has_its_id_wherever_its_model_lies(data: Path, tmp_path: Path) -> None:
    here, there = (saved(tmp_path / place / "mini") for place in ("here", "there"))
    other = saved(tmp_path / "other" / "mini", hidden_dropout_prob=0.2)
    ids = [prepared(folder, data).id for folder in (here, there, other)]
    assert ids[0] == ids[1] != ids[2]


def test_a_search_names_what_was_drawn_and_the_model_by_its_folder(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = saved(tmp_path / "mini")
    command = [str(folder), "glue/sst2:length=12", str(data), "--validation", "4", "--levels", "1", "--replicates", "2"]
    command += ["--duration", "3it", "--batch-size", "4", "--evaluate-every", "2", "--lr", "0.001"]
    line = "start: drawn anew: classifier.weight, classifier.bias"
    assert run(["plan", "find-ticket", *command, "--store", str(tmp_path / "store")]) == 0
    planned = capsys.readouterr().out
    assert line in planned
    assert "find-ticket: mini on glue/sst2" in planned
    out = ["--out", str(tmp_path / "out"), "--store", str(tmp_path / "store"), "--workers", "0"]
    assert run(["find-ticket", *command, *out]) == 0
    assert line in capsys.readouterr().err
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["config"]["head_match"] == "drawn anew: classifier.weight, classifier.bias"
    assert len(results["config"]["pretrained_digest"]) == 64
    assert "mini on glue/sst2" in (tmp_path / "out" / "report.html").read_text()
    assert run(["ls", "--store", str(tmp_path / "store")]) == 0
    assert str(tmp_path) not in capsys.readouterr().out


@pytest.mark.slow
def test_workers_train_it_too(data: Path, tmp_path: Path) -> None:
    given = {**SHORT, "validation": 4, "controls": (), "lr": 0.001}
    places = {"folder": data, "progress": False}
    found = [
        lth.find_ticket(
            str(saved(tmp_path / "mini")), "glue/sst2:length=12", store=tmp_path / f"store-{number}",
            out=tmp_path / f"out-{number}", execution=execution, **places, **given,
        )
        for number, execution in enumerate((HERE, lth.Execution(workers=2)))
    ]  # fmt: skip
    rows = [[(row["key"], row["end"]) for row in each.results["rows"]] for each in found]
    assert rows[0] == rows[1]
