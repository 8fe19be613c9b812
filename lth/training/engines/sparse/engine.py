"""The sparse engine: a multilayer perceptron's surviving weights alone, many steps in compiled code, on one core."""

import importlib
from collections.abc import Collection, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from threadpoolctl import ThreadpoolController
from torch import Tensor, nn

from lth.config.recipe import Recipe
from lth.config.sparsifier import Sparsifier
from lth.data.order import epoch_order
from lth.data.splits import Split
from lth.sparsity.types import Masks, Weights
from lth.training.engines.engine import MaskChanges, Part
from lth.training.engines.signature import Signature
from lth.training.engines.sparse import steps
from lth.training.engines.sparse.examples import examples_of
from lth.training.engines.sparse.losses import LOSSES
from lth.training.engines.sparse.mlp import read_mlp
from lth.training.engines.sparse.network import Network
from lth.training.engines.sparse.rule import ADAM, ADAMW, rule_of
from lth.training.moments import load_moments, moments_of
from lth.training.optimizers import check_optimizer, make_optimizer
from lth.training.population import Member, Population, check_start
from lth.training.seeds import derive_seed
from lth.training.snapshot import Snapshot
from lth.training.traces import MOMENTS


class SparseEngine:
    """One multilayer perceptron whose pruned weights cost nothing; time and memory fall with its density."""

    name = "sparse"
    signature = str(Signature(name, "cpu"))

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
        del first_step, device, sparsifier  # `choose_engine` lets none but a CPU and no sparsifier come here
        (member,) = members
        self.recipe, self.traces, self.order_seed = recipe, traces, member.seeds.order
        self.dropout_seed = derive_seed(member.seeds.augmentation) >> 1
        self.loss, self.rule = LOSSES[recipe.loss], rule_of(recipe)
        check_start(module, members)
        is_double = recipe.precision == "float64"
        self.parts = examples_of(split, np.float64 if is_double else np.float32)
        module.to(torch.float64 if is_double else torch.float32).train()
        layers = read_mlp(module)
        start = {name: member.start[name].detach().to(value.dtype) for name, value in module.state_dict().items()}
        self._check_examples(start[layers[0].weight].shape[1], len(start[layers[-1].weight]))
        self.network = Network(layers, start, member.masks, self.rule, recipe.batch_size, self.parts["train"])
        self.updates = 0
        check_optimizer(recipe.optimizer, recipe.lr, recipe.weight_decay, recipe.optimizer_options)
        if member.moments is not None:
            self._set_moments(_checked_moments(members, module, recipe))
        self.best = self.network.values.weights.copy()
        self._epoch, self._order = -1, np.empty(0, np.int64)

    def _check_examples(self, inputs: int, outputs: int) -> None:
        """Compiled code reads what it is told to: the examples must fit the network."""
        for part, examples in self.parts.items():
            if examples.inputs != inputs:
                raise ValueError(
                    f"the examples have {examples.inputs} inputs, the network takes {inputs}: choose a model for this "
                    "input shape, one that flattens its input"
                )
            lowest, highest = examples.labels.min(initial=0), examples.labels.max(initial=0)
            if lowest < 0 or highest >= outputs:
                raise ValueError(
                    f"the {part} labels go from {lowest} to {highest}, the network has {outputs} outputs, which stand "
                    "for 0 and up: choose a model for this number of classes"
                )

    def advance(self, step: int, count: int) -> Tensor:
        """Updates one after the other, in compiled code."""
        rates = np.array([self.recipe.lr_at(done) for done in range(step, step + count)])
        with _blas().limit(limits=1, user_api="blas"):
            losses = steps.train_steps(
                self.network.plans,
                self.network.indices,
                self.network.buffers,
                self.network.values,
                self.parts["train"],
                self._examples(step, count),
                self.recipe.batch_size,
                rates,
                self.updates,
                self.rule,
                self.loss,
                self.dropout_seed + step,
                self.network.blocks,
            )
        self.updates += count
        return torch.from_numpy(losses).unsqueeze(1)

    def take_mask_changes(self) -> list[MaskChanges]:
        """None: masks stay as they are."""
        return []

    def evaluate(self, part: Part) -> tuple[list[float], list[float]]:
        """Mean loss and accuracy, without dropout."""
        examples = self.parts[part]
        network = self.network
        with _blas().limit(limits=1, user_api="blas"):
            loss, correct = steps.evaluate(
                network.plans_without_dropout,
                network.indices,
                network.buffers,
                network.values.weights,
                examples,
                self.loss,
                network.blocks,
            )
        return [loss / len(examples.labels)], [correct / len(examples.labels)]

    def keep_best(self, improved: Sequence[bool]) -> None:
        """Keeps the present weights as the best."""
        if improved[0]:
            self.best[:] = self.network.values.weights

    def load_best(self) -> None:
        """Puts the best weights in place of the present ones."""
        self.network.values.weights[:] = self.best

    def state_of(self, index: int) -> Weights:
        """A copy of the whole state dict."""
        return self.network.weights()

    def masks_of(self, index: int) -> Masks | None:
        """None: there is no sparsifier."""
        return None

    def traces_of(self, index: int) -> dict[str, Weights]:
        """The optimizer's moments, if they were asked for; entries as PyTorch's optimizer has them."""
        if MOMENTS not in self.traces:
            return {}
        return {f"{MOMENTS}/{entry}": values for entry, values in self._moments().items()}

    def tensors(self, index: int) -> dict[str, Tensor]:
        """All that it needs to go on, by `role/name`."""
        network = self.network
        tensors = {f"state/{name}": value for name, value in network.weights().items()}
        tensors |= {f"best/{name}": value for name, value in network.weights(self.best).items()}
        for entry, values in network.moments_by_name().items():
            tensors |= {f"moments/{entry}/{name}": value for name, value in values.items()}
        return tensors | {"updates": torch.tensor(self.updates)}

    def restore(self, snapshots: Sequence[Snapshot]) -> None:
        """Puts the network where its snapshot was taken."""
        (snapshot,) = snapshots
        network = self.network
        dtype = network.values.weights.dtype
        network.values.weights[:] = network.gather(snapshot.part("state"), dtype)
        self.best[:] = network.gather(snapshot.part("best"), dtype)
        network.set_moments({entry: snapshot.part(f"moments/{entry}") for entry in network.moments})
        self.updates = int(snapshot.tensors["updates"])

    def _moments(self) -> dict[str, Weights]:
        """The optimizer's state as PyTorch's optimizer keeps it."""
        moments = self.network.moments_by_name()
        if self.rule.kind in (ADAM, ADAMW):
            counter = torch.tensor(float(self.updates))
            moments["step"] = {name: counter.clone() for name in self.network.structure.places}
        return moments

    def _set_moments(self, moments: dict[str, Weights]) -> None:
        self.network.set_moments(moments)
        counters = moments.get("step", {})
        # Momentum has no counter, but a first update of its own.
        self.updates = int(next(iter(counters.values())).item()) if counters else int(bool(moments))

    def _examples(self, step: int, count: int) -> Any:
        """(count * batch,) The examples of these steps: a function of the order seed and the steps alone."""
        batch, total = self.recipe.batch_size, len(self.parts["train"].labels)
        per_epoch = total // batch
        pieces = []
        while count:
            epoch, position = divmod(step, per_epoch)
            if epoch != self._epoch:
                self._epoch, self._order = epoch, epoch_order(total, self.order_seed, epoch).numpy()
            taken = min(count, per_epoch - position)
            pieces.append(self._order[position * batch : (position + taken) * batch])
            step, count = step + taken, count - taken
        return np.concatenate(pieces)


def _checked_moments(members: Sequence[Member], module: nn.Module, recipe: Recipe) -> dict[str, Weights]:
    """The moments of the only member, as PyTorch's optimizer would take them."""
    population = Population(module, members, torch.device("cpu"), recipe.precision)
    optimizer = make_optimizer(
        recipe.optimizer, population.parameters.values(), recipe.lr, recipe.weight_decay, recipe.optimizer_options
    )
    load_moments(optimizer, population, members)
    return moments_of(optimizer, population, 0)


@cache
def _blas() -> ThreadpoolController:
    """The BLAS library behind dense layers, which must use one thread: other sums would give other numbers."""
    importlib.import_module("scipy.linalg.cython_blas")  # which numba calls; a controller knows what is loaded
    return ThreadpoolController()
