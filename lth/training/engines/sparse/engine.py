"""The sparse engine: a network's surviving weights alone, many steps in compiled code, on one core."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from threadpoolctl import ThreadpoolController
from torch import Tensor, nn

from lth.config import Training, steps_per_epoch
from lth.data.order import epoch_order
from lth.data.types import Parts
from lth.sparsity.types import Masks, State, Traces
from lth.tasks import Classification, make_task
from lth.training.engines.engine import StepChanges
from lth.training.engines.signature import Signature
from lth.training.engines.sparse.chain import Chain
from lth.training.engines.sparse.examples import Examples, examples_of
from lth.training.engines.sparse.image_examples import ImageExamples, image_examples_of
from lth.training.engines.sparse.losses import LOSS_NUMBERS
from lth.training.engines.sparse.network import SparseNetwork
from lth.training.engines.sparse.reading import read_chain
from lth.training.engines.sparse.trunk_network import TrunkNetwork
from lth.training.engines.sparse.update_rule import ADAM, ADAMW, UpdateRule, update_rule_of
from lth.training.moments import load_moments, moments_of
from lth.training.optimizers import check_optimizer, make_optimizer
from lth.training.population import Member, Moments, Population, check_start
from lth.training.seeds import derive_seed
from lth.training.snapshot import Snapshot
from lth.training.traces import MOMENTS
from lth.training.where import Where


class SparseEngine:
    """One chain of layers whose pruned weights cost nothing; time and memory fall with its density."""

    name = "sparse"
    signature = str(Signature(name, "cpu"))

    def __init__(
        self, members: Sequence[Member], module: nn.Module, parts: Parts, training: Training, where: Where
    ) -> None:
        del where  # `sparse_obstacle` lets nothing but one member on a CPU come here
        (member,) = members
        task = make_task(training.task)
        assert isinstance(task, Classification)
        self.training, self.task, self.order_seed = training, task, member.seeds.order
        self.dropout_seed = derive_seed(member.seeds.augmentation) >> 1
        self.loss, self.rule = LOSS_NUMBERS[task.minimise], update_rule_of(training)
        check_start(module, members)
        self.steps_per_epoch = steps_per_epoch(len(parts["train"]), training.batch_size)
        is_double = training.precision == "float64"
        module.to(torch.float64 if is_double else torch.float32).train()
        chain = read_chain(module)
        start = {name: member.start[name].detach().to(value.dtype) for name, value in module.state_dict().items()}
        classes = min(task.num_classes, len(start[chain.layers[-1].weight]))
        make: Callable[..., tuple[dict[str, Any], SparseNetwork | TrunkNetwork]]
        make = _trunk_network if chain.convolutions else _perceptron
        self.parts: dict[str, Any]
        self.network: SparseNetwork | TrunkNetwork
        self.parts, self.network = make(
            chain, start, member, self.rule, training.batch_size, parts, np.float64 if is_double else np.float32
        )
        _check_labels(self.parts, classes)
        self.updates = 0
        check_optimizer(training.optimizer, training.lr, training.weight_decay, training.optimizer_options)
        if member.moments is not None:
            self._set_moments(_checked_moments(members, module, training))
        self.best = self.network.values.weights.copy()
        self._epoch, self._order = -1, np.empty(0, np.int64)

    def advance(self, step: int, count: int) -> Tensor:
        rates = np.array([self.training.lr_at(done) for done in range(step, step + count)])
        with _blas().limit(limits=1, user_api="blas"):
            losses = self.network.train(
                self.parts["train"],
                self._examples(step, count),
                rates,
                self.updates,
                self.loss,
                self.dropout_seed + step,
            )
        self.updates += count
        return torch.from_numpy(losses).unsqueeze(1)

    def take_mask_changes(self) -> list[StepChanges]:
        return []

    def evaluate(self, part: str) -> list[dict[str, float]]:
        examples = self.parts[part]
        correct = np.zeros(self.task.num_classes)
        with _blas().limit(limits=1, user_api="blas"):
            loss = self.network.evaluate(examples, self.loss, correct)
        tally = {
            "loss": torch.tensor(loss, dtype=torch.float64),
            "correct": torch.from_numpy(correct),
            "examples": torch.from_numpy(np.bincount(examples.labels, minlength=self.task.num_classes)),
        }
        return [self.task.read(tally)]

    def measures_of(self, index: int, step: int, *, at_end: bool = False) -> dict[str, float]:
        return {}

    def keep_best(self, improved: Sequence[bool]) -> None:
        if improved[0]:
            self.best[:] = self.network.values.weights

    def load_best(self) -> None:
        self.network.values.weights[:] = self.best

    def state_of(self, index: int) -> State:
        return self.network.weights()

    def masks_of(self, index: int) -> Masks | None:
        return None

    def traces_of(self, index: int) -> Traces:
        return {}

    def moments_of(self, index: int) -> Moments | None:
        return self._moments() if MOMENTS in self.training.traces else None

    def tensors(self, index: int) -> dict[str, Tensor]:
        network = self.network
        tensors = {f"state/{name}": value for name, value in network.weights().items()}
        tensors |= {f"best/{name}": value for name, value in network.weights(self.best).items()}
        for entry, values in network.moments_by_name().items():
            tensors |= {f"moments/{entry}/{name}": value for name, value in values.items()}
        return tensors | {"updates": torch.tensor(self.updates)}

    def restore(self, snapshots: Sequence[Snapshot]) -> None:
        (snapshot,) = snapshots
        network = self.network
        dtype = network.values.weights.dtype
        network.values.weights[:] = network.gather(snapshot.part("state"), dtype)
        self.best[:] = network.gather(snapshot.part("best"), dtype)
        network.set_moments({entry: snapshot.part(f"moments/{entry}") for entry in network.moments})
        self.updates = int(snapshot.tensors["updates"])

    def _moments(self) -> Moments:
        """Return the optimizer's state as PyTorch's optimizer keeps it."""
        moments = self.network.moments_by_name()
        if self.rule.kind in (ADAM, ADAMW):
            counter = torch.tensor(float(self.updates))
            moments["step"] = {name: counter.clone() for name in self.network.places}
        return moments

    def _set_moments(self, moments: Moments) -> None:
        self.network.set_moments(moments)
        counters = moments.get("step", {})
        # Momentum has no counter, but a first update of its own.
        self.updates = int(next(iter(counters.values())).item()) if counters else int(bool(moments))

    def _examples(self, step: int, count: int) -> Any:
        """Return the examples of these steps, (count * batch,): a function of the order seed and the steps alone."""
        batch, total = self.training.batch_size, len(self.parts["train"].labels)
        pieces = []
        while count:
            epoch, position = divmod(step, self.steps_per_epoch)
            if epoch != self._epoch:
                self._epoch, self._order = epoch, epoch_order(total, self.order_seed, epoch).numpy()
            taken = min(count, self.steps_per_epoch - position)
            pieces.append(self._order[position * batch : (position + taken) * batch])
            step, count = step + taken, count - taken
        return np.concatenate(pieces)


def _perceptron(
    chain: Chain, start: State, member: Member, rule: UpdateRule, batch: int, parts: Parts, dtype: Any
) -> tuple[dict[str, Examples], SparseNetwork]:
    """Return the examples by part, and the network."""
    examples, inputs = examples_of(parts, dtype), start[chain.layers[0].weight].shape[1]
    for each in examples.values():  # compiled code checks no bounds
        if each.inputs != inputs:
            raise ValueError(
                f"the examples have {each.inputs} inputs, the network takes {inputs}: choose a model for this "
                "input shape, one that flattens its input"
            )
    return examples, SparseNetwork(chain.layers, start, member.masks, rule, batch, examples["train"])


def _trunk_network(
    chain: Chain, start: State, member: Member, rule: UpdateRule, batch: int, parts: Parts, dtype: Any
) -> tuple[dict[str, ImageExamples], TrunkNetwork]:
    """Return the examples by part, and the network."""
    examples = image_examples_of(parts, dtype)
    for name, each in examples.items():
        if each.shape != examples["train"].shape:
            raise ValueError(
                f"{name} examples are of shape {each.shape}, train examples of {examples['train'].shape}: all parts "
                "need one shape"
            )
    return examples, TrunkNetwork(chain, start, member.masks, rule, batch, examples["train"])


def _check_labels(parts: Mapping[str, Examples | ImageExamples], classes: int) -> None:
    """Check that the labels fit the network: compiled code checks no bounds."""
    for part, examples in parts.items():
        lowest, highest = examples.labels.min(initial=0), examples.labels.max(initial=0)
        if lowest < 0 or highest >= classes:
            raise ValueError(
                f"the {part} labels go from {lowest} to {highest}, network and task have {classes} classes, 0 and "
                "up: choose a model for this number of classes"
            )


def _checked_moments(members: Sequence[Member], module: nn.Module, training: Training) -> Moments:
    """Return the moments of the only member, as PyTorch's optimizer would take them."""
    task = make_task(training.task)
    population = Population(module, members, torch.device("cpu"), training.precision, task)
    optimizer = make_optimizer(
        training.optimizer,
        population.parameters.values(),
        training.lr,
        training.weight_decay,
        training.optimizer_options,
    )
    load_moments(optimizer, population, members)
    return moments_of(optimizer, population, 0)


@cache
def _blas() -> ThreadpoolController:
    """Return the BLAS library behind dense layers; it must use one thread: other sums would give other numbers."""
    importlib.import_module("scipy.linalg.cython_blas")  # which numba calls; a controller knows what is loaded
    return ThreadpoolController()
