"""Which engine trains: as requested, or the one that measured faster."""

from dataclasses import dataclass

import torch
from torch import nn

from lth.config import SettingsError, Training, check_choice
from lth.training.engines.table import ENGINES

YOURS = "yours"
"""In place of an engine: the user's own training function."""

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
    training: Training,
    *,
    device: torch.device,
    population: int = 1,
    density: float = 1.0,
) -> EngineChoice:
    """Return the engine that trains such members.

    `auto` takes the sparse engine where it can train them, unless the network is wide (WIDE) and denser than CROSSOVER.

    Args:
        engine: an entry of ENGINES, or `auto`.
        module: a network of the members' kind; it is not changed.
        training: how they are trained.
        device: where.
        population: members trained side by side in one program.
        density: fraction of the prunable weights that is kept; 1.0 where that is not known yet.
    Raises:
        SettingsError: if the engine is unknown or cannot train them.
    """
    if training.function is not None:
        if engine not in ("auto", YOURS):
            raise SettingsError(
                f"engine {engine!r} has no use for your function {training.function.name!r}: leave one of the two out"
            )
        if training.train_only:
            raise SettingsError(
                f"your function {training.function.name!r} decides itself what trains; found train_only "
                f"{', '.join(training.train_only)}: leave it to lth's engines"
            )
        return EngineChoice(YOURS, training.function.name)
    if engine == "auto":
        return _usual(module, training, device, population, density)
    check_choice("engine", engine, [*ENGINES, "auto"])
    if (obstacle := ENGINES[engine].obstacle(module, training, population, device)) is not None:
        raise SettingsError(f"the {engine} engine cannot train this: {obstacle}. Choose engine torch or auto")
    return EngineChoice(engine, "as requested")


def _usual(
    module: nn.Module, training: Training, device: torch.device, population: int, density: float
) -> EngineChoice:
    obstacle = ENGINES["sparse"].obstacle(module, training, population, device)
    if obstacle is not None:
        return EngineChoice("torch", f"the sparse engine cannot train this: {obstacle}")
    num_weights = sum(value.numel() for value in module.parameters())
    if num_weights < WIDE:
        return EngineChoice("sparse", "a multilayer perceptron on a CPU")
    kept = "more than" if density > CROSSOVER else "at most"
    name = "torch" if kept == "more than" else "sparse"
    return EngineChoice(name, f"{num_weights:,} weights, {kept} {100 * CROSSOVER:.0f} % kept: faster there")
