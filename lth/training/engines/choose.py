"""Which engine trains: as asked for, or the one that measured faster."""

import importlib
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache

from torch import nn

from lth.config.choices import check_choice
from lth.config.recipe import Recipe
from lth.config.sparsifier import Sparsifier
from lth.training.engines.sparse.mlp import read_mlp
from lth.training.engines.sparse.rule import rule_of
from lth.training.traces import SUMS

CHOICES = ("torch", "sparse", "auto")

WIDE = 500_000
"""Weights from which the matrix products of a step outweigh all else; smaller networks the sparse engine trains faster,
but for dense ones in batches of 1,000, where it takes a tenth longer."""

CROSSOVER = 0.75
"""Density above which PyTorch trains such wide networks faster (up to 1.4 times, where they are dense), measured in one
thread of an AVX2 processor: see docs/engines.md."""


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """An engine's name and why it was chosen, in a few words."""

    name: str
    reason: str


def choose_engine(
    engine: str,
    module: nn.Module,
    recipe: Recipe,
    *,
    device: str = "cpu",
    population: int = 1,
    sparsifier: Sparsifier | None = None,
    traces: Collection[str] = (),
    density: float = 1.0,
) -> EngineChoice:
    """The engine that trains such members.

    `auto` takes the sparse engine where it can train them, unless the network is wide (WIDE) and denser than CROSSOVER.

    Args:
        engine: `torch`, `sparse` or `auto`.
        module: a network of the members' kind; it is not changed.
        recipe: how they are trained.
        device: `cpu` or a CUDA device.
        population: members trained side by side in one program.
        sparsifier: what prunes during training.
        traces: what else is kept of the training.
        density: fraction of the prunable weights that is kept.
    Raises:
        ValueError: if the engine is unknown, or `sparse` was asked for and cannot train them.
    """
    check_choice("engine", engine, CHOICES)
    if engine == "torch":
        return EngineChoice("torch", "as asked for")
    obstacle = _obstacle(module, recipe, device, population, sparsifier, traces)
    if engine == "sparse":
        if obstacle is not None:
            raise ValueError(f"the sparse engine cannot train this: {obstacle}. Choose engine torch or auto")
        return EngineChoice("sparse", "as asked for")
    if obstacle is not None:
        return EngineChoice("torch", f"the sparse engine cannot train this: {obstacle}")
    num_weights = sum(value.numel() for value in module.parameters())
    if num_weights < WIDE:
        return EngineChoice("sparse", "a multilayer perceptron on a CPU")
    if density > CROSSOVER:
        return EngineChoice("torch", f"{num_weights:,} weights, more than {100 * CROSSOVER:.0f} % kept: faster there")
    return EngineChoice("sparse", f"{num_weights:,} weights, at most {100 * CROSSOVER:.0f} % kept: faster there")


def _obstacle(
    module: nn.Module,
    recipe: Recipe,
    device: str,
    population: int,
    sparsifier: Sparsifier | None,
    traces: Collection[str],
) -> str | None:
    """What the sparse engine cannot do here; None if it can."""
    if device != "cpu":
        return f"the device is {device}"
    if population > 1:
        return f"{population} networks are trained in one program (population 1 would train them one by one)"
    if sparsifier is not None:
        return f"sparsifier {sparsifier.method!r} changes masks during training"
    if sums := [trace for trace in traces if trace in SUMS]:
        return f"{', '.join(sums)} is summed up over the steps"
    if recipe.precision == "bfloat16":
        return "the precision is bfloat16"
    try:
        rule_of(recipe)
        read_mlp(module)
    except ValueError as error:
        return str(error)
    return _missing()


@cache
def _missing() -> str | None:
    """What stands in the way of compiled code on this machine."""
    try:
        importlib.import_module("lth.training.engines.sparse.engine")
    except (ImportError, OSError, RuntimeError) as error:
        return f"numba cannot be loaded ({error})"
    return None
