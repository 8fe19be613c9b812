"""A whole step over buffers that stay is the same step, and does nothing that a CUDA graph cannot hold.

On a CPU the step runs over the same buffers as on a GPU, without the capture.
"""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from trainings import (
    ConvNet,
    Make,
    assert_same_bits,
    digits_split,
    dropout_net,
    lenet,
    member,
    recipe,
    small_net,
    start_of,
    whole_member,
)

from lth.config import Sparsifier
from lth.training import Member, make_optimizer, train
from lth.training.engines.graphs import WholeStep, can_be_graphed
from lth.training.engines.torch_engine import TorchEngine

MOMENTUM = {"optimizer": "sgd", "optimizer_options": {"momentum": 0.9}, "lr": 0.05}
DECAY = {"optimizer": "adamw", "weight_decay": 0.1, "clip": 0.5, "lr_decay": "cosine", "warmup": "3it"}
CASES = {
    "adam": (small_net, {"optimizer": "adam"}),
    "conv-adamw-decay-clip-cosine": (ConvNet, DECAY),
    "sgd-momentum-clip": (small_net, {**MOMENTUM, "clip": 0.5}),
    "dropout": (dropout_net, {"optimizer": "adam"}),
    "bfloat16": (lenet, {"optimizer": "adam", "precision": "bfloat16"}),
}


def engine_of(make: Make, members: list[Member], fields: dict[str, Any], **options: Any) -> TorchEngine:
    """A torch engine with members that decay would move: pruned entries rest at 0.25."""
    usual: dict[str, Any] = {"first_step": 0, "device": torch.device("cpu"), "sparsifier": None, "traces": ()}
    return TorchEngine(members, make(), digits_split(), recipe(**fields), **{**usual, **options})


def static(engine: TorchEngine) -> TorchEngine:
    """The same engine, with its steps over buffers as on a GPU. There the rate is a float32, here a double's value."""
    engine.whole = WholeStep(engine.optimizer, engine._indices(0), torch.float64)
    return engine


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("case", CASES)
def test_a_whole_step_is_the_usual_step(case: str, size: int) -> None:
    make, fields = CASES[case]
    members = [member(make, seed, fill=0.25) for seed in range(size)]
    usual = engine_of(make, members, fields, traces=("movement_pruning",))
    expected = usual.advance(0, 8)
    with torch.random.fork_rng():
        found = engine_of(make, members, fields, traces=("movement_pruning",))
        losses = torch.cat([static(found).advance(0, 3), found.advance(3, 5)])
    assert torch.equal(losses, expected)
    for index in range(size):
        assert_same_bits(found.tensors(index), usual.tensors(index) | rng_of(found, index))


def rng_of(engine: TorchEngine, index: int) -> dict[str, Tensor]:
    """The generator states, which the two ways of a test need not share."""
    return {name: value for name, value in engine.tensors(index).items() if name.startswith("generator/c")}


@pytest.mark.parametrize("method", ["gradual", "rigl", "set"])
def test_masks_that_change_drop_the_graph(method: str) -> None:
    settings = Sparsifier(method=method, density=0.4, applications=3, begin=0.2, end=0.9)
    members = [whole_member(small_net, seed) for seed in (1, 2)]
    usual = engine_of(small_net, members, {}, sparsifier=settings)
    found = static(engine_of(small_net, members, {}, sparsifier=settings))
    forgotten: list[int] = []
    assert found.whole is not None
    forget = found.whole.forget
    for step in range(12):
        found.whole.forget = lambda step=step: (forgotten.append(step), forget())[1]  # type: ignore[method-assign]
        usual.advance(step, 1)
        before = [mask.data_ptr() for mask in found.population._mask_factors]
        found.advance(step, 1)
        if before != [mask.data_ptr() for mask in found.population._mask_factors]:
            assert forgotten[-1] == step
    assert 0 < len(set(forgotten)) < 12
    assert usual.take_mask_changes() == found.take_mask_changes() != []
    for index in range(2):
        assert_same_bits(found.tensors(index), usual.tensors(index) | rng_of(found, index))


NOT_IN_A_GRAPH = {"_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero", "unique_dim", "lift_fresh"}
"""Operations that read a value back to Python, or bring one in from there: a capture fails at them."""


