"""What changes a guard's masks while a loop runs: a method, its plan, and the state that goes with them."""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import cast

import torch
from torch import Tensor, nn

from lth.config.sparsifier import Sparsifier
from lth.sparsity.types import Masks, Traces
from lth.training.guard.ranks import from_first_rank
from lth.training.moments import per_weight_entries
from lth.training.population import Population
from lth.training.seeds import derive_seed
from lth.training.sparsifiers import Application, Change, Live, MaskState
from lth.training.traces import SUMS


class Pruner:
    """Makes the planned changes to the parameters and moments of one loop."""

    def __init__(
        self,
        settings: Sparsifier,
        plan: Sequence[Application],
        parameters: Mapping[str, nn.Parameter],
        allowed: Masks,
        optimizer: torch.optim.Optimizer,
        *,
        seed: int,
        same_on_all_ranks: bool,
    ) -> None:
        """Start before the first change.

        Raises:
            ValueError: if method, criterion, scope and density do not fit together.
        """
        self.settings, self.plan = settings, plan
        self._parameters, self._optimizer, self._same_on_all_ranks = parameters, optimizer, same_on_all_ranks
        start = {name: value.detach().to("cpu", copy=True) for name, value in parameters.items()}
        self._state = MaskState(
            settings, allowed, start, torch.Generator().manual_seed(derive_seed(seed, "sparsifier"))
        )
        self._sums: Traces = {
            kind: {name: torch.zeros_like(value) for name, value in parameters.items()}
            for kind in SUMS
            if kind == settings.criterion
        }
        self._state.try_criterion(self._live(has_gradients=False))

    @property
    def masks(self) -> Masks:
        """The masks that the method has chosen so far."""
        return self._state.masks

    @property
    def has_sums(self) -> bool:
        """Whether the criterion looks at sums over the steps."""
        return bool(self._sums)

    def in_force(self) -> Masks:
        """Return the masks that hold now."""
        return self._state.in_force()

    def is_due(self, step: int, *, has_gradients: bool) -> bool:
        """Return whether a change is planned after `step` steps that waits for gradients, or that does not."""
        return any(
            each.step == step and self._state.method.waits_for_gradients(each) == has_gradients for each in self.plan
        )

    def change(self, step: int, *, has_gradients: bool) -> None:
        """Make the change that is due."""
        application = next(each for each in self.plan if each.step == step)
        live = self._live(has_gradients=has_gradients)

        def agree(change: Change | None) -> Change | None:
            if not self._same_on_all_ranks:
                return change
            return from_first_rank(change, self._state.masks, live.weights)

        self._state.change(application, live, self._optimizer, agree)

    def add_to_sums(self) -> None:
        """Add this step's terms to the sums that the criterion looks at.

        Raises:
            ValueError: if gradients still carry the scale of a GradScaler.
        """
        if self._sums and getattr(self._optimizer, "grad_scale", None) is not None:
            raise ValueError(
                f"criterion {self.settings.criterion!r} sums gradients over the steps, but these still carry the "
                "scale of a GradScaler: call scaler.unscale_(optimizer) before scaler.step(optimizer)"
            )
        for kind, sums in self._sums.items():
            SUMS[kind](sums, cast(Population, SimpleNamespace(parameters=self._parameters)))

    def tensors(self) -> dict[str, Tensor]:
        """Return all that is needed to go on, by `role/name`, in fresh tensors."""
        tensors = self._state.tensors()
        tensors |= {f"start/{name}": value.clone() for name, value in self._state.start.items()}
        for kind, sums in self._sums.items():
            tensors |= {f"trace/{kind}/{name}": value.clone() for name, value in sums.items()}
        return tensors

    def restore(self, tensors: Mapping[str, Tensor], step: int) -> None:
        """Go back to where `tensors` were taken, after `step` steps."""
        waits = self._state.method.waits_for_gradients
        done = [each for each in self.plan if each.step + waits(each) <= step]
        self._state.restore(tensors, done[-1] if done else None)
        self._state.start = {name: tensors[f"start/{name}"].cpu().clone() for name in self._parameters}
        for kind, sums in self._sums.items():
            for name, value in sums.items():
                value.copy_(tensors[f"trace/{kind}/{name}"])

    def _live(self, *, has_gradients: bool) -> Live:
        parameters = self._parameters
        return Live(
            weights={name: value.detach() for name, value in parameters.items()},
            moments={name: per_weight_entries(self._optimizer, value) for name, value in parameters.items()},
            gradients={
                name: torch.zeros_like(value) if value.grad is None else value.grad
                for name, value in parameters.items()
                if has_gradients
            },
            traces=self._sums,
        )
