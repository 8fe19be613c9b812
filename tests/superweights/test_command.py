"""The whole command on a tiny Llama with a planted super weight: finds, proves, writes, goes on, refuses."""

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from networks import network
from planted import plant
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

import lth
from lth.analysis.super_weights import SuperWeightsDocument, read_super_weights
from lth.cli.main import main
from lth.lineage import Execution, Node, Store, weights_to_bytes
from lth.models import Gpt2
from lth.superweights import search
from lth.superweights.coordinates import Coordinate
from lth.superweights.findings import Candidate

AT = Coordinate(block=1, output=7, input=11)
PROMPTS = ([3, 14, 15, 9, 2, 6], [3, 27, 18, 28], [3, 31, 41, 5, 44])
IDS = [argument for prompt in PROMPTS for argument in ("--tokens-prompt", ",".join(map(str, prompt)))]
HERE = ("--workers", "0", "--quiet")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a network and a text that it wrote itself, so that it knows what comes next."""
    return written(tmp_path_factory.mktemp("model"))


def written(folder: Path, *others: Coordinate) -> Path:
    made = network("llama")
    with torch.no_grad():
        made.lm_head.weight *= 30  # sure of what it says
    plant(made, AT, 8.0, PROMPTS)
    with torch.no_grad():
        for each in others:
            made.model.layers[each.block].mlp.down_proj.weight[each.output, each.input] = 8.0
    torch.manual_seed(1)
    ids = torch.full((12, 1), 3)
    with torch.no_grad():
        for _ in range(7):
            ids = torch.cat([ids, torch.multinomial(made(ids).logits[:, -1].softmax(-1), 1)], 1)
    made.save_pretrained(folder)
    (folder / "text.txt").write_text(" ".join(map(str, ids.flatten().tolist())))
    return folder


@pytest.fixture(scope="module")
def proof(model: Path) -> tuple[str, ...]:
    return (str(model), *IDS, "--text", str(model / "text.txt"), "--protocol", "blocks:8")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, output and errors of `lth superweights`."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(["superweights", *arguments])
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    code: Any = ended.value.code
    return int(code), captured.out, captured.err


def row(document: SuperWeightsDocument, kind: str, factor: float | None = 0.0) -> Any:
    return next(row for row in document["interventions"] if (row["kind"], row["factor"]) == (kind, factor))


def test_a_planted_super_weight_is_found_and_proved(
    capsys: pytest.CaptureFixture[str], proof: tuple[str, ...], tmp_path: Path
) -> None:
    code, out, _ = command(capsys, *proof, *HERE, "--out", "page")
    assert code == 0
    assert out.startswith("One super weight in model")
    assert re.search(r"1,7,11 +8.000 +1 +3 of 3 .* super weight", out)
    assert "blocks of 8 tokens without overlap" in out
    document = read_super_weights(tmp_path / "page")
    [candidate] = document["candidates"]
    assert (candidate["coordinate"], candidate["verdict"], candidate["rank"]) == ("1,7,11", "super weight", 1)
    assert candidate["name"] == "model.layers.1.mlp.down_proj.weight"
    assert document["protocol"] is not None
    assert (document["protocol"]["blocks"], document["protocol"]["tokens"]) == (12, 12 * 7)
    assert row(document, "scale")["ratio"]["low"] > 10
    assert row(document, "row-without")["ratio"]["value"] < row(document, "scale")["ratio"]["low"]
    # The planted neuron writes by this weight alone: without it the neuron is nothing.
    assert row(document, "column")["ratio"] == row(document, "scale")["ratio"]
    assert row(document, "column-without")["ratio"]["value"] == 1.0
    assert {each["group"] for each in document["interventions"]} == {
        "",
        "weight",
        "row",
        "column",
        "activation",
        "control",
    }
    assert {each["round"] for each in document["spikes"]} == {1, 2}
    largest = max(
        (each for each in document["spikes"] if each["round"] == 1), key=lambda each: abs(each["output"] or 0)
    )
    assert (largest["block"], largest["output_channel"], largest["input_channel"]) == (1, 7, 11)
    assert document["census"][0]["channel"] == 7
    assert "1,7,11" in (tmp_path / "page" / "report.html").read_text(encoding="utf-8")
    assert len(list((tmp_path / "page" / "figures").glob("*.png"))) == 5

    # Again: nothing is measured anew, and the document is the same but for its time.
    objects = {path: path.stat().st_mtime_ns for path in (tmp_path / "lth-store").rglob("metrics.json")}
    assert command(capsys, *proof, *HERE, "--json")[0] == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "lth-store").rglob("metrics.json")} == objects
    [folder] = (tmp_path / "lth-reports").iterdir()
    assert read_super_weights(folder) | {"created": ""} == document | {"created": ""}

    # As a published model, by a name that the folder does not have.
    code, _, message = command(capsys, f"gpt2={proof[0]}", *IDS, *HERE, "--find-only", "--verify")
    assert code == 1
    assert "(2,447,666) is no weight of this network" in message

    # Another weight beside it: only that one is tested in addition.
    code, out, _ = command(capsys, *proof, *HERE, "--coordinates", "0,3,5", "--json")
    asked = json.loads(out)["candidates"][-1]
    assert (asked["coordinate"], asked["verdict"], asked["share"]) == ("0,3,5", "none", None)


def test_two_of_one_neuron_do_not_refute_each_other(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = written(tmp_path, Coordinate(block=1, output=9, input=11))
    text = ("--text", str(folder / "text.txt"), "--protocol", "blocks:8")
    code, out, _ = command(capsys, str(folder), *IDS, *text, *HERE, "--join", "rows", "--json")
    assert code == 0
    document = json.loads(out)
    assert "lines joined by two newlines" in document["protocol"]["words"]
    assert document["environment"]["transformers"] == transformers.__version__
    assert {each["coordinate"]: each["verdict"] for each in document["candidates"]} == {
        "1,7,11": "super weight", "1,9,11": "super weight",
    }  # fmt: skip
    labels = [row["label"] for row in document["interventions"] if row["kind"] == "column-without"]
    both = {f"rest of neuron 11 but for {each} zeroed" for each in ("1,7,11", "1,9,11")}
    assert set(labels) == {"rest of neuron 11 zeroed", *both}


def test_a_spike_of_a_later_round_says_so() -> None:
    shown = {"coordinate": AT, "round": 2, "companion_of": None, "cancels": None}
    assert Candidate.model_construct(**shown).label() == "shows in round 2 only"


def test_python_with_a_tokenizer(tmp_path: Path) -> None:
    network("llama", seed=1).save_pretrained("words")
    add_tokenizer(tmp_path / "words")
    (tmp_path / "text.txt").write_text("the cat and the dog in the sun " * 10)
    found = lth.super_weights(
        "words", text="text.txt", protocol="blocks:8", coordinates=["1,7,11"], execution=Execution(workers=0)
    )
    document = found.document
    assert (found.found, document["verdict"]["word"]) == ([], "none")
    assert [each["text"] for each in document["prompts"]] == list(search.PROMPTS)
    assert document["prompts"][1]["tokens"][:2] == ["summer", "is"]
    assert document["protocol"] is not None
    assert document["protocol"]["bytes_per_token"] == pytest.approx(4, abs=0.2)
    assert [each["label"] for each in document["interventions"]] == ["as it is", "zeroed"]
    zeroed = document["interventions"][1]
    assert zeroed["bits_per_byte"] == pytest.approx(math.log2(zeroed["perplexity"]["value"] or 0) / 4, rel=0.05)
    assert zeroed["stop_words"] is not None
    assert abs(zeroed["stop_words"]["value"] or 1) < 0.1
    assert str(found).startswith("No super weight in words")
    assert found.report.is_file()


def add_tokenizer(folder: Path) -> None:
    """A word a token, small letters."""
    words = ["<unk>", "the", "and", "in", "cat", "dog", "sun", "summer", "is", "hot"]
    made = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, "<unk>"))
    made.normalizer, made.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>").save_pretrained(folder)


def test_a_run_that_ended_early_goes_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, proof: tuple[str, ...], tmp_path: Path
) -> None:
    kept, done, most = Store.commit, list[str](), [5]

    def commit(store: Store, node: Node, *rest: Any) -> None:
        if len(done) == most[0]:
            raise KeyboardInterrupt  # as a second Ctrl-C does: at once
        kept(store, node, *rest)
        done.append(node.key)

    monkeypatch.setattr(Store, "commit", commit)
    assert command(capsys, *proof, *HERE)[0] == 130
    most[0] = 100
    assert command(capsys, *proof, *HERE, "--json")[0] == 0
    assert len(done) == len(set(done)) > 20  # nothing was done twice


def test_a_model_without_one_says_so(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    network("llama", seed=1).save_pretrained("plain")
    code, out, _ = command(capsys, "plain", *IDS, *HERE, "--find-only", "--out", "page")
    assert code == 0
    assert out.startswith("No spike in plain")
    assert read_super_weights(tmp_path / "page")["candidates"] == []


def test_a_model_of_lth_is_measured_on_its_own_test_part(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    text = "to be or not to be, that is the question\n" * 40
    (tmp_path / "text.txt").write_text(text)
    made = Gpt2(len(set(text)), 16, n_layer=2, n_head=2, n_embd=8, bias=False, pad_to=1)
    (tmp_path / "w.safetensors").write_bytes(weights_to_bytes(dict(made.state_dict())))
    known = ("gpt-char:n_layer=2,n_embd=8,n_head=2", "text.txt:block=16", "--start-from", "w.safetensors", *HERE)
    code, out, _ = command(capsys, *known, "--prompt", "to be", "--coordinates", "1,3,5", "--json")
    document = json.loads(out)
    assert code == 0
    assert (document["protocol"]["name"], document["protocol"]["text"]) == ("blocks:16", "text, test part")
    assert document["candidates"][-1]["verdict"] == "none"
    assert document["prompts"][0]["tokens"] == list("to be")
    code, _, message = command(capsys, *known)  # the usual prompts have letters that this text has not
    assert (code, message.count("\n")) == (2, 1)


@pytest.mark.parametrize("offload", [True, False])
def test_on_disk_as_in_memory(capsys: pytest.CaptureFixture[str], model: Path, tmp_path: Path, offload: bool) -> None:
    where = ("--offload", "blocks") if offload else ()
    code, out, _ = command(capsys, str(model), *IDS, "--find-only", "--json", *HERE, *where)
    assert code == 0
    assert json.loads(out)["candidates"][0]["coordinate"] == "1,7,11"
    assert (tmp_path / "blocks").exists() == offload


def test_an_encoder_is_looked_at_and_not_proved(capsys: pytest.CaptureFixture[str]) -> None:
    made = network("bert")
    plant(made, AT, 8.0, PROMPTS)
    made.save_pretrained("encoder")
    code, out, _ = command(capsys, "encoder", *IDS, *HERE)
    assert code == 0
    assert "One candidate in encoder, not tested" in out
    assert "predicts no next token" in out
    code, _, message = command(capsys, "encoder", *IDS, *HERE, "--text", "encoder/config.json")
    assert (code, message.count("\n")) == (2, 1)
    assert "it predicts no next token" in message


def test_memory_is_planned_from_a_config_alone(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4096, "vocab_size": 32000,
              "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32}  # fmt: skip
    (tmp_path / "large").mkdir()
    (tmp_path / "large" / "config.json").write_text(json.dumps(config))
    code, out, _ = command(capsys, "large", "--memory", "--precision", "float16")
    assert code == 0
    assert re.search(r"parameters +6,738,415,616", out)
    assert re.search(r"weights in float16 +12.55 GiB", out)
    assert re.search(r"with --offload +1\.\d\d GiB", out)


WRONG = [
    (["--prompt", "Summer is hot."], 2, "has no tokenizer"),
    (["--tokens-prompt", "3,50"], 2, "token 50 is none of"),
    (["--tokens-prompt", "three"], 2, "no list of token ids"),
    (["--tokens-prompt", "3,14"], 2, "no text to measure"),
    ([*IDS, "--text", "missing.txt"], 2, "cannot read the text missing.txt"),
    ([*IDS, "--text", "odd.txt"], 2, "give a text of token ids"),
    ([*IDS, "--text", "short.txt", "--protocol", "blocks:8"], 2, "too few for blocks:8"),
    ([*IDS, "--text", "one.txt", "--protocol", "blocks:8"], 2, "one block of text gives no interval"),
    ([*IDS, "--text", "one.txt", "--protocol", "block:8"], 2, "unknown protocol 'block:8'"),
    ([*IDS, "--text", "one.txt", "--protocol", "blocks:8", "--bos"], 2, "no BOS token"),
    ([*IDS, "--find-only", "--text", "one.txt"], 2, "leave out --text"),
    ([*IDS, "--find-only", "--coordinates", "1,7"], 2, "is no coordinate"),
    ([*IDS, "--find-only", "--coordinates", "9,7,11"], 1, "is no weight of this network"),
    ([*IDS, "--find-only", "--precision", "int8"], 2, "unknown precision 'int8'"),
    ([*IDS, "--find-only", "--verify"], 2, "write MODEL=FOLDER"),
    ([*IDS, "--find-only", "--most", "0"], 2, "--most 0"),
    ([*IDS, "--find-only", "--workers", "-1"], 2, "--workers -1"),
    ([*IDS, "--find-only", "--start-from", "x"], 2, "has weights of its own"),
]


@pytest.mark.parametrize(
    ("arguments", "code", "said"), WRONG, ids=lambda value: value if isinstance(value, str) else ""
)
def test_what_is_wrong_is_said_in_a_line(
    capsys: pytest.CaptureFixture[str], model: Path, tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    for name, content in (("odd", "to be or not"), ("short", "1 2 3"), ("one", "1 2 3 4 5 6 7 8 9")):
        (tmp_path / f"{name}.txt").write_text(content)
    own = () if "--workers" in arguments else HERE
    found, _, message = command(capsys, str(model), *arguments, *own)
    assert said in message
    assert (found, message.count("\n")) == (code, 1)


def test_activations_that_are_not_finite_and_unknown_models(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    made = network("llama")
    plant(made, AT, 8.0, PROMPTS)
    with torch.no_grad():
        made.model.layers[0].mlp.down_proj.weight *= 1e30
        made.model.layers[0].mlp.up_proj.weight *= 1e30
    made.save_pretrained("broken")
    code, _, message = command(capsys, "broken", *IDS, *HERE, "--find-only")
    assert (code, message.count("\n")) == (1, 1)
    assert "block 0" in message
    for name, said in (("nowhere/model", "there is no nowhere/model"), ("gpt2", "a model without weights")):
        code, _, message = command(capsys, name, "--find-only", *HERE)
        assert (code, message.count("\n")) == (2, 1)
        assert said in message
    (tmp_path / "broken" / "config.json").write_text('{"model_type": "neverheard"}')
    code, _, message = command(capsys, "broken", "--find-only", *HERE)
    assert "unknown architecture 'neverheard'" in message
