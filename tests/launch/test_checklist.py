"""Published numbers of networks that others trained: all not run, or those of the one at hand measured."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from lth.cli.main import main
from lth.launch.checklist import NOT_RUN, AtHand, compare_checklist, named_model
from lth.launch.passages import passage_of
from lth.launch.specimen import load_specimen
from lth.launch.superweights import super_weights
from lth.lineage import Execution, Store
from lth.studies.experiments.checklist import CHECKLISTS, Checklist, Listed
from lth.superweights.battery import causal_test
from lth.superweights.coordinates import Coordinate
from lth.superweights.interventions import Intervention
from lth.superweights.protocol import Protocol

AT = Coordinate(block=1, output=3, input=5)
ROW = Intervention(kind="row", coordinates=(AT,))
HERE, ELSEWHERE = "made/tiny-llama", "made/other"


def rows() -> list[Listed]:
    return [
        Listed(HERE, "value", 2.5, (2.4, 2.6), "a paper", "value", causal_test(AT)),
        Listed(HERE, "zeroed", None, (1e6, None), "a paper", "ratio", causal_test(AT)),
        Listed(HERE, "row", 0.1, (-0.9, 9.0), "a paper", "change", ROW),
        Listed(HERE, "accuracy", 70.0, (69.0, 71.0), "a paper", "elsewhere"),
        Listed(ELSEWHERE, "zeroed", 6.0, (3.0, 36.0), "a paper", "ratio", causal_test(AT)),
    ]


CHECKLIST = Checklist("Some numbers", "a paper", rows)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama with one large weight, and a text of token ids beside it."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        bos_token_id=1, eos_token_id=2, max_position_embeddings=64,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        model.model.layers[1].mlp.down_proj.weight[3, 5] = 2.5
    folder = tmp_path_factory.mktemp("models") / "tiny-llama"
    model.save_pretrained(folder)
    ids = np.random.default_rng(0).integers(0, 40, 64)
    (folder / "text.txt").write_text(" ".join(map(str, ids)))
    return folder


def at_hand(folder: Path) -> AtHand:
    specimen = load_specimen(str(folder))
    return AtHand(HERE, specimen, passage_of(specimen, str(folder / "text.txt"), Protocol.parse("blocks:16")))


def test_without_a_model_nothing_is_measured_and_each_row_says_why() -> None:
    for checklist in CHECKLISTS.values():
        numbers = compare_checklist(checklist)
        assert len(numbers) == len(checklist.rows())
        assert {each["verdict"] for each in numbers} <= {NOT_RUN, "not measured: no task of lth's"}
        assert all(each["ours"] is None for each in numbers)
        for each in numbers:
            low, high = each["band"]
            if each["published"] is not None:
                assert low is not None
                assert high is not None
                assert low <= each["published"] <= high
        json.dumps(numbers, allow_nan=False)
    assert len(CHECKLISTS["super-rows"].rows()) == 9


def test_what_is_at_hand_is_measured_and_the_rest_is_not_run(folder: Path, tmp_path: Path) -> None:
    numbers = compare_checklist(CHECKLIST, at_hand(folder), Store(tmp_path))
    value, zeroed, row, accuracy, other = numbers
    assert value["ours"] == {"value": 2.5, "low": None, "high": None}
    assert [each["verdict"] for each in numbers] == [
        "inside", "outside", "inside", "not measured: no task of lth's", NOT_RUN,
    ]  # fmt: skip
    assert (accuracy["ours"], other["ours"]) == (None, None)

    def loss(change: bool) -> float:
        model = LlamaForCausalLM.from_pretrained(folder).eval()
        tokens = torch.tensor([int(each) for each in (folder / "text.txt").read_text().split()]).view(4, 16)
        with torch.no_grad():
            if change:
                model.model.layers[1].mlp.down_proj.weight[3] = 0.0
            return float(model(tokens, labels=tokens).loss)

    assert row["ours"] is not None
    assert row["ours"]["value"] == pytest.approx(loss(True) / loss(False) - 1, abs=1e-5)
    assert zeroed["ours"] is not None
    ends = [zeroed["ours"][end] for end in ("low", "value", "high")]  # type: ignore[literal-required]
    assert ends == sorted(ends)
    assert math.isfinite(ends[1])


def test_the_jobs_are_those_of_the_command(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["<unk>", "the", "and", "in", "cat", "dog"]
    made = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, "<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    shutil.copytree(folder, tmp_path / "words")
    PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>").save_pretrained(tmp_path / "words")
    (tmp_path / "text.txt").write_text("the cat and the dog in " * 20)
    monkeypatch.chdir(tmp_path)
    settings = {"text": "text.txt", "protocol": "blocks:16", "store": "store", "coordinates": [str(AT)]}
    here = Execution(workers=0)
    super_weights("words", **settings, execution=here, progress=False)  # type: ignore[arg-type]
    held = {path.parent.name for path in (tmp_path / "store").rglob("metrics.json")}
    specimen = load_specimen("words")
    passage = passage_of(specimen, "text.txt", Protocol.parse("blocks:16"))
    compare_checklist(CHECKLIST, AtHand(HERE, specimen, passage), Store(tmp_path / "store"), here)
    new = {path.parent.name for path in (tmp_path / "store").rglob("metrics.json")} - held
    assert len(new) == 1  # of the row alone: the network as it is, and the weight zeroed, are the command's


def test_a_network_without_a_next_token_gives_its_values_alone(folder: Path, tmp_path: Path) -> None:
    encoder = AtHand(HERE, load_specimen(str(folder)), None)
    numbers = compare_checklist(CHECKLIST, encoder, Store(tmp_path))
    assert [each["verdict"] for each in numbers[:2]] == ["inside", "not measured: it predicts no next token"]


def test_a_model_is_named_by_its_place_or_before_it() -> None:
    weights = CHECKLISTS["super-weights"]
    assert named_model("x/SmolLM2-135M-Instruct.Q4_1.gguf", weights)[0] == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert named_model("gpt2=./weights", weights) == ("openai-community/gpt2", "./weights")
    with pytest.raises(ValueError, match="write MODEL=FOLDER"):
        named_model("./weights", weights)
    with pytest.raises(ValueError, match="none of the models"):
        named_model("./SmolLM2-135M-Instruct", CHECKLISTS["super-rows"])


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["reproduce", *arguments])
    shown = capsys.readouterr()
    return int(ended.value.code or 0), shown.out, shown.err


def test_the_command(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, shown, _ = run(capsys, "super-rows")
    assert (code, shown.count(NOT_RUN)) == (0, 9)
    monkeypatch.setitem(CHECKLISTS, "made", CHECKLIST)
    text = ("--text", str(folder / "text.txt"), "--protocol", "blocks:16")
    code, shown, _ = run(capsys, "made", "--model", f"tiny-llama={folder}", *text, "--quiet")
    assert code == 0
    assert "value\n    published 2.5 (a paper; band 2.4 to 2.6); ours 2.50: inside" in shown
    assert "published without a number (a paper; at least 1e+06); ours 1.00 [" in shown
    code, shown, _ = run(capsys, "made", "--model", f"tiny-llama={folder}", *text, "--join", "rows", "--json")
    document = json.loads(shown)
    assert "blocks:16" in document["protocol"]
    assert "lines joined by two newlines" in document["protocol"]
    assert document["rows"][0]["verdict"] == "inside"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("super-rows", "--scale", "0.1"), "trains nothing: leave out --scale"),
        (
            ("frankle-carbin-fig4", "--model", "x"),
            "--model, --text and --protocol are of super-weights and super-rows",
        ),
        (("super-rows", "--model", "nothing"), "none of the models"),
    ],
)
def test_what_does_not_go_together_is_bad_usage(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    code, _, error = run(capsys, *arguments)
    assert code == 2
    assert message in error
