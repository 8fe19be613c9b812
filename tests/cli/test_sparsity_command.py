"""`lth sparsity`, on tickets, checkpoints and model folders."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from cyclopts import App
from safetensors.torch import save_file
from torch import Tensor

import lth
from lth.cli.sparsity import sparsity
from lth.lineage.foreign.report import type_of
from lth.sparsity import density
from lth.sparsity.metrics import effective_rank, overlap

app = App()
app.command(sparsity)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert app(["sparsity", *arguments], exit_on_error=False, result_action="return_value") == 0
    return capsys.readouterr().out


def as_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(run(capsys, *arguments, "--json"))
    return document


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")


def saved(path: Path, state: dict[str, Tensor]) -> str:
    save_file(state, path)
    return str(path)


@pytest.fixture
def checkpoint(tmp_path: Path) -> str:
    """Two layers: the first with a dead output and two dead inputs, the second with nothing left."""
    first = torch.eye(3, 4)
    first[1] = 0
    state = {"first.weight": first, "first.bias": torch.ones(3), "second.weight": torch.zeros(2, 3)}
    return saved(tmp_path / "net.safetensors", state)


def test_a_checkpoint_by_hand(capsys: pytest.CaptureFixture[str], checkpoint: str) -> None:
    document = as_json(capsys, checkpoint)
    assert document["tensors"]["first.weight"] == {
        "shape": [3, 4], "stored_shape": [3, 4], "weights": 12, "kept": 2, "density": 2 / 12,
        "dead_outputs": 1, "dead_inputs": 2, "effective_rank": pytest.approx(2), "stable_rank": pytest.approx(2),
    }  # fmt: skip
    assert document["overall"] == {
        "tensors": 2, "weights": 18, "kept": 2, "density": 2 / 18, "dead_outputs": 3, "dead_inputs": 5,
    }  # fmt: skip
    assert (document["kind"], document["has_masks"], document["collapsed"]) == ("checkpoint", False, ["second.weight"])
    assert document["left_out"] == {"first.bias": "vector"}
    shown = run(capsys, checkpoint)
    assert shown.startswith(f"{checkpoint} (checkpoint)\nKeeps 11.11 % of 18 weights in 2 tensors\n")
    rows = [line.split() for line in shown.splitlines()]
    assert ["first.weight", "3x4", "12", "16.67", "1", "2", "2.0", "2.0"] in rows
    assert ["second.weight", "2x3", "6", "0.00", "2", "3", "0.0", "0.0"] in rows
    assert ["overall", "18", "11.11", "3", "5"] in rows
    assert "WARNING: layer collapse: this tensor keeps no weight, so no signal passes there: second.weight." in shown
    assert "Zeros count as pruned: the file has no masks" in shown
    assert "Not counted: 1 vector." in shown


def test_patterns_choose(capsys: pytest.CaptureFixture[str], checkpoint: str) -> None:
    chosen = as_json(capsys, checkpoint, "--only", "first.*", "--never", "*.bias")
    assert list(chosen["tensors"]) == ["first.weight"]
    assert chosen["left_out"] == {"first.bias": "not chosen", "second.weight": "not chosen"}
    everything = as_json(capsys, checkpoint, "--only", "*")
    assert everything["tensors"]["first.bias"]["dead_outputs"] is None
    assert everything["overall"]["weights"] == 21
    assert everything["collapsed"] == ["second.weight"]
    with pytest.raises(ValueError, match="'frist' matches no parameter. Names: first.bias, first.weight"):
        sparsity(Path(checkpoint), only="frist")
    with pytest.raises(ValueError, match=r"holds no weights to count.*first\.bias.*--only"):
        sparsity(Path(checkpoint), never="*")


def test_ranks_are_skipped_where_they_are_too_large_or_undefined(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    broken = torch.ones(3, 3)
    broken[0, 0] = torch.nan
    state = {"broken": broken, "large": torch.ones(5, 6), "convolution": torch.randn(5, 1, 2, 2)}
    path = saved(tmp_path / "net.safetensors", state)
    document = as_json(capsys, path, "--rank-limit", "4")
    assert document["no_ranks"] == {"broken": "NaN or infinity", "large": "over the limit"}
    assert document["tensors"]["convolution"]["effective_rank"] == effective_rank(state["convolution"])
    shown = run(capsys, path, "--rank-limit", "4")
    assert "No ranks where the shorter side is over 4: 1. --rank-limit raises that." in shown
    assert "WARNING: NaN or infinity in broken." in shown


def test_a_ticket_beside_an_earlier_one(capsys: pytest.CaptureFixture[str], small_found: lth.Found) -> None:
    earlier, later = str(small_found.tickets[0]), str(small_found.tickets[-1])
    before, now = lth.read_ticket(Path(earlier)).masks, lth.read_ticket(Path(later)).masks
    document = as_json(capsys, later, "--compare", earlier)
    assert document["overall"]["density"] == density(now)
    expected = overlap(before, now)
    found = document["overall"]["compared"]
    assert found["iou"] == expected.iou < 1
    assert found["chance_iou"] == expected.chance_iou > 0
    assert found["survival"] == expected.survival
    assert found["earlier_density"] == density(before)
    for tensor in document["tensors"].values():
        assert tensor["compared"]["chance_survival"] == pytest.approx(tensor["density"])
    shown = run(capsys, later, "--compare", earlier)
    assert f"Compared with {earlier} (ticket)\nIn parentheses: what unrelated masks of the same densities" in shown
    assert "Ranks are those of the starting weights under the masks." in shown
    assert "Zeros count" not in shown


def test_masks_of_one_replicate_shrink(capsys: pytest.CaptureFixture[str], small_found: lth.Found) -> None:
    first, *_, later = (str(path) for path in sorted(small_found.tickets) if "replicate-0" in path.name)
    found = as_json(capsys, later, "--compare", first)["overall"]["compared"]
    assert found["revival"] == 0 < found["chance_revival"]


def test_a_zero_that_came_back(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    earlier = saved(tmp_path / "a.safetensors", {"w": torch.tensor([[1.0, 0.0], [0.0, 2.0]]), "old": torch.ones(1, 1)})
    later = saved(tmp_path / "b.safetensors", {"w": torch.tensor([[1.0, 3.0], [0.0, 0.0]]), "new": torch.ones(1, 1)})
    document = as_json(capsys, later, "--compare", earlier)
    assert document["tensors"]["w"]["compared"] == {
        "earlier_density": 0.5, "iou": 1 / 3, "chance_iou": 1 / 3, "survival": 0.5, "chance_survival": 0.5,
        "revival": 0.5, "chance_revival": 0.5,
    }  # fmt: skip
    assert document["overall"]["compared"] == document["tensors"]["w"]["compared"]
    assert document["compared"]["missing"] == ["new"]
    shown = run(capsys, later, "--compare", earlier)
    assert ["w", "50.00", "50.00", "0.333", "(0.333)", "50.00", "(50.00)", "50.00", "(50.00)"] in [
        line.split() for line in shown.splitlines()
    ]
    assert f"Not in {earlier}: new." in shown
    assert "Without masks on both sides" in shown


def test_files_of_two_architectures_are_not_compared(checkpoint: str, tmp_path: Path) -> None:
    other = Path(saved(tmp_path / "other.safetensors", {"w": torch.ones(2, 2)}))
    with pytest.raises(ValueError, match=r"holds none of the tensors counted in .*first\.weight"):
        sparsity(Path(checkpoint), compare=other)
    saved(other, {"first.weight": torch.ones(3, 5)})
    with pytest.raises(ValueError, match=r"'first\.weight' has shape \(3, 5\) in one and \(3, 4\) in the other"):
        sparsity(Path(checkpoint), compare=other)


def test_gpt2_layout(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    weight = torch.ones(4, 12)
    weight[0] = 0  # an input that nothing reads
    weight[:, 5] = 0
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    saved(tmp_path / "model.safetensors", {"h.0.attn.c_attn.weight": weight, "wte.weight": torch.ones(7, 4)})
    found = as_json(capsys, str(tmp_path))
    tensor = found["tensors"]["h.0.attn.c_attn.weight"]
    assert (tensor["shape"], tensor["stored_shape"]) == ([12, 4], [4, 12])
    assert (tensor["dead_outputs"], tensor["dead_inputs"]) == (1, 1)
    assert found["left_out"] == {"wte.weight": "embedding"}
    shown = run(capsys, str(tmp_path))
    assert "stored as input x output (Hugging Face Conv1D): 1." in shown
    assert "Not counted: 1 embedding (wte.weight)." in shown


@pytest.fixture
def real_model(request: pytest.FixtureRequest) -> Path:
    data_dir: Path = request.getfixturevalue("real_data_dir")
    folder = data_dir.parent / "models" / "aidreams260K-hf"
    if not folder.is_dir():
        pytest.skip(f"no real model: {folder} is absent")
    return folder


@pytest.mark.parametrize("columns", [80, 120])
def test_a_real_model_fits_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, real_model: Path, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    shown = run(capsys, str(real_model), "--compare", str(real_model))
    tables = [line for line in shown.splitlines() if "proj" in line or line.startswith(("TENSOR", "overall"))]
    assert len(tables) == 2 * (28 + 2)
    assert max(map(len, tables)) <= columns
    first_columns = [line.split()[0] for line in tables[1:29]]
    assert len(set(first_columns)) == 28
    assert ("Names without their 'model.layers.' and '.weight':" in shown) == (columns == 80)


def test_a_real_model_in_numbers(capsys: pytest.CaptureFixture[str], real_model: Path) -> None:
    document = as_json(capsys, str(real_model))
    assert document["kind"] == "model folder"
    assert document["overall"]["weights"] == 4 * (4 * 64 * 64 + 3 * 64 * 172)
    assert list(document["left_out"].values()).count("vector") == 9
    assert document["left_out"]["model.embed_tokens.weight"] == "embedding"
    assert all(1 < each["stable_rank"] < each["effective_rank"] <= 64 for each in document["tensors"].values())


def test_names_too_long_for_the_terminal_are_cut_in_the_middle(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    names = [f"{side}.{'very.' * 10}long{side}" for side in ("left", "right")]
    shown = run(capsys, saved(tmp_path / "n.safetensors", {name: torch.ones(2, 2) for name in names}))
    cut = [line for line in shown.splitlines() if "…" in line]
    assert [len(line) <= 80 for line in cut] == [True, True]
    assert cut[0].startswith("left.")
    assert cut[0].split()[0].endswith("longleft")


@pytest.mark.parametrize(("kept", "shown"), [(0, "0.00"), (1, "0.01"), (99_999, "99.99"), (100_000, "100.00")])
def test_nearly_all_is_not_all(capsys: pytest.CaptureFixture[str], tmp_path: Path, kept: int, shown: str) -> None:
    weight = (torch.arange(100_000) < kept).float().reshape(1, -1)
    row = run(capsys, saved(tmp_path / "n.safetensors", {"w": weight})).splitlines()[4]
    assert row.split()[3] == shown


NAMES = {
    "attention": ("h.0.attn.c_attn.weight", "h.0.attn.c_proj.weight", "layers.1.self_attn.q_proj.weight",
                  "encoder.layer.0.attention.self.query.weight"),
    "mlp": ("h.3.mlp.c_fc.weight", "layers.0.mlp.up_proj.weight", "fc1.weight",
            "bert.encoder.layer.0.output.dense.weight"),
    "embedding": ("wte.weight", "wpe.weight", "bert.embeddings.word_embeddings.weight", "model.embed_tokens.weight"),
    "norm": ("h.0.ln_1.weight", "ln_f.weight", "bert.embeddings.LayerNorm.weight", "layers.0.input_layernorm.weight",
             "model.norm.weight", "bn1.weight"),
    "bias": ("h.0.ln_1.bias", "output.bias", "bias"),
    "other": ("hidden1.weight", "conv1.weight", "lm_head.weight"),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in NAMES.items() for name in names])
def test_types_are_told_by_names(kind: str, name: str) -> None:
    assert type_of(name) == kind


def test_each_type_is_summed_up(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    attention, mlp = torch.eye(4), torch.ones(2, 4)
    state = {"h.0.attn.c_attn.weight": attention, "h.0.attn.c_proj.weight": mlp, "h.0.mlp.c_fc.weight": mlp.clone(),
             "h.0.mlp.c_fc.bias": torch.zeros(2)}  # fmt: skip
    file = saved(tmp_path / "net.safetensors", state)
    types = as_json(capsys, file, "--only", "*")["types"]
    assert {kind: (each["tensors"], each["kept"], each["weights"]) for kind, each in types.items()} == {
        "attention": (2, 12, 24), "mlp": (1, 8, 8), "bias": (1, 0, 2),
    }  # fmt: skip
    shown = run(capsys, file, "--only", "*")
    assert any(line.split()[:4] == ["all", "attention", "24", "50.00"] for line in shown.splitlines())
    assert "all attention" not in run(capsys, file, "--only", "*attn*")