class Capturing(TorchDispatchMode):
    """Fails where a CUDA capture would."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in NOT_IN_A_GRAPH or (name == "index" and any(is_mask(each) for each in args[1])):
            raise RuntimeError(f"{name}: operation not permitted when stream is capturing")
        return func(*args, **(kwargs or {}))


def is_mask(index: Tensor | None) -> bool:
    return index is not None and index.dtype == torch.bool


def addresses(engine: TorchEngine) -> dict[str, int]:
    """Where everything lies that a graph would write to."""
    found = {name: value.data_ptr() for name, value in engine.population.tensors().items()}
    for name, parameter in engine.population.parameters.items():
        state = engine.optimizer.state[parameter]
        found |= {f"{name}/{entry}": value.data_ptr() for entry, value in state.items() if isinstance(value, Tensor)}
    found |= {f"sum/{name}": value.data_ptr() for sums in engine.sums.values() for name, value in sums.items()}
    return found


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("case", CASES)
def test_a_step_reads_nothing_back_and_moves_nothing(case: str, size: int) -> None:
    make, fields = CASES[case]
    members = [member(make, seed, fill=0.25) for seed in range(size)]
    engine = static(engine_of(make, members, fields, traces=("movement_pruning",)))
    engine.advance(0, 3)
    before, indices = addresses(engine), engine._indices(3)
    with Capturing():
        losses = engine._step_on(indices)
    assert losses.shape == (size,)
    assert addresses(engine) == before
    assert before.keys() > engine.population.parameters.keys()


class Reads(nn.Module):
    """Reads a value back at every pass."""

    def __init__(self) -> None:
        super().__init__()
        self.output = nn.Linear(64, 10)

    def forward(self, inputs: Tensor) -> Tensor:  # (batch, 8, 8) -> (batch, class)
        return self.output(inputs.flatten(1)) / (1 + inputs.sum().item())


def test_a_step_that_reads_back_would_fail() -> None:
    engine = static(engine_of(Reads, [member(Reads, 1)], {}))
    engine.advance(0, 3)
    with pytest.raises(RuntimeError, match="_local_scalar_dense: operation not permitted"), Capturing():
        engine._step_on(engine._indices(3))


def test_optimizers_that_graphs_can_hold() -> None:
    def made(name: str, options: dict[str, Any]) -> torch.optim.Optimizer:
        return make_optimizer(name, [torch.zeros(2, requires_grad=True)], 0.1, 0.0, options)

    assert all(can_be_graphed(made(name, {})) for name in ("adam", "adamw", "sgd"))
    assert not any(can_be_graphed(made(name, {})) for name in ("rprop", "radam", "nadam", "adagrad"))
    assert not can_be_graphed(made("adam", {"fused": False}))


def test_losses_are_not_aliases_of_a_buffer() -> None:
    """A graph writes the next step's losses where it wrote the last."""
    weight = torch.zeros(3, requires_grad=True)
    step = WholeStep(torch.optim.SGD([weight], lr=1.0, fused=True), torch.zeros(1, 4, dtype=torch.int64), torch.float32)
    shared = torch.zeros(1)
    losses = [step(lambda indices: shared.copy_(indices.sum()), torch.full((1, 4), value), 0.1) for value in (1, 2)]
    assert [value.item() for value in losses] == [4.0, 8.0]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("case", CASES)
def test_a_graph_is_the_step_that_it_captured(case: str, size: int) -> None:
    make, fields = CASES[case]
    members = [member(make, seed, fill=0.25) for seed in range(size)]
    device = torch.device("cuda")
    graphed, usual = (engine_of(make, members, fields, device=device) for _ in range(2))
    assert graphed.whole is not None
    assert usual.whole is not None
    usual.whole._can_capture = False
    torch.cuda.manual_seed(0)
    losses = graphed.advance(0, 10)
    assert graphed.whole._graph is not None
    torch.cuda.manual_seed(0)
    torch.testing.assert_close(losses, usual.advance(0, 10), rtol=1e-5, atol=1e-6)
    for index in range(size):
        for name, value in usual.state_of(index).items():
            torch.testing.assert_close(graphed.state_of(index)[name], value, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_step_that_reads_back_runs_uncaptured() -> None:
    start = start_of(Reads, 1)
    one = Member("one", start, {}, member(Reads, 1).seeds)
    with pytest.warns(UserWarning, match="cannot be captured as a CUDA graph"):
        outcome = train([one], Reads(), digits_split(), recipe(), device="cuda")[0]
    assert outcome.num_steps == 12
