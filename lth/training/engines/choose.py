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


CROSSOVER_OF_CONVOLUTIONS = 0.5
"""Density above which `auto` leaves networks with convolutions to PyTorch. In one thread of an AVX-512 processor a step
of Conv-2 takes as long in both engines when it is dense; an AVX2 processor was not measured above 5 %."""


CROSSOVERS = (CROSSOVER_OF_CONVOLUTIONS, CROSSOVER)
"""Between two of these the choice does not depend on the density."""


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """An engine's name and why it was chosen, in a few words.

    Attributes:
        name: of the engine.
        reason: in a few words.
        has_convolutions: whether the network has some: another part of the sparse engine is compiled for them.
    """

    name: str
    reason: str
    has_convolutions: bool = False


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

    `auto` takes the sparse engine where it can train them, unless the network is wide (WIDE) and denser than CROSSOVER,
    or has convolutions and is denser than CROSSOVER_OF_CONVOLUTIONS.

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
    return EngineChoice(engine, "as requested", _has_convolutions(module))


def _usual(
    module: nn.Module, training: Training, device: torch.device, population: int, density: float
) -> EngineChoice:
    obstacle = ENGINES["sparse"].obstacle(module, training, population, device)
    if obstacle is not None:
        return EngineChoice("torch", f"the sparse engine cannot train this: {obstacle}")
    has_convolutions = _has_convolutions(module)
    num_weights = sum(value.numel() for value in module.parameters())
    if num_weights < WIDE and not has_convolutions:
        return EngineChoice("sparse", "a multilayer perceptron on a CPU")
    crossover = CROSSOVER_OF_CONVOLUTIONS if has_convolutions else CROSSOVER
    what = "convolutions" if has_convolutions else f"{num_weights:,} weights"
    name, kept = ("torch", "more than") if density > crossover else ("sparse", "at most")
    return EngineChoice(name, f"{what}, {kept} {100 * crossover:.0f} % kept: faster there", has_convolutions)


def _has_convolutions(module: nn.Module) -> bool:
    return any(isinstance(part, nn.Conv2d) for part in module.modules())
