"""What a study is about: a model, a data set and a training, resolved."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, partial
from typing import Any

import torch
from torch import nn

from lth.config import Clock, Pruning, Targets, Training
from lth.lineage import DataSpec, Dense, Initial, MasksNode, Pretrained, Sources, Trained, WeightsNode
from lth.models import MODELS, ModelSpec
from lth.sparsity import (
    SCOPES,
    Structure,
    densities_by_pattern,
    density_of_level,
    granularity,
    planned_counts,
    planned_density,
    prunable,
    structure_of,
    without_evidence,
)
from lth.tasks import make_task
from lth.training import Seeds, derive_seed


@dataclass(frozen=True, eq=False)
class Subject:
    """What a study is about.

    Attributes:
        model: what is trained.
        data: on what.
        training: how.
        clock: what durations are counted by.
        sources: the live objects.
        traces: what trainings keep for criteria and moments.
        pretrained: digest of the weights that networks start from; empty where they are drawn.
        fresh: parameters that those weights lack, and that each replicate draws: a new head.
        head_words: how the head and those weights fit, in words: what is drawn anew, kept, passed over.
        others: further subjects by name, which share the live objects.
    """

    model: ModelSpec
    data: DataSpec
    training: Training
    clock: Clock
    sources: Sources
    traces: tuple[str, ...] = ()
    pretrained: str = ""
    fresh: tuple[str, ...] = ()
    head_words: tuple[str, ...] = ()
    others: "Mapping[str, Subject]" = field(default_factory=dict)

    @cached_property
    def module(self) -> nn.Module:
        """A network whose values do not matter."""
        return self.sources.skeleton(self.model)

    @property
    def data_note(self) -> str:
        """What is to be known of the data where a score stands: the fact `note`, which goes on from 'The data are'."""
        return str(self.sources.data[self.data.digest].facts.get("note", ""))

    def beside(self, others: "Mapping[str, Subject]") -> "Subject":
        """Return this subject with others by name; all share one table of live objects."""
        every = [self.sources, *(each.sources for each in others.values())]
        sources = Sources(
            **{
                part.name: {name: live for each in every for name, live in getattr(each, part.name).items()}
                for part in fields(Sources)
            }
        )
        return replace(
            self, sources=sources, others={name: replace(each, sources=sources) for name, each in others.items()}
        )

    def with_traces(self, traces: tuple[str, ...]) -> "Subject":
        """Return this subject, and its others, whose trainings keep these."""
        others = {name: each.with_traces(traces) for name, each in self.others.items()}
        return replace(self, traces=traces, others=others)

    @property
    def output(self) -> str | None:
        """The weight of the output layer, of a model of lth's."""
        entry = MODELS.get(self.model.name)
        return None if entry is None else entry.output

    def initial(self, seeds: Seeds, *purpose: object) -> Initial | Pretrained:
        """Return what a replicate starts from; with a purpose (`"reinit", 3`) another draw, of all weights."""
        if self.pretrained and not purpose:
            seed = seeds.init if self.fresh else 0
            return Pretrained(spec=self.model, digest=self.pretrained, seed=seed, fresh=self.fresh)
        seed = derive_seed(seeds.init, *purpose) if purpose else seeds.init
        return Initial(spec=self.model, seed=seed)

    def train(
        self,
        start: WeightsNode,
        masks: MasksNode | None,
        seeds: Seeds,
        *,
        moments: Trained | None = None,
        training: Training | None = None,
        **changes: Any,
    ) -> Trained:
        """Return a training of this subject.

        Args:
            start: the state that it starts from.
            masks: None for a dense network.
            seeds: of data order and augmentation.
            moments: the training whose last optimizer moments it starts with.
            training: how, in place of the subject's own.
            **changes: fields of `Training` that differ (`first_step`, `sparsifier`).
        """
        resolved = training or self.training
        resolved = resolved.with_(traces=self.traces, **changes) if self.traces or changes else resolved
        return Trained(
            start=start, masks=masks or Dense(), data=self.data, training=resolved, seeds=seeds, moments=moments
        )

    def prunable(self, targets: Targets) -> list[str]:
        """Return the names of the parameters that are pruned."""
        return prunable(self.module, targets.prune_only, targets.never_prune)

    def densities(self, pruning: Pruning, levels: int) -> tuple[float, ...]:
        """Return the fraction of the prunable weights that each level keeps, from level 0.

        Raises:
            ValueError: if a level would empty a group of weights, or N:M has more than one level.
        """
        names = self.prunable(pruning)
        shapes = {name: self.module.get_parameter(name).shape for name in names}
        grain = granularity(pruning.granularity)
        if grain.pattern and levels > 1:
            raise ValueError(
                f"levels: granularity {grain.name!r} fixes the density by itself; found {levels} levels, only 1 is "
                "allowed"
            )
        densities = [1.0]
        is_free = grain.families is None and grain.pattern is None
        structure = None if is_free else self.structure(names)
        for level in range(1, levels + 1):
            wanted: dict[str, Any] = {
                "density": density_of_level(pruning, level),
                "scope": without_evidence(SCOPES[pruning.scope]),
                "by_pattern": densities_by_pattern(pruning, level),
                "granularity": grain,
                "structure": structure,
            }
            counts = planned_counts(shapes, **wanted)
            empty = [name for group, keep in counts if keep == 0 for name in group.names]
            if empty:
                raise ValueError(
                    f"levels: level {level} would leave no weight in {', '.join(empty)}: ask for at most {level - 1}"
                )
            planned = planned_density(shapes, **wanted)
            densities.append(wanted["density"] if planned is None else planned)
        return tuple(densities)

    def structure(self, names: Iterable[str]) -> Structure:
        """Return how the prunable tensors of the network are built."""
        module = self.sources.module(self.model)
        if self.training.function is not None:
            return structure_of(module, list(names))
        train, dtype = self.sources.parts(self.data)["train"], next(module.parameters()).dtype
        batch = train.take(torch.arange(2), torch.device("cpu"))
        batch = {name: value.to(dtype) if value.is_floating_point() else value for name, value in batch.items()}
        return structure_of(module, list(names), partial(make_task(self.training.task).forward, module, batch))

    def steps(self, duration: str) -> int:
        """Return a duration in optimizer steps.

        Raises:
            ValueError: if it does not lie within the training.
        """
        steps = self.clock.steps(duration)
        if steps >= self.training.steps:
            raise ValueError(
                f"rewind_to {duration} is step {steps}, but training ends at step {self.training.steps}: rewind to an "
                "earlier step"
            )
        return steps
