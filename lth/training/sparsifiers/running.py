"""The state of a pruning within training: masks, noise originals, stashed moments, and where changes are made."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lth.config.choices import check_choice
from lth.config.sparsifier import Sparsifier
from lth.sparsity.criteria import CRITERIA
from lth.sparsity.evidence import Evidence
from lth.sparsity.metrics import density
from lth.sparsity.scope import SCOPES
from lth.sparsity.select import planned_counts
from lth.sparsity.types import Masks, Weights
from lth.training.moments import change_moments, fresh_values, per_weight_entries
from lth.training.population import Member, Population
from lth.training.seeds import derive_seed
from lth.training.snapshot import Snapshot
from lth.training.sparsifiers.method import View
from lth.training.sparsifiers.schedule import Application
from lth.training.sparsifiers.table import SPARSIFIERS


@dataclass(frozen=True, slots=True)
class MaskChange:
    """What one change did to one member.

    Attributes:
        density: fraction of its prunable weights kept after it.
        revived: weights that were pruned before and are kept now.
        revival_rate: `revived` as a fraction of the weights that were pruned before; 0 if none was.
    """

    density: float
    revived: int
    revival_rate: float


class RunningSparsifier:
    """Changes a population's masks at the planned steps. A member that is no longer finite is left as it is."""

    def __init__(
        self,
        settings: Sparsifier,
        plan: Sequence[Application],
        members: Sequence[Member],
        population: Population,
        optimizer: torch.optim.Optimizer,
        traces: dict[str, Weights],
    ) -> None:
        self.settings, self.plan = settings, plan
        self._by_step = {application.step: application for application in plan}
        self._method = SPARSIFIERS[settings.method]
        self._members, self._population, self._optimizer, self._traces = members, population, optimizer, traces
        self._allowed = [self._prunable(member) for member in members]
        self.masks = [dict(allowed) for allowed in self._allowed]
        self.originals: list[Weights] = [{} for _ in members]
        self.stash: list[dict[str, Weights]] = [{name: {} for name in allowed} for allowed in self._allowed]
        self.generators = [
            torch.Generator().manual_seed(derive_seed(member.seeds.augmentation, "sparsifier")) for member in members
        ]
        self._is_hard = False
        self._try_settings()

    @property
    def moves_frozen(self) -> bool:
        """Whether moments may move pruned entries in an optimizer step, so that they must be put back.

        Kept ones do. So does the decay of noise, which stays in them when the noise is gone.
        """
        return self.settings.moments == "keep" or self.settings.method == "noise"

    def is_last(self, step: int) -> bool:
        """Whether the masks do not change after this step any more."""
        return step == self.plan[-1].step

    @torch.no_grad()
    def apply(self, step: int, *, has_gradients: bool = False) -> list[MaskChange | None]:
        """Does what is due after `step` updates; one entry per member (None for one that is not finite), or none.

        The engine calls this twice for a step: after its updates, and again between the next backward pass and the
        masking of its gradients. Which of the two a change waits for is the method's matter.
        """
        application = self._by_step.get(step)
        if application is None or self._waits_for_gradients(application) != has_gradients:
            return []
        changes = [self._change(index, application) for index in range(len(self._members))]
        self._enforce(application)
        return changes

    def masks_in_force(self, index: int) -> Masks:
        """One member's masks: entries where they are False rest. In soft pruning those of the caller, until the end."""
        own = self.masks[index] if self._is_hard else self._allowed[index]
        return self._members[index].masks | own

    def tensors(self, index: int) -> Weights:
        """All that one member needs to go on, by `role/name`, in fresh tensors."""
        tensors = {f"masks/{name}": mask for name, mask in self.masks[index].items()}
        tensors |= {f"originals/{name}": value for name, value in self.originals[index].items()}
        for name, entries in self.stash[index].items():
            tensors |= {f"stash/{name}/{entry}": value for entry, value in entries.items()}
        tensors["generator/sparsifier"] = self.generators[index].get_state()
        return {path: value.detach().clone() for path, value in tensors.items()}

    @torch.no_grad()
    def restore(self, snapshots: Sequence[Snapshot]) -> None:
        """Puts the masks where the snapshots were taken; the population must hold its weights again already."""
        device = self._population.device
        for index, snapshot in enumerate(snapshots):
            names = self._allowed[index]
            saved = snapshot.part("masks")
            self.masks[index] = {name: saved[name].to(device) for name in names}
            self.originals[index] = {name: value.to(device) for name, value in snapshot.part("originals").items()}
            for name in names:
                entries = snapshot.part(f"stash/{name}")
                self.stash[index][name] = {entry: value.to(device) for entry, value in entries.items()}
            self.generators[index].set_state(snapshot.tensors["generator/sparsifier"])
        step = snapshots[0].step  # a change that waits for gradients belongs to the update after its step
        done = [each for each in self.plan if each.step + self._waits_for_gradients(each) <= step]
        if done:
            self._enforce(done[-1])

    def _waits_for_gradients(self, application: Application) -> bool:
        return application.action == "regrow" and self._method.grows_by_gradient

    def _enforce(self, application: Application) -> None:
        self._is_hard = application.action != "zero"
        self._population.set_masks([self.masks_in_force(index) for index in range(len(self._members))])

    def _change(self, index: int, application: Application) -> MaskChange | None:
        view = self._view(index, application)
        if not all(bool(value.isfinite().all()) for value in (*view.weights.values(), *view.gradients.values())):
            return None
        change = self._method.change(view)
        in_force = self.masks_in_force(index)
        for name, value in change.values.items():
            view.weights[name].copy_(value)
            live = per_weight_entries(self._optimizer, self._population.parameters[name])
            entries = {entry: self._population.own(moment, index) for entry, moment in live.items()}
            fresh = fresh_values(self._optimizer, entries)
            # A softly pruned weight has moments of its own: it never rested, but now starts over from zero.
            pruned, revived = in_force[name] & ~change.masks[name], change.masks[name] & ~in_force[name]
            change_moments(self.settings.moments, entries, fresh, pruned, revived, self.stash[index][name])
        self.masks[index], self.originals[index] = change.masks, change.originals
        was_pruned = sum(int((~mask).sum()) for mask in view.masks.values())
        num_revived = sum(int((change.masks[name] & ~mask).sum()) for name, mask in view.masks.items())
        return MaskChange(density(change.masks), num_revived, num_revived / was_pruned if was_pruned else 0.0)

    def _view(self, index: int, application: Application) -> View:
        population, allowed = self._population, self._allowed[index]

        def own(values: Weights) -> Weights:
            return {name: population.own(values[name], index) for name in allowed}

        gradients = {
            name: torch.zeros_like(value) if value.grad is None else value.grad  # none where the loss does not see it
            for name, value in population.parameters.items()
            if self._waits_for_gradients(application) and name in allowed
        }
        weights = own({name: value.detach() for name, value in population.parameters.items()})
        return View(
            settings=self.settings,
            application=application,
            weights=weights,
            masks=self.masks[index],
            allowed=allowed,
            initial={name: self._members[index].start[name].to(weights[name]) for name in allowed},
            gradients=own(gradients) if gradients else {},
            originals=self.originals[index],
            traces={kind: own(sums) for kind, sums in self._traces.items()},
            generator=self.generators[index],
        )

    def _prunable(self, member: Member) -> Masks:
        """The member's masks in the order of the network, on its device."""
        parameters = self._population.parameters
        found: dict[str, Tensor] = {
            name: member.masks[name].to(self._population.device) for name in parameters if name in member.masks
        }
        if not found:
            raise ValueError(
                f"member {member.key!r} has no masks, so the sparsifier does not know what it may prune: give it one "
                "for each prunable parameter, all True at a dense start"
            )
        return found

    def _try_settings(self) -> None:
        """Finds settings that cannot work before anything is trained."""
        shapes = {name: mask.shape for name, mask in self._allowed[0].items()}
        scope = SCOPES[check_choice("scope", self.settings.scope_name, SCOPES)]
        planned_counts(shapes, sparsity=1 - self.settings.density, scope=scope)
        criterion = CRITERIA[check_choice("criterion", self.settings.criterion, CRITERIA)]
        view = self._view(0, self.plan[-1])
        criterion(
            Evidence(
                initial=view.initial,
                final=view.weights,
                generator=torch.Generator().manual_seed(0),
                masks=view.allowed,
                traces=view.traces,
            )
        )
