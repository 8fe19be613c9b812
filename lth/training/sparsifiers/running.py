"""Pruning within the training of a population: where in a step changes are made, and to whom."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lth.config.sparsifier import Sparsifier
from lth.sparsity.types import Masks, Traces, Weights
from lth.training.history import MaskChange
from lth.training.moments import per_weight_entries
from lth.training.population import Member, Population
from lth.training.seeds import derive_seed
from lth.training.snapshot import Snapshot
from lth.training.sparsifiers.schedule import Application
from lth.training.sparsifiers.state import Live, MaskState
from lth.training.sparsifiers.table import SPARSIFIERS


class RunningSparsifier:
    """Changes a population's masks at the planned steps. A member that is no longer finite is left as it is."""

    def __init__(
        self,
        settings: Sparsifier,
        plan: Sequence[Application],
        members: Sequence[Member],
        population: Population,
        optimizer: torch.optim.Optimizer,
        traces: Traces,
    ) -> None:
        self.settings, self.plan = settings, plan
        self._by_step = {application.step: application for application in plan}
        self._method = SPARSIFIERS.pick(settings.method)
        self._members, self._population, self._optimizer, self._traces = members, population, optimizer, traces
        self._states = [
            MaskState(
                settings,
                self._prunable(member),
                member.start,
                torch.Generator().manual_seed(derive_seed(member.seeds.augmentation, "sparsifier")),
            )
            for member in members
        ]
        self._states[0].try_criterion(self._live(0))

    @property
    def masks(self) -> list[Masks]:
        """Each member's masks."""
        return [state.masks for state in self._states]

    @property
    def moves_frozen(self) -> bool:
        """Whether moments may move pruned entries in an optimizer step, so that they must be put back.

        Kept ones do. So does the decay of noise, which stays in them when the noise is gone.
        """
        return self.settings.moments == "keep" or self._method.moves_frozen

    def is_last(self, step: int) -> bool:
        """Return whether the masks do not change after this step any more."""
        return step == self.plan[-1].step

    @torch.no_grad()
    def apply(self, step: int, *, has_gradients: bool = False) -> list[MaskChange | None]:
        """Do what is due after `step` steps; one entry per member (None for one that is not finite), or none.

        The engine calls this twice for a step: after its updates, and again between the next backward pass and the
        masking of its gradients. Which of the two a change waits for is the method's matter.
        """
        application = self._by_step.get(step)
        if application is None or self._method.waits_for_gradients(application) != has_gradients:
            return []
        changes = [
            state.change(application, self._live(index, has_gradients=has_gradients), self._optimizer)
            for index, state in enumerate(self._states)
        ]
        self._enforce()
        return changes

    def masks_in_force(self, index: int) -> Masks:
        """Return one member's masks: False entries are frozen. In soft pruning the caller's, until the end."""
        return self._members[index].masks | self._states[index].in_force()

    def tensors(self, index: int) -> dict[str, Tensor]:
        """Return all that one member needs to go on, by `role/name`, in fresh tensors."""
        return self._states[index].tensors()

    @torch.no_grad()
    def restore(self, snapshots: Sequence[Snapshot]) -> None:
        """Put the masks where the snapshots were taken; the population must hold its weights again already."""
        step = snapshots[0].step  # a change that waits for gradients belongs to the update after its step
        done = [each for each in self.plan if each.step + self._method.waits_for_gradients(each) <= step]
        for state, snapshot in zip(self._states, snapshots, strict=True):
            state.restore(snapshot.tensors, done[-1] if done else None)
        if done:
            self._enforce()

    def _enforce(self) -> None:
        self._population.set_masks([self.masks_in_force(index) for index in range(len(self._members))])

    def _live(self, index: int, *, has_gradients: bool = False) -> Live:
        population, parameters = self._population, self._population.parameters
        gradients = {
            name: torch.zeros_like(value) if value.grad is None else value.grad  # none where the loss does not see it
            for name, value in parameters.items()
            if has_gradients
        }

        def own(values: Weights) -> Weights:
            return {name: population.own(value, index) for name, value in values.items()}

        return Live(
            weights=own({name: value.detach() for name, value in parameters.items()}),
            moments={name: own(per_weight_entries(self._optimizer, value)) for name, value in parameters.items()},
            gradients=own(gradients),
            traces={kind: own(sums) for kind, sums in self._traces.items()},
        )

    def _prunable(self, member: Member) -> Masks:
        """Return the member's masks in the order of the network, on its device."""
        parameters = self._population.parameters
        masks: dict[str, Tensor] = {
            name: member.masks[name].to(self._population.device) for name in parameters if name in member.masks
        }
        if not masks:
            raise ValueError(
                f"member {member.key!r} has no masks, so the sparsifier does not know what it may prune: give it one "
                "for each prunable parameter, all True at a dense start"
            )
        return masks
