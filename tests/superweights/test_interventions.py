"""Interventions: each against a direct computation, and every bit given back."""

import copy
import random
from collections.abc import Callable

import pytest
import torch
from networks import MIXTURES, NAMES, network
from torch import Tensor, nn

from lth.superweights.battery import BASELINE, Controls, battery, causal_test
from lth.superweights.coordinates import Coordinate
from lth.superweights.interventions import INTERVENTIONS, Intervention, applied
from lth.superweights.projections import DownProjection, down_projections, observed

TOKENS = torch.tensor([[3, 9, 14, 7, 22, 41], [5, 5, 30, 2, 8, 11]])
AT = Coordinate(block=1, output=7, input=19)
Direct = Callable[[Tensor], None]
"""Changes a matrix (output, input) of 32 by 48 (Llama) or by 128 (GPT-2) in place."""


def change(kind: str, **fields: object) -> Intervention:
    return Intervention.model_validate({"kind": kind, "coordinates": (AT,), **fields})


def fill(place: object, value: float = 0.0) -> Direct:
    return lambda matrix: matrix.__setitem__(place, value)  # type: ignore[arg-type]


def times(place: object, factor: float) -> Direct:
    return lambda matrix: matrix.__setitem__(place, factor * matrix[place])  # type: ignore[index, arg-type]


def but(direct: Direct) -> Direct:
    """The same, except at the weight."""

    def changed(matrix: Tensor) -> None:
        weight = matrix[AT.output, AT.input].clone()
        direct(matrix)
        matrix[AT.output, AT.input] = weight

    return changed


def largest(count: int) -> Direct:
    def changed(matrix: Tensor) -> None:
        others = [(-abs(float(value)), place) for place, value in enumerate(matrix.flatten())]
        del others[AT.output * matrix.shape[1] + AT.input]
        for _, place in sorted(others)[:count]:
            matrix[divmod(place, matrix.shape[1])] = 0.0

    return changed


def largest_rows(count: int) -> Direct:
    def changed(matrix: Tensor) -> None:
        norms = [(-float(row.norm()), place) for place, row in enumerate(matrix) if place != AT.output]
        for _, place in sorted(norms)[:count]:
            matrix[place] = 0.0

    return changed


CASES: dict[str, tuple[Intervention, Direct]] = {
    "none": (BASELINE, lambda matrix: None),
    "zeroed": (causal_test(AT), fill((7, 19))),
    "scaled": (change("scale", factor=1.5), times((7, 19), 1.5)),
    "row halved": (change("row", factor=0.5), times(7, 0.5)),
    "row zeroed": (change("row"), fill(7)),
    "row without": (change("row-without"), but(fill(7))),
    "column zeroed": (change("column"), fill((slice(None), 19))),
    "column without": (change("column-without"), but(fill((slice(None), 19)))),
    "largest others": (change("largest", count=5), largest(5)),
    "largest rows": (change("largest-rows", count=2), largest_rows(2)),
}


def matrix_of(module: nn.Module, at: Coordinate = AT) -> DownProjection:
    return next(each for each in down_projections(module) if (each.block, each.expert) == (at.block, at.expert))


@torch.no_grad()
def logits(module: nn.Module) -> Tensor:
    outputs = module(TOKENS)
    return outputs if isinstance(outputs, Tensor) else outputs[0]


def bits(module: nn.Module) -> list[Tensor]:
    return [value.detach().clone().view(torch.uint8) for value in module.parameters()]


@pytest.mark.parametrize("name", ["llama", "lth", "gpt2"])
@pytest.mark.parametrize("case", CASES)
def test_a_change_is_the_same_as_by_hand_and_every_bit_returns(name: str, case: str) -> None:
    module = network(name)
    with torch.no_grad():
        matrix_of(module).weight[7, 19] = 3.0  # the largest, so that others are chosen beside it
    by_hand, before = copy.deepcopy(module), bits(module)
    intervention, direct = CASES[case]
    with torch.no_grad():
        direct(matrix_of(by_hand).weight)
    with applied(module, intervention):
        assert torch.equal(logits(module), logits(by_hand))
        assert torch.equal(matrix_of(module).weight, matrix_of(by_hand).weight)
    assert all(map(torch.equal, bits(module), before))


