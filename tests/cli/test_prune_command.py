"""`lth prune`: what it prints, writes and refuses."""

import json
from pathlib import Path

import pytest
import torch
from cli_runs import outcome, run

from lth.models.hugging_face import quiet

transformers = pytest.importorskip("transformers")


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=32,
    )  # fmt: skip
    with quiet():
        transformers.LlamaForCausalLM(config).save_pretrained(tmp_path / "model")
    ids = torch.randint(0, 40, (300,), generator=torch.Generator().manual_seed(0)).tolist()
    (tmp_path / "test.txt").write_text(" ".join(map(str, ids[:100])))
    (tmp_path / "train.txt").write_text(" ".join(map(str, ids[100:])))
    monkeypatch.chdir(tmp_path)
    return "model"


def test_a_model_is_pruned_and_written(capsys: pytest.CaptureFixture[str], model: str, tmp_path: Path) -> None:
    shown = run(
        capsys, "prune", model, "--calibrate", "train.txt", "--sequences", "3", "--text", "test.txt", "--protocol",
        "blocks:16", "--protect", "1,3,5", "--protect", "0,2,7", "--out", "sparse", "--quiet",
    )  # fmt: skip
    lines = shown.splitlines()
    assert lines[0] == (
        "model: 50.00 % of 3,840 weights are zero (wanda, layerwise); 14 matrices keep 50.00 to 50.00 %"
    )
    assert lines[1] == "Protected   1,3,5; 0,2,7"
    assert lines[2].startswith("Calibrated  3 sequences of 32 tokens of")
    assert "blocks:16" in lines[3]
    assert [line.split()[0] for line in lines[4:]] == ["loss", "perplexity", "Wrote"]
    assert json.loads((tmp_path / "sparse" / "prune.json").read_text())["format"] == "lth.prune/1"
    assert transformers.AutoModelForCausalLM.from_pretrained("sparse").config.model_type == "llama"


def test_the_join_of_the_text_is_in_the_document(capsys: pytest.CaptureFixture[str], model: str) -> None:
    settings = ("--method", "magnitude", "--text", "test.txt", "--protocol", "sliding:16:8", "--join", "rows")
    protocol = json.loads(run(capsys, "prune", model, *settings, "--tokens", "60", "--json"))["protocol"]
    assert (protocol["join"], protocol["tokens"], protocol["stride"]) == ("rows", 59, 8)


def test_without_a_text_nothing_is_measured(capsys: pytest.CaptureFixture[str], model: str) -> None:
    document = json.loads(run(capsys, "prune", model, "--method", "magnitude", "--pattern", "1:4", "--json"))
    assert document["sparsity"]["reached"] == 0.75
    assert document["before"] is document["after"] is None
    again = json.loads(run(capsys, "prune", model, "--method", "magnitude", "--protect", "none", "--json"))
    assert again["protected"] == []


def test_progress_is_shown(capsys: pytest.CaptureFixture[str], model: str) -> None:
    code, _, error = outcome(capsys, "prune", model, "--method", "magnitude")
    assert code == 0
    assert error.splitlines() == ["loading model", "block 1 of 2 pruned", "block 2 of 2 pruned"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--method wanda looks at activations: name a text with --calibrate"),
        (("--method", "magnitude", "--scope", "owl"), "--scope owl looks at activations"),
        (("--method", "wnda"), "Did you mean 'wanda'?"),
        (("--sparsity", "50"), "--sparsity 50: the share that goes lies between 0 and 1"),
        (("--sequences", "0"), "--sequences is 1 or more"),
        (("--protect", "11,507"), "--protect: '11,507' is no coordinate"),
        (("--protect", "super", "--protect", "1,2,3"), "--protect super names all that are found"),
        (("--method", "magnitude", "--pattern", "4:2"), "N:M needs 1 <= N < M"),
        (("--method", "magnitude", "--text", "test.txt", "--protocol", "blocks"), "unknown protocol 'blocks'"),
        (("--method", "magnitude", "--start-from", "model"), "has weights of its own"),
    ],
)
def test_wrong_usage_gets_one_line(
    capsys: pytest.CaptureFixture[str], model: str, arguments: tuple[str, ...], message: str
) -> None:
    code, out, error = outcome(capsys, "prune", model, *arguments)
    assert (code, out) == (2, "")
    assert message in error
    assert len(error.splitlines()) == 1


def test_a_wrong_model_gets_one_line(capsys: pytest.CaptureFixture[str], model: str, tmp_path: Path) -> None:
    code, _, error = outcome(capsys, "prune", str(tmp_path), "--method", "magnitude")
    assert code == 1
    assert "has no config.json" in error
