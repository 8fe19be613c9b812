"""The strongest spike while a transformer trains: against a direct computation, alone and in a stack."""

import pytest
import torch
from torch import Tensor, nn
from trainings import language_model, run, tokens

from lth.config import Training
from lth.models import Gpt2
from lth.superweights.projections import down_projections
from lth.superweights.top import strongest
from lth.training import Member, Seeds

VOCABULARY, BLOCK = 11, 8  # of the tokens that tests share, and a little more than their windows


def make(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return Gpt2(vocabulary=VOCABULARY, block=BLOCK, n_layer=2, n_head=2, n_embd=8, pad_to=1)


def training(**fields: object) -> Training:
    usual = {"task": language_model(), "batch_size": 4, "steps": 12, "evaluate_every": 5, "lr": 0.1}
    return Training(**{**usual, "measures": ("super_weights",), **fields})  # type: ignore[arg-type]


def member(seed: int) -> Member:
    return Member(f"{seed}", make(seed).state_dict(), {}, Seeds(init=seed, order=seed, augmentation=seed))


def directly(module: nn.Module, x: Tensor) -> dict[str, float]:
    """What the measure says, from activations that are taken by hand."""
    best: dict[str, float] = {"strength": -1.0, "max_input": 0.0, "max_output": 0.0, "over_channels": 0.0}
    for block in (0, 1):
        layer, taken = module.get_submodule(f"h.{block}.mlp.c_proj"), []
        handle = layer.register_forward_hook(lambda _, args, out, taken=taken: taken.append((args[0], out)))
        with torch.no_grad():
            module.eval()(x)
        handle.remove()
        inputs, outputs = (each.flatten(0, 1) for each in taken[0])
        channels = outputs.abs().amax(0)
        median, weight = float(channels.median()), layer.get_parameter("weight").detach()
        contributions = inputs.abs().amax(0) * weight.abs()  # (output, input)
        best["max_input"] = max(best["max_input"], float(inputs.abs().max()))
        best["max_output"] = max(best["max_output"], float(channels.max()))
        best["over_channels"] = max(best["over_channels"], float(channels.max()) / median)
        if float(contributions.max()) / median > best["strength"]:
            output, channel = divmod(int(contributions.argmax()), weight.shape[1])
            at = int(inputs[:, channel].abs().argmax())
            best |= {"strength": float(contributions.max()) / median, "block": block, "output": output}
            best |= {"input": channel, "weight": float(weight[output, channel])}
            best["share"] = float(contributions.max() / outputs[at, output].abs())
    return best


@pytest.mark.parametrize("size", [1, 2])
def test_the_measure_is_that_of_each_network_at_each_evaluation(size: int) -> None:
    data, members = tokens(), [member(seed) for seed in range(size)]
    outcomes = run(members, make(9), training(), parts=data)
    x = data["validation"].take(torch.arange(8), torch.device("cpu"))["x"]
    for seed, outcome in enumerate(outcomes):
        curves = {name: values for name, values in outcome.history.curves.items() if name.startswith("super_weights/")}
        assert outcome.history.steps == [0, 5, 10, 12]
        ends = (0, make(seed)), (-1, make(seed))
        ends[1][1].load_state_dict(outcome.weights)
        for index, module in ends:
            found = {name.removeprefix("super_weights/"): values[index] for name, values in curves.items()}
            assert found == pytest.approx(directly(module, x), rel=1e-4)


def test_measuring_changes_nothing_else() -> None:
    with_, without = (run([member(1)], make(9), training(measures=names), parts=tokens())[0]
                      for names in (("super_weights",), ()))  # fmt: skip
    assert all(torch.equal(value, with_.weights[name]) for name, value in without.weights.items())
    assert without.history.curves.items() <= with_.history.curves.items()


def test_a_planted_path_is_the_strongest_spike() -> None:
    module, x = make(3).eval(), torch.arange(8).reshape(1, 8) % VOCABULARY
    with torch.no_grad():
        module.get_submodule("h.1.mlp.c_fc").get_parameter("weight")[5] *= 50
        module.get_submodule("h.1.mlp.c_proj").get_parameter("weight")[2, 5] = 3.0
    found = strongest(down_projections(module), lambda: module(x))
    assert found is not None
    assert str(found.top.coordinate) == "1,2,5"
    assert found.top.weight == 3.0
    assert found.top.share == pytest.approx(1, abs=0.1)
    with torch.no_grad():
        module.get_submodule("ln_f").get_parameter("weight")[0] = torch.nan  # behind all projections
    assert strongest(down_projections(module), lambda: module(x)) == found
    with torch.no_grad():
        module.get_submodule("h.0.ln_2").get_parameter("weight")[0] = torch.nan
    assert strongest(down_projections(module), lambda: module(x)) is None


def test_of_no_token_nothing_can_be_said() -> None:
    with pytest.raises(ValueError, match="no token went through a down-projection"):
        strongest(down_projections(make(0)), lambda: None)
