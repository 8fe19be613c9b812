"""The torch engine: data gathered by index; gradients masked, clipped, then a fused optimizer step."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from lth.config import Sparsifier, Training, steps_per_epoch
from lth.data.augment import augmentation_draws, augmented
from lth.data.order import training_order
from lth.data.types import Parts
from lth.sparsity.types import Masks, State, Traces
from lth.tasks import Batch, make_task
from lth.training.engines.decay import decay_groups
from lth.training.engines.engine import StepChanges
from lth.training.engines.frozen import freeze_others
from lth.training.engines.layers import quicken, quicken_attention
from lth.training.engines.passes import chunk_losses, compiled_losses, try_stacking
from lth.training.engines.signature import Signature
from lth.training.measures import RunningMeasures
from lth.training.moments import counter_device, load_moments, moments_of
from lth.training.optimizers import make_optimizer
from lth.training.population import Member, Moments, Population
from lth.training.ranks import Reduction
from lth.training.seeds import derive_seed
from lth.training.snapshot import Snapshot
from lth.training.sparsifiers import RunningSparsifier, plan_sparsifier
from lth.training.traces import MOMENTS, SUMS, empty_sums
from lth.training.where import Where

if TYPE_CHECKING:
    from lth.training.sharding import Sharding


class TorchEngine:
    """One network, or several of one kind stacked: any module, any device."""

    name = "torch"

    def __init__(
        self, members: Sequence[Member], module: nn.Module, parts: Parts, training: Training, where: Where
    ) -> None:
        device = torch.device(where.device)
        self.members, self.training, self.parts, self.ranks = members, training, parts, where.ranks
        self.task = make_task(training.task)
        sharding = self._sharding(module, where) if where.sharded else None
        freeze_others(module, training.train_only)
        self.population = Population(module.train(), members, device, training.precision, self.task, sharding)
        self.num_train = len(parts["train"])
        self.micro_batch = min(where.micro_batch or training.batch_size, training.batch_size)
        self.steps_per_epoch = steps_per_epoch(self.num_train, training.batch_size)
        self.optimizer = make_optimizer(
            training.optimizer,
            decay_groups(training, self.population),
            training.lr,
            training.weight_decay,
            training.optimizer_options,
        )
        load_moments(self.optimizer, self.population, members)
        self.sums = empty_sums(training.traces, self.population)
        self.best = {name: value.clone() for name, value in self.population.tensors().items()}
        self._epoch, self._orders = -1, torch.empty(0, dtype=torch.int64)
        self._changes: list[StepChanges] = []
        self.sparsifier = None if training.sparsifier is None else self._running(training.sparsifier)
        self.measures = RunningMeasures(training, members, self.population, self.sparsifier, parts["validation"])
        batch = self._batch(training.first_step)
        if self.population.is_stacked:
            try_stacking(self.population, batch)
        attention = quicken_attention(self.population)
        compiled = compiled_losses(self.population, batch) if where.compiled else None
        self.paths = [*attention, *(["compiled"] if compiled else quicken(self.population, batch))]
        if not compiled:
            one_pass = {name: each[: self.micro_batch] for name, each in batch.items()}
            self.paths += chunk_losses(self.population, one_pass)
        self.losses = compiled or self.population.losses
        stacking = self.population.stacking if self.population.is_stacked else None
        self._check_cut()
        cuts = [f"ranks-{self.ranks.size}"] if self.ranks.size > 1 else []
        cuts += ["sharded"] if sharding else []
        cuts += [f"micro-{self.micro_batch}"] if self.micro_batch < training.batch_size else []
        self.signature = str(Signature(self.name, device.type, len(members), stacking, (*self.paths, *cuts)))
        self._draw_anew()
        self._reductions: list[Reduction] = []
        self._is_last_pass = False
        if self.ranks.size > 1 and sharding is None:
            for parameter in self.population.parameters.values():
                parameter.register_post_accumulate_grad_hook(self._send)  # type: ignore[no-untyped-call]
        self._sparsify(training.first_step)

    def _sharding(self, module: nn.Module, where: Where) -> "Sharding":
        from lth.training.sharding import Sharding, check_shardable  # a second, others need not wait

        check_shardable(module, self.training, self.members, where.ranks)
        return Sharding(torch.device(where.device), where.ranks)

    def _check_cut(self) -> None:
        """Check that a batch can be shared out over ranks and passes.

        Raises:
            ValueError: if there are fewer examples than ranks, or statistics of a batch norm would be of its parts.
        """
        size, batch = self.ranks.size, self.training.batch_size
        if batch < size:
            raise ValueError(f"a batch of {batch} examples cannot be shared out over {size} processes: take fewer")
        norms = any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in self.population.module.modules())
        if norms and (size > 1 or self.micro_batch < batch):
            raise ValueError(
                "the network has batch norms, whose statistics are of whole batches: train it in one process, without "
                "--micro-batch"
            )

    def _draw_anew(self, *purpose: object) -> None:
        """Seed what is drawn in passes, as dropout: of each rank its own."""
        rank = [] if self.ranks.is_first else [self.ranks.rank]
        torch.manual_seed(derive_seed(*(member.seeds.augmentation for member in self.members), *rank, *purpose))

    def _running(self, settings: Sparsifier) -> RunningSparsifier:
        """Return what prunes within this training, before its first change."""
        training = self.training
        if settings.criterion in SUMS:
            self.sums |= empty_sums([settings.criterion], self.population)
        plan = plan_sparsifier(
            settings, training.steps, first_step=training.first_step, steps_per_epoch=self.steps_per_epoch
        )
        return RunningSparsifier(settings, plan, self.members, self.population, self.optimizer, self.sums)

    def advance(self, step: int, count: int) -> Tensor:
        losses = []
        for done in range(step, step + count):
            losses.append(self._update(done))
            self._sparsify(done + 1)
        return torch.stack(losses).double()

    def take_mask_changes(self) -> list[StepChanges]:
        changes, self._changes = self._changes, []
        return changes

    def evaluate(self, part: str) -> list[dict[str, float]]:
        return self.population.evaluate(self.parts[part], self.ranks)

    def measures_of(self, index: int, step: int, *, at_end: bool = False) -> dict[str, float]:
        return self.measures.at_end(index) if at_end else self.measures.values(index, step)

    def keep_best(self, improved: Sequence[bool]) -> None:
        for name, value in self.population.tensors().items():
            if all(improved):
                self.best[name].copy_(value)
            else:
                chosen = torch.tensor(improved, device=value.device).view(-1, *[1] * (value.ndim - 1))
                self.best[name].copy_(torch.where(chosen, value, self.best[name]))

    def load_best(self) -> None:
        self.population.load(self.best)

    def state_of(self, index: int) -> State:
        return self.population.state_of(index)

    def masks_of(self, index: int) -> Masks | None:
        if self.sparsifier is None:
            return None
        return {name: mask.cpu().clone() for name, mask in self.sparsifier.masks_in_force(index).items()}

    def traces_of(self, index: int) -> Traces:
        return {
            kind: {name: self.population.own(value, index).cpu().clone() for name, value in sums.items()}
            for kind, sums in self.sums.items()
            if kind in self.training.traces
        }

    def moments_of(self, index: int) -> Moments | None:
        is_wanted = MOMENTS in self.training.traces
        return moments_of(self.optimizer, self.population, index) if is_wanted else None

    def tensors(self, index: int) -> dict[str, Tensor]:
        population = self.population
        names = {id(parameter): name for name, parameter in population.parameters.items()}

        def own(value: Tensor) -> Tensor:
            return population.whole(population.own(value, index).detach()).clone()

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
        tensors |= self.measures.tensors(index)
        states = {"cpu": torch.get_rng_state()}
        if population.device.type == "cuda":
            states["cuda"] = torch.cuda.get_rng_state(population.device)
        for rank, of_rank in enumerate(self.ranks.all_gather(states)):
            end = f"/{rank}" if rank else ""
            tensors |= {f"generator/{device}{end}": state for device, state in of_rank.items()}
        return tensors

    @torch.no_grad()
    def restore(self, snapshots: Sequence[Snapshot]) -> None:
        population, device = self.population, self.population.device

        def gathered(role: str) -> State:
            parts = [snapshot.part(role) for snapshot in snapshots]
            return {name: population.gather([part[name] for part in parts]) for name in parts[0]}

        population.load(gathered("state"))
        best = gathered("best")
        self.best = {name: population.part(best[name], value) for name, value in self.best.items()}
        self.sums |= {kind: gathered(f"trace/{kind}") for kind in self.sums}
        counters = counter_device(self.optimizer, device)
        for name, parameter in population.parameters.items():
            entries = [snapshot.part(f"optimizer/{name}") for snapshot in snapshots]
            own_shape = parameter.shape[1:] if population.is_stacked else parameter.shape
            for entry, value in sorted(entries[0].items()):  # in one order on all ranks, as in `self.best`
                is_own = value.shape == own_shape and entry != "step"
                values = population.gather([each[entry] for each in entries]) if is_own else value.to(counters)
                restored = population.part(values, parameter) if is_own else values
                self.optimizer.state[parameter][entry] = restored
        if self.sparsifier is not None:
            self.sparsifier.restore(snapshots)
        for index, snapshot in enumerate(snapshots):
            self.measures.restore(index, snapshot.part("measure"))
        self._restore_generators(snapshots[0])

    def _restore_generators(self, snapshot: Snapshot) -> None:
        device = self.population.device
        states = snapshot.part("generator")
        rank = "" if self.ranks.is_first else f"/{self.ranks.rank}"
        if f"cpu{rank}" not in states:  # it was begun by fewer ranks
            self._draw_anew(snapshot.step)
            return
        torch.set_rng_state(states[f"cpu{rank}"])
        if device.type == "cuda":
            torch.cuda.set_rng_state(states[f"cuda{rank}"], device)

    def _sparsify(self, step: int, *, has_gradients: bool = False) -> None:
        """Change the masks if that is due after `step` steps."""
        if self.sparsifier is not None:
            changes = self.sparsifier.apply(step, has_gradients=has_gradients)
            if changes:
                self._changes.append(StepChanges(changes, self.sparsifier.is_last(step)))

    @property
    def _must_restore_frozen(self) -> bool:
        """Whether an optimizer step can move pruned entries."""
        if self.sparsifier is not None and self.sparsifier.moves_frozen:
            return True
        return self.training.weight_decay > 0 and self.population.has_nonzero_frozen

    def _update(self, step: int) -> Tensor:
        """Do one optimizer step for every member, after `step` of them: the losses before it, (member,)."""
        lr = self.training.lr_at(step)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.zero_grad(set_to_none=True)
        losses = self._backward(self._batch(step))
        if self.sparsifier is not None:
            self._sparsify(step, has_gradients=True)
        self.measures.keep_gradients(step)
        self.population.mask_gradients()
        for kind, sums in self.sums.items():
            SUMS[kind](sums, self.population)
        if self.training.clip is not None:
            self.population.clip_gradients(self.training.clip)
        self.optimizer.step()
        if self._must_restore_frozen:
            self.population.restore_frozen()
        return losses

    def _backward(self, batch: Batch) -> Tensor:
        """Add the gradients of a batch, pass by pass, over all ranks: the losses, (member,)."""
        population = self.population
        dim = int(population.is_stacked)
        if self.ranks.size == 1 and self.micro_batch == self.training.batch_size:
            losses = self.losses(batch)
            losses.sum().backward()  # type: ignore[no-untyped-call]
            return losses.detach()
        size = next(iter(batch.values())).shape[dim]
        cuts = tuple(range(self.micro_batch, size, self.micro_batch))
        cut = {name: each.tensor_split(cuts, dim) for name, each in batch.items()}
        parts = [dict(zip(cut, some, strict=True)) for some in zip(*cut.values(), strict=True)]
        # Each part counts by what its mean is over: examples, or tokens that are no padding.
        weights = torch.stack([self._weights(part) for part in parts]).to(population.dtype)  # (part, member)
        total_weight = weights.sum(0)
        self.ranks.all_reduce([total_weight])
        shares = weights / total_weight.clamp(min=1)
        total = torch.zeros(population.size, dtype=population.dtype, device=population.device)
        for number, (part, share) in enumerate(zip(parts, shares, strict=True), start=1):
            self._is_last_pass = number == len(parts)
            losses = self.losses(part) * share
            losses.sum().backward()
            total += losses.detach()
        self.ranks.all_reduce([total])
        for reduction in self._reductions:
            reduction.wait()
        self._reductions.clear()
        return total

    def _send(self, parameter: Tensor) -> None:
        """Add up a gradient over all ranks as soon as the last pass has made it, while the pass goes on."""
        if self._is_last_pass and parameter.grad is not None:
            self._reductions.append(self.ranks.start_all_reduce(parameter.grad))

    def _weights(self, batch: Batch) -> Tensor:
        """Return how much counts in the batch of each member, (member,)."""
        population = self.population
        own = [{name: population.own(each, index) for name, each in batch.items()} for index in range(population.size)]
        return torch.stack([self.task.weight(each).to(population.device) for each in own])

    def _augmented(self, images: Tensor, step: int) -> Tensor:
        """Return the images of this step after augmentation, by each member's own seed."""
        seeds, names = [member.seeds.augmentation for member in self.members], self.training.augment
        draws = augmentation_draws(names, seeds, step, self.training.batch_size)
        return augmented(images, names, [self.ranks.part(each, 1).flatten(0, 1) for each in draws])

    def _batch(self, step: int) -> Batch:
        """Return the examples of this step: a function of the order and augmentation seeds and the step alone.

        Tensors are (member, batch, ...); of one member alone (batch, ...).
        """
        epoch, position = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            train, size = self.parts["train"], self.training.batch_size
            orders = [training_order(train, size, member.seeds.order, epoch) for member in self.members]
            self._epoch, self._orders = epoch, torch.stack(orders).to(self.population.device)
        start, size = position * self.training.batch_size, self.training.batch_size
        indices = self.ranks.part(self._orders[:, start : start + size], 1)
        batch = self.population.fitted(self.parts["train"].take(indices.reshape(-1), self.population.device))
        if self.training.augment:
            batch["x"] = self._augmented(batch["x"], step)
        if not self.population.is_stacked:
            return batch
        return {name: each.reshape(*indices.shape, *each.shape[1:]) for name, each in batch.items()}
