"""`lth compact`, on tickets of a small real study and on one of a user's model."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from cli_runs import outcome, run
from safetensors.torch import load_file, save_file
from torch import Tensor

import lth
from lth import apply_masks, load_compact, read_ticket
from lth.models import LeNet300100


@pytest.fixture
def ticket(small_study: Path) -> Path:
    """The sparsest ticket of the study."""
    return sorted((small_study / "tickets").glob("*.ticket.safetensors"))[-1]


def outputs(module: torch.nn.Module, inputs: Tensor) -> Tensor:
    with torch.no_grad():
        found: Tensor = module.eval()(inputs)
    return found


def lenet(file: Path, weights: dict[str, Tensor] | None = None) -> LeNet300100:
    """The ticket's network with its pruned weights at zero."""
    opened = read_ticket(file)
    module = LeNet300100(**opened.model.arguments)
    module.load_state_dict(weights or opened.starting_weights())
    apply_masks(opened, module)
    return module


def test_the_table_and_the_files(capsys: pytest.CaptureFixture[str], ticket: Path, tmp_path: Path) -> None:
    printed = run(capsys, "compact", str(ticket), "--out", str(tmp_path), "--batch-size", "8", "--drop-inputs")
    for word in ("parameters", "FLOPs", "bytes", "ms for 8 examples", "ratio", "compact.safetensors", "compact.json"):
        assert word in printed
    module = lenet(ticket)
    shape = read_ticket(ticket).model.arguments["input_shape"]
    small = load_compact(LeNet300100(**read_ticket(ticket).model.arguments), tmp_path / "compact.safetensors")
    inputs = torch.rand(5, *shape)
    torch.testing.assert_close(outputs(small, inputs), outputs(module, inputs), rtol=1e-5, atol=1e-5)
    document = json.loads((tmp_path / "compact.json").read_text())
    counted = {
        "before": sum(value.numel() for value in module.parameters()),
        "after": sum(value.numel() for value in small.parameters()),
    }
    assert document["cost"]["parameters"] == counted
    assert counted["after"] < counted["before"]


def test_trained_weights_and_json(capsys: pytest.CaptureFixture[str], ticket: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    trained = LeNet300100(**read_ticket(ticket).model.arguments)
    save_file(trained.state_dict(), tmp_path / "trained.safetensors")
    arguments = ["compact", str(ticket), "--out", str(tmp_path), "--checkpoint", str(tmp_path / "trained.safetensors")]
    document: dict[str, Any] = json.loads(run(capsys, *arguments, "--json"))
    assert document["checkpoint"] == "trained.safetensors"
    assert document["cost"]["FLOPs"]["after"] <= document["cost"]["FLOPs"]["before"]
    small = load_compact(LeNet300100(**read_ticket(ticket).model.arguments), tmp_path / "compact.safetensors")
    inputs = torch.rand(5, *read_ticket(ticket).model.arguments["input_shape"])
    expected = outputs(lenet(ticket, load_file(tmp_path / "trained.safetensors")), inputs)
    torch.testing.assert_close(outputs(small, inputs), expected, rtol=1e-5, atol=1e-5)


def test_onnx(capsys: pytest.CaptureFixture[str], ticket: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    document = json.loads(run(capsys, "compact", str(ticket), "--out", str(tmp_path), "--onnx", "--json"))
    assert [Path(file).name for file in document["files"]] == [
        "compact.safetensors", "compact.json", "compact.onnx",
    ]  # fmt: skip
    assert document["onnx_difference"] < 1e-5
    assert (tmp_path / "compact.onnx").stat().st_size > 1000


def test_the_function_gives_the_network_itself(ticket: Path, small_found: lth.Found, tmp_path: Path) -> None:
    store = small_found.folder.parent / "store"
    report = lth.compact_ticket(ticket, tmp_path, store=store, batch_size=4)
    assert report.weights == "as the ticket was trained"
    opened = read_ticket(ticket)
    inputs = torch.rand(5, *opened.model.arguments["input_shape"])
    expected = outputs(lenet(ticket, opened.trained_weights(store)), inputs)
    torch.testing.assert_close(outputs(report.module, inputs), expected, rtol=1e-5, atol=1e-5)
    before, after = report.costs["parameters"]
    assert after == sum(value.numel() for value in report.module.parameters()) < before
    assert [path.name for path in report.files] == ["compact.safetensors", "compact.json"]
    with pytest.raises(lth.StoreError, match="does not hold this ticket's training"):
        lth.compact_ticket(opened, tmp_path, store=tmp_path / "empty")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--batch-size", "0"], 2, "--batch-size 0 is no batch"),
        (["--input-shape", "8,a"], 2, "'8,a' is no shape"),
        (["--checkpoint", "absent"], 1, "cannot read absent: No such file"),
        (["--checkpoint", "part.safetensors"], 1, "another architecture"),
        (["--checkpoint", "no-biases.safetensors"], 1, "does not fit the model 'lenet-300-100': Error"),
        (["--store", "empty"], 1, "the store empty does not hold this ticket's training"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, ticket: Path, tmp_path: Path,
    arguments: list[str], code: int, message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    save_file({"hidden1.weight": torch.zeros(300, 64)}, "part.safetensors")
    state = LeNet300100((8, 8)).state_dict()
    save_file({name: value for name, value in state.items() if "bias" not in name}, "no-biases.safetensors")
    found, _, said = outcome(capsys, "compact", str(ticket), "--out", "out", *arguments)
    assert (found, len(said.splitlines())) == (code, 1)
    assert message in said
    assert not (tmp_path / "out").exists()
    found, _, said = outcome(capsys, "compact", "part.safetensors", "--out", "out")
    assert (found, "no ticket" in said) == (1, True)


def test_a_model_of_the_users_own(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "compactable_nets.py").write_text(
        "from torch import nn\n\ndef make(num_classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, 20), nn.ReLU(), nn.Linear(20, num_classes))\n"
    )
    left = lth.find_ticket(
        model="compactable_nets:make", store=tmp_path / "store", out=tmp_path / "out", progress=False,
        execution=lth.Execution(workers=0), levels=3, rate=0.7, replicates=1, duration="20it", evaluate_every=20,
        controls=(),
    )  # fmt: skip
    file = str(left.tickets[-1])
    _, _, said = outcome(capsys, "compact", file, "--out", "small", "--input-shape", "8,8")
    assert "whose code is none of lth's and is not run unasked: name it" in said
    _, _, said = outcome(capsys, "compact", file, "--out", "small", "--model", "compactable_nets:make")
    assert "--input-shape" in said
    arguments = ["--out", "small", "--model", "compactable_nets:make", "--input-shape", "8x8"]
    assert "parameters" in run(capsys, "compact", file, *arguments)
    assert (tmp_path / "small" / "compact.safetensors").exists()
