"""The state of a pruning within training, of one network: masks, noise originals, stashed moments, a generator."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from lth.config.sparsifier import Sparsifier
from lth.sparsity.metrics import density
from lth.sparsity.types import Masks, Traces, Weights
from lth.training.history import MaskChange
from lth.training.moments import Entries, change_moments, fresh_values
from lth.training.sparsifiers.method import Change, View, check_density, score
from lth.training.sparsifiers.schedule import Application
from lth.training.sparsifiers.table import SPARSIFIERS, check_sparsifier, scope_of


@dataclass(frozen=True, slots=True, eq=False)
class Live:
    """The live tensors of one network, by name; of its prunable parameters at least.

    Attributes:
        weights: written to.
        moments: optimizer state with a value for each weight, by parameter and entry; written to.
        gradients: of all weights, pruned ones too; empty where the change does not wait for them.
        traces: sums over the steps so far, by kind.
    """

    weights: Weights
    moments: Mapping[str, Entries]
    gradients: Weights
    traces: Traces


class MaskState:
    """The masks of one network while a method changes them."""

    def __init__(self, settings: Sparsifier, allowed: Masks, start: Weights, generator: torch.Generator) -> None:
        """Start from the masks that the caller gave.

        Args:
            settings: which method, and how.
            allowed: one mask for each prunable parameter, in the network's order.
            start: the weights that the training starts from, of those parameters at least; not written to.
            generator: on the CPU.
        Raises:
            ValueError: if the settings do not fit together, or the scope cannot share out their density.
        """
        check_sparsifier(settings)
        self.settings, self.scope, self.allowed = settings, scope_of(settings), allowed
        self.method = SPARSIFIERS.pick(settings.method)
        self.start, self.generator = start, generator
        self.masks = dict(allowed)
        self.originals: Weights = {}
        self.stash: dict[str, Entries] = {name: {} for name in allowed}
        self.is_hard = False
        check_density({name: mask.shape for name, mask in allowed.items()}, settings.density, self.scope)

    def in_force(self) -> Masks:
        """Return the masks whose False entries are frozen: in soft pruning those of the caller, until the end."""
        return self.masks if self.is_hard else self.allowed

    def change(
        self,
        application: Application,
        live: Live,
        optimizer: torch.optim.Optimizer,
        agree: Callable[[Change | None], Change | None] = lambda change: change,
    ) -> MaskChange | None:
        """Make one change to masks, weights and moments; None for a network that is no longer finite, which is left.

        Args:
            application: what is due.
            live: the network as it is.
            optimizer: whose moments they are.
            agree: given what this process would do, returns what all processes do.
        """
        view = self._view(application, live)
        is_finite = all(bool(value.isfinite().all()) for value in (*view.weights.values(), *view.gradients.values()))
        change = agree(self.method.change(view) if is_finite else None)
        result = None
        if change is not None:
            self._adopt(change, live, optimizer)
            was_pruned = sum(int((~mask).sum()) for mask in view.masks.values())
            revived = sum(int((change.masks[name] & ~mask).sum()) for name, mask in view.masks.items())
            result = MaskChange(
                step=application.step,
                density=density(change.masks),
                revived=revived,
                revival_rate=revived / was_pruned if was_pruned else 0.0,
            )
        self.is_hard = not application.is_soft
        return result

    def try_criterion(self, live: Live) -> None:
        """Raise the criterion's ValueError before anything is trained, if it cannot score these weights."""
        generator = torch.Generator().manual_seed(0)
        weights = {name: live.weights[name] for name in self.allowed}
        if self.method.criterion:
            traces = {kind: {name: sums[name] for name in self.allowed} for kind, sums in live.traces.items()}
            score(self.settings.criterion, self._start_like(weights), weights, self.allowed, generator, traces)

    def tensors(self) -> dict[str, Tensor]:
        """Return all that is needed to go on, by `role/name`, in fresh tensors."""
        tensors = {f"masks/{name}": mask for name, mask in self.masks.items()}
        tensors |= {f"originals/{name}": value for name, value in self.originals.items()}
        for name, entries in self.stash.items():
            tensors |= {f"stash/{name}/{entry}": value for entry, value in entries.items()}
        tensors["generator/sparsifier"] = self.generator.get_state()
        return {path: value.detach().clone() for path, value in tensors.items()}

    def restore(self, tensors: Mapping[str, Tensor], last: Application | None) -> None:
        """Go back to where `tensors` were taken.

        Args:
            tensors: as `tensors()` gave them, among others.
            last: the last change that was made before; None before the first.
        """

        def part(role: str, like: Mapping[str, Tensor] = self.allowed) -> Weights:
            prefix, device = f"{role}/", next(iter(like.values())).device
            paths = (path for path in tensors if path.startswith(prefix))
            return {path.removeprefix(prefix): tensors[path].to(device, copy=True) for path in paths}

        saved = part("masks")
        self.masks = {name: saved[name] for name in self.allowed}
        self.originals = part("originals")
        self.stash = {name: part(f"stash/{name}") for name in self.allowed}
        self.generator.set_state(tensors["generator/sparsifier"].cpu())
        self.is_hard = last is not None and not last.is_soft

    def _adopt(self, change: Change, live: Live, optimizer: torch.optim.Optimizer) -> None:
        in_force = self.in_force()
        for name, value in change.values.items():
            live.weights[name].copy_(value)
            entries = live.moments[name]
            # A softly pruned weight has moments of its own: it was never frozen, but now starts over from zero.
            pruned, revived = in_force[name] & ~change.masks[name], change.masks[name] & ~in_force[name]
            fresh = fresh_values(optimizer, entries)
            change_moments(self.settings.moments, entries, fresh, pruned, revived, self.stash[name])
        self.masks, self.originals = change.masks, change.originals

    def _view(self, application: Application, live: Live) -> View:
        weights = {name: live.weights[name].detach() for name in self.allowed}
        return View(
            settings=self.settings,
            scope=self.scope,
            application=application,
            weights=weights,
            masks=self.masks,
            allowed=self.allowed,
            start=self._start_like(weights),
            gradients={name: live.gradients[name] for name in self.allowed if live.gradients},
            originals=self.originals,
            traces={kind: {name: sums[name] for name in self.allowed} for kind, sums in live.traces.items()},
            generator=self.generator,
        )

    def _start_like(self, weights: Weights) -> Weights:
        return {name: self.start[name].to(value) for name, value in weights.items()}
