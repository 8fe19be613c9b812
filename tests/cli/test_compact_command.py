"""`lth compact`, on tickets of a small real study and on one of a user's model."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from cyclopts import App
from safetensors.torch import load_file, save_file
from torch import Tensor

from lth.cli.compact import compact
from lth.cli.errors import CommandError, UsageError
from lth.launch.export import load_compact
from lth.lineage import Sources, apply_masks, read_ticket, starting_weights
from lth.models import LeNet300100

app = App(name="lth", help_format="plaintext")
app.command(compact)


@pytest.fixture
def ticket(small_study: Path) -> Path:
    """The sparsest ticket of the study."""
    return sorted((small_study / "tickets").glob("*.ticket.safetensors"))[-1]


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    app(arguments, exit_on_error=False, result_action="return_value")
    return capsys.readouterr().out


def outputs(module: torch.nn.Module, inputs: Tensor) -> Tensor:
    with torch.no_grad():
        found: Tensor = module.eval()(inputs)
    return found


def lenet(file: Path, weights: dict[str, Tensor] | None = None) -> LeNet300100:
    """The ticket's network with its pruned weights at zero."""
    found = read_ticket(file)
    module = LeNet300100(**found.model.arguments)
    module.load_state_dict(weights or starting_weights(found, Sources()))
    apply_masks(found, module)
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


def test_what_is_wrong_is_said_in_one_line(ticket: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--batch-size 0 is no batch"):
        compact(ticket, out=tmp_path, batch_size=0)
    with pytest.raises(UsageError, match="'8,a' is no shape"):
        compact(ticket, out=tmp_path, input_shape="8,a")
    with pytest.raises(CommandError, match=r"cannot read .*absent: No such file"):
        compact(ticket, out=tmp_path, checkpoint=tmp_path / "absent")
    save_file({"hidden1.weight": torch.zeros(300, 64)}, tmp_path / "part.safetensors")
    with pytest.raises(ValueError, match=r"another architecture.*'hidden2\.weight'"):
        compact(ticket, out=tmp_path, checkpoint=tmp_path / "part.safetensors")
    with pytest.raises(ValueError, match="no ticket"):
        compact(tmp_path / "part.safetensors", out=tmp_path)
    state = LeNet300100((8, 8)).state_dict()
    save_file({name: value for name, value in state.items() if "bias" not in name}, tmp_path / "no-biases.safetensors")
    with pytest.raises(CommandError, match="does not fit the model 'lenet-300-100'.*Missing"):
        compact(ticket, out=tmp_path, checkpoint=tmp_path / "no-biases.safetensors")
    assert not (tmp_path / "compact.json").exists()


def test_a_model_of_the_users_own(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import lth

    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "compactable_nets.py").write_text(
        "from torch import nn\n\ndef make(num_classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, 20), nn.ReLU(), nn.Linear(20, num_classes))\n"
    )
    found = lth.find_ticket(
        model="compactable_nets:make", store=tmp_path / "store", out=tmp_path / "out",
        execution=lth.Execution(workers=0), levels=3, rate=0.7, replicates=1, duration="20it", evaluate_every=20,
        controls=(),
    )  # fmt: skip
    ticket = sorted((found.folder / "tickets").glob("*.ticket.safetensors"))[-1]
    with pytest.raises(CommandError, match="name it with --model"):
        compact(ticket, out=tmp_path, input_shape="8,8")
    with pytest.raises(CommandError, match="--input-shape"):
        compact(ticket, out=tmp_path, model="compactable_nets:make")
    arguments = ["compact", str(ticket), "--out", "small", "--model", "compactable_nets:make", "--input-shape", "8x8"]
    assert "parameters" in run(capsys, *arguments)
    assert (tmp_path / "small" / "compact.safetensors").exists()