@pytest.mark.parametrize("kind", ["random", "random-rows", "random-columns"])
def test_random_others_are_as_many_as_asked_drawn_by_the_seed_and_not_the_weights_own(kind: str) -> None:
    module = network("llama")
    before = matrix_of(module).weight.clone()
    taken = []
    for seed in (0, 0, 1):
        with applied(module, change(kind, count=20, seed=seed)):
            taken.append((matrix_of(module).weight == 0) & (before != 0))
    size = {"random": 1, "random-rows": 48, "random-columns": 32}[kind]
    assert [int(each.sum()) for each in taken] == [20 * size] * 3
    assert torch.equal(taken[0], taken[1])
    assert not torch.equal(taken[0], taken[2])
    assert not any(each[AT.output, AT.input] for each in taken)
    if kind == "random":  # any Python draws the same
        place = AT.output * 48 + AT.input
        drawn = [each for each in random.Random(1).sample(range(32 * 48), 21) if each != place][:20]
        assert sorted(taken[2].flatten().nonzero().flatten().tolist()) == sorted(drawn)


def test_largest_takes_the_lower_place_among_equals() -> None:
    module = network("llama")
    with torch.no_grad():
        matrix_of(module).weight.fill_(0.5)
    with applied(module, change("largest", count=3)):
        assert (matrix_of(module).weight == 0).nonzero().tolist() == [[0, 0], [0, 1], [0, 2]]


def test_several_weights_of_several_blocks_are_changed_together() -> None:
    module, other = network("llama"), Coordinate(block=2, output=0, input=3)
    before = bits(module)
    with applied(module, change("scale", coordinates=(AT, other), factor=2.0)):
        changed = [
            (number, *place.tolist())
            for number, each in enumerate(down_projections(module))
            for place in (each.weight != down_projections(network("llama"))[number].weight).nonzero()
        ]
    assert changed == [(1, 7, 19), (2, 0, 3)]
    assert all(map(torch.equal, bits(module), before))


def test_an_expert_of_a_fused_mixture_is_changed_alone() -> None:
    module, at = network("mixtral"), Coordinate(block=1, output=7, input=19, expert=2)
    before = [each.weight.clone() for each in down_projections(module)]
    with applied(module, causal_test(at)):
        assert matrix_of(module, at).weight[7, 19] == 0
        differ = [int((each.weight != old).sum()) for each, old in zip(down_projections(module), before, strict=True)]
    assert sum(differ) == 1
    assert all(map(torch.equal, [each.weight for each in down_projections(module)], before))
    with (
        pytest.raises(ValueError, match=r"no expert's; found \(1,7,19,2\)"),
        applied(module, Intervention(kind="restore", coordinates=(at,))),
    ):
        pass


def outputs_of(module: nn.Module) -> Tensor:
    """What the matrix writes, (batch, position, output)."""
    seen: list[Tensor] = []
    with observed([matrix_of(module)], lambda _, __, ___, outputs: seen.append(outputs.clone())):
        logits(module)
    return seen[0].view(*TOKENS.shape, -1)


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_the_super_activation_is_put_back_at_one_token_of_each_sequence(name: str) -> None:
    module = network(name)
    with torch.no_grad():
        matrix_of(module).weight[7, 19] = 3.0
    untouched = outputs_of(module)
    with applied(module, causal_test(AT)):
        zeroed = outputs_of(module)
    token = (untouched - zeroed)[..., 7].abs().argmax(-1)  # x * w is what is missing
    expected = zeroed.clone()
    expected[[0, 1], token, 7] = untouched[[0, 1], token, 7]
    with applied(module, change("restore")):
        torch.testing.assert_close(outputs_of(module), expected, rtol=0, atol=1e-6)
    expected[[0, 1], token, 7] = -1.25
    with applied(module, change("constant", value=-1.25)):
        torch.testing.assert_close(outputs_of(module), expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(outputs_of(module), untouched, rtol=0, atol=0)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in MIXTURES])
