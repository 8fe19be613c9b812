"""Masks chosen by what a training made of the weights."""

from typing import Self

import torch
from pydantic import Field

from lth.config import Pruning, TaskSpec
from lth.data import batches_of
from lth.lineage.kinds.trained import Trained
from lth.lineage.nodes import DataSpec, MasksNode, WeightsNode
from lth.lineage.reader import Reader, draws
from lth.sparsity import Evidence, Masks, Network, criterion, density_of_level, prune, some_examples, warn_of_collapse
from lth.tasks import make_task
from lth.training import derive_seed


class Pruned(MasksNode):
    """Masks of a level, chosen among the weights that `among` keeps.

    Attributes:
        start: weights before a training.
        end: weights after it; those that are ranked.
        among: what is kept so far.
        pruning: how weights are chosen.
        level: counts from 1.
        data: examples for criteria that run the network.
        task: what is learned of them.
        traces: the training whose traces the criterion looks at.
    """

    start: WeightsNode
    end: WeightsNode
    among: MasksNode
    pruning: Pruning
    level: int = Field(ge=1)
    data: DataSpec | None = None
    task: TaskSpec | None = None
    traces: Trained | None = None

    @classmethod
    def after(cls, trained: Trained, pruning: Pruning, level: int) -> Self:
        """Return the masks that a training decides, among those that its own masks kept."""
        return cls(
            start=trained.start,
            end=trained,
            among=trained.masks,
            pruning=pruning,
            level=level,
            data=trained.data,
            task=trained.training.task,
            traces=trained if criterion(pruning.criterion).traces else None,
        )

    @property
    def planned_density(self) -> float | None:
        return density_of_level(self.pruning, self.level)

    def derive(self, reader: Reader) -> Masks:
        pruning, model = self.pruning, self.end.model
        module = reader.skeleton(model)
        names = reader.prunable(model, pruning.prune_only, pruning.never_prune)
        end = reader.weights(self.end)
        start = {name: value.to(end[name].dtype) for name, value in reader.weights(self.start).items()}
        masks = reader.masks(self.among)
        examples = torch.Generator().manual_seed(derive_seed(self.key, "examples"))

        def network() -> Network:
            assert self.data is not None
            assert self.task is not None
            task, train = make_task(self.task), reader.parts(self.data)["train"]
            by_batch = [task.groups(batch) for batch in batches_of(train, 1000)]
            known = [each for each in by_batch if each is not None]
            chosen = some_examples(torch.cat(known) if known else None, len(train), pruning.samples, examples)
            batch = train.take(chosen, chosen.device)
            dtype = end[names[0]].dtype
            batch = {name: each.to(dtype) if each.is_floating_point() else each for name, each in batch.items()}
            return Network(reader.module(model).to(dtype), start, end, batch, task, frozen=masks)

        traces = reader.traces(self.traces) if self.traces is not None and self.traces.training.traces else {}
        wanted = criterion(pruning.criterion).traces
        evidence = Evidence(
            start={name: start[name] for name in names},
            end={name: end[name] for name in names},
            generator=draws(self),
            masks=masks,
            network=network if self.data is not None else None,
            traces={kind: trace for kind, trace in traces.items() if kind in wanted},
        )
        chosen_masks = prune(evidence, module, pruning, self.level)
        warn_of_collapse(chosen_masks)
        return chosen_masks

    def words(self) -> str:
        pruning = self.pruning
        grain = "" if pruning.granularity == "unstructured" else f", {pruning.granularity}"
        of_all = pruning.per_level is not None
        share = f"{pruning.per_level:g} of all" if of_all else f"rate {pruning.rate:g} of the remaining"
        return (
            f"masks of level {self.level}, chosen by {pruning.criterion} ({pruning.scope}, {share} a level{grain}) in "
            f"{self.end.key[:8]}"
        )
