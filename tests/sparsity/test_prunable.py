"""What may be pruned."""

import pytest
import torch
from torch import nn

from lth.sparsity import prunable


def test_matrices_of_linear_and_convolution_layers() -> None:
    module = nn.Sequential(
        nn.Conv1d(1, 2, 3),
        nn.Conv2d(2, 2, 3),
        nn.BatchNorm2d(2),
        nn.ConvTranspose2d(2, 2, 3),
        nn.Linear(4, 3),
        nn.LayerNorm(3),
        nn.Linear(3, 2, bias=False),
    )
    assert prunable(module) == ["0.weight", "1.weight", "3.weight", "4.weight", "6.weight"]


@pytest.mark.parametrize(
    ("sizes", "names"),
    [
        ({}, ["in_proj_weight", "out_proj.weight"]),
        ({"kdim": 6, "vdim": 6}, ["q_proj_weight", "k_proj_weight", "v_proj_weight", "out_proj.weight"]),
    ],
)
def test_attention_projections(sizes: dict[str, int], names: list[str]) -> None:
    assert prunable(nn.MultiheadAttention(8, 2, **sizes)) == names


def test_embeddings_and_what_is_tied_to_them_stay() -> None:
    module = nn.ModuleDict({"embedding": nn.Embedding(7, 4), "hidden": nn.Linear(4, 4), "output": nn.Linear(4, 7)})
    assert prunable(module) == ["hidden.weight", "output.weight"]
    module["output"].weight = module["embedding"].weight
    assert prunable(module) == ["hidden.weight"]


def test_a_shared_weight_counts_once_under_its_first_name() -> None:
    module = nn.ModuleDict({"first": nn.Linear(4, 4), "second": nn.Linear(4, 4)})
    module["second"].weight = module["first"].weight
    assert prunable(module) == ["first.weight"]


def conv1d_of(module_path: str) -> nn.Module:
    """A layer with the name of Hugging Face's Conv1D, as if defined in this module."""

    class Conv1D(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight, self.bias = nn.Parameter(torch.ones(2, 3)), nn.Parameter(torch.zeros(3))

    Conv1D.__module__ = module_path
    return Conv1D()


def test_hugging_face_conv1d_is_known_by_its_name() -> None:
    module = nn.ModuleDict({"attention": conv1d_of("transformers.pytorch_utils"), "other": conv1d_of("mine.layers")})
    assert prunable(module) == ["attention.weight"]
    with pytest.raises(ValueError, match="no prunable weights"):
        prunable(conv1d_of("mine.layers"))


def test_patterns_choose_and_exclude() -> None:
    module = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 3), nn.Embedding(3, 3))
    assert prunable(module, exclude=["0.*"]) == ["1.weight"]
    assert prunable(module, include=["*.bias", "2.weight"]) == ["0.bias", "1.bias", "2.weight"]
    assert prunable(module, include=["*"], exclude=["*.bias", "1.weight"]) == ["0.weight", "2.weight"]


def test_bad_patterns_and_empty_choices_are_errors() -> None:
    module = nn.Sequential(nn.Linear(4, 3))
    for patterns in ({"include": ["weight"]}, {"exclude": ["1.*"]}):
        with pytest.raises(ValueError, match="matches no parameter. Names: 0.weight, 0.bias"):
            prunable(module, **patterns)
    with pytest.raises(
        ValueError, match="no prunable weights. Its parameters: 0.weight, 0.bias. Choose some by pattern"
    ):
        prunable(module, exclude=["*"])
    with pytest.raises(ValueError, match="no prunable weights. Its parameters: none"):
        prunable(nn.ReLU())
