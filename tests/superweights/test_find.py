"""Planted super weights are found exactly, in every family; networks without one say so."""

from pathlib import Path

import pytest
import torch
from networks import NAMES, VOCABULARY, network
from planted import expert_of_first_token, plant
from torch import nn

from lth.superweights.coordinates import Coordinate
from lth.superweights.find import Findings, find
from lth.superweights.findings import Round, Spike
from lth.superweights.judge import judged
from lth.superweights.projections import down_projections
from lth.superweights.search import Search

PROMPTS = ([3, 14, 15, 9, 2, 6], [3, 27, 18, 28], [3, 31, 41, 5, 44])


def coordinate(module: nn.Module, block: int = 1, output: int = 7, input_: int = 11) -> Coordinate:
    """Return a place in a block, of the expert that the prompts' first token goes to where there are experts."""
    is_mixture = any(each.expert is not None and each.block == block for each in down_projections(module))
    expert = expert_of_first_token(module, block, PROMPTS[0]) if is_mixture else None
    return Coordinate(block=block, output=output, input=input_, expert=expert)


def places(findings: Findings) -> list[str]:
    return [str(each.coordinate) for each in findings.candidates]


@pytest.mark.parametrize("name", NAMES)
def test_a_planted_super_weight_is_found_exactly(name: str) -> None:
    module = network(name)
    assert find(module, PROMPTS).candidates == ()
    place = coordinate(module)
    plant(module, place, 8.0, PROMPTS)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    findings = find(module, PROMPTS)
    assert places(findings) == [str(place)]
    (found,) = findings.candidates
    assert (found.weight, found.token, found.prompts, found.round) == (8.0, 0, (0, 1, 2), 1)
    assert found.label() == ""
    assert len(findings.rounds) == 2
    assert findings.rounds[1].zeroed == (place,)
    assert (findings.census[0].block, findings.census[0].output) == (1, 7)
    assert Findings.model_validate_json(findings.model_dump_json()) == findings
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())


@pytest.mark.parametrize("name", ["lth", "llama", "bert"])
def test_two_are_found_at_once(name: str) -> None:
    module = network(name)
    first, second = coordinate(module, 0), coordinate(module, 2, output=3, input_=5)
    plant(module, first, 8.0, PROMPTS)
    plant(module, second, -9.0, PROMPTS)
    findings = find(module, PROMPTS)
    assert set(places(findings)) == {str(first), str(second)}
    assert {each.round for each in findings.leading()} == {1}


@pytest.mark.parametrize("name", ["lth", "mixtral", "bert"])
def test_one_that_shows_only_when_the_first_is_zeroed(name: str) -> None:
    module = network(name)
    first = coordinate(module)
    second = first.model_copy(update={"input": 20})
    plant(module, first, 60.0, PROMPTS)
    plant(module, second, 6.0, PROMPTS)  # a tenth of the output: below the share
    findings = find(module, PROMPTS)
    assert [(each.coordinate, each.round) for each in findings.candidates] == [(first, 1), (second, 2)]
    assert findings.candidates[1].label() == "shows in round 2 only"
    assert findings.leading() == findings.candidates[:1]
    assert findings.notes == ()
    cut = find(module, PROMPTS, Search(rounds=1))
    assert (places(cut), cut.notes) == (
        [str(first)],
        ("new spikes showed in each of 1 rounds: there may be more behind them",),
    )


def test_one_that_takes_back_what_another_wrote() -> None:
    module = network("lth")
    first, second = coordinate(module, 0), coordinate(module, 2, input_=5)
    plant(module, first, 8.0, PROMPTS)
    plant(module, second, -6.0, PROMPTS)
    by_place = {each.coordinate: each for each in find(module, PROMPTS).candidates}
    assert by_place[first].cancels is None
    assert by_place[second].cancels == first
    assert by_place[second].label() == f"cancels {first}"


def test_two_weights_that_write_one_channel_are_counted_once() -> None:
    def spike(block: int, input_: int, output: float) -> Spike:
        at = Coordinate(block=block, output=7, input=input_)
        return Spike(
            coordinate=at, prompt=0, token=0, input=9.0, weight=output / 9, output=output, share=0.5,
            over_channels=99.0, over_blocks=9.0,
        )  # fmt: skip

    spikes = (spike(2, 1, 100.0), spike(2, 2, 100.0), spike(4, 3, -80.0))  # one channel of block 2, by two halves
    found, _ = judged([Round(zeroed=(), maxima=(), spikes=spikes)], 1, ())
    assert [each.cancels and each.cancels.block for each in found] == [None, None, 2]


def test_other_weights_of_the_neuron_are_companions() -> None:
    module = network("lth")
    first = coordinate(module)
    plant(module, first, 8.0, PROMPTS)
    second = first.model_copy(update={"output": 9})
    with torch.no_grad():
        down_projections(module)[1].weight[second.output, second.input] = 4.0
    findings = find(module, PROMPTS)
    assert [(each.coordinate, each.companion_of) for each in findings.candidates] == [(first, None), (second, first)]
    assert findings.candidates[1].label() == f"companion of {first}"
    assert findings.leading() == findings.candidates[:1]
    assert places(find(module, PROMPTS, Search(top=1, rounds=1))) == [str(first)]


