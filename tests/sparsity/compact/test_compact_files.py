"""Compact networks in files: saved, loaded, damaged, and run by onnxruntime."""

import json
import sys
from pathlib import Path

import pytest
import torch
from compact_networks import NETWORKS, drawn_masks, mlp, network
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from lth.lineage.compact_files import export_onnx, load_compact, read_compact, save_compact
from lth.sparsity.compact import Compacted, compact


def compacted(name: str) -> tuple[nn.Module, Compacted]:
    module = network(name, 4)
    return module, compact(module, drawn_masks(module, [0.1, 0.4], False, 4), NETWORKS[name][1], drop_inputs=True)


@pytest.mark.parametrize("name", ["lenet", "residual", "transformer", "own attention"])
def test_saved_and_loaded(name: str, tmp_path: Path) -> None:
    _, found = compacted(name)
    weights, readable = save_compact(found, tmp_path / "deep" / "folder", {"name": name})
    again = load_compact(network(name, 5), weights)
    inputs = torch.randn(2, *NETWORKS[name][1])
    with torch.no_grad():
        assert torch.equal(again(inputs), found.module(inputs))
    document = json.loads(readable.read_text())
    assert document == read_compact(weights)[0]
    assert document["name"] == name
    assert document["shapes"] == {key: list(value.shape) for key, value in found.module.state_dict().items()}
    assert sum(map(len, document["layers"].values())) > 0
    first = weights.read_bytes()
    save_compact(found, tmp_path / "deep" / "folder", {"name": name})
    assert weights.read_bytes() == first


def test_files_that_are_wrong_are_named(tmp_path: Path) -> None:
    _, found = compacted("tanh")
    weights, _ = save_compact(found, tmp_path)
    with pytest.raises(ValueError, match="another architecture"):
        load_compact(nn.Sequential(nn.Linear(2, 2)), weights)
    with pytest.raises(ValueError, match="there is no file"):
        load_compact(mlp(nn.Tanh), tmp_path / "absent.safetensors")
    (tmp_path / "half.safetensors").write_bytes(weights.read_bytes()[:-20])
    with pytest.raises(ValueError, match="no whole safetensors file"):
        load_compact(mlp(nn.Tanh), tmp_path / "half.safetensors")
    save_file({"0.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="no compact network"):
        load_compact(mlp(nn.Tanh), tmp_path / "other.safetensors")
    with safe_open(str(weights), framework="pt") as file:
        metadata, state = file.metadata(), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    save_file({key: value + 1 for key, value in state.items()}, tmp_path / "altered.safetensors", metadata)
    with pytest.raises(ValueError, match="altered or damaged"):
        load_compact(mlp(nn.Tanh), tmp_path / "altered.safetensors")


@pytest.mark.parametrize("name", ["convolutional", "bare attention"])
def test_onnxruntime_computes_the_same(name: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    _, found = compacted(name)
    path, shape = tmp_path / "compact.onnx", NETWORKS[name][1]
    difference = export_onnx(found.module, (torch.randn(2, *shape),), path)
    assert difference is not None
    assert difference < 1e-5
    inputs = torch.randn(5, *shape)  # another number of examples than it was exported with
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    outputs = torch.from_numpy(session.run(None, {"input": inputs.numpy()})[0])
    with torch.no_grad():
        torch.testing.assert_close(outputs, found.module(inputs), rtol=1e-5, atol=1e-5)
    assert [file.name for file in tmp_path.iterdir()] == ["compact.onnx"]


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    for name in ("onnx", "onnxscript"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(ValueError, match="needs onnx and onnxscript: pip install onnx onnxscript"):
        export_onnx(mlp(nn.ReLU), (torch.zeros(2, 6),), tmp_path / "compact.onnx")
