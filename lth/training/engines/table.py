"""Engines by name."""

from collections.abc import Sequence

from torch import nn

from lth.config import Table, Training
from lth.data.types import Parts
from lth.training.engines.engine import Engine, EngineType
from lth.training.engines.sparse.obstacle import sparse_obstacle
from lth.training.engines.torch_engine import TorchEngine
from lth.training.population import Member
from lth.training.where import Where


def _sparse(members: Sequence[Member], module: nn.Module, parts: Parts, training: Training, where: Where) -> Engine:
    from lth.training.engines.sparse.engine import SparseEngine  # loads numba, which other trainings need not wait for

    return SparseEngine(members, module, parts, training, where)


ENGINES: Table[EngineType] = Table(
    "engine",
    {
        "torch": EngineType(TorchEngine, lambda *_: None, "Any network, on a CPU or a GPU."),
        "sparse": EngineType(
            _sparse,
            sparse_obstacle,
            "Perceptrons and plain convolution networks on a CPU, by their surviving weights alone.",
        ),
    },
)
"""Engines by name: `--engine`."""
