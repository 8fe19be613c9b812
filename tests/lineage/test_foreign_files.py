"""Weights files of every kind, read one weight at a time; what cannot be read is named."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.utils import prune

import lth
from lth.lineage.foreign import Entry, open_weights, sparsity_document

STATE = {
    "layers.10.weight": torch.tensor([[1.0, 0.0], [0.0, 0.0], [2.0, 3.0]]),
    "layers.2.weight": torch.ones(2, 3),
    "layers.2.bias": torch.zeros(2),
    "embed_tokens.weight": torch.ones(5, 2),
    "attn.bias": torch.ones(1, 1, 4, 4).tril(),
    "positions": torch.arange(4)[None],
}


def folder_of(folder: Path, config: dict[str, object] | None, **shards: dict[str, Tensor]) -> Path:
    folder.mkdir()
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    for name, tensors in shards.items():
        save_file(tensors, folder / f"{name}.safetensors")
    return folder


def test_a_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file(STATE, path)
    file = open_weights(path)
    assert (file.kind, file.has_masks, file.input_first) == ("checkpoint", False, frozenset())
    weights = [name for name in file.shapes if name not in file.left_out()]
    assert weights == ["layers.2.weight", "layers.10.weight"]  # by number, not by letter
    assert file.left_out() == {
        "layers.2.bias": "vector",
        "embed_tokens.weight": "embedding",
        "attn.bias": "bias or table",
        "positions": "not floating-point",
    }
    entry = file.read("layers.10.weight")
    assert entry.mask.tolist() == [[True, False], [False, False], [True, True]]
    assert entry.weights is not None
    assert torch.equal(entry.weights, STATE["layers.10.weight"])


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16, torch.float8_e4m3fn])
def test_every_float_type(tmp_path: Path, dtype: torch.dtype) -> None:
    save_file({"w": torch.tensor([[1.0, 0.0, -0.0]]).to(dtype)}, tmp_path / "w.safetensors")
    file = open_weights(tmp_path / "w.safetensors")
    assert not file.left_out()
    assert file.read("w").mask.tolist() == [[True, False, False]]


def test_a_ticket_gives_masks_and_starting_weights(small_found: "lth.Found") -> None:
    path = small_found.tickets[-1]
    ticket, file = lth.read_ticket(path), open_weights(path)
    assert (file.kind, file.has_masks, file.left_out()) == ("ticket", True, {})
    assert list(file.shapes) == list(ticket.masks)
    for name, mask in ticket.masks.items():
        entry = file.read(name)
        assert torch.equal(entry.mask, mask)
        assert entry.weights is not None
        assert not entry.weights[~mask].any()
        assert ticket.start is not None
        assert torch.equal(entry.weights[mask], ticket.start[name][mask])


def pruned_by_torch() -> nn.Sequential:
    """A network under the masks of torch.nn.utils.prune: a tenth of each matrix is kept."""
    module = nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 10))
    for layer in (module[0], module[2]):
        prune.l1_unstructured(layer, "weight", 0.9)
    return module


def read_all(path: Path) -> dict[str, Entry]:
    file = open_weights(path)
    return {name: file.read(name) for name in file.shapes}


def test_a_weight_beside_its_mask_is_one_weight(tmp_path: Path) -> None:
    """What torch.nn.utils.prune leaves: `weight_orig` and `weight_mask`."""
    module = pruned_by_torch()
    save_file(module.state_dict(), tmp_path / "pruned.safetensors")
    file = open_weights(tmp_path / "pruned.safetensors")
    assert set(file.shapes) == {"0.weight", "0.bias", "2.weight", "2.bias"}
    assert (file.has_masks, file.masked) == (True, frozenset({"0.weight", "2.weight"}))
    for name, layer in (("0.weight", module[0]), ("2.weight", module[2])):
        entry = file.read(name)
        assert entry.mask.dtype == torch.bool
        assert torch.equal(entry.mask, layer.weight_mask.bool())
        assert entry.weights is not None
        assert torch.equal(entry.weights, layer.weight)
    document = sparsity_document(file)
    assert (document["overall"]["weights"], document["overall"]["kept"]) == (900, 90)
    assert document["overall"]["density"] == 0.1


@pytest.mark.parametrize("mask_name", ["{}_mask", "{}.mask"])
@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.float32])
def test_masks_of_other_tools(tmp_path: Path, mask_name: str, dtype: torch.dtype) -> None:
    """The weight may keep its values where it is pruned; the mask says that it is."""
    mask = torch.tensor([[1, 0], [0, 1]]).to(dtype)
    state = {"fc.weight": torch.ones(2, 2), mask_name.format("fc.weight"): mask, "out.weight": torch.ones(3, 2)}
    save_file(state, tmp_path / "other.safetensors")
    entries = read_all(tmp_path / "other.safetensors")
    assert list(entries) == ["fc.weight", "out.weight"]
    assert entries["fc.weight"].mask.tolist() == [[True, False], [False, True]]
    assert torch.equal(entries["fc.weight"].weights, torch.eye(2))  # type: ignore[arg-type]
    assert bool(entries["out.weight"].mask.all())


@pytest.mark.parametrize(
    "wrapped",
    [
        "module.{}", "_orig_mod.{}", "module._orig_mod.{}", "_orig_mod.module.{}", "_fsdp_wrapped_module.{}",
        "body._orig_mod.{}", "body._checkpoint_wrapped_module.{}",
    ],
)  # fmt: skip
def test_what_wrappers_put_before_names_is_left_away(tmp_path: Path, wrapped: str) -> None:
    state = pruned_by_torch().state_dict()
    plain = "body.{}" if wrapped.startswith("body") else "{}"
    save_file({wrapped.format(name): value for name, value in state.items()}, tmp_path / "wrapped.safetensors")
    save_file({plain.format(name): value for name, value in state.items()}, tmp_path / "plain.safetensors")
    first, second = (read_all(tmp_path / f"{name}.safetensors") for name in ("wrapped", "plain"))
    assert list(first) == list(second)
    assert all(torch.equal(entry.mask, second[name].mask) for name, entry in first.items())
    document = sparsity_document(
        open_weights(tmp_path / "wrapped.safetensors"), earlier=open_weights(tmp_path / "plain.safetensors")
    )
    assert document["overall"]["compared"]["iou"] == 1
    assert document["compared"]["missing"] == []


def test_names_that_only_look_like_masks_and_wrappers(tmp_path: Path) -> None:
    """A mask has its weight's shape, a part of a network may be called `module`, and no two names become one."""
    attention = {
        "attn.weight": torch.ones(2, 3),
        "attn.weight_mask": torch.ones(1, 5),
        "module.weight": torch.ones(2, 2),
    }
    save_file(attention, tmp_path / "a.safetensors")
    assert list(open_weights(tmp_path / "a.safetensors").shapes) == ["attn.weight", "attn.weight_mask", "module.weight"]
    clash = {"fc.weight": torch.ones(2, 2), "_orig_mod.fc.weight": torch.zeros(2, 2)}
    save_file(clash, tmp_path / "b.safetensors")
    assert set(open_weights(tmp_path / "b.safetensors").shapes) == set(clash)
    alone = {"fc.weight_orig": torch.ones(2, 2)}
    save_file(alone, tmp_path / "c.safetensors")
    file = open_weights(tmp_path / "c.safetensors")
    assert (list(file.shapes), file.has_masks) == (["fc.weight_orig"], False)
    both = {"fc.weight": torch.ones(2, 2), "fc.weight_orig": torch.ones(2, 2), "fc.weight_mask": torch.eye(2)}
    save_file(both, tmp_path / "d.safetensors")
    assert read_all(tmp_path / "d.safetensors")["fc.weight"].mask.tolist() == [[True, False], [False, True]]