def test_few_prompts_must_all_show_it_and_many_only_three() -> None:
    module = network("llama")
    place = coordinate(module)
    plant(module, place, 8.0, PROMPTS)
    other, search = [9, 14, 15], Search(over_channels=1e4, over_blocks=1e4)  # the neuron answers others a little
    one = find(module, PROMPTS[:1], search)
    assert places(one) == [str(place)]
    assert one.notes == ("only 1 prompt was given: a candidate spikes on all of them, not on 3",)
    two = find(module, [PROMPTS[0], other], search)
    assert (places(two), two.notes) == ([], ("only 2 prompts were given: a candidate spikes on all of them, not on 3",))
    assert [(each.coordinate, each.prompts) for each in two.passed_over] == [(place, (0,))]
    four = find(module, [other, *PROMPTS, other], search)
    assert [(each.coordinate, each.prompts) for each in four.candidates] == [(place, (1, 2, 3))]


@pytest.mark.parametrize("name", ["lth", "llama", "mixtral", "modernbert"])
def test_a_prompt_of_one_token(name: str) -> None:
    module = network(name)
    place = coordinate(module)
    plant(module, place, 8.0, PROMPTS)
    assert str(place) in places(find(module, [[3]]))


def test_why_a_block_shows_none() -> None:
    module = network("lth")
    plant(module, coordinate(module), 8.0, PROMPTS)
    why = {(each.prompt, each.block): each.why for each in find(module, PROMPTS).rounds[0].maxima}
    assert why[0, 1] == "a spike"
    assert len(why) == 9
    assert all("largest input is at token" in text or "below" in text for place, text in why.items() if place[1] != 1)


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_low_precision(precision: torch.dtype) -> None:
    module = network("llama")
    place = coordinate(module)
    plant(module, place, 8.0, PROMPTS)
    assert places(find(module.to(precision), PROMPTS)) == [str(place)]


def test_weights_kept_on_disk(tmp_path: Path) -> None:
    from accelerate import disk_offload

    module = network("llama")
    place = coordinate(module)
    plant(module, place, 8.0, PROMPTS)
    expected = find(module, PROMPTS)
    disk_offload(module, str(tmp_path), torch.device("cpu"))
    assert find(module, PROMPTS) == expected
    assert down_projections(module)[1].weight[place.output, place.input] == 8.0


def test_the_network_is_as_before_whatever_happens() -> None:
    module = network("lth").train()
    module.h[1].eval()  # type: ignore[union-attr, index]
    plant(module, coordinate(module), 8.0, PROMPTS)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    calls = []

    def call(network: nn.Module, tokens: torch.Tensor) -> object:
        assert not network.training
        calls.append(tokens)
        if len(calls) == 5:  # in the second round
            assert not torch.equal(network.state_dict()["h.1.mlp.c_proj.weight"], before["h.1.mlp.c_proj.weight"])
            raise KeyboardInterrupt
        return network(tokens)

    with pytest.raises(KeyboardInterrupt):
        find(module, PROMPTS, call=call)
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())
    assert module.training
    assert not module.h[1].training  # type: ignore[union-attr, index]
    assert not any(part._forward_hooks for part in module.modules())


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("h.1.mlp.c_fc.bias", float("nan"), "the inputs of the down-projection of block 1 are NaN for prompt 1"),
        (
            "h.2.mlp.c_proj.bias",
            float("inf"),
            "the outputs of the down-projection of block 2 are infinite for prompt 1",
        ),
        ("h.0.mlp.c_proj.bias", 3.4e38, "what block 0 returns are infinite|block 1 are|block 0 returns"),
    ],
)
def test_activations_that_are_not_finite_name_the_block(name: str, value: float, message: str) -> None:
    module = network("lth")
    with torch.no_grad():
        dict(module.named_parameters())[name][0] = value
    with pytest.raises(ValueError, match=message):
        find(module, PROMPTS)


def test_a_network_that_breaks_without_its_candidates_ends_the_search() -> None:
    module = network("lth")
    place = coordinate(module)
    plant(module, place, 8.0, PROMPTS)
    bias = module.h[2].mlp.c_fc.bias  # type: ignore[union-attr, index]
    calls = []

    def call(network: nn.Module, tokens: torch.Tensor) -> object:
        calls.append(tokens)
        bias.data[0] = torch.nan if len(calls) > 3 else 0.0
        return network(tokens)

    findings = find(module, PROMPTS, call=call)
    assert places(findings) == [str(place)]
    (note,) = findings.notes
    assert note.startswith("round 2 was given up, with the candidates so far zeroed: the inputs of the down-projection")


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ([], "no prompt was given"),
        ([[3], []], "prompt 2 is empty"),
        (
            [[3, VOCABULARY]],
            f"prompt 1 has token {VOCABULARY}: the network's vocabulary has {VOCABULARY} tokens, from 0",
        ),
        ([[-1]], "prompt 1 has token -1"),
    ],
)
@pytest.mark.parametrize("name", ["lth", "gpt2", "bert"])
def test_odd_prompts(name: str, prompts: list[list[int]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        find(network(name), prompts)


def test_a_prompt_that_is_too_long() -> None:
    with pytest.raises(ValueError, match="65 tokens do not fit into a block of 64"):
        find(network("lth"), [[3] * 65])
    with pytest.raises(ValueError, match="prompt 1 of 1025 tokens does not fit GPT2LMHeadModel"):
        find(network("gpt2"), [[3] * 1025])


def test_an_unknown_architecture() -> None:
    with pytest.raises(ValueError, match="Embedding has no MLP whose down-projection is known"):
        find(nn.Embedding(50, 2), PROMPTS)
