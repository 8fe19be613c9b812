"""How many trainings are done at once in one program: as many as fit into memory."""

import torch

from lth.data import Split
from lth.lineage.derive import Deriver
from lth.lineage.execute import member_of
from lth.lineage.nodes import DataSpec
from lth.lineage.plan import Work
from lth.training import members_that_fit


class Stacks:
    """Sizes of stacks, by what decides their memory.

    Args:
        population: most members of a stack; None: as many as fit on a GPU, one on a CPU, where stacks gain nothing.
        device: where they are trained.
        deriver: derives the member to measure with.
        splits: data made ready before, by its spec; filled as needed.
    """

    def __init__(
        self, population: int | None, device: torch.device, deriver: Deriver, splits: dict[DataSpec, Split]
    ) -> None:
        self._population = 1 if population is None and device.type == "cpu" else population
        self._device, self._deriver, self._splits = device, deriver, splits
        self._limits: dict[tuple[object, ...], int] = {}

    def limit(self, work: Work) -> int | None:
        """Most members of a stack of such works; None if it has not been measured yet."""
        return self._limits.get(_memory_kind(work), self._population)

    def measure(self, work: Work) -> int:
        """The limit; takes some steps of a few members to find it if it is not known yet."""
        if (known := self.limit(work)) is not None:
            return known
        trained, deriver = work.trained, self._deriver
        if trained.data not in self._splits:
            self._splits[trained.data] = deriver.sources.split(trained.data)
        fits = members_that_fit(
            member_of(work, deriver),
            lambda: deriver.sources.module(trained.model),
            self._splits[trained.data],
            trained.recipe,
            first_step=trained.first_step,
            device=self._device,
            sparsifier=trained.sparsifier,
            traces=trained.traces,
        )
        self._limits[_memory_kind(work)] = fits
        return fits

    def halve(self, work: Work, size: int) -> int:
        """The new limit, after a stack of this size that began with this work did not fit into memory."""
        self._limits[_memory_kind(work)] = (size + 1) // 2
        return (size + 1) // 2


def _memory_kind(work: Work) -> tuple[object, ...]:
    trained = work.trained
    recipe = trained.recipe
    return (
        trained.model.model_dump_json(),
        trained.data,
        (recipe.optimizer, repr(recipe.optimizer_options), recipe.batch_size, recipe.precision),
        trained.sparsifier,
        trained.traces,
    )