def test_masks_lie_in_any_shard_and_turn_with_their_weight(tmp_path: Path) -> None:
    mask = torch.zeros(4, 12)
    mask[0] = 1
    folder = folder_of(
        tmp_path / "gpt",
        {"model_type": "gpt2"},
        one={"h.0.attn.c_attn.weight_orig": torch.ones(4, 12)},
        two={"h.0.attn.c_attn.weight_mask": mask},
    )
    file = open_weights(folder)
    assert file.input_first == {"h.0.attn.c_attn.weight"}
    entry = file.read("h.0.attn.c_attn.weight")
    assert tuple(entry.mask.shape) == (12, 4)
    assert bool(entry.mask[:, 0].all())
    assert int(entry.mask.sum()) == 12


def test_shards_with_and_without_an_index(tmp_path: Path) -> None:
    first, second = {"a.weight": torch.ones(2, 2)}, {"b.weight": torch.eye(2)}
    shards = {"model-00001-of-00002": first, "model-00002-of-00002": second}
    folder = folder_of(tmp_path / "sharded", {"model_type": "llama"}, **shards)
    for _ in range(2):
        file = open_weights(folder)
        assert (file.kind, list(file.shapes)) == ("model folder", ["a.weight", "b.weight"])
        assert file.read("b.weight").mask.tolist() == [[True, False], [False, True]]
        places = {"a.weight": "model-00001-of-00002.safetensors", "b.weight": "model-00002-of-00002.safetensors"}
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    save_file({"a.weight": torch.ones(1, 1), "b.weight": torch.ones(1, 1)}, folder / "consolidated.safetensors")
    assert open_weights(folder).shapes["a.weight"] == (2, 2)  # the index says which files belong to the model


