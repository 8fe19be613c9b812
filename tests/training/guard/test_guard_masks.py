"""Masks of a module: read, saved, loaded, applied, counted."""

from pathlib import Path

import pytest
import torch
from guard_loops import check_frozen, net, some_masks
from safetensors.torch import save_file
from torch import nn

from lth.training.guard import apply, load_masks, masks, save_masks, sparsity_of

TABLE = """\
tensor    shape    weights  kept %
0.weight  12 x 16      192   25.00
3.weight  4 x 12        48  100.00
overall                240   40.00"""


def test_masks_are_where_weights_are_not_zero() -> None:
    model, given = net(), some_masks(net())
    apply(model, given)
    check_frozen(model, given)
    for each in (model, torch.compile(model, backend="eager"), nn.DataParallel(model)):
        read = masks(each)
        assert list(read) == ["0.weight", "3.weight"]
        assert all(torch.equal(read[name], mask) for name, mask in given.items())
    assert list(masks(model, prune_only=["3.*"])) == ["3.weight", "3.bias"]
    assert list(masks(model, never_prune=["3.*"])) == ["0.weight"]
    with pytest.raises(ValueError, match="no prunable weights"):
        masks(nn.LayerNorm(3))


def test_prefixes_of_wrapped_submodules_are_removed() -> None:
    model = nn.Sequential(torch.compile(nn.Linear(2, 2), backend="eager"), nn.Linear(2, 2))
    assert list(masks(model)) == ["0.weight", "1.weight"]
    apply(model, {"0.weight": torch.eye(2).bool()})
    assert not model[0].weight[0, 1]
    apply(model, {"module.1._orig_mod.weight": torch.eye(2).bool()})
    assert not model[1].weight[0, 1]


def test_files_hold_the_same_masks(tmp_path: Path) -> None:
    given = some_masks(net())
    save_masks(given | {"transposed": torch.eye(3, 2).bool().T}, tmp_path / "masks.safetensors")
    read = load_masks(tmp_path / "masks.safetensors")
    assert read.keys() == {*given, "transposed"}
    assert all(torch.equal(read[name], mask) for name, mask in given.items())
    assert read["transposed"].tolist() == [[True, False, False], [False, True, False]]


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file({"a": torch.ones(2)}, path)
    with pytest.raises(ValueError, match=r"holds a \(torch.float32\): masks are torch.bool"):
        load_masks(path)
    path.write_bytes(b"no such format")
    with pytest.raises(ValueError, match="is no safetensors file"):
        load_masks(path)
    with pytest.raises(FileNotFoundError):
        load_masks(tmp_path / "absent")


def test_the_table_prints() -> None:
    model = net()
    with torch.no_grad():
        model.get_parameter("0.weight")[3:] = 0.0
    counted = sparsity_of(model)
    assert str(counted) == TABLE
    assert (counted.density, counted.sparsity, counted.num_kept, counted.num_weights) == (0.4, 0.6, 96, 240)
    assert "<tr><td>0.weight</td><td>12 x 16</td><td>192</td><td>25.00</td></tr>" in counted._repr_html_()
    assert sparsity_of(model, {"3.weight": torch.zeros(4, 12).bool()}).density == 0.0
    with pytest.raises(ValueError, match=r"'4\.weight', which is no parameter"):
        sparsity_of(model, {"4.weight": torch.zeros(4, 12).bool()})
