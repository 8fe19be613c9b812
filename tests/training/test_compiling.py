"""Compiled passes give the same bits every time, and the numbers of others but for rounding.

Compiling costs seconds, so one small network stands for all, in float64, with what leaves traces: draws and buffers.
"""

from pathlib import Path

import pytest
import torch
from torch import nn
from trainings import FolderJournal, Make, assert_close, assert_same, member, run, same_bits, short_training

from lth.training import Interrupted, Outcome

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # torch's own, as it loads inductor


def net() -> nn.Module:
    """64-12-10 with batch norm."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, 12, bias=False), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 10)
    )  # fmt: skip


def dropping() -> nn.Module:
    """64-12-10 with batch norm and dropout."""
    return nn.Sequential(*net()[:4], nn.Dropout(0.3), nn.Linear(12, 10))


TRAINING = short_training(precision="float64", optimizer="adamw", weight_decay=0.05, clip=0.5)


def trained(make: Make, size: int, journal: FolderJournal | None = None, *, compiled: bool) -> list[Outcome]:
    members = [member(make, seed, fill=0.25) for seed in range(size)]
    return run(members, make(), TRAINING, journal=journal, snapshot_seconds=0.0, compiled=compiled)


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
def test_a_compiled_stack_equals_one_that_is_not() -> None:
    """Pruned entries keep their bits."""
    plain, outcomes = trained(net, 2, compiled=False), trained(net, 2, compiled=True)
    for seed, (usual, outcome) in enumerate(zip(plain, outcomes, strict=True)):
        assert outcome.signature == "torch/cpu/2-vmap/compiled"
        assert_close(outcome, usual)
        one = member(net, seed, fill=0.25)
        for name, mask in one.masks.items():
            assert same_bits(outcome.weights[name][~mask], one.start[name][~mask].double())


@pytest.mark.slow
@pytest.mark.usefixtures("compiler")
def test_stopped_and_resumed_it_has_the_same_bits(tmp_path: Path) -> None:
    """Draws of dropout are the compiler's own, but follow from the seed and the state of the generator all the same."""
    whole = trained(dropping, 1, compiled=True)
    assert whole[0].signature == "torch/cpu/1/compiled"
    assert_same(whole, trained(dropping, 1, compiled=True))
    with pytest.raises(Interrupted):
        trained(dropping, 1, FolderJournal(tmp_path, 7), compiled=True)
    resumed = trained(dropping, 1, FolderJournal(tmp_path), compiled=True)
    assert resumed[0].num_steps == 5
    assert_same(resumed, whole)


def test_without_a_compiler_it_trains_uncompiled() -> None:
    from torch._inductor import config

    torch.compiler.reset()  # what was compiled before would need no compiler
    with (
        config.patch({"cpp.cxx": (None, "no-such-compiler"), "fx_graph_cache": False}),
        pytest.warns(
            UserWarning, match="cannot compile this network .*no-such-compiler.*: it trains uncompiled"
        ) as said,
    ):
        outcomes = trained(net, 1, compiled=True)
    assert "\n" not in str(said[0].message)
    assert outcomes[0].signature == "torch/cpu/1"
    assert_same(outcomes, trained(net, 1, compiled=False))
