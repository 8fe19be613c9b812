"""What may be pruned."""

import pytest
import torch
from torch import nn

from lth.models import Gpt2, head_of
from lth.sparsity import left_out, never_pruned, prunable, select
from lth.sparsity.heads import head_parameters
from lth.training.guard.masks import prunable_masks


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


def test_what_does_not_train_is_pruned_only_if_it_is_named() -> None:
    module = nn.ModuleDict({"backbone": nn.Linear(4, 3).requires_grad_(False), "output": nn.Linear(3, 2)})
    assert prunable(module) == ["output.weight"]
    assert prunable(module, include=["*.weight"]) == ["backbone.weight", "output.weight"]
    assert left_out(module, prunable(module)) == {}
    with pytest.raises(ValueError, match="no prunable weights.* of which these do not train: weight, bias. Choose"):
        prunable(nn.Linear(2, 2).requires_grad_(False))


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_matrices(kind: type[nn.RNNBase]) -> None:
    assert prunable(kind(3, 4)) == ["weight_ih_l0", "weight_hh_l0"]
    layered = prunable(kind(3, 4, num_layers=2, bidirectional=True, bias=False))
    directions = [f"l{layer}{way}" for layer in (0, 1) for way in ("", "_reverse")]
    assert layered == [f"weight_{part}_{which}" for which in directions for part in ("ih", "hh")]


def test_recurrent_projections_and_cells() -> None:
    assert prunable(nn.LSTM(3, 4, proj_size=2)) == ["weight_ih_l0", "weight_hh_l0", "weight_hr_l0"]
    for kind in (nn.LSTMCell, nn.GRUCell, nn.RNNCell):
        assert prunable(kind(3, 4)) == ["weight_ih", "weight_hh"]


def test_a_recurrent_network_is_pruned_where_its_weights_are() -> None:
    module = nn.ModuleDict({"lstm": nn.LSTM(8, 32, batch_first=True), "output": nn.Linear(32, 10)})
    names = prunable(module)
    assert sum(module.get_parameter(name).numel() for name in names) == 5_120 + 320


def test_matrices_that_are_left_out_are_named_with_their_share() -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.tied = nn.Embedding(7, 4), nn.Linear(4, 7, bias=False)
            self.tied.weight = self.words.weight
            self.pos_embed, self.class_token = nn.Parameter(torch.zeros(3, 4)), nn.Parameter(torch.zeros(1, 4))
            self.pair, self.own = nn.Bilinear(2, 3, 4), nn.Parameter(torch.zeros(6, 5))
            self.frozen, self.output = nn.Parameter(torch.zeros(9, 9), requires_grad=False), nn.Linear(4, 2)

    module = Mixed()
    total = sum(parameter.numel() for parameter in module.parameters())
    assert left_out(module, prunable(module)) == {"own": 30 / total, "pair.weight": 24 / total}
    assert left_out(module, prunable(module, include=["*"])) == {}
    composed = nn.ModuleDict({"compose": nn.Bilinear(2, 3, 4), "output": nn.Linear(4, 2)})  # "pos" is no word there
    assert list(left_out(composed, prunable(composed))) == ["compose.weight"]


def test_an_exact_name_matches_itself_alone_whatever_its_characters() -> None:
    stages = nn.ModuleDict({"stage[0]": nn.Linear(4, 3), "stage0": nn.Linear(3, 3), "stage[1]": nn.Linear(3, 2)})
    module = nn.ModuleDict({"parts": stages})
    assert prunable(module, include=["parts.stage[0].weight"]) == ["parts.stage[0].weight"]
    assert prunable(module, include=["parts.stage[01].weight"]) == ["parts.stage0.weight"]
    assert prunable(module, exclude=["parts.stage[0].weight"]) == ["parts.stage0.weight", "parts.stage[1].weight"]


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        (("matrices",), ["embedding.weight", "hidden.weight"]),
        (("everything",), ["embedding.weight", "hidden.weight", "hidden.bias", "norm.weight", "norm.bias"]),
        (("matrices", "norm.*"), ["embedding.weight", "hidden.weight", "norm.weight", "norm.bias"]),
    ],
)
def test_choices_by_name_beside_patterns(choice: tuple[str, ...], names: list[str]) -> None:
    layers = {"embedding": nn.Embedding(7, 4), "hidden": nn.Linear(4, 4), "norm": nn.LayerNorm(4)}
    assert prunable(nn.ModuleDict(layers), choice) == names
    assert prunable(nn.ModuleDict(layers), choice, ["norm.*"]) == [n for n in names if not n.startswith("norm")]


def test_everything_in_gpt2_is_what_a_study_of_it_pruned() -> None:
    with torch.device("meta"):
        module = Gpt2(50257, 1024, bias=False)
    sizes = {name: parameter.numel() for name, parameter in module.named_parameters()}
    assert sum(sizes[name] for name in prunable(module, ["everything"])) == 124_373_760
    assert sum(sizes[name] for name in prunable(module)) == 84_934_656


