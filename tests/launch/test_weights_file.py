"""Weights files of every kind, read one tensor at a time; what cannot be read is named."""

import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import lth
from lth.launch.weights_file import open_weights

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


def test_a_ticket_gives_masks_and_starting_weights(small_found: lth.Found) -> None:
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


def test_a_folder_of_tickets_is_no_model(small_found: lth.Found) -> None:
    with pytest.raises(
        ValueError, match=r"tickets is no model folder, but holds the ticket level-01.*: name that file"
    ):
        open_weights(small_found.tickets[0].parent)


def test_a_whole_file_wins_over_a_stale_index(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "model", {}, model={"a.weight": torch.ones(2, 2)})
    (folder / "model.safetensors.index.json").write_text("{}")
    assert list(open_weights(folder).shapes) == ["a.weight"]