def test_where_there_is_one_token_everything_is_put_back(name: str) -> None:
    module, one = network(name), TOKENS[:1, :1]
    seen: list[Tensor] = []
    with torch.no_grad(), observed([matrix_of(module)], lambda _, __, inputs, ___: seen.append(inputs.abs())):
        module(one)
    at = Coordinate(block=1, output=7, input=int(seen[0].argmax()))
    results = []
    with torch.no_grad():
        matrix_of(module).weight[at.output, at.input] = 100.0
        for intervention in (BASELINE, change("restore", coordinates=(at,)), causal_test(at)):
            with applied(module, intervention):
                outputs = module(one)
            results.append(outputs if isinstance(outputs, Tensor) else outputs[0])
    untouched, restored, zeroed = results
    torch.testing.assert_close(restored, untouched, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(zeroed, untouched, rtol=1e-3, atol=1e-3)


def test_bits_return_and_hooks_go_after_an_exception() -> None:
    module = network("llama")
    before = bits(module)
    with pytest.raises(RuntimeError, match="stop"), applied(module, change("restore")):
        raise RuntimeError("stop")
    assert all(map(torch.equal, bits(module), before))
    assert not matrix_of(module).module._forward_hooks


@pytest.mark.parametrize(
    ("intervention", "message"),
    [
        (causal_test(Coordinate(block=9, output=0, input=0)), "it has blocks 0 to 2"),
        (causal_test(Coordinate(block=1, output=0, input=0, expert=1)), "blocks 0 to 2, none with experts"),
        (causal_test(Coordinate(block=1, output=0, input=48)), "32 outputs and 48 inputs"),
        (change("largest-rows", count=40), "asks for 40 others, and there are 31"),
        (change("constant"), "needs a value"),
        (change("restore", coordinates=(AT, AT)), r"of one weight that every token meets"),
        (change("scal"), "Did you mean 'scale'"),
    ],
)
def test_what_cannot_be_done_is_said(intervention: Intervention, message: str) -> None:
    module = network("llama")
    before = bits(module)
    with pytest.raises(ValueError, match=message), applied(module, intervention):
        logits(module)
    assert all(map(torch.equal, bits(module), before))


def test_only_none_goes_without_coordinates() -> None:
    for fields in ({"kind": "scale"}, {"coordinates": (AT,)}):
        with pytest.raises(ValueError, match="`none` takes none"):
            Intervention.model_validate(fields)


def test_a_battery_has_each_kind_and_its_controls_leave_the_weight_alone() -> None:
    other = Coordinate(block=2, output=0, input=3)
    trials = battery(AT, (32, 48), constant=0.5, others=(AT, other), controls=Controls(single=2, lines=1))
    assert trials[0].intervention == causal_test(AT)
    assert {each.intervention.kind for each in trials} == INTERVENTIONS.keys() - {"none"}
    assert len({each.intervention for each in trials}) == len(trials)
    assert [each.intervention.coordinates for each in trials if each.group == "pair"] == [(AT, other)]
    module = network("llama")
    before = matrix_of(module).weight.clone()
    for trial in trials:
        with applied(module, trial.intervention):
            changed = matrix_of(module).weight != before
        assert bool(changed[AT.output, AT.input]) != trial.is_control, trial.intervention.words()
        assert changed.sum() >= 1
    together = [each.intervention.count for each in trials if each.intervention.kind == "random"]
    assert together == [1, 1, 768]  # half of the matrix: it has no 1,000 others to spare


def test_controls_spare_other_weights_of_the_matrix_that_do_harm() -> None:
    spared = (Coordinate(block=1, output=7, input=3), Coordinate(block=1, output=9, input=19))
    trials = battery(AT, (32, 48), spared=(AT, *spared), controls=Controls(single=2, lines=1))
    module = network("llama")
    with torch.no_grad():
        for each in (AT, *spared):
            matrix_of(module).weight[each.output, each.input] = 3.0
    before = matrix_of(module).weight.clone()
    for trial in trials:
        with applied(module, trial.intervention):
            changed = matrix_of(module).weight != before
        assert not (trial.is_control and any(changed[each.output, each.input] for each in (AT, *spared)))
    controls = [each.intervention for each in trials if each.is_control]
    assert [each.words() for each in controls[:2]] == [
        "row 7 without (1,7,19) and (1,7,3) zeroed", "neuron 19 without (1,7,19) and (1,9,19) zeroed",
    ]  # fmt: skip
    assert "5 other rows of largest norm but for (1,7,3) and (1,9,19) zeroed" in [each.words() for each in controls]
    # Where only one row is left beside them, no half of the rows is asked for.
    assert battery(AT, (2, 3), spared=(Coordinate(block=1, output=0, input=3),))
    with_one = battery(AT, (32, 48), spared=(AT, Coordinate(block=1, output=9, input=3)))
    assert [each.is_control for each in with_one if each.group in ("row", "column")] == [
        False,
        False,
        True,
        False,
        True,
    ]


def test_words_say_what_is_done() -> None:
    assert change("scale", factor=1.5).words() == "(1,7,19) times 1.5"
    assert change("row-without").words() == "row 7 without the weight zeroed"
    assert change("random", count=1000, seed=3).words() == "1,000 random weights of the matrix (draw 3) zeroed"
    assert change("restore").words() == "(1,7,19) zeroed, super activation put back at its token"
    assert BASELINE.words() == "the network as it is"