@pytest.mark.slow
@pytest.mark.parametrize(("init", "share"), [("gpt2", 0.145), ("xavier", 0.77)])
def test_base_rate_of_an_mlp_projection_before_any_training(init: str, share: float) -> None:
    """At 41 % sparsity under global magnitude over everything it follows from the initial scale alone."""
    torch.manual_seed(0)
    module = Gpt2(50257, 1024, bias=False, init=init)
    weights = {name: value.detach() for name, value in module.named_parameters()}
    mask = select(weights, {}, density=0.59, key=torch.abs)["h.2.mlp.c_proj.weight"]
    assert float(mask.float().mean()) == pytest.approx(share, abs=0.01)


SMALL = {"vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 12}


@pytest.mark.parametrize(
    ("name", "outside"),
    [
        ("BertForSequenceClassification", ["bert.pooler.dense.weight"]),
        ("BertForMaskedLM", []),
        ("RobertaForSequenceClassification", []),
        ("RobertaForMaskedLM", []),
        ("BertForQuestionAnswering", []),
        ("BertModel", ["pooler.dense.weight"]),
    ],
)
def test_of_an_encoder_the_matrices_and_the_pooler(name: str, outside: list[str]) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.RobertaConfig if name.startswith("Roberta") else transformers.BertConfig
    module = getattr(transformers, name)(config(**SMALL))
    chosen = prunable(module, exclude=never_pruned(module))
    assert len([each for each in chosen if "encoder.layer.0" in each]) == 6
    assert [each for each in chosen if "encoder.layer.0" not in each] == outside
    assert left_out(module, chosen) == {}
    outer = nn.Sequential(module)
    assert prunable(outer, exclude=never_pruned(outer)) == [f"0.{each}" for each in chosen]


@pytest.mark.parametrize("tied", [True, False])
def test_the_head_of_a_language_model_is_left_out_tied_or_not(tied: bool) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(**SMALL, num_key_value_heads=1, tie_word_embeddings=tied)
    module = transformers.LlamaForCausalLM(config)
    head = () if tied else ("lm_head.weight",)
    assert never_pruned(module) == head
    assert never_pruned(module, exclude=["*.q_proj.*"]) == ("*.q_proj.*", *head)
    assert never_pruned(module, ["matrices"], ["*.q_proj.*"]) == ("*.q_proj.*",)
    assert never_pruned(module, exclude=["lm_head.*"] if head else []) == (("lm_head.*",) if head else ())
    chosen = prunable(module, exclude=head)
    assert len(chosen) == 7
    assert all(name.startswith("model.layers.0.") for name in chosen)
    assert prunable(module) == [*chosen, *head]  # as keys of earlier studies have it
    assert list(prunable_masks(module)) == chosen


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("ElectraForPreTraining", {"discriminator_predictions"}),
        ("ElectraForSequenceClassification", {"classifier"}),
        ("ModernBertForMaskedLM", {"head", "decoder"}),
        ("ModernBertForSequenceClassification", {"head", "classifier"}),
        ("DebertaV2ForSequenceClassification", {"classifier"}),
        ("DebertaV2Model", set()),
        ("LlamaForSequenceClassification", {"score"}),
    ],
)
def test_a_head_is_what_stands_outside_the_base_model_but_a_pooler(name: str, head: set[str]) -> None:
    transformers = pytest.importorskip("transformers")
    small = SMALL | {
        "embedding_size": 8,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "cls_token_id": 1,
        "sep_token_id": 2,
    }
    config = getattr(transformers, f"{name.split('For')[0].removesuffix('Model')}Config")(**small)
    module = getattr(transformers, name)(config)
    found = head_parameters(module)
    assert {each.split(".")[0] for each in found} == head
    assert head_of("mine:net", module) == found
    outside = {each for each, _ in module.named_parameters()} - set(prunable(module, ["outside-embeddings"]))
    layers = {each.rpartition(".")[0] for each in outside}
    parts = {type(module.get_submodule(each)).__name__ for each in layers}
    assert all(part == "Embedding" or part.endswith("Norm") for part in parts)
    norms = [each for each, layer in module.named_modules() if type(layer).__name__.endswith(("Norm", "Embedding"))]
    assert {each for each in norms if list(module.get_submodule(each).parameters())} == layers


def test_every_weight_outside_embeddings_and_layer_norms() -> None:
    transformers = pytest.importorskip("transformers")
    module = transformers.BertForSequenceClassification(transformers.BertConfig(**SMALL))
    chosen = prunable(module, ["outside-embeddings"])
    names = [name for name, _ in module.named_parameters()]
    assert chosen == [name for name in names if "LayerNorm" not in name and "embeddings" not in name]
    assert {"classifier.bias", "classifier.weight", "bert.pooler.dense.bias"} <= set(chosen)
    assert len(chosen) == 16
    small = Gpt2(vocabulary=20, block=8, n_layer=1, n_head=2, n_embd=8)
    left = set(dict(small.named_parameters())) - set(prunable(small, ["outside-embeddings"]))
    assert {name.split(".")[-2] for name in left} == {"wte", "wpe", "ln_1", "ln_2", "ln_f"}