@pytest.mark.parametrize(
    ("config", "c_attn", "is_input_first"),
    [
        ({"model_type": "gpt2"}, (4, 12), True),
        (None, (4, 12), True),  # only Conv1D is wider than high
        (None, (12, 4), False),  # nanoGPT's Linear
        ({"model_type": "gpt_bigcode"}, (6, 4), False),
    ],
)
def test_conv1d_is_turned_round(
    tmp_path: Path, config: dict[str, object] | None, c_attn: tuple[int, int], is_input_first: bool
) -> None:
    weight = torch.ones(c_attn)
    weight[0] = 0
    square = torch.ones(4, 4)
    square[:, 1:] = 0
    state = {"h.0.attn.c_attn.weight": weight, "h.0.attn.c_proj.weight": square, "lm_head.weight": torch.ones(5, 4)}
    file = open_weights(folder_of(tmp_path / "gpt", config, model=state))
    assert file.input_first == (frozenset(list(state)[:2]) if is_input_first else frozenset())
    assert file.shapes["h.0.attn.c_attn.weight"] == c_attn
    attention, projection = file.read("h.0.attn.c_attn.weight"), file.read("h.0.attn.c_proj.weight")
    assert tuple(attention.mask.shape) == ((12, 4) if is_input_first else c_attn)
    assert projection.mask.any(dim=1).tolist() == ([True, False, False, False] if is_input_first else [True] * 4)
    assert projection.weights is not None
    assert torch.equal(projection.weights != 0, projection.mask)


class Trap:
    """Fails the test if it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return pytest.fail, ("a pickle was opened",)


def test_arrays_are_called_arrays_and_no_pickle(tmp_path: Path) -> None:
    x = np.zeros((4, 3), np.float32)
    np.savez(tmp_path / "own.npz", x_train=x, y_train=x)
    np.savez_compressed(tmp_path / "squeezed", x_train=x)
    np.save(tmp_path / "one.npy", x)
    for name in ("own.npz", "squeezed.npz", "one.npy"):
        with pytest.raises(ValueError, match=rf"{name} holds arrays.*a ticket, a safetensors file") as caught:
            open_weights(tmp_path / name)
        assert "pickle" not in str(caught.value)
        assert "torch.load" not in str(caught.value)


def test_pickles_are_refused_by_name_and_never_opened(tmp_path: Path) -> None:
    for name in ("pytorch_model.bin", "model.pt", "misnamed.safetensors"):
        torch.save({"w": Trap()}, tmp_path / name)
        with pytest.raises(ValueError, match=rf"{name} is a pickle.*save_file") as caught:
            open_weights(tmp_path / name)
        assert "\n" not in str(caught.value)
    (tmp_path / "old").write_bytes(pickle.dumps(Trap(), protocol=2))
    with pytest.raises(ValueError, match="old is a pickle"):
        open_weights(tmp_path / "old")
    folder = folder_of(tmp_path / "hub", {"model_type": "bert"})
    torch.save({"w": Trap()}, folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"hub/pytorch_model\.bin is a pickle"):
        open_weights(folder)


def test_what_is_missing_or_damaged_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no file .*nowhere\.safetensors: name a ticket"):
        open_weights(tmp_path / "nowhere.safetensors")
    path = tmp_path / "cut.safetensors"
    save_file(STATE, path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"cut\.safetensors is no whole safetensors file"):
        open_weights(path)
    for content in (b"", b"hello", b"\x00" * 100):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="no whole safetensors file"):
            open_weights(path)
    with pytest.raises(ValueError, match=r"holds no \*\.safetensors \(found: config\.json\)"):
        open_weights(folder_of(tmp_path / "empty", {}))


def test_folders_that_do_not_hold_together_are_refused(tmp_path: Path) -> None:
    weight = {"a.weight": torch.ones(2, 2)}
    twice = folder_of(tmp_path / "twice", None, one=weight, two=weight)
    with pytest.raises(ValueError, match=r"'a.weight' is in both .*one\.safetensors and .*two\.safetensors"):
        open_weights(twice)
    index = twice / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a.weight": "one.safetensors", "b.weight": "three.safetensors"}}))
    with pytest.raises(ValueError, match=r"no file .*three\.safetensors"):
        open_weights(twice)
    index.write_text(json.dumps({"weight_map": {"a.weight": "one.safetensors", "b.weight": "one.safetensors"}}))
    with pytest.raises(ValueError, match="'b.weight', which no file holds"):
        open_weights(twice)
    for damaged in ({"weight_map": {"a.weight": "../cut.safetensors"}}, {"weight_map": {}}, {}):
        index.write_text(json.dumps(damaged))
        with pytest.raises(ValueError, match="it is damaged"):
            open_weights(twice)
    index.write_text("{")
    with pytest.raises(ValueError, match=r"index\.json cannot be read as JSON"):
        open_weights(twice)
    listed = folder_of(tmp_path / "listed", None, model=weight)
    (listed / "config.json").write_text("[]")
    with pytest.raises(ValueError, match=r"config\.json must hold a JSON object, found list"):
        open_weights(listed)


def test_a_folder_of_tickets_is_no_model(small_found: "lth.Found") -> None:
    with pytest.raises(
        ValueError, match=r"tickets is no model folder, but holds the ticket level-01.*: name that file"
    ):
        open_weights(small_found.tickets[0].parent)


def test_a_whole_file_wins_over_a_stale_index(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "model", {}, model={"a.weight": torch.ones(2, 2)})
    (folder / "model.safetensors.index.json").write_text("{}")
    assert list(open_weights(folder).shapes) == ["a.weight"]
