"""Compiled passes train as others do but for rounding, the same way every time; where they cannot be had, it is said.

Compiling costs seconds, so one small network stands for all, in float64, with what leaves traces: draws and buffers.
"""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from trainings import FolderJournal, assert_same_bits, digits_split, dropout_net, member, recipe, same_bits

from lth.training import Interrupted, Member, Outcome, train
from lth.training.engines.compiling import VARIABLE, compile_wanted

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # torch's own, as it loads inductor


def net() -> nn.Module:
    """64-12-10 with batch norm and dropout."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, 12, bias=False), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(0.3), nn.Linear(12, 10)
    )


def members_of(size: int) -> list[Member]:
    return [member(net, seed, fill=0.25) for seed in range(size)]


def trained(size: int, journal: FolderJournal | None = None) -> list[Outcome]:
    schedule = recipe(precision="float64", optimizer="adamw", weight_decay=0.05, clip=0.5)
    return train(members_of(size), net(), digits_split(), schedule, journal=journal, snapshot_seconds=0.0)


def resumed(size: int, folder: Path) -> list[tuple[int, str, bytes]]:
    """What a training that goes on leaves of each member: steps done, signature and weights."""
    torch.set_num_threads(1)
    outcomes = trained(size, FolderJournal(folder))
    return [(each.num_steps, each.signature, save(each.weights)) for each in outcomes]


@pytest.fixture
def compiler() -> None:
    """Skips where C++ cannot be compiled."""
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler:
        pytest.skip("torch finds no C++ compiler")


@pytest.mark.slow
@pytest.mark.usefixtures("compiler")
def test_compiled_trainings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice the same bits, though stopped and resumed in another process; those of an uncompiled one but for rounding:
    the very draws of its dropout. Pruned entries keep their bits."""
    signatures = {1: "torch/cpu/1/compiled", 2: "torch/cpu/2-vmap/compiled"}
    plain = {size: trained(size) for size in signatures}
    monkeypatch.setenv(VARIABLE, "1")
    compiled = {}
    with torch._dynamo.config.patch(error_on_recompile=True):
        for size in signatures:
            compiled[size] = trained(size)
            (tmp_path / f"{size}").mkdir()
            with pytest.raises(Interrupted):
                trained(size, FolderJournal(tmp_path / f"{size}", 7))
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        again = {size: pool.submit(resumed, size, tmp_path / f"{size}").result() for size in signatures}
    for size, signature in signatures.items():
        for each, usual, outcome, (num_steps, signed, weights) in zip(
            members_of(size), plain[size], compiled[size], again[size], strict=True
        ):
            assert (num_steps, signed, outcome.signature) == (5, signature, signature)
            assert_same_bits(load(weights), outcome.weights)
            for name, mask in each.masks.items():
                assert same_bits(outcome.weights[name][~mask], each.start[name][~mask].double())
            for name, value in usual.weights.items():
                torch.testing.assert_close(outcome.weights[name], value, rtol=0, atol=1e-9, msg=name)
            assert outcome.metrics["validation_loss"] == pytest.approx(usual.metrics["validation_loss"], abs=1e-9)


def test_without_a_compiler_it_trains_uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._inductor import config

    plain = trained(1)[0]
    monkeypatch.setenv(VARIABLE, "1")
    with (
        config.patch({"cpp.cxx": (None, "no-such-compiler")}),
        pytest.warns(
            UserWarning, match="cannot compile this network .*no-such-compiler.*: it trains uncompiled"
        ) as said,
    ):
        outcome = trained(1)[0]
    assert "\n" not in str(said[0].message)
    assert outcome.signature == plain.signature == "torch/cpu/1"
    assert_same_bits(outcome.weights, plain.weights)


class Branching(nn.Module):
    """Asks Python to decide by a value, which cannot be compiled as one."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = dropout_net()

    def forward(self, inputs: Tensor) -> Tensor:  # (batch, 8, 8) -> (batch, class)
        return self.layers(inputs if inputs.mean() > 0.1 else -inputs)


@pytest.mark.parametrize("size", [1, 2])
def test_a_module_that_cannot_be_compiled_trains(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lth.training.population.usual_stacking", lambda module: "loop")
    members = [member(Branching, seed) for seed in range(size)]
    plain = train(members, Branching(), digits_split(), recipe())
    monkeypatch.setenv(VARIABLE, "1")
    with pytest.warns(UserWarning, match="cannot compile this network .*: it trains uncompiled") as said:
        outcomes = train(members, Branching(), digits_split(), recipe())
    assert "\n" not in str(said[0].message)
    for outcome, usual in zip(outcomes, plain, strict=True):
        assert outcome.signature == usual.signature
        assert_same_bits(outcome.weights, usual.weights)


def test_it_is_opt_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert not compile_wanted()
    for wanted in (True, False):
        monkeypatch.setenv(VARIABLE, str(int(wanted)))
        assert compile_wanted() == wanted
    for unknown in ("yes", ""):
        monkeypatch.setenv(VARIABLE, unknown)
        with pytest.raises(ValueError, match=rf"unknown LTH_COMPILE '{unknown}'.* Choices: 0, 1"):
            compile_wanted()
