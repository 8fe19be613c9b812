"""What the levels of one replicate of a search are made of: masks, tickets, and the controls beside them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from lth.config import MaskSchedule, Pruning, Sparsifier, Targets
from lth.studies.find_ticket_settings import AfterTraining, FindTicket, WithinTraining
from lth.studies.restart import KEPT_ACTIONS, PRUNED_ACTIONS, KeptAction, Level, PrunedAction

if TYPE_CHECKING:
    from lth.lineage import MasksNode, Trained, WeightsNode
    from lth.studies.subject import Subject
    from lth.training import Seeds


@dataclass(frozen=True)
class Search:
    """What the levels of one replicate are derived from."""

    settings: FindTicket
    subject: "Subject"
    seeds: "Seeds"

    @property
    def kept(self) -> KeptAction:
        return KEPT_ACTIONS[self.settings.restart.kept]

    @property
    def pruned(self) -> PrunedAction:
        return PRUNED_ACTIONS[self.settings.restart.pruned]

    @cached_property
    def dense(self) -> "Trained":
        """The dense training, which all levels go back to."""
        return self.subject.train(self.initial(), None, self.seeds)

    def walk(self, densities: Sequence[float]) -> "Iterator[Step]":
        """Give the levels one after the other, each decided by the trainings before it.

        Args:
            densities: fraction of the prunable weights that each level keeps, from level 0 to the last one wanted.
        """
        from lth.sparsity.schedule import schedule

        trained = dict.fromkeys(range(self.settings.start_level), self.dense)
        for number in range(self.settings.start_level, len(densities)):
            before = trained[schedule(self.settings.masks.schedule).source(number)]
            masks, source = self.masks(before, number, densities[number])
            level = self.level(masks, self.dense, source, number)
            trained[number] = self.ticket(level)
            yield Step(before, level, trained[number])

    @cached_property
    def rewind_step(self) -> int:
        return self.subject.steps(self.settings.restart.rewind_to)

    def initial(self, *purpose: object) -> "WeightsNode":
        """Return what the replicate starts from, or another draw for a purpose, with the weights that are scaled."""
        from lth.studies.entries import scaled

        return scaled(self.subject.initial(self.seeds, *purpose), self.subject.module, self.settings.scale_weights)

    def masks(self, before: "Trained", number: int, density: float) -> "tuple[MasksNode, Trained]":
        """Return the masks of a level and the training that decided them: the one before, or one that prunes."""
        from lth.lineage import Given, Prunable, Pruned, Sparsified

        chosen_by, subject = self.settings.masks, self.subject
        if self.settings.start_masks and number == self.settings.start_level:
            return Given(model=subject.model, digest=self.settings.start_digest, density=density), before
        if isinstance(chosen_by, AfterTraining):
            return Pruned.after(before, pruning_of(self.settings), number), before
        full = Prunable(model=subject.model, prune_only=chosen_by.prune_only, never_prune=chosen_by.never_prune)
        sparsifier = sparsifier_of(chosen_by, density)
        source = subject.train(self.initial(), full, self.seeds, sparsifier=sparsifier)
        return Sparsified(trained=source), source

    def level(self, masks: "MasksNode", dense: "Trained", source: "Trained", number: int) -> Level:
        """Return what a level's starting weights are made of."""
        return Level(
            masks=masks,
            initial=self.initial(),
            origin=self._origin(dense, source),
            source=source,
            decided_by=source,
            redrawn=self.initial("kept", number),
            dense=dense,
            number=number,
            chosen={"prune_only": self.settings.masks.prune_only, "never_prune": self.settings.masks.never_prune},
        )

    def _origin(self, dense: "Trained", source: "Trained") -> "WeightsNode":
        """Return what kept weights go back to."""
        from lth.lineage import Transplanted
        from lth.studies.entries import places_of

        transplant = self.settings.restart.transplant
        origin = (source if self.pruned.trains else dense).at(self.rewind_step)
        if not transplant:
            return origin
        return Transplanted(of=origin, source=dense, places=places_of(self.subject.module, transplant))

    def ticket(self, level: Level) -> "Trained":
        """Return the training of a level's masks from its starting weights."""
        from lth.lineage import Combined

        subject, kept, masks = self.subject, self.kept, self.settings.masks
        carries = isinstance(masks, AfterTraining) and masks.moments == "keep"
        return subject.train(
            Combined(
                masks=level.masks, kept=self._with_head(kept.make(level), level.number), pruned=self.pruned.make(level)
            ),
            self._frozen(level.masks),
            self.seeds,
            moments=level.source if carries else None,
            training=subject.training.at_last_lr() if kept.goes_on == "last" else subject.training,
            first_step=0 if kept.goes_on == "zero" else self.rewind_step,
        )

    def random(self, level: Level) -> "Trained":
        """Return the training of a ticket's starting values under a random mask with as many weights in each tensor.

        Where kept weights stay as trained, they are those of the dense network: a random mask would fall on zeros of
        earlier levels.
        """
        from lth.lineage import Shuffled

        return self.ticket(replace(level, masks=Shuffled(masks=level.masks), source=level.dense))

    def reinit(self, level: Level) -> "Trained":
        """Return the training of a level's masks from weights of a new draw.

        With a rewind step k > 0 it still trains from step 0, k steps more than the ticket: it has no earlier training
        to return to, and so it is at no disadvantage.
        """
        fresh = self.initial("reinit", level.number)
        return self._from_start(replace(level, initial=fresh, origin=fresh, redrawn=fresh))

    def permuted(self, level: Level) -> "Trained":
        """Return the training of a level's masks from the starting weights, each prunable tensor in a random order.

        What is not pruned starts as it does for the dense network. It trains from step 0, as `reinit` and for its
        reason: no training led to a rewind step of these weights.
        """
        from lth.lineage import Permuted
        from lth.training import derive_seed

        draw = derive_seed(self.seeds.init, "permuted", level.number)
        start = Permuted(of=level.initial, draw=draw, **level.chosen)
        return self._from_start(replace(level, initial=start, origin=start, redrawn=start))

    def one_shot(self, level: Level) -> "Trained":
        """Return the training of the starting weights, cut by magnitude to a level's density with no training before.

        It trains from step 0, for the whole length: a ticket's mask has cost trainings, and this one none.
        """
        from lth.lineage import Dense, Pruned

        subject = self.subject
        masks = Pruned(
            start=level.initial,
            end=level.initial,
            among=Dense(),
            pruning=pruning_of(self.settings).model_copy(update={"criterion": "large_final", "rounds": None}),
            level=level.number,
            data=subject.data,
            task=subject.training.task,
        )
        return self._from_start(replace(level, masks=masks, origin=level.initial))

    def _from_start(self, level: Level) -> "Trained":
        """Return the training of a level from its origin, from step 0."""
        from lth.lineage import Combined

        kept = self._with_head(level.origin, level.number)
        start = Combined(masks=level.masks, kept=kept, pruned=self.pruned.make(level))
        return self.subject.train(start, self._frozen(level.masks), self.seeds)

    def _with_head(self, state: "WeightsNode", number: int) -> "WeightsNode":
        """Return a state; where heads are drawn anew, with the one that all arms of a level share."""
        from lth.lineage import Grafted

        if self.settings.restart.head == "rewind":
            return state
        return Grafted(of=state, donor=self.initial("head", number), names=self.subject.fresh)

    def _frozen(self, masks: "MasksNode") -> "MasksNode":
        from lth.lineage import Dense

        return Dense() if self.pruned.trains else masks


@dataclass(frozen=True, slots=True)
class Step:
    """A level of a search: the training that its masks are chosen after, what it starts from, and its ticket."""

    before: "Trained"
    level: Level
    ticket: "Trained"


CONTROLS: dict[str, Callable[[Search, Level], "Trained"]] = {
    "reinit": Search.reinit,
    "random": Search.random,
    "permuted": Search.permuted,
    "one-shot": Search.one_shot,
}
"""How each control of a level is derived; the arms of these names say what they are."""


def pruning_of(settings: FindTicket) -> Pruning:
    """Return how weights are chosen after a training: without what is done with the optimizer, or within one."""
    shared = Pruning if isinstance(settings.masks, AfterTraining) else Targets
    return Pruning(**settings.masks.model_dump(include=set(shared.model_fields)))


def sparsifier_of(settings: WithinTraining, density: float) -> Sparsifier:
    """Return how a training prunes on its way to a density."""
    changes = {name: getattr(settings, name) for name in MaskSchedule.model_fields}
    return Sparsifier(
        method=settings.sparsifier, density=density, criterion=settings.criterion, scope=settings.scope, **changes
    )
