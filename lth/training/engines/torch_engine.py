"""The torch engine: data in memory, gathered by index; gradients masked, clipped, then a fused optimizer step."""

from collections.abc import Collection, Sequence

import torch
from torch import Tensor, nn

from lth.config.recipe import Recipe
from lth.config.sparsifier import Sparsifier
from lth.data.order import epoch_order
from lth.data.splits import Split
from lth.sparsity.types import Masks, Weights
from lth.training.engines.compiling import compile_losses, compile_wanted
from lth.training.engines.engine import MaskChanges, Part
from lth.training.engines.graphs import WholeStep, can_be_graphed, faster_stacking
from lth.training.engines.layers import quicken
from lth.training.engines.signature import Signature
from lth.training.moments import counter_device, load_moments, moments_of
from lth.training.optimizers import make_optimizer
from lth.training.population import Member, Population
from lth.training.seeds import derive_seed
from lth.training.snapshot import Snapshot
from lth.training.sparsifiers import RunningSparsifier, plan_sparsifier
from lth.training.stacking import has_convolutions
from lth.training.traces import MOMENTS, SUMS, empty_sums


class TorchEngine:
    """One network, or several of one kind stacked: any module, any device."""

    name = "torch"

    def __init__(
        self,
        members: Sequence[Member],
        module: nn.Module,
        split: Split,
        recipe: Recipe,
        *,
        first_step: int,
        device: torch.device,
        sparsifier: Sparsifier | None,
        traces: Collection[str],
    ) -> None:
        self.members, self.recipe, self.traces = members, recipe, traces
        self.population = Population(module.train(), members, device, recipe.precision, recipe.loss)
        dtype = torch.float64 if recipe.precision == "float64" else torch.float32
        self.parts: dict[str, tuple[Tensor, Tensor]] = {
            "validation": (split.x_validation.to(device, dtype), split.y_validation.to(device)),
            "test": (split.x_test.to(device, dtype), split.y_test.to(device)),
        }
        self.x_train, self.y_train = split.x_train.to(device, dtype), split.y_train.to(device)
        self.steps_per_epoch = len(self.y_train) // recipe.batch_size
        self.optimizer = make_optimizer(
            recipe.optimizer,
            self.population.parameters.values(),
            recipe.lr,
            recipe.weight_decay,
            recipe.optimizer_options,
        )
        load_moments(self.optimizer, self.population, members)
        self.sums = empty_sums(traces, self.population)
        self.best = {name: value.clone() for name, value in self.population.tensors().items()}
        self._epoch, self._orders = -1, torch.empty(0, dtype=torch.int64)
        self._changes: list[MaskChanges] = []
        self.sparsifier: RunningSparsifier | None = None
        if sparsifier is not None:
            if sparsifier.criterion in SUMS:
                self.sums |= empty_sums([sparsifier.criterion], self.population)
            plan = plan_sparsifier(
                sparsifier, recipe.steps, first_step=first_step, steps_per_epoch=self.steps_per_epoch
            )
            self.sparsifier = RunningSparsifier(sparsifier, plan, members, self.population, self.optimizer, self.sums)
        examples = self._examples(self._indices(first_step))
        if self.population.is_stacked and device.type == "cuda" and has_convolutions(module):
            self.population.stacking = faster_stacking(self.population, *examples)
        compiled = compile_losses(self.population, *examples) if compile_wanted() else None
        self.losses = compiled or self.population.losses
        self.paths = ["compiled"] if compiled else quicken(self.population, *examples)
        self._sign()
        self._grow_at: int | None = None
        self.whole: WholeStep | None = None
        if device.type == "cuda" and dtype == torch.float32 and can_be_graphed(self.optimizer):
            self.whole = WholeStep(self.optimizer, self._indices(first_step), dtype)
        torch.manual_seed(derive_seed(*(member.seeds.augmentation for member in members)))
        self._sparsify(first_step)

    def advance(self, step: int, count: int) -> Tensor:
        """Updates of all members, one after the other; the losses stay on the device."""
        losses = []
        for done in range(step, step + count):
            losses.append(self._update(done))
            self._sparsify(done + 1)
        return torch.stack(losses).double()

    def take_mask_changes(self) -> list[MaskChanges]:
        """Changes by the sparsifier since the last call."""
        changes, self._changes = self._changes, []
        return changes

    def evaluate(self, part: Part) -> tuple[list[float], list[float]]:
        """Mean loss and accuracy of each member, in evaluation mode."""
        losses, accuracies = self.population.evaluate(*self.parts[part])
        return losses.tolist(), accuracies.tolist()

    def keep_best(self, improved: Sequence[bool]) -> None:
        """Keeps the present state of these members as their best."""
        for name, value in self.population.tensors().items():
            if all(improved):
                self.best[name].copy_(value)
            else:
                chosen = torch.tensor(improved, device=value.device).view(-1, *[1] * (value.ndim - 1))
                self.best[name].copy_(torch.where(chosen, value, self.best[name]))

    def load_best(self) -> None:
        """Puts the best states in place of the present ones."""
        self.population.load(self.best)

    def state_of(self, index: int) -> Weights:
        """A copy on the CPU of one member's whole state dict."""
        return self.population.state_of(index)

    def masks_of(self, index: int) -> Masks | None:
        """A copy on the CPU of the sparsifier's masks in force; None without a sparsifier."""
        if self.sparsifier is None:
            return None
        return {name: mask.cpu().clone() for name, mask in self.sparsifier.masks_in_force(index).items()}

    def traces_of(self, index: int) -> dict[str, Weights]:
        """Copies on the CPU of the traces that were asked for."""
        traces = {
            kind: {name: self.population.own(value, index).cpu().clone() for name, value in sums.items()}
            for kind, sums in self.sums.items()
            if kind in self.traces
        }
        if MOMENTS in self.traces:
            moments = moments_of(self.optimizer, self.population, index)
            traces |= {f"{MOMENTS}/{entry}": values for entry, values in moments.items()}
        return traces

    def tensors(self, index: int) -> dict[str, Tensor]:
        """All that one member needs to go on, by `role/name`, in fresh tensors."""
        population = self.population
        names = {id(parameter): name for name, parameter in population.parameters.items()}

        def own(value: Tensor) -> Tensor:
            return population.own(value, index).detach().clone()

        tensors = {f"state/{name}": own(value) for name, value in population.tensors().items()}
        tensors |= {f"best/{name}": own(value) for name, value in self.best.items()}
        for parameter, entries in self.optimizer.state.items():
            for entry, value in entries.items():
                if value is not None:
                    kept = own(value) if value.shape == parameter.shape else value.clone()
                    tensors[f"optimizer/{names[id(parameter)]}/{entry}"] = kept
        for kind, sums in self.sums.items():
            tensors |= {f"trace/{kind}/{name}": own(value) for name, value in sums.items()}
        if self.sparsifier is not None:
            tensors |= self.sparsifier.tensors(index)
        tensors["generator/cpu"] = torch.get_rng_state()
        if population.device.type == "cuda":
            tensors["generator/cuda"] = torch.cuda.get_rng_state(population.device)
        return tensors

    @torch.no_grad()
    def restore(self, snapshots: Sequence[Snapshot]) -> None:
        """Puts every member where its snapshot was taken."""
        population, device = self.population, self.population.device

        def gathered(role: str) -> Weights:
            parts = [snapshot.part(role) for snapshot in snapshots]
            return {name: population.gather([part[name] for part in parts]) for name in parts[0]}

        population.load(gathered("state"))
        self.best = gathered("best")
        self.sums |= {kind: gathered(f"trace/{kind}") for kind in self.sums}
        counters = counter_device(self.optimizer, device)
        for name, parameter in population.parameters.items():
            entries = [snapshot.part(f"optimizer/{name}") for snapshot in snapshots]
            own_shape = parameter.shape[1:] if population.is_stacked else parameter.shape
            for entry, value in entries[0].items():
                is_own = value.shape == own_shape and entry != "step"
                restored = population.gather([each[entry] for each in entries]) if is_own else value.to(counters)
                self.optimizer.state[parameter][entry] = restored
        if self.sparsifier is not None:
            self.sparsifier.restore(snapshots)
        if self.whole is not None:
            self.whole.forget()
        begun = Signature.parse(snapshots[0].engine)
        assert begun is not None
        if begun.stacking is not None:
            population.stacking = begun.stacking  # as it was chosen when the training began
            self._sign()
        if begun.size != population.size:  # parts of a larger stack must not all draw what it would have drawn
            seeds = (member.seeds.augmentation for member in self.members)
            torch.manual_seed(derive_seed(*seeds, snapshots[0].step))
            return
        torch.set_rng_state(snapshots[0].tensors["generator/cpu"])
        if device.type == "cuda":
            torch.cuda.set_rng_state(snapshots[0].tensors["generator/cuda"], device)

    def _sparsify(self, step: int, *, has_gradients: bool = False) -> None:
        """Changes the masks if that is due after `step` updates."""
        if self.sparsifier is not None:
            changes = self.sparsifier.apply(step, has_gradients=has_gradients)
            if changes:
                self._changes.append(MaskChanges(step, changes, self.sparsifier.is_last(step)))
                if self.whole is not None:
                    self.whole.forget()

    @property
    def _must_restore_frozen(self) -> bool:
        """Whether an optimizer step can move pruned entries."""
        if self.sparsifier is not None and self.sparsifier.moves_frozen:
            return True
        return self.recipe.weight_decay > 0 and self.population.has_nonzero_frozen

    def _update(self, step: int) -> Tensor:
        """One optimizer step for every member, after `step` of them: the losses before it, (member,)."""
        indices, lr = self._indices(step), self.recipe.lr_at(step)
        is_due = self.sparsifier is not None and any(each.step == step for each in self.sparsifier.plan)
        self._grow_at = step if is_due else None
        if self.whole is not None:
            if is_due:
                self.whole.forget()  # changes of masks read values back, which no graph can hold
            return self.whole(self._step_on, indices, lr)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        return self._step_on(indices)

    def _step_on(self, indices: Tensor) -> Tensor:
        """One optimizer step with these examples, (member, batch), all of it on the device: the losses, (member,)."""
        losses = self.losses(*self._examples(indices))
        self.optimizer.zero_grad(set_to_none=True)
        losses.sum().backward()  # type: ignore[no-untyped-call]
        if self._grow_at is not None:
            self._sparsify(self._grow_at, has_gradients=True)
        self.population.mask_gradients()
        for kind, sums in self.sums.items():
            SUMS[kind](sums, self.population)
        if self.recipe.clip is not None:
            self.population.clip_gradients(self.recipe.clip)
        self.optimizer.step()
        if self._must_restore_frozen:
            self.population.restore_frozen()
        return losses.detach()

    def _indices(self, step: int) -> Tensor:
        """The examples of this step, (member, batch): a function of the order seeds and the step alone."""
        epoch, position = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            orders = [epoch_order(len(self.y_train), member.seeds.order, epoch) for member in self.members]
            self._epoch, self._orders = epoch, torch.stack(orders).to(self.y_train.device)
        start = position * self.recipe.batch_size
        return self._orders[:, start : start + self.recipe.batch_size]

    def _examples(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs and labels, (member, batch, ...); of one member alone (batch, ...)."""
        if not self.population.is_stacked:
            return self.x_train.index_select(0, indices[0]), self.y_train.index_select(0, indices[0])
        return self.x_train[indices], self.y_train[indices]

    def _sign(self) -> None:
        """Writes down how the members are stacked and layers computed: another way would go on with other numbers."""
        population = self.population
        stacking = population.stacking if population.is_stacked else None
        self.signature = str(Signature(self.name, population.device.type, population.size, stacking, tuple(self.paths)))
