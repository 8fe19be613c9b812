"""`torch.compile` for the forward and backward pass: few kernels made for the network in place of many general ones.

Only if the environment variable LTH_COMPILE is 1. Meant for GPUs: in one thread of a CPU a small transformer ran 1.05
to 1.2 times as fast, a small convolution net 0.96 times, and the first training of a network compiles for up to half a
minute (later ones, which find it in torch's cache on the disk, for seconds). Evaluation, masks, clipping and the
optimizer stay as they are.

Checked on a CPU; not run on a GPU yet.
"""

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from lth.config.choices import check_choice
from lth.training.population import Population

VARIABLE = "LTH_COMPILE"
"""The environment variable that asks for it: 1, or 0."""

OPTIONS = {
    "fallback_random": True,  # draws come from torch's generators, whose states snapshots keep
    "shape_padding": False,  # which a clock would decide
}
"""Settings of inductor, torch's compiler, without which the same training would not give the same bits again."""

Losses = Callable[[Tensor, Tensor], Tensor]
"""As `Population.losses`."""


def compile_wanted() -> bool:
    """Whether LTH_COMPILE asks for compiled passes.

    Raises:
        ValueError: if it is neither 0 nor 1.
    """
    return check_choice(VARIABLE, os.environ.get(VARIABLE, "0"), ("0", "1")) == "1"


def compile_losses(population: Population, inputs: Tensor, labels: Tensor) -> Losses | None:
    """`population.losses`, compiled by a first pass forward and backward that leaves no trace.

    The whole of it or nothing: None, and a warning that says why, where that fails, as for want of a C++ compiler (CPU)
    or Triton (GPU), or with a module whose Python torch cannot follow.

    Args:
        population: in training mode, its layers torch's own: those of `layers.py` hide from the compiler what they do.
        inputs: a batch of it.
        labels: its labels.
    """

    def losses(inputs: Tensor, labels: Tensor) -> Tensor:
        return population.losses(inputs, labels)

    # What is compiled is kept by code object, for a few kinds of arguments at most: each population gets its own.
    losses.__code__ = losses.__code__.replace()
    compiled: Losses = torch.compile(losses, backend=_inductor, fullgraph=True, dynamic=False)
    try:
        with population.trying(population.stacking):
            compiled(inputs, labels).sum().backward()  # type: ignore[no-untyped-call]
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        cause = getattr(error, "inner_exception", error)
        why = next(iter(str(cause).splitlines()), "")
        warnings.warn(
            f"{VARIABLE} is 1, but torch cannot compile this network ({type(cause).__name__}: {why}): it trains "
            "uncompiled",
            stacklevel=2,
        )
        return None
    return compiled


def _inductor(graph: torch.fx.GraphModule, inputs: Sequence[Tensor]) -> Any:
    """Inductor, whose kernels are then neither chosen by a clock nor add up in any order."""
    from torch._inductor.compile_fx import compile_fx, compile_fx_inner  # takes seconds to load

    with _deterministic():
        # The backward pass is compiled later, when it is first called.
        return compile_fx(graph, inputs, inner_compile=_deterministic()(compile_fx_inner), config_patches=OPTIONS)


@contextmanager
def _deterministic() -> Iterator[None]:
    """Torch's deterministic mode, which would be slow, and noisy, were it on for more than the compiler."""
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
